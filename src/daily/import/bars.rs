//! Daily bars of vendors, checked row by row, in CNY and shares.
//!
//! ```text
//! tushare    ts_code, trade_date, …, vol in lots of 100, amount in 1000 CNY
//! baostock   code, date, …, volume in shares, amount in CNY
//! ```

use std::collections::BTreeMap;

use lobstream_market::ashare::StockCode;
use lobstream_market::calendar::Day;
use serde::{Deserialize, Serialize};

use super::source::{CsvTable, Row};
use crate::error::InputError;

/// A bar as it is stored: its factor may not be known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredBar {
    /// Trading day.
    pub day: Day,
    /// CNY.
    pub open: f64,
    /// CNY.
    pub high: f64,
    /// CNY.
    pub low: f64,
    /// CNY.
    pub close: f64,
    /// CNY.
    pub pre_close: Option<f64>,
    /// Shares.
    pub volume: Option<f64>,
    /// CNY.
    pub amount: Option<f64>,
    /// As the vendor gives it; `Some(1.0)` for prices adjusted already, `None` if there is no such column.
    pub factor: Option<f64>,
}

/// How the prices of a file are to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// As traded.
    Unadjusted,
    /// Adjusted so that the last ones are as traded.
    Qfq,
}

/// What was odd in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BarCounters {
    /// Rows read.
    pub rows: u64,
    /// Stocks.
    pub stocks: u64,
    /// Rows of a day that comes again; the last one counts.
    pub duplicates: u64,
    /// Rows without a close, high or low.
    pub no_price: u64,
    /// Rows of days on which the stock was suspended.
    pub suspended: u64,
    /// High below low, or open or close out of them: kept.
    pub ohlc_violation: u64,
    /// Amount that does not fit the volume: kept.
    pub unit_suspect: u64,
    /// Rows whose volume and amount were compared.
    pub unit_checked: u64,
    /// Rows of other markets: left out.
    pub other_market: u64,
    /// Rows whose factor is blank: taken as 1.
    pub unadjusted: u64,
}

impl BarCounters {
    /// Adds another file.
    pub fn add(&mut self, other: &BarCounters) {
        self.rows += other.rows;
        self.stocks += other.stocks;
        self.duplicates += other.duplicates;
        self.no_price += other.no_price;
        self.suspended += other.suspended;
        self.ohlc_violation += other.ohlc_violation;
        self.unit_suspect += other.unit_suspect;
        self.unit_checked += other.unit_checked;
        self.other_market += other.other_market;
        self.unadjusted += other.unadjusted;
    }
}

/// Bars by stock and day.
pub type Bars = BTreeMap<StockCode, BTreeMap<Day, StoredBar>>;

/// Most rows of an adjusted history whose amount still fits the price.
const QFQ_CHECKED: usize = 60;

/// Is this a table of daily bars?
pub(super) fn is_bars(table: &CsvTable) -> bool {
    table.find(&["close"]).is_some() && table.find(&["trade_date", "date"]).is_some()
}

struct Columns {
    code: usize,
    day: usize,
    open: usize,
    high: usize,
    low: usize,
    close: usize,
    pre_close: Option<usize>,
    volume: Option<usize>,
    amount: Option<usize>,
    factor: Option<usize>,
    status: Option<usize>,
    /// Shares of one unit of volume, CNY of one unit of amount.
    units: (f64, f64),
}

impl Columns {
    fn of(table: &CsvTable) -> Result<Columns, InputError> {
        let tushare = table.find(&["vol"]).is_some() || table.find(&["trade_date"]).is_some();
        Ok(Columns {
            code: table.column(&["ts_code", "code", "symbol"])?,
            day: table.column(&["trade_date", "date"])?,
            open: table.column(&["open"])?,
            high: table.column(&["high"])?,
            low: table.column(&["low"])?,
            close: table.column(&["close"])?,
            pre_close: table.find(&["pre_close", "preclose"]),
            volume: table.find(&["vol", "volume"]),
            amount: table.find(&["amount"]),
            factor: table.find(&["adj_factor"]),
            status: table.find(&["trade_status", "tradestatus"]),
            units: if tushare { (100.0, 1000.0) } else { (1.0, 1.0) },
        })
    }
}

