//! Foreign Parquet files, a bounded number of rows at a time: the columns asked for, each as plain vectors.

use std::fs::File;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use polars::prelude::{
    Column, DataType, FileMetadata, FileMetadataRef, ParallelStrategy, ParquetReader, PolarsError, SerReader,
    StringChunked,
};

use super::reason;

/// The most rows that are unpacked at once, also where a file has larger row groups.
pub(crate) const PART_ROWS: usize = 1 << 20;

/// A Parquet file whose footer has been read, as parts of at most [`PART_ROWS`] rows.
#[derive(Debug)]
pub(crate) struct Groups {
    path: PathBuf,
    names: Vec<String>,
    parts: Vec<Part>,
    rows: usize,
}

/// Rows `from..from + rows` of one row group, and a footer that knows that group only: reading it then
/// never touches the others.
#[derive(Debug)]
struct Part {
    footer: FileMetadataRef,
    from: usize,
    rows: usize,
}

/// The cells of a column. A missing integer is [`MISSING`], a missing float NaN.
pub(crate) enum Values {
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    Texts(Texts),
    Bools(Vec<Option<bool>>),
}

/// What a missing integer cell holds.
pub(crate) const MISSING: i64 = i64::MIN;

/// Text cells.
pub(crate) struct Texts(StringChunked);

impl Texts {
    /// Every cell of a range, in order.
    pub(crate) fn each(&self, range: Range<usize>, take: impl FnMut(Option<&str>)) {
        let from = i64::try_from(range.start).unwrap_or(i64::MAX);
        self.0.slice(from, range.len()).iter().for_each(take);
    }
}

impl Groups {
    /// Reads the footer.
    ///
    /// # Errors
    /// The system's words; bytes that are not a whole Parquet file.
    pub(crate) fn open(path: &Path) -> Result<Groups, String> {
        let mut reader = ParquetReader::new(File::open(path).map_err(|e| e.to_string())?);
        let read = |r: &mut ParquetReader<File>| -> Result<_, PolarsError> {
            Ok((r.schema()?, r.get_metadata()?.clone()))
        };
        let (schema, footer) = guarded(|| read(&mut reader).map_err(reason))?;
        let mut parts = Vec::new();
        for (n, group) in footer.row_groups.iter().enumerate() {
            let (rows, one) = (group.num_rows(), Arc::new(of_group(&footer, n)));
            for from in (0..rows).step_by(PART_ROWS) {
                parts.push(Part { footer: one.clone(), from, rows: PART_ROWS.min(rows - from) });
            }
        }
        let names = schema.iter_names().map(|n| n.to_string()).collect();
        Ok(Groups { path: path.to_owned(), names, parts, rows: footer.num_rows })
    }

    /// Names of the columns, in the order of the file.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// How many parts there are; each can be read on a thread of its own.
    pub(crate) fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Rows of the whole file.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Rows of a part.
    pub(crate) fn rows_of(&self, part: usize) -> usize {
        self.parts[part].rows
    }

    /// Rows of the file before a part.
    pub(crate) fn rows_before(&self, part: usize) -> usize {
        self.parts[..part].iter().map(|p| p.rows).sum()
    }

    /// Reads columns of one part, in the order they are asked for.
    ///
    /// # Errors
    /// A column that is missing or of a kind that no number or text can be taken from; damaged bytes.
    pub(crate) fn read(&self, part: usize, columns: &[&str]) -> Result<Vec<Values>, String> {
        let Part { footer, from, rows } = &self.parts[part];
        let file = File::open(&self.path).map_err(|e| e.to_string())?;
        let mut reader = ParquetReader::new(file);
        reader.set_metadata(footer.clone());
        let reader = reader
            .with_columns(Some(columns.iter().map(|c| (*c).to_owned()).collect()))
            .with_slice(Some((*from, *rows)))
            .read_parallel(ParallelStrategy::None);
        guarded(|| {
            let frame = reader.finish().map_err(reason)?;
            columns.iter().map(|c| values(frame.column(c).map_err(reason)?)).collect()
        })
    }
}

/// The footer, of one group only.
fn of_group(footer: &FileMetadata, group: usize) -> FileMetadata {
    let row_groups = vec![footer.row_groups[group].clone()];
    FileMetadata { num_rows: row_groups[0].num_rows(), row_groups, ..footer.clone() }
}

/// Polars panics over some bytes that are damaged; here that is an error like any other.
fn guarded<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let outcome = catch_unwind(AssertUnwindSafe(read));
    outcome.unwrap_or_else(|_| Err("the bytes are damaged, or of a kind that is not read".to_owned()))
}

fn values(column: &Column) -> Result<Values, String> {
    Ok(match column.dtype() {
        DataType::Int64 => Values::Ints(ints(column)?),
        DataType::Int32 | DataType::UInt32 | DataType::UInt64 => {
            Values::Ints(ints(&column.cast(&DataType::Int64).map_err(reason)?)?)
        }
        DataType::Float64 => Values::Floats(floats(column)?),
        DataType::Float32 => Values::Floats(floats(&column.cast(&DataType::Float64).map_err(reason)?)?),
        DataType::String => Values::Texts(Texts(column.str().map_err(reason)?.clone())),
        DataType::Boolean => Values::Bools(column.bool().map_err(reason)?.iter().collect()),
        other => {
            return Err(format!("column {} is {other}: write it as a number or as text", column.name()));
        }
    })
}

fn ints(column: &Column) -> Result<Vec<i64>, String> {
    let cells = column.i64().map_err(reason)?;
    let mut out = Vec::with_capacity(cells.len());
    for array in cells.downcast_iter() {
        if cells.null_count() == 0 {
            out.extend_from_slice(array.values());
        } else {
            out.extend(array.iter().map(|c| c.copied().unwrap_or(MISSING)));
        }
    }
    Ok(out)
}

fn floats(column: &Column) -> Result<Vec<f64>, String> {
    let cells = column.f64().map_err(reason)?;
    let mut out = Vec::with_capacity(cells.len());
    for array in cells.downcast_iter() {
        if cells.null_count() == 0 {
            out.extend_from_slice(array.values());
        } else {
            out.extend(array.iter().map(|c| c.copied().unwrap_or(f64::NAN)));
        }
    }
    Ok(out)
}
