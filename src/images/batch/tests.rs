//! A made-up market day, made by any number of threads, in little memory, stopped and begun again.

use std::path::PathBuf;
use std::sync::Mutex;

use lobstream_market::ashare::{SseFlag, SseKind, SseRow, TickTime};

use super::*;
use crate::feed::ashare::Batch;
use crate::images::inputs::Rejected;
use crate::images::store::{DayImages, DayMeta};

const DATE: &str = "20240105";

/// Orders and trades of stocks 600000, 600001, …, in units that all of them are spread over.
struct Market {
    stocks: u64,
    rows: i64,
    file: PathBuf,
}

impl Market {
    fn new(dir: &Path, stocks: u64, rows: i64) -> Market {
        let file = dir.join("market.csv");
        std::fs::write(&file, format!("{stocks} × {rows}")).expect("written");
        Market { stocks, rows, file }
    }
}

fn row(stock: u64, n: i64) -> SseRow {
    // A walk that differs from stock to stock; every third row is a trade of the order before it.
    let jitter = (n * n * 31 + stock as i64 * 17) % 97;
    let kind = if n % 3 == 2 { SseKind::Trade } else { SseKind::Add };
    let (buy_no, sell_no) = if n % 2 == 0 { (n + 1, 0) } else { (0, n + 1) };
    let is_trade = kind == SseKind::Trade;
    SseRow {
        channel: 1,
        index: n + 1,
        time: TickTime(93_000_000 + (n % 60) as u32 * 1000),
        kind,
        buy_no: if is_trade { n } else { buy_no },
        sell_no: if is_trade { n + 1 } else { sell_no },
        price: 1000 + jitter,
        qty: 100 * (1 + jitter % 7),
        money: None,
        phase: None,
        flag: if n % 2 == 0 { SseFlag::B } else { SseFlag::S },
    }
}

impl Source for Market {
    fn units(&self) -> usize {
        4
    }

    fn files(&self) -> BTreeMap<String, PathBuf> {
        BTreeMap::from([("market.csv".to_owned(), self.file.clone())])
    }

    fn read(&self, unit: usize, take: &mut dyn FnMut(&Batch) -> Result<(), Error>) -> Result<(), Error> {
        let mut batch = Batch::default();
        for n in (0..self.rows).filter(|n| *n as usize % 4 == unit) {
            for stock in 0..self.stocks {
                let code = StockCode::from_number(600_000 + stock, Exchange::Sh).expect("a code");
                batch.sse.push((code, row(stock, n)));
            }
        }
        take(&batch)
    }

    fn judge(&self) -> Result<Rejected, Error> {
        Ok(Rejected::new())
    }
}

/// Counts the stocks that were stored, and stops after some of them.
#[derive(Default)]
struct Counter {
    built: Mutex<Vec<StockCode>>,
    stop_after: Option<usize>,
    stop: AtomicBool,
}

