//! The mapped file: where it lies, who may look at it while it moves, and how it grows.

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use heed::{EnvFlags, EnvOpenOptions, MdbError, WithoutTls};

use super::{Durability, EnvOptions, Layout, files};
use crate::error::StoreError;

/// A map is grown in steps of this, which is a multiple of every page size in use.
const MAP_STEP: usize = 1 << 16;

/// The mapped file, and who may look at it.
#[derive(Debug)]
pub(super) struct Map {
    pub(super) dir: PathBuf,
    pub(super) env: heed::Env<WithoutTls>,
    /// Read side: a transaction is open. Write side: the map moves, so none may be. `false`: it could not
    /// be put back after growing, and nothing may touch it any more.
    mapped: RwLock<bool>,
}

/// Why a transaction could not be finished in the map as it is.
pub(super) enum Attempt<R> {
    Done(R),
    /// It needs more room than this map has.
    Full {
        map_size: usize,
    },
    /// Another process has grown the file.
    GrownElsewhere,
}

impl Map {
    pub(super) fn new(dir: &Path, env: heed::Env<WithoutTls>) -> Map {
        Map { dir: dir.to_owned(), env, mapped: RwLock::new(true) }
    }

    pub(super) fn run<R, E: From<StoreError>>(
        &self,
        mut attempt: impl FnMut() -> Result<Attempt<R>, E>,
    ) -> Result<R, E> {
        loop {
            let mapped = self.hold()?;
            let outcome = attempt()?;
            drop(mapped);
            match outcome {
                Attempt::Done(value) => return Ok(value),
                Attempt::Full { map_size } => self.grow(map_size)?,
                Attempt::GrownElsewhere => self.adopt_size()?,
            }
        }
    }

    /// While this is held the map stays where it is.
    pub(super) fn hold(&self) -> Result<RwLockReadGuard<'_, bool>, StoreError> {
        let mapped = self.mapped.read().unwrap_or_else(PoisonError::into_inner);
        if *mapped { Ok(mapped) } else { Err(self.lost()) }
    }

    /// Doubles the map, unless another thread has done so since its size was `seen`.
    fn grow(&self, seen: usize) -> Result<(), StoreError> {
        self.remap(|now| (now == seen).then(|| now.saturating_mul(2)))
    }

    /// Takes the size that another process has written into the file.
    fn adopt_size(&self) -> Result<(), StoreError> {
        self.remap(|_| Some(0))
    }

    /// Waits until no transaction is open in this process, then moves the map.
    fn remap(&self, size: impl FnOnce(usize) -> Option<usize>) -> Result<(), StoreError> {
        let mut mapped = self.mapped.write().unwrap_or_else(PoisonError::into_inner);
        if !*mapped {
            return Err(self.lost());
        }
        let Some(size) = size(self.env.info().map_size) else { return Ok(()) };
        // SAFETY: LMDB asks that no transaction of this process is open. Each one lives inside a closure
        // that runs while the read side of `mapped` is held; this thread holds the write side.
        let moved = unsafe { self.env.resize(size) };
        moved.map_err(|e| {
            *mapped = false;
            self.write_failed(&e)
        })
    }

    pub(super) fn sync(&self) -> Result<(), StoreError> {
        let _mapped = self.hold()?;
        self.env.force_sync().map_err(|e| self.write_failed(&e))
    }

    pub(super) fn clear_readers(&self) -> Result<(), StoreError> {
        self.env.clear_stale_readers().map(drop).map_err(|e| self.read_failed(&e))
    }

    pub(super) fn full<R>(&self) -> Attempt<R> {
        Attempt::Full { map_size: self.env.info().map_size }
    }

    pub(super) fn not_begun<R>(&self, e: &heed::Error) -> Result<Attempt<R>, StoreError> {
        match e {
            heed::Error::Mdb(MdbError::MapResized) => Ok(Attempt::GrownElsewhere),
            e => Err(self.read_failed(e)),
        }
    }

    fn lost(&self) -> StoreError {
        let reason = "its memory map could not be grown; open it again".to_owned();
        StoreError::Read { dir: self.dir.clone(), reason }
    }

    pub(super) fn read_failed(&self, e: &heed::Error) -> StoreError {
        StoreError::Read { dir: self.dir.clone(), reason: e.to_string() }
    }

    pub(super) fn write_failed(&self, e: &heed::Error) -> StoreError {
        StoreError::Write { dir: self.dir.clone(), reason: e.to_string() }
    }
}

/// Opens the files of an environment. `mode` is nothing, or that nobody writes them any more.
pub(super) fn open(
    dir: &Path,
    options: &EnvOptions,
    mode: EnvFlags,
) -> Result<heed::Env<WithoutTls>, StoreError> {
    let durability = match options.durability {
        Durability::Sync => EnvFlags::empty(),
        Durability::Meta => EnvFlags::NO_META_SYNC,
        Durability::Fast => EnvFlags::NO_SYNC,
    };
    let mut how = EnvOpenOptions::new().read_txn_without_tls();
    how.map_size(options.map_size.next_multiple_of(MAP_STEP)).max_dbs(options.max_dbs);
    let (place, file) = match options.layout {
        Layout::Own => (EnvFlags::NO_SUB_DIR, files::data(dir, Layout::Own)),
        Layout::Standard => (EnvFlags::empty(), dir.to_owned()),
    };
    // SAFETY: the flags only say where the file lies, when commits reach the disk, and that nothing is written.
    // WRITE_MAP, which would let a stray pointer break the map, is never set. NO_LOCK is set together with
    // READ_ONLY alone, by `open_finished`, whose callers open what nobody writes any more.
    unsafe { how.flags(durability | place | mode) };
    // SAFETY: the map is read as LMDB's own pages. Only LMDB writes the file, through this crate, under the
    // lock file beside it, and heed refuses a second open in this process, which would break those locks.
    let opened = unsafe { how.open(file) };
    opened.map_err(|e| opening(dir, &e))
}

/// An environment could not be opened.
pub(super) fn opening(dir: &Path, e: &heed::Error) -> StoreError {
    match e {
        heed::Error::EnvAlreadyOpened => StoreError::AlreadyOpen { dir: dir.to_owned() },
        e => StoreError::Open { dir: dir.to_owned(), reason: e.to_string() },
    }
}
