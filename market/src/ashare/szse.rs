//! Shenzhen publishes orders whole and cancels without a price: here every cancel gets that of its order.

use super::day::{placed, put_in_order};
use super::{
    DayCancel, DayMaker, DayOrder, DayTrade, ExecKind, OrderSource, StockCode, StockDay, SzseExecution,
    SzseOrder, TickTime,
};
use crate::book::Side;

impl DayMaker {
    /// A day of Shenzhen, see [`szse_day`](super::szse_day).
    pub fn szse(
        &mut self,
        code: StockCode,
        orders: &mut Vec<SzseOrder>,
        executions: &mut Vec<SzseExecution>,
    ) -> &StockDay {
        let mut day = self.renew(code, orders.len() + executions.len());
        day.has_orders = !orders.is_empty();
        put_in_order(orders, &mut day.counters);
        put_in_order(executions, &mut day.counters);
        day.orders.reserve(orders.len());
        for order in orders.iter() {
            match order.side {
                Some(side) => day.orders.push(whole(order, side)),
                None => day.counters.side_ignored += 1,
            }
        }
        day.trades.reserve(executions.len());
        self.places.set(&day.orders);
        let mut last_price = 0;
        for execution in executions.iter() {
            match execution.kind {
                ExecKind::Trade => {
                    last_price = execution.price;
                    day.trades.push(trade(execution));
                }
                ExecKind::Cancel => cancel(&mut day, &self.places, execution, last_price),
            }
        }
        self.day.insert(day)
    }
}

fn whole(order: &SzseOrder, side: Side) -> DayOrder {
    DayOrder {
        index: order.index,
        time: order.time,
        no: order.index,
        side,
        price: order.price,
        qty: order.qty,
        aggressive: None,
        source: OrderSource::Sent,
    }
}

fn trade(execution: &SzseExecution) -> DayTrade {
    let (buy_no, sell_no) = (execution.buy_no, execution.sell_no);
    DayTrade {
        index: execution.index,
        time: execution.time,
        price: execution.price,
        qty: execution.qty,
        buy_no,
        sell_no,
        aggressor: match buy_no.cmp(&sell_no) {
            std::cmp::Ordering::Greater => Some(Side::Bid),
            std::cmp::Ordering::Less => Some(Side::Ask),
            std::cmp::Ordering::Equal => None,
        },
    }
}

fn cancel(day: &mut StockDay, places: &Places, execution: &SzseExecution, last_price: i64) {
    let (no, side) = match (execution.buy_no, execution.sell_no) {
        (no, 0) if no != 0 => (no, Side::Bid),
        (0, no) if no != 0 => (no, Side::Ask),
        _ => {
            day.counters.bad_cancel += 1;
            return;
        }
    };
    day.counters.cancels += 1;
    let price = cancel_price(day, places, no, side, last_price);
    let (index, time, qty) = (execution.index, execution.time, execution.qty);
    day.cancels.push(DayCancel { index, time, no, side, price, qty });
}

/// The price of the order that a cancel names, and what was counted on the way.
fn cancel_price(day: &mut StockDay, places: &Places, no: i64, side: Side, last_price: i64) -> Option<i64> {
    let Some(place) = places.find(&day.orders, no) else {
        day.counters.unknown_ref += 1;
        return None;
    };
    let order = &day.orders[place];
    if order.side != side {
        day.counters.cancel_side_mismatch += 1;
        return None;
    }
    if order.price > 0 {
        return Some(order.price);
    }
    if last_price > 0 {
        day.counters.cancel_fallback_last += 1;
        return Some(last_price);
    }
    day.counters.cancel_unpriced += 1;
    None
}

/// Where orders of an index stand, which are sorted by it: the range of indices in as many equal parts as there are
/// orders, so that a look-up touches two lines of memory near those of the look-up before.
#[derive(Debug, Default)]
pub(super) struct Places {
    least: i64,
    /// Indices of a part, as a power of two.
    shift: u32,
    /// The first order of each part, and one entry more.
    starts: Vec<u32>,
}

impl Places {
    /// Those of orders that stand in index order, as they do within a channel; a stock has one channel.
    fn set(&mut self, orders: &[DayOrder]) {
        self.starts.clear();
        if !orders.is_sorted_by_key(|order| order.index) {
            (self.least, self.shift) = (0, 63);
            self.starts.extend([0, orders.len() as u32]);
            return;
        }
        let (least, most) = orders.first().zip(orders.last()).map_or((0, 0), |(a, b)| (a.index, b.index));
        let per_part = most.abs_diff(least) / orders.len().max(1) as u64;
        (self.least, self.shift) = (least, per_part.checked_ilog2().map_or(0, |log| log + 1));
        for (at, order) in (0..).zip(orders) {
            let parts = self.part(order.index) + 1;
            if self.starts.len() < parts {
                self.starts.resize(parts, at);
            }
        }
        self.starts.push(orders.len() as u32);
    }

    fn part(&self, index: i64) -> usize {
        (index.abs_diff(self.least) >> self.shift) as usize
    }

    /// The place of the order with this index.
    fn find(&self, orders: &[DayOrder], index: i64) -> Option<usize> {
        if index < self.least {
            return None;
        }
        let part = self.part(index);
        let (from, to) = (*self.starts.get(part)? as usize, *self.starts.get(part + 1)? as usize);
        let found = orders[from..to].binary_search_by_key(&index, |order| order.index).ok()?;
        Some(from + found)
    }
}

placed!(SzseOrder, |row| row.channel);
placed!(SzseExecution, |row| row.channel);
