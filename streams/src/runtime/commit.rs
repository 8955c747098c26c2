//! How an epoch becomes visible, and the numbered edges at which a crash may fall.
//!
//! ```text
//! A, B  send ─ changelogs ─ decisions ─ drain ─ offsets ─ COMMIT ─ checkpoint into LMDB, if one is due
//! at least once (A or B without transaction)
//!       send ─ changelogs ─ decisions ─ drain ─ checkpoint into LMDB, if one is due ─ offsets
//! C     send ────────────── decisions ─ drain ─ offsets ─ dirty keys, if a checkpoint is due ─ COMMIT
//! ```
//! A: every store has a changelog. B: one has none; what a crash loses is processed again, muted. C: the
//! log keeps the state beside its records, so the commit is one LMDB transaction.

use std::time::Duration;

use crate::error::{Error, LogError, SendError, StoreError, TxnClass, TxnError};
use crate::log::{Commit, StateWrites, Tp, topic};
use crate::record::Offset;
use crate::runtime::decision::Decision;
use crate::runtime::metrics::{Counter, Span};
use crate::runtime::rebalance;
use crate::runtime::state::TaskState;
use crate::runtime::thread::{Assigned, StreamThread};
use crate::runtime::txn::{Note, Txn};
use crate::settings::Sharing;
use crate::store::TaskId;
use crate::time::Mono;

/// Checkpoints that may fail one after the other before a task waits for one to succeed.
const CHECKPOINT_FAILURES_MAX: u32 = 3;
/// Bytes of changed keys that may wait for a checkpoint while checkpoints fail.
const DIRTY_BYTES_MAX: usize = 256 << 20;
/// Transactions that may fail one after the other, none succeeding, before the application stops.
const TROUBLES_MAX: u32 = 3;

/// A place in the protocol at which a crash leaves something characteristic behind. Tests stop the process
/// there; the numbers are those of the recovery table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Edge {
    /// Records were processed, nothing was sent.
    BeforeSend = 1,
    /// Outputs were sent.
    Sent = 2,
    /// The epoch ends; changelogs were not sent.
    BeforeChangelog = 3,
    /// Changelogs were sent, decisions were not.
    BeforeDecision = 4,
    /// All was sent, nothing need have arrived.
    BeforeDrain = 5,
    /// All has arrived.
    Drained = 6,
    /// Offsets are about to be sent.
    BeforeOffsets = 7,
    /// Offsets have been sent.
    OffsetsSent = 8,
    /// The end is about to be asked for.
    BeforeCommit = 9,
    /// The commit is done, the task does not know it yet.
    Committed = 11,
    /// A checkpoint is about to be written.
    BeforeCheckpoint = 12,
    /// A checkpoint was written.
    Checkpointed = 14,
    /// A task is being restored.
    Restoring = 15,
    /// The last epoch is committed, the partitions are still ours.
    BeforeStop = 16,
}

impl Edge {
    /// All of them.
    pub const ALL: [Edge; 14] = [
        Edge::BeforeSend,
        Edge::Sent,
        Edge::BeforeChangelog,
        Edge::BeforeDecision,
        Edge::BeforeDrain,
        Edge::Drained,
        Edge::BeforeOffsets,
        Edge::OffsetsSent,
        Edge::BeforeCommit,
        Edge::Committed,
        Edge::BeforeCheckpoint,
        Edge::Checkpointed,
        Edge::Restoring,
        Edge::BeforeStop,
    ];
}

/// What an epoch of one task has to write.
struct Sealed {
    /// Which task of the thread.
    index: usize,
    /// `None`: nothing was processed, only a checkpoint is written.
    decision: Option<Decision>,
    /// Entries for a checkpoint, if one is due.
    changes: Option<StateWrites>,
}

