//! LMDB environments: open, durability, growth, views that copy and close. The only file that knows heed.
//!
//! Rules that every caller lives by: a transaction is a closure, so none outlives its work (a reader that
//! is held keeps every old page alive) · a closure opens no other transaction and no database of the same
//! environment · what must outlive it is copied · several processes may have one environment open, so
//! nothing read in one transaction is true in the next.
#![expect(unsafe_code, reason = "LMDB maps a file into memory; each block has its proof")]

mod boot;
mod files;
mod keeper;
mod map;
mod txn;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use heed::types::Bytes;
use heed::{CommitOrAbort, EnvFlags, MdbError};

use self::keeper::Keeper;
use self::map::{Attempt, Map, opening};
use crate::error::StoreError;

pub use self::txn::{Entry, View, WriteTxn};

/// Longest key that LMDB takes.
pub const KEY_BYTES_MAX: usize = 511;
/// Held while an environment is opened: two threads must not prepare one directory.
static OPENING: Mutex<()> = Mutex::new(());

/// What a commit survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Loss of power, every commit.
    #[default]
    Sync,
    /// Loss of power, except that the last commit may be undone. Half the latency.
    Meta,
    /// A killed process loses nothing. Loss of power loses the environment: it is then set aside at the
    /// next open, see [`Env::was_discarded`].
    Fast,
}

/// What the files of an environment are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// `lobstream.lmdb` and its lock file: nobody else opens it.
    #[default]
    Own,
    /// `data.mdb` and `lock.mdb`, as every other LMDB program expects in a directory.
    Standard,
}

/// How an environment is opened.
#[derive(Clone, Debug)]
pub struct EnvOptions {
    /// Bytes of address space to begin with; the file is sparse and the map doubles when it is full.
    /// Default 64 GiB.
    pub map_size: usize,
    /// Most databases it can hold. Each costs about 50 bytes in every transaction. Default 256.
    pub max_dbs: u32,
    /// What a commit survives. Default `Sync`.
    pub durability: Durability,
    /// What its files are called. Default `Own`.
    pub layout: Layout,
}

impl Default for EnvOptions {
    fn default() -> EnvOptions {
        EnvOptions { map_size: 64 << 30, max_dbs: 256, durability: Durability::Sync, layout: Layout::Own }
    }
}

/// A named database: keys and values are bytes, keys in byte order. Belongs to the environment that gave it;
/// used with another one it panics.
#[derive(Clone, Copy, Debug)]
pub struct Db(heed::Database<'static, Bytes, Bytes>);

/// Is the unnamed database made or only looked for?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unnamed {
    /// Made if it is missing: the environment is being written.
    Make,
    /// Looked for: the environment is read only.
    Find,
}

/// An open environment. Shared through `Arc`; the last one closes it.
#[derive(Debug)]
pub struct Env {
    map: Arc<Map>,
    databases: Mutex<BTreeMap<String, Db>>,
    discarded: bool,
    mark: Option<boot::Mark>,
    keeper: Option<Keeper>,
}

impl Env {
    /// Opens or makes the environment in `dir`.
    ///
    /// # Errors
    /// [`StoreError::AlreadyOpen`] in this process, through whatever path; [`StoreError::Open`].
    pub fn open(dir: &Path, options: &EnvOptions) -> Result<Arc<Env>, StoreError> {
        let failed = |e: io::Error| StoreError::Open { dir: dir.to_owned(), reason: e.to_string() };
        let _one_at_a_time = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
        fs::create_dir_all(dir).map_err(failed)?;
        files::make_lock_file(dir, options.layout).map_err(failed)?;
        let discarded = boot::power_was_lost(dir).map_err(failed)?;
        if discarded {
            files::set_aside(dir, options.layout).map_err(failed)?;
        }
        let env = map::open(dir, options, EnvFlags::empty())?;
        env.clear_stale_readers().map_err(|e| opening(dir, &e))?;
        for mark in boot::left_behind(dir).map_err(failed)? {
            env.force_sync().map_err(|e| opening(dir, &e))?;
            fs::remove_file(mark).map_err(failed)?;
        }
        let mark = match options.durability {
            Durability::Fast => Some(boot::Mark::set(dir).map_err(failed)?),
            Durability::Sync | Durability::Meta => None,
        };
        let mut opened = Env {
            map: Arc::new(Map::new(dir, env)),
            databases: Mutex::default(),
            discarded,
            mark,
            keeper: None,
        };
        opened.keeper = Some(Keeper::start(&opened.map, options.durability).map_err(failed)?);
        Ok(Arc::new(opened))
    }

    /// Opens an environment that nobody writes any more, such as one that was renamed into place when it was
    /// whole. Makes and changes nothing, so the directory may be read-only; a write fails.
    ///
    /// # Errors
    /// As [`Env::open`]; [`StoreError::Open`] also if there is none.
    pub fn open_finished(dir: &Path, options: &EnvOptions) -> Result<Arc<Env>, StoreError> {
        let _one_at_a_time = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
        let env = map::open(dir, options, EnvFlags::READ_ONLY | EnvFlags::NO_LOCK)?;
        Ok(Arc::new(Env {
            map: Arc::new(Map::new(dir, env)),
            databases: Mutex::default(),
            discarded: false,
            mark: None,
            keeper: None,
        }))
    }

    /// Was an environment of our own layout made in `dir`? Opening one would make it.
    pub fn exists(dir: &Path) -> bool {
        files::data(dir, Layout::Own).is_file()
    }

    /// Where it lies.
    pub fn dir(&self) -> &Path {
        &self.map.dir
    }

