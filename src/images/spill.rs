//! Rows by stock with bounded memory: they go into buckets by code, and to a file when they become too many.
//!
//! ```text
//! rows of a unit ─▶ bucket of their code ─▶ bytes in memory ─(over budget)─▶ segments of one file
//!                                          load(bucket): unit by unit, segments, then memory ─▶ rows by stock
//! ```
//! A unit is a file or a piece of one; units are sorted at the same time, and loaded in their order. All rows of
//! a stock are in one bucket, so buckets are worked on one by one, in any order, by any thread.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use lobstream_market::ashare::{
    Exchange, Numbers, RestoredOrder, SseRow, StockCode, SzseExecution, SzseOrder,
};

use super::packed::{Fields, Packed, ROW_BYTES_MAX, Reader, Series, What, write};
use crate::error::Error;
use crate::feed::ashare::{Batch, StockRows};

/// Number of buckets: a market of 200 million rows gives each less than a million.
pub(super) const BUCKETS: usize = 256;
/// Bytes that a row takes once it is loaded, at most, and those that it was loaded from.
pub(super) const LOADED_ROW_BYTES: u64 = 104;
/// Bytes of a unit after which memory is looked at.
const LOOK_EVERY: usize = 8 << 20;

/// The file that all units share, and what they hold in memory.
#[derive(Debug)]
pub(super) struct Spill {
    path: PathBuf,
    budget: u64,
    held: AtomicU64,
    file: Mutex<Option<Output>>,
}

#[derive(Debug)]
struct Output {
    file: File,
    end: u64,
}

/// The rows of one unit, being sorted into buckets.
#[derive(Debug)]
pub(super) struct Partition<'s> {
    spill: &'s Spill,
    buckets: Vec<Bucket>,
    known: Numbers,
    /// Of each series that is known; `None` if it is not wanted.
    homes: Vec<Option<Home>>,
    /// Bytes that were added since memory was looked at.
    fresh: usize,
    /// Bytes that were told to `spill`.
    told: u64,
}

/// The rows of one unit by bucket, to be loaded.
#[derive(Debug)]
pub(super) struct Unit {
    buckets: Vec<Bucket>,
}

/// Where the rows of a series go.
#[derive(Clone, Copy, Debug)]
struct Home {
    bucket: usize,
    place: u32,
}

#[derive(Debug, Default)]
struct Bucket {
    bytes: Vec<u8>,
    /// Time of the last row.
    time: u32,
    /// Where earlier bytes lie in the file: offset and length.
    segments: Vec<(u64, usize)>,
    series: Vec<Series>,
}

impl Spill {
    /// With a file at `path` once more than `budget` bytes wait in memory.
    pub(super) fn new(path: PathBuf, budget: u64) -> Spill {
        Spill { path, budget, held: AtomicU64::new(0), file: Mutex::new(None) }
    }

    /// A unit's rows will come.
    pub(super) fn partition(&self) -> Partition<'_> {
        let buckets = std::iter::repeat_with(Bucket::default).take(BUCKETS).collect();
        let (known, homes) = (Numbers::with_capacity(1 << 10), Vec::new());
        Partition { spill: self, buckets, known, homes, fresh: 0, told: 0 }
    }

    /// Adds the rows of the stocks of a bucket that are asked for, in the order of the units.
    ///
    /// # Errors
    /// The file cannot be read, or is not as it was written.
    pub(super) fn load(
        &self,
        units: &[Unit],
        bucket: usize,
        stocks: &mut BTreeMap<StockCode, StockRows>,
    ) -> Result<(), Error> {
        let wanted: Vec<StockCode> = stocks.keys().copied().collect();
        let mut rows: Vec<&mut StockRows> = stocks.values_mut().collect();
        let of = |series: &Series| wanted.binary_search(&series.code).ok();
        let mut n_rows = vec![[0; 4]; rows.len()];
        for series in units.iter().flat_map(|unit| &unit.buckets[bucket].series) {
            of(series).into_iter().for_each(|stock| n_rows[stock][series.what as usize] += series.rows);
        }
        rows.iter_mut().zip(&n_rows).for_each(|(rows, n)| make_room(rows, n.map(|n| n as usize)));
        for bucket in units.iter().map(|unit| &unit.buckets[bucket]) {
            let (bytes, end) = self.read(bucket).map_err(|e| self.failed("cannot read", &e))?;
            let stocks: Vec<Option<usize>> = bucket.series.iter().map(of).collect();
            let mut reader = Reader::new(&bytes, stocks.len());
            while reader.at() < end {
                let whole = reader.next().and_then(|(place, fields)| match stocks[place] {
                    Some(stock) => push(&bucket.series[place], &fields, rows[stock]),
                    None => Some(()),
                });
                whole.ok_or_else(|| self.damaged())?;
            }
            if reader.at() != end {
                return Err(self.damaged());
            }
        }
        Ok(())
    }

    fn damaged(&self) -> Error {
        Error::file("cannot read", &self.path, "it is not as it was written; run again")
    }

    /// The bytes of a bucket, those that a reader looks at behind them, and how many are its own.
    fn read(&self, Bucket { bytes: fresh, segments, .. }: &Bucket) -> io::Result<(Vec<u8>, usize)> {
        let spilled = segments.iter().map(|(_, length)| length).sum::<usize>();
        let mut bytes = vec![0; spilled + fresh.len() + ROW_BYTES_MAX];
        bytes[spilled..spilled + fresh.len()].copy_from_slice(fresh);
        let mut output = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(output) = &mut *output {
            let mut into = &mut bytes[..];
            for &(offset, length) in segments {
                let (segment, rest) = into.split_at_mut(length);
                output.file.seek(SeekFrom::Start(offset))?;
                output.file.read_exact(segment)?;
                into = rest;
            }
        }
        Ok((bytes, spilled + fresh.len()))
    }

    /// Writes what waits in these buckets.
    fn write(&self, buckets: &mut [Bucket]) -> io::Result<()> {
        let mut output = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let output = match &mut *output {
            Some(output) => output,
            None => output.insert(Output { file: create(&self.path)?, end: 0 }),
        };
        let mut all = Vec::with_capacity(buckets.iter().map(|b| b.bytes.len()).sum());
        for bucket in buckets.iter_mut().filter(|b| !b.bytes.is_empty()) {
            bucket.segments.push((output.end + all.len() as u64, bucket.bytes.len()));
            all.append(&mut bucket.bytes);
            bucket.bytes = Vec::new();
        }
        output.file.seek(SeekFrom::Start(output.end))?;
        output.file.write_all(&all)?;
        output.end += all.len() as u64;
        Ok(())
    }

    fn failed(&self, what: &'static str, e: &io::Error) -> Error {
        let advice = match e.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "; free space there, or let --mem hold more, and run again"
            }
            _ => "",
        };
        Error::file(what, &self.path, format!("{e}{advice}"))
    }
}

