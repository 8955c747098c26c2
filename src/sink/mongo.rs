//! Results in MongoDB: upserts by business key, then the cursor.
//!
//! ```text
//! factors   _id venue|symbol|ts_ms           the row's columns            index venue, symbol, ts_ms
//! signals   _id venue|symbol|ts_ms|rule_id   the signal's, values a list  index venue, symbol, ts_ms, rule_id
//! cursors   _id topic-partition              next, last, check · _id format: version
//! ```
//! A crash between rows and cursor repeats the same upserts: effectively-once.

use std::time::Duration;

use lobstream_market::factor::row::FactorRow;
use lobstream_market::signal::Signal;
use lobstream_streams::log::Tp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ResultsError};
use crate::mongo::{Mongo, Upsert, without_secrets};
use crate::sink::cursor::Cursor;
use crate::sink::row::{Kind, Row, RowKey, Rows};
use crate::sink::{FORMAT, Filter, Patience, ResultReader, RowIter, Sink, check_format};

const CURSORS: &str = "cursors";
const FORMAT_ID: &str = "format";

/// Rows in a database.
pub(crate) struct MongoResults {
    mongo: Mongo,
}

#[derive(Serialize, Deserialize)]
struct FormatMark {
    version: u32,
}

impl MongoResults {
    /// Connects; collections and indexes are made if they are missing.
    ///
    /// # Errors
    /// No server answers, the login is refused, or the database holds another format.
    pub(crate) fn create(uri: &str) -> Result<MongoResults, Error> {
        let store = MongoResults { mongo: Mongo::connect(uri)? };
        for kind in Kind::ALL {
            store.mongo.ensure_index(kind.as_str(), order(kind))?;
        }
        if store.format()?.is_none() {
            let mark = FormatMark { version: FORMAT };
            store.mongo.upsert(CURSORS, &[Upsert { id: FORMAT_ID.into(), fields: &mark, rev: None }])?;
        }
        Ok(store)
    }

    /// Connects to a database that a sink has made.
    ///
    /// # Errors
    /// It holds no results; as for [`MongoResults::create`].
    pub(crate) fn open_existing(uri: &str) -> Result<MongoResults, Error> {
        let store = MongoResults { mongo: Mongo::connect(uri)? };
        match store.format()? {
            Some(_) => Ok(store),
            None => Err(ResultsError::Missing { uri: without_secrets(uri) }.into()),
        }
    }

    fn format(&self) -> Result<Option<u32>, Error> {
        let mark: Option<FormatMark> = self.mongo.get(CURSORS, FORMAT_ID)?;
        check_format(self.mongo.name(), mark.map(|m| m.version))
    }

    fn put<R: Row>(&self, rows: &[R], rev: fn(&R) -> Option<u16>) -> Result<(), Error> {
        let upserts: Vec<_> =
            rows.iter().map(|row| Upsert { id: id(&row.key()), fields: row, rev: rev(row) }).collect();
        self.mongo.upsert(R::KIND.as_str(), &upserts)
    }

    fn rows<R: Row>(&self, filter: &Filter) -> Result<RowIter<'_, R>, Error> {
        Ok(Box::new(self.mongo.find::<R>(R::KIND.as_str(), &filter.symbols, order(R::KIND))?))
    }
}

impl Sink for MongoResults {
    fn name(&self) -> &str {
        self.mongo.name()
    }

    /// A command costs a sync on the server whatever its size.
    fn patience(&self) -> Patience {
        Patience { rows: 4096, wait: Duration::from_millis(100) }
    }

    fn cursor(&mut self, tp: &Tp) -> Result<Option<Cursor>, Error> {
        self.mongo.get(CURSORS, &tp.to_string())
    }

    fn write(&mut self, tp: &Tp, rows: Rows, cursor: &Cursor) -> Result<(), Error> {
        match rows {
            Rows::Factors(rows) => self.put(&rows, |row| Some(row.rev))?,
            Rows::Signals(rows) => self.put(&rows, |_| None)?,
        }
        self.mongo.upsert(CURSORS, &[Upsert { id: tp.to_string(), fields: cursor, rev: None }])
    }
}

impl ResultReader for MongoResults {
    fn factors(&self, filter: &Filter) -> Result<RowIter<'_, FactorRow>, Error> {
        self.rows(filter)
    }

    fn signals(&self, filter: &Filter) -> Result<RowIter<'_, Signal>, Error> {
        self.rows(filter)
    }
}

/// The fields that give canonical order; the index has the same.
fn order(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Factors => &["venue", "symbol", "ts_ms"],
        Kind::Signals => &["venue", "symbol", "ts_ms", "rule_id"],
    }
}

fn id(key: &RowKey<'_>) -> String {
    let RowKey { venue, symbol, ts_ms, rule_id } = key;
    if rule_id.is_empty() {
        format!("{venue}|{symbol}|{ts_ms}")
    } else {
        format!("{venue}|{symbol}|{ts_ms}|{rule_id}")
    }
}
