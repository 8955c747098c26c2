//! HOW a topology runs: tasks on stream threads, epochs, commits, recovery.
//!
//! ```text
//!            ┌──────────── stream thread: the partitions that the group gives it ────────────┐
//! log ─take─▶│ task: merge ─▶ ticks ─▶ nodes ─▶ outbox ─send─▶ transaction ─▶ commit        │─▶ log
//!            │             stores ◀──────┘                        └ changelogs, decisions,  │
//!            │               └─ checkpoint ─▶ LMDB                  offsets with their notes │
//!            └──────────────────────────────────────────────────────────────────────────────┘
//! ```
//! Results are a function of the input log and the decision log: thread count, batch size, speed and
//! restarts change no output byte.

mod below;
pub mod commit;
pub mod decision;
mod end;
mod graph;
mod inputs;
pub mod merge;
pub mod metrics;
pub mod outbox;
mod poison;
mod rebalance;
mod restore;
pub mod state;
pub(crate) mod task;
pub(crate) mod thread;
pub mod tick;
pub(crate) mod topics;
mod txn;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread as os;
use std::time::Duration;

use crate::error::Error;
use crate::log::Log;
use crate::settings::{Settings, Sharing};
use crate::store::view::View;
use crate::topology::Topology;
use commit::Edge;
use end::Stop;
use metrics::Progress;
use rebalance::OpenStore;
use restore::pool::{Pool, Worker};
use state::AppState;
use thread::{OnEdge, Shared, StreamThread};
use txn::{Patience, Txn};

/// How long an idle thread waits before it looks again.
const IDLE: Duration = Duration::from_millis(5);

pub use crate::time::Clock;

/// When a run ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// When every input is used up: its origin has said bye, or its readable end is reached. An input at its
    /// end holds the others no longer.
    End,
    /// Never: only the shutdown flag ends it.
    Shutdown,
}

/// A topology on a log.
pub struct App<M> {
    topology: Arc<Topology<M>>,
    log: Arc<dyn Log>,
    settings: Settings,
    clock: Arc<dyn Clock>,
    on_edge: Option<OnEdge>,
    open_store: OpenStore,
    #[cfg(feature = "sabotage")]
    checkpoint_first: bool,
    view: View,
}

