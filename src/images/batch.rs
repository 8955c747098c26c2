//! One day: what is done already, what is left to do, and doing it on all cores.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use lobstream_market::ashare::{Exchange, StockCode};
use lobstream_market::images::Painter;
use lobstream_streams::time::Ts;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::closes::PrevCloses;
use super::inputs::{Rejected, Source, identify};
use super::lock::DayLock;
use super::meta::{InputRow, RunRow, SCHEMA, Status, StockRow, Totals};
use super::paths::DayPaths;
use super::report::write_report;
use super::settings::Settings;
use super::spill::{BUCKETS, LOADED_ROW_BYTES, Spill, Unit};
use super::stock::{Finished, build, without_image};
use super::store::{DayMeta, DayWriter, finished_stocks};
use crate::clock::Clock;
use crate::error::{Error, ResultsError};
use crate::feed::ashare::StockRows;

/// Finished stocks that wait for the writer.
const WAITING_MAX: usize = 256;
/// Stocks of one commit.
const COMMIT_STOCKS: usize = 256;
/// Longest time between two commits.
const COMMIT_EVERY: Duration = Duration::from_secs(2);
/// Folder of spilled rows below the output.
const SPILL: &str = ".spill";

/// What to do about what is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Go on where an earlier run was stopped.
    Resume,
    /// Begin anew; a finished day is left as it is.
    Restart,
    /// Begin anew, and replace a finished day.
    Overwrite,
}

/// Which stocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Of one exchange only.
    pub(crate) exchange: Option<Exchange>,
    /// These only; empty: all.
    pub(crate) symbols: BTreeSet<StockCode>,
}

impl Selection {
    fn takes(&self, code: StockCode) -> bool {
        self.exchange.is_none_or(|e| e == code.exchange())
            && (self.symbols.is_empty() || self.symbols.contains(&code))
    }

    /// As text: part of what a stored day is compared by.
    fn text(&self) -> String {
        let exchange = self.exchange.map_or("both", Exchange::as_str).to_ascii_lowercase();
        let symbols: Vec<String> = self.symbols.iter().map(StockCode::to_string).collect();
        if symbols.is_empty() { exchange } else { format!("{exchange} {}", symbols.join(",")) }
    }
}

/// A day to be made.
#[derive(Clone, Debug)]
pub(crate) struct Job<'a> {
    /// `YYYYMMDD`.
    pub(crate) date: &'a str,
    /// Where days go.
    pub(crate) out: &'a Path,
    /// What images depend on.
    pub(crate) settings: &'a Settings,
    /// Which stocks.
    pub(crate) selection: &'a Selection,
    /// Threads; 0: one per core. They change nothing.
    pub(crate) threads: usize,
    /// Bytes of memory for rows.
    pub(crate) mem_bytes: u64,
    /// Closes of the day before, kept beside the cuts.
    pub(crate) prev_closes: &'a PrevCloses,
    /// What to do about what is there.
    pub(crate) mode: Mode,
    /// Store counts beside the images.
    pub(crate) keep_counts: bool,
}

impl Job<'_> {
    /// The date as a number.
    fn day(&self) -> u32 {
        self.date.parse().unwrap_or(0)
    }
}

/// Who is told how far it is.
pub(crate) trait Watch: Sync {
    /// Rows that have been read so far.
    fn rows(&self, _n: u64) {}
    /// Everything is read: so many stocks, so many of them done by an earlier run.
    fn stocks(&self, _all: u64, _done: u64) {}
    /// A stock is done.
    fn stock(&self, _finished: &Finished) {}
}

/// What became of a day.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// It was there already, whole and of the same input.
    pub(crate) was_there: bool,
    /// Stocks that an earlier run had done.
    pub(crate) resumed: u64,
    /// Rows that were dropped where files were read.
    pub(crate) rejected: Rejected,
    /// All stocks.
    pub(crate) totals: Totals,
    /// See [`RunRow::day_hash`].
    pub(crate) day_hash: String,
    /// All stocks by code.
    pub(crate) stocks: BTreeMap<String, StockRow>,
}

