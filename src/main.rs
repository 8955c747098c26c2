//! Parse, run one command, say what went wrong.

use std::process::ExitCode;

use lobstream::cli::Cli;
use lobstream::command;

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_env("LOBSTREAM_TRACE").unwrap_or_default();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match command::execute(Cli::read().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => command::report(&e),
    }
}
