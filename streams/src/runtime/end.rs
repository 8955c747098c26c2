//! When a run is over: how the threads of a process agree on it, and how a process learns that the others
//! of its application have come to the end too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::error::{Error, LogError};
use crate::log::{Answer, Assignment, Commit, Consumer, ConsumerOptions, Log, Tp};
use crate::record::Batch;
use crate::runtime::thread::{Shared, Turn};
use crate::runtime::txn::Patience;
use crate::runtime::{Until, rebalance};
use crate::store::TaskId;

/// Between two looks at what others do.
const LOOK: Duration = Duration::from_millis(20);
/// Between two questions for members before the start, and how much longer than their session they are waited for.
const MEMBERS_PAUSE: Duration = Duration::from_millis(200);
const MEMBERS_GRACE: Duration = Duration::from_secs(1);
/// Looks between two questions for members of the group.
const MEMBERS_EVERY: u32 = 250;
/// Looks at a partition until it shows a record or its end.
const LOOKS_MAX: u32 = 250;

/// How the threads of a run agree that it is over.
pub(super) struct Stop<'a> {
    until: Until,
    shutdown: &'a AtomicBool,
    /// It is to end, whatever is left to do: somebody asked for it, or a thread has failed.
    pub(super) over: Arc<AtomicBool>,
    /// The end was reached once: no thread goes on, even if more arrives.
    ended: AtomicBool,
    /// Others may own partitions of the application: whether it is over is found out by [`Stop::watch`].
    shared_out: bool,
    /// Turns of any thread that may have made something new for another to read.
    turns: AtomicU64,
    /// Per thread: 1 + the value of `turns` before a turn that found everything used up, else 0.
    quiet: Vec<AtomicU64>,
}

