//! Binance's spelling: JSON texts into [`Message`]s that borrow from them.

use serde::Deserialize;

use crate::feed::binance::fields::{Loose, Object};
use crate::feed::binance::frame::{Data, Frame, Wire};
use crate::feed::binance::quick;
use crate::feed::numbers::LevelText;

/// One message of Binance.
#[derive(Debug)]
pub(crate) enum Message<'a> {
    Depth(Depth<'a>),
    Trade(TradeText<'a>),
    Ticker(Ticker<'a>),
    Snapshot(SnapshotText<'a>),
    /// Nothing for a book or a flow: its kind.
    Other(&'a str),
}

/// A change of the book.
#[derive(Debug)]
pub(crate) struct Depth<'a> {
    pub(crate) symbol: &'a str,
    pub(crate) sent: i64,
    /// Futures only.
    pub(crate) transaction: Option<i64>,
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// Futures only.
    pub(crate) prev: Option<i64>,
    pub(crate) bids: Vec<LevelText<'a>>,
    pub(crate) asks: Vec<LevelText<'a>>,
}

/// A trade or an aggregate of trades.
#[derive(Debug)]
pub(crate) struct TradeText<'a> {
    pub(crate) symbol: &'a str,
    pub(crate) time: i64,
    pub(crate) id: i64,
    pub(crate) aggregate: bool,
    pub(crate) px: &'a str,
    pub(crate) qty: &'a str,
    pub(crate) buyer_is_maker: bool,
    /// Futures: `MARKET`, `INSURANCE_FUND`, ….
    pub(crate) kind: Option<&'a str>,
}

/// The best prices.
#[derive(Debug)]
pub(crate) struct Ticker<'a> {
    pub(crate) symbol: &'a str,
    /// Futures only.
    pub(crate) time: Option<i64>,
    pub(crate) update_id: i64,
    pub(crate) bid: LevelText<'a>,
    pub(crate) ask: LevelText<'a>,
}

/// A REST snapshot.
#[derive(Debug)]
pub(crate) struct SnapshotText<'a> {
    /// COIN-M only.
    pub(crate) symbol: Option<&'a str>,
    /// Futures only.
    pub(crate) time: Option<i64>,
    pub(crate) last_id: i64,
    pub(crate) bids: Vec<LevelText<'a>>,
    pub(crate) asks: Vec<LevelText<'a>>,
}

/// What the shape of a message says about its venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Evidence {
    Spot,
    Futures,
    Usdm,
    Coinm,
}

/// A message and what it says about its venue.
#[derive(Debug)]
pub(crate) struct Parsed<'a> {
    pub(crate) message: Message<'a>,
    pub(crate) evidence: Option<Evidence>,
}

/// Why a text is no message. With a symbol it was meant for that one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WireError {
    pub(crate) reason: String,
    pub(crate) symbol: Option<String>,
    pub(crate) kind: Option<String>,
}

/// Reads one text: a combined frame, a raw frame, an acknowledgement or a snapshot.
pub(crate) fn parse(json: &[u8]) -> Result<Parsed<'_>, WireError> {
    // A derived struct would also be read from an array, field by field.
    if json.trim_ascii_start().first() != Some(&b'{') {
        return Err(WireError { reason: "not a JSON object".into(), symbol: None, kind: None });
    }
    // Judged once as a whole: from bytes, every single text in it would be.
    let Ok(json) = std::str::from_utf8(json) else {
        return Err(WireError { reason: "not UTF-8".into(), symbol: None, kind: None });
    };
    let read = quick::read(json).map_or_else(|| Frame::read(json), Ok);
    let mut frame = match read {
        Ok(frame) => frame,
        Err(error) => return unusual(json, &error),
    };
    match frame.data {
        Data::Other => Ok(Parsed { message: Message::Other("list"), evidence: None }),
        Data::Map => frame.wire.message(frame.stream.is_some()),
        Data::Absent => frame.wire.message(false),
    }
}

/// A text whose fields have other types than ours: a kind that we do not read, or a broken message.
fn unusual<'a>(json: &'a str, error: &serde_json::Error) -> Result<Parsed<'a>, WireError> {
    let names: Names<'a> = serde_json::from_str(json).map_err(|_| WireError {
        reason: error.to_string(),
        symbol: None,
        kind: None,
    })?;
    let (kind, symbol) = match names.data {
        Object::Map(data) => (data.e.0, data.s.0),
        Object::Other | Object::Absent => (names.e.0, names.s.0),
    };
    match kind {
        Some(kind) if !KINDS.contains(&kind) => Ok(Parsed { message: Message::Other(kind), evidence: None }),
        kind => Err(WireError {
            reason: error.to_string(),
            symbol: symbol.map(str::to_owned),
            kind: kind.map(str::to_owned),
        }),
    }
}

