//! A piece of a table, column by column, as numbers: what both CSV and Parquet become before rows are made.

use std::ops::Range;

use super::cells::{self, BAD, Code, Time, TimeUnit, float, int, int_of_float, word, word_of_number};
use super::layout::Field;
use crate::parquet::groups::{MISSING, Values};

/// Columns of equal length; one that the table does not have is empty.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub(super) rows: usize,
    pub(super) code: Vec<Code>,
    pub(super) time: Vec<Time>,
    pub(super) date: Vec<u32>,
    pub(super) price: Vec<f64>,
    pub(super) money: Vec<f64>,
    pub(super) qty: Vec<i64>,
    pub(super) buy_no: Vec<i64>,
    pub(super) sell_no: Vec<i64>,
    pub(super) no: Vec<i64>,
    pub(super) index: Vec<i64>,
    pub(super) sz_index: Vec<i64>,
    pub(super) channel: Vec<i64>,
    pub(super) kind: Vec<u32>,
    pub(super) flag: Vec<u32>,
    pub(super) side: Vec<u32>,
    pub(super) market: Vec<u32>,
    pub(super) source: Vec<u32>,
    pub(super) aggressive: Vec<u32>,
}

impl Columns {
    pub(super) fn clear(&mut self) {
        self.rows = 0;
        self.code.clear();
        self.time.clear();
        self.date.clear();
        for column in [&mut self.price, &mut self.money] {
            column.clear();
        }
        for field in INTS {
            self.ints(field).clear();
        }
        for field in WORDS {
            self.words(field).clear();
        }
    }

    /// Appends the text of one cell.
    pub(super) fn push_text(&mut self, field: Field, text: &[u8]) {
        match field {
            Field::Code => self.code.push(Code::of_text(text)),
            Field::Time => self.time.push(Time::of_text(text)),
            Field::Date => self.date.push(cells::date(text)),
            Field::Price => self.price.push(float(text)),
            Field::Money => self.money.push(float(text)),
            Field::Qty | Field::BuyNo | Field::SellNo | Field::No => self.ints(field).push(int(text)),
            Field::Index | Field::SzIndex | Field::Channel => self.ints(field).push(int(text)),
            Field::Kind | Field::Flag | Field::Side => self.words(field).push(word(text)),
            Field::Market | Field::Source | Field::Aggressive => self.words(field).push(word(text)),
        }
    }

    /// Appends a range of a column of typed values.
    pub(super) fn push_values(&mut self, field: Field, values: &Values, range: Range<usize>) {
        match field {
            Field::Code => fill(&mut self.code, values, range, Code::of_number, Code::of_text, Code::BAD),
            Field::Time => fill(&mut self.time, values, range, Time::of_number, Time::of_text, Time::NONE),
            Field::Date => fill(&mut self.date, values, range, date_of_number, cells::date, 0),
            Field::Price => floats(&mut self.price, values, range),
            Field::Money => floats(&mut self.money, values, range),
            Field::Qty | Field::BuyNo | Field::SellNo | Field::No => {
                fill_ints(self.ints(field), values, range)
            }
            Field::Index | Field::SzIndex | Field::Channel => fill_ints(self.ints(field), values, range),
            Field::Kind | Field::Flag | Field::Side => fill_words(self.words(field), values, range),
            Field::Market | Field::Source | Field::Aggressive => fill_words(self.words(field), values, range),
        }
    }

    /// The first two ways in which times of these rows are written, and the row of the second.
    pub(super) fn units(&self) -> (Option<TimeUnit>, Option<(usize, TimeUnit)>) {
        let mut said = self.time.iter().enumerate().filter_map(|(row, t)| Some((row, t.unit?)));
        let first = said.next().map(|(_, unit)| unit);
        (first, said.find(|(_, unit)| Some(*unit) != first))
    }

    fn ints(&mut self, field: Field) -> &mut Vec<i64> {
        match field {
            Field::Qty => &mut self.qty,
            Field::BuyNo => &mut self.buy_no,
            Field::SellNo => &mut self.sell_no,
            Field::No => &mut self.no,
            Field::Index => &mut self.index,
            Field::SzIndex => &mut self.sz_index,
            _ => &mut self.channel,
        }
    }

    fn words(&mut self, field: Field) -> &mut Vec<u32> {
        match field {
            Field::Kind => &mut self.kind,
            Field::Flag => &mut self.flag,
            Field::Side => &mut self.side,
            Field::Market => &mut self.market,
            Field::Source => &mut self.source,
            _ => &mut self.aggressive,
        }
    }
}

const INTS: [Field; 7] =
    [Field::Qty, Field::BuyNo, Field::SellNo, Field::No, Field::Index, Field::SzIndex, Field::Channel];
const WORDS: [Field; 6] =
    [Field::Kind, Field::Flag, Field::Side, Field::Market, Field::Source, Field::Aggressive];

fn date_of_number(n: i64) -> u32 {
    u32::try_from(n).ok().filter(|n| (10_000_000..100_000_000).contains(n)).unwrap_or(0)
}

fn fill<T: Copy>(
    into: &mut Vec<T>,
    values: &Values,
    range: Range<usize>,
    of_number: impl Fn(i64) -> T,
    of_text: impl Fn(&[u8]) -> T,
    none: T,
) {
    match values {
        Values::Ints(v) => into.extend(v[range].iter().map(|n| of_number(*n))),
        Values::Floats(v) => into.extend(v[range].iter().map(|x| of_number(int_of_float(*x)))),
        Values::Texts(v) => v.each(range, |t| into.push(t.map_or(none, |t| of_text(t.as_bytes())))),
        Values::Bools(_) => into.extend(range.map(|_| none)),
    }
}

fn fill_ints(into: &mut Vec<i64>, values: &Values, range: Range<usize>) {
    match values {
        Values::Ints(v) => into.extend_from_slice(&v[range]),
        Values::Floats(v) => into.extend(v[range].iter().map(|x| int_of_float(*x))),
        Values::Texts(v) => v.each(range, |t| into.push(t.map_or(MISSING, |t| int(t.as_bytes())))),
        Values::Bools(_) => into.extend(range.map(|_| BAD)),
    }
}

fn fill_words(into: &mut Vec<u32>, values: &Values, range: Range<usize>) {
    match values {
        Values::Ints(v) => into.extend(v[range].iter().map(|n| word_of_number(*n))),
        Values::Floats(v) => into.extend(v[range].iter().map(|x| word_of_number(int_of_float(*x)))),
        Values::Texts(v) => v.each(range, |t| into.push(t.map_or(0, |t| word(t.as_bytes())))),
        Values::Bools(v) => {
            into.extend(v[range].iter().map(|b| b.map_or(0, |b| word(if b { b"1" } else { b"0" }))));
        }
    }
}

fn floats(into: &mut Vec<f64>, values: &Values, range: Range<usize>) {
    match values {
        Values::Ints(v) => {
            into.extend(v[range].iter().map(|n| if *n == MISSING { f64::NAN } else { *n as f64 }));
        }
        Values::Floats(v) => into.extend_from_slice(&v[range]),
        Values::Texts(v) => v.each(range, |t| into.push(t.map_or(f64::NAN, |t| float(t.as_bytes())))),
        Values::Bools(_) => into.extend(range.map(|_| f64::INFINITY)),
    }
}
