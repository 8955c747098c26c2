//! The restore thread: tasks that come are rebuilt here, so that neither the group nor the other tasks of
//! their stream thread wait for them.
//!
//! ```text
//! stream thread ── job ──▶ pool ──▶ worker: environment ─ notes ─ checkpoint ─ changelogs or muted replay
//!       ◀──────────────── restored task ────────┘   (a part of each job in turn, so many at a time)
//! ```

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::standby::{self, Copy};
use super::{Restore, Step};
use crate::error::{Error, LogError, StoreError};
use crate::log::{Answer, Assignment, Commit, Consumer, ConsumerOptions, Tp, topic};
use crate::runtime::metrics::{Counter, Span};
use crate::runtime::rebalance;
use crate::runtime::state::TaskState;
use crate::runtime::task::{Blueprint, Task};
use crate::runtime::thread::Shared;
use crate::store::TaskId;
use crate::store::checkpoint::Checkpoints;
use crate::time::Mono;

/// Jobs worked on at a time; each has a reader of its own.
const ACTIVE_MAX: usize = 4;
/// Pause when every job waits for something.
const PAUSE: Duration = Duration::from_millis(1);
/// The same while there are only copies.
const COPY_PAUSE: Duration = Duration::from_millis(10);
/// How often a job is tried again whose environment is still open elsewhere in this process.
const OPEN_TRIES: u32 = 30_000;
/// How often a job begins again because the log failed for the moment, with so many turns between.
const FAILURES_MAX: u32 = 30;
const REST: u32 = 200;

/// A task that is rebuilt, and all that its owner needs to go on with it.
pub(crate) struct Ready<M> {
    pub(crate) task: Task<M>,
    pub(crate) checkpoints: Option<Checkpoints>,
    /// Epoch of the checkpoint it was rebuilt from.
    pub(crate) checkpoint_epoch: u64,
}

/// What became of a job.
pub(crate) struct Restored<M> {
    /// The job's number, given by its owner.
    pub(crate) ticket: u64,
    pub(crate) outcome: Result<Ready<M>, Error>,
}

/// A task to be rebuilt.
pub(crate) struct Job<M> {
    pub(crate) id: TaskId,
    pub(crate) ticket: u64,
    /// Where its checkpoints lie, if that is open already.
    pub(crate) checkpoints: Option<Checkpoints>,
    /// The owner wants it no more.
    pub(crate) cancelled: Arc<AtomicBool>,
    /// It is another process's: nothing of it may be disturbed.
    pub(crate) copy: bool,
    pub(crate) reply: Sender<Restored<M>>,
}

/// Jobs that wait for the worker.
pub(crate) struct Pool<M> {
    waiting: Mutex<Waiting<M>>,
    bell: Condvar,
}

struct Waiting<M> {
    jobs: VecDeque<Job<M>>,
    closed: bool,
}

impl<M> Pool<M> {
    pub(crate) fn new() -> Pool<M> {
        let waiting = Waiting { jobs: VecDeque::new(), closed: false };
        Pool { waiting: Mutex::new(waiting), bell: Condvar::new() }
    }

    pub(crate) fn submit(&self, job: Job<M>) {
        self.lock().jobs.push_back(job);
        self.bell.notify_all();
    }

