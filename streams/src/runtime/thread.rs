//! A stream thread: its partitions, their tasks, one consumer, one producer, and the turn that drives them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::error::{Error, LogError, SendError, TxnError};
use crate::log::{Acks, Answer, Consumer, ConsumerOptions, GroupEvent, Log, Tp};
use crate::record::Offset;
use crate::runtime::commit::Edge;
use crate::runtime::merge::Pick;
use crate::runtime::metrics::{Counter, Progress};
use crate::runtime::rebalance::{self, OpenStore};
use crate::runtime::restore::pool::{Job, Pool, Ready, Restored, Worker};
use crate::runtime::state::TaskState;
use crate::runtime::task::Task;
use crate::runtime::txn::{Patience, Txn};
use crate::settings::Settings;
use crate::store::checkpoint::Checkpoints;
use crate::store::view::{Opened, View};
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
    pub(crate) view: View,
    /// Transactional ids of all threads of this run.
    pub(crate) ids: BTreeSet<String>,
    /// Those that a run with more threads would have.
    pub(crate) spare: Vec<String>,
    /// The input ends where it ends now.
    pub(crate) finite: bool,
    /// Tasks that have come to the end of a finite input and committed it, where all tasks are in this
    /// process: those below them wait for that. `None`: a bye is all that is known of the others.
    pub(crate) ended: Option<Mutex<BTreeSet<TaskId>>>,
    /// Checkpoints are written before the commit: wrong, to see that a simulation finds it.
    #[cfg(feature = "sabotage")]
    pub(crate) checkpoint_first: bool,
    /// Partitions of each sub-topology.
    pub(crate) partitions: Vec<u32>,
    /// Where tasks are rebuilt.
    pub(crate) restores: Pool<M>,
}

impl<M: Clone + 'static> Shared<M> {
    /// Is everything committed that these tasks will write in this run, as far as this process can know?
    fn have_ended(&self, tasks: &[TaskId]) -> bool {
        let Some(ended) = &self.ended else { return true };
        let ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.iter().all(|task| ended.contains(task))
    }

    /// A task found nothing more to do.
    fn ends(&self, task: &Task<M>) {
        if let Some(ended) = self.ended.as_ref().filter(|_| !task.has_progress()) {
            ended.lock().unwrap_or_else(PoisonError::into_inner).insert(task.id);
        }
    }
}

/// What one turn did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Something was processed, restored or committed: another turn may find more at once.
    pub(crate) worked: bool,
    /// Every input is used up and everything is committed.
    pub(crate) at_end: bool,
}

/// A task of this thread that is at work.
pub(crate) struct Assigned<M> {
    pub(crate) task: Task<M>,
    pub(crate) checkpoints: Option<Checkpoints>,
    /// Epoch of the last checkpoint that was written.
    pub(crate) checkpoint_epoch: u64,
    pub(crate) checkpoint_failures: u32,
    /// Since when it waits for room on disk.
    pub(crate) suspended_at: Option<Mono>,
    /// The state that was told last.
    told: Option<TaskState>,
    /// As long as it is here, others may read its checkpoints.
    _seen: Option<Opened>,
}

/// A task of this thread that is being restored elsewhere. Its partitions are ours, but not read yet.
pub(crate) struct Awaited {
    pub(crate) id: TaskId,
    inputs: Vec<Tp>,
    ticket: u64,
    cancelled: Arc<AtomicBool>,
}

impl Drop for Awaited {
    /// Whoever forgets the task does not want it.
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Release);
    }
}