impl Watch for Counter {
    fn stock(&self, finished: &Finished) {
        let mut built = self.built.lock().expect("nobody panicked");
        built.push(finished.code);
        if self.stop_after.is_some_and(|n| built.len() >= n) {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

struct Bed {
    dir: tempfile::TempDir,
    settings: Settings,
    selection: Selection,
    mem_bytes: u64,
    prev_closes: PrevCloses,
    mode: Mode,
}

impl Bed {
    fn new() -> Bed {
        let dir = tempfile::tempdir().expect("temporary folder");
        let (settings, selection) = (Settings::default(), Selection::default());
        let (prev_closes, mode) = (PrevCloses::default(), Mode::Resume);
        Bed { dir, settings, selection, mem_bytes: 1 << 30, prev_closes, mode }
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    fn run(&self, market: &Market, threads: usize, counter: &Counter) -> Result<Outcome, Error> {
        let out = self.out();
        let job = Job {
            date: DATE,
            out: &out,
            settings: &self.settings,
            selection: &self.selection,
            threads,
            mem_bytes: self.mem_bytes,
            prev_closes: &self.prev_closes,
            mode: self.mode,
            keep_counts: false,
        };
        run_day(&job, market, &Clock::start(), &counter.stop, counter)
    }

    fn done(&self, market: &Market) -> Outcome {
        self.run(market, 2, &Counter::default()).expect("made")
    }
}

#[test]
fn threads_and_memory_change_nothing() {
    let mut bed = Bed::new();
    let market = Market::new(bed.dir.path(), 40, 60);
    let first = bed.done(&market);
    assert_eq!((first.totals.ok, first.totals.stocks(), first.totals.rows), (40, 40, 2400));
    bed.mode = Mode::Overwrite;
    bed.mem_bytes = 4096;
    for threads in [1, 3] {
        let again = bed.run(&market, threads, &Counter::default()).expect("made");
        assert_eq!((again.day_hash, again.resumed), (first.day_hash.clone(), 0), "{threads} threads");
    }
    assert!(!bed.out().join(SPILL).exists());
    let images = DayImages::open(&bed.out().join("20240105.lmdb")).expect("stored");
    assert_eq!(images.keys().expect("readable").len(), 40);
    assert_eq!(images.iter().expect("readable").filter(Result::is_ok).count(), 40);
    assert_eq!(images.day_hash().expect("readable"), first.day_hash);
    assert!(images.get("600040.SH").expect("readable").is_none());
}

#[test]
fn a_stopped_day_goes_on_where_it_was_and_builds_no_stock_twice_beyond_the_last_batch() {
    let (bed, whole) = (Bed::new(), Bed::new());
    let market = Market::new(bed.dir.path(), 700, 6);
    let expected = whole.done(&Market::new(whole.dir.path(), 700, 6));
    let stopped = Counter { stop_after: Some(COMMIT_STOCKS), ..Counter::default() };
    let error = bed.run(&market, 2, &stopped).expect_err("stopped");
    assert!(matches!(error, Error::Interrupted), "{error}");
    assert!(!bed.out().join("20240105.lmdb").exists() && bed.out().join("20240105.building").exists());
    let rest = Counter::default();
    let outcome = bed.run(&market, 2, &rest).expect("made");
    assert_eq!(outcome.day_hash, expected.day_hash);
    assert_eq!(outcome.totals, expected.totals);
    let (before, after) =
        (stopped.built.into_inner().expect("sound"), rest.built.into_inner().expect("sound"));
    assert!(outcome.resumed >= COMMIT_STOCKS as u64 && after.len() as u64 == 700 - outcome.resumed);
    assert!(before.iter().all(|code| !after.contains(code)), "what was committed is not built again");
    let nothing = Counter::default();
    let there = bed.run(&market, 2, &nothing).expect("there");
    assert!(there.was_there && nothing.built.lock().expect("sound").is_empty());
    assert_eq!(there.day_hash, expected.day_hash);
}

#[test]
fn a_day_of_another_configuration_input_or_selection_is_left_alone() {
    let mut bed = Bed::new();
    let market = Market::new(bed.dir.path(), 5, 30);
    let first = bed.done(&market);
    let refused = |bed: &Bed, market: &Market, words: &str| {
        let error = bed.run(market, 1, &Counter::default()).expect_err(words);
        assert_eq!(error.exit_code(), 6, "{error}");
        assert!(error.to_string().contains(words) && error.to_string().contains("config_changed"), "{error}");
    };
    bed.settings.image.std_multiplier = 2.0;
    refused(&bed, &market, "std_multiplier = 1.0, now it is std_multiplier = 2.0");
    bed.settings = Settings::default();
    bed.selection.symbols.insert("600001.SH".parse().expect("a code"));
    refused(&bed, &market, "it holds the stocks \"both\"");
    bed.selection = Selection::default();
    let other = Market::new(bed.dir.path(), 5, 31);
    refused(&bed, &other, "the input is not the same: market.csv");
    bed.mode = Mode::Overwrite;
    assert_ne!(bed.done(&other).day_hash, first.day_hash);
}

#[test]
fn a_second_rename_that_a_killed_run_did_not_reach_is_made_up_for() {
    let bed = Bed::new();
    let market = Market::new(bed.dir.path(), 3, 30);
    let first = bed.done(&market);
    let name = |suffix: &str| bed.out().join(format!("{DATE}.{suffix}"));
    std::fs::rename(name("lmdb"), name("building")).expect("renamed");
    let again = bed.done(&market);
    assert!(again.was_there && again.day_hash == first.day_hash);
    // In the middle of replacing a day: the old one is put away, the new one is whole but not in place.
    std::fs::rename(name("lmdb"), name("building")).expect("renamed");
    std::fs::rename(name("meta.lmdb"), name("meta.building")).expect("renamed");
    std::fs::create_dir(name("old")).expect("made");
    let again = bed.done(&market);
    assert_eq!((again.resumed, again.day_hash), (3, first.day_hash));
    assert!(!name("old").exists() && !name("building").exists() && !name("meta.building").exists());
}

#[test]
fn images_of_others_and_damaged_ones_are_never_taken_for_ours() {
    let bed = Bed::new();
    let market = Market::new(bed.dir.path(), 3, 30);
    bed.done(&market);
    let meta = bed.out().join("20240105.meta.lmdb");
    std::fs::rename(&meta, bed.dir.path().join("away")).expect("renamed");
    let error = bed.run(&market, 1, &Counter::default()).expect_err("not ours");
    assert!(error.exit_code() == 6 && error.to_string().contains("not made by lobstream images"), "{error}");
}

#[test]
fn the_close_of_the_day_before_is_kept_beside_the_cuts_and_tells_days_apart() {
    let mut bed = Bed::new();
    let market = Market::new(bed.dir.path(), 2, 30);
    let close = |bed: &mut Bed, stock: &str, date: u32, ticks: i64| {
        bed.prev_closes.0.insert((stock.parse().expect("a code"), date), ticks);
    };
    close(&mut bed, "600001.SH", 20_240_105, 1017);
    close(&mut bed, "600000.SH", 20_240_104, 1001);
    let first = bed.done(&market);
    let meta = DayMeta::open(&bed.out().join("20240105.meta.lmdb")).expect("stored");
    let kept = |key: &str| meta.cuts(key).expect("readable").expect("cuts").prev_close_ticks;
    assert_eq!((kept("600001.SH"), kept("600000.SH")), (Some(1017), None));
    drop(meta);
    close(&mut bed, "600000.SH", 20_240_108, 1002);
    assert_eq!(bed.done(&market).day_hash, first.day_hash, "bars of another day came");
    close(&mut bed, "600000.SH", 20_240_105, 1003);
    let error = bed.run(&market, 1, &Counter::default()).expect_err("other closes");
    assert!(error.exit_code() == 6 && error.to_string().contains("closes of the day before"), "{error}");
}

#[test]
fn a_day_is_made_by_one_run_at_a_time() {
    let bed = Bed::new();
    let market = Market::new(bed.dir.path(), 3, 30);
    let held = DayLock::take(&bed.out(), DATE).expect("nobody has it");
    let error = bed.run(&market, 1, &Counter::default()).expect_err("held");
    assert!(error.exit_code() == 6 && error.to_string().contains("another run makes 20240105"), "{error}");
    DayLock::take(&bed.out(), "20240108").expect("another day");
    drop(held);
    bed.done(&market);
}

#[test]
fn a_stock_with_too_many_rows_is_skipped_and_says_so() {
    let mut bed = Bed::new();
    let market = Market::new(bed.dir.path(), 3, 30);
    bed.settings.max_rows_per_stock = 29;
    let outcome = bed.done(&market);
    assert_eq!((outcome.totals.too_many_rows, outcome.totals.ok, outcome.totals.rows), (3, 0, 90));
    let stock = &outcome.stocks["600000.SH"];
    assert_eq!(stock.message.as_deref(), Some("30 rows, max_rows_per_stock is 29"));
    let report = std::fs::read_to_string(bed.out().join("reports/20240105.csv")).expect("a report");
    assert_eq!(report.lines().filter(|line| line.contains("too_many_rows")).count(), 3, "{report}");
}
