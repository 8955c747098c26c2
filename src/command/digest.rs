//! `lobstream digest`: one line per kind of stored row, the same whatever the store.
//!
//! ```text
//! <kind> <rows> <sha256>
//! sha256 of all rows in canonical order (venue, symbol, ts_ms, rule_id), each as its JSON text and LF
//! ```
//! The text is that of [`crate::codec::json`]; of several revisions of a row only the one that stays counts.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::codec::json;
use crate::error::Error;
use crate::sink::results::Results;
use crate::sink::row::{Kind, Row};
use crate::sink::{Filter, ResultReader, RowIter};

/// What is digested.
#[derive(Clone, Debug)]
pub struct DigestOptions {
    /// Address of the store.
    pub from: String,
}

/// All rows of one kind in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindDigest {
    /// Which rows.
    pub kind: Kind,
    /// How many.
    pub rows: u64,
    /// SHA-256, 64 hex digits.
    pub sha256: String,
}

impl fmt::Display for KindDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.kind, self.rows, self.sha256)
    }
}

/// Digests a store: one line per kind, in a fixed order, also for a kind without rows.
///
/// # Errors
/// There is no such store, or it cannot be read.
pub fn digest(options: &DigestOptions) -> Result<[KindDigest; 2], Error> {
    digest_of(&*Results::open_reader(&options.from)?)
}

/// Digests what a reader reads.
///
/// # Errors
/// It cannot be read.
pub fn digest_of(reader: &dyn ResultReader) -> Result<[KindDigest; 2], Error> {
    let all = Filter::default();
    Ok([of_rows(reader.factors(&all)?)?, of_rows(reader.signals(&all)?)?])
}

fn of_rows<R: Row>(rows: RowIter<'_, R>) -> Result<KindDigest, Error> {
    let (mut hash, mut n, mut line) = (Sha256::new(), 0, Vec::new());
    for row in rows {
        line.clear();
        json::encode(&row?, &mut line);
        line.push(b'\n');
        hash.update(&line);
        n += 1;
    }
    let sha256 = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    Ok(KindDigest { kind: R::KIND, rows: n, sha256 })
}
