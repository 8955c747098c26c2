//! One seed, one run: a fault phase, in which nothing wrong may be written, and a calm one, in which
//! everything must come to its end.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};

use super::disk::{Disk, Found};
use super::plan::{Feed, Plan};
use super::run::{Run, calm_down, turn};
use crate::digest::{Chain, StateDigest};
use crate::log::memory::{MemoryLog, Sabotage};
use crate::log::{Answer, Assignment, ConsumerOptions, Log, TopicName, Tp, topic};
use crate::record::{Batch, InRecord, Offset, header};
use crate::runtime::outbox::Src;
use crate::store::TaskId;
use crate::store::checkpoint::Checkpoint;
use crate::time::Ts;
use crate::topology::Topology;

/// A topology, its input and what goes wrong. Each seed gives another run, the same each time.
///
/// ```
/// # use std::sync::Arc;
/// # use lobstream_streams::record::{Codec, CodecError};
/// # use lobstream_streams::testing::{Feed, Plan, Sim};
/// # use lobstream_streams::time::Ts;
/// # use lobstream_streams::topology::{Builder, Sink, Source};
/// # struct Text;
/// # impl Codec<String> for Text {
/// #     fn encode(&self, value: &String, into: &mut Vec<u8>) -> Result<(), CodecError> {
/// #         into.extend_from_slice(value.as_bytes());
/// #         Ok(())
/// #     }
/// #     fn decode(&self, bytes: &[u8]) -> Result<String, CodecError> {
/// #         String::from_utf8(bytes.to_vec()).map_err(|e| CodecError::new(e.to_string()))
/// #     }
/// # }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut t = Builder::new("copy");
/// let lines = t.source("lines", Source::topic("lines.in", Arc::new(Text)));
/// t.sink("copied", [lines], Sink::topic("lines.out", Arc::new(Text)));
///
/// let mut feed = Feed::default().topic("lines.in", 2);
/// for i in 0..100 {
///     feed.record("lines.in", format!("key {i}").as_bytes(), Some(b"text"), Ts(i), 0);
/// }
/// feed.beacon(Ts(100), true);
///
/// // Crashes, lost replies, frozen processes, full disks: the outputs are those of a calm run all the same.
/// Sim::new(t.build()?, feed).plan(Plan::ALL).check(0..3)?;
/// # Ok(())
/// # }
/// ```
pub struct Sim<M> {
    topology: Arc<Topology<M>>,
    feed: Arc<Feed>,
    plan: Plan,
    sabotage: Option<Sabotage>,
}

/// What a run has done and left behind.
#[derive(Debug)]
pub struct Outcome {
    /// Everything that was written.
    pub log: MemoryLog,
    /// Sum of everything that happened: equal for two runs of one seed.
    pub trace: Chain,
    /// How often things happened.
    pub counts: Counts,
    app: String,
    disks: Vec<Disk>,
}

/// How often things happened in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Turns of stream threads.
    pub turns: u64,
    /// Times that the process came up.
    pub starts: u64,
    /// Times that it died.
    pub deaths: u64,
    /// Deaths that were power cuts.
    pub power_cuts: u64,
    /// Deaths at each edge, by its number.
    pub edges: BTreeMap<u8, u64>,
    /// Times that it was frozen while another took over.
    pub freezes: u64,
    /// Errors that ended it, as is right: it was fenced, or could not reach the broker.
    pub errors: u64,
    /// Times that the broker stopped.
    pub stops: u64,
    /// Members put out of their group.
    pub kicks: u64,
    /// Orderly ends, beside the last one.
    pub quits: u64,
    /// Longest time from the return of the broker to the next commit, in ms.
    pub recovery_ms_max: u64,
    /// Producers replaced without a restart.
    pub replaced: u64,
    /// Epochs committed.
    pub commits: u64,
    /// Checkpoints that failed.
    pub checkpoints_failed: u64,
}

/// A run went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its seed: the same run again goes wrong in the same way.
    pub seed: u64,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let build = if cfg!(debug_assertions) { "debug" } else { "release" };
        let Failure { seed, what } = self;
        write!(f, "seed {seed} (lobstream-streams {} {build}): {what}", env!("CARGO_PKG_VERSION"))
    }
}

