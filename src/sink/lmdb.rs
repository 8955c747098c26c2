//! Results in an LMDB environment: rows and cursor change in one transaction.
//!
//! ```text
//! results/factors   venue 00 symbol 00 (ts_ms + 2^63, u64 big-endian)            → the row's JSON text
//! results/signals   venue 00 symbol 00 (ts_ms + 2^63, u64 big-endian) rule_id    → the signal's
//! results/cursors   topic-partition → the cursor's JSON text · format → 1
//! ```
//! Keys sort as rows do: 00 is below every character of a venue or symbol.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lobstream_market::factor::row::FactorRow;
use lobstream_market::signal::Signal;
use lobstream_streams::lmdb::{Db, Env, EnvOptions, WriteTxn};
use lobstream_streams::log::Tp;

use crate::codec::json::{self, Canonical};
use crate::error::{Error, ResultsError};
use crate::sink::cursor::Cursor;
use crate::sink::row::{Kind, Row, RowKey, Rows};
use crate::sink::{FORMAT, Filter, Patience, ResultReader, RowIter, Sink, check_format};

const FORMAT_KEY: &[u8] = b"format";
/// Entries copied out of the environment at a time.
const PAGE: usize = 1024;

/// Rows in an environment.
pub(crate) struct LmdbResults {
    name: String,
    env: Arc<Env>,
    factors: Db,
    signals: Db,
    cursors: Db,
}

impl LmdbResults {
    /// Opens the store, made if it is missing.
    ///
    /// # Errors
    /// The environment cannot be opened, or holds another format.
    pub(crate) fn create(name: String, dir: &Path) -> Result<LmdbResults, Error> {
        let store = LmdbResults::open(name, dir)?;
        if store.format()?.is_none() {
            store.env.write(|txn| txn.put(store.cursors, FORMAT_KEY, FORMAT.to_string().as_bytes()))?;
        }
        Ok(store)
    }

    /// Opens a store that a sink has made.
    ///
    /// # Errors
    /// There is none; as for [`LmdbResults::create`].
    pub(crate) fn open_existing(name: String, dir: &Path) -> Result<LmdbResults, Error> {
        if !Env::exists(dir) {
            return Err(ResultsError::Missing { uri: name }.into());
        }
        let store = LmdbResults::open(name, dir)?;
        match store.format()? {
            Some(_) => Ok(store),
            None => Err(ResultsError::Missing { uri: store.name }.into()),
        }
    }

    fn open(name: String, dir: &Path) -> Result<LmdbResults, Error> {
        let env = Env::open(dir, &EnvOptions::default())?;
        let database = |db: &str| env.database(&format!("results/{db}"));
        let (factors, signals) = (database(Kind::Factors.as_str())?, database(Kind::Signals.as_str())?);
        Ok(LmdbResults { name, factors, signals, cursors: database("cursors")?, env })
    }

    fn format(&self) -> Result<Option<u32>, Error> {
        let found: Option<u32> = self.env.read(|view| match view.get(self.cursors, FORMAT_KEY)? {
            Some(text) => self.decoded(text, "format").map(Some),
            None => Ok(None),
        })?;
        check_format(&self.name, found)
    }

    fn db(&self, kind: Kind) -> Db {
        match kind {
            Kind::Factors => self.factors,
            Kind::Signals => self.signals,
        }
    }

    fn put<R: Row>(&self, txn: &mut WriteTxn<'_>, rows: &[R]) -> Result<(), Error> {
        let (db, mut text) = (self.db(R::KIND), Vec::new());
        for row in rows {
            let key = key(&row.key());
            if let Some(stored) = txn.view().get(db, &key)? {
                let stored: R = self.decoded(stored, key.escape_ascii())?;
                if stored.rev() > row.rev() {
                    continue;
                }
            }
            text.clear();
            json::encode(row, &mut text);
            txn.put(db, &key, &text)?;
        }
        Ok(())
    }

    fn decoded<T: Canonical>(&self, text: &[u8], what: impl std::fmt::Display) -> Result<T, Error> {
        json::decode(text).map_err(|reason| {
            ResultsError::Corrupt { place: format!("{}, {what}", self.name), reason }.into()
        })
    }

