//! Typed reading of TOML tables that goes on after a fault, so that all faults are told at once.

use std::collections::BTreeMap;

use toml_edit::{Item, TableLike, Value};

use super::diagnostic::{Code, Diagnostic, Diagnostics, Place, line_and_column, nearest};

/// Collects faults of one text.
pub(super) struct Reader<'a> {
    text: &'a str,
    faults: Vec<Diagnostic>,
}

/// A table, where it begins, and which rule or leaf it is.
#[derive(Clone)]
pub(super) struct Section<'a> {
    pub(super) table: &'a dyn TableLike,
    pub(super) at: usize,
    pub(super) place: Place,
}

impl<'a> Section<'a> {
    /// Where a key stands; where the table begins if it does not.
    pub(super) fn key(&self, name: &str) -> usize {
        let key = self.table.get_key_value(name).and_then(|(key, _)| key.span());
        key.map_or(self.at, |span| span.start)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// Keys that are there, with their place.
    pub(super) fn keys(&self) -> BTreeMap<String, usize> {
        self.table.iter().map(|(name, _)| (name.to_owned(), self.key(name))).collect()
    }

    fn value(&self, name: &str) -> Option<&'a Item> {
        self.table.get(name)
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Reader<'a> {
        Reader { text, faults: Vec::new() }
    }

    /// All faults, in the order of the text.
    pub(super) fn finish(mut self, file: &str) -> Diagnostics {
        self.faults.sort_by_key(|fault| (fault.at, fault.code));
        self.faults.dedup();
        Diagnostics { file: file.to_owned(), list: self.faults }
    }

    pub(super) fn fault(&mut self, code: Code, at: usize, place: &Place, field: Option<&str>, text: String) {
        let (line, column) = line_and_column(self.text, at);
        let (place, field) = (place.clone(), field.map(str::to_owned));
        self.faults.push(Diagnostic { at, line, column, code, place, field, text });
    }

    /// A fault of a key of a section.
    pub(super) fn field(&mut self, code: Code, section: &Section<'_>, name: &str, text: String) {
        self.fault(code, section.key(name), &section.place, Some(name), text);
    }

    /// Refuses keys that are not known, and offers the nearest that is.
    pub(super) fn known(&mut self, section: &Section<'_>, known: &[&str]) {
        for (name, _) in section.table.iter().filter(|(name, _)| !known.contains(name)) {
            let meant = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("known here: {}", known.join(", ")),
            };
            self.field(Code::UnknownField, section, name, format!("is not known; {meant}"));
        }
    }

    pub(super) fn required(&mut self, section: &Section<'_>, name: &str) {
        if !section.has(name) {
            self.fault(Code::Required, section.at, &section.place, Some(name), "is required".to_owned());
        }
    }

    fn wrong_type(&mut self, section: &Section<'_>, name: &str, wanted: &str) {
        let is = section.value(name).map_or("missing", Item::type_name);
        self.field(Code::WrongType, section, name, format!("must be {wanted}, is {is}"));
    }

    pub(super) fn text(&mut self, section: &Section<'a>, name: &str) -> Option<&'a str> {
        let item = section.value(name)?;
        let text = item.as_str();
        if text.is_none() {
            self.wrong_type(section, name, "a text");
        }
        text
    }

    pub(super) fn truth(&mut self, section: &Section<'_>, name: &str) -> Option<bool> {
        let item = section.value(name)?;
        let truth = item.as_bool();
        if truth.is_none() {
            self.wrong_type(section, name, "true or false");
        }
        truth
    }

    /// A finite number, written with or without a point.
    pub(super) fn number(&mut self, section: &Section<'_>, name: &str) -> Option<f64> {
        let item = section.value(name)?;
        let number = item.as_float().or_else(|| item.as_integer().map(|n| n as f64));
        match number {
            None => self.wrong_type(section, name, "a number"),
            Some(x) if !x.is_finite() => {
                self.field(Code::Range, section, name, format!("must be finite, is {x}"));
                return None;
            }
            Some(_) => {}
        }
        number
    }

    /// A whole number with a unit, `250ms`, `4s`, `2m`, `1h`, in ms.
    pub(super) fn duration_ms(&mut self, section: &Section<'a>, name: &str) -> Option<i64> {
        let text = self.text(section, name)?;
        let ms = duration_ms(text);
        if ms.is_none() {
            let wanted = "must be a whole number with ms, s, m or h";
            self.field(Code::BadDuration, section, name, format!("{wanted}, is {text:?}"));
        }
        ms
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(
        &mut self,
        section: &Section<'a>,
        name: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let text = self.text(section, name)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let known = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
            self.field(Code::Range, section, name, format!("must be one of {known}, is {text:?}"));
        }
        found
    }

    pub(super) fn texts(&mut self, section: &Section<'a>, name: &str) -> Option<Vec<&'a str>> {
        let item = section.value(name)?;
        let texts =
            item.as_array().and_then(|list| list.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
        if texts.is_none() {
            self.wrong_type(section, name, "a list of texts");
        }
        texts
    }

    /// Tables of a list, `[[name]]` or inline, each placed by `place`.
    pub(super) fn tables(
        &mut self,
        section: &Section<'a>,
        name: &str,
        place: impl Fn(usize, &dyn TableLike) -> Place,
    ) -> Vec<Section<'a>> {
        let Some(item) = section.value(name) else { return Vec::new() };
        let tables: Option<Vec<(&dyn TableLike, usize)>> = match item {
            Item::ArrayOfTables(list) => {
                let start = |span: Option<std::ops::Range<usize>>| span.map_or(section.at, |span| span.start);
                Some(list.iter().map(|t| (t as &dyn TableLike, start(t.span()))).collect())
            }
            Item::Value(Value::Array(list)) => {
                let table = |value: &'a Value| {
                    let at = value.span().map_or(section.at, |span| span.start);
                    value.as_inline_table().map(|t| (t as &dyn TableLike, at))
                };
                list.iter().map(table).collect()
            }
            Item::None | Item::Value(_) | Item::Table(_) => None,
        };
        let Some(tables) = tables else {
            self.wrong_type(section, name, "a list of tables");
            return Vec::new();
        };
        let section = |(i, (table, at)): (usize, (&'a dyn TableLike, usize))| Section {
            place: place(i, table),
            table,
            at,
        };
        tables.into_iter().enumerate().map(section).collect()
    }

    /// A table below a key.
    pub(super) fn table(&mut self, section: &Section<'a>, name: &str, place: Place) -> Option<Section<'a>> {
        let item = section.value(name)?;
        let table = item.as_table_like();
        if table.is_none() {
            self.wrong_type(section, name, "a table");
        }
        Some(Section { table: table?, at: section.key(name), place })
    }
}

fn duration_ms(text: &str) -> Option<i64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(unit_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_numbers_with_a_unit() {
        let good = [("0ms", 0), ("250ms", 250), ("4s", 4_000), ("2m", 120_000), ("1h", 3_600_000)];
        for (text, ms) in good {
            assert_eq!(duration_ms(text), Some(ms), "{text}");
        }
        for text in ["", "5", "s", "1.5s", "-1s", "1 s", "1d", "9223372036854775807h"] {
            assert_eq!(duration_ms(text), None, "{text}");
        }
    }
}