impl Partition<'_> {
    /// Takes the rows of the stocks that are wanted.
    ///
    /// # Errors
    /// The disk is full.
    pub(super) fn take(&mut self, batch: &Batch, wanted: &impl Fn(StockCode) -> bool) -> Result<(), Error> {
        batch.sse.iter().try_for_each(|(code, row)| self.push(*code, row, wanted))?;
        batch.restored.iter().try_for_each(|(code, row)| self.push(*code, row, wanted))?;
        batch.orders.iter().try_for_each(|(code, row)| self.push(*code, row, wanted))?;
        batch.executions.iter().try_for_each(|(code, row)| self.push(*code, row, wanted))
    }

    fn push<R: Packed>(
        &mut self,
        code: StockCode,
        row: &R,
        wanted: &impl Fn(StockCode) -> bool,
    ) -> Result<(), Error> {
        let (known, new) = self.known.enter(number_of(code, R::WHAT, row.channel()));
        if new {
            let home = wanted(code).then(|| self.home(Series::new(code, R::WHAT, row.channel())));
            self.homes.push(home);
        }
        let Some(Home { bucket, place }) = self.homes[known as usize] else { return Ok(()) };
        let Bucket { bytes, time, series, .. } = &mut self.buckets[bucket];
        let before = bytes.len();
        write(place, &mut series[place as usize], time, &row.fields(), bytes);
        self.fresh += bytes.len() - before;
        if self.fresh > LOOK_EVERY { self.look() } else { Ok(()) }
    }

    fn home(&mut self, series: Series) -> Home {
        let bucket = bucket_of(series.code);
        let all = &mut self.buckets[bucket].series;
        all.push(series);
        Home { bucket, place: all.len() as u32 - 1 }
    }

    /// No more rows come.
    ///
    /// # Errors
    /// The disk is full.
    pub(super) fn finish(mut self) -> Result<Unit, Error> {
        self.look()?;
        self.buckets.iter_mut().for_each(|bucket| bucket.bytes.shrink_to_fit());
        Ok(Unit { buckets: self.buckets })
    }

    /// Spills what waits if all units together hold too much.
    fn look(&mut self) -> Result<(), Error> {
        self.told += self.fresh as u64;
        let held = self.spill.held.fetch_add(self.fresh as u64, Ordering::Relaxed) + self.fresh as u64;
        self.fresh = 0;
        if held > self.spill.budget {
            self.spill.write(&mut self.buckets).map_err(|e| self.spill.failed("cannot write", &e))?;
            self.spill.held.fetch_sub(self.told, Ordering::Relaxed);
            self.told = 0;
        }
        Ok(())
    }
}

impl Unit {
    /// The stocks of a bucket, each perhaps several times, and how many rows they have.
    pub(super) fn rows(&self, bucket: usize) -> impl Iterator<Item = (StockCode, u64)> {
        self.buckets[bucket].series.iter().map(|series| (series.code, series.rows))
    }
}