impl<M: Clone + Send + 'static> App<M> {
    /// Nothing happens before [`App::run`].
    pub fn new(
        topology: Topology<M>,
        log: Arc<dyn Log>,
        settings: Settings,
        clock: Arc<dyn Clock>,
    ) -> App<M> {
        App::of(Arc::new(topology), log, settings, clock, Arc::new(rebalance::on_disk))
    }

    /// The same, of a topology that others run too, with its checkpoints wherever `open_store` puts them.
    pub(crate) fn of(
        topology: Arc<Topology<M>>,
        log: Arc<dyn Log>,
        settings: Settings,
        clock: Arc<dyn Clock>,
        open_store: OpenStore,
    ) -> App<M> {
        let view = View::new(Arc::clone(&clock));
        App {
            topology,
            log,
            settings,
            clock,
            on_edge: None,
            open_store,
            view,
            #[cfg(feature = "sabotage")]
            checkpoint_first: false,
        }
    }

    #[cfg(feature = "sabotage")]
    pub(crate) fn checkpoint_first(self, checkpoint_first: bool) -> App<M> {
        App { checkpoint_first, ..self }
    }

    /// Read-only queries of the stores of the tasks that run here, while they run.
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// Calls `on_edge` at every edge of the commit protocol: tests stop the process there.
    pub fn on_edge(self, on_edge: impl Fn(Edge) + Send + Sync + 'static) -> App<M> {
        App { on_edge: Some(Arc::new(on_edge)), ..self }
    }

    /// Runs until the end or the shutdown flag, then commits what was processed, writes checkpoints and
    /// returns. `progress` may be read meanwhile.
    ///
    /// # Errors
    /// Whatever stopped it. What was committed stays; a later run goes on from there.
    pub fn run(&self, until: Until, shutdown: &AtomicBool, progress: &Progress) -> Result<(), Error> {
        progress.enter(AppState::Starting);
        let outcome = self.start(until, shutdown, progress);
        progress.enter(match &outcome {
            Ok(()) => AppState::Stopped,
            Err(_) => AppState::Failed,
        });
        outcome
    }

    fn start(&self, until: Until, shutdown: &AtomicBool, progress: &Progress) -> Result<(), Error> {
        let over = Arc::new(AtomicBool::new(false));
        let (running, ended) = channel();
        os::scope(|scope| {
            let passed_on = Arc::clone(&over);
            scope.spawn(move || end::pass_on(shutdown, &passed_on, &ended));
            let _until_here = running;
            let (shared, txns) = self.prepare(until, progress, &over)?;
            progress.enter(AppState::Running);
            let shared_out = rebalance::sharing(&*self.log, &self.settings) != Sharing::Static;
            let stop = Stop::new(until, shutdown, over, shared_out, txns.len() as u32);
            self.run_threads(&shared, txns, &stop)
        })
    }

    /// Makes topics and takes the transactional ids over: what threads share, and a producer for each. No longer
    /// than until the run is `over`.
    pub(crate) fn prepare(
        &self,
        until: Until,
        progress: &Progress,
        over: &Arc<AtomicBool>,
    ) -> Result<(Arc<Shared<M>>, Vec<Txn>), Error> {
        check(&self.settings)?;
        let counts = topics::ensure(&*self.log, &self.topology)?;
        let widest = counts.iter().copied().max().unwrap_or(0);
        let n = self.settings.n_threads.min(widest.max(1));
        let mut ids = rebalance::transactional_ids(self.topology.name(), &self.settings, widest.max(1));
        // Every id is taken over before any note is read: an earlier run can commit nothing in between.
        let patience = Patience {
            clock: Arc::clone(&self.clock),
            deadline: self.settings.txn_deadline,
            timeout: self.settings.txn_timeout,
            over: Arc::clone(over),
        };
        let fenced_by_id = rebalance::sharing(&*self.log, &self.settings) == Sharing::Static;
        if fenced_by_id {
            end::wait_for_members(
                &*self.log,
                self.topology.name(),
                self.settings.session_timeout,
                &patience,
            )?;
        }
        let mut txns = Vec::new();
        for id in &ids[..n as usize] {
            txns.push(rebalance::producer(&*self.log, &self.settings, id, &patience)?);
        }
        // A run with more threads may be asleep somewhere: what it has begun must not end after all. In a group
        // its generation sees to that.
        let spare = ids.split_off(n as usize);
        for id in spare.iter().filter(|_| fenced_by_id) {
            drop(Txn::new(&*self.log, id, &patience)?);
        }
        let shared = Shared {
            topology: Arc::clone(&self.topology),
            log: Arc::clone(&self.log),
            settings: self.settings.clone(),
            patience,
            open_store: Arc::clone(&self.open_store),
            progress: progress.clone(),
            on_edge: self.on_edge.clone(),
            view: self.view.clone(),
            ids: ids.into_iter().collect(),
            spare,
            finite: until == Until::End,
            ended: (until == Until::End && fenced_by_id).then(Mutex::default),
            #[cfg(feature = "sabotage")]
            checkpoint_first: self.checkpoint_first,
            partitions: counts,
            restores: Pool::new(),
        };
        Ok((Arc::new(shared), txns))
    }

    fn run_threads(&self, shared: &Arc<Shared<M>>, txns: Vec<Txn>, stop: &Stop<'_>) -> Result<(), Error> {
        let n = txns.len() as u32;
        os::scope(|scope| {
            let restorer = scope.spawn(|| {
                let _alarm = Alarm(&stop.over);
                Worker::new(Arc::clone(shared)).run();
            });
            let mut threads = Vec::new();
            for (index, txn) in (0..).zip(txns) {
                let run = move || {
                    let outcome = self.run_thread(shared, txn, index, n, stop);
                    stop.over.fetch_or(outcome.is_err(), Ordering::AcqRel);
                    outcome
                };
                threads.push(scope.spawn(run));
            }
            let watched = stop.watch(shared);
            stop.over.fetch_or(watched.is_err(), Ordering::AcqRel);
            let joined = (0..).zip(threads).map(|(thread, handle)| {
                handle.join().unwrap_or_else(|panic| {
                    let reason = graph::panicked(&*panic);
                    Err(Error::Panicked { thread, reason })
                })
            });
            // Every thread is joined; the first error is the one that stopped the others.
            let outcomes: Vec<_> = joined.collect();
            shared.restores.close();
            let restorer = restorer
                .join()
                .map_err(|panic| Error::Panicked { thread: n, reason: graph::panicked(&*panic) });
            outcomes.into_iter().chain([watched, restorer]).collect()
        })
    }

    fn run_thread(
        &self,
        shared: &Arc<Shared<M>>,
        txn: Txn,
        index: u32,
        of: u32,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let _alarm = Alarm(&stop.over);
        let thread = StreamThread::new(Arc::clone(shared), txn, index, of, self.clock.mono())?;
        let mut thread = thread.restored_elsewhere();
        loop {
            let before = stop.before_turn();
            let turn = thread.step(self.clock.mono())?;
            stop.report(index, before, turn);
            if stop.is_set() {
                break;
            }
            if !turn.worked {
                thread.wait(IDLE)?;
            }
        }
        shared.progress.drain();
        thread.finish(self.clock.mono())
    }
}

/// Stops the other threads if this one panics.
struct Alarm<'a>(&'a AtomicBool);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if os::panicking() {
            self.0.store(true, Ordering::Release);
        }
    }
}

fn check(settings: &Settings) -> Result<(), Error> {
    let rules: [(&'static str, u128, u128, &'static str); 4] = [
        ("n_threads", settings.n_threads.into(), 1, "at least 1"),
        ("take_max", settings.take_max as u128, 1, "at least 1"),
        ("txn_deadline", settings.txn_deadline.as_millis(), 100, "at least 100 ms"),
        ("txn_timeout", settings.txn_timeout.as_millis(), 1_000, "at least 1 s"),
    ];
    for (name, value, least, rule) in rules {
        if value < least {
            return Err(Error::Setting { name, value: value.to_string(), rule });
        }
    }
    Ok(())
}
