//! Files of Shanghai and Shenzhen as vendors sell them: found, told apart by their columns, read in pieces.
//!
//! ```text
//! folder ─▶ find ─▶ Table (one per file or member of a zip) ─▶ part ─▶ Columns ─▶ Batch of typed rows
//!                    layout: which columns, under which names      tally: what was dropped, and why
//! ```
//! A part is what one thread reads: a bounded number of rows of a Parquet file, a text file as a whole. Each
//! hands over [`Batch`]es in the order of the file. Memory is one piece, whatever the file's size.

mod batch;
mod cells;
mod columns;
mod csv;
mod day;
mod find;
mod layout;
mod merge;
mod tally;
mod topics;

use std::path::{Path, PathBuf};

pub use batch::Batch;
pub use cells::TimeUnit;
pub use day::{StockRows, stock_days};
pub use find::parse_date;
pub use layout::TableKind;
pub use merge::merged_rows;
pub use tally::{Reject, Tally};
pub use topics::DayWriter;

use crate::error::{Error, InputError, InputKind};
use crate::parquet::groups::Groups;
use columns::Columns;
use csv::CsvFile;
use find::Candidate;
use layout::{Field, Found, Layout};

/// Rows that become a batch at once; they fit into the cache of a core.
const PIECE_ROWS: usize = 1 << 14;

/// The tables of one day.
#[derive(Debug)]
pub struct DayFiles {
    /// Those that hold orders, trades or cancels, in the order of their names.
    pub tables: Vec<Table>,
    /// Files that were left out, and why.
    pub skipped: Vec<(String, String)>,
}

/// A file, or a member of a zip, whose rows are orders, trades or cancels.
#[derive(Debug)]
pub struct Table {
    file: String,
    path: PathBuf,
    date: u32,
    layout: Layout,
    source: Source,
    bytes: u64,
}

#[derive(Debug)]
enum Source {
    Parquet(Groups),
    Csv(CsvFile),
}

/// Does a file, or the first one of a zip, hold a table of A-shares? `false` for what cannot be read.
pub fn is_table(file: &Path) -> bool {
    let first = find::look_into(file).into_iter().next();
    let header = first.and_then(|c| match c.is_parquet() {
        true => Groups::open(&c.path).ok().map(|g| g.names().to_vec()),
        false => CsvFile::open(&c).ok().map(|f| f.header().to_vec()),
    });
    let name = file.display().to_string();
    header.is_some_and(|h| matches!(Layout::find(&name, &h), Found::Table(_) | Found::Missing(_)))
}

impl DayFiles {
    /// Finds the tables of `date` (`YYYYMMDD`) in files and folders. In a folder, also in those inside it,
    /// a file whose name or folder tells another date is not looked at.
    ///
    /// # Errors
    /// No table; a file that cannot be opened, of an unknown form if it was named itself, or without a
    /// column that its table needs.
    pub fn open(inputs: &[PathBuf], date: u32) -> Result<DayFiles, Error> {
        let mut day = DayFiles { tables: Vec::new(), skipped: Vec::new() };
        for candidate in find::candidates(inputs, date)? {
            day.look_at(candidate, date)?;
        }
        if day.tables.is_empty() {
            let file = inputs.iter().map(|i| i.display().to_string()).collect::<Vec<_>>().join(", ");
            let what =
                format!("no table of orders or trades of {date}: name the files, or the folder they are in");
            return Err(InputError { kind: InputKind::Missing, file, line: None, what }.into());
        }
        day.need_indices()?;
        Ok(day)
    }

    /// Rows of the whole day, as far as the files tell beforehand: Parquet does, text does not.
    pub fn rows_known(&self) -> u64 {
        self.tables.iter().filter_map(Table::rows).sum()
    }

    /// Bytes of all tables on disk.
    pub fn bytes(&self) -> u64 {
        self.tables.iter().map(Table::bytes).sum()
    }

    fn look_at(&mut self, candidate: Candidate, date: u32) -> Result<(), InputError> {
        let file = candidate.file();
        let opened = match candidate.is_parquet() {
            true => {
                Groups::open(&candidate.path).map(Source::Parquet).map_err(|what| unreadable(&file, what))?
            }
            false => Source::Csv(CsvFile::open(&candidate)?),
        };
        let header = match &opened {
            Source::Parquet(groups) => groups.names(),
            Source::Csv(csv) => csv.header(),
        };
        match Layout::find(&file, header) {
            Found::Table(layout) => {
                let Candidate { path, bytes, .. } = candidate;
                self.tables.push(Table { file, path, date, layout, source: opened, bytes });
            }
            Found::Skipped(what) => self.skipped.push((file, what.to_owned())),
            Found::Missing(what) => return Err(missing_column(&file, what)),
            Found::Unknown if candidate.named => {
                let what = format!("columns of no known table: {}", header.join(","));
                return Err(InputError { kind: InputKind::FormatUnknown, file, line: None, what });
            }
            Found::Unknown => self.skipped.push((file, "columns of no known table".to_owned())),
        }
        Ok(())
    }

