//! Tables column by column: one list of columns serves CSV and Parquet.

use std::fmt::Write as _;

use crate::report::format::iso;

/// The cells of a column; its kind is the same in every file.
#[derive(Clone, Debug, PartialEq)]
pub enum Cells {
    /// Text.
    Text(Vec<String>),
    /// Whole numbers.
    Int(Vec<i64>),
    /// Numbers; `None` where there is none.
    Number(Vec<Option<f64>>),
    /// Instants, ms since 1970 UTC. A CSV writes them as ISO text.
    Time(Vec<i64>),
}

impl Cells {
    fn len(&self) -> usize {
        match self {
            Cells::Text(cells) => cells.len(),
            Cells::Int(cells) | Cells::Time(cells) => cells.len(),
            Cells::Number(cells) => cells.len(),
        }
    }

    fn write(&self, row: usize, text: &mut String) {
        match self {
            Cells::Text(cells) => text.push_str(&field(&cells[row])),
            Cells::Int(cells) => {
                let _ = write!(text, "{}", cells[row]);
            }
            Cells::Number(cells) => text.push_str(&cells[row].map_or_else(String::new, decimal)),
            Cells::Time(cells) => text.push_str(&iso(cells[row])),
        }
    }
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    /// Name and cells of each column; all are equally long.
    pub columns: Vec<(String, Cells)>,
}

impl Frame {
    /// Adds a column.
    pub fn add(&mut self, name: impl Into<String>, cells: Cells) {
        debug_assert!(self.columns.is_empty() || cells.len() == self.len(), "columns are equally long");
        self.columns.push((name.into(), cells));
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.columns.first().map_or(0, |(_, cells)| cells.len())
    }

    /// No rows?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// With a head line.
    pub fn to_csv(&self) -> String {
        let names: Vec<String> = self.columns.iter().map(|(name, _)| field(name)).collect();
        let mut text = names.join(",") + "\n";
        for row in 0..self.len() {
            for (i, (_, cells)) in self.columns.iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                cells.write(row, &mut text);
            }
            text.push('\n');
        }
        text
    }
}

/// At most 8 decimals, as the books keep them, without trailing zeros.
fn decimal(value: f64) -> String {
    let text = format!("{value:.8}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A text, in quotes if it needs them.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_texts_are_safe() {
        let texts = [100.0, 0.1, -0.000_000_001, 61_737.65, 1e-8].map(decimal);
        assert_eq!(texts, ["100", "0.1", "0", "61737.65", "0.00000001"]);
        assert_eq!(field("A,\"B\""), "\"A,\"\"B\"\"\"");
    }

    #[test]
    fn a_missing_number_is_an_empty_field() {
        let mut frame = Frame::default();
        frame.add("t", Cells::Time(vec![0, 1_709_210_096_789]));
        frame.add("n", Cells::Int(vec![-1, 2]));
        frame.add("x", Cells::Number(vec![None, Some(0.5)]));
        frame.add("s", Cells::Text(vec!["a,b".to_owned(), String::new()]));
        assert_eq!(
            frame.to_csv(),
            "t,n,x,s\n1970-01-01T00:00:00.000Z,-1,,\"a,b\"\n2024-02-29T12:34:56.789Z,2,0.5,\n"
        );
    }
}
