//! What the market does with an order on a day: limits, slippage, the cap by volume.

use crate::dataset::{DailyBar, DailyData, PriceBasis, TICK_E4};
use crate::engine::daily::DailyRules;
use crate::error::Error;
use crate::rules::{Board, Limits, Lot};

/// Bars whose mean volume caps an order.
const CAP_BARS: usize = 20;

/// Half up to a tick.
pub(super) fn round_to_tick(price_e4: i64) -> i64 {
    (2 * price_e4 + TICK_E4).div_euclid(2 * TICK_E4) * TICK_E4
}

/// One stock on one day.
#[derive(Clone, Copy, Debug)]
pub(super) struct StockDay<'a> {
    pub(super) bar: &'a DailyBar,
    pub(super) i: usize,
    pub(super) lot: Lot,
    /// Limits in 10⁻⁴ CNY, widened by a tick where they are only about right; `None` on days without any.
    limits: Option<Limits>,
    /// First day of a main-board stock before such days had rules.
    pub(super) is_unruled_first_day: bool,
    cap: Option<i64>,
    slippage_e4: i64,
}

impl<'a> StockDay<'a> {
    pub(super) fn new(
        data: &'a DailyData,
        rules: &DailyRules,
        stock: usize,
        i: usize,
    ) -> Result<StockDay<'a>, Error> {
        let of = &data.stocks[stock];
        let (bar, board) = (&of.bars[i], Board::of_code(&of.code));
        // Days since listing are counted where the data reaches back to it.
        let first = of.listed.and_then(|day| of.index(day));
        let nth = first.filter(|first| i >= *first).map(|first| (i - first) as i64);
        let free_days = of.listed.map_or(0, |listed| rules.market.limit_free_days(board, listed));
        let is_free = nth.is_some_and(|nth| nth < free_days);
        let is_unruled_first_day = nth == Some(0) && free_days == 0;
        let limits = if is_free || is_unruled_first_day {
            None
        } else {
            Some(limits_e4(data.basis, rules, &of.code, bar)?)
        };
        Ok(StockDay {
            bar,
            i,
            lot: rules.market.lot(board),
            limits,
            is_unruled_first_day,
            cap: rules.portfolio.volume_cap.and_then(|share| cap(&of.bars[..i], share)),
            slippage_e4: rules.portfolio.slippage_ticks * TICK_E4,
        })
    }

    /// A buyer at this price waits in a queue.
    pub(super) fn is_up(&self, price_e4: i64) -> bool {
        self.limits.is_some_and(|limits| price_e4 >= limits.up)
    }

    /// A seller at this price waits in a queue.
    pub(super) fn is_down(&self, price_e4: i64) -> bool {
        self.limits.is_some_and(|limits| price_e4 <= limits.down)
    }

    /// Price of a sale that rests at the down limit, if the day trades above it.
    pub(super) fn rest_at_down(&self) -> Option<i64> {
        let down = self.limits?.down;
        (self.bar.high > down).then_some(down)
    }

    /// Buys worse than `price_e4`, but inside the day's range and below the up limit.
    pub(super) fn buy_price(&self, price_e4: i64) -> i64 {
        let slipped = (price_e4 + self.slippage_e4).min(self.bar.high);
        self.limits.map_or(slipped, |limits| slipped.min(limits.up - TICK_E4)).max(price_e4)
    }

    /// Sells worse than `price_e4`, but inside the day's range and above the down limit.
    pub(super) fn sell_price(&self, price_e4: i64) -> i64 {
        let slipped = (price_e4 - self.slippage_e4).max(self.bar.low);
        self.limits.map_or(slipped, |limits| slipped.max(limits.down + TICK_E4)).min(price_e4)
    }

    /// At most so many shares of `wanted` in one order.
    pub(super) fn capped(&self, wanted: i64) -> i64 {
        self.cap.map_or(wanted, |cap| wanted.min(cap))
    }
}

/// Share of the mean volume of the last bars; `None` if none of them has a volume.
fn cap(before: &[DailyBar], share: f64) -> Option<i64> {
    let known = before.iter().rev().take(CAP_BARS).filter_map(|bar| bar.volume);
    let (n, sum) = known.fold((0i64, 0i64), |(n, sum), volume| (n + 1, sum + volume));
    (n > 0).then(|| (share * sum as f64 / n as f64) as i64)
}

/// Exact from traded prices; of adjusted ones a tick narrower, so that a doubtful fill is refused.
fn limits_e4(basis: PriceBasis, rules: &DailyRules, code: &str, bar: &DailyBar) -> Result<Limits, Error> {
    let reference = round_to_tick(bar.pre_close) / TICK_E4;
    let limits = rules.market.limits(code, bar.st, bar.date, reference)?;
    let tolerance = match basis {
        PriceBasis::Traded => 0,
        PriceBasis::Adjusted => TICK_E4,
    };
    Ok(Limits { up: limits.up * TICK_E4 - tolerance, down: limits.down * TICK_E4 + tolerance })
}
