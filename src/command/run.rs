//! `lobstream run`: the processor. Topics in, books and factors and signals, topics out, and from those
//! into the stores of results.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use lobstream_market::instrument::Venue;
use lobstream_streams::error::{Error as EngineError, LogError};
use lobstream_streams::log::{self, Log, TopicName, TopicSpec};
use lobstream_streams::replay::Handover;
use lobstream_streams::runtime::metrics::Progress;
use lobstream_streams::runtime::{App, Until};
use lobstream_streams::settings::{GroupProtocol, Guarantee, Settings, Sharing, Standby};

use super::progress::spinner;
use super::{interrupted, note, say};
use crate::cli;
use crate::clock::Clock;
use crate::codec::topic_name;
use crate::config::{flags, rules};
use crate::error::Error;
use crate::feed::writer::{PARTITIONS, WriterOptions};
use crate::pipeline::factors::{PipelineOptions, topology};
use crate::pipeline::sole_writer::check_sole_writer;
use crate::pipeline::{LATE, Message, SymbolsSeen};
use crate::sink::results::Results;
use crate::sink::runner::{SinkRunner, SinkThread};

/// How often the work is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Name of a process that has none.
pub(super) const INSTANCE: &str = "0";

/// What to run, resolved.
pub(super) struct RunOptions {
    pub(super) pipeline: PipelineOptions,
    /// Addresses of the stores.
    pub(super) results: Vec<String>,
    pub(super) until: Until,
    pub(super) threads: u32,
    pub(super) state_dir: PathBuf,
    pub(super) instance: String,
    pub(super) sharing: Sharing,
    pub(super) guarantee: Guarantee,
    pub(super) standby: Option<Standby>,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RunReport {
    pub(super) records: u64,
    pub(super) outputs: u64,
    pub(super) poisoned: u64,
    pub(super) commits: u64,
    /// Records that came after their second was closed.
    pub(super) late: u64,
    /// Rows stored, by address.
    pub(super) stored: Vec<(String, u64)>,
}

pub(super) fn execute(args: &cli::Run) -> Result<(), Error> {
    if args.process.until_end || args.describe {
        expect_log(&args.of)?;
    }
    flags::name("--instance", &args.process.instance)?;
    Results::all_different(&args.results)?;
    let (log, pipeline) = open(&args.of)?;
    let options = RunOptions {
        pipeline,
        results: args.results.clone(),
        until: if args.process.until_end { Until::End } else { Until::Shutdown },
        threads: args.process.threads.unwrap_or_else(cores),
        state_dir: state_of(&args.of.state, &args.process.instance),
        instance: args.process.instance.clone(),
        sharing: sharing(&args.assignment, &args.group_protocol),
        guarantee: guarantee(&args.guarantee),
        standby: args.standby.as_deref().map(|text| flags::standby("--standby", text)).transpose()?,
    };
    let log = match &args.archive {
        Some(archive) => behind(archive, log, &options.pipeline)?,
        None => log,
    };
    if args.standby.is_some() && log.state().is_some() {
        return Err(Error::usage(
            "--standby: an embedded log has one process, which keeps the state beside it",
        ));
    }
    if args.describe {
        for &venue in &options.pipeline.venues {
            say(topology(&options.pipeline, venue)?.describe());
        }
        return Ok(());
    }
    let suspicious = tell_rules(args, &SymbolsSeen::default(), &[])?;
    let stop = interrupted()?;
    let line = spinner("run");
    let done = run(&options, &log, &stop, |now| {
        line.set_message(format!("{} records in, {} out, {} commits", now.records, now.outputs, now.commits));
    });
    line.finish_and_clear();
    let done = done?;
    say(format!("{} records in, {} records out", done.records, done.outputs));
    for (name, rows) in &done.stored {
        say(format!("{rows} rows stored in {name}"));
    }
    tell_rules(args, &options.pipeline.seen, &suspicious)?;
    tell_late(&done);
    if done.poisoned > 0 {
        let PipelineOptions { output_prefix: prefix, app, .. } = &options.pipeline;
        note(format!(
            "{} records could not be used: they lie in {prefix}{app}.<venue>-dead-letter",
            done.poisoned
        ));
    }
    Ok(())
}

/// Nothing is made where something was to be read.
pub(super) fn expect_log(of: &cli::AppFacts) -> Result<(), Error> {
    if log::exists(&of.log) {
        return Ok(());
    }
    let what = format!("there is no log at {}: fill one with lobstream replay or live first", of.log);
    Err(Error::Missing { what })
}

/// The log of an application, and what runs over it.
pub(super) fn open(of: &cli::AppFacts) -> Result<(Arc<dyn Log>, PipelineOptions), Error> {
    let output_prefix = of.output_prefix.as_ref().unwrap_or(&of.topic_prefix);
    flags::prefix("--topic-prefix", &of.topic_prefix)?;
    flags::prefix("--output-prefix", output_prefix)?;
    let log = log::open(&of.log)?;
    let venues = match of.venues.is_empty() {
        true => venues_of(&*log, &of.topic_prefix, &of.log)?,
        false => of.venues.iter().map(|v| flags::venue("--venues", v)).collect::<Result<_, _>>()?,
    };
    let pipeline = PipelineOptions {
        app: of.app.clone(),
        topic_prefix: of.topic_prefix.clone(),
        output_prefix: output_prefix.clone(),
        venues,
        rules: Arc::new(rules::load(of.rules.as_deref())?),
        seen: SymbolsSeen::default(),
        disorder: WriterOptions::default().disorder,
    };
    Ok((log, pipeline))
}

/// What is suspicious in the rules file and not told yet: at the end it is known which symbols there are.
fn tell_rules(args: &cli::Run, seen: &SymbolsSeen, told: &[String]) -> Result<Vec<String>, Error> {
    let Some(file) = &args.of.rules else { return Ok(Vec::new()) };
    let warnings = rules::warnings(file, &seen.all())?;
    warnings.iter().filter(|line| !told.contains(line)).for_each(note);
    Ok(warnings)
}

/// Some records always come late. If many do, somebody wrote the past into the log again.
fn tell_late(done: &RunReport) {
    if done.late == 0 {
        return;
    }
    let advice = match done.late.saturating_mul(10) > done.records {
        true => "; so many: was the same input replayed into this log twice, or an older one after a newer?",
        false => "",
    };
    note(format!(
        "{} records came after their second was closed: they count in the one open then and change no row \
         written{advice}",
        done.late
    ));
}

/// The log with what its archive holds before it.
fn behind(archive: &str, live: Arc<dyn Log>, pipeline: &PipelineOptions) -> Result<Arc<dyn Log>, Error> {
    if !log::exists(archive) {
        return Err(Error::Missing { what: format!("there is no archive at {archive}") });
    }
    let topic = |venue: &Venue| topic_name(&pipeline.topic_prefix, "market", *venue);
    let topics: Vec<TopicName> = pipeline.venues.iter().map(topic).collect();
    Ok(Arc::new(Handover::join(log::open(archive)?, live, &topics)?))
}

/// Processes on one machine must not share their state: all but the first name have a folder of their own.
pub(super) fn state_of(dir: &Path, instance: &str) -> PathBuf {
    if instance == INSTANCE { dir.to_owned() } else { dir.join(instance) }
}

/// The values are those that the command line takes.
fn sharing(assignment: &str, protocol: &str) -> Sharing {
    match (assignment, protocol) {
        ("static", _) => Sharing::Static,
        (_, "consumer") => Sharing::Group(GroupProtocol::Consumer),
        (_, _) => Sharing::Group(GroupProtocol::Classic),
    }
}

fn guarantee(name: &str) -> Guarantee {
    if name == "at-least-once" { Guarantee::AtLeastOnce } else { Guarantee::ExactlyOnce }
}

/// One stream thread per core.
pub(super) fn cores() -> u32 {
    thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1))
}

