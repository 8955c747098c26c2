//! Trades of a day from the files that hold them.
//!
//! Two kinds of files are read: those of the exchanges as vendors sell them, and plain ones, one trade a row,
//! `trades_YYYYMMDD.csv` with `ts_code, time, price, qty, side` (B and S: who crossed; N in auctions).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use lobstream_market::ashare::StockCode;
use lobstream_market::calendar::Day;
use lobstream_market::daily::print::Print;

use super::hash::Hasher;
use super::import::read_prints;
use crate::error::{Error, InputError, InputKind};
use crate::feed::ashare::stock_days;

/// How deep folders are looked into.
const DEPTH_MAX: u32 = 4;

/// Trades by stock, each in the order of the exchange.
pub type DayPrints = BTreeMap<StockCode, Vec<Print>>;

/// Where trades are.
#[derive(Clone, Debug, Default)]
pub struct Trades {
    paths: Vec<PathBuf>,
}

/// The files of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayTrades {
    day: Day,
    plain: Vec<PathBuf>,
    exchange: Vec<PathBuf>,
    /// Of names, lengths and times of change.
    pub fingerprint: String,
}

impl Trades {
    /// Trades in these files and folders; none without any.
    pub fn new(paths: Vec<PathBuf>) -> Trades {
        Trades { paths }
    }

    /// Is there any place to look for trades?
    pub fn are_known(&self) -> bool {
        !self.paths.is_empty()
    }

    /// The files of a day: those whose name or folder tells it. `None` if there is none.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn of(&self, day: Day) -> Result<Option<DayTrades>, Error> {
        let mut files = BTreeSet::new();
        for path in &self.paths {
            walk(path, DEPTH_MAX, &mut files)?;
        }
        files.retain(|f| names_day(f, day));
        if files.is_empty() {
            return Ok(None);
        }
        let mut hasher = Hasher::default();
        for file in &files {
            let about = file.metadata().map_err(|e| unreadable(file, &e))?;
            let changed = about.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
            hasher.add(file.to_string_lossy().as_bytes());
            hasher.add(format!("{} {changed:?}", about.len()));
        }
        let plain = |f: &PathBuf| {
            f.file_name().is_some_and(|n| n.to_string_lossy().to_ascii_lowercase().starts_with("trades_"))
        };
        let (plain, exchange) = files.into_iter().partition(plain);
        Ok(Some(DayTrades { day, plain, exchange, fingerprint: hasher.finish() }))
    }
}

impl DayTrades {
    /// All trades of these stocks.
    ///
    /// # Errors
    /// A file that cannot be read or understood.
    pub fn read(&self, stocks: &BTreeSet<StockCode>) -> Result<DayPrints, Error> {
        let mut all = DayPrints::new();
        for file in &self.plain {
            for (code, prints) in read_prints(file)? {
                if stocks.contains(&code) {
                    all.entry(code).or_default().extend(prints);
                }
            }
        }
        if !self.exchange.is_empty() {
            for day in stock_days(self.day.number(), &self.exchange, stocks)? {
                all.entry(day.code).or_default().extend(Print::of_day(&day));
            }
        }
        all.retain(|_, prints| !prints.is_empty());
        Ok(all)
    }
}

fn walk(path: &Path, depth: u32, files: &mut BTreeSet<PathBuf>) -> Result<(), Error> {
    if !path.is_dir() {
        files.insert(path.to_owned());
        return Ok(());
    }
    for entry in path.read_dir().map_err(|e| unreadable(path, &e))? {
        let inside = entry.map_err(|e| unreadable(path, &e))?.path();
        let name = inside.file_name().map(|n| n.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        let table = [".csv", ".csv.gz", ".csv.zst", ".zip", ".parquet"].iter().any(|e| name.ends_with(e));
        if table || (inside.is_dir() && depth > 0 && !name.starts_with('.')) {
            walk(&inside, depth - 1, files)?;
        }
    }
    Ok(())
}

fn names_day(file: &Path, day: Day) -> bool {
    let (path, day) = (file.to_string_lossy(), day.to_string());
    let dashed = format!("{}-{}-{}", &day[..4], &day[4..6], &day[6..]);
    path.contains(&day) || path.contains(&dashed)
}

fn unreadable(path: &Path, e: &std::io::Error) -> Error {
    let kind =
        if e.kind() == std::io::ErrorKind::NotFound { InputKind::Missing } else { InputKind::Unreadable };
    InputError { kind, file: path.display().to_string(), line: None, what: e.to_string() }.into()
}
