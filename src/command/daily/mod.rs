//! `lobstream daily`: after the close.

mod import;
mod run;
mod show;
mod status;
mod study;
mod table;
mod watch;

use std::path::Path;

use lobstream_market::ashare::StockCode;
use lobstream_market::calendar::{Calendar, Day};

use crate::cli::daily::{Daily, DailyImport};
use crate::daily::history;
use crate::daily::store::Store;
use crate::error::Error;

/// All stored rows of a table as FILE.csv or FILE.parquet.
pub(super) fn export_table(dir: &Path, name: &str, out: &Path) -> Result<(), Error> {
    table::export(dir, name, None, out)
}

pub(super) fn execute(args: &Daily) -> Result<(), Error> {
    match args {
        Daily::Run(args) => run::execute(args),
        Daily::Watch(args) => watch::execute(args),
        Daily::Status(args) => status::execute(args),
        Daily::Table(args) => table::execute(args),
        Daily::Show(args) => show::execute(args),
        Daily::Import(DailyImport::Bars(args)) => import::execute(args),
        Daily::Study(args) => study::execute(args),
    }
}

/// A trading day that a flag names.
fn trading_day(store: &Store, flag: &str, text: &str) -> Result<Day, Error> {
    let (calendar, last) = history::calendar(store)?;
    if text == "latest" {
        return Ok(last);
    }
    let day: Day = text.parse().map_err(|e| Error::usage(format!("{flag}: {e}")))?;
    if calendar.trades_on(day) {
        return Ok(day);
    }
    let before =
        calendar.before(day).map_or_else(String::new, |d| format!("; the trading day before is {d}"));
    Err(Error::Missing { what: format!("{flag} {day} is no trading day of the stored calendar{before}") })
}

/// Trading days from one flag to another; days on which nothing is traded may bound them.
fn trading_days(store: &Store, from: &str, to: &str) -> Result<(Calendar, Vec<Day>), Error> {
    let (calendar, last) = history::calendar(store)?;
    let from: Day = from.parse().map_err(|e| Error::usage(format!("--from: {e}")))?;
    let to = match to {
        "latest" => last,
        text => text.parse().map_err(|e| Error::usage(format!("--to: {e}")))?,
    };
    let days = calendar.between(from, to.min(last)).to_vec();
    if days.is_empty() {
        let before = calendar.before(from).map_or_else(String::new, |d| format!("; the one before is {d}"));
        return Err(Error::Missing { what: format!("no trading day with bars from {from} to {to}{before}") });
    }
    Ok((calendar, days))
}

fn stock(text: &str) -> Result<StockCode, Error> {
    text.parse().map_err(|e: lobstream_market::error::DataError| Error::usage(e.to_string()))
}
