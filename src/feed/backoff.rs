//! How long to wait before the next attempt: longer each time, never two clients in step.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// `cap = min(cap_max, base · 2^n)`, and a delay in `[cap/2, cap)`, uniform from a seeded generator.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    base: Duration,
    n: u32,
    dice: ChaCha8Rng,
}

const CAP_MAX: Duration = Duration::from_secs(30);

impl Backoff {
    pub(crate) fn new(base: Duration, seed: u64) -> Backoff {
        Backoff { base, n: 0, dice: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// The delay before the next attempt, which is longer the more there were.
    pub(crate) fn next(&mut self) -> Duration {
        let cap = self.cap();
        self.n = self.n.saturating_add(1);
        let half = cap.as_nanos() as u64 / 2;
        let jitter = (u128::from(self.dice.next_u64()) * u128::from(half)) >> 64;
        Duration::from_nanos(half + jitter as u64)
    }

    /// Things went well for a while.
    pub(crate) fn reset(&mut self) {
        self.n = 0;
    }

    /// Did an attempt fail since things went well?
    pub(crate) fn is_fresh(&self) -> bool {
        self.n == 0
    }

    fn cap(&self) -> Duration {
        self.base.saturating_mul(1u32.checked_shl(self.n).unwrap_or(u32::MAX)).min(CAP_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_backoff() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/spec/vectors/book_sync.json");
        let Ok(text) = std::fs::read_to_string(path) else {
            crate::said(&format!("SKIPPED the_vectors_of_backoff: {path} is absent"));
            return;
        };
        let all: serde_json::Value = serde_json::from_str(&text).expect("json");
        let case = &all["backoff"];
        let base = Duration::from_millis(case["base_ms"].as_u64().expect("base"));
        let bounds = case["bounds"].as_array().expect("bounds");
        let caps = case["cap_n"].as_array().expect("caps");
        for seed in 0..200 {
            let mut backoff = Backoff::new(base, seed);
            for (bound, cap) in bounds.iter().zip(caps) {
                assert_eq!(backoff.cap().as_millis() as u64, cap.as_u64().expect("cap"));
                let delay = backoff.next();
                let [low, high] = [0, 1].map(|i| Duration::from_millis(bound[i].as_u64().expect("ms")));
                assert!(low <= delay && delay < high, "{delay:?} is not in {bound}");
            }
            backoff.reset();
            assert!(backoff.is_fresh() && backoff.next() < base);
        }
    }

    #[test]
    fn many_failures_do_not_overflow() {
        let mut backoff = Backoff::new(Duration::from_secs(1), 1);
        assert!((0..100).map(|_| backoff.next()).all(|delay| delay < CAP_MAX));
    }
}
