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

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use heed::types::Bytes;
use heed::{AnyTls, CommitOrAbort, EnvFlags, EnvOpenOptions, MdbError, RoTxn, RwTxn, WithoutTls};

use self::keeper::Keeper;
use crate::error::StoreError;

/// Longest key that LMDB takes.
pub const KEY_BYTES_MAX: usize = 511;
/// A map is grown in steps of this, which is a multiple of every page size in use.
const MAP_STEP: usize = 1 << 16;
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
}

impl Default for EnvOptions {
    fn default() -> EnvOptions {
        EnvOptions { map_size: 64 << 30, max_dbs: 256, durability: Durability::Sync }
    }
}

/// A named database: keys and values are bytes, keys in byte order. Belongs to the environment that gave it;
/// used with another one it panics.
#[derive(Clone, Copy, Debug)]
pub struct Db(heed::Database<'static, Bytes, Bytes>);

/// An open environment. Shared through `Arc`; the last one closes it.
#[derive(Debug)]
pub struct Env {
    map: Arc<Map>,
    databases: Mutex<BTreeMap<String, Db>>,
    discarded: bool,
    mark: Option<boot::Mark>,
    keeper: Option<Keeper>,
}

/// The mapped file, and who may look at it.
#[derive(Debug)]
struct Map {
    dir: PathBuf,
    env: heed::Env<WithoutTls>,
    /// Read side: a transaction is open. Write side: the map moves, so none may be. `false`: it could not
    /// be put back after growing, and nothing may touch it any more.
    mapped: RwLock<bool>,
}

/// Why a transaction could not be finished in the map as it is.
enum Attempt<R> {
    Done(R),
    /// It needs more room than this map has.
    Full {
        map_size: usize,
    },
    /// Another process has grown the file.
    GrownElsewhere,
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
        files::make_lock_file(dir).map_err(failed)?;
        let discarded = boot::power_was_lost(dir).map_err(failed)?;
        if discarded {
            files::set_aside(dir).map_err(failed)?;
        }
        let env = open_file(dir, options)?;
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
            map: Arc::new(Map { dir: dir.to_owned(), env, mapped: RwLock::new(true) }),
            databases: Mutex::default(),
            discarded,
            mark,
            keeper: None,
        };
        opened.keeper = Some(Keeper::start(&opened.map, options.durability).map_err(failed)?);
        Ok(Arc::new(opened))
    }

    /// Was an environment made in `dir`? Opening one would make it.
    pub fn exists(dir: &Path) -> bool {
        dir.join(files::FILE).is_file()
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
        let map = &*self.map;
        let db = map.run(|| {
            let txn = match map.env.write_txn() {
                Ok(txn) => txn,
                Err(e) => return map.not_begun(&e),
            };
            let made = map.env.create_databases_and_commit(txn, |make, txn| {
                make.create_database::<Bytes, Bytes>(txn, Some(name)).map(CommitOrAbort::<_, ()>::Commit)
            });
            match made {
                Ok(made) => Ok(Attempt::Done(Db(made.unwrap_commit()))),
                Err(heed::Error::Mdb(MdbError::MapFull)) => Ok(map.full()),
                Err(e) => Err(map.write_failed(&e)),
            }
        })?;
        known.insert(name.to_owned(), db);
        Ok(db)
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
        let map = &*self.map;
        let found = map.run(|| {
            let txn = match map.env.read_txn() {
                Ok(txn) => txn,
                Err(e) => return map.not_begun(&e),
            };
            let opened = map.env.open_databases_and_commit(txn, |open, txn| {
                open.open_database::<Bytes, Bytes>(txn, Some(name)).map(CommitOrAbort::<_, ()>::Commit)
            });
            opened.map(|found| Attempt::Done(found.unwrap_commit().map(Db))).map_err(|e| map.read_failed(&e))
        })?;
        known.extend(found.map(|db| (name.to_owned(), db)));
        Ok(found)
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

impl Map {
    fn run<R, E: From<StoreError>>(
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
    fn hold(&self) -> Result<RwLockReadGuard<'_, bool>, StoreError> {
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

    fn sync(&self) -> Result<(), StoreError> {
        let _mapped = self.hold()?;
        self.env.force_sync().map_err(|e| self.write_failed(&e))
    }

    fn clear_readers(&self) -> Result<(), StoreError> {
        self.env.clear_stale_readers().map(drop).map_err(|e| self.read_failed(&e))
    }

    fn full<R>(&self) -> Attempt<R> {
        Attempt::Full { map_size: self.env.info().map_size }
    }

    fn not_begun<R>(&self, e: &heed::Error) -> Result<Attempt<R>, StoreError> {
        match e {
            heed::Error::Mdb(MdbError::MapResized) => Ok(Attempt::GrownElsewhere),
            e => Err(self.read_failed(e)),
        }
    }

    fn lost(&self) -> StoreError {
        let reason = "its memory map could not be grown; open it again".to_owned();
        StoreError::Read { dir: self.dir.clone(), reason }
    }

    fn read_failed(&self, e: &heed::Error) -> StoreError {
        StoreError::Read { dir: self.dir.clone(), reason: e.to_string() }
    }

    fn write_failed(&self, e: &heed::Error) -> StoreError {
        StoreError::Write { dir: self.dir.clone(), reason: e.to_string() }
    }
}

/// The committed state of an environment, or that of the write transaction it was taken from.
#[derive(Clone, Copy)]
pub struct View<'t> {
    map: &'t Map,
    txn: &'t RoTxn<'t, AnyTls>,
}

/// A key and its value.
pub type Entry<'t> = (&'t [u8], &'t [u8]);

impl<'t> View<'t> {
    /// The value of a key.
    ///
    /// # Errors
    /// [`StoreError::Read`], here and below.
    pub fn get(&self, db: Db, key: &[u8]) -> Result<Option<&'t [u8]>, StoreError> {
        if key.is_empty() {
            return Ok(None);
        }
        db.0.get(self.txn, key).map_err(|e| self.map.read_failed(&e))
    }

    /// The last entry at or before a key.
    pub fn floor(&self, db: Db, key: &[u8]) -> Result<Option<Entry<'t>>, StoreError> {
        db.0.get_lower_than_or_equal_to(self.txn, key).map_err(|e| self.map.read_failed(&e))
    }

    /// Entries from a key on, in key order.
    pub fn from(
        &self,
        db: Db,
        key: &[u8],
    ) -> Result<impl Iterator<Item = Result<Entry<'t>, StoreError>> + use<'t>, StoreError> {
        let map = self.map;
        let start = if key.is_empty() { Bound::Unbounded } else { Bound::Included(key) };
        let range = (start, Bound::<&[u8]>::Unbounded);
        let found = db.0.range(self.txn, &range).map_err(|e| map.read_failed(&e))?;
        Ok(found.map(move |entry| entry.map_err(|e| map.read_failed(&e))))
    }

    /// Entries whose keys begin with `prefix`, in key order.
    pub fn prefix(
        &self,
        db: Db,
        prefix: &[u8],
    ) -> Result<impl Iterator<Item = Result<Entry<'t>, StoreError>> + use<'t>, StoreError> {
        let (wanted, mut entries) = (prefix.to_vec(), self.from(db, prefix)?);
        Ok(std::iter::from_fn(move || match entries.next()? {
            Ok((key, _)) if !key.starts_with(&wanted) => None,
            entry => Some(entry),
        }))
    }
}

