//! Sortino ratio: mean return over the spread of losses.

use crate::metrics::returns::mean;

/// `mean(r)/√(Σ min(r, 0)²/n)·√ppy`; `None` without a loss.
pub fn sortino(returns: &[f64], ppy: f64) -> Option<f64> {
    let squares: f64 = returns.iter().map(|r| r.min(0.0) * r.min(0.0)).sum();
    let downside = (squares / returns.len() as f64).sqrt();
    (downside > 0.0).then_some(())?;
    Some(mean(returns)? / downside * ppy.sqrt())
}