/// Venues whose market topics the log has.
fn venues_of(log: &dyn Log, prefix: &str, uri: &str) -> Result<Vec<Venue>, Error> {
    let market = format!("{prefix}market.");
    let named = |t: &TopicName| t.as_str().strip_prefix(&market).and_then(|v| Venue::from_str(v).ok());
    let venues: Vec<Venue> = log.topics()?.iter().filter_map(named).collect();
    if venues.is_empty() {
        let what = format!("no topic {market}<venue> in {uri}: fill one with lobstream replay or live first");
        return Err(Error::Missing { what });
    }
    Ok(venues)
}

/// Runs until the end, or until told to stop; `show` is called now and then.
pub(super) fn run(
    options: &RunOptions,
    log: &Arc<dyn Log>,
    stop: &AtomicBool,
    show: impl Fn(&RunReport),
) -> Result<RunReport, Error> {
    let clock = Clock::start();
    check_sole_writer(&options.pipeline, &log.topics()?)?;
    let apps = apps(options, log, clock)?;
    let topics = outputs(options, &**log)?;
    let sinks = open_sinks(options, log, &topics, clock)?;
    let halt = AtomicBool::new(false);
    let ended: Result<(), EngineError> = thread::scope(|scope| {
        let (until, halt) = (options.until, &halt);
        let running: Vec<_> =
            apps.iter().map(|(app, progress)| scope.spawn(move || app.run(until, halt, progress))).collect();
        while !running.iter().all(|app| app.is_finished()) {
            // A store or an application that fails stops the work: rows would only pile up.
            let failed = sinks.iter().any(SinkThread::has_ended)
                || (until == Until::Shutdown && running.iter().any(|app| app.is_finished()));
            halt.store(failed || stop.load(Ordering::Relaxed), Ordering::Relaxed);
            show(&seen(&apps));
            thread::sleep(LOOK);
        }
        let join = |app: thread::ScopedJoinHandle<'_, _>| match app.join() {
            Ok(ended) => ended,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        running.into_iter().map(join).collect::<Vec<_>>().into_iter().collect()
    });
    let stored = finish(sinks);
    ended.map_err(with_advice)?;
    Ok(RunReport { stored: stored?, ..seen(&apps) })
}

