//! The application under test: a topology, a run, and marks on standard output by which a script measures.
//!
//! ```text
//! first          the first record is processed
//! mark 1000000   so many records are processed; one line for each million
//! done           the input is used up and everything is committed (with --until-end)
//! ```
//! After that it waits until standard input is closed, so that a script can read its counters in peace.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lobstream_streams::error::TopologyError;
use lobstream_streams::log::open;
use lobstream_streams::record::Record;
use lobstream_streams::runtime::metrics::Progress;
use lobstream_streams::runtime::{App, Clock, Until};
use lobstream_streams::settings::{Guarantee, Settings};
use lobstream_streams::store::StoreRef;
use lobstream_streams::store::kv::Kv;
use lobstream_streams::time::Mono;
use lobstream_streams::topology::processor::{Context, ProcessError, Processor};
use lobstream_streams::topology::stream::Stream;
use lobstream_streams::topology::window::Windows;
use lobstream_streams::topology::{Builder, Sink, Source, Topology};

use crate::Outcome;
use crate::args::Args;
use crate::tick::{Json, Message, Sums, Tick};

/// How often the marks are looked after.
const LOOK: Duration = Duration::from_millis(1);
const MARK_EVERY: u64 = 1_000_000;

type Made = Result<Topology<Message>, TopologyError>;

/// Per key and second: count, sum of the quantities, last price.
pub(crate) fn seconds(app: &str, input: &str, output: &str) -> Made {
    let mut t = Builder::new(app);
    let ticks: Stream<Message, Tick> = t.stream("ticks", source(input));
    let second = Windows::tumbling(Duration::from_secs(1), Duration::ZERO);
    let add = |sums: &mut Sums, record: &Record<Tick>| sums.add(record.value);
    let rows = ticks.windowed(second).aggregate(Sums::default, add).named("seconds");
    rows.to(output, Arc::new(Json));
    t.build()
}

/// Per key: how many so far, written at every hundredth record of a key.
pub(crate) fn counts(app: &str, input: &str, output: &str) -> Made {
    let mut t = Builder::new(app);
    let ticks = t.source("ticks", source(input));
    let counts = t.store(Kv::new("counts"));
    let node = t.processor("count", [ticks], [counts], move || Counts(counts));
    t.sink("out", [node], Sink::topic(output, Arc::new(Json)));
    t.build()
}

/// Any client may have written the ticks.
fn source(topic: &str) -> Source<Message> {
    Source::topic(topic, Arc::new(Json)).without_headers()
}

struct Counts(StoreRef<Kv>);

impl Processor<Message> for Counts {
    fn process(&mut self, ctx: &mut Context<'_, Message>, r: Record<Message>) -> Result<(), ProcessError> {
        let counts = ctx.kv(self.0);
        let known = counts.get(&r.key).and_then(|n| n.try_into().ok()).map_or(0, u64::from_be_bytes);
        counts.put(&r.key, &(known + 1).to_be_bytes());
        if known % 100 == 99 {
            ctx.forward(Record { value: Message::Count(known + 1), ..r });
        }
        Ok(())
    }
}

struct Since(Instant);

impl Clock for Since {
    fn mono(&self) -> Mono {
        Mono(self.0.elapsed())
    }
}

fn settings(args: &Args) -> Result<Settings, String> {
    let mut settings = Settings::default();
    settings.n_threads = args.number("threads", 1)?;
    settings.commit_interval = Duration::from_millis(args.number("commit-ms", 100)?);
    settings.take_max = args.number("take", settings.take_max)?;
    settings.commit_records_max = args.number("commit-records", settings.commit_records_max)?;
    settings.guarantee = match args.text("guarantee", "exactly_once").as_str() {
        "exactly_once" => Guarantee::ExactlyOnce,
        "at_least_once" => Guarantee::AtLeastOnce,
        other => return Err(format!("--guarantee {other:?}: exactly_once or at_least_once")),
    };
    settings.state_dir = PathBuf::from(args.text("state", "state"));
    Ok(settings)
}

pub(crate) fn run(args: &Args, topology: impl Fn(&str, &str, &str) -> Made) -> Outcome {
    let (brokers, input, output, name) = (args.word(1), args.word(2), args.word(3), args.word(4));
    let topology = topology(name, input, output)?;
    let log = open(&if brokers.contains(':') && !brokers.contains("embedded:") {
        format!("kafka://{brokers}")
    } else {
        brokers.to_owned()
    })?;
    let app = App::new(topology, log, settings(args)?, Arc::new(Since(Instant::now())));
    let until = if args.has("until-end") { Until::End } else { Until::Shutdown };
    let (progress, stop, over) = (Progress::default(), AtomicBool::new(false), AtomicBool::new(false));
    let outcome = thread::scope(|scope| {
        scope.spawn(|| mark(&progress, &over));
        if until == Until::Shutdown {
            // Ends with the process if nobody closes standard input.
            scope.spawn(|| {
                wait_for_end_of_input();
                stop.store(true, Ordering::Release);
            });
        }
        let outcome = app.run(until, &stop, &progress);
        over.store(true, Ordering::Release);
        outcome
    });
    outcome?;
    println!("done");
    let counted = progress.snapshot();
    println!("{} in, {} out, {} commits", counted.records_in, counted.records_out, counted.commits);
    for (what, took) in [
        ("commit", counted.commit),
        ("drain", counted.drain),
        ("checkpoint", counted.checkpoint),
        ("restore", counted.restore),
    ] {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        println!(
            "{what} n {} p50 {:.2} ms p99 {:.2} ms max {:.2} ms",
            took.n,
            ms(took.p50),
            ms(took.p99),
            ms(took.max)
        );
    }
    println!("restored {} records", counted.restore_records);
    if until == Until::End {
        wait_for_end_of_input();
    }
    Ok(())
}

fn mark(progress: &Progress, over: &AtomicBool) {
    let mut next = 1;
    loop {
        let last = over.load(Ordering::Acquire);
        let n = progress.snapshot().records_in;
        while n >= next {
            if next == 1 {
                println!("first")
            } else {
                println!("mark {next}")
            }
            next = if next == 1 { MARK_EVERY } else { next + MARK_EVERY };
        }
        if last {
            return;
        }
        thread::sleep(LOOK);
    }
}

fn wait_for_end_of_input() {
    // An error is an end, too.
    drop(std::io::stdin().read_to_end(&mut Vec::new()));
}
