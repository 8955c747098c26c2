//! Files of tables: CSV, plain or packed, alone or in an archive, with cells by column name.

use std::fs;
use std::io::Read;
use std::path::Path;

use super::tar;
use crate::error::{InputError, InputKind};

/// The most that one file may unpack to.
const BYTES_MAX: u64 = 4 << 30;

/// A table of text cells.
pub(super) struct CsvTable {
    /// File and, in an archive, the name inside.
    pub(super) name: String,
    /// Trimmed, in lower case.
    header: Vec<String>,
    rows: Vec<csv::ByteRecord>,
}

impl CsvTable {
    /// Place of a column.
    pub(super) fn find(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.header.iter().position(|h| h == name))
    }

    /// Place of a column that must be there.
    ///
    /// # Errors
    /// It is not.
    pub(super) fn column(&self, names: &[&str]) -> Result<usize, InputError> {
        self.find(names).ok_or_else(|| {
            self.error(
                None,
                format!("column {} is missing; it has {}", names.join(" or "), self.header.join(", ")),
            )
        })
    }

    /// Rows with their line numbers.
    pub(super) fn rows(&self) -> impl Iterator<Item = (u64, Row<'_>)> {
        self.rows.iter().zip(2..).map(|(cells, line)| (line, Row { cells }))
    }

    /// An error in this table.
    pub(super) fn error(&self, line: Option<u64>, what: String) -> InputError {
        InputError { kind: InputKind::Malformed, file: self.name.clone(), line, what }
    }
}

/// One row.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    cells: &'a csv::ByteRecord,
}

impl<'a> Row<'a> {
    /// The text of a cell, trimmed; `None` if it is blank or says that it is none.
    pub(super) fn text(self, column: Option<usize>) -> Option<&'a str> {
        let text = std::str::from_utf8(self.cells.get(column?)?).ok()?.trim();
        let none = text.is_empty() || ["nan", "null", "none"].iter().any(|n| text.eq_ignore_ascii_case(n));
        (!none).then_some(text)
    }

    /// The number in a cell; `None` if it is blank.
    ///
    /// # Errors
    /// A text that is no finite number.
    pub(super) fn number(self, column: Option<usize>) -> Result<Option<f64>, String> {
        let Some(text) = self.text(column) else { return Ok(None) };
        match text.parse::<f64>() {
            Ok(x) if x.is_finite() => Ok(Some(x)),
            _ => Err(format!("{text:?} is no number")),
        }
    }
}

/// Reads the tables of a file.
///
/// # Errors
/// It cannot be read or unpacked; a table in it is no CSV.
pub(super) fn open(path: &Path) -> Result<Vec<CsvTable>, InputError> {
    let name = path.display().to_string();
    let error = |kind, what: String| InputError { kind, file: name.clone(), line: None, what };
    let bytes = fs::read(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => error(InputKind::Missing, "no such file".to_owned()),
        _ => error(InputKind::Unreadable, e.to_string()),
    })?;
    let bytes = unpacked(bytes).map_err(|e| error(InputKind::Truncated, e))?;
    if !tar::is_tar(&bytes) {
        return Ok(vec![table(name, &bytes)?]);
    }
    let members = tar::members(&bytes).map_err(|e| error(InputKind::Truncated, e))?;
    let csv = members.iter().filter(|m| m.name.ends_with(".csv"));
    csv.map(|m| table(format!("{name}/{}", m.name), m.bytes)).collect()
}

fn unpacked(bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let all = |reader: &mut dyn Read, out: &mut Vec<u8>| {
        let read = reader.take(BYTES_MAX).read_to_end(out).map_err(|e| e.to_string())?;
        if read as u64 == BYTES_MAX {
            Err("it unpacks to more than 4 GiB: split it".to_owned())
        } else {
            Ok(())
        }
    };
    if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let mut reader = zstd::Decoder::new(&bytes[..]).map_err(|e| e.to_string())?;
        all(&mut reader, &mut out)?;
    } else if bytes.starts_with(&[0x1f, 0x8b]) {
        all(&mut flate2::read::MultiGzDecoder::new(&bytes[..]), &mut out)?;
    } else {
        return Ok(bytes);
    }
    Ok(out)
}

fn table(name: String, bytes: &[u8]) -> Result<CsvTable, InputError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let first = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let delimiter = [b',', b';', b'\t']
        .into_iter()
        .max_by_key(|d| (first.iter().filter(|b| *b == d).count(), *d == b','));
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter.unwrap_or(b',')).flexible(false).from_reader(bytes);
    let error = |e: csv::Error| InputError {
        kind: InputKind::Malformed,
        file: name.clone(),
        line: e.position().map(csv::Position::line),
        what: e.to_string(),
    };
    let header = reader.byte_headers().map_err(error)?.clone();
    let header = header.iter().map(|h| String::from_utf8_lossy(h).trim().to_lowercase()).collect();
    let rows = reader.byte_records().collect::<Result<Vec<_>, _>>().map_err(error)?;
    Ok(CsvTable { name, header, rows })
}