/// Reads one table into `bars`.
///
/// # Errors
/// A column is missing; a price or volume is negative or no number (file and line are named); too many rows
/// break a rule.
pub(super) fn read(table: &CsvTable, basis: Basis, bars: &mut Bars) -> Result<BarCounters, InputError> {
    let columns = Columns::of(table)?;
    let mut counters = BarCounters::default();
    let mut own: BTreeMap<StockCode, BTreeMap<Day, StoredBar>> = BTreeMap::new();
    for (line, row) in table.rows() {
        counters.rows += 1;
        let wrong = |what: String| table.error(Some(line), what);
        let code = row.text(Some(columns.code)).ok_or_else(|| wrong("no code".to_owned()))?;
        let Some(code) = StockCode::spelled(code) else {
            counters.other_market += 1;
            continue;
        };
        if let Some(bar) = bar(row, &columns, basis, &mut counters).map_err(wrong)? {
            counters.duplicates += u64::from(own.entry(code).or_default().insert(bar.day, bar).is_some());
        }
    }
    counters.stocks = own.len() as u64;
    own.values().for_each(|bars| check_units(bars, basis, &mut counters));
    judge(table, &counters)?;
    for (code, new) in own {
        bars.entry(code).or_default().extend(new);
    }
    Ok(counters)
}

fn bar(
    row: Row<'_>,
    columns: &Columns,
    basis: Basis,
    counters: &mut BarCounters,
) -> Result<Option<StoredBar>, String> {
    let day = row.text(Some(columns.day)).ok_or("no date")?;
    let day: Day = day.parse().map_err(|e: lobstream_market::calendar::NoDay| e.to_string())?;
    let number = |column: Option<usize>, name: &str| match row.number(column) {
        Ok(Some(x)) if x < 0.0 => Err(format!("{name} {x} is negative")),
        Ok(x) => Ok(x),
        Err(e) => Err(format!("{name}: {e}")),
    };
    let (open, close) = (number(Some(columns.open), "open")?, number(Some(columns.close), "close")?);
    let (high, low) = (number(Some(columns.high), "high")?, number(Some(columns.low), "low")?);
    let pre_close = number(columns.pre_close, "pre_close")?.filter(|p| *p > 0.0);
    let volume = number(columns.volume, "volume")?.map(|v| v * columns.units.0);
    let amount = number(columns.amount, "amount")?.map(|a| a * columns.units.1);
    let factor = number(columns.factor, "adj_factor")?;
    let (Some(close), Some(high), Some(low)) = (close, high, low) else {
        counters.no_price += 1;
        return Ok(None);
    };
    let unchanged = columns.volume.is_some() && volume.is_none() && pre_close.is_none_or(|p| p == close);
    if unchanged || row.text(columns.status) == Some("0") {
        counters.suspended += 1;
        return Ok(None);
    }
    let open = open.unwrap_or(close);
    let inside = |x: f64| (low..=high).contains(&x);
    counters.ohlc_violation += u64::from(low > high || !inside(open) || !inside(close));
    let blank = columns.factor.is_some() && factor.is_none();
    counters.unadjusted += u64::from(blank && basis == Basis::Unadjusted);
    let factor = match basis {
        Basis::Qfq => Some(1.0),
        Basis::Unadjusted if blank => Some(1.0),
        Basis::Unadjusted => factor.filter(|f| *f > 0.0),
    };
    Ok(Some(StoredBar { day, open, high, low, close, pre_close, volume, amount, factor }))
}

/// Counts bars whose amount lies more than 15 % from volume times the middle of the day's prices.
fn check_units(bars: &BTreeMap<Day, StoredBar>, basis: Basis, counters: &mut BarCounters) {
    let n = if basis == Basis::Qfq { QFQ_CHECKED } else { usize::MAX };
    for bar in bars.values().rev().take(n) {
        let (Some(volume), Some(amount)) = (bar.volume, bar.amount) else { continue };
        let expected = volume * (bar.high + bar.low) / 2.0;
        if expected > 0.0 {
            counters.unit_checked += 1;
            counters.unit_suspect += u64::from((amount / expected - 1.0).abs() > 0.15);
        }
    }
}

fn judge(table: &CsvTable, counters: &BarCounters) -> Result<(), InputError> {
    let BarCounters { rows, ohlc_violation, unit_suspect, unit_checked, .. } = counters;
    if ohlc_violation * 100 > *rows {
        let what =
            format!("open, high, low and close contradict each other in {ohlc_violation} of {rows} rows");
        return Err(table.error(None, what));
    }
    if unit_suspect * 5 > *unit_checked {
        let what = format!(
            "amount does not fit volume and price in {unit_suspect} of {unit_checked} rows: other units, or prices \
             that are adjusted (--basis qfq)"
        );
        return Err(table.error(None, what));
    }
    Ok(())
}