    /// Lets the worker end; jobs under way are given up.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.bell.notify_all();
    }

    fn next(&self) -> Option<Job<M>> {
        self.lock().jobs.pop_front()
    }

    /// Waits for a job, at most so long if `at_most` is given. `false`: the pool is closed.
    fn wait(&self, at_most: Option<Duration>) -> bool {
        let idle = |waiting: &mut Waiting<M>| waiting.jobs.is_empty() && !waiting.closed;
        let waiting = self.lock();
        let waiting = match at_most {
            Some(wait) => {
                self.bell.wait_timeout_while(waiting, wait, idle).unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.bell.wait_while(waiting, idle).unwrap_or_else(PoisonError::into_inner),
        };
        !waiting.closed
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<M>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does the jobs of a pool. Whoever owns it calls [`Worker::turn`] in a loop.
pub(crate) struct Worker<M> {
    pub(super) shared: Arc<Shared<M>>,
    active: Vec<Active<M>>,
    pub(super) copies: Vec<Copy<M>>,
    readers: Vec<Box<dyn Consumer>>,
}

pub(super) struct Active<M> {
    pub(super) job: Job<M>,
    pub(super) reader: Box<dyn Consumer>,
    pub(super) stage: Stage<M>,
    tries: u32,
    failures: u32,
    /// Turns to let pass.
    rest: u32,
    began: Mono,
}

pub(super) enum Stage<M> {
    /// The environment is to be opened.
    Open,
    /// What is committed is to be read.
    Notes,
    /// The checkpoint is loaded.
    Rebuild { task: Box<Task<M>>, checkpoint_epoch: u64, restore: Option<Box<Restore>> },
}

impl<M: Clone + 'static> Worker<M> {
    pub(crate) fn new(shared: Arc<Shared<M>>) -> Worker<M> {
        let copies = standby::copies(&shared);
        Worker { shared, active: Vec::new(), copies, readers: Vec::new() }
    }

    /// Works until the pool is closed.
    pub(crate) fn run(&mut self) {
        loop {
            let worked = self.turn();
            let copying = (!self.copies.is_empty()).then_some(COPY_PAUSE);
            let wait = if self.active.is_empty() { copying } else { Some(PAUSE) };
            if !worked && !self.shared.restores.wait(wait) {
                return;
            }
        }
    }

    /// Does a bounded part of each job. `false`: nothing could be done.
    pub(crate) fn turn(&mut self) -> bool {
        let mut worked = self.copy() | self.admit();
        for mut active in std::mem::take(&mut self.active) {
            if active.job.cancelled.load(Ordering::Acquire) {
                active.give_up();
                self.recycle(active.reader);
                worked = true;
                continue;
            }
            if active.rest > 0 {
                active.rest -= 1;
                self.active.push(active);
                continue;
            }
            match active.step(&self.shared) {
                Ok(Step::Again) => worked = true,
                Ok(Step::Waiting) => {}
                Ok(Step::Done) => {
                    worked = true;
                    self.finish(active);
                    continue;
                }
                // The log is away for a while.
                Err(Error::Log(error)) if passes(&error) && active.failures < FAILURES_MAX => {
                    tracing::warn!(task = %active.job.id, %error, "Restore begins again");
                    active.begin_again();
                    // A client may not find a group's coordinator again once that has been away.
                    match self.new_reader() {
                        Ok(reader) => active.reader = reader,
                        Err(error) => {
                            active.job.answer(Err(error.into()));
                            continue;
                        }
                    }
                }
                Err(error) => {
                    worked = true;
                    active.job.answer(Err(error));
                    continue;
                }
            }
            self.active.push(active);
        }
        worked
    }

    fn admit(&mut self) -> bool {
        let before = self.active.len();
        while self.active.len() < ACTIVE_MAX {
            let Some(job) = self.shared.restores.next() else { break };
            match self.reader() {
                Ok(reader) => {
                    let now = self.shared.patience.clock.mono();
                    self.active.push(Active::new(job, reader, now));
                }
                Err(error) => job.answer(Err(error.into())),
            }
        }
        self.active.len() > before
    }

    pub(super) fn reader(&mut self) -> Result<Box<dyn Consumer>, LogError> {
        self.readers.pop().map_or_else(|| self.new_reader(), Ok)
    }

    fn new_reader(&self) -> Result<Box<dyn Consumer>, LogError> {
        let group = Some(self.shared.topology.name().to_owned());
        self.shared.log.consumer(&ConsumerOptions { group, assignment: Assignment::Manual })
    }

    fn recycle(&mut self, reader: Box<dyn Consumer>) {
        self.readers.push(reader);
    }

    fn finish(&mut self, active: Active<M>) {
        let Active { job, reader, stage, began, .. } = active;
        let Stage::Rebuild { task, checkpoint_epoch, restore } = stage else { return };
        let Shared { progress, patience, .. } = &*self.shared;
        progress.took(Span::Restore, patience.clock.mono().since(began));
        progress.add(Counter::RestoreRecords, restore.map_or(0, |restore| restore.records));
        self.stop_reading(job.id, &task, reader);
        let checkpoints = job.checkpoints.clone();
        job.answer(Ok(Ready { task: *task, checkpoints, checkpoint_epoch }));
    }
}

impl<M: Clone + 'static> Worker<M> {
    /// The reader of a task is free for another one.
    pub(super) fn stop_reading(&mut self, id: TaskId, task: &Task<M>, mut reader: Box<dyn Consumer>) {
        let app = self.shared.topology.name();
        let own = |slot: &crate::store::Slot| Tp::new(&topic::changelog(app, &slot.name), id.partition);
        let mut read: Vec<Tp> = task.stores.0.iter().map(own).chain(task.inputs().cloned()).collect();
        read.push(Tp::new(&topic::decisions(app), id.partition));
        if reader.answer(Answer::Stop(&read)).is_ok() {
            self.recycle(reader);
        }
    }
}

