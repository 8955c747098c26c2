//! Trading days: dates as the exchange writes them, and which of them it trades on.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A date of the exchange's own calendar, written YYYYMMDD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(u32);

impl Day {
    /// The date with this year (1900–2200), month and day; `None` if there is none.
    pub fn new(year: i32, month: u32, day: u32) -> Option<Day> {
        let fits = (1900..=2200).contains(&year) && (1..=12).contains(&month) && day >= 1;
        (fits && day <= month_days(year, month)).then(|| Day(year as u32 * 10_000 + month * 100 + day))
    }

    /// The date that an integer YYYYMMDD writes.
    pub fn from_number(n: i64) -> Option<Day> {
        let n = u32::try_from(n).ok()?;
        Day::new((n / 10_000) as i32, n / 100 % 100, n % 100)
    }

    /// As the integer YYYYMMDD.
    pub fn number(self) -> u32 {
        self.0
    }

    /// Days since 1970-01-01.
    pub fn since_1970(self) -> i32 {
        // Howard Hinnant, "chrono-compatible low-level date algorithms": years begin in March.
        let (y, m, d) = ((self.0 / 10_000) as i32, (self.0 / 100 % 100) as i32, (self.0 % 100) as i32);
        let y = if m <= 2 { y - 1 } else { y };
        let (era, in_era) = (y.div_euclid(400), y.rem_euclid(400));
        let in_year = (153 * (m + if m > 2 { -3 } else { 9 }) + 2) / 5 + d - 1;
        era * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719_468
    }

    /// The date that many days after 1970-01-01; `None` outside 1900–2200.
    pub fn from_1970(days: i32) -> Option<Day> {
        let z = days.checked_add(719_468)?;
        let (era, in_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
        let year = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
        let in_year = in_era - (365 * year + year / 4 - year / 100);
        let month = (5 * in_year + 2) / 153;
        let day = in_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        Day::new(year + era * 400 + i32::from(month <= 2), month as u32, day as u32)
    }

    /// The date that many calendar days later (earlier if negative); it stops at 1900 and 2200.
    pub fn plus(self, days: i32) -> Day {
        let end = if days < 0 { Day(19_000_101) } else { Day(22_001_231) };
        Day::from_1970(self.since_1970().saturating_add(days)).unwrap_or(end)
    }
}

fn month_days(year: i32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08}", self.0)
    }
}

/// A text is no date.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no date: write YYYYMMDD")]
pub struct NoDay(pub String);

impl FromStr for Day {
    type Err = NoDay;

    /// Reads YYYYMMDD, YYYY-MM-DD, YYYY/MM/DD and YYYY.MM.DD.
    fn from_str(text: &str) -> Result<Day, NoDay> {
        let bytes = text.trim().as_bytes();
        let digits: Vec<u8> = match bytes.len() {
            8 => bytes.to_vec(),
            10 if bytes[4] == bytes[7] && b"-/.".contains(&bytes[4]) => {
                [&bytes[..4], &bytes[5..7], &bytes[8..]].concat()
            }
            _ => return Err(NoDay(text.to_owned())),
        };
        let plain = digits.iter().all(u8::is_ascii_digit);
        let n = digits.iter().fold(0, |n, d| n * 10 + i64::from(d.wrapping_sub(b'0')));
        plain.then(|| Day::from_number(n)).flatten().ok_or_else(|| NoDay(text.to_owned()))
    }
}

/// The days an exchange traded on, or will. Nothing is said of days outside of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    days: Vec<Day>,
}

impl Calendar {
    /// A calendar of these days, in any order.
    pub fn new(mut days: Vec<Day>) -> Calendar {
        days.sort_unstable();
        days.dedup();
        Calendar { days }
    }

    /// All days, ascending.
    pub fn days(&self) -> &[Day] {
        &self.days
    }

    /// Does it trade on this day?
    pub fn trades_on(&self, day: Day) -> bool {
        self.days.binary_search(&day).is_ok()
    }

    /// The last trading day before.
    pub fn before(&self, day: Day) -> Option<Day> {
        self.days[..self.place(day)].last().copied()
    }

    /// The first trading day after.
    pub fn after(&self, day: Day) -> Option<Day> {
        self.days.get(self.days.partition_point(|d| *d <= day)).copied()
    }

    /// The last `n` trading days up to and with `day`, ascending; fewer where the calendar begins.
    pub fn last(&self, day: Day, n: usize) -> &[Day] {
        let end = self.days.partition_point(|d| *d <= day);
        &self.days[end.saturating_sub(n)..end]
    }

    /// Trading days from `from` to `to`, both included, ascending.
    pub fn between(&self, from: Day, to: Day) -> &[Day] {
        let (start, end) = (self.place(from), self.days.partition_point(|d| *d <= to));
        &self.days[start.min(end)..end]
    }

    fn place(&self, day: Day) -> usize {
        self.days.partition_point(|d| *d < day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(n: i64) -> Day {
        Day::from_number(n).expect("a date")
    }

    #[test]
    fn every_day_of_three_centuries_counts_up_by_one() {
        let mut expected = day(19_000_101).since_1970();
        assert_eq!((day(19_700_101).since_1970(), day(20_240_229).since_1970()), (0, 19_782));
        for year in 1900..=2200 {
            for month in 1..=12 {
                for d in (1..=31).filter_map(|d| Day::new(year, month, d)) {
                    assert_eq!(d.since_1970(), expected, "{d}");
                    assert_eq!(Day::from_1970(expected), Some(d));
                    expected += 1;
                }
            }
        }
        assert_eq!(expected, day(22_001_231).since_1970() + 1);
    }

    #[test]
    fn dates_are_read_in_four_spellings_and_nothing_else() {
        for text in ["20230201", "2023-02-01", "2023.02.01", "2023/02/01", " 20230201 "] {
            assert_eq!(text.parse(), Ok(day(20_230_201)), "{text}");
        }
        for text in ["", "20230229", "2023-2-1", "2023-02/01", "2023020a", "202302011", "+2023020"] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_calendar_answers_around_weekends_and_at_its_ends() {
        let calendar = Calendar::new([20_250_106, 20_250_103, 20_250_102, 20_250_103].map(day).to_vec());
        assert!(calendar.trades_on(day(20_250_103)) && !calendar.trades_on(day(20_250_104)));
        assert_eq!(calendar.before(day(20_250_105)), Some(day(20_250_103)));
        assert_eq!(calendar.before(day(20_250_103)), Some(day(20_250_102)));
        assert_eq!(calendar.before(day(20_250_102)), None);
        assert_eq!(calendar.after(day(20_250_103)), Some(day(20_250_106)));
        assert_eq!(calendar.after(day(20_250_106)), None);
        assert_eq!(calendar.last(day(20_250_105), 5), [day(20_250_102), day(20_250_103)]);
        assert_eq!(calendar.last(day(20_250_106), 1), [day(20_250_106)]);
        assert_eq!(calendar.between(day(20_250_103), day(20_250_110)).len(), 2);
        assert!(calendar.between(day(20_250_110), day(20_250_103)).is_empty());
    }

    #[test]
    fn days_are_added_across_years() {
        assert_eq!(day(20_250_320).plus(-19), day(20_250_301));
        assert_eq!(day(20_241_231).plus(1), day(20_250_101));
        assert_eq!(day(22_001_230).plus(100), day(22_001_231));
    }
}