impl std::error::Error for Failure {}

/// A record that was written, without its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its key.
    pub key: Vec<u8>,
    /// `None`: a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its event time.
    pub ts: Ts,
    /// Its sequence number.
    pub seq: u64,
    /// Partition of the task that wrote it.
    from: u32,
}

impl<M> fmt::Debug for Sim<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sim of {}", self.topology.name())
    }
}

impl<M: Clone + Send + 'static> Sim<M> {
    /// A calm run of a topology.
    pub fn new(topology: Topology<M>, feed: Feed) -> Sim<M> {
        Sim { topology: Arc::new(topology), feed: Arc::new(feed), plan: Plan::CALM, sabotage: None }
    }

    /// Lets things go wrong.
    pub fn plan(self, plan: Plan) -> Sim<M> {
        Sim { plan, ..self }
    }

    /// Breaks a rule, to see that it is found.
    pub fn sabotage(self, rule: Sabotage) -> Sim<M> {
        Sim { sabotage: Some(rule), ..self }
    }

    /// One run.
    ///
    /// # Errors
    /// The engine stopped with an error that no fault excuses, panicked, or did not come to its end.
    pub fn run(&self, seed: u64) -> Result<Outcome, Failure> {
        self.run_with(seed, &self.plan)
    }

    fn run_with(&self, seed: u64, plan: &Plan) -> Result<Outcome, Failure> {
        let topology = Arc::clone(&self.topology);
        let run = Run::new(topology, Arc::clone(&self.feed), plan.clone(), seed, self.sabotage);
        let world = Arc::new(Mutex::new(run));
        let drive = || {
            for _ in 0..plan.turns {
                turn(&world)?;
            }
            calm_down(&world)
        };
        let driven = catch_unwind(AssertUnwindSafe(drive));
        let ended = driven.unwrap_or_else(|panic| Err(format!("panic: {}", text(&*panic))));
        ended.map_err(|what| Failure { seed, what })?;
        let run = super::run::lock(&world);
        Ok(Outcome {
            log: run.log.clone(),
            trace: run.log.trace(),
            counts: run.counts.clone(),
            app: self.topology.name().to_owned(),
            disks: run.disks(),
        })
    }

    /// Runs every seed twice: both runs must have done the same, and must have written what a calm run writes.
    ///
    /// # Errors
    /// The first seed that went wrong.
    pub fn check(&self, seeds: Range<u64>) -> Result<Counts, Failure> {
        let calm = self.run_with(0, &Plan::CALM)?;
        let mut topics = self.topology.sink_topics();
        topics.push(topic::dead_letter(self.topology.name()));
        let expected: Vec<_> = topics.iter().map(|topic| calm.written(topic.as_str())).collect();
        let mut all = Counts::default();
        for seed in seeds {
            let outcome = self.run_twice(seed)?;
            for (topic, expected) in topics.iter().zip(&expected) {
                let written = outcome.written(topic.as_str());
                compare(&written, expected)
                    .map_err(|what| Failure { seed, what: format!("{topic} {what}") })?;
            }
            all.add(&outcome.counts);
        }
        Ok(all)
    }

    /// Runs a seed twice; the second run must do what the first one did.
    ///
    /// # Errors
    /// A run went wrong, or they differ.
    pub fn run_twice(&self, seed: u64) -> Result<Outcome, Failure> {
        let (first, second) = (self.run(seed)?, self.run(seed)?);
        if first.trace != second.trace {
            let what = format!("two runs differ: {} and {}", first.trace, second.trace);
            return Err(Failure { seed, what });
        }
        Ok(first)
    }
}

/// What a panic said; something that is no text is passed on.
fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| resume_unwind(Box::new("a panic without words")))
}

