//! Binance: its JSON into events. Nothing outside this file and its folder knows how Binance spells things.

mod fields;
mod frame;
mod quick;
pub(crate) mod rest;
pub(crate) mod scan;
pub(crate) mod wire;

use std::collections::{BTreeMap, BTreeSet};

use lobstream_market::event::{
    Aggressor, Body, BookDelta, BookSnapshot, MarketEvent, Quote, Refused, RefusedReason, Trade,
};
use lobstream_market::instrument::{Instrument, Symbol, Venue};

use crate::error::InputKind;
use crate::feed::FeedEvent;
use crate::feed::instruments::Known;
use crate::feed::numbers::{self, Bad};
use crate::feed::unit::{TimeColumn, TimeError};

use wire::{Depth, Message, SnapshotText, Ticker, TradeText, WireError};

/// What became of a message.
#[derive(Debug)]
pub(crate) enum Read {
    Event(FeedEvent),
    /// Nothing for a book or a flow: its kind.
    LeftOut(String),
}

/// Why a message gives nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum MessageError {
    /// It cannot be read, and not even its symbol is known.
    Malformed(String),
    /// The input as a whole is not understood.
    Fatal(InputKind, String),
}

/// Where a message comes from.
pub(crate) struct Source<'a> {
    pub(crate) ts_recv: Option<i64>,
    /// Its place in words, for those who look at a refused message.
    pub(crate) place: &'a dyn Fn() -> String,
}

/// The address of a snapshot, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) symbol: Option<String>,
    pub(crate) limit: Option<u32>,
}

/// Turns messages of one venue into events.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    venue: Venue,
    symbols: BTreeMap<String, Known>,
    /// Whose snapshots those without a symbol are.
    only_symbol: Option<Symbol>,
    /// Symbols whose single trades are in the input: their aggregates would count each trade twice.
    single_trades: BTreeSet<Symbol>,
    times: TimeColumn,
}

impl Reader {
    pub(crate) fn new(venue: Venue, known: impl IntoIterator<Item = Known>) -> Reader {
        let named = |known: Known| (known.instrument.symbol.as_str().to_owned(), known);
        Reader {
            venue,
            symbols: known.into_iter().map(named).collect(),
            only_symbol: None,
            single_trades: BTreeSet::new(),
            times: TimeColumn::default(),
        }
    }

    /// Snapshots without a symbol belong to this one.
    pub(crate) fn with_only_symbol(self, only_symbol: Option<Symbol>) -> Reader {
        Reader { only_symbol, ..self }
    }

    /// Symbols whose aggregate trades are left out.
    pub(crate) fn with_single_trades(self, single_trades: BTreeSet<Symbol>) -> Reader {
        Reader { single_trades, ..self }
    }

    /// Reads one JSON text.
    pub(crate) fn message(&mut self, json: &[u8], source: &Source<'_>) -> Result<Read, MessageError> {
        let parsed = match wire::parse(json) {
            Ok(parsed) => parsed,
            Err(error) => return self.unreadable(error, source),
        };
        let venue = self.venue;
        let foreign = parsed.evidence.is_some_and(|e| !e.fits(venue));
        let checked = move |body: Result<Body, Bad>| match foreign {
            true => Err(Bad::schema(format!("a message of another venue than {venue}"))),
            false => body,
        };
        match parsed.message {
            Message::Depth(m) => {
                let time = Some(m.transaction.unwrap_or(m.sent));
                self.event(source, m.symbol, time, true, |k| checked(depth(&m, venue, k)))
            }
            Message::Trade(m) if self.is_repeated(&m) => Ok(Read::LeftOut(repeated(&m).to_owned())),
            Message::Trade(m) => self.event(source, m.symbol, Some(m.time), false, |k| checked(trade(&m, k))),
            Message::Ticker(m) => self.event(source, m.symbol, m.time, false, |k| checked(ticker(&m, k))),
            Message::Snapshot(m) => self.snapshot(&m, &Asked::default(), source),
            Message::Other(kind) => Ok(Read::LeftOut(kind.to_owned())),
        }
    }

    /// Reads the reply to a request for a snapshot.
    pub(crate) fn reply(
        &mut self,
        json: &[u8],
        asked: &Asked,
        source: &Source<'_>,
    ) -> Result<Read, MessageError> {
        match wire::parse(json) {
            Ok(wire::Parsed { message: Message::Snapshot(m), .. }) => self.snapshot(&m, asked, source),
            Ok(_) => Err(MessageError::Malformed("the reply is no snapshot".into())),
            Err(error) => self.unreadable(error, source),
        }
    }

    fn snapshot(
        &mut self,
        m: &SnapshotText<'_>,
        asked: &Asked,
        source: &Source<'_>,
    ) -> Result<Read, MessageError> {
        let only = self.only_symbol.as_ref().map(|s| s.as_str().to_owned());
        let symbol = m.symbol.map(str::to_owned).or(asked.symbol.clone()).or(only);
        let symbol = symbol.ok_or_else(|| {
            let what = "a snapshot without a symbol, and the file has none or several: \
                        name its symbol with --symbol, or split the file";
            MessageError::Fatal(InputKind::SnapshotUnassigned, what.to_owned())
        })?;
        self.event(source, &symbol, m.time, true, |known| snapshot(m, asked, known))
    }

