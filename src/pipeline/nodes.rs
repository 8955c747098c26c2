//! Adapters between the engine and the market: what each node does with a record and a tick.

use std::sync::Arc;
use std::time::Duration;

use lobstream_market::event::{Body, MarketEvent};
use lobstream_market::factor::row::FactorRow;
use lobstream_market::instrument::{Symbol, Venue};
use lobstream_market::signal::Signal;
use lobstream_market::signal::rule::RuleSet;
use lobstream_streams::record::{Codec, CodecError, Key, Record};
use lobstream_streams::store::hot::Hot;
use lobstream_streams::store::{KEY_MAX, StoreRef};
use lobstream_streams::time::Ts;
use lobstream_streams::topology::processor::{CatchUp, Context, Next, Poison, ProcessError, Processor, Tick};

use crate::codec::{ALL_SYMBOLS, binary, json};
use crate::pipeline::signals::{SignalState, SymbolsSeen};
use crate::pipeline::symbol::SymbolState;

const SECOND_NS: i64 = 1_000_000_000;
/// Counter of records that came after their second was closed.
pub const LATE: &str = "late";

/// Everything that flows through the topology.
#[derive(Clone, Debug)]
pub enum Message {
    /// From the feed.
    Market(MarketEvent),
    /// A second of a symbol.
    Row(Arc<FactorRow>),
    /// A decision.
    Signal(Box<Signal>),
}

/// Keeps books and closes one row per symbol and second.
pub(super) struct FactorNode {
    pub(super) symbols: StoreRef<Hot<SymbolState>>,
    /// A silent symbol's row is closed this long after its end.
    pub(super) disorder: Duration,
}

impl FactorNode {
    fn disorder_ns(&self) -> i64 {
        i64::try_from(self.disorder.as_nanos()).unwrap_or(i64::MAX)
    }

    /// What the feed says of all symbols at once.
    fn of_all(&self, ctx: &mut Context<'_, Message>, event: &MarketEvent) -> Result<(), ProcessError> {
        if !matches!(event.body, Body::Control(_)) {
            return Err(ProcessError::Poison(format!("only a control may have the key {ALL_SYMBOLS}")));
        }
        let mut closed = Vec::new();
        ctx.hot(self.symbols).edit_all(|key, symbol| {
            let mut rows = Vec::new();
            symbol.on_control(event, &mut rows);
            closed.push((Key::new(key), rows));
        });
        closed.into_iter().for_each(|(key, rows)| forward(ctx, &key, rows));
        Ok(())
    }
}

impl Processor<Message> for FactorNode {
    fn init(&mut self, ctx: &mut Context<'_, Message>) -> Result<(), ProcessError> {
        ctx.schedule(Duration::from_secs(1), Ts(self.disorder_ns()), CatchUp::Every);
        Ok(())
    }

    fn process(
        &mut self,
        ctx: &mut Context<'_, Message>,
        record: Record<Message>,
    ) -> Result<(), ProcessError> {
        let Message::Market(event) = &record.value else {
            return Err(ProcessError::Fatal("the market topic holds market events".into()));
        };
        if record.key.len() > KEY_MAX {
            return Err(ProcessError::Poison(format!("a symbol of {} bytes is too long", record.key.len())));
        }
        if *record.key == *ALL_SYMBOLS.as_bytes() {
            return self.of_all(ctx, event);
        }
        let (mut rows, mut late) = (Vec::new(), false);
        ctx.hot(self.symbols)
            .edit(&record.key, |symbol| {
                late = symbol.is_late(event);
                symbol.on_event(&record.key, event, &mut rows)
            })
            .map_err(|e| ProcessError::Poison(e.to_string()))?;
        if late {
            ctx.count(LATE, 1);
        }
        forward(ctx, &record.key, rows);
        Ok(())
    }

    fn punctuate(&mut self, ctx: &mut Context<'_, Message>, tick: Tick) -> Result<Next, ProcessError> {
        let until = tick.time.0 - self.disorder_ns();
        let mut closed = Vec::new();
        let due = |symbol: &SymbolState| symbol.is_due(until);
        ctx.hot(self.symbols).edit_some(due, |key, symbol| {
            let mut rows = Vec::new();
            symbol.tick(until, &mut rows);
            if !rows.is_empty() {
                closed.push((Key::new(key), rows));
            }
        });
        closed.into_iter().for_each(|(key, rows)| forward(ctx, &key, rows));
        Ok(Next::Tick)
    }

