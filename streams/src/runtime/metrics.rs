//! What a running application tells about itself: counters that any thread may read.

mod spread;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::spread::Spread;
use crate::runtime::state::{AppState, TaskState};
use crate::store::TaskId;
use crate::time::Ts;

pub use self::spread::Took;

/// Counters of an application, since it was started. A clone shows the same ones.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Cells>);

#[derive(Debug)]
struct Cells {
    life: Mutex<Life>,
    records_in: AtomicU64,
    records_out: AtomicU64,
    beacons: AtomicU64,
    poisoned: AtomicU64,
    restored: AtomicU64,
    commits: AtomicU64,
    checkpoints: AtomicU64,
    checkpoints_failed: AtomicU64,
    aborts: AtomicU64,
    producers_replaced: AtomicU64,
    rebalances: AtomicU64,
    restore_records: AtomicU64,
    copied: AtomicU64,
    commit: Spread,
    drain: Spread,
    checkpoint: Spread,
    restore: Spread,
    stream_time: AtomicI64,
    counts: Mutex<BTreeMap<&'static str, u64>>,
    tasks: Mutex<BTreeMap<TaskId, TaskState>>,
}

#[derive(Debug, Default)]
struct Life {
    state: AppState,
    /// Stream threads that wait for tasks.
    unsettled: u32,
}

/// Values of the counters at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Where the application is.
    pub state: AppState,
    /// Records processed.
    pub records_in: u64,
    /// Records written: outputs, dead letters, and the engine's own decisions and changelogs.
    pub records_out: u64,
    /// Beacons processed.
    pub beacons: u64,
    /// Records refused.
    pub poisoned: u64,
    /// Tasks restored.
    pub restored: u64,
    /// Transactions committed.
    pub commits: u64,
    /// Checkpoints written.
    pub checkpoints: u64,
    /// Checkpoints that could not be written.
    pub checkpoints_failed: u64,
    /// Epochs rolled back.
    pub aborts: u64,
    /// Producers replaced because of an unknown or fatal outcome.
    pub producers_replaced: u64,
    /// Changes of the group that took partitions away.
    pub rebalances: u64,
    /// Records read from changelogs.
    pub restore_records: u64,
    /// Checkpoints written for standby copies.
    pub copied: u64,
    /// From the end of an epoch until its transaction is committed: nothing is processed meanwhile.
    pub commit: Took,
    /// The part of it that waits for records to arrive.
    pub drain: Took,
    /// Writing a checkpoint, where it is not part of the commit.
    pub checkpoint: Took,
    /// From the wish for a task until it is as of the last commit.
    pub restore: Took,
    /// Greatest stream time of a task.
    pub stream_time: Option<Ts>,
    /// What nodes have counted.
    pub counts: BTreeMap<&'static str, u64>,
}

/// Which counter.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counter {
    RecordsIn,
    RecordsOut,
    Beacons,
    Poisoned,
    Restored,
    Commits,
    Checkpoints,
    CheckpointsFailed,
    Aborts,
    ProducersReplaced,
    Rebalances,
    RestoreRecords,
    Copied,
}

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Span {
    Commit,
    Drain,
    Checkpoint,
    Restore,
}

impl Default for Cells {
    fn default() -> Cells {
        Cells {
            life: Mutex::default(),
            records_in: AtomicU64::new(0),
            records_out: AtomicU64::new(0),
            beacons: AtomicU64::new(0),
            poisoned: AtomicU64::new(0),
            restored: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            checkpoints: AtomicU64::new(0),
            checkpoints_failed: AtomicU64::new(0),
            aborts: AtomicU64::new(0),
            producers_replaced: AtomicU64::new(0),
            rebalances: AtomicU64::new(0),
            restore_records: AtomicU64::new(0),
            copied: AtomicU64::new(0),
            commit: Spread::default(),
            drain: Spread::default(),
            checkpoint: Spread::default(),
            restore: Spread::default(),
            stream_time: AtomicI64::new(i64::MIN),
            counts: Mutex::default(),
            tasks: Mutex::default(),
        }
    }
}

