//! A stream thread: its partitions, their tasks, one consumer, one producer, and the turn that drives them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, SendError, TxnError};
use crate::log::{Acks, Assignment, Consumer, ConsumerOptions, GroupEvent, Log, Tp};
use crate::runtime::commit::Edge;
use crate::runtime::merge::Pick;
use crate::runtime::metrics::{Counter, Progress};
use crate::runtime::rebalance::{self, OpenStore};
use crate::runtime::restore::{Restore, Step};
use crate::runtime::state::TaskState;
use crate::runtime::task::{Blueprint, Task};
use crate::runtime::txn::{Patience, Txn};
use crate::settings::Settings;
use crate::store::checkpoint::Checkpoints;
use crate::time::Mono;
use crate::topology::Topology;
use crate::topology::processor::TaskId;

/// How long leaving the group may take.
const CLOSE: Duration = Duration::from_secs(30);

/// Called at every edge of the commit protocol.
pub(crate) type OnEdge = Arc<dyn Fn(Edge) + Send + Sync>;

/// What the threads of an application share.
pub(crate) struct Shared<M> {
    pub(crate) topology: Arc<Topology<M>>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) settings: Settings,
    pub(crate) patience: Patience,
    pub(crate) open_store: OpenStore,
    pub(crate) progress: Progress,
    pub(crate) on_edge: Option<OnEdge>,
    /// Transactional ids of all threads of this run.
    pub(crate) ids: BTreeSet<String>,
    /// The input ends where it ends now.
    pub(crate) finite: bool,
}

/// What one turn did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Something was processed, restored or committed: another turn may find more at once.
    pub(crate) worked: bool,
    /// Every input is used up and everything is committed.
    pub(crate) at_end: bool,
}

/// A task of this thread.
pub(crate) struct Assigned<M> {
    pub(crate) task: Task<M>,
    restore: Option<Restore>,
    pub(crate) checkpoints: Option<Checkpoints>,
    /// Epoch of the last checkpoint that was written.
    pub(crate) checkpoint_epoch: u64,
    pub(crate) checkpoint_failures: u32,
    /// Since when it waits for room on disk.
    pub(crate) suspended_at: Option<Mono>,
}

/// One of the threads. Whoever owns it calls [`StreamThread::step`] in a loop.
///
/// Nothing else drives it: no step needs another thread of the operating system, reads a clock or sleeps. A
/// simulation steps many of them in an order of its own and gets the same bytes each time.
pub(crate) struct StreamThread<M> {
    pub(crate) shared: Arc<Shared<M>>,
    pub(crate) consumer: Box<dyn Consumer>,
    pub(crate) txn: Txn,
    pub(crate) tasks: Vec<Assigned<M>>,
    event: Option<GroupEvent>,
    assigned: bool,
    pub(crate) committed_at: Mono,
    pub(crate) checkpoint_at: Mono,
    /// Records of the open epoch, and the bytes of its outputs.
    pub(crate) records: u64,
    pub(crate) bytes: usize,
    /// What the last drain told.
    pub(crate) acks: Acks,
    /// Transactions that failed since the last one that succeeded, and why the last one did.
    pub(crate) troubles: u32,
    pub(crate) trouble: Option<TxnError>,
}

