//! `Spread`: how long something took, many times: median, tail, most. Bounded, and any thread may add.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets: below 16 µs one for each, then eight for each doubling. A quantile is at most an eighth too high.
const EXACT: u64 = 16;
const PARTS: u64 = 8;
const N: usize = 8 * 60 + EXACT as usize;

/// Durations in buckets.
#[derive(Debug)]
pub(crate) struct Spread {
    buckets: Box<[AtomicU64]>,
    most: AtomicU64,
}

/// What a spread of times says. All zero if nothing was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Took {
    /// How often.
    pub n: u64,
    /// Half of them took no longer, to within an eighth.
    pub p50: Duration,
    /// 99 of 100 took no longer, to within an eighth.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

impl Default for Spread {
    fn default() -> Spread {
        Spread { buckets: (0..N).map(|_| AtomicU64::new(0)).collect(), most: AtomicU64::new(0) }
    }
}

impl Spread {
    pub(crate) fn add(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(micros)].fetch_add(1, Ordering::Relaxed);
        self.most.fetch_max(micros, Ordering::Relaxed);
    }

    pub(crate) fn took(&self) -> Took {
        let counts: Vec<u64> = self.buckets.iter().map(|n| n.load(Ordering::Relaxed)).collect();
        let (n, most) = (counts.iter().sum::<u64>(), self.most.load(Ordering::Relaxed));
        let quantile = |percent: u64| {
            let mut left = (n * percent).div_ceil(100);
            let at = counts.iter().position(|count| {
                left = left.saturating_sub(*count);
                left == 0
            });
            Duration::from_micros(at.map_or(0, upper).min(most))
        };
        Took { n, p50: quantile(50), p99: quantile(99), max: Duration::from_micros(most) }
    }
}

fn bucket(micros: u64) -> usize {
    if micros < EXACT {
        return micros as usize;
    }
    let doubling = u64::from(micros.ilog2()) - 4;
    (EXACT + doubling * PARTS + ((micros >> (doubling + 1)) - PARTS)) as usize
}

/// Greatest value of a bucket.
fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < EXACT {
        return bucket;
    }
    let (doubling, part) = ((bucket - EXACT) / PARTS, (bucket - EXACT) % PARTS);
    ((PARTS + part + 1) << (doubling + 1)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_has_its_bucket_in_order() {
        let mut last = 0;
        for micros in (0..100_000).chain((17..60).map(|bits| 1 << bits)) {
            let at = bucket(micros);
            assert!(at >= last && at < N, "{micros}");
            assert!(
                upper(at) >= micros && upper(at) <= micros + micros / 8,
                "{micros} in {at}: {}",
                upper(at)
            );
            last = at;
        }
        assert!(bucket(u64::MAX) < N);
    }

    #[test]
    fn quantiles_are_those_of_a_sorted_list() {
        let spread = Spread::default();
        assert_eq!(spread.took(), Took::default());
        let mut all: Vec<u64> = (0..1_000).map(|n| n * n).collect();
        all.iter().rev().for_each(|micros| spread.add(Duration::from_micros(*micros)));
        all.sort_unstable();
        let took = spread.took();
        for (got, expected) in [(took.p50, all[499]), (took.p99, all[989])] {
            let got = got.as_micros() as u64;
            assert!(got >= expected && got <= expected + expected / 8, "{got} for {expected}");
        }
        assert_eq!((took.n, took.max), (1_000, Duration::from_micros(999 * 999)));
    }
}
