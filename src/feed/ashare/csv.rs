//! Text tables, packed or not, alone or in a zip: a header, then a row per line.

use std::path::PathBuf;
use std::sync::Arc;

use super::PIECE_ROWS;
use super::columns::Columns;
use super::find::{self, Candidate};
use super::layout::Layout;
use crate::error::{Error, InputError, InputKind};
use crate::feed::recorded::container::{Line, Lines};
use crate::feed::zip::{self, Member};

/// A text table whose header has been read.
#[derive(Debug)]
pub(super) struct CsvFile {
    file: String,
    path: PathBuf,
    member: Option<Member>,
    header: Vec<String>,
    delimiter: u8,
}

impl CsvFile {
    pub(super) fn open(candidate: &Candidate) -> Result<CsvFile, InputError> {
        let mut csv = CsvFile {
            file: candidate.file(),
            path: candidate.path.clone(),
            member: candidate.member.clone(),
            header: Vec::new(),
            delimiter: b',',
        };
        let mut lines = csv.lines()?;
        let Some(line) = lines.next()? else {
            let what = "the file is empty: get it again".to_owned();
            return Err(InputError { kind: InputKind::Truncated, file: csv.file, line: None, what });
        };
        let text = line.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line.bytes);
        let count = |d: &u8| text.iter().filter(|b| *b == d).count();
        csv.delimiter = [b',', b';', b'\t'].into_iter().max_by_key(count).unwrap_or(b',');
        let mut cells = Vec::new();
        split(text, csv.delimiter, &mut cells);
        let name = |(from, to): &(usize, usize)| String::from_utf8_lossy(&text[*from..*to]).trim().to_owned();
        csv.header = cells.iter().map(name).collect();
        Ok(csv)
    }

    pub(super) fn header(&self) -> &[String] {
        &self.header
    }

    /// Reads the table piece by piece; `piece` also gets the number of the line before the piece. Returns
    /// the lines that have fewer or more cells than the header.
    pub(super) fn read(
        &self,
        layout: &Layout,
        piece: &mut impl FnMut(&Columns, u64) -> Result<(), Error>,
    ) -> Result<Vec<u64>, Error> {
        let mut lines = self.lines()?;
        lines.next()?;
        let (mut columns, mut cells, mut torn, mut before) = (Columns::default(), Vec::new(), Vec::new(), 1);
        while let Some(line) = lines.next()? {
            if line.bytes.is_empty() {
                continue;
            }
            split(line.bytes, self.delimiter, &mut cells);
            if cells.len() != self.header.len() {
                self.whole(&line)?;
                torn.push(line.number);
                continue;
            }
            push(&mut columns, layout, &line, &cells);
            if columns.rows == PIECE_ROWS {
                piece(&columns, before)?;
                before += columns.rows as u64;
                columns.clear();
            }
        }
        if columns.rows > 0 {
            piece(&columns, before)?;
        }
        Ok(torn)
    }

    /// A last line without its end and its cells was cut off.
    fn whole(&self, line: &Line<'_>) -> Result<(), InputError> {
        if line.ended {
            return Ok(());
        }
        let what = "the last line ends in the middle: the file was cut off, get it again".to_owned();
        Err(InputError { kind: InputKind::Truncated, file: self.file.clone(), line: Some(line.number), what })
    }

    fn lines(&self) -> Result<Lines, InputError> {
        let Some(member) = &self.member else { return Lines::open(&self.path, &Arc::default()) };
        let opened = zip::open(&self.path, member);
        let source = opened.map_err(|e| find::error(find::kind_of(&e), &self.path, e.to_string()))?;
        Lines::of(self.file.clone(), source)
    }
}

fn push(columns: &mut Columns, layout: &Layout, line: &Line<'_>, cells: &[(usize, usize)]) {
    for (field, place) in &layout.columns {
        let (from, to) = cells[*place];
        columns.push_text(*field, &line.bytes[from..to]);
    }
    columns.rows += 1;
}

/// Where the cells of a line stand, quotes left out. A quoted cell may hold delimiters.
fn split(line: &[u8], delimiter: u8, cells: &mut Vec<(usize, usize)>) {
    cells.clear();
    let mut from = 0;
    loop {
        let quoted = line.get(from) == Some(&b'"');
        let close = if quoted { memchr::memchr(b'"', &line[from + 1..]).map(|n| from + 1 + n) } else { None };
        let search = close.unwrap_or(from);
        let end = memchr::memchr(delimiter, &line[search..]).map_or(line.len(), |n| search + n);
        cells.push(close.map_or((from, end), |close| (from + 1, close)));
        if end == line.len() {
            return;
        }
        from = end + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::Field;
    use super::*;

    #[test]
    fn cells_are_split_at_delimiters_outside_quotes() {
        let line = b"a,,\"x,y\",b ,";
        let mut cells = Vec::new();
        split(line, b',', &mut cells);
        let text: Vec<&[u8]> = cells.iter().map(|(f, t)| &line[*f..*t]).collect();
        assert_eq!(text, [&b"a"[..], b"", b"x,y", b"b ", b""]);
    }

    #[test]
    fn every_field_of_a_layout_has_its_column() {
        let mut columns = Columns::default();
        columns.push_text(Field::SellNo, b"7");
        columns.push_text(Field::Channel, b"6");
        columns.push_text(Field::Aggressive, b"1");
        assert_eq!((columns.sell_no[0], columns.channel[0], columns.aggressive.len()), (7, 6, 1));
    }
}
