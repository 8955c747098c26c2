//! Trades of a stock-day as the chain reads them, and trading time without the lunch break.

use crate::ashare::{DayTrade, Exchange, StockCode, StockDay, TickTime};
use crate::book::Side;

/// A trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Print {
    /// When, exchange local.
    pub time: TickTime,
    /// 1/10000 CNY.
    pub price_e4: i64,
    /// Shares.
    pub qty: i64,
    /// Who crossed; `None` in an auction.
    pub aggressor: Option<Side>,
    /// Number of the aggressor's order; 0 if it is not known.
    pub order_no: i64,
}

impl Print {
    /// Price times quantity, CNY·10⁻⁴, exact.
    pub fn value_e4(&self) -> i64 {
        self.price_e4 * self.qty
    }

    /// A trade of the exchange's stream. In a call auction nobody crosses: Shanghai says so of each trade, in
    /// Shenzhen the clock tells.
    pub fn of(trade: &DayTrade, code: StockCode) -> Print {
        let called = code.exchange() == Exchange::Sz && is_call(trade.time);
        let aggressor = trade.aggressor.filter(|_| !called);
        Print {
            time: trade.time,
            price_e4: trade.price * if code.tick_decimals() == 2 { 100 } else { 10 },
            qty: trade.qty,
            aggressor,
            order_no: match aggressor {
                Some(Side::Bid) => trade.buy_no,
                Some(Side::Ask) => trade.sell_no,
                None => 0,
            },
        }
    }

    /// All trades of a day, in the order of the exchange.
    pub fn of_day(day: &StockDay) -> Vec<Print> {
        day.trades.iter().map(|t| Print::of(t, day.code)).collect()
    }

    /// Does it trade at the fixed closing price, after hours (from 15:05)?
    pub fn is_after_hours(&self) -> bool {
        self.time.hhmm() >= 1505
    }
}

/// The call auctions of Shenzhen: before 09:30, and from 14:57 until the close.
fn is_call(time: TickTime) -> bool {
    matches!(time.hhmm(), ..930 | 1457..1505)
}

/// Length of a trading day, ms of trading time.
pub const DAY_MS: i64 = 14_400_000;
const LUNCH_MS: i64 = 7_200_000;

/// Trading time since 09:30 in ms, lunch left out: 11:30 and 13:00 are the same instant. Prints that come a
/// little after a session's end count as its end; `None` outside of both sessions.
pub fn trading_ms(time: TickTime) -> Option<i64> {
    let ms = i64::from(time.ms_of_day());
    let at = |hours: i64, minutes: i64| (hours * 60 + minutes) * 60_000;
    match time.hhmm() {
        930..1131 => Some((ms - at(9, 30)).min(LUNCH_MS)),
        1300..1505 => Some((LUNCH_MS + ms - at(13, 0)).min(DAY_MS)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_crosses_in_a_call_auction() {
        let sides = |code: &str| {
            let code: StockCode = code.parse().expect("a code");
            [92_500_000, 93_000_000, 145_659_990, 150_000_000].map(|time| {
                let (time, aggressor) = (TickTime(time), Some(Side::Bid));
                let trade = DayTrade { index: 1, time, price: 1, qty: 1, buy_no: 2, sell_no: 1, aggressor };
                let print = Print::of(&trade, code);
                (print.aggressor.is_some(), print.order_no)
            })
        };
        assert_eq!(sides("000001.SZ"), [(false, 0), (true, 2), (true, 2), (false, 0)]);
        assert_eq!(sides("600000.SH"), [(true, 2); 4], "where each trade says it, the clock does not");
    }

    #[test]
    fn lunch_is_no_trading_time_and_late_prints_count_as_the_end() {
        let at = |n| trading_ms(TickTime(n));
        assert_eq!([at(92_959_999), at(93_000_000), at(93_000_001)], [None, Some(0), Some(1)]);
        assert_eq!(
            [at(113_000_000), at(113_059_999), at(113_100_000)],
            [Some(LUNCH_MS), Some(LUNCH_MS), None]
        );
        assert_eq!(
            [at(125_959_999), at(130_000_000), at(130_001_000)],
            [None, Some(LUNCH_MS), Some(LUNCH_MS + 1000)]
        );
        assert_eq!([at(150_000_000), at(150_459_999), at(150_500_000)], [Some(DAY_MS), Some(DAY_MS), None]);
    }
}
