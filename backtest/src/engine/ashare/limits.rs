//! The limits between which each bar of a stock may trade.

use crate::dataset::{Date, Series};
use crate::engine::ashare::TICK;
use crate::error::Error;
use crate::model::ashare_fee::OrderSide;
use crate::model::money::Fen;
use crate::rules::{AshareRules, Board};

/// Highest and lowest price of a day, CNY.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BarLimits {
    /// A buyer at this price waits in a queue.
    pub up: f64,
    /// A seller at this price likewise.
    pub down: f64,
}

/// Less than this apart are equal prices: files write 25.82 in several ways.
const APART: f64 = 1e-6;

/// Bars of a day tell its reference price; those of other lengths may mean the close of the bar before.
const DAY_MS: i64 = 86_400_000;

impl BarLimits {
    pub(in crate::engine) fn is_up(&self, px: f64) -> bool {
        px >= self.up - APART
    }

    pub(in crate::engine) fn is_down(&self, px: f64) -> bool {
        px <= self.down + APART
    }
}

/// Limits of each bar around the reference price of the exchange, where daily bars tell it, else around the last close
/// of the day before; `None` on the first day without either. A close knows no ex-date, and no bar the day of listing:
/// limits are only about right then. Those of adjusted prices, which an earlier bar has told by standing between ticks,
/// are a tick narrower, so that a doubtful fill is refused.
///
/// # Errors
/// A day before the first row of a rule, also of fees: nothing is traded then. A price below a tick.
pub fn day_limits(series: &Series, rules: &AshareRules) -> Result<Vec<Option<BarLimits>>, Error> {
    let bars = &series.bars;
    if let Some(row) = bars.low.iter().position(|px| *px < TICK) {
        let what = "a price of an A share is below one tick of 0.01 CNY";
        return Err(Error::BadData { symbol: series.symbol.clone(), row, what });
    }
    let mut adjusted = false;
    let (mut now, mut close, mut today): (Option<Date>, Option<f64>, Option<BarLimits>) = (None, None, None);
    let mut limits = Vec::with_capacity(bars.len());
    for i in 0..bars.len() {
        let date = Date::of(bars.ts_ms[i]);
        if now != Some(date) {
            covered(series, rules, date)?;
            let st = bars.st.get(i).copied().unwrap_or(false);
            let told = bars.pre_close.get(i).copied().flatten().filter(|_| series.step_ms == DAY_MS);
            let of = |px: f64| rules.limits(&series.symbol, st, date, (px * 100.0).round() as i64);
            let ticks = told.or(close).map(of).transpose()?;
            let tolerance = i64::from(adjusted);
            today = ticks.map(|t| BarLimits {
                up: (t.up - tolerance) as f64 / 100.0,
                down: (t.down + tolerance) as f64 / 100.0,
            });
            now = Some(date);
        }
        close = Some(bars.close[i]);
        adjusted |= series.is_between_ticks(i);
        limits.push(today);
    }
    Ok(limits)
}

/// Everything that an order of the day may ask for has a rule.
fn covered(series: &Series, rules: &AshareRules, date: Date) -> Result<(), Error> {
    rules.limit_percent(Board::of_code(&series.symbol), false, date)?;
    rules.settlement_days(date)?;
    rules.fees(OrderSide::Buy, Fen::ZERO, date)?;
    rules.fees(OrderSide::Sell, Fen::ZERO, date).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::OwnBar;

    fn series(symbol: &str, closes: &[f64]) -> Series {
        let bars: Vec<[f64; 4]> = closes.iter().map(|px| [*px; 4]).collect();
        let start_ms = "2023-06-05".parse::<Date>().expect("a day").midnight_ms();
        Series::from_ohlc("ashare", symbol, 86_400_000, start_ms, &bars).expect("bars")
    }

    #[test]
    fn limits_follow_the_close_of_the_day_before() {
        let rules = AshareRules::built_in();
        let limits =
            |symbol: &str| day_limits(&series(symbol, &[23.47, 25.8, 25.8]), &rules).expect("covered");
        let [first, second, _] = limits("600000.SH").try_into().expect("three bars");
        assert_eq!((first, second), (None, Some(BarLimits { up: 25.82, down: 21.12 })));
        assert_eq!(limits("300001.SZ")[1], Some(BarLimits { up: 28.16, down: 18.78 }));
        let second = second.expect("limits");
        assert!(second.is_up(25.820_000_000_000_004) && !second.is_up(25.81) && second.is_down(21.12));
    }

    #[test]
    fn limits_of_adjusted_prices_are_a_tick_narrower() {
        let rules = AshareRules::built_in();
        let limits = day_limits(&series("600000.SH", &[23.474, 25.8, 25.8]), &rules).expect("covered");
        assert_eq!(limits[1], Some(BarLimits { up: 25.81, down: 21.13 }));
        let limits = day_limits(&series("600000.SH", &[23.47, 25.8, 25.805]), &rules).expect("covered");
        assert_eq!(limits[1], Some(BarLimits { up: 25.82, down: 21.12 }), "nobody knew on the second day");
    }

    #[test]
    fn a_reference_price_and_special_treatment_win_over_the_close_before() {
        let start_ms = "2023-06-05".parse::<Date>().expect("a day").midnight_ms();
        let bar = |i: i64, pre_close, st| OwnBar {
            ts_ms: start_ms + i * DAY_MS,
            open: 10.0,
            high: 10.0,
            low: 10.0,
            close: 10.0,
            pre_close,
            st,
            ..OwnBar::default()
        };
        let bars = [bar(0, Some(9.5), false), bar(1, Some(9.0), false), bar(2, None, true)];
        let limits = |step_ms| {
            let series = Series::from_own_bars("ashare", "600000.SH", Some(step_ms), &bars).expect("bars");
            let limits = day_limits(&series, &AshareRules::built_in()).expect("covered");
            limits.into_iter().map(|l| l.map(|l| (l.up, l.down))).collect::<Vec<_>>()
        };
        assert_eq!(limits(DAY_MS), [Some((10.45, 8.55)), Some((9.9, 8.1)), Some((10.5, 9.5))]);
        assert_eq!(limits(DAY_MS / 2), [None, Some((11.0, 9.0)), Some((10.5, 9.5))]);
    }

    #[test]
    fn a_price_below_a_tick_is_refused() {
        let error = day_limits(&series("600000.SH", &[0.01, 0.004]), &AshareRules::built_in());
        let error = error.expect_err("no price of a share");
        assert!(error.to_string().contains("below one tick"), "{error}");
        assert_eq!(error.exit_code(), 4);
    }

    #[test]
    fn a_day_without_rules_is_refused() {
        let bars = [[10.0; 4]; 2];
        let old = "2001-06-05".parse::<Date>().expect("a day").midnight_ms();
        let series = Series::from_ohlc("ashare", "600000.SH", 86_400_000, old, &bars).expect("bars");
        let error = day_limits(&series, &AshareRules::built_in()).expect_err("too early");
        assert_eq!(error.exit_code(), 4, "{error}");
        let mut far = AshareRules::built_in();
        far.extrapolate = true;
        assert!(day_limits(&series, &far).is_ok());
    }
}
