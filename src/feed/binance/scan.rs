//! A first look at the head of a capture: which venue, which symbols, which steps.

use std::collections::{BTreeMap, BTreeSet};

use lobstream_market::instrument::{Symbol, Venue};

use crate::error::InputKind;
use crate::feed::binance::rest;
use crate::feed::binance::wire::{self, Evidence, Message};
use crate::feed::instruments::StepEvidence;
use crate::feed::numbers::LevelText;

impl Evidence {
    /// Can a message with this evidence come from that venue?
    pub(crate) fn fits(self, venue: Venue) -> bool {
        match self {
            Evidence::Spot => venue == Venue::BinanceSpot,
            Evidence::Futures => matches!(venue, Venue::BinanceUsdm | Venue::BinanceCoinm),
            Evidence::Usdm => venue == Venue::BinanceUsdm,
            Evidence::Coinm => venue == Venue::BinanceCoinm,
        }
    }

    fn of_venue(venue: Venue) -> Option<Evidence> {
        match venue {
            Venue::BinanceSpot => Some(Evidence::Spot),
            Venue::BinanceUsdm => Some(Evidence::Usdm),
            Venue::BinanceCoinm => Some(Evidence::Coinm),
            Venue::Unsequenced => None,
        }
    }
}

const BINANCE: [Venue; 3] = [Venue::BinanceSpot, Venue::BinanceUsdm, Venue::BinanceCoinm];

/// What the head of a capture shows.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    evidence: BTreeSet<Evidence>,
    symbols: BTreeMap<Symbol, StepEvidence>,
    /// Levels of snapshots that do not tell their symbol.
    unassigned: StepEvidence,
    single_trades: BTreeSet<Symbol>,
    /// Symbols that have a price here, not only in exchange information.
    seen: BTreeSet<Symbol>,
}

impl Scan {
    pub(crate) fn message(&mut self, json: &[u8]) {
        let Ok(parsed) = wire::parse(json) else { return };
        self.evidence.extend(parsed.evidence);
        match parsed.message {
            Message::Depth(m) => self.levels(m.symbol, &[&m.bids, &m.asks]),
            Message::Trade(m) => {
                if !m.aggregate && !self.single_trades.contains(m.symbol) {
                    self.single_trades.insert(Symbol::new(m.symbol));
                }
                self.levels(m.symbol, &[&[[m.px, m.qty]]]);
            }
            Message::Ticker(m) => self.levels(m.symbol, &[&[m.bid, m.ask]]),
            Message::Snapshot(m) => self.snapshot(m.symbol, &[&m.bids, &m.asks]),
            Message::Other(_) => {}
        }
    }

    pub(crate) fn http(&mut self, url: &str, body: &str) {
        self.connected(url);
        if let Some(asked) = rest::asked(url) {
            if let Ok(wire::Parsed { message: Message::Snapshot(m), .. }) = wire::parse(body.as_bytes()) {
                self.snapshot(asked.symbol.as_deref(), &[&m.bids, &m.asks]);
            }
        } else if url.contains("/exchangeInfo") {
            for p in rest::exchange_info(body) {
                self.symbols.entry(Symbol::new(&p.symbol)).or_default().publish(p.tick, p.lot);
            }
        }
    }

    pub(crate) fn connected(&mut self, url: &str) {
        self.evidence.extend(rest::venue_of_address(url).and_then(Evidence::of_venue));
    }

    fn snapshot(&mut self, symbol: Option<&str>, sides: &[&[LevelText<'_>]]) {
        match symbol {
            Some(symbol) => self.levels(symbol, sides),
            None => sides.iter().copied().flatten().for_each(|[px, qty]| self.unassigned.see(px, qty)),
        }
    }

    fn levels(&mut self, symbol: &str, sides: &[&[LevelText<'_>]]) {
        if !self.seen.contains(symbol) {
            self.seen.insert(Symbol::new(symbol));
        }
        let evidence = match self.symbols.get_mut(symbol) {
            Some(evidence) => evidence,
            None => self.symbols.entry(Symbol::new(symbol)).or_default(),
        };
        sides.iter().copied().flatten().for_each(|[px, qty]| evidence.see(px, qty));
    }

    /// Did it see any message of Binance?
    pub(crate) fn is_binance(&self) -> bool {
        !self.evidence.is_empty() || !self.seen.is_empty()
    }

    /// The venue, which must be certain.
    pub(crate) fn venue(&self, given: Option<Venue>) -> Result<Venue, (InputKind, String)> {
        let fits = |v: &Venue| self.evidence.iter().all(|e| e.fits(*v));
        let possible: Vec<Venue> = BINANCE.into_iter().filter(fits).collect();
        let names = |venues: &[Venue]| venues.iter().map(|v| v.as_str()).collect::<Vec<_>>().join(", ");
        let ambiguous = |what: String| Err((InputKind::FormatAmbiguous, what));
        match (given, &possible[..]) {
            (Some(venue), possible) if possible.contains(&venue) => Ok(venue),
            (Some(venue), []) => {
                ambiguous(format!("--venue {venue}, but the messages are of several venues: split the file"))
            }
            (Some(venue), possible) => {
                ambiguous(format!("--venue {venue}, but the messages are of {}", names(possible)))
            }
            (None, [venue]) => Ok(*venue),
            (None, []) => ambiguous("messages of several venues in one file: split it".into()),
            (None, possible) => {
                ambiguous(format!("the messages fit {}: say which with --venue", names(possible)))
            }
        }
    }

    /// What is known of the symbols that appeared, and the only one of them if there is only one.
    pub(crate) fn finish(mut self, given: Option<Symbol>) -> Found {
        let only = match (given, self.seen.len()) {
            (Some(symbol), _) => Some(symbol),
            (None, 1) => self.seen.first().cloned(),
            (None, _) => None,
        };
        if let Some(symbol) = &only {
            self.symbols.entry(symbol.clone()).or_default().join(&self.unassigned);
            self.seen.insert(symbol.clone());
        }
        self.symbols.retain(|symbol, _| self.seen.contains(symbol));
        Found { symbols: self.symbols, only, single_trades: self.single_trades }
    }
}

/// The result of a scan.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) symbols: BTreeMap<Symbol, StepEvidence>,
    pub(crate) only: Option<Symbol>,
    pub(crate) single_trades: BTreeSet<Symbol>,
}
