//! The picture of images: rows of an exchange come in, each stock's day is kept, and its image goes out at
//! the close, the same that the batch makes of the same rows.
//!
//! ```text
//! market.sse ─▶ images ──┬─▶ image.sse      at 15:00 and the grace; before it, if asked for, from past cuts
//!               (rows of │
//!                a day)  └─▶ late.sse       rows that came after the close
//! ```
//! Nothing is decided before the close, so the order in which the rows of a day come does not matter.

mod codecs;
mod days;
mod node;
mod past;

use std::sync::Arc;

use lobstream_market::ashare::{DayCounters, Exchange};
use lobstream_market::images::ImageSettings;
use lobstream_streams::store::kv::Kv;
use lobstream_streams::topology::{Builder, Sink, Source, Topology};
use serde::{Deserialize, Serialize};

use crate::codec::ashare::{self, AshareRecord};
use crate::error::Error;

pub use codecs::{decode_image, encode_image};
pub use past::{Past, PastDay};

use codecs::{ImageCodec, RowCodec};
use node::ImageNode;

/// Counter of rows that came after the close of their day.
pub const LATE_AFTER_FINAL: &str = "late_after_final";

/// What the topology is made of.
#[derive(Clone, Debug)]
pub struct ImagesOptions {
    /// Name of the applications, before the exchange.
    pub app: String,
    /// Put before the names of the topics that are read.
    pub topic_prefix: String,
    /// Put before the name of the application and of the topics that are written.
    pub output_prefix: String,
    /// What the kernel is told.
    pub image: ImageSettings,
    /// A stock with more rows gets no image.
    pub rows_max: u64,
    /// Seconds after 15:00:00 at which a day is closed.
    pub grace_s: u32,
    /// Does a row after the close make another image?
    pub reopen: bool,
    /// Images during the day.
    pub intraday: Option<IntradayOptions>,
}

/// Images during the day.
#[derive(Clone, Debug)]
pub struct IntradayOptions {
    /// Seconds between two of them, from 09:30 on, in the session only.
    pub every_s: u32,
    /// Past days whose cuts are averaged.
    pub lookback: usize,
    /// Fewest of them.
    pub min_days: usize,
    /// What is known of past days.
    pub past: Arc<Past>,
}

/// Everything that flows through the topology.
#[derive(Clone, Debug, PartialEq)]
pub enum ImageMessage {
    /// A row of an exchange.
    Row(AshareRecord),
    /// An image of a stock-day.
    Image(Box<ImageRecord>),
}

/// An image of a stock-day, whole or so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// `YYYYMMDD`.
    pub date: u32,
    /// Of the whole day.
    pub is_final: bool,
    /// How often it was corrected.
    pub rev: u32,
    /// From when on it could be known, ns since 1970 UTC.
    pub ts_known_ns: i64,
    /// What became of the day.
    pub status: ImageStatus,
    /// What was counted on the way.
    pub counters: DayCounters,
    /// Trades, new orders and cancels that were counted in cells.
    pub kept: [u64; 3],
    /// 960 `f32` little-endian; none unless the status is `Ok`.
    pub image: Option<Vec<u8>>,
}

/// What became of a stock-day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageStatus {
    /// It has an image.
    Ok,
    /// No record in the session.
    Empty,
    /// More rows than are taken.
    TooManyRows,
    /// Prices and quantities are too large to be summed.
    AmountOverflow,
    /// Not enough past days are known for an image during the day.
    Warmup,
}

/// Name of the application of one exchange.
pub fn app_name(prefix: &str, app: &str, exchange: Exchange) -> String {
    format!("{prefix}{app}.{}", ashare::venue(exchange))
}

/// The topology of one exchange, validated.
///
/// # Errors
/// A name that the engine does not take.
pub fn topology(options: &ImagesOptions, exchange: Exchange) -> Result<Topology<ImageMessage>, Error> {
    let app = app_name(&options.output_prefix, &options.app, exchange);
    let mut t = Builder::<ImageMessage>::new(&app);
    t.config(config(options).as_bytes());
    let input = ashare::topic(&options.topic_prefix, "market", exchange);
    let output = ashare::topic(&options.output_prefix, "image", exchange);
    let rows = t.source("rows", Source::topic(input.as_str(), Arc::new(RowCodec)));
    let (days, of) = (t.store(Kv::new("days")), Arc::new(options.clone()));
    let images = t.processor("images", [rows], [days], move || ImageNode::new(days, Arc::clone(&of)));
    t.sink("images-out", [images], Sink::topic(output.as_str(), Arc::new(ImageCodec)));
    let late = ashare::topic(&options.output_prefix, "late", exchange);
    t.sink("late-out", [images], Sink::topic(late.as_str(), Arc::new(RowCodec)));
    t.build().map_err(|e| Error::usage(e.to_string()))
}

/// What decides images beside the graph.
fn config(o: &ImagesOptions) -> String {
    let version = env!("CARGO_PKG_VERSION");
    // Past days grow from day to day; they are no setting.
    let intraday = o.intraday.as_ref().map(|i| (i.every_s, i.lookback, i.min_days));
    format!("{version} {:?} {} {} {} {intraday:?}", o.image, o.rows_max, o.grace_s, o.reopen)
}

#[cfg(test)]
mod tests;
