//! What a running application tells about itself: counters that any thread may read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::runtime::state::AppState;
use crate::time::Ts;

/// Counters of an application, since it was started. A clone shows the same ones.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Cells>);

#[derive(Debug)]
struct Cells {
    state: AtomicU8,
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
    stream_time: AtomicI64,
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

/// Values of the counters at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Where the application is.
    pub state: AppState,
    /// Records processed.
    pub records_in: u64,
    /// Outputs, dead letters included.
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
}

const STATES: [AppState; 7] = [
    AppState::Created,
    AppState::Starting,
    AppState::Running,
    AppState::Rebalancing,
    AppState::Draining,
    AppState::Stopped,
    AppState::Failed,
];

impl Default for Cells {
    fn default() -> Cells {
        Cells {
            state: AtomicU8::new(0),
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
            stream_time: AtomicI64::new(i64::MIN),
            counts: Mutex::default(),
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
            stream_time: (stream_time > Ts::MIN).then_some(stream_time),
            counts: self.0.counts.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Where the application is.
    pub fn state(&self) -> AppState {
        STATES[usize::from(self.0.state.load(Ordering::Acquire))]
    }

    pub(crate) fn enter(&self, next: AppState) {
        let now = self.state();
        debug_assert!(now.may_become(next), "application cannot go from {now:?} to {next:?}");
        self.0.state.store(next as u8, Ordering::Release);
    }

    /// The first thread that stops begins to drain.
    pub(crate) fn drain(&self) {
        let (from, to) = (AppState::Running as u8, AppState::Draining as u8);
        // Failing means that another thread was first.
        let _ = self.0.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
    }

    pub(crate) fn add(&self, counter: Counter, n: u64) {
        self.cell(counter).fetch_add(n, Ordering::Relaxed);
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_number() {
        for (i, state) in STATES.into_iter().enumerate() {
            assert_eq!(state as usize, i);
        }
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
        ];
        for (n, counter) in (1..).zip(all) {
            progress.add(counter, n);
        }
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
            stream_time: Some(Ts(-5)),
            counts: BTreeMap::from([("gaps", 5)]),
        };
        assert_eq!(progress.snapshot(), expected);
    }
}
