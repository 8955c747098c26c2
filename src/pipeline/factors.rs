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
use super::signals::{SignalState, SymbolsSeen};
use super::symbol::SymbolState;
use crate::codec::topic_name;
use crate::error::Error;

/// What the topology is made of.
#[derive(Clone, Debug)]
pub struct PipelineOptions {
    /// Name of the applications, before the venue: their state, offsets and derived topics.
    pub app: String,
    /// Put before the names of the topics that are read.
    pub topic_prefix: String,
    /// Put before the name of the application and of the topics that are written.
    pub output_prefix: String,
    /// Venues whose `market` topics are read.
    pub venues: Vec<Venue>,
    /// User thresholds.
    pub rules: Arc<RuleSet>,
    /// Filled with the symbols that come.
    pub seen: SymbolsSeen,
    /// How much later than the quickest record one may come. A silent symbol's row waits so long.
    pub disorder: Duration,
}

/// Name of the application of one venue: `<prefix><app>.<venue>`.
pub fn app_name(prefix: &str, app: &str, venue: Venue) -> String {
    format!("{prefix}{app}.{venue}")
}

/// The topology of one venue, validated. Every venue is an application of its own, see [`app_name`]: its
/// state and offsets stay what they are when another venue comes or goes, and environments on one broker share
/// nothing.
///
/// # Errors
/// A name that the engine does not take.
pub fn topology(options: &PipelineOptions, venue: Venue) -> Result<Topology<Message>, Error> {
    let mut t = Builder::<Message>::new(&app_name(&options.output_prefix, &options.app, venue));
    t.config(config(options).as_bytes());
    let input = topic_name(&options.topic_prefix, "market", venue);
    let output = |kind: &str| topic_name(&options.output_prefix, kind, venue);

    let market = t.source("market", Source::topic(input.as_str(), Arc::new(MarketCodec)).rank(0));

    let (symbols, disorder) = (t.store(Hot::<SymbolState>::new("books")), options.disorder);
    let factors = t.processor("factors", [market], [symbols], move || FactorNode { symbols, disorder });
    t.sink("rows-out", [factors], Sink::topic(output("factors").as_str(), Arc::new(RowCodec)));

    let (gates, rules) = (t.store(Hot::<SignalState>::new("gates")), Arc::clone(&options.rules));
    let seen = options.seen.clone();
    let signals = t.processor("signals", [factors], [gates], move || SignalNode {
        gates,
        rules: Arc::clone(&rules),
        venue,
        seen: seen.clone(),
    });
    t.sink("signals-out", [signals], Sink::topic(output("signals").as_str(), Arc::new(SignalCodec)));
    t.build().map_err(|e| Error::usage(e.to_string()))
}

/// What decides rows and signals beside the graph: the version, whose numbers may be others, and the settings.
fn config(options: &PipelineOptions) -> String {
    format!("{} {:?} {:?}", env!("CARGO_PKG_VERSION"), options.disorder, options.rules)
}