/// Makes a day.
///
/// # Errors
/// Those of input and disk; a stored day of another input or configuration; a bug. A killed or failed run goes on
/// where it was when it is started again.
pub(crate) fn run_day(
    job: &Job<'_>,
    source: &impl Source,
    clock: &Clock,
    stop: &AtomicBool,
    watch: &dyn Watch,
) -> Result<Outcome, Error> {
    let pool =
        ThreadPoolBuilder::new().num_threads(job.threads).thread_name(|i| format!("images-{i}")).build();
    let pool = pool.map_err(|e| Error::usage(format!("--threads: {e}")))?;
    let paths = DayPaths::new(job.out, job.date);
    let _held = DayLock::take(job.out, job.date)?;
    paths.mend()?;
    let run = RunRow {
        schema: SCHEMA,
        date: job.date.to_owned(),
        config: job.settings.text(),
        config_hash: job.settings.hash(),
        selection: job.selection.text(),
        inputs: identify(source.files())?.into_iter().chain(job.prev_closes.identity(job.day())).collect(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: Ts(clock.wall_ns()).to_string(),
        ended: None,
        rejected: Rejected::new(),
        totals: None,
        day_hash: None,
    };
    if let Some(outcome) = already_there(job, &paths, &run)? {
        return Ok(outcome);
    }
    let writer = begin(job, &paths, &run)?;
    let mut stocks = writer.known()?;
    let resumed = stocks.len() as u64;
    let sorted = sort_rows(job, source, &pool, stop, watch, &stocks)?;
    let rejected = source.judge()?;
    let n_new: usize = (0..BUCKETS).map(|bucket| stocks_of(&sorted.units, bucket).len()).sum();
    watch.stocks(resumed + n_new as u64, resumed);
    let made = paint_all(job, &sorted, &pool, &writer, stop, watch)?;
    stocks.extend(made);
    let mut totals = Totals::default();
    stocks.values().for_each(|stock| totals.add(stock));
    let day_hash = writer.day_hash()?;
    let ended = Some(Ts(clock.wall_ns()).to_string());
    let (totals_row, hash_row) = (Some(totals), Some(day_hash.clone()));
    let done = RunRow { ended, rejected: rejected.clone(), totals: totals_row, day_hash: hash_row, ..run };
    writer.put_run(&done)?;
    write_report(job.out, job.date, &stocks)?;
    writer.publish()?;
    Ok(Outcome { was_there: false, resumed, rejected, totals, day_hash, stocks })
}

/// The stored day if it is the one that is asked for.
fn already_there(job: &Job<'_>, paths: &DayPaths, run: &RunRow) -> Result<Option<Outcome>, Error> {
    let (images, building) = (paths.images(), paths.building());
    if job.mode == Mode::Overwrite || !images.exists() {
        return Ok(None);
    }
    if !paths.meta().exists() {
        if building.exists() {
            return Ok(None);
        }
        let what = format!(
            "{} exists and was not made by lobstream images: use another --out, or --overwrite to replace it",
            images.display()
        );
        return Err(Error::Exists { what });
    }
    let stored = DayMeta::open(&paths.meta())?.run()?;
    let Some((stored, totals, day_hash)) = stored.and_then(|run| {
        let (totals, hash) = (run.totals?, run.day_hash.clone()?);
        Some((run, totals, hash))
    }) else {
        return Err(damaged(&images, "nothing tells which run made it"));
    };
    same_run(&images, &stored, run)?;
    let stocks = finished_stocks(paths)?;
    if stocks.len() as u64 != totals.stocks() {
        let what = format!("{} of its {} stocks are whole", stocks.len(), totals.stocks());
        return Err(damaged(&images, &what));
    }
    let (resumed, rejected) = (totals.stocks(), stored.rejected);
    Ok(Some(Outcome { was_there: true, resumed, rejected, totals, day_hash, stocks }))
}

fn damaged(images: &Path, what: &str) -> Error {
    let place = images.display().to_string();
    let reason = format!("{what}; make it again with --overwrite");
    ResultsError::Corrupt { place, reason }.into()
}

/// A stored day is only left alone or gone on with if it comes from the same input and configuration.
fn same_run(place: &Path, stored: &RunRow, run: &RunRow) -> Result<(), Error> {
    let mut differs = Vec::new();
    if stored.config_hash != run.config_hash {
        let (old, new) = (stored.config.lines(), run.config.lines());
        let lines = old.zip(new).filter(|(old, new)| old != new);
        differs.extend(lines.map(|(old, new)| format!("it was made with {old}, now it is {new}")));
    }
    if stored.selection != run.selection {
        differs.push(format!("it holds the stocks {:?}, now it is {:?}", stored.selection, run.selection));
    }
    if stored.schema != run.schema {
        differs.push(format!("its rows are of version {}, now it is {}", stored.schema, run.schema));
    }
    if stored.inputs != run.inputs {
        let is_new = |file: &&InputRow| !stored.inputs.contains(file);
        let other: Vec<&str> = run.inputs.iter().filter(is_new).map(|f| f.name.as_str()).collect();
        let other = if other.is_empty() { "files that are gone".to_owned() } else { other.join(", ") };
        differs.push(format!("the input is not the same: {other}"));
    }
    if differs.is_empty() {
        return Ok(());
    }
    let what = format!(
        "config_changed: {}: {}; use another --out, or --overwrite to make the day again",
        place.display(),
        differs.join("; ")
    );
    Err(Error::Exists { what })
}

/// Opens what an earlier run has begun, or begins.
fn begin(job: &Job<'_>, paths: &DayPaths, run: &RunRow) -> Result<DayWriter, Error> {
    if job.mode != Mode::Resume {
        paths.discard()?;
    }
    let writer = DayWriter::open(paths, job.keep_counts)?;
    match writer.run()? {
        Some(stored) if !writer.known()?.is_empty() => same_run(&paths.building(), &stored, run)?,
        // Nothing was made yet, perhaps because the input was at fault and is mended now.
        Some(_) | None => writer.put_run(run)?,
    }
    Ok(writer)
}

/// Rows of a day by unit and bucket.
struct Sorted {
    spill: Spill,
    units: Vec<Unit>,
}

/// Reads everything, as many units at a time as there are threads.
fn sort_rows(
    job: &Job<'_>,
    source: &impl Source,
    pool: &ThreadPool,
    stop: &AtomicBool,
    watch: &dyn Watch,
    known: &BTreeMap<String, StockRow>,
) -> Result<Sorted, Error> {
    let known: BTreeSet<StockCode> = known.keys().filter_map(|key| key.parse().ok()).collect();
    let path = job.out.join(SPILL).join(format!("{}-{}", job.date, std::process::id()));
    // A quarter of the memory: while buckets are loaded there are bytes, rows and the days that they make.
    let spill = Spill::new(path, job.mem_bytes / 4);
    let all_rows = AtomicU64::new(0);
    let read = |unit: usize| {
        let mut partition = spill.partition();
        source.read(unit, &mut |batch| {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            partition.take(batch, &|code| job.selection.takes(code) && !known.contains(&code))?;
            let n = batch.len() as u64;
            watch.rows(all_rows.fetch_add(n, Ordering::Relaxed) + n);
            Ok(())
        })?;
        partition.finish()
    };
    let units =
        pool.install(|| (0..source.units()).into_par_iter().map(read).collect::<Result<Vec<Unit>, Error>>());
    // Only if it is empty: spilled rows are in files without a name.
    drop(std::fs::remove_dir(job.out.join(SPILL)));
    Ok(Sorted { units: units?, spill })
}

/// The stocks of a bucket and how many rows they have.
fn stocks_of(units: &[Unit], bucket: usize) -> BTreeMap<StockCode, u64> {
    let mut stocks = BTreeMap::new();
    for (code, rows) in units.iter().flat_map(|unit| unit.rows(bucket)) {
        *stocks.entry(code).or_default() += rows;
    }
    stocks
}

/// Makes every stock and stores it as it comes.
fn paint_all(
    job: &Job<'_>,
    sorted: &Sorted,
    pool: &ThreadPool,
    writer: &DayWriter,
    stop: &AtomicBool,
    watch: &dyn Watch,
) -> Result<BTreeMap<String, StockRow>, Error> {
    let (finished, to_write) = sync_channel(WAITING_MAX);
    let failed = AtomicBool::new(false);
    let quit = || stop.load(Ordering::Relaxed) || failed.load(Ordering::Relaxed);
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let written = write_all(writer, to_write, watch);
            failed.fetch_or(written.is_err(), Ordering::Relaxed);
            written
        });
        let painted =
            at_once(job, &sorted.units, pool.current_num_threads()).into_iter().try_for_each(|buckets| {
                let paint = |bucket: usize| paint_bucket(job, sorted, bucket, &finished, &quit);
                pool.install(|| buckets.into_par_iter().try_for_each(paint))
            });
        drop(finished);
        let written = writing.join().map_err(|_| Error::Invariant {
            what: "the writer of images stopped: this is a bug, the day is not stored".to_owned(),
        })?;
        // The writer's error is the cause if both failed.
        let rows = written?;
        painted.map(|()| rows)
    })
}