    /// Orders are put together in the order of the index, so the trades beside them need it too.
    fn need_indices(&self) -> Result<(), InputError> {
        if !self.tables.iter().any(|t| t.kind().is_restored_here()) {
            return Ok(());
        }
        let without = |t: &&Table| t.kind() == TableKind::SseTrades && !t.layout.has(Field::Index);
        match self.tables.iter().find(without) {
            Some(table) => {
                Err(missing_column(&table.file, layout::missing(table.kind(), layout::names(Field::Index))))
            }
            None => Ok(()),
        }
    }
}

impl Table {
    /// The file, and the member after `!` if it is in a zip.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The file on disk.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What its rows are.
    pub fn kind(&self) -> TableKind {
        self.layout.kind
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its rows; `None` for text, which tells only at its end.
    pub fn rows(&self) -> Option<u64> {
        match &self.source {
            Source::Parquet(groups) => Some(groups.rows() as u64),
            Source::Csv(_) => None,
        }
    }

    /// How many parts can be read at the same time.
    pub fn parts(&self) -> usize {
        match &self.source {
            Source::Parquet(groups) => groups.parts(),
            Source::Csv(_) => 1,
        }
    }

    /// Reads one part and hands its rows over, batch by batch. Add the counts of all parts and judge them
    /// ([`Tally::add`], [`Tally::judge`]) before the rows are used for good.
    ///
    /// # Errors
    /// What `take` says; a file that is cut off or damaged; rows of another date; mixed time units.
    pub fn read(
        &self,
        part: usize,
        mut take: impl FnMut(&Batch) -> Result<(), Error>,
    ) -> Result<Tally, Error> {
        let (mut tally, mut batch) = (Tally::default(), Batch::default());
        let mut piece = |columns: &Columns, before: u64| {
            self.check(columns, before, &mut tally)?;
            batch.take(self.kind(), columns, before, &mut tally);
            take(&batch)
        };
        match &self.source {
            Source::Parquet(groups) => self.read_groups(groups, part, &mut piece)?,
            Source::Csv(csv) => {
                let torn = csv.read(&self.layout, &mut piece)?;
                torn.iter().for_each(|line| tally.reject(*line, Reject::BadField));
                tally.rows += torn.len() as u64;
            }
        }
        Ok(tally)
    }

    /// Reads all parts one after the other and judges what was dropped.
    ///
    /// # Errors
    /// As [`Table::read`]; too many rows that cannot be used.
    pub fn read_all(&self, mut take: impl FnMut(&Batch) -> Result<(), Error>) -> Result<Tally, Error> {
        let mut all = Tally::default();
        for part in 0..self.parts() {
            all.add(&self.file, &self.read(part, &mut take)?)?;
        }
        all.judge(&self.file)?;
        Ok(all)
    }

    fn read_groups(
        &self,
        groups: &Groups,
        part: usize,
        piece: &mut impl FnMut(&Columns, u64) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let names: Vec<&str> =
            self.layout.columns.iter().map(|(_, at)| groups.names()[*at].as_str()).collect();
        let values = groups.read(part, &names).map_err(|what| unreadable(&self.file, what))?;
        let (rows, before) = (groups.rows_of(part), groups.rows_before(part) as u64);
        let mut columns = Columns::default();
        for from in (0..rows).step_by(PIECE_ROWS) {
            let range = from..rows.min(from + PIECE_ROWS);
            columns.clear();
            columns.rows = range.len();
            for ((field, _), values) in self.layout.columns.iter().zip(&values) {
                columns.push_values(*field, values, range.clone());
            }
            piece(&columns, before + from as u64)?;
        }
        Ok(())
    }

    /// Times written in one way, of one day.
    fn check(&self, columns: &Columns, before: u64, tally: &mut Tally) -> Result<(), InputError> {
        let line = |row: usize| Some(before + row as u64 + 1);
        let error = |kind, line, what| InputError { kind, file: self.file.clone(), line, what };
        let (first, second) = columns.units();
        if let Some((row, _)) = second {
            return Err(tally::mixed(&self.file, line(row)));
        }
        match (tally.unit, first) {
            (Some(one), Some(other)) if one != other => return Err(tally::mixed(&self.file, line(0))),
            (_, Some(TimeUnit::Seconds | TimeUnit::Other)) => {
                let what = "times are neither HHMMSSmmm nor HH:MM:SS.mmm: write them so".to_owned();
                return Err(error(InputKind::UnitAmbiguous, line(0), what));
            }
            (unit, first) => tally.unit = unit.or(first),
        }
        let dates = columns.time.iter().map(|t| t.date).enumerate();
        let dates = dates.chain(columns.date.iter().copied().enumerate());
        match dates.into_iter().find(|(_, d)| *d != 0 && *d != self.date) {
            Some((row, date)) => {
                let what = format!("a row of {date} among those of {}: ask for that date", self.date);
                Err(error(InputKind::DayMismatch, line(row), what))
            }
            None => Ok(()),
        }
    }
}

fn unreadable(file: &str, what: String) -> InputError {
    let kind = InputKind::Unreadable;
    InputError { kind, file: file.to_owned(), line: None, what: format!("{what}: get the file again") }
}

fn missing_column(file: &str, what: String) -> InputError {
    InputError { kind: InputKind::MissingColumn, file: file.to_owned(), line: None, what }
}

#[cfg(test)]
mod tests;
