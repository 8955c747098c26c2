//! `lobstream export`: stored rows as one CSV or Parquet file.
//!
//! CSV: a header always, LF, quotes where RFC 4180 wants them, a missing value blank, floats as in
//! [`crate::codec::json`]. Parquet: as `src/parquet.rs` says. Columns are those of the row's table; a
//! signal's values are one column of JSON text. Equal rows give equal bytes.

use std::io::Write;
use std::path::{Path, PathBuf};

use lobstream_market::factor::columns::Cell;

use crate::codec::json;
use crate::error::Error;
use crate::sink::file::write_whole;
use crate::sink::parquet::write_rows;
use crate::sink::results::Results;
use crate::sink::row::{Kind, Row};
use crate::sink::{Filter, RowIter};

/// What is exported where.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// Which rows.
    pub kind: Kind,
    /// Address of the store.
    pub from: String,
    /// The file; its extension, `.csv` or `.parquet`, is its format. One that exists is replaced, at the very
    /// end.
    pub out: PathBuf,
}

#[derive(Clone, Copy)]
enum Format {
    Csv,
    Parquet,
}

/// Exports rows in canonical order; returns how many.
///
/// # Errors
/// Another extension; a store that is not there or cannot be read; a file that cannot be written: then the
/// one that was there stays.
pub fn export(options: &ExportOptions) -> Result<u64, Error> {
    let format = format(&options.out)?;
    let reader = Results::open_reader(&options.from)?;
    let all = Filter::default();
    match options.kind {
        Kind::Factors => write(reader.factors(&all)?, format, &options.out),
        Kind::Signals => write(reader.signals(&all)?, format, &options.out),
    }
}

fn format(out: &Path) -> Result<Format, Error> {
    match out.extension().and_then(|e| e.to_str()) {
        Some("csv") => Ok(Format::Csv),
        Some("parquet") => Ok(Format::Parquet),
        Some(_) | None => Err(Error::usage(format!(
            "{} must end in .csv or .parquet, which tells its format",
            out.display()
        ))),
    }
}

fn write<R: Row>(rows: RowIter<'_, R>, format: Format, path: &Path) -> Result<u64, Error> {
    let mut n = 0;
    let rows = rows.inspect(|_| n += 1);
    write_whole(path, |out| match format {
        Format::Csv => write_csv(rows, out, path),
        Format::Parquet => {
            let rows = rows.collect::<Result<Vec<R>, Error>>()?;
            write_rows(rows, out).map_err(|reason| Error::file("cannot write", path, reason))
        }
    })?;
    Ok(n)
}

fn write_csv<R: Row>(
    rows: impl Iterator<Item = Result<R, Error>>,
    out: &mut impl Write,
    path: &Path,
) -> Result<(), Error> {
    let mut csv = csv::Writer::from_writer(out);
    let failed = |e| Error::file("cannot write", path, e);
    csv.write_record(R::columns().iter().map(|c| c.name)).map_err(failed)?;
    for row in rows {
        csv.write_record(row?.cells().into_iter().map(field)).map_err(failed)?;
    }
    csv.flush().map_err(|e| Error::file("cannot write", path, e))
}

fn field(cell: Cell) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Bool(b) => b.to_string(),
        Cell::Int(i) => i.to_string(),
        Cell::Float(x) => json::text(&x),
        Cell::Date(day) => day.to_string(),
        Cell::Text(t) => t,
    }
}
