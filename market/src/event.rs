//! Everything that can happen to an instrument, in exact integers, venue spelling left behind.

use serde::{Deserialize, Serialize};

use crate::instrument::Instrument;
use crate::price::{Lots, Ticks};

/// A price level as a message gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// Price.
    pub px: Ticks,
    /// Absolute quantity; in a delta 0 removes the level.
    pub qty: Lots,
}

/// The side that crossed the spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Aggressor {
    /// A buyer took an ask.
    Buyer,
    /// A seller took a bid.
    Seller,
    /// Not told.
    Unknown,
}

impl Aggressor {
    /// +1, −1, 0.
    pub fn sign(self) -> i64 {
        match self {
            Aggressor::Buyer => 1,
            Aggressor::Seller => -1,
            Aggressor::Unknown => 0,
        }
    }
}

/// A match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    /// The venue's number, if it has one.
    pub id: Option<i64>,
    /// Price.
    pub px: Ticks,
    /// Quantity, above 0.
    pub qty: Lots,
    /// Who crossed.
    pub aggressor: Aggressor,
    /// Not from the order book (insurance fund, liquidation): kept, out of every flow.
    pub non_market: bool,
}

/// The whole book, or its best `limit` levels a side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookSnapshot {
    /// The venue's update id of this state.
    pub last_id: Option<i64>,
    /// Levels asked for; `None` if the book is complete.
    pub limit: Option<u32>,
    /// As written.
    pub bids: Vec<Level>,
    /// As written.
    pub asks: Vec<Level>,
}

/// A change of levels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookDelta {
    /// First update id inside (Binance `U`).
    pub first_id: Option<i64>,
    /// Last update id inside (Binance `u`).
    pub last_id: Option<i64>,
    /// Last id of the message before (Binance futures `pu`).
    pub prev_id: Option<i64>,
    /// In message order.
    pub bids: Vec<Level>,
    /// In message order.
    pub asks: Vec<Level>,
}

/// The venue's own best prices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// Update id of the state it shows.
    pub update_id: Option<i64>,
    /// Best bid.
    pub bid: Level,
    /// Best ask.
    pub ask: Level,
}

/// What the connection did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Control {
    /// A connection stands; what follows is continuous.
    Connected,
    /// It broke: messages may be missing from here on.
    Disconnected,
    /// The source delivered nothing at all for too long.
    Stale,
    /// The feed asked for a snapshot after a gap.
    ResyncStarted,
    /// Nobody listened to the source since the record before: another session of the feed begins here.
    Away,
}

impl Control {
    /// All of them.
    pub const ALL: [Control; 5] =
        [Control::Connected, Control::Disconnected, Control::Stale, Control::ResyncStarted, Control::Away];
}

/// Why a message was refused before anything looked at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedReason {
    /// Not readable.
    Parse,
    /// Fields missing or of the wrong kind.
    Schema,
    /// Price not a multiple of the tick, or too long.
    BadPrice,
    /// Quantity negative, not a multiple of the lot, or too long.
    BadQty,
    /// A time outside 1990–2100.
    TimeOutOfRange,
}

/// A message of the symbol that could not be used. A book that depends on it is no longer right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Why.
    pub reason: RefusedReason,
    /// Was it a book message? (A refused trade does not touch the book.)
    pub book: bool,
    /// Field, text and source position.
    pub detail: String,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// Steps in force from here on; the first record of every symbol.
    Instrument(Instrument),
    /// A complete state.
    Snapshot(BookSnapshot),
    /// A change.
    Delta(BookDelta),
    /// A match.
    Trade(Trade),
    /// The venue's ticker.
    Quote(Quote),
    /// The connection.
    Control(Control),
    /// A message that could not be used.
    Refused(Refused),
}

/// One thing that happened, and when. Times are ns since 1970 UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarketEvent {
    /// At the venue; `None` where the venue gives none (spot snapshots and tickers).
    pub ts_event: Option<i64>,
    /// At our capture; `None` in files that do not have it.
    pub ts_recv: Option<i64>,
    /// What.
    pub body: Body,
}
