//! Sharpe ratio and volatility.

use crate::metrics::returns::{mean, sd};

/// Mean over standard deviation (ddof 1) of returns per period, not annualised; `None` without spread.
pub fn per_period(returns: &[f64]) -> Option<f64> {
    Some(mean(returns)? / sd(returns).filter(|sd| *sd > 0.0)?)
}

/// [`per_period`] of the returns above `rf` per period, times √ppy.
pub fn sharpe(returns: &[f64], ppy: f64, rf: f64) -> Option<f64> {
    let excess: Vec<f64> = returns.iter().map(|r| r - rf).collect();
    Some(per_period(&excess)? * ppy.sqrt())
}

/// Standard deviation (ddof 1) times √ppy.
pub fn volatility(returns: &[f64], ppy: f64) -> Option<f64> {
    Some(sd(returns)? * ppy.sqrt())
}

/// Sharpe ratio of each window of `n` returns, annualised; `None` before there are n, and without spread.
pub fn rolling(returns: &[f64], n: usize, ppy: f64, rf: f64) -> Vec<Option<f64>> {
    (1..=returns.len()).map(|end| sharpe(&returns[end.checked_sub(n)?..end], ppy, rf)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rolling_window_begins_when_it_is_full() {
        let returns = [0.01, -0.02, 0.03, 0.0, 0.01];
        let rolling = rolling(&returns, 3, 252.0, 0.0);
        assert_eq!(rolling[..2], [None, None]);
        for end in 3..=5 {
            assert_eq!(rolling[end - 1], sharpe(&returns[end - 3..end], 252.0, 0.0));
        }
        assert!(rolling[2].is_some());
    }

    #[test]
    fn a_riskless_return_is_taken_off_first() {
        let (with, without) = (sharpe(&[0.02, 0.01, 0.04], 4.0, 0.01), sharpe(&[0.01, 0.0, 0.03], 4.0, 0.0));
        assert!((with.expect("spread") - without.expect("spread")).abs() < 1e-12);
    }
}