fn compare(written: &[Vec<Written>], expected: &[Vec<Written>]) -> Result<(), String> {
    for (p, (written, expected)) in written.iter().zip(expected).enumerate() {
        for (i, (one, other)) in written.iter().zip(expected).enumerate() {
            if one != other {
                return Err(format!("partition {p}, record {i}: {one:?} instead of {other:?}"));
            }
        }
        if written.len() != expected.len() {
            return Err(format!("partition {p}: {} records instead of {}", written.len(), expected.len()));
        }
    }
    Ok(())
}

impl Outcome {
    /// What was written to a topic, by partition. Records of one task keep their order; where several tasks
    /// write to one partition, those of the lowest task come first.
    ///
    /// # Panics
    /// If there is no such topic.
    pub fn written(&self, topic: &str) -> Vec<Vec<Written>> {
        let topic = TopicName::new(topic);
        let partitions = self.log.partitions(&topic).expect("a topic of the run");
        let read = |partition| {
            let mut rows = read(&self.log, &Tp::new(&topic, partition));
            rows.sort_by_key(|row| row.from);
            rows
        };
        (0..partitions).map(read).collect()
    }

    /// Digest of a task's state as of its last checkpoint; `None` if it has none.
    pub fn state(&self, task: TaskId) -> Option<StateDigest> {
        self.newest(task.to_string().as_bytes()).map(|(checkpoint, _)| checkpoint.digest)
    }

    /// What a store holds in the last checkpoints, all partitions together.
    pub fn store(&self, name: &str) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let (tasks, store) = (format!("{}/tasks", self.app), format!("{}/s:{name}", self.app));
        let known: BTreeSet<Vec<u8>> = self.disks.iter().flat_map(|disk| disk.keys(&tasks)).collect();
        let newest = known.iter().filter_map(|task| self.newest(task));
        newest.flat_map(|(_, folder)| folder.entries(&store)).collect()
    }

    /// The newest checkpoint of a task, which may have moved from machine to machine, and where it lies.
    fn newest(&self, task: &[u8]) -> Option<(Checkpoint, Found)> {
        let tasks = format!("{}/tasks", self.app);
        let found = self.disks.iter().flat_map(|disk| disk.find(&tasks, task));
        let decoded = found.filter_map(|found| Some((Checkpoint::decode(&found.value).ok()?, found)));
        decoded.max_by_key(|(checkpoint, _)| checkpoint.epoch)
    }
}

fn read(log: &MemoryLog, tp: &Tp) -> Vec<Written> {
    let options = ConsumerOptions { group: None, assignment: Assignment::Manual };
    let mut consumer = log.consumer(&options).expect("memory has room");
    consumer.answer(Answer::Start(&[(tp.clone(), Offset(0))])).expect("the partition is there");
    let mut batch = Batch::default();
    consumer.take(tp, usize::MAX, &mut batch).expect("readable");
    batch.iter().map(|record| Written::of(&record)).collect()
}

impl Written {
    pub(crate) fn of(record: &InRecord<'_>) -> Written {
        let src = record.headers.get(header::SRC).and_then(Src::decode);
        Written {
            key: record.key.unwrap_or_default().to_vec(),
            value: record.value.map(<[u8]>::to_vec),
            ts: record.ts,
            seq: record.seq,
            from: src.map_or(0, |src| src.cause.partition),
        }
    }
}

impl Counts {
    /// Adds those of another run.
    pub fn add(&mut self, other: &Counts) {
        let mine = [
            (&mut self.turns, other.turns),
            (&mut self.starts, other.starts),
            (&mut self.deaths, other.deaths),
            (&mut self.power_cuts, other.power_cuts),
            (&mut self.freezes, other.freezes),
            (&mut self.errors, other.errors),
            (&mut self.stops, other.stops),
            (&mut self.quits, other.quits),
            (&mut self.kicks, other.kicks),
            (&mut self.replaced, other.replaced),
            (&mut self.commits, other.commits),
            (&mut self.checkpoints_failed, other.checkpoints_failed),
        ];
        mine.into_iter().for_each(|(mine, other)| *mine += other);
        self.recovery_ms_max = self.recovery_ms_max.max(other.recovery_ms_max);
        for (edge, n) in &other.edges {
            *self.edges.entry(*edge).or_default() += n;
        }
    }
}
