//! Indicators on a series of rows or bars: Bollinger bands.

use serde::{Deserialize, Serialize};

use crate::factor::maths::finite;
use crate::factor::window::Moments;

/// The bands after a value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bands {
    /// Mean of the window.
    pub mid: f64,
    /// `mid` + k·sd.
    pub up: f64,
    /// `mid` − k·sd.
    pub lo: f64,
    /// (x − lo)/(up − lo): 0..1 inside the bands, not clamped. `None` if the window is flat.
    pub pct_b: Option<f64>,
    /// (up − lo)/mid; 0 if the window is flat. `None` if the mean is 0.
    pub width: Option<f64>,
}

/// Bollinger bands with the population standard deviation.
///
/// ```text
/// mid = mean of the last n values      up, lo = mid ± k·sd
/// ```
/// ```
/// # use lobstream_market::factor::technical::Bollinger;
/// let mut bollinger = Bollinger::new(4, 2.0);
/// let bands = [10.0, 12.0, 11.0, 15.0].map(|x| bollinger.push(x));
/// assert_eq!(bands[2], None, "no bands before n values");
/// assert_eq!(bands[3].map(|b| b.mid), Some(12.0));
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bollinger {
    window: Moments,
    k: f64,
}

impl Bollinger {
    /// Over the last `n` values, `k` standard deviations wide; usual are 20 and 2.
    pub fn new(n: usize, k: f64) -> Bollinger {
        Bollinger { window: Moments::new(n), k }
    }

    /// The bands with this finite value as the newest of the window; `None` until there are n values.
    /// A missing value is not pushed.
    pub fn push(&mut self, x: f64) -> Option<Bands> {
        self.window.push(x);
        if !self.window.is_full() {
            return None;
        }
        let (mid, reach) = (self.window.mean(), self.k * self.window.sd(0)?);
        let (up, lo) = (mid + reach, mid - reach);
        let flat = self.window.is_flat();
        let pct_b = if flat { None } else { finite((x - lo) / (up - lo)) };
        let width = if flat { Some(0.0) } else { finite((up - lo) / mid) };
        Some(Bands { mid, up, lo, pct_b, width })
    }

    /// Forgets the values: after a hole that the bands must not bridge.
    pub fn clear(&mut self) {
        self.window.clear();
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use ta::Next;
    use ta::indicators::BollingerBands;

    use super::*;

    #[test]
    fn the_example_of_the_factor_page() {
        let mut bollinger = Bollinger::new(4, 2.0);
        let bands = [10.0, 12.0, 11.0, 15.0].map(|x| bollinger.push(x))[3].expect("four values");
        let near = |got: f64, want: f64| assert!((got - want).abs() < 1e-6, "{got} for {want}");
        near(bands.up, 15.741657);
        near(bands.lo, 8.258343);
        assert!((bands.pct_b.expect("not flat") - 0.9008918628686367).abs() < 1e-12);
        assert!((bands.width.expect("mean") - 0.6236095644623235).abs() < 1e-12);
    }

    /// The crate emits from the first value on over a growing window; from the n-th on it must agree.
    #[test]
    fn equals_crate_ta_once_the_window_is_full() {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let (mut ours, mut theirs) = (Bollinger::new(20, 2.0), BollingerBands::new(20, 2.0).expect("period"));
        let mut price = 100.0;
        for i in 0..5_000 {
            price += rng.random::<f64>() - 0.5;
            let want = theirs.next(price);
            let Some(got) = ours.push(price) else {
                assert!(i < 19);
                continue;
            };
            assert!(i >= 19);
            for (got, want) in [(got.mid, want.average), (got.up, want.upper), (got.lo, want.lower)] {
                assert!((got - want).abs() <= 1e-8 * want.abs(), "value {i}: {got} for {want}");
            }
        }
    }

    #[test]
    fn a_flat_window_has_no_percent_b_and_no_width() {
        let mut bollinger = Bollinger::new(3, 2.0);
        let bands = [0.1, 0.1, 0.1].map(|x| bollinger.push(x))[2];
        let flat = Bands { mid: 0.1, up: 0.1, lo: 0.1, pct_b: None, width: Some(0.0) };
        assert_eq!(bands, Some(flat));
    }
}
