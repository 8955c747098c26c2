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
