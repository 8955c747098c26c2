//! Sharpe ratio, volatility, and how sure one may be that the ratio is above zero.

use crate::metrics::returns::{mean, sd, skew_kurtosis};

/// Mean over standard deviation (ddof 1) of returns per period, not annualised; `None` without spread.
pub fn per_period(returns: &[f64]) -> Option<f64> {
    Some(mean(returns)? / sd(returns).filter(|sd| *sd > 0.0)?)
}

/// [`per_period`] times √ppy.
pub fn sharpe(returns: &[f64], ppy: f64) -> Option<f64> {
    Some(per_period(returns)? * ppy.sqrt())
}

/// Standard deviation (ddof 1) times √ppy.
pub fn volatility(returns: &[f64], ppy: f64) -> Option<f64> {
    Some(sd(returns)? * ppy.sqrt())
}

/// Probability that the true ratio is above 0 (Bailey & López de Prado 2012).
///
/// ```text
/// psr = Φ( SR·√(n − 1) / √(1 − γ₃·SR + (γ₄ − 1)/4·SR²) )      SR per period, γ₃ skew, γ₄ kurtosis (not excess)
/// ```
pub fn psr(returns: &[f64]) -> Option<f64> {
    let sr = per_period(returns)?;
    let (skew, kurtosis) = skew_kurtosis(returns)?;
    let spread = 1.0 - skew * sr + (kurtosis - 1.0) / 4.0 * sr * sr;
    let n = returns.len() as f64;
    (spread > 0.0).then(|| normal_cdf(sr * (n - 1.0).sqrt() / spread.sqrt()))
}

fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}
