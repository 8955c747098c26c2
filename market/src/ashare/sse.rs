//! Shanghai publishes an order's fills on arrival first, then only what is left of it, and nothing more if
//! nothing is left: here the orders are put together again, as they were sent.

use std::mem::take;

use super::day::{placed, put_in_order};
use super::{
    DayCancel, DayMaker, DayOrder, DayTrade, Numbers, OrderSource, SseKind, SseRow, StockCode, StockDay,
    TickTime,
};
use crate::book::Side;

impl DayMaker {
    /// A day of Shanghai's merged stream, see [`sse_day`](super::sse_day).
    pub fn sse(&mut self, code: StockCode, rows: &mut Vec<SseRow>) -> &StockDay {
        let mut day = self.renew(code, rows.len());
        put_in_order(rows, &mut day.counters);
        day.trades.reserve(rows.len() / 2);
        let mut restorer = Restorer::of(self, &mut day, rows.len());
        for row in rows.iter() {
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
        (self.numbers, self.last_fills) = (restorer.places, restorer.last_fills);
        day.orders = restorer.orders;
        day.orders.retain(|order| order.qty > 0);
        self.day.insert(day)
    }
}

/// Keeps a trade as it is, and checks its money.
pub(super) fn take_trade(day: &mut StockDay, row: &SseRow) {
    if let Some(money) = row.money.filter(|m| row.price.checked_mul(row.qty) != Some(*m)) {
        day.counters.money_mismatch += 1;
        day.odd_money.insert(row.index, money);
    }
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
    /// Quantity and price as far as they are known. `TakerFull` has not rested yet.
    orders: Vec<DayOrder>,
    /// Price of the last fill before it rested, of each order; 0 without one.
    last_fills: Vec<i64>,
    places: Numbers,
    /// Price of the stock's last trade; 0 before there is one.
    last_price: i64,
    fills_after_rest: bool,
}

impl Restorer {
    /// In the memory of a maker and of a day, with room for the orders of so many rows.
    fn of(maker: &mut DayMaker, day: &mut StockDay, rows: usize) -> Restorer {
        let (mut orders, mut last_fills) = (take(&mut day.orders), take(&mut maker.last_fills));
        let mut places = take(&mut maker.numbers);
        orders.reserve(rows / 2);
        last_fills.clear();
        last_fills.reserve(rows / 2);
        places.reset(rows / 4);
        let fills_after_rest = maker.fills_after_rest;
        Restorer { orders, last_fills, places, last_price: 0, fills_after_rest }
    }

    /// A trade: its aggressor was an order, if it had not rested yet.
    fn fill(&mut self, day: &mut StockDay, row: &SseRow) {
        self.last_price = row.price;
        let Some(side) = row.flag.side() else { return };
        let Some(place) = self.place(row, side, OrderSource::TakerFull) else { return };
        let order = &mut self.orders[place];
        if order.source != OrderSource::TakerFull {
            day.counters.after_rest_fill += 1;
            if self.fills_after_rest {
                order.qty = order.qty.saturating_add(row.qty);
            }
        } else {
            order.qty = order.qty.saturating_add(row.qty);
            order.price = row.price;
            self.last_fills[place] = row.price;
        }
    }

    /// The balance and the limit; without a limit the price of the last fill stands.
    fn rest(&mut self, row: &SseRow) {
        let Some(side) = row.flag.side() else { return };
        let Some(place) = self.place(row, side, OrderSource::Rest) else { return };
        let order = &mut self.orders[place];
        order.qty = order.qty.saturating_add(row.qty);
        order.price = if row.price > 0 { row.price } else { self.last_fills[place] };
        if order.source == OrderSource::TakerFull {
            order.source = OrderSource::TakerRest;
        }
    }

    fn cancel(&self, day: &mut StockDay, row: &SseRow) {
        let Some(side) = row.flag.side() else { return };
        let no = number(row, side);
        let of_order = self.places.get(no).map_or(0, |place| self.orders[place as usize].price);
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

    /// Where the order stands that a row names on a side, made if it is new; `None` if the row names none.
    fn place(&mut self, row: &SseRow, side: Side, source: OrderSource) -> Option<usize> {
        let no = number(row, side);
        if no <= 0 {
            return None;
        }
        let (place, new) = self.places.enter(no);
        if new {
            let aggressive = Some(source == OrderSource::TakerFull);
            let (index, time) = (row.index, row.time);
            self.orders.push(DayOrder { index, time, no, side, price: 0, qty: 0, aggressive, source });
            self.last_fills.push(0);
        }
        Some(place as usize)
    }
}

fn number(row: &SseRow, side: Side) -> i64 {
    match side {
        Side::Bid => row.buy_no,
        Side::Ask => row.sell_no,
    }
}

placed!(SseRow, |row| row.channel);
