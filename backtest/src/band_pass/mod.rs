//! The band rule in one pass over the bars: what sweeps and speed comparisons run instead of the general engine.
//!
//! The rule is [`Bollinger`] without shorts, everything in as fractions of one (accounting `unit`), without
//! slippage, on bars of traded prices. Within that it gives the trades and the equity of the general engine to the
//! last bit, which tests hold it to; whatever lies outside is run by the general engine.

mod outcome;
mod pass;
mod rolling;

pub use outcome::{Clock, Kept};
pub use pass::{PassTrade, Sink, close_pass, next_open_pass};
pub use rolling::{BandColumns, BandSource, Rolling};

use crate::dataset::{Basis, Series};
use crate::engine::Fill;
use crate::model::fee::Fees;
use crate::strategy::Bollinger;

/// The rule with what its fills cost, ready to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Stop, fraction of the entry; 0 is none.
    sl: Option<f64>,
    tp: Option<f64>,
    max_hold: usize,
    k: f64,
    n: usize,
    entry_fee: f64,
    exit_fee: f64,
    target_fee: f64,
    fill: Fill,
}

impl Plan {
    /// `None` if the rule trades the upper band too.
    pub fn new(rule: &Bollinger, fill: Fill, fees: Fees) -> Option<Plan> {
        (!rule.short).then(|| Plan {
            sl: rule.sl,
            tp: rule.tp,
            max_hold: rule.max_hold.unwrap_or(usize::MAX),
            k: rule.k,
            n: rule.n,
            entry_fee: fees.taker_bp * 1e-4,
            exit_fee: fees.taker_bp * 1e-4,
            target_fee: fees.maker_bp * 1e-4,
            fill,
        })
    }

    /// Window of its bands, bars.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Runs over a series with bands that are computed on the way, `equity` being all there is at the start.
    /// Bars with a position.
    pub fn run<S: Sink>(&self, series: &Series, equity: f64, sink: &mut S) -> usize {
        let mut bands = Rolling::new(series, self.n);
        self.run_on(series, equity, &mut bands, sink)
    }

    /// The same with bands from elsewhere.
    pub fn run_on<B: BandSource, S: Sink>(
        &self,
        series: &Series,
        equity: f64,
        bands: &mut B,
        sink: &mut S,
    ) -> usize {
        match self.fill {
            Fill::Close => close_pass(self, &series.bars, equity, bands, sink),
            Fill::NextOpen => next_open_pass(self, &series.bars, equity, bands, sink),
        }
    }
}

/// May this series be run in one pass?
pub fn fits(series: &Series) -> bool {
    series.basis == Basis::Traded
        && series.spells.is_empty()
        && series.bars.book_ok.iter().all(|ok| *ok)
        && series.bars.no_volume.iter().all(|none| !none)
        && series.bars.after_spell.iter().all(|after| !after)
}
