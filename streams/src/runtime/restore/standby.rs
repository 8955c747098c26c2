//! Standby copies: tasks of other processes, kept warm, so that whoever takes one over has little left to read.
//!
//! ```text
//! pass of a copy:   checkpoint here ─▶ restore as ever: changelog tail or muted replay ─▶ checkpoint here
//!                        ▲───────────────── one checkpoint interval later ─────────────────────┘
//! ```
//! A pass is a restore whose result is written down instead of run, so a take-over is the next pass. It only
//! reads the log; between passes nothing is open. Once the task is this process's own, the copy leaves it alone.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::Step;
use super::pool::{Active, Job, Stage, Worker};
use crate::error::Error;
use crate::runtime::metrics::Counter;
use crate::runtime::state::TaskState;
use crate::runtime::thread::Shared;
use crate::store::TaskId;
use crate::time::Mono;

/// Time between two passes where no checkpoint interval is set.
const EVERY: Duration = Duration::from_secs(1);
/// A pass that failed is tried again after so many intervals.
const REST: u32 = 5;

/// A task that is copied.
pub(super) struct Copy<M> {
    id: TaskId,
    due: Mono,
    pass: Option<Active<M>>,
}

/// The tasks that this process copies unless it has them.
pub(super) fn copies<M>(shared: &Shared<M>) -> Vec<Copy<M>> {
    let Some(standby) = shared.settings.standby.filter(|_| shared.log.state().is_none()) else {
        return Vec::new();
    };
    let subs = (0..).zip(shared.topology.subs.iter().zip(&shared.partitions));
    let with_state = subs.filter(|(_, (sub, _))| !sub.stores.is_empty());
    let ids = with_state.flat_map(|(sub, (_, n))| (0..*n).map(move |partition| TaskId { sub, partition }));
    let copied = ids.filter(|id| standby.copies(id.partition));
    copied.map(|id| Copy { id, due: Mono::default(), pass: None }).collect()
}

impl<M: Clone + 'static> Worker<M> {
    /// Does a bounded part of each copy. `false`: nothing could be done.
    pub(super) fn copy(&mut self) -> bool {
        let now = self.shared.patience.clock.mono();
        let mut worked = false;
        for mut copy in std::mem::take(&mut self.copies) {
            worked |= self.copy_one(&mut copy, now);
            self.copies.push(copy);
        }
        worked
    }

    fn copy_one(&mut self, copy: &mut Copy<M>, now: Mono) -> bool {
        let pass = copy.pass.take();
        if self.shared.progress.has_task(copy.id) {
            let begun = pass.is_some();
            pass.into_iter().for_each(|pass| self.drop_pass(pass));
            return begun;
        }
        if pass.is_none() && now < copy.due {
            return false;
        }
        let mut pass = match pass.map_or_else(|| self.begin(copy.id, now), Ok) {
            Ok(pass) => pass,
            Err(error) => {
                copy.due = self.after_failure(copy.id, &error, now);
                return false;
            }
        };
        match pass.step(&self.shared).and_then(|step| self.keep_if_done(&mut pass, step)) {
            Ok(Step::Done) => {
                copy.due = Mono(now.0 + self.every());
                self.drop_pass(pass);
                true
            }
            Ok(step) => {
                copy.pass = Some(pass);
                step == Step::Again
            }
            Err(error) => {
                copy.due = self.after_failure(copy.id, &error, now);
                self.drop_pass(pass);
                true
            }
        }
    }

    fn begin(&mut self, id: TaskId, now: Mono) -> Result<Active<M>, Error> {
        let (reply, _) = channel();
        let job = Job { id, ticket: 0, checkpoints: None, cancelled: Arc::default(), copy: true, reply };
        Ok(Active::new(job, self.reader()?, now))
    }

    /// Writes what a pass has come to.
    fn keep_if_done(&self, pass: &mut Active<M>, step: Step) -> Result<Step, Error> {
        let (Step::Done, Some(checkpoints)) = (step, &pass.job.checkpoints) else { return Ok(step) };
        let Stage::Rebuild { task, checkpoint_epoch, .. } = &mut pass.stage else { return Ok(step) };
        task.state.become_next(TaskState::Standby);
        if task.epoch > *checkpoint_epoch {
            let mut writes = checkpoints.changes(task.id, &task.stores, &mut task.sums);
            task.check_base()?;
            writes.push(checkpoints.head(task.id, &task.checkpoint(task.epoch)));
            if !checkpoints.write(task.id, *checkpoint_epoch, &writes)? {
                return Err(Error::CheckpointTaken { task: task.id.to_string() });
            }
            self.shared.progress.add(Counter::Copied, 1);
        }
        self.shared.progress.task_is_copied(task.id);
        Ok(step)
    }

    fn drop_pass(&mut self, mut pass: Active<M>) {
        pass.give_up();
        let Active { job, reader, stage, .. } = pass;
        if let Stage::Rebuild { task, .. } = stage {
            self.stop_reading(job.id, &task, reader);
        }
    }

    fn after_failure(&self, id: TaskId, error: &Error, now: Mono) -> Mono {
        tracing::warn!(task = %id, %error, "Standby copy not brought up to date");
        Mono(now.0 + self.every() * REST)
    }

    fn every(&self) -> Duration {
        self.shared.settings.checkpoint_interval.unwrap_or(EVERY)
    }
}
