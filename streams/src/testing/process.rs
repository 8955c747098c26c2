//! A process of an application whose threads are stepped by hand.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::disk::Disk;
use crate::error::Error;
use crate::log::Log;
use crate::log::memory::{MemoryLog, Sabotage};
use crate::runtime::commit::Edge;
use crate::runtime::metrics::Progress;
use crate::runtime::thread::{StreamThread, Turn};
use crate::runtime::{App, Clock, Until};
use crate::settings::Settings;
use crate::time::Mono;
use crate::topology::Topology;

/// The clock of the log, seen through one that may be slow.
#[derive(Clone, Debug)]
pub(crate) struct LogClock {
    log: MemoryLog,
    /// So many seconds of the log are one of this clock.
    slowness: u32,
}

impl LogClock {
    pub(crate) fn new(log: &MemoryLog, slowness: u32) -> LogClock {
        LogClock { log: log.clone(), slowness: slowness.max(1) }
    }
}

impl Clock for LogClock {
    fn mono(&self) -> Mono {
        Mono(self.log.now() / self.slowness)
    }

    fn pause(&self, time: Duration) {
        self.log.advance(time);
    }
}

/// Everything that a process finds when it starts.
pub(crate) struct Site<M> {
    pub(crate) topology: Arc<Topology<M>>,
    pub(crate) log: MemoryLog,
    pub(crate) disk: Disk,
    /// A rule that is broken on purpose. What the log does not break, only an engine built for it does.
    #[cfg_attr(not(feature = "sabotage"), expect(dead_code, reason = "the log breaks its rules itself"))]
    pub(crate) sabotage: Option<Sabotage>,
}

/// One run of an application. Dropping it is what `kill -9` does.
pub(crate) struct Process<M> {
    threads: Vec<StreamThread<M>>,
    clock: LogClock,
    pub(crate) progress: Progress,
}

impl<M> fmt::Debug for Process<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Process of {} threads", self.threads.len())
    }
}

impl<M: Clone + Send + 'static> Process<M> {
    pub(crate) fn start(
        site: &Site<M>,
        settings: &Settings,
        slowness: u32,
        on_edge: impl Fn(Edge) + Send + Sync + 'static,
    ) -> Result<Process<M>, Error> {
        let clock = LogClock::new(&site.log, slowness);
        let log: Arc<dyn Log> = Arc::new(site.log.clone());
        let disk = site.disk.clone();
        let app = App::of(
            Arc::clone(&site.topology),
            log,
            settings.clone(),
            Arc::new(clock.clone()),
            Arc::new(move |dir| Ok(disk.open(dir))),
        );
        #[cfg(feature = "sabotage")]
        let app = app.checkpoint_first(site.sabotage == Some(Sabotage::CheckpointFirst));
        let progress = Progress::default();
        let (shared, txns) = app.on_edge(on_edge).prepare(Until::Shutdown, &progress, &Arc::default())?;
        let of = txns.len() as u32;
        let mut threads = Vec::new();
        for (index, txn) in (0..).zip(txns) {
            threads.push(StreamThread::new(Arc::clone(&shared), txn, index, of, clock.mono())?);
        }
        Ok(Process { threads, clock, progress })
    }

    pub(crate) fn n_threads(&self) -> usize {
        self.threads.len()
    }

    /// One turn of one thread.
    pub(crate) fn step(&mut self, thread: usize) -> Result<Turn, Error> {
        self.threads[thread].step(self.clock.mono())
    }

    /// Ends in order.
    pub(crate) fn finish(self) -> Result<(), Error> {
        self.threads.into_iter().try_for_each(|thread| thread.finish(self.clock.mono()))
    }
}
