//! The only file that names a libm, so that every build gives the same bits; and order statistics.

use serde::{Deserialize, Serialize};

/// 2^x.
pub fn exp2(x: f64) -> f64 {
    libm::exp2(x)
}

/// e^x.
pub fn exp(x: f64) -> f64 {
    libm::exp(x)
}

/// Complementary error function.
pub fn erfc(x: f64) -> f64 {
    libm::erfc(x)
}

/// The number if it is one: undefined is `None`, never NaN or an infinity.
pub fn finite(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}

/// A multiset kept in order: median and MAD without sorting again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sorted {
    values: Vec<f64>,
}

impl Sorted {
    /// Adds a value: a search, and the bytes behind its place move.
    pub fn insert(&mut self, x: f64) {
        let at = self.values.partition_point(|v| v.total_cmp(&x).is_lt());
        self.values.insert(at, x);
    }

    /// Removes one value with these bits, if there is one.
    pub fn remove(&mut self, x: f64) {
        if let Ok(at) = self.values.binary_search_by(|v| v.total_cmp(&x)) {
            self.values.remove(at);
        }
    }

    /// Removes all.
    pub fn clear(&mut self) {
        self.values.clear();
    }

    /// Mean of the middle two for an even count; `None` without values.
    pub fn median(&self) -> Option<f64> {
        middle(self.values.len(), |k| self.values.get(k).copied())
    }

    /// Median of the distances to the median; `None` without values.
    pub fn mad(&self) -> Option<f64> {
        let center = self.median()?;
        let mut distances = self.distances(center);
        let (low, high) = (self.values.len().saturating_sub(1) / 2, self.values.len() / 2);
        let lower = distances.nth(low)?;
        let upper = if high == low { lower } else { distances.next()? };
        Some(mean_of(lower, upper))
    }

    /// Distances to `center` in ascending order: two fingers walk outwards.
    fn distances(&self, center: f64) -> impl Iterator<Item = f64> + '_ {
        let mut right = self.values.partition_point(|v| *v < center);
        let mut left = right;
        std::iter::from_fn(move || {
            let below = left.checked_sub(1).map(|i| center - self.values[i]);
            let above = self.values.get(right).map(|v| v - center);
            match (below, above) {
                (Some(b), a) if a.is_none_or(|a| b <= a) => {
                    left -= 1;
                    below
                }
                (Some(_) | None, _) => {
                    right += 1;
                    above
                }
            }
        })
    }
}

/// The middle of `n` ordered values.
fn middle(n: usize, at: impl Fn(usize) -> Option<f64>) -> Option<f64> {
    let (lower, upper) = (at(n.checked_sub(1)? / 2)?, at(n / 2)?);
    Some(mean_of(lower, upper))
}

/// Exact for equal values.
fn mean_of(a: f64, b: f64) -> f64 {
    if a == b { a } else { (a + b) / 2.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted(values: &[f64]) -> Sorted {
        let mut out = Sorted::default();
        values.iter().for_each(|x| out.insert(*x));
        out
    }

    fn slow_median(mut xs: Vec<f64>) -> Option<f64> {
        xs.sort_by(f64::total_cmp);
        let n = xs.len();
        match n {
            0 => None,
            n if n % 2 == 1 => Some(xs[n / 2]),
            n => Some((xs[n / 2 - 1] + xs[n / 2]) / 2.0),
        }
    }

    #[test]
    fn the_example_of_the_factor_page() {
        let five = sorted(&[3.0, 3.0, 4.0, 5.0, 9.0]);
        assert_eq!((five.median(), five.mad()), (Some(4.0), Some(1.0)));
        assert_eq!(sorted(&[]).mad(), None);
        assert_eq!(sorted(&[2.0, 5.0]).mad(), Some(1.5));
    }

    #[test]
    fn functions_meet_known_values() {
        assert_eq!(exp2(-1.0), 0.5);
        assert_eq!(exp(0.0), 1.0);
        assert!((exp2(0.5) - std::f64::consts::SQRT_2).abs() < 1e-15);
        assert!((exp(1.0) - std::f64::consts::E).abs() < 1e-15);
        assert_eq!((finite(f64::NAN), finite(f64::INFINITY), finite(1.0)), (None, None, Some(1.0)));
    }

    proptest! {
        #[test]
        fn equals_sorting_every_time(
            values in prop::collection::vec((-20i32..20).prop_map(|x| f64::from(x) / 4.0), 1..60),
            gone in 0usize..30,
        ) {
            let mut fast = sorted(&values);
            let gone = gone.min(values.len());
            values[..gone].iter().for_each(|x| fast.remove(*x));
            let left = values[gone..].to_vec();
            let median = slow_median(left.clone());
            prop_assert_eq!(fast.median(), median);
            let distances = left.iter().map(|x| (x - median.unwrap_or(0.0)).abs()).collect();
            prop_assert_eq!(fast.mad(), slow_median(distances));
        }
    }
}
