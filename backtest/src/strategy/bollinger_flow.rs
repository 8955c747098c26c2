//! Buys a dip that the book is buying too: Bollinger bands, order-flow imbalance and depth must agree.

use lobstream_market::factor::technical::Bands as Band;
use serde::Serialize;

use crate::dataset::FactorId;
use crate::engine::{Intent, Moment};
use crate::model::Side;
use crate::strategy::Strategy;
use crate::strategy::bands::Bands;
use crate::strategy::params::{Param, Slot, bands, exits};

/// Factors that the rule reads.
pub const FACTORS: [&str; 3] = ["ofi_w", "z_ofi", "obi_5"];

/// The rule and its exits.
///
/// ```text
/// long entry    close < lower band   and  z_ofi > z_ofi_min  and  ofi_w > ofi_min  and  obi_5 > obi_min
/// long exit     stop loss · take profit · close > middle band · max_hold
/// short         the same, mirrored, if `short`
/// no entry      while the book is invalid, older than max_stale_ms, or a factor that is asked for is missing
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BollingerFlow {
    /// Window, bars. Default 120.
    pub n: usize,
    /// Width, population standard deviations. Default 2.
    pub k: f64,
    /// Least order-flow imbalance as a z-score. Default 0.
    pub z_ofi_min: Option<f64>,
    /// Least order-flow imbalance, base units a bar. Default none.
    pub ofi_min: Option<f64>,
    /// Least size imbalance of five levels. Default 0.1.
    pub obi_min: f64,
    /// Oldest book that is traded on, ms. Default 3000.
    pub max_stale_ms: usize,
    /// Stop loss, fraction of the entry. Default 0.003.
    pub sl: Option<f64>,
    /// Take profit, fraction of the entry. Default 0.004.
    pub tp: Option<f64>,
    /// Longest holding time, bars. Default 600.
    pub max_hold: Option<usize>,
    /// Trade the upper band too. Default false.
    pub short: bool,
}

impl Default for BollingerFlow {
    fn default() -> Self {
        BollingerFlow {
            n: 120,
            k: 2.0,
            z_ofi_min: Some(0.0),
            ofi_min: None,
            obi_min: 0.1,
            max_stale_ms: 3_000,
            sl: Some(0.003),
            tp: Some(0.004),
            max_hold: Some(600),
            short: false,
        }
    }
}

impl BollingerFlow {
    pub(super) fn fields(&mut self) -> Vec<Param<'_>> {
        let own = [
            Param::new(
                "z_ofi_min",
                "least z-score of the order-flow imbalance",
                Slot::MaybeNumber(&mut self.z_ofi_min, -10.0..=10.0),
            ),
            Param::new(
                "ofi_min",
                "least order-flow imbalance, base units a bar",
                Slot::MaybeNumber(&mut self.ofi_min, -1e12..=1e12),
            ),
            Param::new(
                "obi_min",
                "least size imbalance of five levels",
                Slot::Number(&mut self.obi_min, -1.0..=1.0),
            ),
            Param::new(
                "max_stale_ms",
                "oldest book that is traded on, ms",
                Slot::Count(&mut self.max_stale_ms, 0..=86_400_000),
            ),
        ];
        let exits = exits(&mut self.sl, &mut self.tp, &mut self.max_hold, &mut self.short);
        bands(&mut self.n, &mut self.k).into_iter().chain(own).chain(exits).collect()
    }

    /// The least value of each factor that is asked for.
    pub(super) fn thresholds(&self) -> Vec<(&'static str, f64)> {
        let least = [self.ofi_min, self.z_ofi_min, Some(self.obi_min)];
        FACTORS.into_iter().zip(least).filter_map(|(name, least)| Some((name, least?))).collect()
    }

    /// The rule with these parameters.
    pub fn rule(&self) -> BollingerFlowRule {
        let id = |name| FactorId::of(name).expect("bars carry the factors of the rule");
        let conditions = self.thresholds().into_iter().map(|(name, least)| (id(name), least)).collect();
        BollingerFlowRule {
            bands: Bands::new(self.n, self.k),
            band: None,
            conditions,
            max_stale_ms: self.max_stale_ms as f64,
            short: self.short,
        }
    }
}

/// The running rule.
#[derive(Clone, Debug)]
pub struct BollingerFlowRule {
    bands: Bands,
    band: Option<Band>,
    conditions: Vec<(FactorId, f64)>,
    max_stale_ms: f64,
    short: bool,
}

