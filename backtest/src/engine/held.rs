//! An open position: its levels, and how far the price went with and against it.

use crate::engine::{Brackets, tick};
use crate::model::Side;

/// An open position. A level that does not exist lies at infinity, so that it is never reached.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) side: Side,
    pub(super) i0: usize,
    pub(super) decided_in: usize,
    pub(super) entry_ms: i64,
    pub(super) entry: f64,
    pub(super) qty: f64,
    pub(super) notional: f64,
    pub(super) slippage: f64,
    pub(super) sl: f64,
    pub(super) tp: f64,
    pub(super) high: f64,
    pub(super) low: f64,
}

impl Held {
    pub(super) fn stop_reached(&self, px: f64) -> bool {
        match self.side {
            Side::Long => px <= self.sl,
            Side::Short => px >= self.sl,
        }
    }

    pub(super) fn target_reached(&self, px: f64) -> bool {
        match self.side {
            Side::Long => px >= self.tp,
            Side::Short => px <= self.tp,
        }
    }

    pub(super) fn note(&mut self, low: f64, high: f64) {
        self.low = self.low.min(low);
        self.high = self.high.max(high);
    }

    /// Worst and best move as fractions of the entry.
    pub(super) fn excursions(&self) -> (f64, f64) {
        let (down, up) = (self.low / self.entry - 1.0, self.high / self.entry - 1.0);
        match self.side {
            Side::Long => (down.min(0.0), up.max(0.0)),
            Side::Short => ((-up).min(0.0), (-down).max(0.0)),
        }
    }
}

/// Stop and target of an entry, at whole ticks where the market has some.
pub(super) fn levels(side: Side, entry: f64, brackets: &Brackets, market_tick: Option<f64>) -> (f64, f64) {
    let s = side.sign();
    let at_tick = |px: f64| market_tick.map_or(px, |market_tick| tick::nearest(px, market_tick));
    let sl = brackets.sl.map_or(-s * f64::INFINITY, |sl| at_tick(entry * (1.0 - s * sl)));
    let tp = brackets.tp.map_or(s * f64::INFINITY, |tp| at_tick(entry * (1.0 + s * tp)));
    (sl, tp)
}
