//! The day of a stock: trades, whole orders and priced cancels of either exchange in one form.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{StockCode, TickTime};
use crate::book::Side;

/// A match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayTrade {
    /// Its place in the day.
    pub index: i64,
    /// When.
    pub time: TickTime,
    /// Ticks.
    pub price: i64,
    /// Shares.
    pub qty: i64,
    /// Number of the buy order; 0 if it is not known.
    pub buy_no: i64,
    /// Number of the sell order; 0 if it is not known.
    pub sell_no: i64,
    /// Who crossed; `None` in an auction.
    pub aggressor: Option<Side>,
}

/// Where an order of a day comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderSource {
    /// Published whole by the exchange or by the vendor.
    Sent,
    /// SSE: rested without matching on arrival.
    Rest,
    /// SSE: filled on arrival; its price is that of its last fill, a bound and not its limit.
    TakerFull,
    /// SSE: matched on arrival, and the balance rested.
    TakerRest,
}

/// A whole order as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayOrder {
    /// Index of its first row.
    pub index: i64,
    /// Time of its first row.
    pub time: TickTime,
    /// Its number; 0 if it is not known.
    pub no: i64,
    /// Buy or sell.
    pub side: Side,
    /// Ticks; 0 for SZSE orders without a price.
    pub price: i64,
    /// Shares, what matched on arrival included.
    pub qty: i64,
    /// Did it match on arrival? `None` at SZSE, where the trades of the session tell.
    pub aggressive: Option<bool>,
    /// Where it comes from.
    pub source: OrderSource,
}

/// A cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayCancel {
    /// Its place in the day.
    pub index: i64,
    /// When.
    pub time: TickTime,
    /// Number of its order; 0 if it is not known.
    pub no: i64,
    /// Side of its order.
    pub side: Side,
    /// Ticks; `None` if it could not be priced, which the counters tell: it is in no price-based number.
    pub price: Option<i64>,
    /// Shares.
    pub qty: i64,
}

/// What was counted on the way to a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayCounters {
    /// Rows that came in.
    pub rows: u64,
    /// Rows that repeat a (channel, index) and were dropped.
    pub duplicates: u64,
    /// SSE rows that tell a phase.
    pub status_rows: u64,
    /// SZSE orders of securities lending.
    pub side_ignored: u64,
    /// Rows without an index; they keep their order, stable by time.
    pub no_index: u64,
    /// SSE trades whose money is not price times quantity.
    pub money_mismatch: u64,
    /// SSE fills of an order's own flag after it rested.
    pub after_rest_fill: u64,
    /// Cancels of the day, priced or not.
    pub cancels: u64,
    /// SZSE cancels that name both orders or none; not in `cancels`.
    pub bad_cancel: u64,
    /// Cancels priced by the stock's last trade before them.
    pub cancel_fallback_last: u64,
    /// Cancels that nothing prices.
    pub cancel_unpriced: u64,
    /// SZSE cancels whose order is of the other side.
    pub cancel_side_mismatch: u64,
    /// SZSE cancels whose order is not in the day.
    pub unknown_ref: u64,
    /// Restored orders of which nothing tells whether they were aggressive; taken as passive.
    pub aggressive_unknown: u64,
}

impl DayCounters {
    /// Share of the cancels that have no price, 0 if there are none.
    pub fn cancel_missing_ratio(&self) -> f64 {
        let missing = self.unknown_ref + self.cancel_side_mismatch + self.cancel_unpriced;
        if self.cancels == 0 { 0.0 } else { missing as f64 / self.cancels as f64 }
    }
}

/// The unfiltered day of one stock, in index order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockDay {
    /// Which stock.
    pub code: StockCode,
    /// All matches, those of the auctions too.
    pub trades: Vec<DayTrade>,
    /// All orders.
    pub orders: Vec<DayOrder>,
    /// All cancels.
    pub cancels: Vec<DayCancel>,
    /// What was counted.
    pub counters: DayCounters,
    /// What was paid for trades where it is not price times quantity, by index, ticks × shares.
    pub odd_money: BTreeMap<i64, i64>,
    /// Were there rows of orders? Without them orders and cancels are what the trades tell.
    pub has_orders: bool,
}

