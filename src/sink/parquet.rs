//! Results in Parquet files: one part per batch, named after the offsets it holds, then the manifest.
//!
//! ```text
//! DIR/manifest.json                                   format, and the cursor of each partition
//! DIR/factors/part-<topic>-<partition>-<from>-<to>.parquet    offsets from … to - 1, in their order
//! DIR/signals/part-…
//! ```
//! Parts of a partition join without holes and end at its cursor. A crash between part and manifest leaves
//! one part that begins at the cursor: no reader counts it, and the next sink removes it before it writes
//! the same rows again, perhaps in parts of another size.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lobstream_market::factor::row::FactorRow;
use lobstream_market::signal::Signal;
use lobstream_streams::log::Tp;
use serde::{Deserialize, Serialize};

use crate::codec::json::{self, Canonical};
use crate::error::{Error, ResultsError};
use crate::parquet::{self, Table};
use crate::sink::cursor::Cursor;
use crate::sink::file::{UNFINISHED, write_whole};
use crate::sink::row::{Kind, Row, Rows, settle};
use crate::sink::{FORMAT, Filter, Patience, ResultReader, RowIter, Sink, check_format};

/// Files in a directory.
pub(crate) struct ParquetResults {
    name: String,
    dir: PathBuf,
    manifest: Manifest,
}

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    cursors: BTreeMap<String, Cursor>,
}

impl Canonical for Manifest {}

impl Manifest {
    fn next(&self, tp: &str) -> u64 {
        self.cursors.get(tp).map_or(0, |c| c.next.0)
    }
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
        let found = read_manifest(&name, dir)?;
        let is_new = found.is_none();
        let manifest = found.unwrap_or_else(|| Manifest { format: FORMAT, cursors: BTreeMap::new() });
        let store = ParquetResults { name, dir: dir.to_owned(), manifest };
        for kind in Kind::ALL {
            store.clean(kind, is_new)?;
        }
        if is_new {
            write_manifest(dir, &store.manifest)?;
        }
        Ok(store)
    }

    /// Opens a directory that a sink has made.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn open_existing(name: String, dir: &Path) -> Result<ParquetResults, Error> {
        match read_manifest(&name, dir)? {
            Some(manifest) => Ok(ParquetResults { name, dir: dir.to_owned(), manifest }),
            None => Err(ResultsError::Missing { uri: name }.into()),
        }
    }

    /// Removes unfinished files and the part that begins at its partition's cursor. Any other part beyond a
    /// cursor, or one without a manifest, was not left by a crash and is nobody's to remove.
    fn clean(&self, kind: Kind, is_new: bool) -> Result<(), Error> {
        let listing = self.list(kind)?;
        for part in &listing.beyond {
            if is_new || part.from != self.manifest.next(&part.tp) {
                let reason = "the manifest does not know it: restore manifest.json, or use another directory";
                return Err(ResultsError::Corrupt {
                    place: part.path.display().to_string(),
                    reason: reason.into(),
                }
                .into());
            }
        }
        for path in listing.unfinished.iter().chain(listing.beyond.iter().map(|part| &part.path)) {
            fs::remove_file(path).map_err(|e| Error::file("cannot remove", path, e))?;
        }
        Ok(())
    }

    /// The files of a kind.
    fn list(&self, kind: Kind) -> Result<Listing, Error> {
        let dir = self.dir.join(kind.as_str());
        let unreadable = |e| Error::file("cannot read", &dir, e);
        let mut listing = Listing::default();
        for entry in fs::read_dir(&dir).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            if name.ends_with(UNFINISHED) {
                listing.unfinished.push(path);
            } else if let Some(part) = Part::parse(name, &path) {
                let beyond = part.from >= self.manifest.next(&part.tp);
                if beyond { &mut listing.beyond } else { &mut listing.stored }.push(part);
            }
        }
        listing.stored.sort();
        self.check_whole(kind, &listing.stored)?;
        Ok(listing)
    }

    /// Parts of a partition join and end at its cursor.
    fn check_whole(&self, kind: Kind, stored: &[Part]) -> Result<(), Error> {
        let corrupt = |reason| ResultsError::Corrupt { place: self.name.clone(), reason };
        let of_kind = |tp: &str| tp.starts_with(&format!("{kind}."));
        for tp in self.manifest.cursors.keys().filter(|tp| of_kind(tp)) {
            let mut at = 0;
            for part in stored.iter().filter(|part| part.tp == *tp) {
                if part.from != at {
                    return Err(
                        corrupt(format!("{} does not begin at offset {at}", part.path.display())).into()
                    );
                }
                at = part.to;
            }
            let next = self.manifest.next(tp);
            if at != next {
                return Err(corrupt(format!("parts of {tp} end at offset {at}, not {next}")).into());
            }
        }
        Ok(())
    }

    fn write_part<R: Row>(&self, tp: &Tp, rows: Vec<R>, to: u64) -> Result<(), Error> {
        let from = self.manifest.next(&tp.to_string());
        let path = self.dir.join(R::KIND.as_str()).join(format!("part-{tp}-{from}-{to}.parquet"));
        write_whole(&path, |out| {
            write_rows(rows, out).map_err(|reason| Error::file("cannot write", &path, reason))
        })
    }

    fn rows<R: Row>(&self, filter: &Filter) -> Result<RowIter<'_, R>, Error> {
        let mut rows = Vec::new();
        for part in self.list(R::KIND)?.stored {
            let found = read_rows::<R>(&part.path)?;
            rows.extend(found.into_iter().filter(|row| filter.wants(row.key().symbol)));
        }
        Ok(Box::new(settle(rows).into_iter().map(Ok)))
    }
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

