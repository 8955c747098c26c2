//! Least steps of price and quantity: given, published by the venue, or inferred from the texts.

use std::collections::BTreeMap;

use lobstream_market::instrument::{Instrument, Symbol, Venue};
use lobstream_market::price::{Decimal, Step};

/// Where a step comes from. A value finer than an inferred step is an error of the whole input, since the
/// guess was wrong; a value finer than a known step is a wrong message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// By flag.
    Given,
    /// From the venue's exchange information.
    Published,
    /// From the decimals of all texts of the input.
    Inferred,
}

/// An instrument and where its steps come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// With the steps in force.
    pub instrument: Instrument,
    /// Origin of the tick size.
    pub tick_from: Origin,
    /// Origin of the lot size.
    pub lot_from: Origin,
}

/// What the texts of one symbol need: the most decimals behind the point, trailing zeros stripped.
#[derive(Clone, Debug, Default)]
pub(crate) struct StepEvidence {
    seen: bool,
    px_decimals: u8,
    qty_decimals: u8,
    /// The venue says so; kept only while every text fits.
    published: Option<(Step, Step)>,
    published_fits: bool,
}

impl StepEvidence {
    /// One level, trade or ticker side. Texts that are no numbers are judged by the reader.
    pub(crate) fn see(&mut self, px: &str, qty: &str) {
        self.seen = true;
        let known = decimals(px) <= self.px_decimals.into() && decimals(qty) <= self.qty_decimals.into();
        if known && self.published.is_none() {
            return;
        }
        let (Ok(px), Ok(qty)) = (Decimal::parse(px), Decimal::parse(qty)) else { return };
        self.px_decimals = self.px_decimals.max(px.normalized().decimals);
        self.qty_decimals = self.qty_decimals.max(qty.normalized().decimals);
        if let Some((tick, lot)) = self.published {
            self.published_fits &= tick.count(px).is_ok() && lot.count(qty).is_ok();
        }
    }

    /// Exchange information of the symbol. It comes before the data, if at all.
    pub(crate) fn publish(&mut self, tick: Step, lot: Step) {
        (self.published, self.published_fits) = (Some((tick, lot)), !self.seen);
    }

    /// Joins what another file shows of the same symbol.
    pub(crate) fn join(&mut self, other: &StepEvidence) {
        self.published_fits = match (self.published, other.published) {
            (Some(a), Some(b)) => a == b && self.published_fits && other.published_fits,
            (Some((tick, lot)), None) => self.published_fits && other.fits(tick, lot),
            (None, Some((tick, lot))) => other.published_fits && self.fits(tick, lot),
            (None, None) => false,
        };
        self.published = self.published.or(other.published);
        self.seen |= other.seen;
        self.px_decimals = self.px_decimals.max(other.px_decimals);
        self.qty_decimals = self.qty_decimals.max(other.qty_decimals);
    }

    fn fits(&self, tick: Step, lot: Step) -> bool {
        !self.seen || (tick.parts().1 >= self.px_decimals && lot.parts().1 >= self.qty_decimals)
    }

    fn steps(&self) -> (Step, Step, Origin) {
        match self.published {
            Some((tick, lot)) if self.published_fits => (tick, lot, Origin::Published),
            Some(_) | None => {
                (Step::of_decimals(self.px_decimals), Step::of_decimals(self.qty_decimals), Origin::Inferred)
            }
        }
    }
}

/// Digits behind the point without trailing zeros, of a text that may be no number.
fn decimals(text: &str) -> usize {
    let behind = text.bytes().rev().position(|b| b == b'.').unwrap_or(0);
    let zeros = text.bytes().rev().take(behind).take_while(|b| *b == b'0').count();
    behind - zeros
}

/// Steps that the user gave for all symbols.
#[derive(Clone, Copy, Debug, Default)]
pub struct StepOverride {
    /// `--tick`.
    pub tick: Option<Step>,
    /// `--lot`.
    pub lot: Option<Step>,
}

/// Decides the steps of every symbol.
pub(crate) fn decide(
    evidence: &BTreeMap<(Venue, Symbol), StepEvidence>,
    given: StepOverride,
) -> BTreeMap<(Venue, Symbol), Known> {
    let known = evidence.iter().map(|((venue, symbol), evidence)| {
        let (tick, lot, from) = evidence.steps();
        let instrument = Instrument {
            venue: *venue,
            symbol: symbol.clone(),
            tick_size: given.tick.unwrap_or(tick),
            lot_size: given.lot.unwrap_or(lot),
        };
        let origin = |given: bool| if given { Origin::Given } else { from };
        let (tick_from, lot_from) = (origin(given.tick.is_some()), origin(given.lot.is_some()));
        ((*venue, symbol.clone()), Known { instrument, tick_from, lot_from })
    });
    known.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(texts: &[(&str, &str)]) -> StepEvidence {
        let mut evidence = StepEvidence::default();
        texts.iter().for_each(|(px, qty)| evidence.see(px, qty));
        evidence
    }

    fn step(text: &str) -> Step {
        Step::parse(text).expect(text)
    }

    fn decided(evidence: StepEvidence, given: StepOverride) -> Known {
        let key = (Venue::BinanceSpot, Symbol::new("X"));
        decide(&[(key.clone(), evidence)].into(), given).remove(&key).expect("decided")
    }

    #[test]
    fn trailing_zeros_do_not_make_a_step() {
        let known = decided(
            seen(&[("61737.63000000", "0.00000000"), ("61000.00000000", "1.54698000")]),
            StepOverride::default(),
        );
        assert_eq!(known.instrument.tick_size, step("0.01"));
        assert_eq!(known.instrument.lot_size, step("0.00001"));
        assert_eq!((known.tick_from, known.lot_from), (Origin::Inferred, Origin::Inferred));
    }

    #[test]
    fn a_finer_text_counts_however_late_it_comes() {
        let mut evidence = StepEvidence::default();
        (0..20_000).for_each(|_| evidence.see("1.5", "1"));
        evidence.see("1.25", "191.38900600");
        assert_eq!(evidence.steps(), (step("0.01"), step("0.000001"), Origin::Inferred));
    }

    #[test]
    fn the_venue_is_believed_while_every_text_fits() {
        let mut evidence = StepEvidence::default();
        evidence.publish(step("0.05"), step("0.1"));
        evidence.see("1.15", "3");
        assert_eq!(evidence.steps(), (step("0.05"), step("0.1"), Origin::Published));
        evidence.see("1.16", "3");
        assert_eq!(evidence.steps(), (step("0.01"), step("1"), Origin::Inferred), "of another time");
    }

    #[test]
    fn a_symbol_without_a_single_level_has_whole_steps() {
        let known = decided(StepEvidence::default(), StepOverride::default());
        assert_eq!((known.instrument.tick_size, known.instrument.lot_size), (step("1"), step("1")));
    }

    #[test]
    fn flags_win_one_by_one() {
        let given = StepOverride { tick: Some(step("0.5")), lot: None };
        let known = decided(seen(&[("1.5", "0.25")]), given);
        assert_eq!((known.instrument.tick_size, known.tick_from), (step("0.5"), Origin::Given));
        assert_eq!((known.instrument.lot_size, known.lot_from), (step("0.01"), Origin::Inferred));
    }

    #[test]
    fn files_of_one_symbol_share_their_steps() {
        let mut coarse = seen(&[("1.5", "1")]);
        coarse.join(&seen(&[("1.25", "0.001")]));
        assert_eq!(coarse.steps(), (step("0.01"), step("0.001"), Origin::Inferred));
    }
}
