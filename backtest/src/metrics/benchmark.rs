//! Against what a run is measured: buying everything at the start and keeping it.

use std::sync::Arc;

use serde::Serialize;

use crate::dataset::Series;
use crate::engine::EquityPoint;
use crate::metrics::returns::{mean, sd};

/// What a run is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Benchmark {
    /// Nothing.
    #[default]
    None,
    /// Equal shares of all symbols, bought at the open of their first bar that counts and kept, without costs.
    Hold,
}

/// Worth of [`Benchmark::Hold`] at each of the times of `equity`; bars that begin before `from_ms` do not count. A symbol that is not yet listed is cash, one
/// without a bar keeps its last close.
pub fn hold(
    series: &[Arc<Series>],
    from_ms: Option<i64>,
    start: f64,
    equity: &[EquityPoint],
) -> Vec<EquityPoint> {
    let stake = start / series.len().max(1) as f64;
    let before = |series: &Arc<Series>| {
        from_ms.map_or(0, |from_ms| series.bars.ts_ms.partition_point(|ts_ms| *ts_ms < from_ms))
    };
    let first: Vec<usize> = series.iter().map(before).collect();
    let mut next = first.clone();
    let mut worth = vec![stake; series.len()];
    let mut curve = Vec::with_capacity(equity.len());
    for point in equity {
        for (k, series) in series.iter().enumerate() {
            while next[k] < series.bars.len() && series.known_ms(next[k]) <= point.ts_ms {
                worth[k] = stake * (series.bars.close[next[k]] / series.bars.open[first[k]]);
                next[k] += 1;
            }
        }
        curve.push(EquityPoint { ts_ms: point.ts_ms, equity: worth.iter().sum() });
    }
    curve
}

/// How returns move with those of a benchmark.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// `cov(r, b)/var(b)`.
    pub beta: f64,
    /// `(mean(r − rf) − beta·mean(b − rf))·ppy`.
    pub alpha: f64,
    /// `mean(r − b)/sd(r − b, ddof 1)·√ppy`; `None` without spread.
    pub information_ratio: Option<f64>,
}

/// Compares returns of the same steps; `None` for fewer than two, or for a benchmark that does not move.
pub fn compare(returns: &[f64], benchmark: &[f64], ppy: f64, rf: f64) -> Option<Comparison> {
    let (r, b) = (mean(returns)?, mean(benchmark)?);
    let (mut cov, mut var) = (0.0, 0.0);
    for (x, y) in returns.iter().zip(benchmark) {
        cov += (x - r) * (y - b);
        var += (y - b) * (y - b);
    }
    let beta = (var > 0.0).then(|| cov / var)?;
    let active: Vec<f64> = returns.iter().zip(benchmark).map(|(x, y)| x - y).collect();
    let spread = sd(&active).filter(|sd| *sd > 0.0);
    let information_ratio = spread.and_then(|sd| Some(mean(&active)? / sd * ppy.sqrt()));
    Some(Comparison { beta, alpha: ((r - rf) - beta * (b - rf)) * ppy, information_ratio })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_the_benchmark_has_a_beta_of_two() {
        let b = [0.01, -0.02, 0.005, 0.03];
        let r = b.map(|x| 2.0 * x + 0.001);
        let got = compare(&r, &b, 252.0, 0.0).expect("moves");
        assert!((got.beta - 2.0).abs() < 1e-12 && (got.alpha - 0.252).abs() < 1e-12, "{got:?}");
        assert_eq!(compare(&r, &[0.0; 4], 252.0, 0.0), None);
        assert_eq!(compare(&b, &b, 252.0, 0.0).expect("moves").information_ratio, None);
    }

    #[test]
    fn what_is_held_is_worth_its_last_close() {
        let series = |start_ms, bars: &[[f64; 4]]| {
            Arc::new(Series::from_ohlc("binance-usdm", "X", 60_000, start_ms, bars).expect("series"))
        };
        let (a, b) =
            (series(0, &[[10.0, 11.0, 9.0, 11.0], [11.0; 4]]), series(60_000, &[[5.0, 6.0, 5.0, 6.0]]));
        let times = [60_000, 120_000, 180_000].map(|ts_ms| EquityPoint { ts_ms, equity: 0.0 });
        let got: Vec<f64> = hold(&[a, b], None, 100.0, &times).iter().map(|p| p.equity).collect();
        assert_eq!(got, [105.0, 115.0, 115.0]);
    }
}
