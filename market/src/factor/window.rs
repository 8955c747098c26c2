//! The last n values, and their mean and spread as running sums that do not drift.

use serde::{Deserialize, Serialize};

/// The last `size` values pushed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ring {
    size: usize,
    values: Vec<f64>,
    next: usize,
}

impl Ring {
    /// Empty, for at least one value.
    pub fn new(size: usize) -> Ring {
        let size = size.max(1);
        Ring { size, values: Vec::with_capacity(size), next: 0 }
    }

    /// Takes a value in; the one that it pushes out, if the ring was full.
    pub fn push(&mut self, x: f64) -> Option<f64> {
        let slot = self.next;
        self.next = (slot + 1) % self.size;
        match self.values.get_mut(slot) {
            Some(old) => Some(std::mem::replace(old, x)),
            None => {
                self.values.push(x);
                None
            }
        }
    }

    /// How many values it holds.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// It holds none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// From the oldest to the newest.
    pub fn iter(&self) -> impl Iterator<Item = f64> + '_ {
        let oldest = if self.values.len() == self.size { self.next } else { 0 };
        self.values[oldest..].iter().chain(&self.values[..oldest]).copied()
    }

    /// Removes all.
    pub fn clear(&mut self) {
        self.values.clear();
        self.next = 0;
    }
}

/// Below this share of the largest square sum since the last rebase, rounding would be seen in the spread.
const REBASE_BELOW: f64 = 1e-6;

/// A ring with mean and spread.
///
/// Keeps Σ(x − s) and Σ(x − s)² of a shift s. Both are computed anew, with s = mean, each time the ring has
/// turned once, and at once when the spread has become small beside what went through the sums: a single
/// outlier would otherwise leave its rounding error behind when it goes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Moments {
    ring: Ring,
    shift: f64,
    sum: f64,
    square: f64,
    peak: f64,
    last: f64,
    run: usize,
}

impl Moments {
    /// Empty.
    pub fn new(size: usize) -> Moments {
        Moments { ring: Ring::new(size), shift: 0.0, sum: 0.0, square: 0.0, peak: 0.0, last: 0.0, run: 0 }
    }

    /// Takes a finite value in; the one that it pushes out.
    pub fn push(&mut self, x: f64) -> Option<f64> {
        if self.ring.is_empty() {
            self.shift = x;
        }
        self.run = if !self.ring.is_empty() && x == self.last { self.run.saturating_add(1) } else { 1 };
        self.last = x;
        let out = self.ring.push(x);
        self.add(x - self.shift, 1.0);
        if let Some(old) = out {
            self.add(old - self.shift, -1.0);
        }
        self.peak = self.peak.max(self.square);
        if self.ring.next == 0 || self.scatter() < REBASE_BELOW * self.peak {
            self.rebase();
        }
        out
    }

    fn add(&mut self, d: f64, sign: f64) {
        self.sum += sign * d;
        self.square += sign * (d * d);
    }

    fn rebase(&mut self) {
        self.shift = self.mean();
        (self.sum, self.square) = (0.0, 0.0);
        for d in self.ring.iter().map(|x| x - self.shift) {
            self.sum += d;
            self.square += d * d;
        }
        self.peak = self.square;
    }

    /// How many values it holds.
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// It holds none.
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// It holds as many as it can.
    pub fn is_full(&self) -> bool {
        self.ring.len() == self.ring.size
    }

    /// All its values are equal, exactly.
    pub fn is_flat(&self) -> bool {
        self.run >= self.ring.len()
    }

    /// The mean; of a flat window its very value. 0 without values.
    pub fn mean(&self) -> f64 {
        if self.is_flat() { self.last } else { self.shift + self.sum / self.ring.len() as f64 }
    }

    /// Standard deviation with divisor n − `ddof`; of a flat window 0. `None` if the divisor is not positive.
    pub fn sd(&self, ddof: usize) -> Option<f64> {
        let divisor = self.ring.len().checked_sub(ddof).filter(|d| *d > 0)?;
        if self.is_flat() {
            return Some(0.0);
        }
        Some((self.scatter() / divisor as f64).sqrt())
    }

    /// Σ(x − mean)².
    fn scatter(&self) -> f64 {
        (self.square - self.sum * self.sum / self.ring.len() as f64).max(0.0)
    }

    /// Removes all.
    pub fn clear(&mut self) {
        *self = Moments::new(self.ring.size);
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// The obvious computation: two passes over what the window holds.
    fn two_pass(values: &[f64], ddof: usize) -> (f64, f64) {
        let n = values.len() as f64;
        let base = values[0];
        let mean = base + values.iter().map(|x| x - base).sum::<f64>() / n;
        let square: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
        (mean, (square / (n - ddof as f64)).sqrt())
    }

    fn compare(stream: impl Iterator<Item = f64>, size: usize, every: usize) {
        let (mut window, mut kept) = (Moments::new(size), Vec::new());
        for (i, x) in stream.enumerate() {
            kept.push(x);
            let out = window.push(x);
            assert_eq!(out, (kept.len() > size).then(|| kept.remove(0)), "push {i}");
            if i % every == 0 && kept.len() > 1 {
                let (mean, sd) = two_pass(&kept, 1);
                let got = window.sd(1).expect("two values");
                assert!((window.mean() - mean).abs() <= 1e-8 * sd.max(f64::MIN_POSITIVE), "mean at {i}");
                assert!((got - sd).abs() <= 1e-8 * sd, "sd at {i}: {got} for {sd}");
            }
        }
    }

    #[test]
    fn a_million_pushes_far_from_zero_do_not_drift() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        compare((0..1_000_000).map(|_| 1e9 + rng.random::<f64>() * 3.4), 300, 997);
    }

    #[test]
    fn an_outlier_leaves_no_rounding_error_behind() {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let noise = (0..3_000).map(|i| if i % 401 == 7 { 1e9 } else { rng.random::<f64>() });
        compare(noise, 50, 1);
    }

    #[test]
    fn a_constant_run_longer_than_the_window_is_flat_exactly() {
        let mut window = Moments::new(4);
        for x in [0.1, 0.3, 0.3, 0.3] {
            window.push(x);
            assert_eq!(window.is_flat(), window.len() == 1);
        }
        window.push(0.3);
        assert!(window.is_flat() && window.is_full());
        assert_eq!((window.mean(), window.sd(0)), (0.3, Some(0.0)));
        window.push(0.4);
        assert!(!window.is_flat());
    }

    #[test]
    fn a_ring_reads_from_old_to_new() {
        let mut ring = Ring::new(3);
        let out: Vec<_> = [1.0, 2.0, 3.0, 4.0, 5.0].map(|x| ring.push(x)).into_iter().collect();
        assert_eq!(out, [None, None, None, Some(1.0), Some(2.0)]);
        assert_eq!(ring.iter().collect::<Vec<_>>(), [3.0, 4.0, 5.0]);
        ring.clear();
        ring.push(9.0);
        assert_eq!(ring.iter().collect::<Vec<_>>(), [9.0]);
    }
}
