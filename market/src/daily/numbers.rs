//! Exact prices, percentages in basis points, and the few statistics of the daily tables.

use crate::factor::maths;

/// A price in 1/10000 CNY, rounded half up: where a price meets a percentage it is compared as an integer.
pub fn e4(price: f64) -> i64 {
    (price * 10_000.0 + 0.5).floor() as i64
}

/// A price in CNY from 1/10000 CNY.
pub fn from_e4(price_e4: i64) -> f64 {
    price_e4 as f64 / 10_000.0
}

/// Is `x` above `of` by more than `bp` basis points? Exactly that much is not above.
pub fn above_by(x: i64, of: i64, bp: i64) -> bool {
    i128::from(x) * 10_000 > i128::from(of) * i128::from(10_000 + bp)
}

/// Is `x` below `of` by more than `bp` basis points? Exactly that much is not below.
pub fn below_by(x: i64, of: i64, bp: i64) -> bool {
    i128::from(x) * 10_000 < i128::from(of) * i128::from(10_000 - bp)
}

/// Is `part` at most `bp` basis points of `whole`?
pub fn within(part: i64, whole: i64, bp: i64) -> bool {
    i128::from(part) * 10_000 <= i128::from(whole) * i128::from(bp)
}

/// Mean and population standard deviation of at least one value, by two chronological sums.
///
/// ```text
/// mean = Σx / n      sd = √(Σ(x − mean)² / n)
/// ```
/// Values that are all equal have a deviation of exactly 0, whatever their mean rounds to.
pub fn mean_sd(values: &[f64]) -> (f64, f64) {
    let (mean, sd) = moments(values);
    (mean, if values.iter().all(|x| *x == values[0]) { 0.0 } else { sd })
}

/// Windows whose sums grow side by side.
const LANES: usize = 8;

/// [`mean_sd`] of each window of `n` values, in order; nothing of fewer values. Several windows are summed side by
/// side, each in its own order of time, so that every number is the same to the bit.
pub fn rolling_mean_sd(values: &[f64], n: usize) -> impl Iterator<Item = (f64, f64)> {
    let n_windows = (values.len() + 1).saturating_sub(n);
    let mut equal = 0;
    // Values up to each end that equal the one before: a window of only those has no deviation.
    let flat = (0..values.len()).map(move |i| {
        equal = if i > 0 && values[i] == values[i - 1] { equal + 1 } else { 1 };
        equal >= n
    });
    let blocks = (0..n_windows).step_by(LANES).flat_map(move |first| {
        let lanes = LANES.min(n_windows - first);
        let pairs = match values.get(first..first + n + LANES - 1) {
            Some(all) => block(all, n),
            None => std::array::from_fn(|lane| match lane < lanes {
                true => moments(&values[first + lane..first + lane + n]),
                false => (0.0, 0.0),
            }),
        };
        pairs.into_iter().take(lanes)
    });
    blocks.zip(flat.skip(n.saturating_sub(1))).map(|((mean, sd), flat)| (mean, if flat { 0.0 } else { sd }))
}

/// Mean and deviation of the windows that begin at the first, second … value.
fn block(values: &[f64], n: usize) -> [(f64, f64); LANES] {
    let (mut sums, mut squares) = ([0.0; LANES], [0.0; LANES]);
    for lane in values.windows(LANES).take(n).filter_map(<[f64]>::first_chunk::<LANES>) {
        for (sum, x) in sums.iter_mut().zip(lane) {
            *sum += x;
        }
    }
    let means = sums.map(|sum| sum / n as f64);
    for lane in values.windows(LANES).take(n).filter_map(<[f64]>::first_chunk::<LANES>) {
        for ((square, x), mean) in squares.iter_mut().zip(lane).zip(&means) {
            *square += (x - mean) * (x - mean);
        }
    }
    std::array::from_fn(|lane| (means[lane], (squares[lane] / n as f64).sqrt()))
}

