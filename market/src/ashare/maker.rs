//! Days one after the other in the same memory: a market has thousands, and fresh pages cost as much as the work.

use super::szse::Places;
use super::{Numbers, RestoredOrder, SseRow, StockCode, StockDay, SzseExecution, SzseOrder};

/// Makes days from rows. Rows may come in any order, and are left in the order of their index.
///
/// ```
/// use lobstream_market::ashare::DayMaker;
/// let mut maker = DayMaker::default();
/// let day = maker.sse("600519.SH".parse().unwrap(), &mut Vec::new());
/// assert!(day.trades.is_empty());
/// ```
#[derive(Debug, Default)]
pub struct DayMaker {
    /// Shanghai: do fills by an order's own flag enlarge it also after it rested? The exchange's rule is no, the
    /// default; the ancestor of images counts them twice.
    pub(super) fills_after_rest: bool,
    pub(super) day: Option<StockDay>,
    pub(super) numbers: Numbers,
    pub(super) last_fills: Vec<i64>,
    pub(super) places: Places,
}

impl DayMaker {
    /// With or without fills after resting.
    pub fn new(fills_after_rest: bool) -> DayMaker {
        DayMaker { fills_after_rest, ..DayMaker::default() }
    }

    /// A day without anything in it yet.
    pub(super) fn renew(&mut self, code: StockCode, rows: usize) -> StockDay {
        StockDay::renewed(self.day.take(), code, rows)
    }

    fn into_day(self) -> StockDay {
        self.day.expect("a day was made")
    }
}

/// The day of a stock from its rows, in any order.
///
/// A fill by an order's own flag makes or enlarges it until it rests; an `A` gives its balance and limit;
/// the passive side of a match restores nothing. A cancel without price takes that of its resting order,
/// else of its last fill, else the stock's last trade.
pub fn sse_day(code: StockCode, mut rows: Vec<SseRow>) -> StockDay {
    let mut maker = DayMaker::default();
    maker.sse(code, &mut rows);
    maker.into_day()
}

/// The day of a stock from restored orders and from its trades; rows of other kinds are not looked at.
///
/// Where a row does not say whether it was aggressive, it was if its number is the aggressor's of a trade
/// in the session.
pub fn restored_day(code: StockCode, mut orders: Vec<RestoredOrder>, mut rows: Vec<SseRow>) -> StockDay {
    let mut maker = DayMaker::default();
    maker.restored(code, &mut orders, &mut rows);
    maker.into_day()
}

/// The day of a stock from its orders and executions, each in any order.
///
/// The aggressor of a trade is the order with the larger number. A cancel is looked up in the whole day, so
/// that an order of the opening call prices it too; the order of a cancel without a price of its own gives
/// the stock's last trade before it.
pub fn szse_day(code: StockCode, mut orders: Vec<SzseOrder>, mut executions: Vec<SzseExecution>) -> StockDay {
    let mut maker = DayMaker::default();
    maker.szse(code, &mut orders, &mut executions);
    maker.into_day()
}
