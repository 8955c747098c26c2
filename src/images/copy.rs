//! Selected days and stocks in a folder of their own, what is stored of each byte for byte.

use std::collections::BTreeSet;
use std::path::Path;

use lobstream_market::ashare::StockCode;

use super::lock::DayLock;
use super::meta::{RunRow, StockRow, Totals};
use super::paths::DayPaths;
use super::store::{DayImages, DayMeta, DayWriter};
use crate::error::Error;

/// The days, `YYYYMMDD`, that a folder holds, in order.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn days_in(dir: &Path) -> Result<Vec<String>, Error> {
    let failed = |e: std::io::Error| Error::file("cannot read", dir, e);
    let mut days = Vec::new();
    for entry in dir.read_dir().map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        let date =
            name.strip_suffix(".lmdb").filter(|d| d.len() == 8 && d.bytes().all(|b| b.is_ascii_digit()));
        days.extend(date.map(str::to_owned));
    }
    days.sort_unstable();
    Ok(days)
}

/// Copies the stocks of a day that are named, all if none is; returns how many images that are.
///
/// # Errors
/// The day is not there, or was not made here; it is there already in the other folder; the disk is full.
pub(crate) fn copy_day(
    from: &Path,
    out: &Path,
    date: &str,
    wanted: &BTreeSet<StockCode>,
) -> Result<u64, Error> {
    let (here, there) = (DayPaths::new(from, date), DayPaths::new(out, date));
    let (images, meta) = (DayImages::open(&here.images())?, DayMeta::open(&here.meta())?);
    let Some(run) = meta.run()? else {
        let what = format!("{date} in {} is not whole: make it again with --overwrite", from.display());
        return Err(Error::Missing { what });
    };
    let mut stocks = meta.stocks()?;
    stocks.retain(|key, _| {
        wanted.is_empty() || key.parse().is_ok_and(|code: StockCode| wanted.contains(&code))
    });
    let _held = DayLock::take(out, date)?;
    there.mend()?;
    for place in [there.images(), there.meta(), there.building()] {
        if place.exists() {
            let what = format!("{} exists: name another --out", place.display());
            return Err(Error::Exists { what });
        }
    }
    there.discard()?;
    let writer = DayWriter::open(&there, meta.has_counts()?)?;
    // First whose work it is: what a killed copy leaves must not pass for another run's.
    let whole = run_of(run, wanted, stocks.values());
    writer.put_run(&RunRow { totals: None, day_hash: None, ..whole.clone() })?;
    writer.copy(&images, &meta, stocks.keys())?;
    writer.put_run(&RunRow { day_hash: Some(writer.day_hash()?), ..whole })?;
    writer.publish()?;
    Ok(stocks.values().filter(|stock| stock.hash.is_some()).count() as u64)
}

/// The run that made them, as far as they were selected.
fn run_of<'s>(
    run: RunRow,
    wanted: &BTreeSet<StockCode>,
    stocks: impl Iterator<Item = &'s StockRow>,
) -> RunRow {
    let mut totals = Totals::default();
    stocks.for_each(|stock| totals.add(stock));
    let codes: Vec<String> = wanted.iter().map(StockCode::to_string).collect();
    let selection =
        if codes.is_empty() { run.selection } else { format!("{} {}", run.selection, codes.join(",")) };
    RunRow { selection, totals: Some(totals), day_hash: None, ..run }
}
