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
}
