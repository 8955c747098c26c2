//! Parameters as a table: one list serves parsing, range checks and the report.

use std::ops::RangeInclusive;

use crate::error::Error;

/// Where the value of a parameter lives, and what it may be.
#[derive(Debug)]
pub enum Slot<'a> {
    /// A whole number.
    Count(&'a mut usize, RangeInclusive<usize>),
    /// A whole number, or none.
    MaybeCount(&'a mut Option<usize>, RangeInclusive<usize>),
    /// A number.
    Number(&'a mut f64, RangeInclusive<f64>),
    /// A number, or none.
    MaybeNumber(&'a mut Option<f64>, RangeInclusive<f64>),
    /// Yes or no.
    Flag(&'a mut bool),
    /// Text, or none.
    MaybeText(&'a mut Option<String>),
    /// Some of these words, separated by commas.
    Words(&'a mut Vec<&'static str>, &'static [&'static str]),
}

/// A parameter of a strategy.
#[derive(Debug)]
pub struct Param<'a> {
    /// Its name.
    pub name: &'static str,
    /// What it means, with its unit.
    pub doc: &'static str,
    /// Its value.
    pub slot: Slot<'a>,
}

/// Those of the bands.
pub(super) fn bands<'a>(n: &'a mut usize, k: &'a mut f64) -> [Param<'a>; 2] {
    [
        Param::new("n", "window of the bands, bars", Slot::Count(n, 2..=100_000)),
        Param::new("k", "width of the bands, standard deviations", Slot::Number(k, 0.1..=10.0)),
    ]
}

/// Those of how a position ends, and which ones there are.
pub(super) fn exits<'a>(
    sl: &'a mut Option<f64>,
    tp: &'a mut Option<f64>,
    max_hold: &'a mut Option<usize>,
    short: &'a mut bool,
) -> [Param<'a>; 4] {
    [
        Param::new("sl", "stop loss, fraction of the entry", Slot::MaybeNumber(sl, 1e-5..=0.99)),
        Param::new("tp", "take profit, fraction of the entry", Slot::MaybeNumber(tp, 1e-5..=0.99)),
        Param::new("max_hold", "longest holding time, bars", Slot::MaybeCount(max_hold, 1..=10_000_000)),
        Param::new("short", "also sell above the upper band", Slot::Flag(short)),
    ]
}

impl<'a> Param<'a> {
    /// A parameter.
    pub fn new(name: &'static str, doc: &'static str, slot: Slot<'a>) -> Param<'a> {
        Param { name, doc, slot }
    }

    /// Its value as text that [`set`] reads back.
    pub fn text(&self) -> String {
        let none = || "none".to_owned();
        match &self.slot {
            Slot::Count(value, _) => value.to_string(),
            Slot::MaybeCount(value, _) => value.map_or_else(none, |n| n.to_string()),
            Slot::Number(value, _) => value.to_string(),
            Slot::MaybeNumber(value, _) => value.map_or_else(none, |x| x.to_string()),
            Slot::Flag(value) => value.to_string(),
            Slot::MaybeText(value) => value.as_ref().map_or_else(none, String::clone),
            Slot::Words(value, _) => value.join(","),
        }
    }

    /// # Errors
    /// The value is out of range.
    pub fn check(&self) -> Result<(), Error> {
        let ok = match &self.slot {
            Slot::Count(value, range) => range.contains(*value),
            Slot::MaybeCount(value, range) => value.is_none_or(|n| range.contains(&n)),
            Slot::Number(value, range) => range.contains(*value),
            Slot::MaybeNumber(value, range) => value.is_none_or(|x| range.contains(&x)),
            Slot::Flag(_) | Slot::MaybeText(_) => true,
            Slot::Words(value, _) => !value.is_empty(),
        };
        if ok { Ok(()) } else { Err(self.bad(&self.text())) }
    }

    fn read(&mut self, text: &str) -> Option<()> {
        let text = text.trim();
        match &mut self.slot {
            Slot::Count(value, _) => **value = text.parse().ok()?,
            Slot::MaybeCount(value, _) => **value = maybe(text)?,
            Slot::Number(value, _) => **value = text.parse().ok()?,
            Slot::MaybeNumber(value, _) => **value = maybe(text)?,
            Slot::Flag(value) => **value = text.parse().ok()?,
            Slot::MaybeText(value) => **value = maybe(text)?,
            Slot::Words(value, known) => **value = words(text, known)?,
        }
        Some(())
    }

    fn bad(&self, text: &str) -> Error {
        let expected = match &self.slot {
            Slot::Count(_, r) => format!("a whole number from {} to {}", r.start(), r.end()),
            Slot::MaybeCount(_, r) => format!("a whole number from {} to {}, or none", r.start(), r.end()),
            Slot::Number(_, r) => format!("a number from {} to {}", r.start(), r.end()),
            Slot::MaybeNumber(_, r) => format!("a number from {} to {}, or none", r.start(), r.end()),
            Slot::Flag(_) => "true or false".to_owned(),
            Slot::MaybeText(_) => "text, or none".to_owned(),
            Slot::Words(_, known) => format!("some of: {}", known.join(", ")),
        };
        Error::Parameter { name: self.name, value: text.to_owned(), expected }
    }
}

fn maybe<T: std::str::FromStr>(text: &str) -> Option<Option<T>> {
    if text == "none" { Some(None) } else { text.parse().ok().map(Some) }
}

/// Known words in their own order, each at most once.
fn words(text: &str, known: &[&'static str]) -> Option<Vec<&'static str>> {
    let given: Vec<&str> = text.split(',').map(str::trim).collect();
    let is_known = given.iter().all(|word| known.contains(word));
    is_known.then(|| known.iter().copied().filter(|word| given.contains(word)).collect())
}

/// Sets one parameter from text.
///
/// # Errors
/// No such parameter, the wrong kind, or out of range.
pub fn set(strategy: &'static str, params: &mut [Param<'_>], name: &str, text: &str) -> Result<(), Error> {
    let known = || params.iter().map(|param| param.name).collect::<Vec<_>>().join(", ");
    let Some(at) = params.iter().position(|param| param.name == name) else {
        return Err(Error::UnknownParameter { strategy, name: name.to_owned(), known: known() });
    };
    let param = &mut params[at];
    if param.read(text).is_none() {
        return Err(param.bad(text));
    }
    param.check()
}
