//! Where rows come from, and the identity of the files they are read from.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use lobstream_market::ashare::Exchange;
use xxhash_rust::xxh3::Xxh3;

use super::meta::InputRow;
use crate::error::Error;
use crate::feed::ashare::{Batch, DayFiles, Table, TableKind, Tally};

/// Bytes that are hashed at a time.
const CHUNK: usize = 1 << 20;

/// The rows of a day in units, which different threads read at the same time.
pub(crate) trait Source: Sync {
    /// How many units there are, in the order in which their rows belong together.
    fn units(&self) -> usize;

    /// The files that hold them, each once, by the name under which they are known.
    fn files(&self) -> BTreeMap<String, PathBuf>;

    /// Gives every row of a unit to `take`.
    ///
    /// # Errors
    /// Those of the files, and those of `take`.
    fn read(&self, unit: usize, take: &mut dyn FnMut(&Batch) -> Result<(), Error>) -> Result<(), Error>;

    /// All units were read: are they good enough? Gives rows that were dropped, by file and reason.
    ///
    /// # Errors
    /// They are not.
    fn judge(&self) -> Result<Rejected, Error>;
}

/// Rows that were dropped, by file and reason.
pub(crate) type Rejected = BTreeMap<String, BTreeMap<String, u64>>;

/// Files of a day as vendors sell them.
pub(crate) struct Files {
    inputs: Vec<PathBuf>,
    tables: Vec<Table>,
    /// Table and part of each unit.
    units: Vec<(usize, usize)>,
    /// What was counted, by table.
    tallies: Vec<Mutex<Tally>>,
    /// Files that were left out, and why.
    pub(crate) skipped: Vec<(String, String)>,
}

impl Files {
    /// Finds those of a date, `YYYYMMDD`, that hold stocks of an exchange, or of any.
    ///
    /// # Errors
    /// There are none; a file that cannot be used.
    pub(crate) fn find(date: u32, inputs: &[PathBuf], exchange: Option<Exchange>) -> Result<Files, Error> {
        let DayFiles { mut tables, skipped } = DayFiles::open(inputs, date)?;
        tables.retain(|table| match exchange {
            None => true,
            Some(exchange) => exchange_of(table.kind()).is_none_or(|e| e == exchange),
        });
        let units =
            tables.iter().enumerate().flat_map(|(i, table)| (0..table.parts()).map(move |part| (i, part)));
        let (units, tallies) = (units.collect(), tables.iter().map(|_| Mutex::default()).collect());
        Ok(Files { inputs: inputs.to_vec(), tables, units, tallies, skipped })
    }
}

/// Whose rows a table holds; `None`: of both.
fn exchange_of(kind: TableKind) -> Option<Exchange> {
    match kind {
        TableKind::SseMerged
        | TableKind::SseOrders
        | TableKind::SseTrades
        | TableKind::SseBoth
        | TableKind::SseRestored => Some(Exchange::Sh),
        TableKind::SzseOrders | TableKind::SzseExecutions => Some(Exchange::Sz),
        TableKind::BothTrades => None,
    }
}

impl Source for Files {
    fn units(&self) -> usize {
        self.units.len()
    }

    fn files(&self) -> BTreeMap<String, PathBuf> {
        let name = |path: &Path| {
            let inside = self.inputs.iter().find_map(|input| path.strip_prefix(input).ok());
            let inside = inside.filter(|inside| *inside != Path::new(""));
            inside.map_or_else(|| path.file_name().unwrap_or_default().into(), Path::to_path_buf)
        };
        let named =
            |table: &Table| (name(table.path()).to_string_lossy().into_owned(), table.path().to_owned());
        self.tables.iter().map(named).collect()
    }

    fn read(&self, unit: usize, take: &mut dyn FnMut(&Batch) -> Result<(), Error>) -> Result<(), Error> {
        let (table, part) = self.units[unit];
        let tally = self.tables[table].read(part, take)?;
        let mut all = self.tallies[table].lock().unwrap_or_else(PoisonError::into_inner);
        Ok(all.add(self.tables[table].file(), &tally)?)
    }

    fn judge(&self) -> Result<Rejected, Error> {
        let mut rejected = Rejected::new();
        for (table, tally) in self.tables.iter().zip(&self.tallies) {
            let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            tally.judge(table.file())?;
            if tally.rejected_total() > 0 {
                let counts = tally.rejected.iter().map(|(why, n)| (why.as_str().to_owned(), *n));
                rejected.insert(table.file().to_owned(), counts.collect());
            }
        }
        Ok(rejected)
    }
}

/// Name, size and hash of each file.
///
/// # Errors
/// A file cannot be read.
pub(super) fn identify(files: BTreeMap<String, PathBuf>) -> Result<Vec<InputRow>, Error> {
    files.into_iter().map(|(name, path)| identify_file(name, &path)).collect()
}

fn identify_file(name: String, path: &Path) -> Result<InputRow, Error> {
    let failed = |e: std::io::Error| Error::file("cannot read", path, e);
    let mut file = File::open(path).map_err(failed)?;
    let (mut hasher, mut chunk, mut size) = (Xxh3::new(), vec![0; CHUNK], 0);
    loop {
        let n = file.read(&mut chunk).map_err(failed)?;
        if n == 0 {
            break;
        }
        hasher.update(&chunk[..n]);
        size += n as u64;
    }
    Ok(InputRow { name, size, hash: format!("{:032x}", hasher.digest128()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_name_its_size_and_its_bytes() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("a.csv");
        std::fs::write(&path, b"").expect("written");
        let one = |name: &str, path: &Path| BTreeMap::from([(name.to_owned(), path.to_owned())]);
        let empty = identify(one("a.csv", &path)).expect("read");
        // The published value of XXH3-128 of nothing.
        assert_eq!(empty[0].hash, "99aa06d3014798d86001c324468d497f");
        std::fs::write(&path, vec![7; CHUNK + 1]).expect("written");
        let large = identify(one("a.csv", &path)).expect("read");
        assert_eq!((large[0].name.as_str(), large[0].size), ("a.csv", CHUNK as u64 + 1));
        assert_ne!(large[0].hash, empty[0].hash);
        assert!(identify(one("b", &dir.path().join("b"))).is_err());
    }
}