    fn rows<R: Row>(&self, filter: &Filter) -> RowIter<'_, R> {
        Box::new(Pages {
            store: self,
            filter: filter.clone(),
            from: Some(Vec::new()),
            ready: VecDeque::new(),
        })
    }
}

impl Sink for LmdbResults {
    fn name(&self) -> &str {
        &self.name
    }

    /// A transaction costs two syncs whatever its size.
    fn patience(&self) -> Patience {
        Patience { rows: 4096, wait: Duration::from_millis(100) }
    }

    fn cursor(&mut self, tp: &Tp) -> Result<Option<Cursor>, Error> {
        let key = tp.to_string();
        self.env.read(|view| match view.get(self.cursors, key.as_bytes())? {
            Some(text) => self.decoded(text, &key).map(Some),
            None => Ok(None),
        })
    }

    fn write(&mut self, tp: &Tp, rows: Rows, cursor: &Cursor) -> Result<(), Error> {
        self.env.write(|txn| {
            match &rows {
                Rows::Factors(rows) => self.put(txn, rows)?,
                Rows::Signals(rows) => self.put(txn, rows)?,
            }
            Ok(txn.put(self.cursors, tp.to_string().as_bytes(), json::text(cursor).as_bytes())?)
        })
    }
}

impl ResultReader for LmdbResults {
    fn factors(&self, filter: &Filter) -> Result<RowIter<'_, FactorRow>, Error> {
        Ok(self.rows(filter))
    }

    fn signals(&self, filter: &Filter) -> Result<RowIter<'_, Signal>, Error> {
        Ok(self.rows(filter))
    }
}

/// Rows of one kind, a page at a time, so that no view of the environment stays open between them.
struct Pages<'a, R> {
    store: &'a LmdbResults,
    filter: Filter,
    /// First key of the next page; `None`: there is none.
    from: Option<Vec<u8>>,
    ready: VecDeque<R>,
}

impl<R: Row> Pages<'_, R> {
    fn fetch(&mut self, from: &[u8]) -> Result<(), Error> {
        let (store, filter) = (self.store, &self.filter);
        let (rows, next) = store.env.read(|view| {
            let (mut rows, mut next) = (VecDeque::new(), None);
            for (n, entry) in view.from(store.db(R::KIND), from)?.enumerate() {
                let (key, text) = entry?;
                if n == PAGE {
                    next = Some(key.to_vec());
                    break;
                }
                if filter.wants(symbol(key)) {
                    rows.push_back(store.decoded::<R>(text, key.escape_ascii())?);
                }
            }
            Ok::<_, Error>((rows, next))
        })?;
        (self.ready, self.from) = (rows, next);
        Ok(())
    }
}

impl<R: Row> Iterator for Pages<'_, R> {
    type Item = Result<R, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() {
            let from = self.from.take()?;
            if let Err(e) = self.fetch(&from) {
                return Some(Err(e));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

fn key(row: &RowKey<'_>) -> Vec<u8> {
    let ts = (row.ts_ms as u64) ^ (1 << 63);
    [row.venue.as_bytes(), b"\0", row.symbol.as_bytes(), b"\0", &ts.to_be_bytes(), row.rule_id.as_bytes()]
        .concat()
}

/// The symbol in a key; empty if there is none.
fn symbol(key: &[u8]) -> &str {
    let symbol = key.split(|b| *b == 0).nth(1).unwrap_or_default();
    std::str::from_utf8(symbol).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_rows_do() {
        let mut rows = Vec::new();
        for venue in ["a", "aa", "b"] {
            for symbol in ["A", "A-B", "AB", "永"] {
                for ts_ms in [i64::MIN, -1, 0, 1, i64::MAX] {
                    for rule_id in ["", "a", "b"] {
                        rows.push(RowKey { venue, symbol, ts_ms, rule_id });
                    }
                }
            }
        }
        assert!(rows.is_sorted());
        assert!(rows.iter().map(key).is_sorted_by(|a, b| a < b));
        assert!(rows.iter().all(|row| symbol(&key(row)) == row.symbol));
    }
}