/// A broker that has just come back may not know its topics yet; they were there when the application started.
fn passes(error: &LogError) -> bool {
    error.is_retriable() || matches!(error, LogError::UnknownTopic { .. })
}

impl<M> Job<M> {
    /// The owner may be gone: then nobody wants the answer.
    fn answer(self, outcome: Result<Ready<M>, Error>) {
        let _ = self.reply.send(Restored { ticket: self.ticket, outcome });
    }
}

impl<M: Clone + 'static> Active<M> {
    pub(super) fn new(job: Job<M>, reader: Box<dyn Consumer>, began: Mono) -> Active<M> {
        Active { job, reader, stage: Stage::Open, tries: 0, failures: 0, rest: 0, began }
    }

    fn begin_again(&mut self) {
        self.give_up();
        self.failures += 1;
        (self.stage, self.tries, self.rest) = (Stage::Open, 0, REST);
    }

    pub(super) fn step(&mut self, shared: &Shared<M>) -> Result<Step, Error> {
        match &mut self.stage {
            Stage::Open => self.open(shared),
            Stage::Notes => self.load(shared),
            Stage::Rebuild { task, restore: Some(restore), .. } => {
                restore.step(task, &*shared.log, shared.topology.name(), &mut *self.reader)
            }
            Stage::Rebuild { restore: None, .. } => Ok(Step::Done),
        }
    }

    fn open(&mut self, shared: &Shared<M>) -> Result<Step, Error> {
        if self.job.checkpoints.is_none() {
            let opened = rebalance::checkpoints(shared, self.job.id);
            self.tries += 1;
            match opened {
                Ok(checkpoints) => self.job.checkpoints = checkpoints,
                // The thread that has just lost the task is about to close it.
                Err(Error::Store(StoreError::AlreadyOpen { .. })) if self.tries < OPEN_TRIES => {
                    return Ok(Step::Waiting);
                }
                Err(error) => return Err(error),
            }
        }
        (self.stage, self.tries) = (Stage::Notes, 0);
        Ok(Step::Again)
    }

    fn load(&mut self, shared: &Shared<M>) -> Result<Step, Error> {
        // An earlier owner's transaction may still be open; the log ends it before long.
        let committed = self.committed(shared)?;
        let mut task = Task::new(&Blueprint {
            topology: &shared.topology,
            id: self.job.id,
            local: shared.log.state().is_some(),
            settings: &shared.settings,
            log: &*shared.log,
        })?;
        task.state.become_next(TaskState::Restoring);
        let restore = Restore::begin(
            &mut task,
            &*shared.log,
            shared.topology.name(),
            &committed,
            self.job.checkpoints.as_ref(),
            &mut *self.reader,
            shared.settings.load_entries_max,
        )?;
        let checkpoint_epoch = task.epoch;
        let restore = restore.map(Box::new);
        self.stage = Stage::Rebuild { task: Box::new(task), checkpoint_epoch, restore };
        Ok(Step::Again)
    }

    fn committed(&mut self, shared: &Shared<M>) -> Result<Vec<Option<Commit>>, Error> {
        let inputs = rebalance::inputs_of(&shared.topology, self.job.id);
        if self.job.copy {
            return Ok(self.reader.committed(&inputs)?);
        }
        rebalance::committed(shared, &mut *self.reader, &inputs)
    }

    /// Lets the nodes of a task that nobody wants any more end.
    pub(super) fn give_up(&mut self) {
        if let Stage::Rebuild { task, .. } = &mut self.stage {
            task.state.become_next(TaskState::Closing);
            if let Err(error) = task.close() {
                tracing::warn!(task = %task.id, %error, "Task not closed in order");
            }
            task.state.become_next(TaskState::Closed);
        }
    }
}
