//! The embedded store of the chain: one LMDB environment, held by one run at a time.
//!
//! ```text
//! bars      600010.SH|2025            → bars of a year        digests  20250603 → sum over the day's bars
//! facts     name of a table           → that table            runs     20250603|bollinger → the job's last run
//! values    20250603|600010.SH        → trade values, packed
//! <table>   20250603|600010.SH        → the day's rows of a stock
//! ```
//! Keys begin with the day, so that a whole day is one range. Values are postcard.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lobstream_market::ashare::StockCode;
use lobstream_market::calendar::Day;
use lobstream_market::daily::job::{Job, JobRunRow};
use lobstream_streams::error::StoreError;
use lobstream_streams::lmdb::{Db, Env, EnvOptions, View, WriteTxn};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::table::{TABLES, TableRow};
use crate::error::{Error, ResultsError};

/// Rows of one stock and day, or values of one.
pub type ByCode<T> = BTreeMap<StockCode, T>;

/// The store, open.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    env: Arc<Env>,
    dbs: BTreeMap<&'static str, Db>,
    // Held until the store is dropped.
    _lock: Option<File>,
}

const OWN: [&str; 5] = ["bars", "digests", "facts", "runs", "values"];

impl Store {
    /// Opens the store for a run, made if it is missing.
    ///
    /// # Errors
    /// Another run holds it (exit code 6); it cannot be opened.
    pub fn open_to_write(dir: &Path) -> Result<Store, Error> {
        fs::create_dir_all(dir).map_err(|e| Error::file("cannot make", dir, e))?;
        let path = dir.join("run.lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| Error::file("cannot open", &path, e))?;
        match lock.try_lock() {
            Ok(()) => Store::open(dir, Some(lock)),
            Err(TryLockError::WouldBlock) => Err(Error::Exists {
                what: format!(
                    "another run works in {}: wait for it, or give this one another --dir",
                    dir.display()
                ),
            }),
            Err(TryLockError::Error(e)) => Err(Error::file("cannot lock", &path, e)),
        }
    }

    /// Opens a store to look at it, while a run may go on.
    ///
    /// # Errors
    /// There is none (exit code 3); it cannot be opened.
    pub fn open_to_read(dir: &Path) -> Result<Store, Error> {
        if !Env::exists(&dir.join("store")) {
            let what = format!(
                "nothing is stored in {}: begin with lobstream daily import bars FILE --dir {}",
                dir.display(),
                dir.display()
            );
            return Err(Error::Missing { what });
        }
        Store::open(dir, None)
    }

    fn open(dir: &Path, lock: Option<File>) -> Result<Store, Error> {
        let env = Env::open(&dir.join("store"), &EnvOptions::default())?;
        let mut dbs = BTreeMap::new();
        for name in OWN.into_iter().chain(TABLES.iter().map(|(name, _)| *name)) {
            dbs.insert(name, env.database(&format!("daily/{name}"))?);
        }
        Ok(Store { dir: dir.to_owned(), env, dbs, _lock: lock })
    }

    /// The folder that holds it and the Parquet parts.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn db(&self, name: &'static str) -> Db {
        self.dbs[name]
    }

