//! Many stocks on one account, a day at a time, by the rules of the A-share market.
//!
//! ```text
//! before the open   ex-dates: bonus shares and cash are booked, levels and stops scaled
//! 1 open            exits that were decided or carried · stops that the open lies beyond · entries by rank
//! 2 inside          exits that rest at the down limit · stops
//! 3 close           entries by rank · what the strategy decides, for the next open · equity
//! ```
//! At the open only the open is known; shares bought today are not sold today; a refused exit keeps its
//! reason and is tried again every day, a refused entry is dropped. A day without a bar is a suspension.

mod account;
mod day;
mod held;
mod market;

use serde::Serialize;

pub use account::DailyTrade;
pub use day::run_days;
pub use held::{Held, Memo};

use crate::dataset::{Candidate, DailyBar, DailyData, Date, DayFacts};
use crate::engine::{EquityPoint, ExitReason, Rejection};
use crate::error::Error;
use crate::rules::AshareRules;

/// How much an entry buys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sizing {
    /// The equity at the last close over the number of positions.
    #[default]
    Slot,
    /// A fixed amount, CNY.
    FixedCash(f64),
    /// A fixed number of shares.
    FixedQty(i64),
    /// So that the stop costs this share of the equity; never more than a slot.
    Risk(f64),
}

/// What the account does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PortfolioConfig {
    /// Most stocks held at a time. Default 10.
    pub max_positions: usize,
    /// How much an entry buys. Default a slot.
    pub sizing: Sizing,
    /// Largest order as a share of the mean volume of the 20 bars before. Default 0.1; `None`: no cap.
    pub volume_cap: Option<f64>,
    /// Ticks by which a fill is worse than its price. Default 1.
    pub slippage_ticks: i64,
    /// Book dividends and bonus shares on ex-dates. Default true; adjusted prices never do.
    pub apply_actions: bool,
}

impl Default for PortfolioConfig {
    fn default() -> Self {
        PortfolioConfig {
            max_positions: 10,
            sizing: Sizing::Slot,
            volume_cap: Some(0.10),
            slippage_ticks: 1,
            apply_actions: true,
        }
    }
}

/// Everything that `run_days` trades by.
#[derive(Clone, Debug)]
pub struct DailyRules {
    /// Of the market.
    pub market: AshareRules,
    /// Of the account.
    pub portfolio: PortfolioConfig,
}

/// How much of a position an exit sells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Everything; it replaces a half that was carried.
    All,
    /// Half, rounded down to a lot; nothing if that is less than one.
    Half,
}

/// An exit that a strategy decides at a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Why.
    pub reason: ExitReason,
    /// How much.
    pub part: Part,
}

/// What a strategy sees of a stock at a close: the day that just ended.
#[derive(Clone, Copy, Debug)]
pub struct StockClose<'a> {
    /// Its bar.
    pub bar: &'a DailyBar,
    /// What the tables say after this close.
    pub facts: &'a DayFacts,
}

/// A strategy over daily bars and tables.
pub trait DailyStrategy {
    /// May a candidate be bought at an open at which this price is all that is known of the day?
    fn at_open(&mut self, candidate: &Candidate, open_e4: i64) -> bool;

    /// May a candidate that was not bought at the open be bought at the close of this bar?
    fn at_close(&mut self, candidate: &Candidate, bar: &DailyBar) -> bool;

    /// The stop of a position entered at this price, rounded to a tick; `None` for no stop.
    fn stop_e4(&self, entry_e4: i64) -> Option<i64>;

    /// Decides at a close about a stock that is held; the exit happens at its next open.
    fn on_close(&mut self, held: &mut Held, now: &StockClose<'_>) -> Option<Decision>;

    /// What it counted, by name: conditions that could not be judged.
    fn tally(&self) -> Vec<(&'static str, usize)>;
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct DailyOutcome {
    /// By exit, then stock, then entry.
    pub trades: Vec<DailyTrade>,
    /// By time, then stock.
    pub rejections: Vec<Rejection>,
    /// One point per trading day.
    pub equity: Vec<EquityPoint>,
    /// Cash at the end, CNY.
    pub cash: f64,
    /// Days on which something was held.
    pub days_held: usize,
    /// Counted, by name.
    pub tally: Vec<(&'static str, usize)>,
    /// Rows that were read before they were known.
    pub late_reads: Vec<LateRead>,
}

/// A decision that read a row which was not known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateRead {
    /// Whose row.
    pub symbol: String,
    /// When it was read, ms UTC.
    pub ts_ms: i64,
    /// The day after whose close it is known.
    pub known: Date,
}

/// Refuses settings out of range.
///
/// # Errors
/// No position at all, a cap outside (0, 1], a sizing that is not positive.
pub(crate) fn check(config: &PortfolioConfig) -> Result<(), Error> {
    let bad = |name, value: String, expected: &str| {
        Err(Error::Parameter { name, value, expected: expected.to_owned() })
    };
    if !(1..=100_000).contains(&config.max_positions) {
        return bad("max_positions", config.max_positions.to_string(), "1 to 100000");
    }
    if let Some(cap) = config.volume_cap.filter(|cap| !(*cap > 0.0 && *cap <= 1.0)) {
        return bad("volume_cap", cap.to_string(), "a share above 0 and at most 1, or none");
    }
    if !(0..=1_000).contains(&config.slippage_ticks) {
        return bad("slippage_ticks", config.slippage_ticks.to_string(), "0 to 1000");
    }
    match config.sizing {
        Sizing::FixedCash(cny) if !(cny > 0.0 && cny <= 1e12) => {
            bad("sizing", cny.to_string(), "CNY above 0 and at most 1e12")
        }
        Sizing::FixedQty(qty) if qty <= 0 => bad("sizing", qty.to_string(), "shares above 0"),
        Sizing::Risk(risk) if !(risk > 0.0 && risk <= 1.0) => {
            bad("sizing", risk.to_string(), "a share of the equity above 0 and at most 1")
        }
        Sizing::Slot | Sizing::FixedCash(_) | Sizing::FixedQty(_) | Sizing::Risk(_) => Ok(()),
    }
}

/// First index of a stock's bars on or after the first day, for engines that walk a calendar.
pub(crate) fn bar_today(data: &DailyData, stock: usize, date: Date) -> Option<usize> {
    data.stocks[stock].index(date)
}
