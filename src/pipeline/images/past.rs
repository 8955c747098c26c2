//! Cuts and thresholds of past days, and what follows from them for an image during the day: nothing of the
//! day itself is in them.

use std::collections::BTreeMap;

use lobstream_market::ashare::StockCode;
use lobstream_market::images::{Cuts, Scales};

/// What is known of past days, by stock and date `YYYYMMDD`.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// Days that have cuts.
    pub days: BTreeMap<StockCode, BTreeMap<u32, PastDay>>,
    /// Close of the day before each date, ticks.
    pub prev_close: BTreeMap<(StockCode, u32), i64>,
}

/// By what the image of a past day was made. Cuts are eighths of a tick and of a share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PastDay {
    /// Trade prices.
    pub trade_price_x8: [i64; 7],
    /// Trade quantities.
    pub trade_qty_x8: [i64; 7],
    /// Order prices.
    pub order_price_x8: [i64; 7],
    /// Order quantities.
    pub order_qty_x8: [i64; 7],
    /// Ticks × shares; `None` for a day without trades.
    pub threshold: Option<f64>,
}

impl Past {
    /// Scales for a day from at most `lookback` days before it; `None` if fewer than `min_days` of them have
    /// a close of the day before, or if the day itself has none.
    ///
    /// ```text
    /// qty cut = mean(cut)      T = mean(T)      price cut = prev close of the day · mean(cut / prev close)
    /// ```
    pub fn scales(&self, code: StockCode, date: u32, lookback: usize, min_days: usize) -> Option<Scales> {
        let today = *self.prev_close.get(&(code, date))? as f64;
        let before = self.days.get(&code)?.range(..date).rev().take(lookback);
        let mut days: Vec<(&PastDay, f64)> = before
            .filter_map(|(date, day)| {
                let close = *self.prev_close.get(&(code, *date))?;
                (close > 0).then_some((day, close as f64))
            })
            .collect();
        // Summed from the oldest day on.
        days.reverse();
        if days.len() < min_days.max(1) {
            return None;
        }
        let prices = |of: fn(&PastDay) -> &[i64; 7]| {
            let cut = |k: usize| today * mean(days.iter().map(|(d, close)| of(d)[k] as f64 / 8.0 / close));
            Cuts::from_f64(std::array::from_fn(cut))
        };
        let qtys = |of: fn(&PastDay) -> &[i64; 7]| {
            let cut = |k: usize| mean(days.iter().map(|(d, _)| of(d)[k] as f64 / 8.0));
            Cuts::from_f64(std::array::from_fn(cut))
        };
        let thresholds: Vec<f64> = days.iter().filter_map(|(d, _)| d.threshold).collect();
        Some(Scales {
            trade_price: prices(|d| &d.trade_price_x8),
            trade_qty: qtys(|d| &d.trade_qty_x8),
            order_price: prices(|d| &d.order_price_x8),
            order_qty: qtys(|d| &d.order_qty_x8),
            threshold: if thresholds.is_empty() { f64::INFINITY } else { mean(thresholds.into_iter()) },
        })
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    values.sum::<f64>() / n
}
