//! Runs a live run's inputs again, without publishing, and compares: the proof that results are a function of
//! the input and of the decisions.
//!
//! ```text
//! inputs ─▶ task again ─▶ outputs ──▶ record by record with the output topics
//!            │ follows positional decisions        └─▶ chains with those of every live epoch
//!            └─ stores ─▶ state digest, where an epoch logged one
//! ```
//! The run uses batches and threads of its own and forms no epochs: what was a commit in the live run is only
//! a place at which sums are compared. It begins at the first epoch, because only there the state is known to
//! be empty, and it writes nothing.
//!
//! Equality is promised for one program on one family of processors: functions of floats differ elsewhere.

mod again;
mod outputs;
mod past;
mod show;
mod stores;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::digest::StateDigest;
use crate::error::Error;
use crate::log::{Log, Tp};
use crate::record::Offset;
use crate::runtime::topics;
use crate::settings::Settings;
use crate::time::Ts;
use crate::topology::Topology;
use crate::topology::processor::TaskId;

pub use show::{Decode, Show};

/// What is verified, and how it is run again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyOptions {
    /// First epoch of each task that is compared; earlier ones are run and not compared. Default 1.
    pub from: u64,
    /// Last one; `None`: all there are.
    pub to: Option<u64>,
    /// Threads, at least 1. Default 1.
    pub n_threads: u32,
    /// Records fetched and processed at a time, at least 1. Default 256.
    pub batch: usize,
    /// Ignores decisions: tells what they cost.
    pub pure: bool,
    /// Other applications write the output topics too: records of theirs are passed over.
    pub shared: bool,
}

impl Default for VerifyOptions {
    fn default() -> VerifyOptions {
        VerifyOptions { from: 1, to: None, n_threads: 1, batch: 256, pure: false, shared: false }
    }
}

/// What was compared, and where it differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Tasks that had something to compare.
    pub tasks: u64,
    /// Epochs compared.
    pub epochs: u64,
    /// Records and beacons processed again.
    pub records: u64,
    /// Outputs compared, each with its record.
    pub outputs: u64,
    /// Outputs whose records are no longer kept: only their sums were compared.
    pub unread: u64,
    /// State digests compared.
    pub digests: u64,
    /// Records of other writers that were passed over.
    pub strangers: u64,
    /// Decisions that the input does not fix (lifts of late channels).
    pub decisions: u64,
    /// The first difference of each task that has one, earliest first.
    pub differences: Vec<Difference>,
}

/// The first place at which a task does not come to the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The task.
    pub task: TaskId,
    /// The live epoch.
    pub epoch: u64,
    /// Stream time of the run again, when it was found.
    pub time: Option<Ts>,
    /// What differs.
    pub what: What,
    /// The input that caused it.
    pub cause: Option<Input>,
    /// Store keys that differ, as of the last checkpoint; `Err` says why they are not known.
    pub keys: Result<Vec<KeyDifference>, String>,
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// An output.
    Output {
        /// Its partition.
        tp: Tp,
        /// The how manieth output of the task to it, from 0.
        index: u64,
        /// The log's record in its place; `None`: the log has none.
        log: Option<Sample>,
        /// What the run again wrote; `None`: nothing.
        again: Option<Sample>,
    },
    /// Sums over what can no longer be read record by record, or the place where the epoch ended.
    Position(String),
    /// State after equal outputs.
    State {
        /// As the epoch logged it.
        logged: StateDigest,
        /// As it is now.
        again: StateDigest,
    },
    /// `pure`: outputs that differ because of decisions.
    Cost {
        /// How many.
        n: u64,
        /// The first of them, by time.
        first: Vec<(Tp, Sample, Side)>,
    },
}

/// Which run has a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The live one.
    Log,
    /// The run again.
    Again,
}

/// A record as it was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sample {
    /// Event time.
    pub ts: Ts,
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Where the log has it.
    pub offset: Option<Offset>,
}

/// An input record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Its partition.
    pub tp: Tp,
    /// The record.
    pub record: Sample,
    /// The how manieth output of it differs, from 0.
    pub k: u32,
}

/// A key of a store whose value differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDifference {
    /// The store.
    pub store: String,
    /// The key.
    pub key: Vec<u8>,
    /// Who has a value: both, with different ones, if `None`.
    pub only: Option<Side>,
}

impl Verified {
    /// Did everything come to the same?
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty()
    }

    fn add(&mut self, other: Verified) {
        self.tasks += other.tasks;
        self.epochs += other.epochs;
        self.records += other.records;
        self.outputs += other.outputs;
        self.unread += other.unread;
        self.digests += other.digests;
        self.strangers += other.strangers;
        self.decisions += other.decisions;
        self.differences.extend(other.differences);
    }
}

/// Runs an application's inputs again and compares. `stop` ends it early, with an error. `settings` are those
/// of the live run: where its checkpoints lie and how far ticks catch up.
///
/// # Errors
/// It cannot be told: a part of the history is missing, or it was written by another topology or under another
/// configuration; or the log failed.
pub fn verify<M: Clone + Send + 'static>(
    topology: Topology<M>,
    log: &Arc<dyn Log>,
    settings: &Settings,
    options: &VerifyOptions,
    stop: &AtomicBool,
) -> Result<Verified, Error> {
    check(options)?;
    let topology = Arc::new(topology);
    let counts = topics::counts(&**log, &topology)?;
    let tasks: Vec<TaskId> = (0..)
        .zip(&counts)
        .flat_map(|(sub, n)| (0..*n).map(move |partition| TaskId { sub, partition }))
        .collect();
    let n = options.n_threads as usize;
    let failed = AtomicBool::new(false);
    let halted = || stop.load(Ordering::Acquire) || failed.load(Ordering::Acquire);
    let work = again::Work { topology: &topology, log: &**log, settings, options, halted: &halted };
    let run = |index: usize| {
        let mut all = Verified::default();
        for task in tasks.iter().skip(index).step_by(n) {
            let one = again::task(&work, *task);
            failed.fetch_or(one.is_err(), Ordering::AcqRel);
            all.add(one?);
        }
        Ok(all)
    };
    let run = &run;
    let done: Vec<Result<Verified, Error>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..n).map(|index| scope.spawn(move || run(index))).collect();
        let joined = (0..).zip(threads).map(|(thread, handle)| {
            let panicked = |_| Err(Error::Panicked { thread, reason: "while verifying".to_owned() });
            handle.join().unwrap_or_else(panicked)
        });
        joined.collect()
    });
    let mut all = Verified::default();
    done.into_iter().try_for_each(|one| one.map(|one| all.add(one)))?;
    all.differences.sort_by_key(|difference| (difference.time, difference.task));
    Ok(all)
}

fn check(options: &VerifyOptions) -> Result<(), Error> {
    let rules = [
        ("n_threads", u64::from(options.n_threads), "at least 1"),
        ("batch", options.batch as u64, "at least 1"),
        ("from", options.from, "epochs are numbered from 1"),
    ];
    match rules.iter().find(|(_, value, _)| *value == 0) {
        None => Ok(()),
        Some((name, value, rule)) => Err(Error::Setting { name, value: value.to_string(), rule }),
    }
}
