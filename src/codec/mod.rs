//! How values of topic records are written. The first byte of a binary value is its version.

pub mod ashare;
pub mod binary;
pub mod json;
pub mod state;

use lobstream_market::instrument::Venue;
use lobstream_streams::log::TopicName;

/// Name of a topic of a venue, such as `market.binance-usdm`; the prefix keeps environments apart.
pub fn topic_name(prefix: &str, kind: &str, venue: Venue) -> TopicName {
    TopicName::new(&format!("{prefix}{kind}.{venue}"))
}

/// Key of a control record that is of every symbol of its partition.
pub const ALL_SYMBOLS: &str = "*";

/// Bytes that are not what an encoder of ours wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}: {what}")]
pub struct CodecError {
    /// Where reading stopped.
    pub at: usize,
    /// What does not fit.
    pub what: &'static str,
}
