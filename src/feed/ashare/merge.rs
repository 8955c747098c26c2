//! The rows of a day as they happened: those of all files in the order of time, channel and index.

use std::collections::BTreeSet;
use std::path::PathBuf;

use lobstream_market::ashare::StockCode;

use super::{Batch, DayFiles};
use crate::codec::ashare::AshareRow;
use crate::error::{Error, InputError, InputKind};

/// The most rows that are held and sorted at once, some 6 GB.
const ROWS_MAX: usize = 50_000_000;

/// Reads the rows of a date of these stocks, of all if none is named, and puts them in order. Rows of one
/// time, channel and index keep the order of the files.
///
/// # Errors
/// As [`DayFiles::open`] and [`super::Table::read_all`]; more than 50 million rows.
pub fn merged_rows(
    date: u32,
    inputs: &[PathBuf],
    symbols: &BTreeSet<StockCode>,
) -> Result<Vec<(StockCode, AshareRow)>, Error> {
    let mut rows = Vec::new();
    for table in DayFiles::open(inputs, date)?.tables {
        table.read_all(|batch| {
            rows.extend(each(batch).filter(|(code, _)| symbols.is_empty() || symbols.contains(code)));
            if rows.len() > ROWS_MAX {
                let what =
                    format!("more than {ROWS_MAX} rows in a day: name the stocks, or the files, for a few");
                let (kind, file) = (InputKind::FormatRefused, table.file().to_owned());
                return Err(InputError { kind, file, line: None, what }.into());
            }
            Ok(())
        })?;
    }
    rows.sort_by_key(|(_, row)| (row.time(), row.place()));
    Ok(rows)
}

fn each(batch: &Batch) -> impl Iterator<Item = (StockCode, AshareRow)> + '_ {
    let sse = batch.sse.iter().map(|(code, row)| (*code, AshareRow::Sse(*row)));
    let restored = batch.restored.iter().map(|(code, row)| (*code, AshareRow::Restored(*row)));
    let orders = batch.orders.iter().map(|(code, row)| (*code, AshareRow::Order(*row)));
    let executions = batch.executions.iter().map(|(code, row)| (*code, AshareRow::Execution(*row)));
    sse.chain(restored).chain(orders).chain(executions)
}
