//! Parquet tables in and out: the only file of the application that knows polars.
//!
//! Integers are INT64, floats DOUBLE, dates INT64 as YYYYMMDD, text UTF-8, a missing cell is null. A file says
//! nothing of when or where it was written, so equal tables are equal bytes.

pub(crate) mod groups;
pub(crate) mod growing;

use std::fs::File;
use std::io::{Cursor, Write};
use std::path::Path;

use lobstream_backtest::report::{Cells as FrameCells, Frame};
use lobstream_market::calendar::Day;
use lobstream_market::factor::columns::{Cell, Column, ColumnKind, Field};
use polars::prelude::{
    Column as Series, DataFrame, DataType, KeyValueMetadata, ParallelStrategy, ParquetCompression,
    ParquetReader, ParquetWriter, PolarsError, SerReader,
};

/// Rows of one row group; it bounds what a reader has to unpack at once.
const GROUP_ROWS: usize = 1 << 17;

/// A table on its way into a file, column by column.
pub(crate) struct Table {
    columns: Vec<(Column, Cells)>,
    rows: usize,
}

/// The cells of one column.
enum Cells {
    Bool(Vec<Option<bool>>),
    Int(Vec<Option<i64>>),
    Float(Vec<Option<f64>>),
    /// YYYYMMDD.
    Date(Vec<Option<i64>>),
    Text(Vec<Option<String>>),
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(columns: &[Column]) -> Table {
        let cells = |kind| match kind {
            ColumnKind::Bool => Cells::Bool(Vec::new()),
            ColumnKind::Int => Cells::Int(Vec::new()),
            ColumnKind::Float => Cells::Float(Vec::new()),
            ColumnKind::Date => Cells::Date(Vec::new()),
            ColumnKind::Text => Cells::Text(Vec::new()),
        };
        Table { columns: columns.iter().map(|c| (*c, cells(c.kind))).collect(), rows: 0 }
    }

    /// Appends a row: one cell per column, in their order.
    ///
    /// # Panics
    /// If a cell is not of its column's kind.
    pub(crate) fn push(&mut self, row: Vec<Cell>) {
        assert_eq!(row.len(), self.columns.len(), "one cell per column");
        for ((column, cells), cell) in self.columns.iter_mut().zip(row) {
            match cells {
                Cells::Bool(c) => c.push(fit(column, cell)),
                Cells::Int(c) => c.push(fit(column, cell)),
                Cells::Float(c) => c.push(fit(column, cell)),
                Cells::Date(c) => c.push(fit::<Day>(column, cell).map(|day| i64::from(day.number()))),
                Cells::Text(c) => c.push(fit(column, cell)),
            }
        }
        self.rows += 1;
    }

    /// Writes the table with file-level notes `(name, text)`.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn write(self, into: impl Write, notes: &[(&str, &str)]) -> Result<(), String> {
        let series = |(column, cells): (Column, Cells)| match cells {
            Cells::Bool(c) => Series::new(column.name.into(), c),
            Cells::Int(c) => Series::new(column.name.into(), c),
            Cells::Float(c) => Series::new(column.name.into(), c),
            Cells::Date(c) => Series::new(column.name.into(), c),
            Cells::Text(c) => Series::new(column.name.into(), c),
        };
        let columns = self.columns.into_iter().map(series).collect();
        let mut frame = DataFrame::new(self.rows, columns).map_err(reason)?;
        let notes = notes.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        ParquetWriter::new(into)
            .with_compression(ParquetCompression::Zstd(None))
            .with_row_group_size(Some(GROUP_ROWS))
            .with_key_value_metadata(Some(KeyValueMetadata::from_static(notes)))
            .set_parallel(false)
            .finish(&mut frame)
            .map_err(reason)?;
        Ok(())
    }
}

fn fit<T: Field>(column: &Column, cell: Cell) -> Option<T> {
    match Option::from_cell(cell) {
        Some(value) => value,
        None => panic!("a cell of column {} is not {:?}", column.name, column.kind),
    }
}

