//! The list of part files of a directory: what counts, what it should be, how far it goes.
//!
//! ```text
//! manifest.jsonl    {"format":1}
//!                   {"part":"factors/part-….parquet","tp":…,"from":…,"rows":…,"sha256":…,"cursor":{…}}
//!                   …
//! ```
//! One line per part, appended when the part is durable. A last line without its LF was torn by a crash and
//! does not count. A partition's cursor is that of its last line.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::codec::json::{self, Canonical};
use crate::error::{Error, ResultsError};
use crate::sink::cursor::Cursor;
use crate::sink::file::write_whole;
use crate::sink::{FORMAT, check_format};

/// The manifest of a directory, as read and as written since.
pub(super) struct Manifest {
    path: PathBuf,
    parts: Vec<PartEntry>,
    cursors: BTreeMap<String, Cursor>,
    /// Bytes of whole lines.
    bytes: u64,
}

/// A part file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PartEntry {
    /// Its path inside the directory.
    pub(super) part: String,
    /// Topic and partition.
    pub(super) tp: String,
    /// First offset it covers.
    pub(super) from: u64,
    /// How many rows it holds.
    pub(super) rows: u64,
    /// SHA-256 of the file.
    pub(super) sha256: String,
    /// After its last record.
    pub(super) cursor: Cursor,
}

#[derive(Serialize, Deserialize)]
struct FormatLine {
    format: u32,
}

impl Canonical for PartEntry {}
impl Canonical for FormatLine {}

impl Manifest {
    /// Reads the manifest of a directory; `None`: it has none.
    ///
    /// # Errors
    /// It is of another format, or a line of it is no entry.
    pub(super) fn read(store: &str, dir: &Path) -> Result<Option<Manifest>, Error> {
        let path = path(dir);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::file("cannot read", &path, e)),
        };
        let bytes = text.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let corrupt = |n: usize, reason| ResultsError::Corrupt {
            place: format!("{}, line {}", path.display(), n + 1),
            reason,
        };
        let mut lines = text[..bytes].split_inclusive(|b| *b == b'\n').enumerate();
        let (_, first) = lines.next().ok_or_else(|| corrupt(0, "it is empty".into()))?;
        let format: FormatLine = json::decode(first).map_err(|reason| corrupt(0, reason))?;
        check_format(store, Some(format.format))?;
        let parts = lines
            .map(|(n, line)| json::decode(line).map_err(|reason| corrupt(n, reason)))
            .collect::<Result<Vec<PartEntry>, _>>()?;
        let cursors = parts.iter().map(|p| (p.tp.clone(), p.cursor.clone())).collect();
        Ok(Some(Manifest { path, parts, cursors, bytes: bytes as u64 }))
    }

    /// Makes the manifest of a directory without parts.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn create(dir: &Path) -> Result<Manifest, Error> {
        let path = path(dir);
        let line = json::text(&FormatLine { format: FORMAT }) + "\n";
        write_whole(&path, |out| {
            out.write_all(line.as_bytes()).map_err(|e| Error::file("cannot write", &path, e))
        })?;
        Ok(Manifest { path, parts: Vec::new(), cursors: BTreeMap::new(), bytes: line.len() as u64 })
    }

    /// All parts, in the order in which they were written.
    pub(super) fn parts(&self) -> &[PartEntry] {
        &self.parts
    }

    /// How far a partition is stored.
    pub(super) fn cursor(&self, tp: &str) -> Option<&Cursor> {
        self.cursors.get(tp)
    }

    /// First offset of a partition that no part covers.
    pub(super) fn next(&self, tp: &str) -> u64 {
        self.cursor(tp).map_or(0, |c| c.next.0)
    }

    /// Appends a part, which is durable by now.
    ///
    /// # Errors
    /// It cannot be written; the part then does not count.
    pub(super) fn append(&mut self, entry: PartEntry) -> Result<(), Error> {
        let line = json::text(&entry) + "\n";
        self.append_line(&line).map_err(|e| Error::file("cannot write", &self.path, e))?;
        self.bytes += line.len() as u64;
        self.cursors.insert(entry.tp.clone(), entry.cursor.clone());
        self.parts.push(entry);
        Ok(())
    }

    fn append_line(&self, line: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).open(&self.path)?;
        // A line that was torn, by a crash or by a full disk, must not become the head of this one.
        file.set_len(self.bytes)?;
        file.write_all(line.as_bytes())?;
        file.sync_data()
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join("manifest.jsonl")
}