fn read_rows<R: Row>(path: &Path) -> Result<Vec<R>, Error> {
    let corrupt = |reason| ResultsError::Corrupt { place: path.display().to_string(), reason };
    let cells = parquet::read(path, &R::columns()).map_err(corrupt)?;
    let row = |cells| {
        R::from_cells(cells)
            .map_err(|column| corrupt(format!("a cell of column {column} does not fit")).into())
    };
    cells.into_iter().map(row).collect()
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
        Ok(self.manifest.cursors.get(&tp.to_string()).cloned())
    }

    fn write(&mut self, tp: &Tp, rows: Rows, cursor: &Cursor) -> Result<(), Error> {
        match rows {
            Rows::Factors(rows) => self.write_part(tp, rows, cursor.next.0)?,
            Rows::Signals(rows) => self.write_part(tp, rows, cursor.next.0)?,
        }
        let before = self.manifest.cursors.insert(tp.to_string(), cursor.clone());
        write_manifest(&self.dir, &self.manifest).inspect_err(|_| {
            match before {
                Some(before) => self.manifest.cursors.insert(tp.to_string(), before),
                None => self.manifest.cursors.remove(&tp.to_string()),
            };
        })
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

/// The files of one kind, sorted out.
#[derive(Default)]
struct Listing {
    stored: Vec<Part>,
    beyond: Vec<Part>,
    unfinished: Vec<PathBuf>,
}

/// A part file, by its name.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    tp: String,
    from: u64,
    to: u64,
    path: PathBuf,
}

impl Part {
    fn parse(name: &str, path: &Path) -> Option<Part> {
        let (rest, to) = name.strip_prefix("part-")?.strip_suffix(".parquet")?.rsplit_once('-')?;
        let (tp, from) = rest.rsplit_once('-')?;
        Some(Part {
            tp: tp.to_owned(),
            from: from.parse().ok()?,
            to: to.parse().ok()?,
            path: path.to_owned(),
        })
    }
}

fn manifest_path(dir: &Path) -> PathBuf {
    dir.join("manifest.json")
}

fn read_manifest(name: &str, dir: &Path) -> Result<Option<Manifest>, Error> {
    let path = manifest_path(dir);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::file("cannot read", &path, e)),
    };
    let manifest: Manifest = json::decode(&text)
        .map_err(|reason| ResultsError::Corrupt { place: path.display().to_string(), reason })?;
    check_format(name, Some(manifest.format))?;
    Ok(Some(manifest))
}

fn write_manifest(dir: &Path, manifest: &Manifest) -> Result<(), Error> {
    let path = manifest_path(dir);
    write_whole(&path, |out| {
        writeln!(out, "{}", json::text(manifest)).map_err(|e| Error::file("cannot write", &path, e))
    })
}
