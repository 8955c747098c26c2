//! Results in Parquet files: one part per batch, named after the offsets it holds, then its line in the
//! manifest.
//!
//! ```text
//! DIR/manifest.jsonl                                          the parts that count, see `manifest`
//! DIR/factors/part-<topic>-<partition>-<from>-<to>.parquet    offsets from … to - 1, in their order
//! DIR/signals/part-…
//! ```
//! Parts of a partition join without holes. A crash between a part and its line leaves one part that begins
//! at the cursor: no reader counts it, and the next sink removes it before it writes the same rows again,
//! perhaps in parts of another size.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lobstream_market::factor::row::FactorRow;
use lobstream_market::signal::Signal;
use lobstream_streams::log::Tp;
use sha2::{Digest, Sha256};

use crate::error::{Error, ResultsError};
use crate::parquet::{self, Table};
use crate::sink::cursor::{Cursor, hex};
use crate::sink::file::{UNFINISHED, write_whole};
use crate::sink::manifest::{Manifest, PartEntry};
use crate::sink::row::{Kind, Row, Rows, settle};
use crate::sink::{FORMAT, Filter, Patience, ResultReader, RowIter, Sink};

/// Files in a directory.
pub(crate) struct ParquetResults {
    name: String,
    dir: PathBuf,
    manifest: Manifest,
}

impl ParquetResults {
    /// Opens the directory, made if it is missing, and removes what a crash left.
    ///
    /// # Errors
    /// The directory cannot be written, or its files are not those that a sink leaves.
    pub(crate) fn create(name: String, dir: &Path) -> Result<ParquetResults, Error> {
        for kind in Kind::ALL {
            let dir = dir.join(kind.as_str());
            fs::create_dir_all(&dir).map_err(|e| Error::file("cannot make", &dir, e))?;
        }
        let found = Manifest::read(&name, dir)?;
        for kind in Kind::ALL {
            clean(&dir.join(kind.as_str()), found.as_ref())?;
        }
        let manifest = found.map_or_else(|| Manifest::create(dir), Ok)?;
        Ok(ParquetResults { name, dir: dir.to_owned(), manifest })
    }

    /// Opens a directory that a sink has made.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn open_existing(name: String, dir: &Path) -> Result<ParquetResults, Error> {
        match Manifest::read(&name, dir)? {
            Some(manifest) => Ok(ParquetResults { name, dir: dir.to_owned(), manifest }),
            None => Err(ResultsError::Missing { uri: name }.into()),
        }
    }

    fn put<R: Row>(&mut self, tp: &Tp, rows: Vec<R>, cursor: &Cursor) -> Result<(), Error> {
        let (tp, n) = (tp.to_string(), rows.len() as u64);
        let (from, to) = (self.manifest.next(&tp), cursor.next.0);
        let part = format!("{}/part-{tp}-{from}-{to}.parquet", R::KIND);
        let (path, mut bytes) = (self.dir.join(&part), Vec::new());
        let failed = |reason| Error::file("cannot write", &path, reason);
        write_rows(rows, &mut bytes).map_err(failed)?;
        write_whole(&path, |out| out.write_all(&bytes).map_err(|e| failed(e.to_string())))?;
        let sha256 = hex(&Sha256::digest(&bytes));
        self.manifest.append(PartEntry { part, tp, from, rows: n, sha256, cursor: cursor.clone() })
    }

    fn rows<R: Row>(&self, filter: &Filter) -> Result<RowIter<'_, R>, Error> {
        let mut rows = Vec::new();
        for entry in self.manifest.parts().iter().filter(|e| Kind::of_topic(&e.tp) == Some(R::KIND)) {
            let found = read_part::<R>(&self.dir.join(&entry.part), entry)?;
            rows.extend(found.into_iter().filter(|row| filter.wants(row.key().symbol)));
        }
        Ok(Box::new(settle(rows).into_iter().map(Ok)))
    }
}

/// Removes unfinished files and the part that begins at its partition's cursor. Any other part that the
/// manifest does not have, or one without a manifest, was not left by a crash and is nobody's to remove.
fn clean(dir: &Path, manifest: Option<&Manifest>) -> Result<(), Error> {
    let unreadable = |e| Error::file("cannot read", dir, e);
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let left_by_a_crash = match part_start(name) {
            None => name.ends_with(UNFINISHED),
            Some((tp, from)) => match manifest.map(|m| m.next(tp)) {
                Some(next) if from < next => false,
                Some(next) if from == next => true,
                Some(_) | None => {
                    let reason = "the manifest does not have it: put that back, or use another directory";
                    return Err(corrupt(&path, reason.into()).into());
                }
            },
        };
        if left_by_a_crash {
            fs::remove_file(&path).map_err(|e| Error::file("cannot remove", &path, e))?;
        }
    }
    Ok(())
}

/// Partition and first offset of a part, by its name; `None`: it is no part.
fn part_start(name: &str) -> Option<(&str, u64)> {
    let (rest, _to) = name.strip_prefix("part-")?.strip_suffix(".parquet")?.rsplit_once('-')?;
    let (tp, from) = rest.rsplit_once('-')?;
    Some((tp, from.parse().ok()?))
}

/// Writes rows as one Parquet table.
///
/// # Errors
/// What the system says.
pub(crate) fn write_rows<R: Row>(
    rows: impl IntoIterator<Item = R>,
    into: &mut impl Write,
) -> Result<(), String> {
    let mut table = Table::new(&R::columns());
    for row in rows {
        table.push(row.cells());
    }
    let schema = format!("{}/{FORMAT}", R::KIND);
    table.write(into, &[("lobstream.schema", &schema), ("lobstream.version", env!("CARGO_PKG_VERSION"))])
}

fn read_part<R: Row>(path: &Path, entry: &PartEntry) -> Result<Vec<R>, Error> {
    let bytes = fs::read(path).map_err(|e| corrupt(path, e.to_string()))?;
    if hex(&Sha256::digest(&bytes)) != entry.sha256 {
        return Err(corrupt(path, "it is not the file that was written".into()).into());
    }
    let cells = parquet::read(bytes, &R::columns()).map_err(|reason| corrupt(path, reason))?;
    let unfit = |column| corrupt(path, format!("a cell of column {column} does not fit"));
    cells.into_iter().map(|row| R::from_cells(row).map_err(|column| unfit(column).into())).collect()
}

fn corrupt(path: &Path, reason: String) -> ResultsError {
    ResultsError::Corrupt { place: path.display().to_string(), reason }
}

impl Sink for ParquetResults {
    fn name(&self) -> &str {
        &self.name
    }

    /// Few large files are better to read than many small ones, and a file cannot grow.
    fn patience(&self) -> Patience {
        Patience { rows: 1 << 16, wait: Duration::from_secs(60) }
    }

    fn cursor(&mut self, tp: &Tp) -> Result<Option<Cursor>, Error> {
        Ok(self.manifest.cursor(&tp.to_string()).cloned())
    }

    fn write(&mut self, tp: &Tp, rows: Rows, cursor: &Cursor) -> Result<(), Error> {
        match rows {
            Rows::Factors(rows) => self.put(tp, rows, cursor),
            Rows::Signals(rows) => self.put(tp, rows, cursor),
        }
    }
}

impl ResultReader for ParquetResults {
    fn factors(&self, filter: &Filter) -> Result<RowIter<'_, FactorRow>, Error> {
        self.rows(filter)
    }

    fn signals(&self, filter: &Filter) -> Result<RowIter<'_, Signal>, Error> {
        self.rows(filter)
    }
}
