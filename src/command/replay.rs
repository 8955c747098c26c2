//! `lobstream replay`: recorded files into the topics of a log, at any speed.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::ProgressBar;
use lobstream_streams::log::{self, Log};
use lobstream_streams::replay::{Pacer, Speed};
use lobstream_streams::time::Ts;

use super::progress::{Unit, bar};
use super::{interrupted, note, say};
use crate::cli;
use crate::clock::Clock;
use crate::config::flags;
use crate::error::Error;
use crate::feed::ahead::{Ahead, read_ahead};
use crate::feed::instruments::StepOverride;
use crate::feed::recorded::{RecordedFeed, RecordedOptions};
use crate::feed::writer::{TopicWriter, WriterOptions, Written};
use crate::feed::{Feed, FeedReport};
use lobstream_market::instrument::Symbol;

/// Events between two looks at the clock for the bar.
const BAR_EVERY: u64 = 2_048;

/// How events are handed to the log.
pub(super) struct Pace {
    pub(super) speed: Speed,
    pub(super) gap_max: Option<Duration>,
}

pub(super) fn execute(args: &cli::Replay) -> Result<(), Error> {
    flags::prefix("--topic-prefix", &args.topic_prefix)?;
    let pace = Pace {
        speed: flags::speed(&args.speed)?,
        gap_max: args.max_gap.as_deref().map(|t| flags::duration("--max-gap", t)).transpose()?,
    };
    let mut options = recorded(&args.facts, &args.files)?;
    options.merge = flags::merge(&args.merge)?;
    let writing = WriterOptions::into_topics(&args.topic_prefix, args.partitions);
    let stop = interrupted()?;
    // A recording that is refused leaves no log behind.
    let mut feed = RecordedFeed::open(&options)?;
    let log = log::open(&args.log)?;
    let bar = bar("replay", feed.bytes(), Unit::Bytes);
    let done = pour(&mut feed, &log, writing, &pace, &stop, |far| show(&bar, &far));
    bar.finish_and_clear();
    let done = done?;
    tell(&feed, &done);
    Ok(())
}

/// Reader options from flags.
pub(super) fn recorded(facts: &cli::FileFacts, files: &[PathBuf]) -> Result<RecordedOptions, Error> {
    Ok(RecordedOptions {
        inputs: files.to_vec(),
        venue: facts.venue.as_deref().map(|v| flags::venue("--venue", v)).transpose()?,
        symbol: facts.symbol.as_deref().map(Symbol::new),
        steps: StepOverride {
            tick: facts.tick.as_deref().map(|t| flags::step("--tick", t)).transpose()?,
            lot: facts.lot.as_deref().map(|t| flags::step("--lot", t)).transpose()?,
        },
        ..RecordedOptions::default()
    })
}

/// What was poured into a log.
pub(super) struct Poured {
    pub(super) written: Written,
    pub(super) report: FeedReport,
    pub(super) took: Duration,
    /// Lateness against the schedule, if there was one: p50, p99, greatest.
    drift: Option<[Duration; 3]>,
    interrupted: bool,
}

/// How far a replay has come.
pub(super) struct Far {
    /// In the unit of the feed.
    pub(super) done: u64,
    /// Written.
    events: u64,
    /// Behind the schedule.
    lag: Duration,
}

/// Writes a feed into a log at a pace; `show` is told now and then how far it has come. Reading and writing
/// each have a thread: this one writes.
pub(super) fn pour<F: Feed + Send>(
    feed: &mut F,
    log: &Arc<dyn Log>,
    options: WriterOptions,
    pace: &Pace,
    stop: &AtomicBool,
    show: impl FnMut(Far),
) -> Result<Poured, Error> {
    let clock = Clock::start();
    let writer = TopicWriter::open(&**log, options)?;
    let (written, drift) = read_ahead(feed, |ahead| write(ahead, writer, pace, &clock, stop, show))?;
    let interrupted = stop.load(Ordering::Relaxed);
    Ok(Poured { written, report: feed.report(), took: clock.mono().0, drift, interrupted })
}