    /// Several writes as one: all of them are stored, or none.
    ///
    /// # Errors
    /// Those of `work`, and what the store says, here and below.
    pub fn write<R>(
        &self,
        mut work: impl FnMut(&mut Writer<'_, '_>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.env.write(|txn| work(&mut Writer { store: self, txn }))
    }

    /// Stores everything that waits in a batch, or nothing of it.
    ///
    /// # Errors
    /// What the store says.
    pub fn apply(&self, batch: &Batch) -> Result<(), Error> {
        if batch.changes.is_empty() {
            return Ok(());
        }
        self.env.write(|txn| {
            batch.changes.iter().try_for_each(|change| match change {
                Change::Clear { db, day } => txn.delete_prefix(self.db(db), day.as_bytes()),
                Change::Put { db, key, value } => txn.put(self.db(db), key.as_bytes(), value),
            })?;
            Ok(())
        })
    }

    /// One value of a database.
    ///
    /// # Errors
    /// What is stored cannot be read.
    pub(super) fn get<T: DeserializeOwned>(&self, db: &'static str, key: &str) -> Result<Option<T>, Error> {
        self.env.read(|view| self.get_in(view, db, key))
    }

    fn get_in<T: DeserializeOwned>(
        &self,
        view: &View<'_>,
        db: &'static str,
        key: &str,
    ) -> Result<Option<T>, Error> {
        match view.get(self.db(db), key.as_bytes())? {
            Some(bytes) => self.decoded(db, key, bytes).map(Some),
            None => Ok(None),
        }
    }

    /// All values whose keys begin with `prefix`, with the rest of each key.
    ///
    /// # Errors
    /// As for `get`.
    pub(super) fn scan<T: DeserializeOwned>(
        &self,
        db: &'static str,
        prefix: &str,
    ) -> Result<Vec<(String, T)>, Error> {
        self.env.read(|view| {
            let mut found = Vec::new();
            for entry in view.prefix(self.db(db), prefix.as_bytes())? {
                let (key, bytes) = entry?;
                let rest = String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
                let value = self.decoded(db, &rest, bytes)?;
                found.push((rest, value));
            }
            Ok::<_, Error>(found)
        })
    }

    fn decoded<T: DeserializeOwned>(&self, db: &str, key: &str, bytes: &[u8]) -> Result<T, Error> {
        postcard::from_bytes(bytes).map_err(|e| {
            let place = format!("{}, {db} {key}", self.dir.display());
            ResultsError::Corrupt { place, reason: format!("{e}; another version wrote it?") }.into()
        })
    }

    /// The rows of a table on a day, by stock.
    ///
    /// # Errors
    /// As for `get`.
    pub fn day<T: TableRow>(&self, day: Day) -> Result<ByCode<Vec<T>>, Error> {
        let rows = self.scan::<Vec<T>>(T::TABLE, &format!("{day}|"))?;
        rows.into_iter().map(|(code, rows)| Ok((self.code(&code)?, rows))).collect()
    }

    /// The rows of a table of one stock on a day.
    ///
    /// # Errors
    /// As for `get`.
    pub fn rows<T: TableRow>(&self, day: Day, code: StockCode) -> Result<Vec<T>, Error> {
        Ok(self.get(T::TABLE, &format!("{day}|{code}"))?.unwrap_or_default())
    }

    pub(super) fn code(&self, text: &str) -> Result<StockCode, Error> {
        text.parse().map_err(|e: lobstream_market::error::DataError| {
            ResultsError::Corrupt { place: self.dir.display().to_string(), reason: e.to_string() }.into()
        })
    }

    /// The last run of a job on a day.
    ///
    /// # Errors
    /// As for `get`.
    pub fn run(&self, day: Day, job: Job) -> Result<Option<JobRunRow>, Error> {
        self.get("runs", &format!("{day}|{job}"))
    }

    /// All runs of a day, in the order of the jobs.
    ///
    /// # Errors
    /// As for `get`.
    pub fn runs(&self, day: Day) -> Result<Vec<JobRunRow>, Error> {
        let runs = Job::ALL.into_iter().map(|job| self.run(day, job));
        runs.filter_map(Result::transpose).collect()
    }
}

/// A transaction that writes.
pub struct Writer<'s, 't> {
    store: &'s Store,
    txn: &'s mut WriteTxn<'t>,
}

impl Writer<'_, '_> {
    /// Sets a value.
    pub(super) fn put<T: Serialize + ?Sized>(
        &mut self,
        db: &'static str,
        key: &str,
        value: &T,
    ) -> Result<(), Error> {
        let bytes = postcard::to_stdvec(value)
            .map_err(|e| StoreError::Write { dir: self.store.dir.clone(), reason: e.to_string() })?;
        Ok(self.txn.put(self.store.db(db), key.as_bytes(), &bytes)?)
    }

    /// The value of a key.
    pub(super) fn get<T: DeserializeOwned>(&self, db: &'static str, key: &str) -> Result<Option<T>, Error> {
        self.store.get_in(&self.txn.view(), db, key)
    }
}

/// Writes that wait to be stored as one, in the order in which they were asked for.
#[derive(Debug, Default)]
pub struct Batch {
    changes: Vec<Change>,
    bytes: usize,
}

#[derive(Debug)]
enum Change {
    /// Takes all keys of a day away.
    Clear {
        db: &'static str,
        day: String,
    },
    Put {
        db: &'static str,
        key: String,
        value: Vec<u8>,
    },
}

impl Batch {
    /// Bytes of all values.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Replaces all rows of a table on a day. The rows are sorted by stock.
    pub fn replace_day<T: TableRow>(&mut self, day: Day, rows: &[T]) {
        self.clear(T::TABLE, day);
        for of_code in rows.chunk_by(|a, b| a.code() == b.code()) {
            self.put(T::TABLE, format!("{day}|{}", of_code[0].code()), of_code);
        }
    }

    /// Replaces what is remembered of a day's trade values.
    pub fn replace_values(&mut self, day: Day, values: &ByCode<Vec<u8>>) {
        self.clear("values", day);
        values.iter().for_each(|(code, packed)| self.put("values", format!("{day}|{code}"), packed));
    }

    /// Sets the last run of a job.
    pub fn put_run(&mut self, run: &JobRunRow) {
        self.put("runs", format!("{}|{}", run.trade_date, run.job), run);
    }

    fn clear(&mut self, db: &'static str, day: Day) {
        self.changes.push(Change::Clear { db, day: format!("{day}|") });
    }

    fn put<T: Serialize + ?Sized>(&mut self, db: &'static str, key: String, value: &T) {
        let value = postcard::to_stdvec(value).expect("a row is plain data");
        self.bytes += value.len();
        self.changes.push(Change::Put { db, key, value });
    }
}
