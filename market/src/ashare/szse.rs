//! Shenzhen publishes orders whole and cancels without a price: here every cancel gets that of its order.

use super::day::{Placed, put_in_order};
use super::{
    DayCancel, DayOrder, DayTrade, ExecKind, OrderSource, StockCode, StockDay, SzseExecution, SzseOrder,
    TickTime,
};
use crate::book::Side;

/// The day of a stock from its orders and executions, each in any order.
///
/// The aggressor of a trade is the order with the larger number. A cancel is looked up in the whole day, so
/// that an order of the opening call prices it too; the order of a cancel without a price of its own gives
/// the stock's last trade before it.
pub fn szse_day(code: StockCode, mut orders: Vec<SzseOrder>, mut executions: Vec<SzseExecution>) -> StockDay {
    let mut day = StockDay::empty(code, orders.len() + executions.len());
    day.has_orders = !orders.is_empty();
    put_in_order(&mut orders, &mut day.counters);
    put_in_order(&mut executions, &mut day.counters);
    day.orders.reserve_exact(orders.len());
    for order in &orders {
        match order.side {
            Some(side) => day.orders.push(whole(order, side)),
            None => day.counters.side_ignored += 1,
        }
    }
    let mut last_price = 0;
    for execution in &executions {
        match execution.kind {
            ExecKind::Trade => {
                last_price = execution.price;
                day.trades.push(trade(execution));
            }
            ExecKind::Cancel => cancel(&mut day, execution, last_price),
        }
    }
    day
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

fn cancel(day: &mut StockDay, execution: &SzseExecution, last_price: i64) {
    let (no, side) = match (execution.buy_no, execution.sell_no) {
        (no, 0) if no != 0 => (no, Side::Bid),
        (0, no) if no != 0 => (no, Side::Ask),
        _ => {
            day.counters.bad_cancel += 1;
            return;
        }
    };
    day.counters.cancels += 1;
    let price = cancel_price(day, no, side, last_price);
    let (index, time, qty) = (execution.index, execution.time, execution.qty);
    day.cancels.push(DayCancel { index, time, no, side, price, qty });
}

/// The price of the order that a cancel names, and what was counted on the way.
fn cancel_price(day: &mut StockDay, no: i64, side: Side, last_price: i64) -> Option<i64> {
    // Orders stand in index order within a channel, and a stock has one channel.
    let Ok(place) = day.orders.binary_search_by_key(&no, |o| o.index) else {
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

impl Placed for SzseOrder {
    fn channel(&self) -> u32 {
        self.channel
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

impl Placed for SzseExecution {
    fn channel(&self) -> u32 {
        self.channel
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