/// One of the threads. Whoever owns it calls [`StreamThread::step`] in a loop.
///
/// Nothing else drives it: no step needs another thread of the operating system, reads a clock or sleeps. A
/// simulation steps many of them in an order of its own and gets the same bytes each time.
pub(crate) struct StreamThread<M> {
    pub(crate) shared: Arc<Shared<M>>,
    pub(crate) consumer: Box<dyn Consumer>,
    /// Its number, and of how many.
    member: (u32, u32),
    pub(crate) txn: Txn,
    pub(crate) tasks: Vec<Assigned<M>>,
    pub(crate) awaited: Vec<Awaited>,
    /// Restores tasks as a part of each turn, if no thread of its own does.
    worker: Option<Worker<M>>,
    reply: Sender<Restored<M>>,
    restored: Receiver<Restored<M>>,
    tickets: u64,
    event: Option<GroupEvent>,
    assigned: bool,
    /// The application counts as rebalancing because of this thread.
    unsettled: bool,
    pub(crate) committed_at: Mono,
    pub(crate) checkpoint_at: Mono,
    pub(crate) purged_at: Mono,
    /// Records of the open epoch, and the bytes of its outputs.
    pub(crate) records: u64,
    pub(crate) bytes: usize,
    /// What the last drain told.
    pub(crate) acks: Acks,
    /// Transactions that failed since the last one that succeeded, and why the last one did.
    pub(crate) troubles: u32,
    pub(crate) trouble: Option<TxnError>,
    /// The producer was fenced, replaced, and has not committed since.
    pub(crate) fenced: bool,
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
        let consumer = consumer(&shared, (index, of))?;
        let worker = Worker::new(Arc::clone(&shared));
        let (reply, restored) = channel();
        Ok(StreamThread {
            shared,
            consumer,
            member: (index, of),
            txn,
            tasks: Vec::new(),
            awaited: Vec::new(),
            worker: Some(worker),
            reply,
            restored,
            tickets: 0,
            event: None,
            assigned: false,
            unsettled: false,
            committed_at: now,
            checkpoint_at: now,
            purged_at: now,
            records: 0,
            bytes: 0,
            acks: Acks::new(),
            troubles: 0,
            trouble: None,
            fenced: false,
        })
    }

    /// Leaves the restoring of tasks to another thread.
    pub(crate) fn restored_elsewhere(self) -> StreamThread<M> {
        StreamThread { worker: None, ..self }
    }

    /// One bounded turn: a change of the group, tasks that are restored, up to `take_max` records of each
    /// input, and a commit if one is due. It waits for nothing but a commit.
    pub(crate) fn step(&mut self, now: Mono) -> Result<Turn, Error> {
        self.serve_group()?;
        let restored = self.worker.as_mut().is_some_and(Worker::turn);
        let mut turn = Turn { worked: self.adopt_restored()? || restored, at_end: self.assigned };
        let mut i = 0;
        // A transaction that fails sends every task back to be restored.
        while i < self.tasks.len() {
            let part = match self.tasks[i].task.state {
                TaskState::Running => self.process(i, now)?,
                TaskState::Created
                | TaskState::Restoring
                | TaskState::Suspended
                | TaskState::Standby
                | TaskState::Closing
                | TaskState::Closed
                | TaskState::Failed => Turn::default(),
            };
            turn.worked |= part.worked;
            turn.at_end &= part.at_end;
            i += 1;
        }
        if self.commit_is_due(now, turn) {
            let checkpoint = self.checkpoint_is_due(now);
            turn.worked |= self.commit(now, checkpoint)?;
        }
        self.stop_if_halted()?;
        turn.at_end &= self.awaited.is_empty() && !self.has_progress();
        self.tell_whether_settled();
        self.tell_states();
        Ok(turn)
    }

    /// Waits for something to do, at most this long.
    pub(crate) fn wait(&mut self, at_most: Duration) -> Result<(), Error> {
        if self.event.is_none() {
            self.event = self.serve(at_most)?;
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
        let all: Vec<Tp> = self.inputs().cloned().collect();
        self.give_up(&all)?;
        self.consumer.answer(Answer::Stop(&all))?;
        self.tell_whether_settled();
        Ok(self.consumer.close(CLOSE)?)
    }

    /// Partitions of all its tasks.
    fn inputs(&self) -> impl Iterator<Item = &Tp> {
        let awaited = self.awaited.iter().flat_map(|awaited| &awaited.inputs);
        self.tasks.iter().flat_map(|assigned| assigned.task.inputs()).chain(awaited)
    }

    /// Whoever asks is told where each task is, when that has changed.
    fn tell_states(&mut self) {
        for assigned in &mut self.tasks {
            let state = assigned.task.state;
            if assigned.told.replace(state) != Some(state) {
                self.shared.progress.task_is(assigned.task.id, state);
            }
        }
    }

    fn tell_whether_settled(&mut self) {
        let unsettled = !self.awaited.is_empty();
        if unsettled != self.unsettled {
            self.unsettled = unsettled;
            self.shared.progress.rebalance(unsettled);
        }
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
            None => self.serve(Duration::ZERO)?,
        };
        match event {
            None => Ok(()),
            Some(GroupEvent::Assign(tps)) => self.assign(&tps),
            Some(GroupEvent::Revoke(tps)) => self.revoke(&tps),
            Some(GroupEvent::Lost(tps)) => self.lost(&tps),
        }
    }

    fn serve(&mut self, wait: Duration) -> Result<Option<GroupEvent>, Error> {
        match self.consumer.serve(wait) {
            Err(LogError::MemberFenced) if !self.fenced => {
                self.rejoin()?;
                Ok(None)
            }
            event => Ok(event?),
        }
    }

    /// The group knows our name by another member: either that is a second process, or a broker that died has
    /// forgotten that we had just joined. We join anew, but only once: who is fenced again before it has
    /// committed anything gives way.
    fn rejoin(&mut self) -> Result<(), Error> {
        tracing::warn!(id = self.txn.id(), "Group joined anew");
        self.fenced = true;
        let all: Vec<Tp> = self.inputs().cloned().collect();
        self.give_up(&all)?;
        if self.txn.has_content() {
            self.undo_transaction()?;
        }
        (self.records, self.bytes, self.assigned) = (0, 0, false);
        self.consumer = consumer(&self.shared, self.member)?;
        Ok(())
    }

    fn assign(&mut self, tps: &[Tp]) -> Result<(), Error> {
        for id in rebalance::tasks_of(&self.shared.topology, tps) {
            self.restore(id, None);
        }
        self.assigned = true;
        Ok(())
    }

    /// Others get these partitions once they are given back: what was processed is committed before.
    fn revoke(&mut self, tps: &[Tp]) -> Result<(), Error> {
        self.shared.progress.add(Counter::Rebalances, 1);
        if !tps.is_empty() {
            self.commit(self.committed_at, true)?;
        }
        self.edge(Edge::BeforeStop);
        self.give_up(tps)?;
        Ok(self.consumer.answer(Answer::Stop(tps))?)
    }

    /// Others may have these partitions already: what was processed since the last commit is given up, for all
    /// tasks of the thread, because they share a transaction.
    fn lost(&mut self, tps: &[Tp]) -> Result<(), Error> {
        self.shared.progress.add(Counter::Rebalances, 1);
        self.give_up(tps)?;
        self.consumer.answer(Answer::Stop(tps))?;
        if self.txn.has_content() {
            self.undo_transaction()?;
            self.roll_back();
        }
        Ok(())
    }

    /// Ends the tasks that read any of these partitions.
    fn give_up(&mut self, tps: &[Tp]) -> Result<(), Error> {
        self.awaited.retain(|awaited| !awaited.inputs.iter().any(|tp| tps.contains(tp)));
        for mut assigned in std::mem::take(&mut self.tasks) {
            if assigned.task.inputs().any(|tp| tps.contains(tp)) {
                rebalance::close(&mut assigned.task)?;
                self.shared.progress.task_is(assigned.task.id, assigned.task.state);
            } else {
                self.tasks.push(assigned);
            }
        }
        Ok(())
    }

    /// Has a task rebuilt as of what is committed.
    pub(crate) fn restore(&mut self, id: TaskId, checkpoints: Option<Checkpoints>) {
        self.edge(Edge::Restoring);
        self.tickets += 1;
        let (ticket, cancelled) = (self.tickets, Arc::new(AtomicBool::new(false)));
        self.shared.progress.task_is(id, TaskState::Restoring);
        let inputs = rebalance::inputs_of(&self.shared.topology, id);
        self.awaited.push(Awaited { id, inputs, ticket, cancelled: Arc::clone(&cancelled) });
        let reply = self.reply.clone();
        self.shared.restores.submit(Job { id, ticket, checkpoints, cancelled, copy: false, reply });
    }

    /// Takes over what has been restored. `true`: there was something.
    fn adopt_restored(&mut self) -> Result<bool, Error> {
        let before = self.tasks.len();
        while let Ok(Restored { ticket, outcome }) = self.restored.try_recv() {
            let Some(at) = self.awaited.iter().position(|awaited| awaited.ticket == ticket) else {
                // Given up meanwhile.
                outcome.map_or(Ok(()), |mut ready| rebalance::close(&mut ready.task))?;
                continue;
            };
            let Ready { mut task, checkpoints, checkpoint_epoch } = outcome?;
            self.awaited.remove(at);
            task.merge.finite = self.shared.finite;
            rebalance::rewind(&task, &mut *self.consumer)?;
            task.state.become_next(TaskState::Running);
            let view = &self.shared.view;
            let seen = checkpoints.as_ref().map(|checkpoints| view.open(task.id, checkpoints.clone()));
            self.tasks.push(Assigned {
                told: None,
                _seen: seen,
                task,
                checkpoints,
                checkpoint_epoch,
                checkpoint_failures: 0,
                suspended_at: None,
            });
            self.tasks.sort_by_key(|assigned| assigned.task.id);
            self.shared.progress.add(Counter::Restored, 1);
        }
        Ok(self.tasks.len() > before)
    }

    fn process(&mut self, i: usize, now: Mono) -> Result<Turn, Error> {
        let (shared, take_max) = (&self.shared, self.shared.settings.take_max);
        let (task, consumer) = (&mut self.tasks[i].task, &mut self.consumer);
        if task.halted.is_some() {
            return Ok(Turn::default());
        }
        // Asked before fetching: what those above have committed by now is seen then.
        task.merge.upstream_ended = shared.have_ended(&task.upstream);
        let n_channels = task.merge.channels().len();
        for channel in 0..n_channels {
            if task.merge.channel(channel).is_hungry() && !task.merge.is_full(channel) {
                task.refill(channel, |tp, batch| Ok(consumer.take(tp, take_max, batch)?.caught_up))?;
            }
        }
        let pick = task.run(take_max * n_channels)?;
        let passed = matches!(pick, Pick::Wait(channel) if task.pass_over(channel, now));
        if pick == Pick::End && task.halted.is_none() {
            task.say_bye();
            shared.ends(task);
        }
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
        let worked = passed || tally.records + tally.beacons > 0;
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
        // At the end of a finite input nothing is gained by waiting for the interval, and those below may wait
        // for what is not committed yet.
        let ended = (turn.at_end || (self.shared.finite && !turn.worked)) && self.has_progress();
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

/// A member of the group, numbered among the threads of this process.
fn consumer<M>(shared: &Shared<M>, (index, of): (u32, u32)) -> Result<Box<dyn Consumer>, Error> {
    let app = shared.topology.name();
    let options = ConsumerOptions {
        group: Some(app.to_owned()),
        assignment: rebalance::assignment(&*shared.log, app, &shared.settings, index, of),
    };
    let mut consumer = shared.log.consumer(&options)?;
    consumer.subscribe(&shared.topology.source_topics())?;
    Ok(consumer)
}

impl<M: Clone + 'static> Assigned<M> {
    /// Where its purged inputs need not be read again before, if that is known. `local`: the log has its checkpoints.
    pub(crate) fn done_with(&self, local: bool) -> Vec<(Tp, Offset)> {
        let task = &self.task;
        let kept_elsewhere = match local {
            true => self.checkpoint_epoch == task.epoch,
            false => task.stores.0.iter().all(|slot| slot.changelog),
        };
        if !kept_elsewhere || task.has_progress() {
            return Vec::new();
        }
        task.purged_inputs()
    }

    fn is_running(&self) -> bool {
        matches!(self.task.state, TaskState::Running | TaskState::Suspended)
    }
}
