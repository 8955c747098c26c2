//! The thread that keeps an environment in order while others work: it syncs what [`Durability::Fast`] has
//! left unsynced and frees the slots of readers that were killed.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Durability, Map};

/// How long a commit may stay unsynced under [`Durability::Fast`].
const SYNC_EVERY: Duration = Duration::from_secs(5);
/// Readers of killed processes are cleared each so many turns of [`SYNC_EVERY`]: once a minute.
const CLEAR_READERS_TURNS: u32 = 12;

/// Runs until it is dropped.
#[derive(Debug)]
pub(super) struct Keeper {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(super) fn start(map: &Arc<Map>, durability: Durability) -> io::Result<Keeper> {
        let (map, (stop, stopped)) = (Arc::clone(map), sync_channel(0));
        let keep = move || {
            let mut turn = 0_u32;
            while stopped.recv_timeout(SYNC_EVERY) == Err(RecvTimeoutError::Timeout) {
                turn = turn.wrapping_add(1);
                let synced = if durability == Durability::Fast { map.sync() } else { Ok(()) };
                let cleared =
                    if turn.is_multiple_of(CLEAR_READERS_TURNS) { map.clear_readers() } else { Ok(()) };
                if let Err(e) = synced.and(cleared) {
                    tracing::error!(dir = %map.dir.display(), error = %e, "Store upkeep failed");
                }
            }
        };
        let thread = thread::Builder::new().name("lmdb-keeper".to_owned()).spawn(keep)?;
        Ok(Keeper { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
