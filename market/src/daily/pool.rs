//! Who was unusually active lately: table `stock_active_pool`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::bands::Positions;
use crate::ashare::{Board, StockCode};
use crate::calendar::Day;
use crate::factor::columns::columns;

/// When a stock is in the pool.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolSettings {
    /// Recent activity (`false`) or the day of the break alone (`true`).
    pub event: bool,
    /// Length of the window, its last day included; at least 1.
    pub window_days: u32,
    /// Does the window count trading days? Else calendar days.
    pub trading_days: bool,
    /// The greatest volume position must be above this, percent.
    pub vpos_min: f64,
    /// The greatest price position must be above this, percent.
    pub ppos_min: f64,
    /// The mean value a day must be above this, CNY.
    pub min_avg_amount: f64,
    /// The same for the day of the break, CNY.
    pub event_min_amount: f64,
    /// Boards that are let in.
    pub boards: Vec<Board>,
}

impl Default for PoolSettings {
    fn default() -> PoolSettings {
        PoolSettings {
            event: false,
            window_days: 20,
            trading_days: false,
            vpos_min: 99.0,
            ppos_min: 50.0,
            min_avg_amount: 30_000_000.0,
            event_min_amount: 100_000_000.0,
            boards: vec![Board::Main, Board::Chinext, Board::Star],
        }
    }
}

columns! {
    /// One row of `stock_active_pool`.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct PoolRow {
        /// Stock.
        pub ts_code: StockCode,
        /// Trading day.
        pub trade_date: Day,
        /// Length of the window, days.
        pub window_days: u32,
        /// Was a volume position high enough?
        pub has_high_vpos: bool,
        /// Was a price position high enough?
        pub has_high_ppos: bool,
        /// Greatest volume position, percent.
        pub max_vpos: f64,
        /// Greatest price position, percent.
        pub max_ppos: f64,
        /// Mean value a day, CNY.
        pub avg_amount: f64,
        /// `event` in that mode, else empty.
        pub remarks: String,
    }
}

/// Why a stock is not in the pool: the first reason that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PoolReason {
    /// No longer listed.
    Delisted,
    /// Under special treatment.
    St,
    /// Its board is not let in.
    Board,
    /// It did not trade on the day.
    NoBarToday,
    /// Volume was never unusual.
    Vpos,
    /// The price was never high enough between its bands.
    Ppos,
    /// The price was out of its bands before (event mode).
    BrokenBefore,
    /// Too little is traded.
    Amount,
}

impl fmt::Display for PoolReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PoolReason::Delisted => "delisted",
            PoolReason::St => "st",
            PoolReason::Board => "board",
            PoolReason::NoBarToday => "no_bar_today",
            PoolReason::Vpos => "vpos",
            PoolReason::Ppos => "ppos",
            PoolReason::BrokenBefore => "broken_before",
            PoolReason::Amount => "amount",
        })
    }
}

/// A bar of the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoolBar {
    /// Where it lies in its bands.
    pub positions: Positions,
    /// Value, CNY; `None` if not told.
    pub amount: Option<f64>,
}

/// What is known of a stock on the day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoolStock {
    /// Stock.
    pub code: StockCode,
    /// Its board.
    pub board: Board,
    /// Under special treatment on the day.
    pub is_st: bool,
    /// Delisted on the day or before.
    pub is_delisted: bool,
    /// Does the window end with a bar of the day itself?
    pub has_bar_today: bool,
}

/// Is the stock in the pool of `day`? `window` holds its bars of the window, oldest first.
///
/// # Errors
/// The first reason why not.
pub fn judge(
    stock: &PoolStock,
    day: Day,
    window: &[PoolBar],
    settings: &PoolSettings,
) -> Result<PoolRow, PoolReason> {
    if stock.is_delisted {
        return Err(PoolReason::Delisted);
    }
    if stock.is_st {
        return Err(PoolReason::St);
    }
    if !settings.boards.contains(&stock.board) {
        return Err(PoolReason::Board);
    }
    let today = window.last().filter(|_| stock.has_bar_today).ok_or(PoolReason::NoBarToday)?;
    let judged = if settings.event { std::slice::from_ref(today) } else { window };
    let max_vpos = greatest(judged.iter().map(|b| b.positions.volume));
    let max_vpos = max_vpos.filter(|v| *v > settings.vpos_min).ok_or(PoolReason::Vpos)?;
    let ppos_min = if settings.event { 50.0 } else { settings.ppos_min };
    let max_ppos = greatest(judged.iter().map(|b| b.positions.price));
    let max_ppos = max_ppos.filter(|p| *p > ppos_min).ok_or(PoolReason::Ppos)?;
    let before = &window[..window.len() - 1];
    if settings.event && before.iter().any(|b| b.positions.price.is_some_and(|p| p > settings.vpos_min)) {
        return Err(PoolReason::BrokenBefore);
    }
    let min = if settings.event { settings.event_min_amount } else { settings.min_avg_amount };
    let avg_amount = mean(window.iter().filter_map(|b| b.amount)).filter(|a| *a > min);
    Ok(PoolRow {
        ts_code: stock.code,
        trade_date: day,
        window_days: settings.window_days,
        has_high_vpos: true,
        has_high_ppos: true,
        max_vpos,
        max_ppos,
        avg_amount: avg_amount.ok_or(PoolReason::Amount)?,
        remarks: if settings.event { "event".to_owned() } else { String::new() },
    })
}

fn greatest(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    values.flatten().max_by(f64::total_cmp)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut n) = (0.0, 0);
    values.for_each(|x| {
        sum += x;
        n += 1;
    });
    (n > 0).then(|| sum / f64::from(n))
}
