//! Parse, run one command, say what went wrong.

use std::process::ExitCode;

use lobstream::cli::Cli;
use lobstream::command;

/// Records are made by one thread and given back by another, here and in the Kafka client, whose memory this
/// is too: that costs the system's allocator a tenth to a quarter of a run.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_env("LOBSTREAM_TRACE").unwrap_or_default();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match command::execute(Cli::read().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => command::report(&e),
    }
}