/// One application for each venue.
fn apps(
    options: &RunOptions,
    log: &Arc<dyn Log>,
    clock: Clock,
) -> Result<Vec<(App<Message>, Progress)>, Error> {
    let mut settings = Settings::default();
    settings.n_threads = options.threads;
    settings.state_dir.clone_from(&options.state_dir);
    settings.instance.clone_from(&options.instance);
    settings.assignment = options.sharing;
    settings.guarantee = options.guarantee;
    settings.standby = options.standby;
    let app = |&venue: &Venue| {
        let topology = topology(&options.pipeline, venue)?;
        let app = App::new(topology, Arc::clone(log), settings.clone(), Arc::new(clock));
        Ok((app, Progress::default()))
    };
    options.pipeline.venues.iter().map(app).collect()
}

/// What all applications have done so far.
fn seen(apps: &[(App<Message>, Progress)]) -> RunReport {
    let mut report = RunReport::default();
    for progress in apps.iter().map(|(_, progress)| progress.snapshot()) {
        report.records += progress.records_in;
        report.outputs += progress.records_out;
        report.poisoned += progress.poisoned;
        report.commits += progress.commits;
        report.late += progress.counts.get(LATE).copied().unwrap_or(0);
    }
    report
}

/// A run that was killed is repeated from its last checkpoint, and must come to the same rows and signals.
fn with_advice(error: EngineError) -> Error {
    match error {
        EngineError::StateDiverged { changed: true, .. } => Error::Exists {
            what: format!(
                "{error}. If the rules file or the program was changed after a run that was killed: run once with \
                 the old one, or write topics of its own by --output-prefix"
            ),
        },
        other => other.into(),
    }
}

/// The output topics, made if they are missing, so that the stores can follow them from the start.
fn outputs(options: &RunOptions, log: &dyn Log) -> Result<Vec<TopicName>, Error> {
    let pipeline = &options.pipeline;
    let mut topics = Vec::new();
    for &venue in &pipeline.venues {
        let input = topic_name(&pipeline.topic_prefix, "market", venue);
        let partitions = input_partitions(log, &input, options.until)?;
        for kind in ["factors", "signals"] {
            let name = topic_name(&pipeline.output_prefix, kind, venue);
            log.ensure_topic(&TopicSpec { name: name.clone(), partitions, retention: None, compact: false })?;
            topics.push(name);
        }
    }
    Ok(topics)
}

/// A run that follows may begin before its input: then it makes the topic.
fn input_partitions(log: &dyn Log, input: &TopicName, until: Until) -> Result<u32, Error> {
    match (log.partitions(input), until) {
        (Err(LogError::UnknownTopic { .. }), Until::Shutdown) => {
            let spec =
                TopicSpec { name: input.clone(), partitions: PARTITIONS, retention: None, compact: false };
            log.ensure_topic(&spec)?;
            Ok(PARTITIONS)
        }
        (Err(LogError::UnknownTopic { topic }), Until::End) => {
            let what = format!("topic {topic} does not exist: fill it with lobstream replay or live first");
            Err(Error::Missing { what })
        }
        (answer, Until::Shutdown | Until::End) => Ok(answer?),
    }
}

fn open_sinks(
    options: &RunOptions,
    log: &Arc<dyn Log>,
    topics: &[TopicName],
    clock: Clock,
) -> Result<Vec<SinkThread>, Error> {
    // All of them are opened before any is started: a wrong address stops the run before it begins.
    let open = |uri: &String| SinkRunner::open(Arc::clone(log), Results::open_sink(uri)?, topics, clock);
    let runners = options.results.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    runners.into_iter().map(SinkRunner::spawn).collect()
}

/// Lets every store come to the end of its topics; the first failure counts, but all are waited for.
fn finish(sinks: Vec<SinkThread>) -> Result<Vec<(String, u64)>, Error> {
    let done: Vec<_> = sinks
        .into_iter()
        .map(|sink| {
            let name = sink.name().to_owned();
            sink.finish().map(|rows| (name, rows))
        })
        .collect();
    done.into_iter().collect()
}
