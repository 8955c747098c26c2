//! How late records were released: quantiles from counters, in constant memory.

use std::time::Duration;

/// Sub-buckets per power of two: quantiles are at most 1/16 too high.
const FINE: u32 = 4;

/// Lateness of the records released so far.
#[derive(Clone, Debug)]
pub struct Drift {
    counts: Vec<u64>,
    n: u64,
    max: Duration,
    last: Duration,
    span: Duration,
}

impl Default for Drift {
    fn default() -> Drift {
        let counts = vec![0; bucket(u64::MAX) + 1];
        Drift { counts, n: 0, max: Duration::ZERO, last: Duration::ZERO, span: Duration::ZERO }
    }
}

impl Drift {
    pub(super) fn add(&mut self, late: Duration, due: Duration) {
        self.counts[bucket(u64::try_from(late.as_nanos()).unwrap_or(u64::MAX))] += 1;
        self.n += 1;
        self.max = self.max.max(late);
        self.last = late;
        self.span = self.span.max(due);
    }

    /// Records released.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// The lateness that a share `q` (0 to 1) of the records did not exceed, rounded up by at most 1/16;
    /// zero before any record.
    pub fn quantile(&self, q: f64) -> Duration {
        let rank = ((self.n as f64 * q).ceil() as u64).clamp(1, self.n.max(1));
        let mut seen = 0;
        for (i, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(upper(i)).min(self.max);
            }
        }
        self.max
    }

    /// The lateness of the newest record.
    pub fn last(&self) -> Duration {
        self.last
    }

    /// The greatest lateness.
    pub fn max(&self) -> Duration {
        self.max
    }

    /// Lateness of the last record as a share of the whole schedule: what added up. Zero for an empty
    /// schedule.
    pub fn total(&self) -> f64 {
        if self.span.is_zero() { 0.0 } else { self.last.as_secs_f64() / self.span.as_secs_f64() }
    }
}

/// Bucket of a number: exact below 32, then 16 per power of two.
fn bucket(n: u64) -> usize {
    let shift = (63 - (n | 1).leading_zeros()).saturating_sub(FINE);
    (shift as usize) * (1 << FINE) + (n >> shift) as usize
}

/// Greatest number of a bucket.
fn upper(bucket: usize) -> u64 {
    let shift = (bucket >> FINE).saturating_sub(1) as u32;
    let base = (bucket as u64) - ((shift as u64) << FINE);
    base.wrapping_add(1).wrapping_shl(shift).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_ordered_and_hold_their_numbers() {
        let mut numbers: Vec<u64> = (0..5_000).collect();
        numbers.extend((0..64).flat_map(|p| [(1_u64 << p) - 1, 1 << p, (1 << p) + 1]));
        numbers.push(u64::MAX);
        for &n in &numbers {
            let i = bucket(n);
            assert!(n <= upper(i) && upper(i) - n <= n / 16, "{n} in bucket {i} up to {}", upper(i));
            assert!(i == 0 || upper(i - 1) < n, "{n} is above bucket {}", i - 1);
        }
    }

    #[test]
    fn quantiles_agree_with_a_sorted_list() {
        let mut drift = Drift::default();
        let mut late: Vec<u64> = (1..=1_000_u64).map(|i| i * i * 37 % 900_001).collect();
        for &n in &late {
            drift.add(Duration::from_nanos(n), Duration::from_nanos(1_000_000));
        }
        late.sort_unstable();
        for (q, exact) in [(0.5, late[499]), (0.99, late[989]), (1.0, late[999])] {
            let got = drift.quantile(q).as_nanos() as u64;
            assert!(got >= exact && got - exact <= exact / 16, "q {q}: {got}, exactly {exact}");
        }
        assert_eq!(drift.max(), Duration::from_nanos(late[999]));
        assert_eq!(Drift::default().quantile(0.5), Duration::ZERO);
    }

    #[test]
    fn what_adds_up_is_measured_against_the_schedule() {
        let mut drift = Drift::default();
        drift.add(Duration::from_secs(3), Duration::from_secs(10));
        drift.add(Duration::from_secs(1), Duration::from_secs(100));
        assert_eq!((drift.total(), drift.n()), (0.01, 2));
        assert_eq!(Drift::default().total(), 0.0);
    }
}
