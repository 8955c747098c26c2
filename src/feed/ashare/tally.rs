//! What was counted while a file was read, and whether it is good enough.

use std::collections::BTreeMap;

use super::cells::TimeUnit;
use crate::error::{InputError, InputKind};

/// Why a row was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reject {
    /// The price is not a whole number of ticks, or no number.
    OffTick,
    /// No stock of the exchange.
    BadCode,
    /// The quantity is negative, missing or not whole.
    BadQty,
    /// A cancel names both orders or none.
    BadCancel,
    /// No time of a day.
    BadTime,
    /// A kind, side or number that is not known.
    BadField,
}

impl Reject {
    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Reject::OffTick => "off_tick",
            Reject::BadCode => "bad_code",
            Reject::BadQty => "bad_qty",
            Reject::BadCancel => "bad_cancel",
            Reject::BadTime => "bad_time",
            Reject::BadField => "bad_field",
        }
    }
}

/// Counts of one file, or of parts of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows that were read.
    pub rows: u64,
    /// Rows that were dropped, by reason.
    pub rejected: BTreeMap<Reject, u64>,
    /// The first of them: its row from 1 (its line in a CSV file), and why.
    pub first: Option<(u64, Reject)>,
    /// Rows of a market that is neither of the two exchanges.
    pub other_market: u64,
    /// How its times are written.
    pub unit: Option<TimeUnit>,
}

impl Tally {
    pub(super) fn reject(&mut self, row: u64, why: Reject) {
        *self.rejected.entry(why).or_default() += 1;
        self.first.get_or_insert((row, why));
    }

    /// Rows that were dropped.
    pub fn rejected_total(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// Adds the counts of another part of the same file.
    ///
    /// # Errors
    /// The parts do not write their times alike.
    pub fn add(&mut self, file: &str, other: &Tally) -> Result<(), InputError> {
        if let (Some(one), Some(two)) = (self.unit, other.unit)
            && one != two
        {
            return Err(mixed(file, None));
        }
        self.unit = self.unit.or(other.unit);
        self.rows += other.rows;
        self.other_market += other.other_market;
        other.rejected.iter().for_each(|(why, n)| *self.rejected.entry(*why).or_default() += n);
        self.first = self.first.into_iter().chain(other.first).min();
        Ok(())
    }

    /// Accepts a file of which at most one row in a hundred was dropped.
    ///
    /// # Errors
    /// `input_quality`, with the counts and the first row that was dropped.
    pub fn judge(&self, file: &str) -> Result<(), InputError> {
        let n = self.rejected_total();
        if n * 100 <= self.rows {
            return Ok(());
        }
        let counts: Vec<String> =
            self.rejected.iter().map(|(why, n)| format!("{} {n}", why.as_str())).collect();
        let first = self.first.map(|(row, why)| format!("; the first is row {row}, {}", why.as_str()));
        let (total, counts) = (self.rows, counts.join(", "));
        let first = first.unwrap_or_default();
        let what = format!(
            "{n} of {total} rows cannot be used, more than 1 % ({counts}{first}): get the file again, or mend it"
        );
        Err(InputError { kind: InputKind::InputQuality, file: file.to_owned(), line: None, what })
    }
}

pub(super) fn mixed(file: &str, line: Option<u64>) -> InputError {
    let what = "times are written in two ways in one file: write all of them as HHMMSSmmm or as HH:MM:SS.mmm";
    InputError { kind: InputKind::UnitMixed, file: file.to_owned(), line, what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_a_hundred_is_let_pass_and_more_is_not() {
        let mut tally = Tally { rows: 200, ..Tally::default() };
        tally.reject(7, Reject::OffTick);
        tally.reject(9, Reject::BadQty);
        assert_eq!(tally.judge("x"), Ok(()));
        tally.reject(3, Reject::BadQty);
        let error = tally.judge("x").unwrap_err();
        assert_eq!(error.kind, InputKind::InputQuality);
        assert!(error.what.contains("3 of 200") && error.what.contains("off_tick 1, bad_qty 2"), "{error}");
        assert!(error.what.contains("row 7, off_tick"), "{error}");
    }

    #[test]
    fn parts_of_a_file_must_agree_on_their_unit() {
        let part = |unit| Tally { rows: 1, unit, ..Tally::default() };
        let mut all = part(None);
        assert_eq!(all.add("x", &part(Some(TimeUnit::Number))), Ok(()));
        assert_eq!(all.add("x", &part(Some(TimeUnit::Clock))).unwrap_err().kind, InputKind::UnitMixed);
        assert_eq!(all.rows, 2);
    }
}