impl Stop<'_> {
    pub(super) fn new(
        until: Until,
        shutdown: &AtomicBool,
        over: Arc<AtomicBool>,
        shared_out: bool,
        n_threads: u32,
    ) -> Stop<'_> {
        Stop {
            until,
            shutdown,
            over,
            ended: AtomicBool::new(false),
            shared_out,
            turns: AtomicU64::new(0),
            quiet: (0..n_threads).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// The value to give to [`Stop::report`] after the turn that now begins.
    pub(super) fn before_turn(&self) -> u64 {
        self.turns.load(Ordering::Acquire)
    }

    /// Tells what a turn did. A thread that worked may have written what another one reads, so what the
    /// others found earlier does not count any more.
    pub(super) fn report(&self, thread: u32, before: u64, turn: Turn) {
        if turn.worked {
            self.turns.fetch_add(1, Ordering::AcqRel);
        }
        let quiet = if turn.at_end && !turn.worked { before + 1 } else { 0 };
        self.quiet[thread as usize].store(quiet, Ordering::Release);
    }

    pub(super) fn is_set(&self) -> bool {
        if self.until == Until::End && !self.shared_out && self.all_quiet() {
            self.ended.store(true, Ordering::Release);
        }
        let asked = self.shutdown.load(Ordering::Acquire) || self.over.load(Ordering::Acquire);
        asked || self.ended.load(Ordering::Acquire)
    }

    fn all_quiet(&self) -> bool {
        let now = self.turns.load(Ordering::Acquire) + 1;
        self.quiet.iter().all(|quiet| quiet.load(Ordering::Acquire) == now)
    }

    /// Watches what other processes of the application do, as long as the run goes on.
    pub(super) fn watch<M>(&self, shared: &Shared<M>) -> Result<(), Error> {
        match (self.shared_out, self.until) {
            (true, Until::End) => self.watch_for_the_end(shared),
            (true, Until::Shutdown) => Ok(()),
            (false, _) => self.watch_for_members(shared),
        }
    }

    /// Ends a run by number beside which members of a group begin to work.
    fn watch_for_members<M>(&self, shared: &Shared<M>) -> Result<(), Error> {
        if shared.log.state().is_some() {
            return Ok(());
        }
        for look in 1_u32.. {
            if self.is_set() {
                break;
            }
            thread::sleep(LOOK);
            if !look.is_multiple_of(MEMBERS_EVERY) {
                continue;
            }
            let app = shared.topology.name();
            match shared.log.members(app) {
                Ok(0) => {}
                Ok(n) => return Err(Error::GroupMembers { app: app.to_owned(), n }),
                Err(e) => tracing::debug!(error = %e, "Members of the group not asked for"),
            }
        }
        Ok(())
    }

    /// Ends a run whose partitions are shared with other processes once nothing is left to do for any of them.
    fn watch_for_the_end<M>(&self, shared: &Shared<M>) -> Result<(), Error> {
        let mut reader = reader(shared)?;
        while !self.is_set() {
            thread::sleep(LOOK);
            if !self.all_quiet() {
                continue;
            }
            match is_over(shared, &mut *reader) {
                Ok(over) => self.ended.store(over, Ordering::Release),
                // A client may not find the group's coordinator again once that has been away.
                Err(e) if e.is_retriable() => reader = self::reader(shared)?,
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }
}

/// Tells those who wait for a cluster that the run is to end, as long as it goes on.
pub(super) fn pass_on(shutdown: &AtomicBool, over: &AtomicBool, running: &Receiver<()>) {
    while running.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        over.fetch_or(shutdown.load(Ordering::Acquire), Ordering::AcqRel);
    }
}

/// A run that owns partitions by number must be the only one. Members that have just died count until their session
/// lapses.
pub(super) fn wait_for_members(
    log: &dyn Log,
    app: &str,
    session: Duration,
    patience: &Patience,
) -> Result<(), Error> {
    let (began, longest) = (patience.clock.mono(), session + MEMBERS_GRACE);
    loop {
        let n = log.members(app)?;
        if n == 0 {
            return Ok(());
        }
        if patience.is_over() || patience.clock.mono().since(began) >= longest {
            return Err(Error::GroupMembers { app: app.to_owned(), n });
        }
        patience.clock.pause(MEMBERS_PAUSE);
    }
}

fn reader<M>(shared: &Shared<M>) -> Result<Box<dyn Consumer>, LogError> {
    let group = Some(shared.topology.name().to_owned());
    shared.log.consumer(&ConsumerOptions { group, assignment: Assignment::Manual })
}

/// Has every task of the application, whoever owns it, committed all of its inputs? Asked once for each
/// sub-topology, so that the last answer knows what the tasks above wrote, in whatever order they were declared.
fn is_over<M>(shared: &Shared<M>, reader: &mut dyn Consumer) -> Result<bool, LogError> {
    for _ in &shared.partitions {
        if !are_at_end(shared, reader)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn are_at_end<M>(shared: &Shared<M>, reader: &mut dyn Consumer) -> Result<bool, LogError> {
    if hides_something(shared)? {
        return Ok(false);
    }
    for (sub, n) in (0..).zip(&shared.partitions) {
        for partition in 0..*n {
            let inputs = rebalance::inputs_of(&shared.topology, TaskId { sub, partition });
            for (tp, commit) in inputs.iter().zip(reader.committed(&inputs)?) {
                if !is_at_end(shared, tp, commit, reader)? {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

/// Does an open transaction hide the end of a topic that the application reads or writes? That of a process
/// which was killed stays open until the broker gives it up, and what others have written since lies behind it.
fn hides_something<M>(shared: &Shared<M>) -> Result<bool, LogError> {
    for topic in shared.topology.source_topics().iter().chain(&shared.topology.sink_topics()) {
        for partition in 0..shared.log.partitions(topic)? {
            let range = shared.log.range(&Tp::new(topic, partition))?;
            if range.stable < range.end {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Offsets alone do not tell: the last ones of a partition may belong to no record.
fn is_at_end<M>(
    shared: &Shared<M>,
    tp: &Tp,
    commit: Option<Commit>,
    reader: &mut dyn Consumer,
) -> Result<bool, LogError> {
    let range = shared.log.range(tp)?;
    let next = commit.map_or(range.first, |commit| commit.offset);
    if next >= range.stable {
        return Ok(true);
    }
    reader.answer(Answer::Start(&[(tp.clone(), next)]))?;
    let mut at_end = false;
    for _ in 0..LOOKS_MAX {
        let taken = reader.take(tp, 1, &mut Batch::default())?;
        at_end = taken.n == 0 && taken.caught_up;
        if at_end || taken.n > 0 {
            break;
        }
        thread::sleep(LOOK);
    }
    reader.answer(Answer::Stop(std::slice::from_ref(tp)))?;
    Ok(at_end)
}
