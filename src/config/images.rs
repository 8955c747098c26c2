//! The `[images]` block of a configuration file.

use std::path::Path;

use lobstream_market::images::{Arith, Bins, Compat, Normalise};
use toml_edit::{Document, Item, TableLike};

use crate::error::Error;
use crate::images::{Settings, arith_name, bins_name, compat_name, normalise_name};

const KEYS: [&str; 9] = [
    "bins",
    "arith",
    "std_multiplier",
    "normalise",
    "max_rows_per_stock",
    "compat",
    "grace_s",
    "reopen",
    "intraday",
];
const INTRADAY_KEYS: [&str; 3] = ["every", "lookback", "min_days"];

/// Settings of a file, or the defaults without one. Other blocks are not looked at.
///
/// # Errors
/// The file cannot be read; a key is not known or out of range: named with its line.
pub fn load(file: Option<&Path>) -> Result<Settings, Error> {
    let Some(path) = file else { return Ok(Settings::default()) };
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| Error::usage(format!("cannot read {name}: {e}")))?;
    parse(&name, &text)
}

/// Settings of a text; `name` stands before the fault.
///
/// # Errors
/// The first fault.
pub fn parse(name: &str, text: &str) -> Result<Settings, Error> {
    let file = File { name, text };
    let document = Document::parse(text).map_err(|e| {
        let at = e.span().map_or(text.len(), |span| span.start);
        Error::usage(format!("{}: {}", file.place(at), e.message()))
    })?;
    let mut settings = Settings::default();
    let Some(block) = file.table(document.as_table(), "images")? else { return Ok(settings) };
    let block = Block { file: &file, table: block, name: "images" };
    block.known(&KEYS)?;
    block.word("bins", &[Bins::Separate, Bins::Joint], bins_name, &mut settings.image.bins)?;
    block.word("arith", &[Arith::Ticks, Arith::PriceF64], arith_name, &mut settings.image.arith)?;
    let normalise = [Normalise::Log1pMax, Normalise::None];
    block.word("normalise", &normalise, normalise_name, &mut settings.image.normalise)?;
    block.word("compat", &[Compat::None, Compat::Ancestor], compat_name, &mut settings.image.compat)?;
    if let Some((at, item)) = block.item("std_multiplier") {
        let number = item.as_float().or_else(|| item.as_integer().map(|n| n as f64));
        let number = number.filter(|n| n.is_finite() && (0.0..=100.0).contains(n));
        settings.image.std_multiplier =
            number.ok_or_else(|| block.bad(at, "std_multiplier", "a number from 0 to 100"))?;
    }
    if let Some(n) = block.int("max_rows_per_stock", 1..=u32::MAX)? {
        settings.max_rows_per_stock = u64::from(n);
    }
    if let Some(n) = block.int("grace_s", 0..=3600)? {
        settings.grace_s = n;
    }
    if let Some((at, item)) = block.item("reopen") {
        settings.reopen = item.as_bool().ok_or_else(|| block.bad(at, "reopen", "true or false"))?;
    }
    let Some(intraday) = file.table(block.table, "intraday")? else { return Ok(settings) };
    let block = Block { file: &file, table: intraday, name: "images.intraday" };
    block.known(&INTRADAY_KEYS)?;
    if let Some((at, item)) = block.item("every") {
        let expected = "\"off\" or whole seconds such as \"60s\", at most \"3600s\"";
        settings.intraday.every_s = match item.as_str() {
            Some("off") => None,
            Some(text) => {
                let seconds = text.strip_suffix('s').and_then(|n| n.parse().ok());
                let seconds = seconds.filter(|n| (1..=3600).contains(n));
                Some(seconds.ok_or_else(|| block.bad(at, "every", expected))?)
            }
            None => return Err(block.bad(at, "every", expected)),
        };
    }
    if let Some(n) = block.int("lookback", 1..=1000)? {
        settings.intraday.lookback = n;
    }
    if let Some(n) = block.int("min_days", 1..=settings.intraday.lookback)? {
        settings.intraday.min_days = n;
    }
    Ok(settings)
}

struct File<'a> {
    name: &'a str,
    text: &'a str,
}

impl File<'_> {
    fn place(&self, at: usize) -> String {
        let line = self.text[..at.min(self.text.len())].matches('\n').count() + 1;
        format!("{}:{line}", self.name)
    }

    fn table<'t>(&self, of: &'t dyn TableLike, key: &str) -> Result<Option<&'t dyn TableLike>, Error> {
        let Some(item) = of.get(key) else { return Ok(None) };
        let at = item.span().map_or(0, |span| span.start);
        let table = item.as_table_like();
        table.map(Some).ok_or_else(|| Error::usage(format!("{}: {key} must be a table", self.place(at))))
    }
}

