//! One symbol's signal sources between two rows.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use lobstream_market::factor::row::FactorRow;
use lobstream_market::instrument::{Symbol, Venue};
use lobstream_market::signal::rule::RuleSet;
use lobstream_market::signal::{Signal, SignalEngine, SignalMemory};
use lobstream_streams::record::CodecError;
use lobstream_streams::store::hot::HotState;

use crate::codec::state::{decode_state, encode_state};

/// Symbols that had a row, for whoever wants to know afterwards.
#[derive(Clone, Debug, Default)]
pub struct SymbolsSeen(Arc<Mutex<BTreeSet<(Venue, Symbol)>>>);

impl SymbolsSeen {
    /// All so far.
    pub fn all(&self) -> BTreeSet<(Venue, Symbol)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn see(&self, venue: Venue, symbol: Symbol) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((venue, symbol));
    }
}

/// Gates and votes of a symbol. What the rules say is not stored: after a restart they are asked again.
#[derive(Debug, Default)]
pub(super) struct SignalState {
    stored: SignalMemory,
    engine: Option<SignalEngine>,
}

impl SignalState {
    /// Was there no row since the start?
    pub(super) fn is_fresh(&self) -> bool {
        self.engine.is_none()
    }

    /// Takes a row and appends what every source says.
    pub(super) fn on_row(&mut self, venue: Venue, row: &FactorRow, rules: &RuleSet, out: &mut Vec<Signal>) {
        let stored = &mut self.stored;
        let engine = self.engine.get_or_insert_with(|| {
            let mut engine = rules.engine(venue, &Symbol::new(&row.symbol));
            engine.restore(std::mem::take(stored));
            engine
        });
        engine.on_row(row, out);
    }
}

impl HotState for SignalState {
    fn new(_key: &[u8]) -> SignalState {
        SignalState::default()
    }

    fn encode(&self, into: &mut Vec<u8>) {
        encode_state(self.engine.as_ref().map_or(&self.stored, SignalEngine::memory), into);
    }

    fn decode(key: &[u8], bytes: &[u8]) -> Result<SignalState, CodecError> {
        let stored = decode_state(bytes)
            .map_err(|e| CodecError::new(format!("gates of {}: {e}", String::from_utf8_lossy(key))))?;
        Ok(SignalState { stored, engine: None })
    }
}