/// A write transaction. Read in it through [`WriteTxn::view`].
pub struct WriteTxn<'t> {
    map: &'t Map,
    txn: RwTxn<'t>,
    full: bool,
}

impl WriteTxn<'_> {
    /// What it sees: the committed state and its own writes.
    pub fn view(&self) -> View<'_> {
        View { map: self.map, txn: &self.txn }
    }

    /// Sets the value of a key of 1 to [`KEY_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// [`StoreError::Write`], here and below.
    pub fn put(&mut self, db: Db, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let put = db.0.put(&mut self.txn, key, value);
        put.map_err(|e| self.failed(&e))
    }

    /// Takes a key away; nothing to do if it is missing.
    pub fn delete(&mut self, db: Db, key: &[u8]) -> Result<(), StoreError> {
        let deleted = db.0.delete(&mut self.txn, key);
        deleted.map(drop).map_err(|e| self.failed(&e))
    }

    /// Takes every key away that begins with `prefix`.
    pub fn delete_prefix(&mut self, db: Db, prefix: &[u8]) -> Result<(), StoreError> {
        loop {
            let next = self.view().prefix(db, prefix)?.next().transpose()?.map(|(key, _)| key.to_vec());
            let Some(key) = next else { return Ok(()) };
            self.delete(db, &key)?;
        }
    }

    fn failed(&mut self, e: &heed::Error) -> StoreError {
        self.full |= matches!(e, heed::Error::Mdb(MdbError::MapFull));
        self.map.write_failed(e)
    }
}

fn open_file(dir: &Path, options: &EnvOptions) -> Result<heed::Env<WithoutTls>, StoreError> {
    let durability = match options.durability {
        Durability::Sync => EnvFlags::empty(),
        Durability::Meta => EnvFlags::NO_META_SYNC,
        Durability::Fast => EnvFlags::NO_SYNC,
    };
    let mut how = EnvOpenOptions::new().read_txn_without_tls();
    how.map_size(options.map_size.next_multiple_of(MAP_STEP)).max_dbs(options.max_dbs);
    // SAFETY: the flags only say where the file lies and when commits reach the disk. WRITE_MAP and NO_LOCK,
    // which would let a stray pointer or another process break the map, are never set.
    unsafe { how.flags(durability | EnvFlags::NO_SUB_DIR) };
    // SAFETY: the map is read as LMDB's own pages. Only LMDB writes the file, through this crate, under the
    // lock file beside it, and heed refuses a second open in this process, which would break those locks.
    let opened = unsafe { how.open(dir.join(files::FILE)) };
    opened.map_err(|e| opening(dir, &e))
}

fn opening(dir: &Path, e: &heed::Error) -> StoreError {
    match e {
        heed::Error::EnvAlreadyOpened => StoreError::AlreadyOpen { dir: dir.to_owned() },
        e => StoreError::Open { dir: dir.to_owned(), reason: e.to_string() },
    }
}
