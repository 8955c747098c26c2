//! One file per verb: flags become settings, the work is done, the result is said.

mod backtest;
mod daily;
mod demo;
pub mod digest;
pub mod export;
mod images;
mod inspect;
mod live;
mod player;
mod progress;
mod replay;
mod run;
mod sweep;
mod verify;

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cli::{self, Command};
use crate::error::Error;
use crate::sink::row::Kind;

/// Does what was asked.
///
/// # Errors
/// Whatever stopped it, with the exit code it gives.
pub fn execute(command: Command) -> Result<(), Error> {
    match command {
        Command::Demo(args) => demo::execute(&args),
        Command::Replay(args) => replay::execute(&args),
        Command::Live(args) => live::execute(&args),
        Command::Run(args) => run::execute(&args),
        Command::Verify(args) => verify::execute(&args),
        Command::Inspect(args) => inspect::execute(&args),
        Command::Daily(args) => daily::execute(&args),
        Command::Backtest(args) => backtest::execute(&args),
        Command::Sweep(args) => sweep::execute(&args),
        Command::Images(args) => images::execute(&args),
        Command::Export(args) => export_rows(args),
        Command::Digest(args) => {
            digest::digest(&digest::DigestOptions { from: args.from })?.iter().for_each(say);
            Ok(())
        }
    }
}

fn export_rows(args: cli::Export) -> Result<(), Error> {
    let chosen = !args.dates.is_empty() || !args.symbols.is_empty();
    if chosen && args.to != Some(cli::Kind::Images) {
        return Err(Error::usage("--dates and --symbols select images: write --to images with them"));
    }
    if let Some(table) = args.table {
        let end = match args.format {
            cli::ExportTo::Parquet => "parquet",
            cli::ExportTo::Csv => "csv",
        };
        let out = args.out.unwrap_or_else(|| format!("{table}.{end}").into());
        return daily::export_table(&args.place.dir, &table, &out);
    }
    let (Some(kind), Some(from), Some(out)) = (args.to, args.from, args.out) else {
        return Err(Error::usage("name a table, or --to, --from and --out"));
    };
    let kind = match kind {
        cli::Kind::Images => return images::export::execute(&from, &out, &args.dates, &args.symbols),
        cli::Kind::Factors => Kind::Factors,
        cli::Kind::Signals => Kind::Signals,
    };
    let options = export::ExportOptions { kind, from, out };
    let rows = export::export(&options)?;
    say(format!("{rows} rows written to {}", options.out.display()));
    Ok(())
}

/// Says on standard error what went wrong, and gives the exit code.
pub fn report(error: &Error) -> ExitCode {
    let text = format!("lobstream: {error}\n");
    // Standard error may be closed; then there is nobody to tell.
    let _ = io::stderr().write_all(text.as_bytes());
    ExitCode::from(error.exit_code())
}

/// Prints a line of a command's result. A closed pipe ends the printing, not the work.
fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Prints a line about the work itself.
fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// A flag that Ctrl-C or a termination signal sets. A second one ends the process at once.
fn interrupted() -> Result<Arc<AtomicBool>, Error> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    ctrlc::set_handler(move || {
        if set.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        note("stopping: finishing what was begun (again to stop at once)");
    })
    .map_err(|e| Error::usage(format!("cannot listen for Ctrl-C: {e}")))?;
    Ok(flag)
}
