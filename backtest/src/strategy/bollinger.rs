//! The bands alone: the rule whose trades are known from vectorised references.

use lobstream_market::factor::technical::Bands as Band;
use serde::Serialize;

use crate::engine::{Intent, Moment};
use crate::model::Side;
use crate::strategy::Strategy;
use crate::strategy::bands::Bands;
use crate::strategy::params::{Param, bands, exits};

/// Enters when the close is below the lower band, leaves when it is above the middle. Mirrored for shorts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bollinger {
    /// Window, bars. Default 20.
    pub n: usize,
    /// Width, population standard deviations. Default 2.
    pub k: f64,
    /// Stop loss, fraction of the entry. Default 0.01.
    pub sl: Option<f64>,
    /// Take profit, fraction of the entry. Default 0.02.
    pub tp: Option<f64>,
    /// Longest holding time, bars. Default none.
    pub max_hold: Option<usize>,
    /// Trade the upper band too. Default false.
    pub short: bool,
}

impl Default for Bollinger {
    fn default() -> Self {
        Bollinger { n: 20, k: 2.0, sl: Some(0.01), tp: Some(0.02), max_hold: None, short: false }
    }
}

impl Bollinger {
    pub(super) fn fields(&mut self) -> Vec<Param<'_>> {
        let exits = exits(&mut self.sl, &mut self.tp, &mut self.max_hold, &mut self.short);
        bands(&mut self.n, &mut self.k).into_iter().chain(exits).collect()
    }

    /// The rule with these parameters.
    pub fn rule(&self) -> BollingerRule {
        BollingerRule { bands: Bands::new(self.n, self.k), band: None, short: self.short }
    }
}

/// The running rule.
#[derive(Clone, Debug)]
pub struct BollingerRule {
    bands: Bands,
    band: Option<Band>,
    short: bool,
}

impl Strategy for BollingerRule {
    fn on_bar(&mut self, now: &Moment<'_>) -> Intent {
        let close = now.close();
        self.band = self.bands.push(now);
        let Some(band) = self.band else { return Intent::default() };
        let enter = if close < band.lo {
            Some(Side::Long)
        } else if self.short && close > band.up {
            Some(Side::Short)
        } else {
            None
        };
        Intent { enter, exit_long: close > band.mid, exit_short: close < band.mid }
    }

    fn band(&self) -> Option<Band> {
        self.band
    }
}
