//! A made-up market with known truth, for the demo and for tests: the same seed, the same bytes, everywhere.
//!
//! Every symbol sends what a Binance USD-M connection would: its instrument, changes of the book, a snapshot
//! that arrives late, trades, tickers. There are quiet spells, and one message is lost and healed by a second
//! snapshot. What the price does, and why order flow foretells a little of it, is told in `price`.

pub mod ashare;
mod dice;
mod price;
mod venue;

use crate::book::OrderBook;
use crate::event::MarketEvent;
use crate::instrument::{Instrument, Symbol, Venue};
use crate::price::{Step, Ticks};
use dice::Dice;
use price::STEPS_PER_SECOND;
use venue::SymbolVenue;

/// What to make up.
#[derive(Clone, Debug, PartialEq)]
pub struct SyntheticOptions {
    /// What is traded, with the price it starts at. Default: two symbols.
    pub symbols: Vec<(Instrument, Ticks)>,
    /// Time of the first message, ns since 1970 UTC. Default 2024-06-03 00:00.
    pub start_ns: i64,
    /// Market time in seconds. Default 2 400.
    pub seconds: u64,
    /// The second in which the first symbol loses a message; `None` for never. Default 900.
    pub lost_at_s: Option<u64>,
}

impl Default for SyntheticOptions {
    fn default() -> Self {
        let symbol = |name: &str, decimals: u8, start: i64| {
            let venue = Venue::BinanceUsdm;
            let (tick_size, lot_size) = (Step::of_decimals(decimals), Step::of_decimals(3));
            (Instrument { venue, symbol: Symbol::new(name), tick_size, lot_size }, Ticks(start))
        };
        SyntheticOptions {
            symbols: vec![symbol("SIMBTCUSDT", 0, 64_000), symbol("SIMETHUSDT", 1, 34_000)],
            start_ns: 1_717_372_800_000_000_000,
            seconds: 2_400,
            lost_at_s: Some(900),
        }
    }
}

/// Messages of all symbols in the order in which they arrive.
///
/// ```
/// use lobstream_market::synthetic::{Synthetic, SyntheticOptions};
///
/// let market = Synthetic::new(7, SyntheticOptions { seconds: 10, ..SyntheticOptions::default() });
/// let n_trades = market.filter(|(_, event)| matches!(event.body, lobstream_market::event::Body::Trade(_))).count();
/// assert!(n_trades > 0);
/// ```
#[derive(Clone, Debug)]
pub struct Synthetic {
    venues: Vec<(Symbol, SymbolVenue)>,
}

impl Synthetic {
    /// A market of this seed.
    pub fn new(seed: u64, options: SyntheticOptions) -> Synthetic {
        let mut venues = Vec::new();
        for (stream, (instrument, start)) in (0..).zip(options.symbols) {
            let dice = Dice::new(seed, stream);
            let mut venue = SymbolVenue::new(&instrument, start, dice, options.start_ns, options.seconds);
            if let Some(second) = options.lost_at_s.filter(|_| stream == 0) {
                venue.lose_message_at(second * STEPS_PER_SECOND);
            }
            venues.push((instrument.symbol, venue));
        }
        Synthetic { venues }
    }

    /// The book at the venue, lost messages included. Once the messages are used up, a reader who made no
    /// mistake has the same one.
    pub fn true_book(&self, symbol: &Symbol) -> Option<&OrderBook> {
        self.venues.iter().find(|(known, _)| known == symbol).map(|(_, venue)| venue.book())
    }
}

impl Iterator for Synthetic {
    type Item = (Symbol, MarketEvent);

    fn next(&mut self) -> Option<(Symbol, MarketEvent)> {
        let mut earliest: Option<(i64, usize)> = None;
        for (i, (_, venue)) in self.venues.iter_mut().enumerate() {
            let arrives = venue.peek().and_then(|event| event.ts_recv);
            if let Some(arrives) = arrives.filter(|&at| earliest.is_none_or(|(least, _)| at < least)) {
                earliest = Some((arrives, i));
            }
        }
        let (symbol, venue) = &mut self.venues[earliest?.1];
        Some((symbol.clone(), venue.pop()?))
    }
}
