//! `lobstream live`: a venue's own stream into the topics of a log, until told to stop.

use std::sync::Arc;

use lobstream_streams::log;

use super::{interrupted, note, say};
use crate::cli;
use crate::clock::Clock;
use crate::config::flags;
use crate::error::Error;
use crate::feed::live::{LiveFeed, LiveOptions};
use crate::feed::writer::{TopicWriter, WriterOptions};

pub(super) fn execute(args: &cli::Live) -> Result<(), Error> {
    let clock = Clock::start();
    let venue = flags::venue("--venue", &args.venue)?;
    let symbols = flags::symbols("--symbols", &args.symbols)?;
    // Delays between attempts differ from one start to the next; nothing else depends on this number.
    let jitter = clock.wall_ns().unsigned_abs();
    let options = LiveOptions {
        ws_base: args.ws_base.clone(),
        rest_base: args.rest_base.clone(),
        ..LiveOptions::new(venue, symbols, jitter)?
    };
    flags::prefix("--topic-prefix", &args.topic_prefix)?;
    let writing = WriterOptions::into_topics(&args.topic_prefix, args.partitions);
    let stop = interrupted()?;
    let log = log::open(&args.log)?;
    let writer = TopicWriter::open(&*log, writing)?;
    note(format!("following {venue} {}; Ctrl-C ends", args.symbols.join(", ")));
    let mut feed = LiveFeed::start(options, clock, Arc::clone(&stop))?;
    let written = feed.pour(writer)?;
    for (kind, n) in &feed.report().events {
        say(format!("{n} {kind}"));
    }
    say(format!(
        "{} events and {} beacons in {:.0} s",
        written.events,
        written.beacons,
        clock.mono().0.as_secs_f64()
    ));
    Ok(())
}