impl StockDay {
    /// A day of which nothing is known yet, in the memory of another one.
    pub(super) fn renewed(other: Option<StockDay>, code: StockCode, rows: usize) -> StockDay {
        let (mut trades, mut orders, mut cancels) =
            other.map_or_else(Default::default, |day| (day.trades, day.orders, day.cancels));
        trades.clear();
        orders.clear();
        cancels.clear();
        let counters = DayCounters { rows: rows as u64, ..DayCounters::default() };
        StockDay { code, trades, orders, cancels, counters, odd_money: BTreeMap::new(), has_orders: false }
    }
}

/// Channel, index and time of a row, by which a day is put in order.
pub(super) trait Placed: Copy {
    fn channel(&self) -> u32;
    fn index(&self) -> i64;
    fn set_index(&mut self, index: i64);
    fn time(&self) -> TickTime;
}

/// Rows that know their index and time by fields of that name, and their channel by what is given.
macro_rules! placed {
    ($row:ty, $channel:expr) => {
        impl super::day::Placed for $row {
            fn channel(&self) -> u32 {
                let channel: fn(&$row) -> u32 = $channel;
                channel(self)
            }

            fn index(&self) -> i64 {
                self.index
            }

            fn set_index(&mut self, index: i64) {
                self.index = index;
            }

            fn time(&self) -> TickTime {
                self.time
            }
        }
    };
}
pub(super) use placed;

/// Sorts rows by (channel, index) and drops repeats of it; returns how many. Rows without an index keep
/// their order, stable by time, and are numbered; rows of an unknown channel are of one channel with all.
pub(super) fn put_in_order<R: Placed>(rows: &mut Vec<R>, counters: &mut DayCounters) {
    if strictly_in_order(rows) {
        return;
    }
    if rows.iter().any(|r| r.index() == 0) {
        counters.no_index += rows.len() as u64;
        rows.sort_by_key(Placed::time);
        rows.iter_mut().zip(1..).for_each(|(r, i)| r.set_index(i));
        return;
    }
    let one_channel = rows.iter().any(|r| r.channel() == 0);
    let place = |r: &R| (if one_channel { 0 } else { r.channel() }, r.index());
    sort_nearly_sorted(rows, place);
    let before = rows.len();
    rows.dedup_by(|later, kept| place(later) == place(kept));
    counters.duplicates += (before - rows.len()) as u64;
}

/// A stable sort for rows of which some came late: those are taken out, sorted, and merged in from the end.
fn sort_nearly_sorted<R: Copy, K: Ord>(rows: &mut [R], place: impl Fn(&R) -> K) {
    let (mut late, mut kept) = (Vec::new(), 0);
    for at in 0..rows.len() {
        let row = rows[at];
        if kept > 0 && place(&rows[kept - 1]) > place(&row) {
            late.push(row);
        } else {
            rows[kept] = row;
            kept += 1;
        }
    }
    late.sort_by_key(&place);
    let mut to = rows.len();
    while let Some(row) = late.last().copied() {
        to -= 1;
        // Of equals the one that was kept came first.
        if kept > 0 && place(&rows[kept - 1]) > place(&row) {
            kept -= 1;
            rows[to] = rows[kept];
        } else {
            rows[to] = row;
            late.pop();
        }
    }
}

/// One look at rows that need nothing, as most do: of one channel, each index above the one before and none of them 0.
fn strictly_in_order<R: Placed>(rows: &[R]) -> bool {
    let channel = rows.first().map_or(0, Placed::channel);
    let mut last = 0;
    rows.iter().all(|row| {
        let follows = row.index() > last && row.channel() == channel;
        last = row.index();
        follows
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_came_late_are_sorted_as_a_stable_sort_does() {
        let mut x = 88_172_645_463_325_252_u64;
        let mut random = |below: u64| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x % below
        };
        for len in 0..200_u64 {
            // Late by a few places, often with equal ones, and now and then far too early.
            let spread = 1 + random(8);
            let mut rows: Vec<(u64, u64)> = (0..len).map(|at| (at / 2 + random(spread), at)).collect();
            if len % 5 == 4 {
                rows[0].0 = random(1_000);
            }
            let mut sorted = rows.clone();
            sorted.sort_by_key(|row| row.0);
            sort_nearly_sorted(&mut rows, |row| row.0);
            assert_eq!(rows, sorted);
        }
    }
}
