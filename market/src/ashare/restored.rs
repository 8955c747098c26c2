//! Shanghai orders that a vendor has restored already: whole orders and cancels in one table, trades in another.

use serde::{Deserialize, Serialize};

use super::day::{placed, put_in_order};
use super::sse::take_trade;
use super::{
    DayCancel, DayMaker, DayOrder, Numbers, OrderSource, SseKind, SseRow, StockCode, StockDay, TickTime,
};
use crate::book::Side;

/// What a row of restored orders is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RestoredKind {
    /// An order, with the quantity that was sent.
    New,
    /// A cancel, with the quantity that was taken out.
    Cancel,
}

/// A row of restored orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredOrder {
    /// `BizIndex`; 0 if the file has none.
    pub index: i64,
    /// When.
    pub time: TickTime,
    /// `OrdID`; 0 if the file has none.
    pub no: i64,
    /// What.
    pub kind: RestoredKind,
    /// Buy or sell.
    pub side: Side,
    /// Ticks.
    pub price: i64,
    /// Shares.
    pub qty: i64,
    /// `IsAggressive`; `None` where the file does not say.
    pub aggressive: Option<bool>,
}

impl DayMaker {
    /// A day of orders that a vendor restored, see [`restored_day`](super::restored_day).
    pub fn restored(
        &mut self,
        code: StockCode,
        orders: &mut Vec<RestoredOrder>,
        rows: &mut Vec<SseRow>,
    ) -> &StockDay {
        let mut day = self.renew(code, orders.len() + rows.len());
        day.has_orders = !orders.is_empty();
        put_in_order(rows, &mut day.counters);
        put_in_order(orders, &mut day.counters);
        rows.iter().filter(|r| r.kind == SseKind::Trade).for_each(|r| take_trade(&mut day, r));
        note_aggressors(&day, &mut self.numbers);
        for row in orders.iter() {
            match row.kind {
                RestoredKind::New => {
                    day.counters.aggressive_unknown += u64::from(row.aggressive.is_none() && row.no <= 0);
                    day.orders.push(order(row, &self.numbers));
                }
                RestoredKind::Cancel => {
                    let price = (row.price > 0).then_some(row.price);
                    day.counters.cancels += 1;
                    day.counters.cancel_unpriced += u64::from(price.is_none());
                    day.cancels.push(cancel(row, price));
                }
            }
        }
        self.day.insert(day)
    }
}

fn order(row: &RestoredOrder, aggressors: &Numbers) -> DayOrder {
    let RestoredOrder { index, time, no, side, price, qty, .. } = *row;
    let aggressive = Some(row.aggressive.unwrap_or_else(|| aggressors.get(no).is_some()));
    DayOrder { index, time, no, side, price, qty, aggressive, source: OrderSource::Sent }
}

fn cancel(row: &RestoredOrder, price: Option<i64>) -> DayCancel {
    DayCancel { index: row.index, time: row.time, no: row.no, side: row.side, price, qty: row.qty }
}

/// Keeps the numbers of the orders that crossed in the session.
fn note_aggressors(day: &StockDay, numbers: &mut Numbers) {
    numbers.reset(day.trades.len() / 4);
    for trade in day.trades.iter().filter(|t| t.time.in_session()) {
        let no = match trade.aggressor {
            Some(Side::Bid) => trade.buy_no,
            Some(Side::Ask) => trade.sell_no,
            None => continue,
        };
        if no > 0 {
            numbers.enter(no);
        }
    }
}

placed!(RestoredOrder, |_| 0);

#[cfg(test)]
mod tests {
    use super::super::{SseFlag, restored_day};
    use super::*;

    fn order(no: i64, aggressive: Option<bool>) -> RestoredOrder {
        let time = TickTime(93_000_000);
        let (kind, side) = (RestoredKind::New, Side::Bid);
        RestoredOrder { index: no + 10, time, no, kind, side, price: 1000, qty: 100, aggressive }
    }

    fn trade(index: i64, time: u32, buy_no: i64, flag: SseFlag) -> SseRow {
        let (kind, time) = (SseKind::Trade, TickTime(time));
        let (sell_no, price, qty, money) = (99, 1000, 100, Some(100_000));
        SseRow { channel: 1, index, time, kind, buy_no, sell_no, price, qty, money, flag, phase: None }
    }

    #[test]
    fn what_the_file_does_not_say_of_aggressors_the_trades_of_the_session_do() {
        let code = "600000.SH".parse().unwrap();
        let trades = vec![
            trade(1, 93_000_000, 1, SseFlag::B),
            trade(2, 93_000_000, 2, SseFlag::S),
            trade(3, 145_800_000, 3, SseFlag::B),
        ];
        let orders =
            vec![order(1, None), order(2, None), order(3, None), order(4, Some(true)), order(0, None)];
        let day = restored_day(code, orders, trades);
        let said: Vec<(i64, Option<bool>)> = day.orders.iter().map(|o| (o.no, o.aggressive)).collect();
        let expected = [(0, false), (1, true), (2, false), (3, false), (4, true)];
        assert_eq!(said, expected.map(|(no, a)| (no, Some(a))));
        assert_eq!((day.counters.aggressive_unknown, day.counters.money_mismatch), (1, 0));
    }
}