/// Buckets in groups that fit into memory together: one is loaded, and painted, by each thread at a time.
fn at_once(job: &Job<'_>, units: &[Unit], threads: usize) -> Vec<Vec<usize>> {
    let bytes = |bucket: usize| {
        let rows = stocks_of(units, bucket).into_values().filter(|n| *n <= job.settings.max_rows_per_stock);
        // The rows as read, and the day that is made of them.
        rows.sum::<u64>() * LOADED_ROW_BYTES * 2
    };
    let sizes: Vec<u64> = (0..BUCKETS).map(bytes).collect();
    let greatest = sizes.iter().copied().max().unwrap_or(0).max(1);
    let together = job.mem_bytes / 2 / greatest;
    if together >= threads as u64 {
        return vec![(0..BUCKETS).collect()];
    }
    let step = usize::try_from(together.max(1)).unwrap_or(1);
    (0..BUCKETS).collect::<Vec<usize>>().chunks(step).map(<[usize]>::to_vec).collect()
}

fn paint_bucket(
    job: &Job<'_>,
    sorted: &Sorted,
    bucket: usize,
    finished: &SyncSender<Finished>,
    quit: &impl Fn() -> bool,
) -> Result<(), Error> {
    let counts = stocks_of(&sorted.units, bucket);
    let rows_max = job.settings.max_rows_per_stock;
    let mut stocks = BTreeMap::new();
    for (&code, &rows) in &counts {
        if rows > rows_max {
            let message = format!("{rows} rows, max_rows_per_stock is {rows_max}");
            send(finished, without_image(code, Status::TooManyRows, rows, Some(message)))?;
        } else {
            stocks.insert(code, StockRows::default());
        }
    }
    sorted.spill.load(&sorted.units, bucket, &mut stocks)?;
    let (mut maker, mut painter) = (job.settings.image.day_maker(), Painter::new(job.settings.image));
    while let Some((code, rows)) = stocks.pop_first() {
        if quit() {
            return Err(Error::Interrupted);
        }
        let mut stock = build(code, rows, &mut maker, &mut painter, job.settings)?;
        if let Some(image) = &mut stock.image {
            image.cuts.prev_close_ticks = job.prev_closes.of(code, job.day());
        }
        send(finished, stock)?;
    }
    Ok(())
}

/// Hands a stock to the writer. It only goes away when it failed, and its error is the one that is told.
fn send(finished: &SyncSender<Finished>, stock: Finished) -> Result<(), Error> {
    finished.send(stock).map_err(|_| Error::Interrupted)
}

/// Commits stocks in batches until no more come.
fn write_all(
    writer: &DayWriter,
    finished: Receiver<Finished>,
    watch: &dyn Watch,
) -> Result<BTreeMap<String, StockRow>, Error> {
    let clock = Clock::start();
    let (mut batch, mut rows, mut last) = (Vec::new(), BTreeMap::new(), Duration::ZERO);
    loop {
        let next = finished.recv_timeout(COMMIT_EVERY);
        let ended = matches!(next, Err(RecvTimeoutError::Disconnected));
        batch.extend(next);
        let now = clock.mono().0;
        if !batch.is_empty() && (ended || batch.len() >= COMMIT_STOCKS || now - last >= COMMIT_EVERY) {
            writer.commit(&batch)?;
            last = now;
            for stock in batch.drain(..) {
                watch.stock(&stock);
                rows.insert(stock.code.to_string(), stock.stock);
            }
        }
        if ended {
            return Ok(rows);
        }
    }
}

#[cfg(test)]
mod tests;
