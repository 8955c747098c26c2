//! `lobstream replay`: recorded files into the topics of a log, at any speed.

mod ashare;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use indicatif::ProgressBar;
use lobstream_streams::log::{self, Log};
use lobstream_streams::replay::{Drift, Speed};
use lobstream_streams::time::Ts;

use super::player::{Player, Turn};
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
    /// Nothing before this time is written.
    pub(super) from: Option<Ts>,
    /// Orders come on standard input.
    pub(super) control: bool,
}

impl Pace {
    /// Everything, as fast as the log takes it.
    pub(super) const MAX: Pace = Pace { speed: Speed::Max, gap_max: None, from: None, control: false };
}

pub(super) fn execute(args: &cli::Replay) -> Result<(), Error> {
    flags::prefix("--topic-prefix", &args.topic_prefix)?;
    let pace = Pace {
        speed: flags::speed(&args.speed)?,
        gap_max: args.max_gap.as_deref().map(|t| flags::duration("--max-gap", t)).transpose()?,
        from: args.from.as_deref().map(|t| flags::instant("--from", t)).transpose()?,
        control: args.control,
    };
    if ashare::is_meant(args) {
        return ashare::execute(args, &pace);
    }
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
    /// Lateness against the schedule, if there was one.
    drift: Option<Lateness>,
    /// Events that were passed over.
    passed: u64,
    interrupted: bool,
}

/// How late events were written.
struct Lateness {
    /// Half of them, 99 of 100, all of them were not later.
    p50: Duration,
    p99: Duration,
    max: Duration,
    /// What added up, as a share of the schedule.
    total: f64,
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
    let bulk = pace.speed == Speed::Max && !pace.control;
    let writer = TopicWriter::open(&**log, WriterOptions { bulk, ..options })?;
    let player = Player::new(pace, &clock, stop);
    let poured = read_ahead(feed, |ahead| write(ahead, writer, player, show))?;
    Ok(Poured { report: feed.report(), took: clock.mono().0, ..poured })
}

/// Writes what comes, when it is due.
fn write(
    mut feed: Ahead,
    mut writer: TopicWriter<'_>,
    mut player: Player<'_>,
    mut show: impl FnMut(Far),
) -> Result<Poured, Error> {
    let (mut n, mut interrupted) = (0u64, false);
    while let Some((event, value)) = feed.take()? {
        match player.turn(event, &mut writer)? {
            Turn::Write => writer.write_encoded(event, value)?,
            Turn::PassOver => {}
            Turn::Stop => {
                interrupted = true;
                break;
            }
        }
        n += 1;
        if n.is_multiple_of(BAR_EVERY) {
            let lag = player.drift().map_or(Duration::ZERO, Drift::last);
            show(Far { done: feed.done(), events: n, lag });
        }
    }
    player.finish(&mut writer)?;
    let written = if interrupted { writer.leave()? } else { writer.finish()? };
    let drift = player.drift().map(|drift| Lateness {
        p50: drift.quantile(0.5),
        p99: drift.quantile(0.99),
        max: drift.max(),
        total: drift.total(),
    });
    let (report, took, passed) = (FeedReport::default(), Duration::ZERO, player.n_passed());
    Ok(Poured { written, report, took, drift, passed, interrupted })
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
    if let Some(Lateness { p50, p99, max, total }) = done.drift {
        let total = total * 100.0;
        say(format!("behind schedule: p50 {p50:.1?}, p99 {p99:.1?}, max {max:.1?}; drift {total:.4} %"));
    }
    if done.passed > 0 {
        say(format!("{} events passed over", done.passed));
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
