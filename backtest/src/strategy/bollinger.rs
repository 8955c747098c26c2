//! The bands alone: the rule whose trades are known from vectorised references.

use lobstream_market::factor::technical::Bands as Band;
use serde::Serialize;

use crate::engine::{Intent, Moment};
use crate::model::Side;
use crate::strategy::Strategy;
use crate::strategy::bands::Bands;
use crate::strategy::params::{Param, Slot};

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
        vec![
            Param::new("n", "window of the bands, bars", Slot::Count(&mut self.n, 2..=100_000)),
            Param::new("k", "width of the bands, standard deviations", Slot::Number(&mut self.k, 0.1..=10.0)),
            Param::new(
                "sl",
                "stop loss, fraction of the entry",
                Slot::MaybeNumber(&mut self.sl, 1e-5..=0.99),
            ),
            Param::new(
                "tp",
                "take profit, fraction of the entry",
                Slot::MaybeNumber(&mut self.tp, 1e-5..=0.99),
            ),
            Param::new(
                "max_hold",
                "longest holding time, bars",
                Slot::MaybeCount(&mut self.max_hold, 1..=10_000_000),
            ),
            Param::new("short", "also sell above the upper band", Slot::Flag(&mut self.short)),
        ]
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
