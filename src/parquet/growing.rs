//! A Parquet file that grows batch by batch, for tables that do not fit into memory.

use std::io::Write;

use polars::io::parquet::write::BatchedWriter;
use polars::prelude::{Column, DataFrame, DataType, Field, ParquetCompression, ParquetWriter, Schema};

use super::reason;

/// One column of a batch. None of its cells is missing.
pub(crate) enum Batch {
    /// INT32.
    Short(Vec<i32>),
    /// INT64.
    Int(Vec<i64>),
    /// DOUBLE.
    Float(Vec<f64>),
    /// UTF-8.
    Text(Vec<&'static str>),
}

/// A file on its way. Every batch becomes a row group.
pub(crate) struct Growing<W: Write> {
    writer: BatchedWriter<W>,
    names: Vec<&'static str>,
}

impl<W: Write> Growing<W> {
    /// A file with the columns of an example, which is not written.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn new(into: W, columns: &[(&'static str, Batch)]) -> Result<Growing<W>, String> {
        let field = |(name, cells): &(&'static str, Batch)| {
            let kind = match cells {
                Batch::Short(_) => DataType::Int32,
                Batch::Int(_) => DataType::Int64,
                Batch::Float(_) => DataType::Float64,
                Batch::Text(_) => DataType::String,
            };
            Field::new((*name).into(), kind)
        };
        let schema: Schema = columns.iter().map(field).collect();
        let writer = ParquetWriter::new(into)
            .with_compression(ParquetCompression::Snappy)
            .set_parallel(false)
            .batched(&schema)
            .map_err(reason)?;
        Ok(Growing { writer, names: columns.iter().map(|(name, _)| *name).collect() })
    }

    /// Appends rows: columns of one length, in the order of the example.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn append(&mut self, rows: usize, batch: Vec<Batch>) -> Result<(), String> {
        let column = |(name, cells): (&&'static str, Batch)| match cells {
            Batch::Short(c) => Column::new((*name).into(), c),
            Batch::Int(c) => Column::new((*name).into(), c),
            Batch::Float(c) => Column::new((*name).into(), c),
            Batch::Text(c) => Column::new((*name).into(), c),
        };
        let columns = self.names.iter().zip(batch).map(column).collect();
        let frame = DataFrame::new(rows, columns).map_err(reason)?;
        self.writer.write_batch(&frame).map_err(reason)
    }

    /// Writes the footer.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn finish(self) -> Result<(), String> {
        self.writer.finish().map(drop).map_err(reason)
    }
}
