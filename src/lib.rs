//! lobstream, the application: the place where streams, market and backtest meet.

pub mod cli;
pub mod clock;
pub mod codec;
pub mod command;
pub mod config;
pub mod daily;
pub mod error;
pub mod feed;
pub mod images;
mod mongo;
mod parquet;
pub mod pipeline;
pub mod sink;

/// Prints a line past the test harness, which would hide it: what is skipped must be seen.
#[cfg(test)]
pub(crate) fn said(line: &str) {
    use std::io::Write;
    // Without a standard error nobody could see it anyway.
    let _ = writeln!(std::io::stderr(), "{line}");
}
