//! Buys at the first close it sees and keeps: what doing nothing would have earned.

use crate::engine::{Intent, Moment};
use crate::model::Side;
use crate::strategy::Strategy;

/// The benchmark.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hold;

impl Strategy for Hold {
    /// Wants a long at every close; the engine ignores it while one is held.
    fn on_bar(&mut self, _now: &Moment<'_>) -> Intent {
        Intent { enter: Some(Side::Long), ..Intent::default() }
    }
}
