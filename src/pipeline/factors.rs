//! The picture: everything of a symbol comes in, its book is kept, rows and signals go out.
//!
//! ```text
//! market.<venue> ─▶ factors ──▶ factors.<venue>
//!                   (book, factor state)  └─▶ signals ──▶ signals.<venue>
//!                                             (gates, votes)
//! ```

use std::sync::Arc;
use std::time::Duration;

use lobstream_market::instrument::Venue;
use lobstream_market::signal::rule::RuleSet;
use lobstream_streams::store::hot::Hot;
use lobstream_streams::topology::{Builder, Sink, Source, Topology};

use super::nodes::{FactorNode, MarketCodec, Message, RowCodec, SignalCodec, SignalNode};
use super::signals::SignalState;
use super::symbol::SymbolState;
use crate::codec::topic_name;
use crate::error::Error;

/// What the topology is made of.
#[derive(Clone, Debug)]
pub struct PipelineOptions {
    /// Name of the applications, before the venue: their state, offsets and derived topics.
    pub app: String,
    /// Put before every topic name.
    pub topic_prefix: String,
    /// Venues whose `market` topics are read.
    pub venues: Vec<Venue>,
    /// User thresholds.
    pub rules: Arc<RuleSet>,
    /// How much later than the quickest record one may come. A silent symbol's row waits so long.
    pub disorder: Duration,
}

/// The topology of one venue, validated. Every venue is an application of its own, `<prefix><app>.<venue>`: its
/// state and offsets stay what they are when another venue comes or goes, and environments on one broker share
/// nothing.
///
/// # Errors
/// A name that the engine does not take.
pub fn topology(options: &PipelineOptions, venue: Venue) -> Result<Topology<Message>, Error> {
    let mut t = Builder::<Message>::new(&format!("{}{}.{venue}", options.topic_prefix, options.app));
    let topic = |kind: &str| topic_name(&options.topic_prefix, kind, venue);

    let market = t.source("market", Source::topic(topic("market").as_str(), Arc::new(MarketCodec)).rank(0));

    let (symbols, disorder) = (t.store(Hot::<SymbolState>::new("books")), options.disorder);
    let factors = t.processor("factors", [market], [symbols], move || FactorNode { symbols, disorder });
    t.sink("rows-out", [factors], Sink::topic(topic("factors").as_str(), Arc::new(RowCodec)));

    let (gates, rules) = (t.store(Hot::<SignalState>::new("gates")), Arc::clone(&options.rules));
    let signals = t.processor("signals", [factors], [gates], move || SignalNode {
        gates,
        rules: Arc::clone(&rules),
        venue,
    });
    t.sink("signals-out", [signals], Sink::topic(topic("signals").as_str(), Arc::new(SignalCodec)));
    t.build().map_err(|e| Error::usage(e.to_string()))
}