    fn event(
        &mut self,
        source: &Source<'_>,
        symbol: &str,
        time: Option<i64>,
        book: bool,
        body: impl FnOnce(&Known) -> Result<Body, Bad>,
    ) -> Result<Read, MessageError> {
        let (ts_event, in_range) = match time.map(|t| self.times.ns(t)).transpose() {
            Ok(ts) => (ts, Ok(())),
            Err(TimeError::OutOfRange) => (None, Err(Bad::time(time.unwrap_or_default()))),
            Err(error) => return Err(time_not_understood(error, time.unwrap_or_default())),
        };
        let known = self.known(symbol)?;
        let body = match in_range.and_then(|()| body(known)) {
            Ok(body) => body,
            Err(Bad::Refuse { reason, what }) => refused(reason, book, &what, source),
            Err(Bad::Coarse(what)) => return Err(MessageError::Fatal(InputKind::StepTooCoarse, what)),
        };
        let Instrument { venue, symbol, .. } = &known.instrument;
        let event = MarketEvent { ts_event, ts_recv: source.ts_recv, body };
        Ok(Read::Event(FeedEvent { venue: *venue, symbol: symbol.clone(), event, source: 0 }))
    }

    fn known(&self, symbol: &str) -> Result<&Known, MessageError> {
        let known = match symbol.bytes().any(|b| b.is_ascii_lowercase()) {
            true => self.symbols.get(&symbol.to_ascii_uppercase()),
            false => self.symbols.get(symbol),
        };
        known.ok_or_else(|| MessageError::Malformed(format!("symbol {symbol} was not asked for")))
    }

    fn is_repeated(&self, m: &TradeText<'_>) -> bool {
        !self.single_trades.is_empty()
            && m.aggregate
            && self.single_trades.iter().any(|s| s.as_str().eq_ignore_ascii_case(m.symbol))
    }

    /// A broken message still makes its book wrong, if it tells whose it was.
    fn unreadable(&mut self, error: WireError, source: &Source<'_>) -> Result<Read, MessageError> {
        let book = !matches!(error.kind.as_deref(), Some("trade" | "aggTrade" | "bookTicker"));
        match error.symbol {
            Some(symbol) if self.symbols.contains_key(&symbol) => {
                let bad = Bad::schema(error.reason);
                self.event(source, &symbol, None, book, |_| Err(bad))
            }
            Some(_) | None => Err(MessageError::Malformed(error.reason)),
        }
    }
}

fn repeated(m: &TradeText<'_>) -> &'static str {
    if m.aggregate { "aggTrade beside trade" } else { "trade" }
}

fn time_not_understood(error: TimeError, value: i64) -> MessageError {
    let (kind, what) = error.explain("event time", value);
    MessageError::Fatal(kind, what)
}

fn refused(reason: RefusedReason, book: bool, what: &str, source: &Source<'_>) -> Body {
    Body::Refused(Refused { reason, book, detail: format!("{}: {what}", (source.place)()) })
}

fn depth(m: &Depth<'_>, venue: Venue, known: &Known) -> Result<Body, Bad> {
    if venue != Venue::BinanceSpot && (m.prev.is_none() || m.transaction.is_none()) {
        return Err(Bad::schema("field pu or T is missing".into()));
    }
    Ok(Body::Delta(BookDelta {
        first_id: Some(m.first),
        last_id: Some(m.last),
        prev_id: m.prev,
        bids: numbers::levels(&m.bids, "b", known)?,
        asks: numbers::levels(&m.asks, "a", known)?,
    }))
}

fn snapshot(m: &SnapshotText<'_>, asked: &Asked, known: &Known) -> Result<Body, Bad> {
    // Without the request at hand the longer side tells where the venue cut: a shorter one is complete.
    let longer = u32::try_from(m.bids.len().max(m.asks.len())).unwrap_or(u32::MAX);
    Ok(Body::Snapshot(BookSnapshot {
        last_id: Some(m.last_id),
        limit: Some(asked.limit.unwrap_or(longer)),
        bids: numbers::levels(&m.bids, "bids", known)?,
        asks: numbers::levels(&m.asks, "asks", known)?,
    }))
}

fn trade(m: &TradeText<'_>, known: &Known) -> Result<Body, Bad> {
    let qty = numbers::qty(m.qty, "q", known)?;
    if qty.0 == 0 {
        return Err(Bad::Refuse {
            reason: RefusedReason::BadQty,
            what: format!("field q: a trade of {}", m.qty),
        });
    }
    Ok(Body::Trade(Trade {
        id: Some(m.id),
        px: numbers::px(m.px, "p", known)?,
        qty,
        // The maker is a buyer: a seller came and took the bid.
        aggressor: if m.buyer_is_maker { Aggressor::Seller } else { Aggressor::Buyer },
        non_market: m.kind.is_some_and(|kind| kind != "MARKET"),
    }))
}

fn ticker(m: &Ticker<'_>, known: &Known) -> Result<Body, Bad> {
    Ok(Body::Quote(Quote {
        update_id: Some(m.update_id),
        bid: numbers::level(m.bid, "b", known)?,
        ask: numbers::level(m.ask, "a", known)?,
    }))
}

#[cfg(test)]
mod tests;