impl<M: Clone + 'static> StreamThread<M> {
    /// Joins the group as member `index` of `of`, with the transactional id that `txn` has taken over.
    pub(crate) fn new(
        shared: Arc<Shared<M>>,
        txn: Txn,
        index: u32,
        of: u32,
        now: Mono,
    ) -> Result<StreamThread<M>, Error> {
        let options = ConsumerOptions {
            group: Some(shared.topology.name().to_owned()),
            assignment: Assignment::Static { index, of },
        };
        let mut consumer = shared.log.consumer(&options)?;
        consumer.subscribe(&shared.topology.source_topics())?;
        Ok(StreamThread {
            shared,
            consumer,
            txn,
            tasks: Vec::new(),
            event: None,
            assigned: false,
            committed_at: now,
            checkpoint_at: now,
            records: 0,
            bytes: 0,
            acks: Acks::new(),
            troubles: 0,
            trouble: None,
        })
    }

    /// One bounded turn: a change of the group, a part of each restore, up to `take_max` records of each
    /// input, and a commit if one is due. It waits for nothing but a commit.
    pub(crate) fn step(&mut self, now: Mono) -> Result<Turn, Error> {
        self.serve_group()?;
        let mut turn = Turn { worked: false, at_end: self.assigned };
        for i in 0..self.tasks.len() {
            let part = match self.tasks[i].task.state {
                TaskState::Restoring => self.restore(i)?,
                TaskState::Running => self.process(i)?,
                TaskState::Created
                | TaskState::Suspended
                | TaskState::Closing
                | TaskState::Closed
                | TaskState::Failed => Turn::default(),
            };
            turn.worked |= part.worked;
            turn.at_end &= part.at_end;
        }
        if self.commit_is_due(now, turn) {
            let checkpoint = self.checkpoint_is_due(now);
            turn.worked |= self.commit(now, checkpoint)?;
        }
        self.stop_if_halted()?;
        turn.at_end &= !self.has_progress();
        Ok(turn)
    }

    /// Waits for something to do, at most this long.
    pub(crate) fn wait(&mut self, at_most: Duration) -> Result<(), Error> {
        if self.event.is_none() {
            self.event = self.consumer.serve(at_most)?;
        }
        Ok(())
    }

    /// Commits what was processed, writes a checkpoint of it and gives the partitions back.
    ///
    /// A last commit that fails is an error: what it had is processed again by the next run.
    pub(crate) fn finish(mut self, now: Mono) -> Result<(), Error> {
        self.trouble = None;
        self.commit(now, true)?;
        if let Some(e) = self.trouble.take() {
            return Err(e.into());
        }
        self.stop_if_halted()?;
        self.edge(Edge::BeforeStop);
        for assigned in &mut self.tasks {
            if matches!(assigned.task.state, TaskState::Restoring | TaskState::Running | TaskState::Suspended)
            {
                rebalance::close(&mut assigned.task, &mut *self.consumer)?;
            }
        }
        self.tasks.clear();
        Ok(self.consumer.close(CLOSE)?)
    }

    pub(crate) fn edge(&self, edge: Edge) {
        if let Some(on_edge) = &self.shared.on_edge {
            on_edge(edge);
        }
    }

    fn has_progress(&self) -> bool {
        self.tasks.iter().any(|assigned| assigned.is_running() && assigned.task.has_progress())
    }

    fn stop_if_halted(&mut self) -> Result<(), Error> {
        if self.has_progress() {
            return Ok(());
        }
        self.tasks.iter_mut().find_map(|assigned| assigned.task.halted.take()).map_or(Ok(()), Err)
    }

    fn serve_group(&mut self) -> Result<(), Error> {
        let event = match self.event.take() {
            Some(event) => Some(event),
            None => self.consumer.serve(Duration::ZERO)?,
        };
        match event {
            None => Ok(()),
            Some(GroupEvent::Assign(tps)) => self.assign(&tps),
            Some(GroupEvent::Revoke(tps)) => self.revoke(&tps),
        }
    }

    fn assign(&mut self, tps: &[Tp]) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        for id in rebalance::tasks_of(&shared.topology, tps) {
            let log = &*shared.log;
            let checkpoints =
                rebalance::checkpoints(log, &shared.open_store, &shared.topology, &shared.settings, id)?;
            let task = self.new_task(id)?;
            self.tasks.push(Assigned {
                task,
                restore: None,
                checkpoints,
                checkpoint_epoch: 0,
                checkpoint_failures: 0,
                suspended_at: None,
            });
            self.begin_restore(self.tasks.len() - 1)?;
        }
        self.assigned = true;
        Ok(())
    }

    fn revoke(&mut self, tps: &[Tp]) -> Result<(), Error> {
        self.commit(self.committed_at, true)?;
        self.edge(Edge::BeforeStop);
        for mut assigned in std::mem::take(&mut self.tasks) {
            if assigned.task.inputs().any(|tp| tps.contains(tp)) {
                rebalance::close(&mut assigned.task, &mut *self.consumer)?;
            } else {
                self.tasks.push(assigned);
            }
        }
        Ok(())
    }

    pub(crate) fn new_task(&self, id: TaskId) -> Result<Task<M>, Error> {
        let shared = &self.shared;
        Task::new(&Blueprint {
            topology: &shared.topology,
            id,
            local: shared.log.state().is_some(),
            settings: &shared.settings,
            log: &*shared.log,
        })
    }

    /// Reads what is committed for a new task and loads its checkpoint.
    pub(crate) fn begin_restore(&mut self, i: usize) -> Result<(), Error> {
        self.edge(Edge::Restoring);
        let shared = &self.shared;
        let assigned = &mut self.tasks[i];
        let tps: Vec<Tp> = assigned.task.inputs().cloned().collect();
        let log = &*shared.log;
        let committed = rebalance::committed(log, &mut *self.consumer, &shared.patience, &shared.ids, &tps)?;
        assigned.task.state.become_next(TaskState::Restoring);
        assigned.restore = Restore::begin(
            &mut assigned.task,
            log,
            shared.topology.name(),
            &committed,
            assigned.checkpoints.as_ref(),
        )?;
        assigned.checkpoint_epoch = assigned.task.epoch;
        Ok(())
    }

    fn restore(&mut self, i: usize) -> Result<Turn, Error> {
        let shared = &self.shared;
        let assigned = &mut self.tasks[i];
        let step = match &mut assigned.restore {
            None => Step::Done,
            Some(restore) => restore.step(&mut assigned.task, &*shared.log, shared.topology.name())?,
        };
        match step {
            Step::Again => {}
            Step::Waiting => return Ok(Turn::default()),
            Step::Done => {
                assigned.restore = None;
                assigned.task.merge.finite = shared.finite;
                rebalance::rewind(&assigned.task, &mut *self.consumer)?;
                assigned.task.state.become_next(TaskState::Running);
                shared.progress.add(Counter::Restored, 1);
            }
        }
        Ok(Turn { worked: true, at_end: false })
    }

    fn process(&mut self, i: usize) -> Result<Turn, Error> {
        let (shared, take_max) = (&self.shared, self.shared.settings.take_max);
        let (task, consumer) = (&mut self.tasks[i].task, &mut self.consumer);
        if task.halted.is_some() {
            return Ok(Turn::default());
        }
        let n_channels = task.merge.channels().len();
        for channel in 0..n_channels {
            if task.merge.channel(channel).is_hungry() {
                task.refill(channel, |tp, batch| Ok(consumer.take(tp, take_max, batch)?.caught_up))?;
            }
        }
        let pick = task.run(take_max * n_channels)?;
        let tally = std::mem::take(&mut task.tally);
        shared.progress.add(Counter::RecordsIn, tally.records);
        shared.progress.add(Counter::Beacons, tally.beacons);
        shared.progress.add(Counter::Poisoned, tally.poisoned);
        shared.progress.reached(task.time());
        self.records += tally.records + tally.beacons;
        if !self.tasks[i].task.outbox.is_empty() {
            self.edge(Edge::BeforeSend);
            self.send(i)?;
            self.edge(Edge::Sent);
        }
        let worked = tally.records + tally.beacons > 0;
        let at_end = match pick {
            Pick::End => true,
            Pick::Record(_) | Pick::Beacon(_) | Pick::Wait(_) => false,
        };
        Ok(Turn { worked, at_end })
    }

    /// Hands a task's outputs to the producer.
    fn send(&mut self, i: usize) -> Result<(), Error> {
        match self.flush(i) {
            Ok(()) => Ok(()),
            Err(SendError::Txn(e)) => self.recover(e),
            Err(e @ (SendError::Full | SendError::TooLarge { .. })) => Err(e.into()),
        }
    }

    pub(crate) fn flush(&mut self, i: usize) -> Result<(), SendError> {
        let (txn, mut n, mut bytes) = (&mut self.txn, 0, 0);
        let sent = self.tasks[i].task.outbox.flush(|record| {
            txn.send(record)?;
            n += 1;
            bytes += record.value.map_or(0, <[u8]>::len);
            Ok(())
        });
        self.bytes += bytes;
        self.shared.progress.add(Counter::RecordsOut, n);
        sent
    }

    fn commit_is_due(&self, now: Mono, turn: Turn) -> bool {
        let settings = &self.shared.settings;
        let halted = self.tasks.iter().any(|assigned| assigned.task.halted.is_some());
        // At the end of a finite input nothing is gained by waiting for the interval.
        let ended = turn.at_end && self.has_progress();
        halted
            || ended
            || self.records >= settings.commit_records_max
            || self.bytes >= settings.commit_bytes_max
            || now.since(self.committed_at) >= settings.commit_interval
    }

    fn checkpoint_is_due(&self, now: Mono) -> bool {
        let default = if self.shared.log.state().is_some() { 5 } else { 1 };
        let interval = self.shared.settings.checkpoint_interval;
        now.since(self.checkpoint_at) >= interval.unwrap_or(Duration::from_secs(default))
    }
}

impl<M: Clone + 'static> Assigned<M> {
    fn is_running(&self) -> bool {
        matches!(self.task.state, TaskState::Running | TaskState::Suspended)
    }
}
