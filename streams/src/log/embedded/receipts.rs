//! What became of submissions: the writer settles them, producers and consumers wait for that.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{TxnClass, TxnError};
use crate::log::{Acks, Tp};
use crate::record::Offset;

/// Why a submission was not written.
#[derive(Clone, Debug)]
pub(super) enum Refusal {
    /// Another holder of the transactional id has the greater epoch.
    Fenced { id: String, ours: u64, current: u64 },
    /// The store failed; whether it happened must be read from the store.
    Store(String),
}

impl Refusal {
    pub(super) fn error(&self, call: &'static str) -> TxnError {
        match self {
            Refusal::Fenced { id, ours, current } => {
                let reason = format!("{id} is held by epoch {current}, this one is {ours}");
                TxnError::new(call, TxnClass::Fatal { fenced: true }, reason)
            }
            Refusal::Store(reason) => TxnError::new(call, TxnClass::Unknown, reason),
        }
    }
}

/// The offset of the last record of each batch, or why nothing was written.
pub(super) type Outcome = Result<Vec<(Tp, Offset)>, Refusal>;

/// What became of the submissions of one producer or consumer.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    state: Mutex<Outstanding>,
    settled: Condvar,
}

#[derive(Debug, Default)]
struct Outstanding {
    submissions: usize,
    bytes: usize,
    acks: Acks,
    /// Once one failed those behind it fail too, so that no record overtakes a lost one.
    failed: Option<Refusal>,
}

impl Receipts {
    fn lock(&self) -> MutexGuard<'_, Outstanding> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A submission of this size is under way.
    pub(super) fn ticket(self: &Arc<Receipts>, bytes: usize) -> Ticket {
        let mut state = self.lock();
        state.submissions += 1;
        state.bytes += bytes;
        Ticket { receipts: Arc::clone(self), bytes, settled: false }
    }

    /// Bytes under way.
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// The first failure.
    pub(super) fn failure(&self) -> Option<Refusal> {
        self.lock().failed.clone()
    }

    /// Waits until nothing is under way; `None`: not within this time.
    pub(super) fn wait(&self, within: Duration) -> Option<Result<Acks, Refusal>> {
        let under_way = |state: &mut Outstanding| state.submissions > 0;
        let waited = self.settled.wait_timeout_while(self.lock(), within, under_way);
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        match state.failed.clone() {
            Some(refusal) => Some(Err(refusal)),
            None if timeout.timed_out() => None,
            None => Some(Ok(std::mem::take(&mut state.acks))),
        }
    }

    /// Waits until nothing is under way, for as long as the disk takes.
    pub(super) fn outcome(&self) -> Result<Acks, Refusal> {
        let waited = self.settled.wait_while(self.lock(), |state| state.submissions > 0);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.failed.clone().map_or_else(|| Ok(std::mem::take(&mut state.acks)), Err)
    }

    fn settle(&self, bytes: usize, outcome: Outcome) {
        let mut state = self.lock();
        state.submissions = state.submissions.saturating_sub(1);
        state.bytes = state.bytes.saturating_sub(bytes);
        match outcome {
            Ok(acks) => state.acks.extend(acks),
            Err(refusal) => {
                state.failed.get_or_insert(refusal);
            }
        }
        self.settled.notify_all();
    }
}

/// Travels with a submission. Dropped without an outcome it tells of a writer that is gone.
#[derive(Debug)]
pub(super) struct Ticket {
    receipts: Arc<Receipts>,
    bytes: usize,
    settled: bool,
}

impl Ticket {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The failure of an earlier submission of the same owner.
    pub(super) fn earlier_failure(&self) -> Option<Refusal> {
        self.receipts.failure()
    }

    pub(super) fn settle(mut self, outcome: Outcome) {
        self.settled = true;
        self.receipts.settle(self.bytes, outcome);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.settled {
            let gone = Refusal::Store("the writer thread of the log has ended".to_owned());
            self.receipts.settle(self.bytes, Err(gone));
        }
    }
}