/// A number for every series.
fn number_of(code: StockCode, what: What, channel: u32) -> i64 {
    let exchange = match code.exchange() {
        Exchange::Sh => 0,
        // No table of rows is of Beijing.
        Exchange::Sz | Exchange::Bj => 1,
    };
    (i64::from(channel) << 3 | (what as i64) << 1 | exchange) << 20 | i64::from(code.number())
}

/// Room for so many rows of each kind, in the order of [`What`].
fn make_room(rows: &mut StockRows, [sse, restored, orders, executions]: [usize; 4]) {
    rows.sse.reserve_exact(sse);
    rows.restored.reserve_exact(restored);
    rows.orders.reserve_exact(orders);
    rows.executions.reserve_exact(executions);
}

/// Adds a row to those of its stock; `None` if it is none.
fn push(series: &Series, fields: &Fields, rows: &mut StockRows) -> Option<()> {
    fn add<R: Packed>(series: &Series, fields: &Fields, rows: &mut StockRows) -> Option<()> {
        R::among(rows).push(R::of(fields, series.channel)?);
        Some(())
    }
    match series.what {
        What::Sse => add::<SseRow>(series, fields, rows),
        What::Restored => add::<RestoredOrder>(series, fields, rows),
        What::Order => add::<SzseOrder>(series, fields, rows),
        What::Execution => add::<SzseExecution>(series, fields, rows),
    }
}

fn bucket_of(code: StockCode) -> usize {
    (code.number().wrapping_mul(0x9e37_79b9) >> 24) as usize
}

/// A file that is gone when it is closed, however the process ends, where the system allows it.
fn create(path: &Path) -> io::Result<File> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
    // Elsewhere it stays until the next run replaces it.
    drop(fs::remove_file(path));
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lobstream_market::ashare::{OrdType, TickTime};

    fn order(index: i64) -> SzseOrder {
        let (time, side, kind) = (TickTime(93_000_000), None, OrdType::Limit);
        SzseOrder { channel: 1, index, time, price: 1000, qty: 100, side, kind }
    }

    /// Orders of 700 stocks in three units, loaded; and whether a file was needed.
    fn loaded(budget: u64, dir: &Path) -> (Vec<(StockCode, Vec<i64>)>, bool) {
        let spill = Spill::new(dir.join("orders"), budget);
        let codes: Vec<StockCode> =
            (1..=700).filter_map(|n| StockCode::from_number(n, Exchange::Sz)).collect();
        let mut units = Vec::new();
        for unit in 0..3_i64 {
            let mut partition = spill.partition();
            for index in 0..7_000_i64 {
                let index = unit * 7_000 + index;
                let orders = vec![(codes[(index * index % 700) as usize], order(index))];
                partition.take(&Batch { orders, ..Batch::default() }, &|_| true).expect("written");
                if budget == 0 {
                    partition.look().expect("written");
                }
            }
            units.push(partition.finish().expect("written"));
        }
        let mut all = Vec::new();
        for bucket in 0..BUCKETS {
            let codes = units.iter().flat_map(|unit| unit.rows(bucket));
            let mut stocks: BTreeMap<StockCode, StockRows> =
                codes.map(|(code, _)| (code, StockRows::default())).collect();
            spill.load(&units, bucket, &mut stocks).expect("read");
            for (code, rows) in stocks {
                let of_stock = units.iter().flat_map(|unit| unit.rows(bucket)).filter(|(c, _)| *c == code);
                let counted: u64 = of_stock.map(|(_, rows)| rows).sum();
                assert_eq!(counted, rows.len() as u64);
                all.push((code, rows.orders.iter().map(|order| order.index).collect()));
            }
        }
        all.sort_unstable();
        let spilled = spill.file.lock().expect("nobody panicked").is_some();
        (all, spilled)
    }

    #[test]
    fn what_was_spilled_comes_back_as_what_stayed_in_memory_in_the_order_of_the_units() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let (in_memory, spilled) = loaded(u64::MAX, dir.path());
        assert!(!spilled);
        assert_eq!(in_memory.iter().map(|(_, rows)| rows.len()).sum::<usize>(), 21_000);
        assert!(in_memory.iter().all(|(_, rows)| rows.is_sorted()));
        assert_eq!(loaded(100_000, dir.path()), (in_memory.clone(), true), "some units");
        assert_eq!(loaded(0, dir.path()), (in_memory, true), "every row a segment");
        assert!(fs::read_dir(dir.path()).expect("readable").next().is_none(), "the file has no name");
    }

    #[test]
    fn a_full_disk_says_what_to_do() {
        let spill = Spill::new("out/.spill".into(), 0);
        let full = spill.failed("cannot write", &io::ErrorKind::StorageFull.into());
        assert!(full.to_string().contains("free space there"), "{full}");
    }
}
