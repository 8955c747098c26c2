//! From topics to stores: what a sink promises, and how stored rows are read again.
//!
//! A [`SinkRunner`](runner::SinkRunner) reads the topics `factors.<venue>` and `signals.<venue>` from the
//! cursor that the store keeps, and hands batches to a [`Sink`]:
//!
//! ```text
//! store    rows and cursor                                  a crash in between
//! LMDB     one transaction                                  cannot be: exactly-once
//! MongoDB  upserts, then the cursor                         the same upserts again: effectively-once
//! Parquet  a part file named after its offsets, then its    the part is beyond the cursor: removed and
//!          line in the manifest, which is the cursor        written again, exactly-once
//! ```
//! Whatever the store, it holds the same rows, so [`ResultReader`] and the digest do not tell one from the
//! other.

pub mod cursor;
pub(crate) mod file;
mod lmdb;
mod manifest;
mod mongo;
pub(crate) mod parquet;
pub mod results;
pub mod row;
pub mod runner;

use std::time::Duration;

use lobstream_market::factor::row::FactorRow;
use lobstream_market::signal::Signal;
use lobstream_streams::log::Tp;

use crate::error::{Error, ResultsError};
use crate::sink::cursor::Cursor;
use crate::sink::row::Rows;

/// Version of what the stores hold; a store of another one is refused.
const FORMAT: u32 = 1;

/// What a store says of its format, if this version knows it.
fn check_format(store: &str, found: Option<u32>) -> Result<Option<u32>, Error> {
    match found {
        Some(found) if found != FORMAT => {
            Err(ResultsError::Format { uri: store.to_owned(), found, known: FORMAT }.into())
        }
        Some(_) | None => Ok(found),
    }
}

/// A store that takes rows.
pub trait Sink: Send {
    /// Its address, without secrets.
    fn name(&self) -> &str;
    /// When a batch is worth a write.
    fn patience(&self) -> Patience;
    /// How far a partition is stored; `None`: nothing of it yet.
    ///
    /// # Errors
    /// The store cannot be read.
    fn cursor(&mut self, tp: &Tp) -> Result<Option<Cursor>, Error>;
    /// Stores the rows of the records from the partition's cursor up to this one. Durable when it returns;
    /// after an error or a crash the same call may be made again and gives the same rows.
    ///
    /// # Errors
    /// The store cannot be written; the cursor is then where it was.
    fn write(&mut self, tp: &Tp, rows: Rows, cursor: &Cursor) -> Result<(), Error>;
}

/// When a batch of one partition is worth a write: at so many rows, or so long after its first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Rows.
    pub rows: usize,
    /// Process time.
    pub wait: Duration,
}

/// Which rows are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of these symbols only; empty: of all.
    pub symbols: Vec<String>,
}

impl Filter {
    /// Is a row of this symbol wanted?
    pub fn wants(&self, symbol: &str) -> bool {
        self.symbols.is_empty() || self.symbols.iter().any(|s| s == symbol)
    }
}

/// Rows as they come out of a store.
pub type RowIter<'a, R> = Box<dyn Iterator<Item = Result<R, Error>> + 'a>;

/// A store that gives rows back, in canonical order: venue, symbol, label, rule.
pub trait ResultReader {
    /// Factor rows. LMDB and MongoDB are read as the iterator moves; Parquet is read and sorted at once.
    ///
    /// # Errors
    /// The store cannot be read, here or at any row.
    fn factors(&self, filter: &Filter) -> Result<RowIter<'_, FactorRow>, Error>;
    /// Signals, likewise.
    ///
    /// # Errors
    /// As for factors.
    fn signals(&self, filter: &Filter) -> Result<RowIter<'_, Signal>, Error>;
}