    fn poisoned(
        &mut self,
        ctx: &mut Context<'_, Message>,
        key: Option<&[u8]>,
        _why: &Poison,
    ) -> Result<(), ProcessError> {
        let mut closed = Vec::new();
        let mut lost = |key: &[u8], symbol: &mut SymbolState| {
            let mut rows = Vec::new();
            symbol.lost_record(&mut rows);
            closed.push((Key::new(key), rows));
        };
        let symbols = ctx.hot(self.symbols);
        match key {
            // Of a symbol that is not known there is nothing to invalidate.
            Some(key) if symbols.get(key).is_none() => {}
            Some(key) => symbols.edit(key, |symbol| lost(key, symbol)),
            None => symbols.edit_all(lost),
        }
        closed.into_iter().for_each(|(key, rows)| forward(ctx, &key, rows));
        Ok(())
    }
}

/// A row describes [t, t + 1 s): its record carries the last instant of that.
fn last_instant(row: &FactorRow) -> Ts {
    Ts(row.ts_ms * 1_000_000 + SECOND_NS - 1)
}

fn forward(ctx: &mut Context<'_, Message>, key: &Key, rows: Vec<FactorRow>) {
    for row in rows {
        let ts = last_instant(&row);
        ctx.forward(Record::new(key.clone(), Message::Row(Arc::new(row)), ts));
    }
}

/// Judges every row by the fusion and by the user's rules.
pub(super) struct SignalNode {
    pub(super) gates: StoreRef<Hot<SignalState>>,
    pub(super) rules: Arc<RuleSet>,
    pub(super) venue: Venue,
    pub(super) seen: SymbolsSeen,
}

impl Processor<Message> for SignalNode {
    fn process(
        &mut self,
        ctx: &mut Context<'_, Message>,
        record: Record<Message>,
    ) -> Result<(), ProcessError> {
        let Message::Row(row) = &record.value else {
            return Err(ProcessError::Fatal("signals are made of rows".into()));
        };
        let mut signals = Vec::new();
        ctx.hot(self.gates).edit(&record.key, |gates| {
            if gates.is_fresh() {
                self.seen.see(self.venue, Symbol::new(&row.symbol));
            }
            gates.on_row(self.venue, row, &self.rules, &mut signals);
        });
        for signal in signals {
            ctx.forward(Record::new(record.key.clone(), Message::Signal(Box::new(signal)), record.ts));
        }
        Ok(())
    }
}

/// The binary records of `market.<venue>`.
pub(super) struct MarketCodec;

impl Codec<Message> for MarketCodec {
    fn encode(&self, message: &Message, into: &mut Vec<u8>) -> Result<(), CodecError> {
        match message {
            Message::Market(event) => {
                binary::encode_event(event, into);
                Ok(())
            }
            Message::Row(_) | Message::Signal(_) => Err(CodecError::new("not a market event")),
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<Message, CodecError> {
        binary::decode_event(bytes).map(Message::Market).map_err(|e| CodecError::new(e.to_string()))
    }
}

/// The JSON records of `factors.<venue>`.
pub(super) struct RowCodec;

impl Codec<Message> for RowCodec {
    fn encode(&self, message: &Message, into: &mut Vec<u8>) -> Result<(), CodecError> {
        match message {
            Message::Row(row) => {
                json::encode(&**row, into);
                Ok(())
            }
            Message::Market(_) | Message::Signal(_) => Err(CodecError::new("not a factor row")),
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<Message, CodecError> {
        let row = json::decode(bytes).map_err(CodecError::new)?;
        Ok(Message::Row(Arc::new(row)))
    }
}

/// The JSON records of `signals.<venue>`.
pub(super) struct SignalCodec;

impl Codec<Message> for SignalCodec {
    fn encode(&self, message: &Message, into: &mut Vec<u8>) -> Result<(), CodecError> {
        match message {
            Message::Signal(signal) => {
                json::encode(&**signal, into);
                Ok(())
            }
            Message::Market(_) | Message::Row(_) => Err(CodecError::new("not a signal")),
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<Message, CodecError> {
        let signal = json::decode(bytes).map_err(CodecError::new)?;
        Ok(Message::Signal(Box::new(signal)))
    }
}
