//! Mean and standard deviation of the last n closes, read straight off the column.
//!
//! The sums are those of `lobstream_market`'s moments, in the same order and with the same rebasing, so that bands
//! are equal to the bit; only the ring buffer is saved, because the column still holds the values that leave.

use crate::dataset::Series;

/// Below this share of the largest square sum since the last rebase, rounding would be seen in the spread.
const REBASE_BELOW: f64 = 1e-6;

/// Where a pass gets its bands.
pub trait BandSource {
    /// Mean and population standard deviation of the window that ends with bar `i`; NaN while it is not full.
    /// Called once per bar, in order.
    fn at(&mut self, i: usize) -> (f64, f64);
}

/// Bands computed on the way.
#[derive(Debug)]
pub struct Rolling<'a> {
    close: &'a [f64],
    ts_ms: &'a [i64],
    n: usize,
    /// A longer hole than this empties the window, ms.
    hole_ms: i64,
    /// First bar of the window's history.
    begin: usize,
    /// Bars until the sums are computed anew.
    until_rebase: usize,
    shift: f64,
    sum: f64,
    square: f64,
    peak: f64,
    run: usize,
}

impl<'a> Rolling<'a> {
    /// Over windows of `n` bars, at least one.
    pub fn new(series: &'a Series, n: usize) -> Rolling<'a> {
        let n = n.max(1);
        let hole_ms = series.step_ms.saturating_mul(i64::try_from(n).unwrap_or(i64::MAX));
        let (close, ts_ms) = (&series.bars.close[..], &series.bars.ts_ms[..series.bars.close.len()]);
        let (shift, sum, square, peak) = (0.0, 0.0, 0.0, 0.0);
        Rolling { close, ts_ms, n, hole_ms, begin: 0, until_rebase: n, shift, sum, square, peak, run: 0 }
    }

    fn restart(&mut self, i: usize) {
        (self.begin, self.until_rebase, self.run) = (i, self.n, 0);
        (self.shift, self.sum, self.square, self.peak) = (self.close[i], 0.0, 0.0, 0.0);
    }

    /// Σ(x − mean)² of a window of `len` values.
    #[inline(always)]
    fn scatter(&self, len: f64) -> f64 {
        (self.square - self.sum * self.sum / len).max(0.0)
    }

    #[inline(always)]
    fn mean(&self, i: usize, len: usize) -> f64 {
        if self.run >= len { self.close[i] } else { self.shift + self.sum / len as f64 }
    }

    #[cold]
    #[inline(never)]
    fn rebase(&mut self, i: usize, len: usize) {
        self.shift = self.mean(i, len);
        (self.sum, self.square) = (0.0, 0.0);
        for x in &self.close[i + 1 - len..=i] {
            let d = x - self.shift;
            self.sum += d;
            self.square += d * d;
        }
        self.peak = self.square;
    }
}

impl BandSource for Rolling<'_> {
    #[inline(always)]
    fn at(&mut self, i: usize) -> (f64, f64) {
        let x = self.close[i];
        if i == 0 || self.ts_ms[i] - self.ts_ms[i - 1] > self.hole_ms {
            self.restart(i);
        }
        self.run = if self.run > 0 && x == self.close[i - 1] { self.run + 1 } else { 1 };
        let d = x - self.shift;
        self.sum += d;
        self.square += d * d;
        let seen = i + 1 - self.begin;
        let len = seen.min(self.n);
        if seen > self.n {
            let out = self.close[i - self.n] - self.shift;
            self.sum -= out;
            self.square -= out * out;
        }
        self.peak = self.peak.max(self.square);
        self.until_rebase -= 1;
        let mut scatter = self.scatter(len as f64);
        if self.until_rebase == 0 || scatter < REBASE_BELOW * self.peak {
            if self.until_rebase == 0 {
                self.until_rebase = self.n;
            }
            self.rebase(i, len);
            scatter = self.scatter(len as f64);
        }
        if len < self.n {
            return (f64::NAN, f64::NAN);
        }
        let sd = if self.run >= len { 0.0 } else { (scatter / len as f64).sqrt() };
        (self.mean(i, len), sd)
    }
}

/// Bands of one window length over a whole series, for many rules that share it.
#[derive(Clone, Debug, PartialEq)]
pub struct BandColumns {
    mean: Vec<f64>,
    sd: Vec<f64>,
}

impl BandColumns {
    /// Computes them once.
    pub fn new(series: &Series, n: usize) -> BandColumns {
        let mut rolling = Rolling::new(series, n);
        let (mean, sd) = (0..series.bars.len()).map(|i| rolling.at(i)).unzip();
        BandColumns { mean, sd }
    }
}

impl BandSource for &BandColumns {
    #[inline(always)]
    fn at(&mut self, i: usize) -> (f64, f64) {
        (self.mean[i], self.sd[i])
    }
}

#[cfg(test)]
mod tests {
    use lobstream_market::factor::window::Moments;

    use super::*;

    /// Noise, an outlier, a flat stretch and holes: every branch of the sums.
    fn series() -> Series {
        let mut state = 7u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / (1u64 << 31) as f64 - 0.5
        };
        let price = |i: usize, x: f64| match i {
            700 => 1e9,
            1_200..1_300 => 55.5,
            _ => 100.0 + x,
        };
        let bars: Vec<[f64; 4]> = (0..3_000).map(|i| [price(i, noise()); 4]).collect();
        let mut series = Series::from_ohlc("v", "S", 60_000, 0, &bars).expect("series");
        for (i, ts) in series.bars.ts_ms.iter_mut().enumerate() {
            *ts += (i / 500) as i64 * 3_600_000;
        }
        series
    }

    #[test]
    fn the_bits_are_those_of_the_moments() {
        let series = series();
        for n in [2, 3, 20, 59, 61, 400] {
            let (columns, mut moments) = (BandColumns::new(&series, n), Moments::new(n));
            let mut last: Option<i64> = None;
            for i in 0..series.bars.len() {
                let ts = series.bars.ts_ms[i];
                if last.is_some_and(|last| ts - last > 60_000 * n as i64) {
                    moments.clear();
                }
                last = Some(ts);
                moments.push(series.bars.close[i]);
                let want = moments.is_full().then(|| (moments.mean(), moments.sd(0).expect("values")));
                let got = (columns.mean[i], columns.sd[i]);
                match want {
                    Some((mean, sd)) => {
                        assert_eq!(
                            (got.0.to_bits(), got.1.to_bits()),
                            (mean.to_bits(), sd.to_bits()),
                            "n {n}, bar {i}"
                        );
                    }
                    None => assert!(got.0.is_nan() && got.1.is_nan(), "n {n}, bar {i}"),
                }
            }
        }
    }
}