impl Progress {
    /// All counters now.
    pub fn snapshot(&self) -> Snapshot {
        let read = |counter: Counter| self.cell(counter).load(Ordering::Relaxed);
        let stream_time = Ts(self.0.stream_time.load(Ordering::Relaxed));
        Snapshot {
            state: self.state(),
            records_in: read(Counter::RecordsIn),
            records_out: read(Counter::RecordsOut),
            beacons: read(Counter::Beacons),
            poisoned: read(Counter::Poisoned),
            restored: read(Counter::Restored),
            commits: read(Counter::Commits),
            checkpoints: read(Counter::Checkpoints),
            checkpoints_failed: read(Counter::CheckpointsFailed),
            aborts: read(Counter::Aborts),
            producers_replaced: read(Counter::ProducersReplaced),
            rebalances: read(Counter::Rebalances),
            restore_records: read(Counter::RestoreRecords),
            copied: read(Counter::Copied),
            commit: self.span(Span::Commit).took(),
            drain: self.span(Span::Drain).took(),
            checkpoint: self.span(Span::Checkpoint).took(),
            restore: self.span(Span::Restore).took(),
            stream_time: (stream_time > Ts::MIN).then_some(stream_time),
            counts: self.0.counts.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// The tasks that are or were here, and where each one is.
    pub fn tasks(&self) -> BTreeMap<TaskId, TaskState> {
        self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Is the task at work here, or about to be?
    pub(crate) fn has_task(&self, task: TaskId) -> bool {
        let tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.get(&task).is_some_and(|state| at_work(*state))
    }

    /// A copy is up to date, unless the task has come meanwhile.
    pub(crate) fn task_is_copied(&self, task: TaskId) {
        let mut tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if !tasks.get(&task).is_some_and(|state| at_work(*state)) {
            tasks.insert(task, TaskState::Standby);
        }
    }

    pub(crate) fn task_is(&self, task: TaskId, state: TaskState) {
        self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).insert(task, state);
    }

    /// Where the application is.
    pub fn state(&self) -> AppState {
        self.lock().state
    }

    fn lock(&self) -> MutexGuard<'_, Life> {
        self.0.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn enter(&self, next: AppState) {
        let mut life = self.lock();
        debug_assert!(life.state.may_become(next), "application cannot go from {:?} to {next:?}", life.state);
        life.state = next;
    }

    /// The first thread that stops begins to drain.
    pub(crate) fn drain(&self) {
        let mut life = self.lock();
        if matches!(life.state, AppState::Running | AppState::Rebalancing) {
            life.state = AppState::Draining;
        }
    }

    /// A stream thread has begun to wait for tasks that are being restored, or has them all.
    pub(crate) fn rebalance(&self, begun: bool) {
        let mut life = self.lock();
        life.unsettled = if begun { life.unsettled + 1 } else { life.unsettled.saturating_sub(1) };
        life.state = match (life.state, life.unsettled) {
            (AppState::Running, 1..) => AppState::Rebalancing,
            (AppState::Rebalancing, 0) => AppState::Running,
            (other, _) => other,
        };
    }

    pub(crate) fn add(&self, counter: Counter, n: u64) {
        self.cell(counter).fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn took(&self, what: Span, time: Duration) {
        self.span(what).add(time);
    }

    pub(crate) fn reached(&self, time: Option<Ts>) {
        if let Some(time) = time {
            self.0.stream_time.fetch_max(time.0, Ordering::Relaxed);
        }
    }

    pub(crate) fn add_counts(&self, counts: BTreeMap<&'static str, u64>) {
        if counts.is_empty() {
            return;
        }
        let mut all = self.0.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, n) in counts {
            *all.entry(name).or_default() += n;
        }
    }

    fn cell(&self, counter: Counter) -> &AtomicU64 {
        match counter {
            Counter::RecordsIn => &self.0.records_in,
            Counter::RecordsOut => &self.0.records_out,
            Counter::Beacons => &self.0.beacons,
            Counter::Poisoned => &self.0.poisoned,
            Counter::Restored => &self.0.restored,
            Counter::Commits => &self.0.commits,
            Counter::Checkpoints => &self.0.checkpoints,
            Counter::CheckpointsFailed => &self.0.checkpoints_failed,
            Counter::Aborts => &self.0.aborts,
            Counter::ProducersReplaced => &self.0.producers_replaced,
            Counter::Rebalances => &self.0.rebalances,
            Counter::RestoreRecords => &self.0.restore_records,
            Counter::Copied => &self.0.copied,
        }
    }

    fn span(&self, what: Span) -> &Spread {
        match what {
            Span::Commit => &self.0.commit,
            Span::Drain => &self.0.drain,
            Span::Checkpoint => &self.0.checkpoint,
            Span::Restore => &self.0.restore,
        }
    }
}

fn at_work(state: TaskState) -> bool {
    use TaskState::{Closed, Closing, Created, Failed, Restoring, Running, Standby, Suspended};
    match state {
        Created | Restoring | Running | Suspended | Closing => true,
        Standby | Closed | Failed => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_rebalances_until_every_thread_has_its_tasks() {
        let progress = Progress::default();
        progress.enter(AppState::Starting);
        progress.rebalance(true);
        assert_eq!(progress.state(), AppState::Starting, "a thread may be quicker than the start");
        progress.rebalance(false);
        progress.enter(AppState::Running);
        progress.rebalance(true);
        progress.rebalance(true);
        progress.rebalance(false);
        assert_eq!(progress.state(), AppState::Rebalancing);
        progress.rebalance(false);
        assert_eq!(progress.state(), AppState::Running);
        progress.rebalance(true);
        progress.drain();
        progress.rebalance(false);
        assert_eq!(progress.state(), AppState::Draining);
    }

    #[test]
    fn counters_do_not_get_mixed_up() {
        let progress = Progress::default();
        assert_eq!(progress.snapshot(), Snapshot::default());
        progress.enter(AppState::Starting);
        let all = [
            Counter::RecordsIn,
            Counter::RecordsOut,
            Counter::Beacons,
            Counter::Poisoned,
            Counter::Restored,
            Counter::Commits,
            Counter::Checkpoints,
            Counter::CheckpointsFailed,
            Counter::Aborts,
            Counter::ProducersReplaced,
            Counter::Rebalances,
            Counter::RestoreRecords,
            Counter::Copied,
        ];
        for (n, counter) in (1..).zip(all) {
            progress.add(counter, n);
        }
        let millis = Duration::from_millis;
        let spans = [Span::Commit, Span::Drain, Span::Checkpoint, Span::Restore];
        for (n, span) in (1..).zip(spans) {
            progress.took(span, millis(n));
        }
        let took = |n| Took { n: 1, p50: millis(n), p99: millis(n), max: millis(n) };
        progress.reached(Some(Ts(-5)));
        progress.reached(Some(Ts(-9)));
        progress.add_counts(BTreeMap::from([("gaps", 2)]));
        progress.add_counts(BTreeMap::from([("gaps", 3)]));
        let expected = Snapshot {
            state: AppState::Starting,
            records_in: 1,
            records_out: 2,
            beacons: 3,
            poisoned: 4,
            restored: 5,
            commits: 6,
            checkpoints: 7,
            checkpoints_failed: 8,
            aborts: 9,
            producers_replaced: 10,
            rebalances: 11,
            restore_records: 12,
            copied: 13,
            commit: took(1),
            drain: took(2),
            checkpoint: took(3),
            restore: took(4),
            stream_time: Some(Ts(-5)),
            counts: BTreeMap::from([("gaps", 5)]),
        };
        assert_eq!(progress.snapshot(), expected);
    }
}
