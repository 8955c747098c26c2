//! Bollinger bands over the closes that a rule sees.

use lobstream_market::factor::technical::{Bands as Band, Bollinger};

use crate::engine::Moment;

/// Running bands of `n` bars. A hole longer than the window itself empties it.
#[derive(Clone, Debug)]
pub(super) struct Bands {
    bollinger: Bollinger,
    n: usize,
    last_ms: Option<i64>,
}

impl Bands {
    pub(super) fn new(n: usize, k: f64) -> Bands {
        Bands { bollinger: Bollinger::new(n, k), n, last_ms: None }
    }

    /// Takes the close of the next bar; `None` until there are n.
    pub(super) fn push(&mut self, now: &Moment<'_>) -> Option<Band> {
        let now_ms = now.now_ms();
        let span_ms = now.step_ms().saturating_mul(i64::try_from(self.n).unwrap_or(i64::MAX));
        if self.last_ms.is_some_and(|last_ms| now_ms - last_ms > span_ms) {
            self.bollinger.clear();
        }
        self.last_ms = Some(now_ms);
        self.bollinger.push(now.close())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::testing::row;
    use crate::dataset::{Dataset, DatasetOptions};

    #[test]
    fn a_hole_longer_than_the_window_empties_it_and_a_shorter_one_does_not() {
        let seconds = [0, 1, 2, 4, 5, 100, 101, 102];
        let rows = seconds.map(|s| row(s, 100.0)).to_vec();
        let data = Dataset::from_rows(rows, &DatasetOptions::default()).expect("dataset");
        let mut bands = Bands::new(3, 2.0);
        let full = (0..seconds.len()).map(|i| bands.push(&Moment::new(&data.series()[0], i)).is_some());
        let full: Vec<bool> = full.collect();
        assert_eq!(full, [false, false, true, true, true, false, false, true]);
    }
}
