//! Equity → returns per calendar step, and their moments.

use crate::engine::EquityPoint;

/// Equity at the end of each calendar step, aligned to 00:00 UTC, the start capital first.
/// A step without bars keeps the equity of the one before. A bar that ends at the boundary belongs to the step it ends.
pub fn resample(start: f64, equity: &[EquityPoint], step_ms: i64) -> Vec<f64> {
    let mut curve = vec![start];
    let step = |ts_ms: i64| (ts_ms - 1).div_euclid(step_ms);
    let mut known: Option<(i64, f64)> = None;
    for point in equity {
        let now = step(point.ts_ms);
        if let Some((before, value)) = known {
            curve.extend((before..now).map(|_| value));
        }
        known = Some((now, point.equity));
    }
    curve.extend(known.map(|(_, value)| value));
    curve
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
        assert_eq!(resample(9.0, &points, 100), [9.0, 11.0, 12.0, 12.0, 13.0]);
        assert_eq!(resample(9.0, &[], 100), [9.0]);
    }

    #[test]
    fn what_cannot_be_said_is_none() {
        assert_eq!((cagr(&[1.0], 365.0), sd(&[1.0]), skew_kurtosis(&[2.0, 2.0])), (None, None, None));
        assert_eq!(cagr(&[1.0, -0.5], 365.0), None);
    }
}
