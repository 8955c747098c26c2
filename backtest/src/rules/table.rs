//! Rows of a rules file: the part of TOML that tables of rules need, read line by line.
//!
//! A file holds `[[kind]]` headers and `key = value` lines; a value is a word, a number or a text in double
//! quotes. Anything else is refused with its line, so that a typing error never becomes a rule.

use std::fmt::Display;
use std::str::FromStr;

use crate::error::Error;

/// A header and the values below it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) kind: String,
    pub(super) line: usize,
    values: Vec<Value>,
}

#[derive(Debug)]
struct Value {
    key: String,
    text: String,
    line: usize,
}

/// All rows, in the order of the file.
pub(super) fn rows(text: &str) -> Result<Vec<Row>, Error> {
    let mut rows: Vec<Row> = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let (line, at) = (without_comment(line).trim(), i + 1);
        if line.is_empty() {
            continue;
        }
        if let Some(kind) = line.strip_prefix("[[").and_then(|rest| rest.strip_suffix("]]")) {
            rows.push(Row { kind: kind.trim().to_owned(), line: at, values: Vec::new() });
            continue;
        }
        let row = rows.last_mut().ok_or_else(|| wrong(at, "expected a header such as [[limit]]"))?;
        let value = value(line, at)?;
        if row.values.iter().any(|v| v.key == value.key) {
            return Err(wrong(at, format!("{} is given twice", value.key)));
        }
        row.values.push(value);
    }
    Ok(rows)
}

/// A comment begins at a `#` that is not inside a text.
fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    for (i, c) in line.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '#' if !quoted => return &line[..i],
            _ => {}
        }
    }
    line
}

fn value(line: &str, at: usize) -> Result<Value, Error> {
    let (key, text) = line.split_once('=').ok_or_else(|| wrong(at, "expected key = value"))?;
    let (key, text) = (key.trim(), text.trim());
    let quoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let bare = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let text = match quoted {
        Some(inner) if !inner.contains(['"', '\\']) => inner,
        None if !text.is_empty() && text.chars().all(bare) => text,
        Some(_) | None => return Err(wrong(at, format!("{text} is no value: write \"text\", 10 or true"))),
    };
    Ok(Value { key: key.to_owned(), text: text.to_owned(), line: at })
}

pub(super) fn wrong(line: usize, what: impl Into<String>) -> Error {
    Error::RulesFile { line, what: what.into() }
}

impl Row {
    /// A value that must be there.
    pub(super) fn take<T: FromStr<Err: Display>>(&mut self, key: &str) -> Result<T, Error> {
        let missing = wrong(self.line, format!("[[{}]] needs {key}", self.kind));
        self.maybe(key)?.ok_or(missing)
    }

    /// A value that may be left out.
    pub(super) fn maybe<T: FromStr<Err: Display>>(&mut self, key: &str) -> Result<Option<T>, Error> {
        let Some(i) = self.values.iter().position(|value| value.key == key) else { return Ok(None) };
        let value = self.values.remove(i);
        let parsed = value.text.parse();
        parsed.map(Some).map_err(|e| wrong(value.line, format!("{key} = {}: {e}", value.text)))
    }

    /// Nothing may be left over.
    pub(super) fn done(self) -> Result<(), Error> {
        match self.values.first() {
            Some(v) => Err(wrong(v.line, format!("[[{}]] does not know {:?}", self.kind, v.key))),
            None => Ok(()),
        }
    }
}
