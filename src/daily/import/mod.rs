//! From vendors' files into the store: bars and the tables about stocks.
//!
//! Everything that one command names is stored in one transaction. Importing the same again changes nothing.

mod bars;
mod facts;
mod prints;
mod source;
mod tar;

use std::collections::BTreeMap;
use std::path::PathBuf;

use lobstream_market::ashare::StockCode;
use lobstream_market::calendar::Day;

pub use self::bars::{BarCounters, Bars, Basis, StoredBar};
pub use self::facts::{Action, Facts, StockBasic};
pub use self::prints::read_prints;
use super::hash;
use super::store::{Store, Writer};
use crate::error::{Error, InputError, InputKind};

/// What is known of stocks beside their bars; nothing without an import.
///
/// # Errors
/// The store cannot be read.
pub fn facts(store: &Store) -> Result<Facts, Error> {
    Ok(store.get("facts", "all")?.unwrap_or_default())
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Tables of bars.
    pub bar_tables: u64,
    /// Tables about stocks.
    pub fact_tables: u64,
    /// What was odd.
    pub counters: BarCounters,
    /// Bars that are new or other than before.
    pub changed: u64,
    /// First and last day of the bars.
    pub span: Option<(Day, Day)>,
}

/// Imports files: each holds bars or a table about stocks, told by its header; archives hold any number.
///
/// # Errors
/// A file that cannot be read or understood (exit code 4): nothing is stored then.
pub fn import(
    store: &Store,
    files: &[PathBuf],
    basis: Option<Basis>,
    mut progress: impl FnMut(&str),
) -> Result<Imported, Error> {
    let (mut done, mut all) = (Imported::default(), Bars::new());
    let mut facts = facts(store)?;
    for path in files {
        let name = path.display().to_string();
        // The one thing a file of prices does not tell about them.
        let guess = if name.contains("qfq") { Basis::Qfq } else { Basis::Unadjusted };
        for table in source::open(path)? {
            progress(&table.name);
            if let Some(kind) = facts::recognise(&table) {
                facts::read(&table, kind, &mut facts)?;
                done.fact_tables += 1;
            } else if bars::is_bars(&table) {
                done.counters.add(&bars::read(&table, basis.unwrap_or(guess), &mut all)?);
                done.bar_tables += 1;
            } else {
                let what = "neither daily bars nor a table about stocks; bars have ts_code, trade_date, open, high, \
                            low, close, vol and amount"
                    .to_owned();
                return Err(InputError {
                    kind: InputKind::FormatUnknown,
                    file: table.name,
                    line: None,
                    what,
                }
                .into());
            }
        }
    }
    let days = || all.values().flat_map(|of| of.keys().copied());
    done.span = days().min().zip(days().max());
    let n_stocks = all.len() as u64;
    done.counters.stocks = n_stocks;
    done.changed = store.write(|writer| {
        writer.put("facts", "all", &facts)?;
        store_bars(writer, &all)
    })?;
    Ok(done)
}

/// Merges bars into the stored ones, and keeps the digest of every day. Returns how many changed.
fn store_bars(writer: &mut Writer<'_, '_>, all: &Bars) -> Result<u64, Error> {
    let (mut changed, mut change): (u64, BTreeMap<Day, u128>) = (0, BTreeMap::new());
    for (code, bars) in all {
        let mut years: BTreeMap<u32, Vec<&StoredBar>> = BTreeMap::new();
        bars.values().for_each(|b| years.entry(b.day.number() / 10_000).or_default().push(b));
        for (year, new) in years {
            let key = format!("{code}|{year}");
            let stored: Vec<StoredBar> = writer.get("bars", &key)?.unwrap_or_default();
            let mut merged: BTreeMap<Day, StoredBar> = stored.into_iter().map(|b| (b.day, b)).collect();
            let before = changed;
            for bar in new {
                let old = merged.insert(bar.day, *bar);
                if old.as_ref() == Some(bar) {
                    continue;
                }
                changed += 1;
                let sum = change.entry(bar.day).or_default();
                *sum = sum.wrapping_add(element(*code, bar));
                if let Some(old) = old {
                    *sum = sum.wrapping_sub(element(*code, &old));
                }
            }
            if changed > before {
                writer.put("bars", &key, &merged.into_values().collect::<Vec<_>>())?;
            }
        }
    }
    for (day, change) in change {
        let key = day.to_string();
        let old: u128 = writer.get("digests", &key)?.unwrap_or_default();
        writer.put("digests", &key, &old.wrapping_add(change))?;
    }
    Ok(changed)
}

fn element(code: StockCode, bar: &StoredBar) -> u128 {
    hash::element(format!("{code} {bar:?}").as_bytes())
}
