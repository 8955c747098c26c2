//! One symbol between two records: its book, kept right by the venue's rule, and the factors fed by it.

use lobstream_market::event::{Body, Control, MarketEvent};
use lobstream_market::factor::row::FactorRow;
use lobstream_market::factor::{Continuity, FactorEngine, FactorSettings};
use lobstream_market::instrument::Instrument;
use lobstream_market::sync::{BookChange, BookSync, SyncInput, SyncOptions};
use lobstream_streams::record::CodecError;
use lobstream_streams::store::hot::HotState;
use serde::{Deserialize, Serialize};

use crate::codec::state::{decode_state, encode_state};

/// Everything remembered of a symbol. Empty until its instrument is known.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct SymbolState(Option<Parts>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Parts {
    sync: BookSync,
    factors: FactorEngine,
}

/// The first record of a symbol was not its instrument, so ticks and lots mean nothing.
#[derive(Debug, thiserror::Error)]
#[error("a record of {symbol} came before its instrument: its prices and quantities have no unit")]
pub(super) struct NoInstrument {
    pub(super) symbol: String,
}

impl SymbolState {
    /// Takes one event and appends the rows that it closes.
    pub(super) fn on_event(
        &mut self,
        symbol: &[u8],
        event: &MarketEvent,
        rows: &mut Vec<FactorRow>,
    ) -> Result<(), NoInstrument> {
        if let (None, Body::Instrument(instrument)) = (&self.0, &event.body) {
            self.0 = Some(Parts::new(instrument));
        }
        let Some(parts) = &mut self.0 else {
            return Err(NoInstrument { symbol: String::from_utf8_lossy(symbol).into_owned() });
        };
        parts.on_event(event, rows);
        Ok(())
    }

    /// Is the second of this event closed already? It then counts in the open one.
    pub(super) fn is_late(&self, event: &MarketEvent) -> bool {
        let open = self.0.as_ref().and_then(|parts| parts.factors.open_window());
        event.ts_event.zip(open).is_some_and(|(ts, open)| ts < open)
    }

    /// Takes a control that is of every symbol of the partition.
    pub(super) fn on_control(&mut self, event: &MarketEvent, rows: &mut Vec<FactorRow>) {
        if let Some(parts) = &mut self.0 {
            parts.on_event(event, rows);
        }
    }

    /// Has a row that ends at `until` or before not been closed yet?
    pub(super) fn is_due(&self, until: i64) -> bool {
        self.0.as_ref().is_some_and(|parts| parts.factors.is_due(until))
    }

    /// Closes the row that ends at `until`, if the symbol was silent.
    pub(super) fn tick(&mut self, until: i64, rows: &mut Vec<FactorRow>) {
        if let Some(parts) = &mut self.0 {
            parts.factors.tick(until, rows);
        }
    }

    /// A record of the symbol was lost: the book cannot be right any more, and a trade may be missing.
    pub(super) fn lost_record(&mut self, rows: &mut Vec<FactorRow>) {
        if let Some(parts) = &mut self.0 {
            parts.step(None, SyncInput::Refused, rows);
            parts.factors.on_trade_gap(None, rows);
        }
    }
}

impl Parts {
    fn new(instrument: &Instrument) -> Parts {
        Parts {
            sync: BookSync::new(instrument.venue, SyncOptions::default()),
            factors: FactorEngine::new(instrument.clone(), FactorSettings::default()),
        }
    }

    fn on_event(&mut self, event: &MarketEvent, rows: &mut Vec<FactorRow>) {
        // Steps of price are no news of the market: they begin no row.
        let at = event.ts_event.filter(|_| !matches!(event.body, Body::Instrument(_)));
        if let Some(input) = SyncInput::of(&event.body) {
            self.step(at, input, rows);
        }
        match &event.body {
            Body::Trade(trade) => self.factors.on_trade(at, trade, rows),
            Body::Instrument(instrument) => self.factors.on_instrument(at, instrument, rows),
            Body::Control(Control::Disconnected | Control::Away) => self.factors.on_feed_down(at, rows),
            Body::Refused(refused) if !refused.book => self.factors.on_trade_gap(at, rows),
            Body::Refused(_) | Body::Control(_) | Body::Snapshot(_) | Body::Delta(_) | Body::Quote(_) => {}
        }
    }