/// Writes what comes; what was written, and how late.
fn write(
    mut feed: Ahead,
    mut writer: TopicWriter<'_>,
    pace: &Pace,
    clock: &Clock,
    stop: &AtomicBool,
    mut show: impl FnMut(Far),
) -> Result<(Written, Option<[Duration; 3]>), Error> {
    let mut pacer = Pacer::new(pace.speed, pace.gap_max);
    let paced = pace.speed != Speed::Max;
    let (mut n, mut last) = (0u64, 0i64);
    while let Some(event) = feed.take()? {
        if paced {
            last = event.event.ts_recv.or(event.event.ts_event).unwrap_or(last);
            wait_until_due(&mut pacer, Ts(last), clock, &mut writer, stop)?;
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
        writer.write(event)?;
        n += 1;
        if n.is_multiple_of(BAR_EVERY) {
            show(Far { done: feed.done(), events: n, lag: pacer.drift().last() });
        }
    }
    let written = if stop.load(Ordering::Relaxed) { writer.leave()? } else { writer.finish()? };
    let drift =
        paced.then(|| [pacer.drift().quantile(0.5), pacer.drift().quantile(0.99), pacer.drift().max()]);
    Ok((written, drift))
}

/// Sleeps until the next event is due; what was released before is handed over first.
fn wait_until_due(
    pacer: &mut Pacer,
    ts: Ts,
    clock: &Clock,
    writer: &mut TopicWriter<'_>,
    stop: &AtomicBool,
) -> Result<(), Error> {
    pacer.offer(ts, clock.mono());
    let mut handed_over = false;
    while let Some(wait) = pacer.wait(clock.mono()) {
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        if !handed_over {
            writer.flush()?;
            handed_over = true;
            continue;
        }
        std::thread::sleep(wait);
    }
    pacer.released(clock.mono());
    Ok(())
}

fn show(bar: &ProgressBar, far: &Far) {
    bar.set_position(far.done);
    let rate = far.events as f64 / bar.elapsed().as_secs_f64().max(1e-3);
    bar.set_message(format!("· {:.0} k events/s, lag {} ms", rate / 1e3, far.lag.as_millis()));
}

fn tell(feed: &RecordedFeed, done: &Poured) {
    let seconds = done.took.as_secs_f64().max(1e-6);
    let Written { events, beacons, .. } = done.written;
    for (topic, n) in &done.written.topics {
        say(format!("{topic}: {n} events"));
    }
    for known in feed.instruments() {
        let i = &known.instrument;
        say(format!("{} {}: tick {}, lot {}", i.venue, i.symbol, i.tick_size, i.lot_size));
    }
    say(format!(
        "{events} events and {beacons} beacons in {seconds:.2} s ({:.0}/s)",
        events as f64 / seconds
    ));
    if let Some([p50, p99, max]) = done.drift {
        say(format!("behind schedule: p50 {p50:.1?}, p99 {p99:.1?}, max {max:.1?}"));
    }
    tell_oddities(&done.report);
    for topic in &done.written.overlapping {
        note(format!(
            "{topic} held records of these times before: what was added is late there and changes no row that is \
             written. To have it anew, use another log or --topic-prefix"
        ));
    }
    if done.interrupted {
        note("interrupted: the log holds the input up to here");
    }
}

/// What was read but is not simply an event: nothing disappears silently.
pub(super) fn tell_oddities(report: &FeedReport) {
    if let Some(n) = report.events.get("refused") {
        note(format!(
            "{n} messages were refused (wrong price, quantity or time); their books are invalid until a snapshot"
        ));
    }
    for (what, n) in &report.left_out {
        note(format!("{n} messages left out: {what}"));
    }
    if report.malformed > 0 {
        note(format!("{} lines could not be read, the first of them:", report.malformed));
        report.malformed_first.iter().for_each(|line| note(format!("  {line}")));
    }
}
