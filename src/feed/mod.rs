//! Feeds: from outside into the log. A feed yields what happened in arrival order and repairs nothing;
//! [`writer::TopicWriter`] puts it into the `market` topics.
//!
//! ```text
//! files ─▶ recorded ─▶ binance │ tardis ─▶ merge ─┐
//! seed  ─▶ synthetic ─────────────────────────────┼─▶ FeedEvent ─▶ writer ─▶ market.<venue>
//! venue ─▶ socket ─▶ live ────────────────────────┘
//! ```

pub mod ahead;
pub mod ashare;
mod backoff;
pub mod bars;
pub(crate) mod binance;
pub mod daily_tables;
#[cfg(feature = "fake-venue")]
pub mod fake;
pub mod instruments;
pub mod live;
pub mod merge;
pub(crate) mod numbers;
pub mod recorded;
mod socket;
pub mod synthetic;
pub(crate) mod tardis;
pub mod unit;
pub mod writer;
pub(crate) mod zip;

use std::collections::BTreeMap;

use lobstream_market::event::{Body, MarketEvent};
use lobstream_market::instrument::{Symbol, Venue};

use crate::error::Error;

/// One thing that happened to one instrument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedEvent {
    /// Where.
    pub venue: Venue,
    /// To what.
    pub symbol: Symbol,
    /// What, and when.
    pub event: MarketEvent,
    /// Number of the recorder, 0 if there is one: receive times of different ones are of different clocks.
    pub source: u32,
}

/// A source of events in arrival order. The first event of every symbol is its instrument. Sequence is
/// not judged here: snapshots and changes are handed over as they came, the reader of the topic syncs.
pub trait Feed {
    /// The next event; `None` at the end.
    ///
    /// # Errors
    /// Input that cannot be read any further. The feed is of no use after that.
    fn next(&mut self) -> Result<Option<FeedEvent>, Error>;

    /// What was read so far.
    fn report(&self) -> FeedReport;

    /// How far it has come, in its own unit: bytes of files, seconds of a made market; 0 where there is
    /// none.
    fn done(&self) -> u64 {
        0
    }
}

/// What a feed has read: counts by name, so that nothing disappears silently.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedReport {
    /// Lines or messages.
    pub lines: u64,
    /// Events handed over, by kind.
    pub events: BTreeMap<&'static str, u64>,
    /// Messages read and left out, by the venue's word for them.
    pub left_out: BTreeMap<String, u64>,
    /// Lines that could not be read.
    pub malformed: u64,
    /// The first of them: place, reason, and what stands there.
    pub malformed_first: Vec<String>,
}

impl FeedReport {
    /// Counts one event.
    pub fn count(&mut self, body: &Body) {
        *self.events.entry(kind(body)).or_default() += 1;
    }

    /// Adds the counts of another report.
    pub fn add(&mut self, other: &FeedReport) {
        self.lines += other.lines;
        self.malformed += other.malformed;
        other.events.iter().for_each(|(k, n)| *self.events.entry(k).or_default() += n);
        other.left_out.iter().for_each(|(k, n)| *self.left_out.entry(k.clone()).or_default() += n);
        let room = MALFORMED_KEPT.saturating_sub(self.malformed_first.len());
        self.malformed_first.extend(other.malformed_first.iter().take(room).cloned());
    }

    /// Events of all kinds.
    pub fn events_total(&self) -> u64 {
        self.events.values().sum()
    }
}

/// How many unreadable lines a report quotes.
pub const MALFORMED_KEPT: usize = 5;

/// One word per kind of event.
pub fn kind(body: &Body) -> &'static str {
    match body {
        Body::Instrument(_) => "instrument",
        Body::Snapshot(_) => "snapshot",
        Body::Delta(_) => "delta",
        Body::Trade(_) => "trade",
        Body::Quote(_) => "quote",
        Body::Control(_) => "control",
        Body::Refused(_) => "refused",
    }
}
