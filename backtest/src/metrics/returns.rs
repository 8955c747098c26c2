//! Equity → returns per calendar step, and their moments.

use crate::engine::EquityPoint;
use crate::metrics::conventions::Days;

/// Equity at the end of a calendar step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Begin of the step, ms of local time.
    pub local_ms: i64,
    /// Equity at its end.
    pub equity: f64,
}

/// Cuts equity into steps aligned to 00:00 local time. A bar that ends at the boundary belongs to the step it ends.
/// A step without bars keeps the equity of the one before, or is left out if only traded days count.
pub fn steps(equity: &[EquityPoint], step_ms: i64, utc_offset_ms: i64, days: Days) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for point in equity {
        let local_ms = (point.ts_ms + utc_offset_ms - 1).div_euclid(step_ms) * step_ms;
        let now = Step { local_ms, equity: point.equity };
        match steps.last_mut() {
            Some(last) if last.local_ms == local_ms => last.equity = point.equity,
            Some(&mut last) if days == Days::Every => {
                let hole = (last.local_ms + step_ms..local_ms).step_by(step_ms as usize);
                steps.extend(hole.map(|local_ms| Step { local_ms, equity: last.equity }));
                steps.push(now);
            }
            Some(_) | None => steps.push(now),
        }
    }
    steps
}

/// The start capital, then the equity of each step.
pub fn curve(start: f64, steps: &[Step]) -> Vec<f64> {
    std::iter::once(start).chain(steps.iter().map(|step| step.equity)).collect()
}

/// `E_i / E_(i−1) − 1`.
pub fn returns(curve: &[f64]) -> Vec<f64> {
    curve.windows(2).map(|pair| pair[1] / pair[0] - 1.0).collect()
}

/// `E_n / E_0 − 1`.
pub fn total(curve: &[f64]) -> Option<f64> {
    Some(curve.last()? / curve.first()? - 1.0)
}

/// Growth per year: `(E_n/E_0)^(ppy/n) − 1`; `None` without a step, or if nothing is left to grow.
pub fn cagr(curve: &[f64], ppy: f64) -> Option<f64> {
    let n = curve.len().checked_sub(1).filter(|n| *n > 0)?;
    let growth = 1.0 + total(curve)?;
    (growth > 0.0).then(|| libm::pow(growth, ppy / n as f64) - 1.0)
}

/// Arithmetic mean.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Standard deviation, ddof 1; `None` for fewer than two values.
pub fn sd(values: &[f64]) -> Option<f64> {
    let m = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|x| (x - m) * (x - m)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// Population skew and kurtosis (3 for a normal law); `None` without spread.
pub fn skew_kurtosis(values: &[f64]) -> Option<(f64, f64)> {
    let m = mean(values)?;
    let n = values.len() as f64;
    let moment = |k: i32| values.iter().map(|x| (x - m).powi(k)).sum::<f64>() / n;
    let variance = moment(2);
    (variance > 0.0).then(|| (moment(3) / (variance * variance.sqrt()), moment(4) / (variance * variance)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_takes_its_last_point_and_a_hole_keeps_the_last_value() {
        let at = |ts_ms, equity| EquityPoint { ts_ms, equity };
        let points = [at(1, 10.0), at(100, 11.0), at(101, 12.0), at(350, 13.0)];
        let all = steps(&points, 100, 0, Days::Every);
        assert_eq!(curve(9.0, &all), [9.0, 11.0, 12.0, 12.0, 13.0]);
        assert_eq!(curve(9.0, &steps(&points, 100, 0, Days::Traded)), [9.0, 11.0, 12.0, 13.0]);
        assert_eq!(curve(9.0, &steps(&[], 100, 0, Days::Every)), [9.0]);
    }

    #[test]
    fn a_day_begins_at_midnight_of_the_venue() {
        const HOUR_MS: i64 = 3_600_000;
        let points = [15, 17].map(|h| EquityPoint { ts_ms: h * HOUR_MS, equity: h as f64 });
        let days = |offset| steps(&points, 24 * HOUR_MS, offset, Days::Traded).len();
        assert_eq!((days(0), days(8 * HOUR_MS)), (1, 2), "Shanghai's day begins at 16:00 UTC");
    }

    #[test]
    fn what_cannot_be_said_is_none() {
        assert_eq!((cagr(&[1.0], 365.0), sd(&[1.0]), skew_kurtosis(&[2.0, 2.0])), (None, None, None));
        assert_eq!(cagr(&[1.0, -0.5], 365.0), None);
    }
}
