//! TOML settings read key by key; the first fault is told with file, line and key.

use std::ops::RangeInclusive;

use toml_edit::{Document, Item, TableLike};

use crate::error::Error;

/// A settings file.
#[derive(Debug)]
pub struct Sheet {
    file: String,
    text: String,
    document: Document<String>,
}

impl Sheet {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is no TOML.
    pub fn load(path: &std::path::Path) -> Result<Sheet, Error> {
        let file = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|e| Error::usage(format!("cannot read {file}: {e}")))?;
        Sheet::parse(&file, &text)
    }

    /// Reads a text; `file` stands before every fault.
    ///
    /// # Errors
    /// It is no TOML.
    pub fn parse(file: &str, text: &str) -> Result<Sheet, Error> {
        let document = Document::parse(text.to_owned()).map_err(|e| {
            let at = e.span().map_or(text.len(), |span| span.start);
            Error::usage(format!("{file}:{}: {}", line(text, at), e.message()))
        })?;
        Ok(Sheet { file: file.to_owned(), text: text.to_owned(), document })
    }

    /// The table that holds all others.
    pub fn root(&self) -> Section<'_> {
        Section { sheet: self, name: String::new(), at: 0, table: self.document.as_table() }
    }
}

fn line(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// A table of a settings file.
#[derive(Clone)]
pub struct Section<'a> {
    sheet: &'a Sheet,
    name: String,
    at: usize,
    table: &'a dyn TableLike,
}

impl<'a> Section<'a> {
    /// An error about a key, with its line.
    pub fn wrong(&self, key: &str, what: impl std::fmt::Display) -> Error {
        Error::usage(format!("{}: {what}", self.place(key)))
    }

    /// File, line, table and key, as every error begins.
    pub fn place(&self, key: &str) -> String {
        let span = self.table.get_key_value(key).and_then(|(key, _)| key.span());
        let at = span.map_or(self.at, |span| span.start);
        let line = line(&self.sheet.text, at);
        let table = if self.name.is_empty() { String::new() } else { format!("[{}] ", self.name) };
        format!("{}:{line}: {table}{key}", self.sheet.file)
    }

    /// Refuses keys other than these.
    ///
    /// # Errors
    /// Names the first.
    pub fn known(&self, keys: &[&str]) -> Result<(), Error> {
        match self.table.iter().find(|(key, _)| !keys.contains(key)) {
            Some((key, _)) => Err(self.wrong(key, format!("is not known here; known: {}", keys.join(", ")))),
            None => Ok(()),
        }
    }

    /// Keys that are there, in the order of the file.
    pub fn keys(&self) -> Vec<&'a str> {
        self.table.iter().map(|(key, _)| key).collect()
    }

    /// A table below this one.
    ///
    /// # Errors
    /// There is something else.
    pub fn table(&self, key: &str) -> Result<Option<Section<'a>>, Error> {
        let Some(item) = self.table.get(key) else { return Ok(None) };
        let name = if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) };
        let span = self.table.get_key_value(key).and_then(|(key, _)| key.span());
        let at = span.map_or(self.at, |span| span.start);
        let table = item.as_table_like().ok_or_else(|| self.wrong(key, "must be a table"))?;
        Ok(Some(Section { sheet: self.sheet, name, at, table }))
    }

    fn get<T>(
        &self,
        key: &str,
        wanted: &str,
        read: impl Fn(&'a Item) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(item) = self.table.get(key) else { return Ok(None) };
        let is = || format!("must be {wanted}, is {}", item.type_name());
        read(item).map(Some).ok_or_else(|| self.wrong(key, is()))
    }

    /// A text.
    ///
    /// # Errors
    /// There is something else.
    pub fn text(&self, key: &str) -> Result<Option<&'a str>, Error> {
        self.get(key, "a text", Item::as_str)
    }

    /// True or false.
    ///
    /// # Errors
    /// There is something else.
    pub fn truth(&self, key: &str) -> Result<Option<bool>, Error> {
        self.get(key, "true or false", Item::as_bool)
    }

    /// A number within a range.
    ///
    /// # Errors
    /// There is something else, or it lies outside.
    pub fn number(&self, key: &str, range: RangeInclusive<f64>) -> Result<Option<f64>, Error> {
        let number = self.get(key, "a number", number)?;
        match number.filter(|x| !range.contains(x)) {
            Some(x) => {
                let (from, to) = range.into_inner();
                Err(self.wrong(key, format!("must be from {from} to {to}, is {x}")))
            }
            None => Ok(number),
        }
    }

    /// A whole number within a range.
    ///
    /// # Errors
    /// There is something else, or it lies outside.
    pub fn count(&self, key: &str, range: RangeInclusive<i64>) -> Result<Option<usize>, Error> {
        let count = self.get(key, "a whole number", Item::as_integer)?;
        let inside = |n: i64| {
            let fits = range.contains(&n).then(|| usize::try_from(n).ok()).flatten();
            fits.ok_or_else(|| {
                self.wrong(key, format!("must be from {} to {}, is {n}", range.start(), range.end()))
            })
        };
        count.map(inside).transpose()
    }

    /// One of a few words.
    ///
    /// # Errors
    /// It is another one.
    pub fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<Option<T>, Error> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        let known = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        found.map(Some).ok_or_else(|| self.wrong(key, format!("must be one of {}, is {text:?}", known())))
    }

    /// A list of texts.
    ///
    /// # Errors
    /// There is something else.
    pub fn texts(&self, key: &str) -> Result<Option<Vec<String>>, Error> {
        let read = |item: &Item| {
            item.as_array()?.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        };
        self.get(key, "a list of texts", read)
    }

    /// A value of any plain kind, as a parameter is written: a list gives each of its values.
    ///
    /// # Errors
    /// There is a table, or a list within a list.
    pub fn values(&self, key: &str) -> Result<Vec<String>, Error> {
        let read = |item: &Item| match item.as_array() {
            Some(list) => list.iter().map(|value| plain(&Item::Value(value.clone()))).collect(),
            None => plain(item).map(|value| vec![value]),
        };
        Ok(self.get(key, "a number, a text, true, false or a list of them", read)?.unwrap_or_default())
    }

    /// Is it a table, or an inline one?
    pub fn is_table(&self, key: &str) -> bool {
        self.table.get(key).is_some_and(|item| item.as_table_like().is_some())
    }
}