impl<M: Clone + 'static> StreamThread<M> {
    /// Ends the epoch of every task that has processed something. `false`: there was nothing to do.
    pub(crate) fn commit(&mut self, now: Mono, checkpoint: bool) -> Result<bool, Error> {
        self.committed_at = now;
        if checkpoint {
            self.checkpoint_at = now;
        }
        let mut sealed = self.seal(checkpoint)?;
        let ships = self.is_local() && sealed.iter().any(|one| one.changes.is_some());
        if ships || sealed.iter().any(|one| one.decision.is_some()) {
            let began = self.mono();
            match self.end_transaction(&mut sealed) {
                Ok(()) => self.shared.progress.took(Span::Commit, self.mono().since(began)),
                Err(SendError::Txn(e)) => {
                    self.recover(e)?;
                    return Ok(true);
                }
                Err(e @ (SendError::Full | SendError::TooLarge { .. })) => return Err(e.into()),
            }
            self.edge(Edge::Committed);
            self.shared.progress.add(Counter::Commits, 1);
            (self.troubles, self.trouble, self.records, self.bytes) = (0, None, 0, 0);
            self.fenced = false;
        }
        let offsets = self.offsets(&sealed);
        for one in &sealed {
            self.epoch_committed(one, now)?;
        }
        self.commit_offsets(&offsets)?;
        self.purge(now);
        Ok(!sealed.is_empty())
    }

    /// Deletes what no recovery reads again from the topics that are purged. If it fails, the next time deletes more.
    fn purge(&mut self, now: Mono) {
        if now.since(self.purged_at) < self.shared.settings.purge_interval {
            return;
        }
        self.purged_at = now;
        let local = self.is_local();
        let done_with = self.tasks.iter().flat_map(|assigned| assigned.done_with(local));
        let before: Vec<_> = done_with.collect();
        if let Err(e) = self.shared.log.purge(&before) {
            tracing::warn!(error = %e, "Records that have been read not deleted");
        }
    }

    /// At-least-once: positions follow everything else. If they do not arrive, the next ones may.
    fn commit_offsets(&mut self, offsets: &[Commit]) -> Result<(), Error> {
        if self.txn.is_transactional() || offsets.is_empty() {
            return Ok(());
        }
        self.edge(Edge::BeforeOffsets);
        match self.consumer.commit(offsets) {
            Ok(()) => self.edge(Edge::OffsetsSent),
            Err(LogError::Client { what, reason, retriable: true }) => {
                tracing::warn!(what, reason, "Positions not committed");
            }
            Err(e) => return Err(e.into()),
        }
        Ok(())
    }

    fn mono(&self) -> Mono {
        self.shared.patience.clock.mono()
    }

    fn is_local(&self) -> bool {
        self.shared.log.state().is_some()
    }

    /// Decides what has to be written.
    fn seal(&mut self, checkpoint: bool) -> Result<Vec<Sealed>, Error> {
        let mut sealed = Vec::new();
        for (index, assigned) in self.tasks.iter_mut().enumerate() {
            let task = &mut assigned.task;
            if !matches!(task.state, TaskState::Running | TaskState::Suspended) {
                continue;
            }
            let progress = task.has_progress();
            let due = checkpoint && (progress || assigned.checkpoint_epoch < task.epoch);
            let changes = assigned
                .checkpoints
                .as_ref()
                .filter(|_| due)
                .map(|known| known.changes(task.id, &task.stores, &mut task.sums));
            task.check_base()?;
            let state = changes.as_ref().map(|_| task.sums.total());
            let decision = progress.then(|| task.decide(state));
            if decision.is_some() || changes.is_some() {
                sealed.push(Sealed { index, decision, changes });
            }
        }
        Ok(sealed)
    }

    fn end_transaction(&mut self, sealed: &mut [Sealed]) -> Result<(), SendError> {
        self.edge(Edge::BeforeChangelog);
        for one in sealed.iter().filter(|one| one.decision.is_some()) {
            self.tasks[one.index].task.send_changelogs();
            self.flush(one.index)?;
        }
        self.edge(Edge::BeforeDecision);
        for one in sealed.iter() {
            if let Some(decision) = &one.decision {
                self.tasks[one.index].task.send_decision(decision);
                self.flush(one.index)?;
            }
        }
        self.edge(Edge::BeforeDrain);
        let began = self.mono();
        self.acks = self.txn.drain()?;
        self.shared.progress.took(Span::Drain, self.mono().since(began));
        self.edge(Edge::Drained);
        self.note_acks(sealed);
        self.send_offsets(sealed)?;
        self.ship(sealed)?;
        #[cfg(feature = "sabotage")]
        self.checkpoint_too_early(sealed);
        self.edge(Edge::BeforeCommit);
        Ok(self.txn.commit()?)
    }

    /// Remembers where decisions and changelogs have landed. A log that assigns offsets only when it commits
    /// tells the least that they can be.
    fn note_acks(&mut self, sealed: &[Sealed]) {
        let app = self.shared.topology.name();
        let decisions = topic::decisions(app);
        for (i, one) in sealed.iter().enumerate().filter(|(_, one)| one.decision.is_some()) {
            let partition = |one: &Sealed| self.tasks[one.index].task.id.partition;
            let p = partition(one);
            let later = sealed[i + 1..].iter().filter(|o| o.decision.is_some() && partition(o) == p).count();
            let decision =
                self.acks.get(&Tp::new(&decisions, p)).map(|last| last.0.saturating_sub(later as u64));
            let task = &mut self.tasks[one.index].task;
            task.decision_at = decision.map_or(task.decision_at, Offset);
            for slot in task.stores.0.iter().filter(|slot| slot.changelog) {
                if let Some(last) = self.acks.get(&Tp::new(&topic::changelog(app, &slot.name), p)) {
                    task.changelog_next.insert(slot.name.clone(), Offset(last.0 + 1));
                }
            }
        }
    }

    /// Positions and notes of the epochs that end.
    fn offsets(&self, sealed: &[Sealed]) -> Vec<Commit> {
        let mut commits = Vec::new();
        for one in sealed {
            let (Some(decision), task) = (&one.decision, &self.tasks[one.index].task) else { continue };
            let writer = self.txn.id().to_owned();
            let position = &decision.position;
            commits.extend(position.offsets().into_iter().map(|(tp, offset)| {
                let (epoch, decision, writer) = (decision.epoch, task.decision_at, writer.clone());
                let note = Note { epoch, decision, writer, origins: position.numbers(&tp) };
                Commit { tp, offset, note: note.to_string() }
            }));
        }
        commits
    }

    fn send_offsets(&mut self, sealed: &[Sealed]) -> Result<(), TxnError> {
        let commits = self.offsets(sealed);
        if commits.is_empty() || !self.txn.is_transactional() {
            return Ok(());
        }
        self.edge(Edge::BeforeOffsets);
        self.txn.send_offsets(self.consumer.group().as_ref(), &commits)?;
        self.edge(Edge::OffsetsSent);
        Ok(())
    }

    /// Puts checkpoints into the transaction, where the log keeps them.
    fn ship(&mut self, sealed: &mut [Sealed]) -> Result<(), TxnError> {
        if !self.is_local() {
            return Ok(());
        }
        for one in sealed {
            if let Some(writes) = self.checkpoint_writes(one) {
                self.txn.ship(&writes)?;
            }
        }
        Ok(())
    }

    /// The order that is wrong: checkpoints of epochs that may never be committed.
    #[cfg(feature = "sabotage")]
    fn checkpoint_too_early(&mut self, sealed: &[Sealed]) {
        for one in sealed.iter().filter(|_| self.shared.checkpoint_first) {
            let (Some(decision), Some(writes)) = (&one.decision, self.checkpoint_writes(one)) else {
                continue;
            };
            let assigned = &mut self.tasks[one.index];
            let (id, last) = (assigned.task.id, assigned.checkpoint_epoch);
            let written = assigned.checkpoints.as_ref().map(|known| known.write(id, last, &writes));
            if matches!(written, Some(Ok(true))) {
                assigned.checkpoint_epoch = decision.epoch;
                if let Some(base) = &assigned.task.base {
                    base.moved_to(decision.epoch);
                }
            }
        }
    }

    /// Everything that the checkpoint of a task consists of.
    fn checkpoint_writes(&self, one: &Sealed) -> Option<StateWrites> {
        let assigned = &self.tasks[one.index];
        let (checkpoints, task) = (assigned.checkpoints.as_ref()?, &assigned.task);
        let epoch = one.decision.as_ref().map_or(task.epoch, |decision| decision.epoch);
        let mut writes = one.changes.clone()?;
        writes.push(checkpoints.head(task.id, &task.checkpoint(epoch)));
        Some(writes)
    }

    /// The epoch of a task is visible: write its checkpoint, if one is due, and go on to the next.
    fn epoch_committed(&mut self, one: &Sealed, now: Mono) -> Result<(), Error> {
        let task = &mut self.tasks[one.index].task;
        if one.decision.is_some() {
            task.epoch_ended();
        }
        let counts = task.take_counts();
        self.shared.progress.add_counts(counts);
        if one.changes.is_none() {
            return Ok(());
        }
        if self.is_local() {
            self.checkpointed(one.index);
            return Ok(());
        }
        self.edge(Edge::BeforeCheckpoint);
        let writes = self.checkpoint_writes(one).unwrap_or_default();
        let (assigned, id) = (&self.tasks[one.index], self.tasks[one.index].task.id);
        let last = assigned.checkpoint_epoch;
        let began = self.mono();
        let written = assigned.checkpoints.as_ref().map_or(Ok(true), |known| known.write(id, last, &writes));
        self.shared.progress.took(Span::Checkpoint, self.mono().since(began));
        match written {
            Ok(true) => self.checkpointed(one.index),
            Ok(false) => return Err(Error::CheckpointTaken { task: id.to_string() }),
            Err(e) => self.checkpoint_failed(one.index, e, now)?,
        }
        self.edge(Edge::Checkpointed);
        Ok(())
    }

    fn checkpointed(&mut self, index: usize) {
        let assigned = &mut self.tasks[index];
        assigned.checkpoint_epoch = assigned.task.epoch;
        assigned.task.checkpointed(assigned.checkpoint_epoch);
        (assigned.checkpoint_failures, assigned.suspended_at) = (0, None);
        if assigned.task.state == TaskState::Suspended {
            assigned.task.state.become_next(TaskState::Running);
        }
        self.shared.progress.add(Counter::Checkpoints, 1);
    }

    /// The log is ahead and the state in RAM is right: try again at the next one, but not without end.
    ///
    /// A run that is to end with its input fails if there is no room for long: nobody may be watching it.
    fn checkpoint_failed(&mut self, index: usize, e: StoreError, now: Mono) -> Result<(), Error> {
        let (finite, patience) = (self.shared.finite, self.shared.settings.suspended_max);
        let assigned = &mut self.tasks[index];
        assigned.checkpoint_failures += 1;
        self.shared.progress.add(Counter::CheckpointsFailed, 1);
        let task = &mut assigned.task;
        tracing::error!(task = %task.id, error = %e, "Checkpoint failed");
        let full = task.stores.dirty_bytes() > DIRTY_BYTES_MAX;
        let often = assigned.checkpoint_failures >= CHECKPOINT_FAILURES_MAX;
        if (often || full) && task.state == TaskState::Running {
            tracing::error!(task = %task.id, "Task suspended until a checkpoint succeeds");
            task.state.become_next(TaskState::Suspended);
            assigned.suspended_at = Some(now);
        }
        let waited = assigned.suspended_at.map_or(Duration::ZERO, |since| now.since(since));
        if finite && waited >= patience { Err(e.into()) } else { Ok(()) }
    }

    /// A transaction call failed: every task of this thread goes back to what is committed. Where nobody
    /// knows whether the commit happened, the notes tell, once nothing can be under way any more.
    pub(crate) fn recover(&mut self, e: TxnError) -> Result<(), Error> {
        tracing::warn!(id = self.txn.id(), error = %e, class = ?e.class(), "Transaction failed");
        self.troubles += 1;
        if self.troubles > TROUBLES_MAX {
            return Err(e.into());
        }
        match e.class() {
            TxnClass::Fatal { fenced: true } => self.outlive_fence(&e)?,
            TxnClass::Abort if self.txn.has_content() => self.undo_transaction()?,
            TxnClass::Abort | TxnClass::Retriable | TxnClass::Fatal { fenced: false } | TxnClass::Unknown => {
                self.replace_producer()?;
            }
        }
        self.trouble = Some(e);
        self.roll_back();
        Ok(())
    }

    /// Either another process has taken the transactional id over and this one must end, or the broker gave up
    /// on a transaction that took too long: a broker's client cannot tell them apart. The notes can: if somebody
    /// else has committed, this process is the zombie. If nobody has, a new producer goes on, but only once: what
    /// is fenced again before it has committed anything gives way.
    fn outlive_fence(&mut self, e: &TxnError) -> Result<(), Error> {
        if self.is_local() || self.fenced || self.is_overtaken(e)? {
            return Err(Error::Fenced { id: self.txn.id().to_owned() });
        }
        self.fenced = true;
        self.replace_producer()
    }

    /// Has an epoch been committed that is not one of ours? A commit that failed may have happened.
    fn is_overtaken(&mut self, e: &TxnError) -> Result<bool, Error> {
        // Members of a group take over from each other, and its generations keep them apart.
        if rebalance::sharing(&*self.shared.log, &self.shared.settings) != Sharing::Static {
            return Ok(false);
        }
        for Assigned { task, .. } in &self.tasks {
            let inputs: Vec<Tp> = task.inputs().cloned().collect();
            for commit in self.consumer.committed(&inputs)?.into_iter().flatten() {
                let Some(note) = Note::parse(&commit.note) else { continue };
                let may_be_ours = e.call == "commit" && note.writer == self.txn.id();
                if note.epoch > task.epoch + u64::from(may_be_ours) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Gives the open transaction up.
    pub(crate) fn undo_transaction(&mut self) -> Result<(), Error> {
        match self.txn.abort() {
            Ok(()) => Ok(()),
            Err(e) => {
                tracing::warn!(id = self.txn.id(), error = %e, "Transaction not aborted");
                self.replace_producer()
            }
        }
    }

    /// Whatever the old producer still has under way is fenced off by the new one.
    ///
    /// Nobody says whether the id was still ours. If this process was asleep and there is no group whose
    /// generation would tell, another one with another number of threads may own these partitions under other
    /// ids: all of them are taken over, so that one of the two processes remains. Threads beside this one end
    /// by it, and the process with them.
    fn replace_producer(&mut self) -> Result<(), Error> {
        let id = self.txn.id().to_owned();
        let shared = &self.shared;
        self.txn = rebalance::producer(&*shared.log, &shared.settings, &id, &shared.patience)?;
        let fenced_by_id = self.txn.is_transactional()
            && rebalance::sharing(&*shared.log, &shared.settings) == Sharing::Static;
        let others = shared.ids.iter().chain(&shared.spare).filter(|other| fenced_by_id && **other != id);
        for other in others {
            drop(Txn::new(&*shared.log, other, &shared.patience)?);
        }
        self.shared.progress.add(Counter::ProducersReplaced, 1);
        Ok(())
    }

    /// Every task begins anew from what is committed: the same road as after a crash.
    pub(crate) fn roll_back(&mut self) {
        self.shared.progress.add(Counter::Aborts, 1);
        (self.records, self.bytes) = (0, 0);
        // Tasks that are being restored may have read notes of before, which another owner has gone past.
        let awaited: Vec<TaskId> = self.awaited.drain(..).map(|awaited| awaited.id).collect();
        awaited.into_iter().for_each(|id| self.restore(id, None));
        for assigned in std::mem::take(&mut self.tasks) {
            self.restore(assigned.task.id, assigned.checkpoints);
        }
    }
}