    /// The sync machine decides what the book is worth; the factors hear of it.
    fn step(&mut self, at: Option<i64>, input: SyncInput<'_>, rows: &mut Vec<FactorRow>) {
        let change = self.sync.step(input).change;
        let view = self.sync.view();
        match change {
            BookChange::None => self.factors.mark(at, rows),
            BookChange::Delta => self.factors.on_book(at, &view, Continuity::Delta, rows),
            BookChange::Joined => self.factors.on_book(at, &view, Continuity::Resync, rows),
            BookChange::Lost(reason) | BookChange::Waiting(reason) => {
                self.factors.on_book_gap(at, reason, rows);
            }
            BookChange::Rejoined(reason) => {
                self.factors.on_book_gap(at, reason, rows);
                self.factors.on_book(at, &view, Continuity::Resync, rows);
            }
        }
    }
}

impl HotState for SymbolState {
    fn new(_key: &[u8]) -> SymbolState {
        SymbolState::default()
    }

    fn encode(&self, into: &mut Vec<u8>) {
        encode_state(self, into);
    }

    fn decode(key: &[u8], bytes: &[u8]) -> Result<SymbolState, CodecError> {
        decode_state(bytes)
            .map_err(|e| CodecError::new(format!("state of {}: {e}", String::from_utf8_lossy(key))))
    }

    /// The steps stay, or every later record would be without a unit; book and sums begin anew.
    fn after_panic(self) -> Option<SymbolState> {
        self.0.map(|parts| SymbolState(Some(Parts::new(parts.factors.instrument()))))
    }
}

#[cfg(test)]
mod tests {
    use lobstream_market::event::{Aggressor, Trade};
    use lobstream_market::instrument::{Symbol, Venue};
    use lobstream_market::price::{Lots, Step, Ticks};

    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn step(text: &str) -> Step {
        Step::parse(text).expect("a step")
    }

    fn instrument() -> MarketEvent {
        let (venue, symbol) = (Venue::BinanceUsdm, Symbol::new("XYZ"));
        let body =
            Body::Instrument(Instrument { venue, symbol, tick_size: step("0.1"), lot_size: step("0.01") });
        MarketEvent { ts_event: None, ts_recv: None, body }
    }

    fn trade(at: i64) -> MarketEvent {
        let (px, qty, aggressor) = (Ticks(1_000), Lots(5), Aggressor::Buyer);
        let body = Body::Trade(Trade { id: None, px, qty, aggressor, non_market: false });
        MarketEvent { ts_event: Some(at), ts_recv: None, body }
    }

    #[test]
    fn a_panic_leaves_the_steps_so_that_later_records_count() {
        let (mut state, mut rows) = (SymbolState::default(), Vec::new());
        state.on_event(b"XYZ", &instrument(), &mut rows).expect("an instrument");
        state.on_event(b"XYZ", &trade(SECOND), &mut rows).expect("a trade");
        let mut state = state.after_panic().expect("the steps stay");
        for at in [10 * SECOND, 12 * SECOND] {
            state.on_event(b"XYZ", &trade(at), &mut rows).expect("its unit is known");
        }
        assert_eq!(rows.iter().map(|row| row.ts_ms).collect::<Vec<_>>(), [10_000, 11_000]);
        assert!(SymbolState::default().after_panic().is_none(), "nothing to keep");
    }

    #[test]
    fn a_symbol_is_due_only_when_a_tick_would_close_a_row() {
        let (mut state, mut rows) = (SymbolState::default(), Vec::new());
        assert!(!state.is_due(i64::MAX), "unknown");
        state.on_event(b"XYZ", &instrument(), &mut rows).expect("an instrument");
        state.on_event(b"XYZ", &trade(SECOND + 1), &mut rows).expect("a trade");
        for (until, due) in [(SECOND, false), (2 * SECOND, true)] {
            assert_eq!(state.is_due(until), due);
            let (mut bytes, mut after) = (Vec::new(), Vec::new());
            state.encode(&mut bytes);
            state.tick(until, &mut rows);
            state.encode(&mut after);
            assert_eq!((bytes != after, !rows.is_empty()), (due, due), "until {until}");
        }
    }
}