impl BollingerFlowRule {
    /// Flow and book stand on `side`.
    fn agrees(&self, side: Side, now: &Moment<'_>) -> bool {
        let holds = |&(id, least): &(FactorId, f64)| now.factor(id).is_some_and(|x| side.sign() * x > least);
        self.conditions.iter().all(holds)
    }

    fn is_fresh(&self, now: &Moment<'_>) -> bool {
        now.book_ok() && now.stale_ms().is_some_and(|ms| ms <= self.max_stale_ms)
    }
}

impl Strategy for BollingerFlowRule {
    fn on_bar(&mut self, now: &Moment<'_>) -> Intent {
        let close = now.close();
        self.band = self.bands.push(now);
        let Some(band) = self.band else { return Intent::default() };
        let outside = if close < band.lo {
            Some(Side::Long)
        } else if self.short && close > band.up {
            Some(Side::Short)
        } else {
            None
        };
        let enter = outside.filter(|&side| self.is_fresh(now) && self.agrees(side, now));
        Intent { enter, exit_long: close > band.mid, exit_short: close < band.mid }
    }

    fn band(&self) -> Option<Band> {
        self.band
    }
}

#[cfg(test)]
mod tests {
    use lobstream_market::factor::row::FactorRow;

    use super::*;
    use crate::dataset::testing::row;
    use crate::dataset::{Dataset, DatasetOptions};

    /// Three quiet seconds and a dip of which everything agrees, changed by `spoil`; the intent at the dip.
    fn at_the_dip(params: &BollingerFlow, spoil: impl Fn(&mut FactorRow)) -> Intent {
        let mut rows: Vec<_> =
            [100.0, 100.1, 100.0, 98.0].into_iter().zip(0..).map(|(m, s)| row(s, m)).collect();
        let dip = &mut rows[3];
        (dip.z_ofi, dip.ofi_w, dip.obi_5, dip.stale_ms) = (Some(1.0), Some(5.0), Some(0.5), Some(100));
        spoil(dip);
        let data = Dataset::from_rows(rows, &DatasetOptions::default()).expect("dataset");
        let series = &data.series()[0];
        let mut rule = params.rule();
        let intents = (0..series.bars.len()).map(|i| rule.on_bar(&Moment::new(series, i)));
        intents.last().expect("a bar")
    }

    fn params() -> BollingerFlow {
        BollingerFlow { n: 4, k: 1.0, ofi_min: Some(4.0), ..BollingerFlow::default() }
    }

    #[test]
    fn all_conditions_together_enter_and_each_alone_refuses() {
        let entered = |intent: Intent| intent.enter == Some(Side::Long);
        assert!(entered(at_the_dip(&params(), |_| {})));
        assert!(!entered(at_the_dip(&params(), |row| row.z_ofi = Some(0.0))), "not above the threshold");
        assert!(!entered(at_the_dip(&params(), |row| row.z_ofi = None)), "unknown");
        assert!(!entered(at_the_dip(&params(), |row| row.ofi_w = Some(3.9))));
        assert!(!entered(at_the_dip(&params(), |row| row.obi_5 = Some(0.05))));
        assert!(!entered(at_the_dip(&params(), |row| row.stale_ms = Some(3_001))));
        assert!(!entered(at_the_dip(&params(), |row| row.stale_ms = None)));
        assert!(!entered(at_the_dip(&params(), |row| row.mid = Some(100.0))), "inside the bands");
    }

    #[test]
    fn a_factor_that_is_not_asked_for_may_be_missing() {
        let params = BollingerFlow { ofi_min: None, ..params() };
        assert_eq!(at_the_dip(&params, |row| row.ofi_w = None).enter, Some(Side::Long));
    }

    #[test]
    fn above_the_upper_band_it_sells_only_if_allowed_and_the_book_agrees() {
        let peak = |short, sign: f64| {
            let params = BollingerFlow { short, ..params() };
            at_the_dip(&params, |row| {
                row.mid = Some(102.0);
                (row.z_ofi, row.ofi_w, row.obi_5) = (Some(sign), Some(5.0 * sign), Some(0.5 * sign));
            })
        };
        assert_eq!(peak(true, -1.0).enter, Some(Side::Short));
        assert_eq!(peak(true, 1.0).enter, None, "the flow is against it");
        assert_eq!(peak(false, -1.0).enter, None);
        assert!(peak(false, -1.0).exit_long && !peak(false, -1.0).exit_short);
    }
}