/// Writes a table of a report; instants become whole milliseconds, `_ms` after their names.
///
/// # Errors
/// What the system says.
pub(crate) fn write_frame(frame: &Frame, path: &Path) -> Result<(), String> {
    let series = |(name, cells): &(String, FrameCells)| match cells {
        FrameCells::Text(c) => Series::new(name.as_str().into(), c),
        FrameCells::Int(c) => Series::new(name.as_str().into(), c),
        FrameCells::Number(c) => Series::new(name.as_str().into(), c),
        FrameCells::Time(c) => Series::new(format!("{name}_ms").as_str().into(), c),
    };
    let columns = frame.columns.iter().map(series).collect();
    let mut table = DataFrame::new(frame.len(), columns).map_err(reason)?;
    let file = File::create(path).map_err(|e| e.to_string())?;
    ParquetWriter::new(file)
        .with_compression(ParquetCompression::Zstd(None))
        .with_row_group_size(Some(GROUP_ROWS))
        .set_parallel(false)
        .finish(&mut table)
        .map_err(reason)?;
    Ok(())
}

/// Reads columns of a file's bytes, row by row. Columns that are not asked for are not read.
///
/// The caller answers for the bytes: polars trusts them, and panics over some that are damaged.
///
/// # Errors
/// A column that is missing or of another kind; bytes that are not Parquet.
pub(crate) fn read(bytes: Vec<u8>, columns: &[Column]) -> Result<Vec<Vec<Cell>>, String> {
    let frame = ParquetReader::new(Cursor::new(bytes))
        .with_columns(Some(columns.iter().map(|c| c.name.to_owned()).collect()))
        .read_parallel(ParallelStrategy::None)
        .finish()
        .map_err(reason)?;
    let mut rows = vec![Vec::with_capacity(columns.len()); frame.height()];
    for column in columns {
        for (row, cell) in rows.iter_mut().zip(cells(&frame, column)?) {
            row.push(cell);
        }
    }
    Ok(rows)
}

fn cells(frame: &DataFrame, column: &Column) -> Result<Vec<Cell>, String> {
    let series = frame.column(column.name).map_err(reason)?;
    Ok(match column.kind {
        ColumnKind::Bool => series.bool().map_err(reason)?.iter().map(|c| c.to_cell()).collect(),
        ColumnKind::Int => series.i64().map_err(reason)?.iter().map(|c| c.to_cell()).collect(),
        ColumnKind::Float => series.f64().map_err(reason)?.iter().map(|c| c.to_cell()).collect(),
        ColumnKind::Date => {
            let days = series.i64().map_err(reason)?;
            days.iter().map(|c| c.and_then(Day::from_number).to_cell()).collect()
        }
        ColumnKind::Text => {
            series.str().map_err(reason)?.iter().map(|c| c.map(str::to_owned).to_cell()).collect()
        }
    })
}

fn reason(error: PolarsError) -> String {
    error.to_string()
}

/// A file's columns by name, numbers of any type as `f64`: for tables that others wrote.
pub(crate) struct Loose {
    frame: DataFrame,
}

impl Loose {
    /// Reads all columns of a file's bytes.
    ///
    /// # Errors
    /// Bytes that are not Parquet, or types that are not read.
    pub(crate) fn read(bytes: Vec<u8>) -> Result<Loose, String> {
        let reader = ParquetReader::new(Cursor::new(bytes)).read_parallel(ParallelStrategy::None);
        Ok(Loose { frame: reader.finish().map_err(reason)? })
    }

    /// Names of all columns, in their order.
    pub(crate) fn names(&self) -> Vec<String> {
        self.frame.get_column_names().into_iter().map(|name| name.to_string()).collect()
    }

    /// How many rows.
    pub(crate) fn len(&self) -> usize {
        self.frame.height()
    }

    /// A column of numbers or flags.
    ///
    /// # Errors
    /// No such column, or one that is neither.
    pub(crate) fn numbers(&self, name: &str) -> Result<Vec<Option<f64>>, String> {
        let column = self.frame.column(name).map_err(reason)?;
        if matches!(column.dtype(), DataType::String) {
            return Err(format!("column {name} is text, not numbers"));
        }
        let floats = column.cast(&DataType::Float64).map_err(reason)?;
        Ok(floats.f64().map_err(reason)?.iter().collect())
    }

    /// A column as text; whole numbers in their digits.
    ///
    /// # Errors
    /// No such column.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<Option<String>>, String> {
        let column = self.frame.column(name).map_err(reason)?;
        if matches!(column.dtype(), DataType::String) {
            return Ok(column.str().map_err(reason)?.iter().map(|text| text.map(str::to_owned)).collect());
        }
        let whole = column.cast(&DataType::Int64).map_err(reason)?;
        Ok(whole.i64().map_err(reason)?.iter().map(|n| n.map(|n| n.to_string())).collect())
    }
}
