//! Falls of the equity from its peak.

use crate::engine::EquityPoint;

/// The deepest fall. The start capital counts as a peak.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawdown {
    /// `E/peak − 1`, at most 0.
    pub depth: f64,
    /// When the peak was left, ms; the first close if it was the start capital.
    pub peak_ms: i64,
    /// When the bottom was reached, ms.
    pub trough_ms: i64,
    /// When the peak was reached again, ms; `None` if it was not.
    pub recovery_ms: Option<i64>,
}

/// `E/cummax E − 1` of each point, the start capital being the first peak.
pub fn underwater(start: f64, equity: &[EquityPoint]) -> impl Iterator<Item = f64> {
    let mut peak = start;
    equity.iter().map(move |point| {
        peak = peak.max(point.equity);
        point.equity / peak - 1.0
    })
}

/// The deepest fall; `None` if there was none.
pub fn deepest(start: f64, equity: &[EquityPoint]) -> Option<Drawdown> {
    let (mut peak, mut peak_ms) = (start, equity.first()?.ts_ms);
    let mut worst: Option<Drawdown> = None;
    for point in equity {
        if point.equity >= peak {
            close(&mut worst, peak_ms, point.ts_ms);
            (peak, peak_ms) = (point.equity, point.ts_ms);
            continue;
        }
        let depth = point.equity / peak - 1.0;
        if worst.is_none_or(|worst| depth < worst.depth) {
            worst = Some(Drawdown { depth, peak_ms, trough_ms: point.ts_ms, recovery_ms: None });
        }
    }
    worst
}

/// The longest time from a peak until it was reached again, or until the end, ms; `None` without a fall.
pub fn longest_ms(start: f64, equity: &[EquityPoint]) -> Option<i64> {
    let (mut peak, mut peak_ms) = (start, equity.first()?.ts_ms);
    let mut longest = None;
    let mut below = false;
    for point in equity {
        if below || point.equity < peak {
            longest = longest.max(Some(point.ts_ms - peak_ms));
        }
        below = point.equity < peak;
        if !below {
            (peak, peak_ms) = (point.equity, point.ts_ms);
        }
    }
    longest
}

/// The peak at `peak_ms` was reached again.
fn close(worst: &mut Option<Drawdown>, peak_ms: i64, now_ms: i64) {
    if let Some(worst) = worst.as_mut().filter(|w| w.peak_ms == peak_ms && w.recovery_ms.is_none()) {
        worst.recovery_ms = Some(now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(values: &[f64]) -> Vec<EquityPoint> {
        values.iter().zip(1..).map(|(&equity, ts_ms)| EquityPoint { ts_ms, equity }).collect()
    }

    #[test]
    fn the_deepest_fall_with_its_times() {
        let equity = curve(&[100.0, 110.0, 99.0, 105.0, 110.0, 120.0, 110.4, 119.0]);
        let worst = deepest(100.0, &equity).expect("fell");
        assert_eq!((worst.peak_ms, worst.trough_ms, worst.recovery_ms), (2, 3, Some(5)));
        assert!((worst.depth + 0.1).abs() < 1e-15);
        let depths: Vec<f64> = underwater(100.0, &equity).collect();
        assert_eq!(depths.iter().copied().fold(0.0, f64::min), worst.depth);
    }

    #[test]
    fn the_longest_fall_need_not_be_the_deepest() {
        let equity = curve(&[100.0, 110.0, 99.0, 110.0, 120.0, 119.0, 118.0, 119.5, 119.0]);
        assert_eq!(longest_ms(100.0, &equity), Some(4), "from 5 to the end at 9; the deepest took 2");
        assert_eq!(longest_ms(100.0, &equity[..5]), Some(2));
        assert_eq!(longest_ms(100.0, &curve(&[101.0, 102.0])), None);
    }

    #[test]
    fn a_fall_from_the_start_capital_counts_and_a_rise_is_none() {
        assert_eq!(deepest(100.0, &curve(&[95.0])).map(|d| d.recovery_ms), Some(None));
        assert_eq!(deepest(100.0, &curve(&[101.0, 102.0])), None);
    }
}
