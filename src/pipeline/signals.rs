//! One symbol's signal sources between two rows.

use lobstream_market::factor::row::FactorRow;
use lobstream_market::instrument::{Symbol, Venue};
use lobstream_market::signal::rule::RuleSet;
use lobstream_market::signal::{Signal, SignalEngine, SignalMemory};
use lobstream_streams::record::CodecError;
use lobstream_streams::store::hot::HotState;

use crate::codec::state::{decode_state, encode_state};

/// Gates and votes of a symbol. What the rules say is not stored: after a restart they are asked again.
#[derive(Debug, Default)]
pub(super) struct SignalState {
    stored: SignalMemory,
    engine: Option<SignalEngine>,
}

impl SignalState {
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