/// The two sums of one window, whether its values differ or not.
fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
    (mean, (squares / n).sqrt())
}

/// `(x − mean) / sd` of the last value among all; `None` if they are all equal or none.
pub fn zscore_of_last(values: &[f64]) -> Option<f64> {
    let last = values.last()?;
    let (mean, sd) = mean_sd(values);
    (sd != 0.0).then(|| (last - mean) / sd)
}

/// The `q`-quantile by linear interpolation, q in [0, 1]; reorders the values. `None` without values.
///
/// ```text
/// h = (n − 1)·q    i = ⌊h⌋    t = h − i    a = v[i]    b = v[i + 1]
/// a + (b − a)·t if t < 0.5, else b − (b − a)·(1 − t)
/// ```
pub fn quantile(values: &mut [f64], q: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let h = last as f64 * q;
    let i = (h.floor() as usize).min(last);
    let t = h - i as f64;
    let (_, a, above) = values.select_nth_unstable_by(i, f64::total_cmp);
    let a = *a;
    let b = above.iter().copied().min_by(f64::total_cmp).unwrap_or(a);
    Some(if t < 0.5 { a + (b - a) * t } else { b - (b - a) * (1.0 - t) })
}

/// Pearson correlation of two series of one length; `None` below three pairs or if one does not vary.
pub fn correlation(xs: &[f64], ys: &[f64]) -> Option<f64> {
    debug_assert_eq!(xs.len(), ys.len());
    if xs.len() < 3 {
        return None;
    }
    let ((mx, sx), (my, sy)) = (mean_sd(xs), mean_sd(ys));
    let together: f64 = xs.iter().zip(ys).map(|(x, y)| (x - mx) * (y - my)).sum();
    (sx != 0.0 && sy != 0.0).then(|| together / (xs.len() as f64 * sx * sy))
}

/// Distribution function of the standard normal distribution.
pub fn normal_cdf(z: f64) -> f64 {
    0.5 * maths::erfc(-z / std::f64::consts::SQRT_2)
}

/// `a / b`; `None` if `b` is 0.
pub fn ratio(a: f64, b: f64) -> Option<f64> {
    (b != 0.0).then(|| a / b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_that_is_met_exactly_is_not_exceeded() {
        let level = e4(10.0);
        assert!(!above_by(e4(10.05), level, 50) && above_by(e4(10.0501), level, 50));
        assert!(!below_by(e4(9.95), level, 50) && below_by(e4(9.9499), level, 50));
        assert!(within(e4(0.05), level, 50) && !within(e4(0.0501), level, 50));
    }

    #[test]
    fn equal_values_have_no_deviation_and_no_zscore() {
        assert_eq!(mean_sd(&[20.1; 7]).1, 0.0);
        assert_eq!(zscore_of_last(&[0.1; 3]), None);
        assert_eq!(zscore_of_last(&[1.0, 3.0]), Some(1.0));
        assert_eq!(correlation(&[1.0, 2.0, 3.0], &[5.0; 3]), None);
        assert_eq!(correlation(&[1.0, 2.0], &[1.0, 2.0]), None);
    }

    #[test]
    fn quantiles_do_not_depend_on_the_order_of_values() {
        let sorted = [1.0, 2.0, 2.0, 5.0, 9.0, 11.0];
        let mut mixed = [9.0, 2.0, 11.0, 1.0, 5.0, 2.0];
        for q in [0.0, 0.1, 0.33, 0.5, 0.77, 0.9, 1.0] {
            let h = q * 5.0;
            let i = (h as usize).min(4);
            let slow = sorted[i] + (sorted[i + 1] - sorted[i]) * (h - i as f64);
            let fast = quantile(&mut mixed, q).expect("values");
            assert!((fast - slow).abs() < 1e-12, "{q}: {fast} {slow}");
        }
        assert_eq!(quantile(&mut [], 0.5), None);
    }
}
