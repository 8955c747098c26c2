//! Sortino ratio: mean return over the spread of losses.

use crate::metrics::returns::mean;

/// `mean(r − mar)/√(Σ min(r − mar, 0)²/n)·√ppy`; `None` without a return below `mar`.
pub fn sortino(returns: &[f64], ppy: f64, mar: f64) -> Option<f64> {
    let squares: f64 = returns.iter().map(|r| (r - mar).min(0.0)).map(|d| d * d).sum();
    let downside = (squares / returns.len() as f64).sqrt();
    (downside > 0.0).then_some(())?;
    Some((mean(returns)? - mar) / downside * ppy.sqrt())
}
