//! A strategy of one's own on one's own bars: `cargo run -p lobstream-backtest --example own-strategy`.
#![expect(clippy::print_stdout, reason = "an example shows what it did")]

use lobstream_backtest::engine::{Brackets, Intent, Moment};
use lobstream_backtest::model::Side;
use lobstream_backtest::run::run_with;
use lobstream_backtest::strategy::{Own, Strategy};
use lobstream_backtest::{Dataset, Error, RunConfig, Series, StrategyConfig};

/// Buys when the close is above the highest close of `n` bars before, sells below the lowest.
struct Breakout {
    n: usize,
    closes: Vec<f64>,
}

impl Strategy for Breakout {
    fn on_bar(&mut self, now: &Moment<'_>) -> Intent {
        // Only the bar that just closed can be seen here: what the rule wants to know of earlier ones it keeps.
        let close = now.close();
        let before = &self.closes[self.closes.len().saturating_sub(self.n)..];
        let is_full = before.len() == self.n;
        let (above, below) = (before.iter().all(|x| close > *x), before.iter().all(|x| close < *x));
        self.closes.push(close);
        Intent {
            enter: (is_full && above).then_some(Side::Long),
            exit_long: is_full && below,
            exit_short: false,
        }
    }
}

/// A wave with a slope, as bars of one minute.
fn bars() -> Vec<[f64; 4]> {
    let price = |i: usize| 100.0 + i as f64 * 0.01 + 5.0 * (i as f64 / 20.0).sin();
    (0..600)
        .map(|i| {
            let (open, close) = (price(i), price(i + 1));
            [open, open.max(close) + 0.05, open.min(close) - 0.05, close]
        })
        .collect()
}

pub(crate) fn main() -> Result<(), Error> {
    let data = Dataset::from_series(vec![Series::from_ohlc("mine", "WAVE", 60_000, 0, &bars())?])?;
    let brackets = Brackets { sl: Some(0.03), tp: None, max_hold: None };
    let own = Own { name: "breakout", brackets, short: false };
    let config = RunConfig { strategy: StrategyConfig::Own(own), ..RunConfig::default() };
    let result = run_with(&data, &config, |_series| Breakout { n: 10, closes: Vec::new() })?;
    for trade in &result.trades {
        println!("bars {:>3} to {:>3}: {:>9.2} ({})", trade.i0, trade.i1, trade.pnl, trade.reason.as_str());
    }
    println!("total return {:.4}, hash {}", result.metrics.get("total_return").unwrap_or(0.0), result.hash);
    assert!(result.trades.len() > 3, "the wave breaks out again and again");
    Ok(())
}
