//! Shanghai publishes an order's fills on arrival first, then only what is left of it, and nothing more if
//! nothing is left: here the orders are put together again, as they were sent.

use super::day::{Placed, put_in_order};
use super::{
    DayCancel, DayOrder, DayTrade, Numbers, OrderSource, SseKind, SseRow, StockCode, StockDay, TickTime,
};
use crate::book::Side;

/// The day of a stock from its rows, in any order.
///
/// A fill by an order's own flag makes or enlarges it until it rests; an `A` gives its balance and limit;
/// the passive side of a match restores nothing. A cancel without price takes that of its resting order,
/// else of its last fill, else the stock's last trade.
pub fn sse_day(code: StockCode, mut rows: Vec<SseRow>) -> StockDay {
    let mut day = StockDay::empty(code, rows.len());
    put_in_order(&mut rows, &mut day.counters);
    let mut restorer = Restorer::new(rows.len());
    for row in &rows {
        match row.kind {
            SseKind::Status => day.counters.status_rows += 1,
            SseKind::Trade => {
                take_trade(&mut day, row);
                restorer.fill(&mut day, row);
            }
            SseKind::Add => {
                day.has_orders = true;
                restorer.rest(row);
            }
            SseKind::Delete => {
                day.has_orders = true;
                restorer.cancel(&mut day, row);
            }
        }
    }
    day.orders = restorer.orders.into_iter().filter_map(Restored::finish).collect();
    day
}

/// Keeps a trade as it is, and checks its money.
pub(super) fn take_trade(day: &mut StockDay, row: &SseRow) {
    let mismatch = row.money.is_some_and(|m| i128::from(m) != i128::from(row.price) * i128::from(row.qty));
    day.counters.money_mismatch += u64::from(mismatch);
    day.trades.push(DayTrade {
        index: row.index,
        time: row.time,
        price: row.price,
        qty: row.qty,
        buy_no: row.buy_no,
        sell_no: row.sell_no,
        aggressor: row.flag.side(),
    });
}

/// Orders on their way back to what was sent, in the order of their first rows.
struct Restorer {
    orders: Vec<Restored>,
    places: Numbers,
    /// Price of the stock's last trade; 0 before there is one.
    last_price: i64,
}

struct Restored {
    no: i64,
    index: i64,
    time: TickTime,
    side: Side,
    traded: i64,
    last_traded_price: i64,
    resting: i64,
    resting_price: i64,
    aggressive: bool,
    rested: bool,
}

impl Restorer {
    fn new(rows: usize) -> Restorer {
        Restorer { orders: Vec::new(), places: Numbers::with_capacity(rows / 2), last_price: 0 }
    }

    /// A trade: its aggressor was an order, if it had not rested yet.
    fn fill(&mut self, day: &mut StockDay, row: &SseRow) {
        self.last_price = row.price;
        let Some(side) = row.flag.side() else { return };
        let Some(order) = self.order(row, side, true) else { return };
        if order.rested {
            day.counters.after_rest_fill += 1;
        } else {
            order.traded += row.qty;
            order.last_traded_price = row.price;
        }
    }

    fn rest(&mut self, row: &SseRow) {
        let Some(side) = row.flag.side() else { return };
        let Some(order) = self.order(row, side, false) else { return };
        order.resting += row.qty;
        order.resting_price = row.price;
        order.rested = true;
    }

    fn cancel(&self, day: &mut StockDay, row: &SseRow) {
        let Some(side) = row.flag.side() else { return };
        let no = number(row, side);
        let known = self.places.get(no).map(|place| &self.orders[place as usize]);
        let of_order =
            known.map_or(0, |o| if o.resting_price > 0 { o.resting_price } else { o.last_traded_price });
        let price = match [row.price, of_order, self.last_price] {
            [own, ..] if own > 0 => Some(own),
            [_, order, _] if order > 0 => Some(order),
            [.., last] if last > 0 => {
                day.counters.cancel_fallback_last += 1;
                Some(last)
            }
            _ => {
                day.counters.cancel_unpriced += 1;
                None
            }
        };
        day.counters.cancels += 1;
        day.cancels.push(DayCancel { index: row.index, time: row.time, no, side, price, qty: row.qty });
    }

    /// The order that a row names on a side, made if it is new; `None` if the row names none.
    fn order(&mut self, row: &SseRow, side: Side, aggressive: bool) -> Option<&mut Restored> {
        let no = number(row, side);
        if no <= 0 {
            return None;
        }
        let (place, new) = self.places.enter(no, self.orders.len() as u32);
        if new {
            self.orders.push(Restored {
                no,
                index: row.index,
                time: row.time,
                side,
                traded: 0,
                last_traded_price: 0,
                resting: 0,
                resting_price: 0,
                aggressive,
                rested: false,
            });
        }
        self.orders.get_mut(place as usize)
    }
}

fn number(row: &SseRow, side: Side) -> i64 {
    match side {
        Side::Bid => row.buy_no,
        Side::Ask => row.sell_no,
    }
}

impl Restored {
    fn finish(self) -> Option<DayOrder> {
        let qty = self.traded + self.resting;
        let source = match (self.aggressive, self.rested) {
            (false, _) => OrderSource::Rest,
            (true, false) => OrderSource::TakerFull,
            (true, true) => OrderSource::TakerRest,
        };
        (qty > 0).then_some(DayOrder {
            index: self.index,
            time: self.time,
            no: self.no,
            side: self.side,
            price: if self.resting_price > 0 { self.resting_price } else { self.last_traded_price },
            qty,
            aggressive: Some(self.aggressive),
            source,
        })
    }
}

impl Placed for SseRow {
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