const KINDS: [&str; 4] = ["depthUpdate", "trade", "aggTrade", "bookTicker"];

/// Kind and symbol, whatever the types of the other fields.
#[derive(Deserialize, Default)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Names<'a> {
    e: Loose<'a>,
    s: Loose<'a>,
    data: Object<Names<'a>>,
}

impl<'a> Wire<'a> {
    fn message(&mut self, in_stream: bool) -> Result<Parsed<'a>, WireError> {
        let (symbol, kind) = (self.s, self.e);
        self.read(in_stream).map_err(|missing| WireError {
            reason: format!("field {missing} is missing or of another kind"),
            symbol: symbol.map(str::to_owned),
            kind: kind.map(str::to_owned),
        })
    }

    fn read(&mut self, in_stream: bool) -> Result<Parsed<'a>, &'static str> {
        let evidence = self.evidence();
        let message = match self.e {
            Some("depthUpdate") => self.depth().map(Message::Depth)?,
            Some("trade") => self.trade(false).map(Message::Trade)?,
            Some("aggTrade") => self.trade(true).map(Message::Trade)?,
            Some("bookTicker") => self.ticker().map(Message::Ticker)?,
            Some(kind) => Message::Other(kind),
            None if self.lastUpdateId.is_some() && !in_stream => self.snapshot().map(Message::Snapshot)?,
            None if self.lastUpdateId.is_some() => Message::Other("partial depth"),
            None if self.u.is_some() && self.B.is_some() => self.ticker().map(Message::Ticker)?,
            None if self.id.is_some() => Message::Other("acknowledgement"),
            None => Message::Other("without a kind"),
        };
        Ok(Parsed { message, evidence })
    }

    fn evidence(&self) -> Option<Evidence> {
        match self.st {
            Some(1) => return Some(Evidence::Usdm),
            Some(2) => return Some(Evidence::Coinm),
            Some(_) | None => {}
        }
        if self.ps.is_some() || self.pair.is_some() {
            return Some(Evidence::Coinm);
        }
        match self.e {
            Some("depthUpdate") if self.pu.is_some() || self.T.is_some() => Some(Evidence::Usdm),
            Some("depthUpdate") => Some(Evidence::Spot),
            Some("bookTicker") => Some(Evidence::Usdm),
            Some("trade") if self.X.is_some() => Some(Evidence::Futures),
            Some("aggTrade") if self.M.is_none() => Some(Evidence::Futures),
            Some("trade" | "aggTrade") => self.M.map(|_| Evidence::Spot),
            Some("markPriceUpdate" | "forceOrder") => Some(Evidence::Futures),
            Some(_) => None,
            None if self.lastUpdateId.is_some() && (self.E.is_some() || self.T.is_some()) => {
                Some(Evidence::Futures)
            }
            None if self.lastUpdateId.is_some() || self.B.is_some() => Some(Evidence::Spot),
            None => None,
        }
    }

    fn depth(&mut self) -> Result<Depth<'a>, &'static str> {
        Ok(Depth {
            symbol: self.s.ok_or("s")?,
            sent: self.E.ok_or("E")?,
            transaction: self.T,
            first: self.U.ok_or("U")?,
            last: self.u.ok_or("u")?,
            prev: self.pu,
            bids: std::mem::take(&mut self.b).levels().ok_or("b")?,
            asks: std::mem::take(&mut self.a).levels().ok_or("a")?,
        })
    }

    fn trade(&self, aggregate: bool) -> Result<TradeText<'a>, &'static str> {
        let id = if aggregate { self.a.number() } else { self.t };
        Ok(TradeText {
            symbol: self.s.ok_or("s")?,
            time: self.T.ok_or("T")?,
            id: id.ok_or(if aggregate { "a" } else { "t" })?,
            aggregate,
            px: self.p.ok_or("p")?,
            qty: self.q.ok_or("q")?,
            buyer_is_maker: self.m.ok_or("m")?,
            kind: self.X,
        })
    }

    fn ticker(&self) -> Result<Ticker<'a>, &'static str> {
        Ok(Ticker {
            symbol: self.s.ok_or("s")?,
            time: self.T,
            update_id: self.u.ok_or("u")?,
            bid: [self.b.text().ok_or("b")?, self.B.ok_or("B")?],
            ask: [self.a.text().ok_or("a")?, self.A.ok_or("A")?],
        })
    }

    fn snapshot(&mut self) -> Result<SnapshotText<'a>, &'static str> {
        Ok(SnapshotText {
            symbol: self.symbol,
            time: self.T.or(self.E),
            last_id: self.lastUpdateId.ok_or("lastUpdateId")?,
            bids: self.bids.take().ok_or("bids")?.0,
            asks: self.asks.take().ok_or("asks")?.0,
        })
    }
}