fn number(item: &Item) -> Option<f64> {
    item.as_float().or_else(|| item.as_integer().map(|n| n as f64)).filter(|x| x.is_finite())
}

/// A value as text, as parameters are written.
fn plain(item: &Item) -> Option<String> {
    let text = item.as_str().map(str::to_owned);
    let truth = || item.as_bool().map(|truth| truth.to_string());
    let whole = || item.as_integer().map(|n| n.to_string());
    text.or_else(truth).or_else(whole).or_else(|| item.as_float().map(|x| x.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[a]\nn = 3\nname = \"x\"\n\n[a.b]\nlist = [1, 2.5, \"none\"]\nflag = true\n";

    fn sheet() -> Sheet {
        Sheet::parse("run.toml", TEXT).expect("TOML")
    }

    #[test]
    fn values_of_every_kind() {
        let sheet = sheet();
        let a = sheet.root().table("a").expect("a table").expect("there");
        assert_eq!(a.count("n", 1..=9).expect("a count"), Some(3));
        assert_eq!(a.number("n", 0.0..=9.0).expect("a number"), Some(3.0));
        assert_eq!(a.word("name", &[("x", 1), ("y", 2)]).expect("a word"), Some(1));
        let b = a.table("b").expect("a table").expect("there");
        assert_eq!(b.values("list").expect("values"), ["1", "2.5", "none"]);
        assert_eq!(b.truth("flag").expect("a flag"), Some(true));
        assert_eq!(b.text("missing").expect("nothing"), None);
    }

    #[test]
    fn faults_name_file_line_table_and_key() {
        let sheet = sheet();
        let a = sheet.root().table("a").expect("a table").expect("there");
        let b = a.table("b").expect("a table").expect("there");
        let faults = [
            (
                a.known(&["n", "b"]).expect_err("unknown"),
                "run.toml:3: [a] name: is not known here; known: n, b",
            ),
            (a.count("n", 5..=9).expect_err("range"), "run.toml:2: [a] n: must be from 5 to 9, is 3"),
            (
                b.number("flag", 0.0..=1.0).expect_err("type"),
                "run.toml:7: [a.b] flag: must be a number, is boolean",
            ),
            (
                a.word("name", &[("y", 2)]).expect_err("word"),
                "run.toml:3: [a] name: must be one of y, is \"x\"",
            ),
        ];
        for (error, text) in faults {
            assert_eq!((error.to_string().as_str(), error.exit_code()), (text, 2));
        }
        let error = Sheet::parse("run.toml", "a = 1\nb = = 2\n").expect_err("no TOML").to_string();
        assert!(error.starts_with("run.toml:2: "), "{error}");
    }
}