    /// Power was lost under [`Durability::Fast`]: what was there was set aside (`lobstream.lmdb.discarded`),
    /// the environment is new and empty.
    pub fn was_discarded(&self) -> bool {
        self.discarded
    }

    /// The number of the last commit, by whatever process. Cheap: it tells a poller whether to look.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub fn last_commit(&self) -> Result<u64, StoreError> {
        let _mapped = self.map.hold()?;
        Ok(self.map.env.info().last_txn_id as u64)
    }

    /// Bytes of address space that the map takes now.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub fn map_size(&self) -> Result<usize, StoreError> {
        let _mapped = self.map.hold()?;
        Ok(self.map.env.info().map_size)
    }

    /// The database of this name, made if it is missing. Call it outside transactions.
    ///
    /// # Errors
    /// The disk is full, or there are [`EnvOptions::max_dbs`] databases.
    pub fn database(&self, name: &str) -> Result<Db, StoreError> {
        let mut known = self.databases.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&db) = known.get(name) {
            return Ok(db);
        }
        let db = self.make(Some(name))?;
        known.insert(name.to_owned(), db);
        Ok(db)
    }

    /// The database without a name. LMDB keeps an entry for each named one in it, so use it only where there
    /// are none. Call it outside transactions.
    ///
    /// # Errors
    /// As [`Env::database`]; in an environment that is read only, [`StoreError::Read`].
    pub fn unnamed(&self, mode: Unnamed) -> Result<Db, StoreError> {
        match mode {
            Unnamed::Make => self.make(None),
            Unnamed::Find => self.look_up(None)?.ok_or_else(|| {
                let reason = "it has no unnamed database".to_owned();
                StoreError::Read { dir: self.map.dir.clone(), reason }
            }),
        }
    }

    fn make(&self, name: Option<&str>) -> Result<Db, StoreError> {
        let map = &*self.map;
        map.run(|| {
            let txn = match map.env.write_txn() {
                Ok(txn) => txn,
                Err(e) => return map.not_begun(&e),
            };
            let made = map.env.create_databases_and_commit(txn, |make, txn| {
                make.create_database::<Bytes, Bytes>(txn, name).map(CommitOrAbort::<_, ()>::Commit)
            });
            match made {
                Ok(made) => Ok(Attempt::Done(Db(made.unwrap_commit()))),
                Err(heed::Error::Mdb(MdbError::MapFull)) => Ok(map.full()),
                Err(e) => Err(map.write_failed(&e)),
            }
        })
    }

    /// The database of this name, if it was made. Call it outside transactions.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub fn find(&self, name: &str) -> Result<Option<Db>, StoreError> {
        let mut known = self.databases.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&db) = known.get(name) {
            return Ok(Some(db));
        }
        let found = self.look_up(Some(name))?;
        known.extend(found.map(|db| (name.to_owned(), db)));
        Ok(found)
    }

    fn look_up(&self, name: Option<&str>) -> Result<Option<Db>, StoreError> {
        let map = &*self.map;
        map.run(|| {
            let txn = match map.env.read_txn() {
                Ok(txn) => txn,
                Err(e) => return map.not_begun(&e),
            };
            let opened = map.env.open_databases_and_commit(txn, |open, txn| {
                open.open_database::<Bytes, Bytes>(txn, name).map(CommitOrAbort::<_, ()>::Commit)
            });
            opened.map(|found| Attempt::Done(found.unwrap_commit().map(Db))).map_err(|e| map.read_failed(&e))
        })
    }

    /// Runs `work` in a write transaction and commits it: all of it is durable, or nothing happened.
    /// `work` runs again after the map was grown, so it must not keep anything of an earlier run.
    /// At most one write transaction is open at a time, over all processes; others wait here.
    ///
    /// # Errors
    /// That of `work`, after which nothing has changed; [`StoreError::Write`].
    pub fn write<R, E: From<StoreError>>(
        &self,
        mut work: impl FnMut(&mut WriteTxn<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        let map = &*self.map;
        map.run(|| {
            let txn = match map.env.write_txn() {
                Ok(txn) => txn,
                Err(e) => return Ok(map.not_begun(&e)?),
            };
            let mut txn = WriteTxn { map, txn, full: false };
            let result = work(&mut txn);
            let WriteTxn { txn, full, .. } = txn;
            if full {
                txn.abort();
                return Ok(map.full());
            }
            let value = result?;
            match txn.commit() {
                Ok(()) => Ok(Attempt::Done(value)),
                Err(heed::Error::Mdb(MdbError::MapFull)) => Ok(map.full()),
                Err(e) => Err(map.write_failed(&e).into()),
            }
        })
    }

    /// Runs `work` on the last committed state and closes the view: what is returned was copied.
    ///
    /// # Errors
    /// That of `work`; [`StoreError::Read`].
    pub fn read<R, E: From<StoreError>>(
        &self,
        mut work: impl FnMut(&View<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        let map = &*self.map;
        map.run(|| match map.env.read_txn() {
            Ok(txn) => work(&View { map, txn: &txn }).map(Attempt::Done),
            Err(e) => Ok(map.not_begun(&e)?),
        })
    }
}

impl Drop for Env {
    fn drop(&mut self) {
        drop(self.keeper.take());
        if let Some(mark) = self.mark.take() {
            let cleared = self.map.sync().map_err(|e| e.to_string());
            if let Err(e) = cleared.and_then(|()| mark.clear().map_err(|e| e.to_string())) {
                tracing::warn!(dir = %self.map.dir.display(), error = e, "Store closed without a sync");
            }
        }
    }
}
