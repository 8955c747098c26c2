//! How sure one may be of a Sharpe ratio, alone and as the best of many that were tried.

use crate::metrics::normal;
use crate::metrics::returns::{mean, sd};

/// What a sample of returns says about its Sharpe ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SharpeSample {
    /// Sharpe ratio per period, not annualised.
    pub sr: f64,
    /// Returns.
    pub n: usize,
    /// Population skew of the returns.
    pub skew: f64,
    /// Population kurtosis, 3 for a normal law.
    pub kurtosis: f64,
}

/// Probability that the true ratio is above `sr_least` (Bailey & López de Prado 2012).
///
/// ```text
/// psr = Φ( (SR − SR*)·√(n − 1) / √(1 − γ₃·SR + (γ₄ − 1)/4·SR²) )     SR per period, γ₃ skew, γ₄ kurtosis
/// ```
/// `None` for fewer than two returns or where the root is not real.
pub fn psr(sample: &SharpeSample, sr_least: f64) -> Option<f64> {
    let SharpeSample { sr, n, skew, kurtosis } = *sample;
    let spread = 1.0 - skew * sr + (kurtosis - 1.0) / 4.0 * sr * sr;
    (n > 1 && spread > 0.0).then(|| normal::cdf((sr - sr_least) * ((n - 1) as f64).sqrt() / spread.sqrt()))
}

/// γ of Euler and Mascheroni, with the digits of the page.
const EULER: f64 = 0.577_215_664_901_532_9;

/// The best ratio per period that K trials without skill are expected to show (Bailey & López de Prado 2014).
///
/// ```text
/// SR* = √Var·( (1 − γ)·Φ⁻¹(1 − 1/K) + γ·Φ⁻¹(1 − 1/(K·e)) )      Var: of the trials' ratios, ddof 1
/// ```
/// `None` for fewer than two trials.
pub fn expected_best(trials: &[f64]) -> Option<f64> {
    let k = trials.len() as f64;
    // Mean first: a column of one repeated ratio has no variance, whatever its rounding.
    let spread = if trials.iter().all(|sr| Some(sr) == trials.first()) { 0.0 } else { sd(trials)? };
    let quantile = |p: f64| -normal::inverse_cdf(p);
    let best = (1.0 - EULER) * quantile(1.0 / k) + EULER * quantile(1.0 / (k * std::f64::consts::E));
    (trials.len() > 1).then_some(spread * best)
}

/// Deflated Sharpe ratio: [`psr`] above the [`expected_best`] of all trials, one of which the sample is.
pub fn dsr(best: &SharpeSample, trials: &[f64]) -> Option<f64> {
    psr(best, expected_best(trials)?)
}

/// The sample of these returns; `None` without spread.
pub fn sample(returns: &[f64]) -> Option<SharpeSample> {
    let (skew, kurtosis) = crate::metrics::returns::skew_kurtosis(returns)?;
    let sr = mean(returns)? / sd(returns).filter(|sd| *sd > 0.0)?;
    Some(SharpeSample { sr, n: returns.len(), skew, kurtosis })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_trials_ask_for_more() {
        let few = [0.05, 0.11, -0.02, 0.08];
        let many: Vec<f64> = few.iter().copied().cycle().take(400).collect();
        let (few, many) = (expected_best(&few).expect("K ≥ 2"), expected_best(&many).expect("K ≥ 2"));
        assert!(many > 2.0 * few, "{few} {many}");
    }

    #[test]
    fn one_trial_is_not_deflated_and_equal_trials_cost_nothing() {
        assert_eq!(expected_best(&[0.1]), None);
        assert_eq!(expected_best(&[0.1, 0.1, 0.1]), Some(0.0));
        let sample = SharpeSample { sr: 0.1, n: 250, skew: -0.4, kurtosis: 5.0 };
        assert_eq!(dsr(&sample, &[0.1, 0.1]), psr(&sample, 0.0));
        assert_eq!(psr(&SharpeSample { n: 1, ..sample }, 0.0), None);
    }
}