struct Block<'a> {
    file: &'a File<'a>,
    table: &'a dyn TableLike,
    name: &'static str,
}

impl<'a> Block<'a> {
    fn known(&self, keys: &[&str]) -> Result<(), Error> {
        let Some((key, _)) = self.table.iter().find(|(key, _)| !keys.contains(key)) else { return Ok(()) };
        let at = self.table.get_key_value(key).and_then(|(key, _)| key.span()).map_or(0, |span| span.start);
        let (place, name) = (self.file.place(at), self.name);
        Err(Error::usage(format!("{place}: [{name}] has no key {key:?}; it has: {}", keys.join(", "))))
    }

    fn item(&self, key: &str) -> Option<(usize, &'a Item)> {
        let item = self.table.get(key)?;
        Some((item.span().map_or(0, |span| span.start), item))
    }

    fn bad(&self, at: usize, key: &str, expected: &str) -> Error {
        Error::usage(format!("{}: [{}] {key} must be {expected}", self.file.place(at), self.name))
    }

    fn word<T: Copy>(
        &self,
        key: &str,
        values: &[T],
        name: fn(T) -> &'static str,
        into: &mut T,
    ) -> Result<(), Error> {
        let Some((at, item)) = self.item(key) else { return Ok(()) };
        let found = values.iter().find(|value| item.as_str() == Some(name(**value)));
        let names: Vec<String> = values.iter().map(|value| format!("{:?}", name(*value))).collect();
        *into = *found.ok_or_else(|| self.bad(at, key, &names.join(" or ")))?;
        Ok(())
    }

    fn int(&self, key: &str, range: std::ops::RangeInclusive<u32>) -> Result<Option<u32>, Error> {
        let Some((at, item)) = self.item(key) else { return Ok(None) };
        let n = item.as_integer().and_then(|n| u32::try_from(n).ok()).filter(|n| range.contains(n));
        let expected = || format!("a whole number from {} to {}", range.start(), range.end());
        n.map(Some).ok_or_else(|| self.bad(at, key, &expected()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let base = Settings::default();
        assert_eq!(parse("c", "").expect("no block"), base);
        assert_eq!(parse("c", &base.text()).expect("every key"), base);
        let mut other = base;
        other.image.bins = Bins::Joint;
        other.image.arith = Arith::PriceF64;
        other.image.compat = Compat::Ancestor;
        other.image.normalise = Normalise::None;
        other.image.std_multiplier = 2.0;
        other.max_rows_per_stock = 7;
        (other.grace_s, other.reopen) = (1, true);
        other.intraday = crate::images::Intraday { every_s: Some(60), lookback: 3, min_days: 2 };
        assert_eq!(parse("c", &other.text()).expect("every key"), other);
        assert_eq!(parse("c", "[images]\nstd_multiplier = 2\n").expect("whole").image.std_multiplier, 2.0);
    }

    #[test]
    fn what_is_not_known_or_out_of_range_is_named_with_its_line() {
        for (text, words) in [
            ("[images]\nbin = 1\n", "c:2: [images] has no key \"bin\"; it has: bins"),
            ("\n[images.intraday]\nevry = 1\n", "c:3: [images.intraday] has no key \"evry\""),
            ("[images]\nbins = \"both\"\n", "c:2: [images] bins must be \"separate\" or \"joint\""),
            ("[images]\nstd_multiplier = -1\n", "std_multiplier must be a number from 0 to 100"),
            ("[images]\nmax_rows_per_stock = 0\n", "max_rows_per_stock must be a whole number from 1"),
            ("[images]\ngrace_s = 3601\n", "grace_s must be"),
            ("[images]\nreopen = 1\n", "reopen must be true or false"),
            ("[images.intraday]\nevery = \"1h\"\n", "every must be \"off\""),
            ("[images.intraday]\nmin_days = 21\n", "min_days must be a whole number from 1 to 20"),
            ("images = 3\n", "c:1: images must be a table"),
            ("[images\n", "c:1: "),
        ] {
            let error = parse("c", text).expect_err(text);
            assert!(error.to_string().contains(words) && error.exit_code() == 2, "{text}: {error}");
        }
    }
}
