//! A trading date, and the instants of it that orders happen at.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// Milliseconds that Shanghai is ahead of UTC, all year since 1992.
const SHANGHAI_MS: i64 = 8 * 3_600_000;
const DAY_MS: i64 = 86_400_000;

/// A calendar day of the exchange as `YYYYMMDD`, so that order of numbers is order of days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Date(u32);

impl Date {
    /// From `YYYYMMDD`; `None` if that is no day of the years 1900 to 2199.
    pub fn new(yyyymmdd: u32) -> Option<Date> {
        let (year, month, day) = (yyyymmdd / 10_000, yyyymmdd / 100 % 100, yyyymmdd % 100);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let last = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            _ => return None,
        };
        ((1900..2200).contains(&year) && (1..=last).contains(&day)).then_some(Date(yyyymmdd))
    }

    /// The day in Shanghai of an instant, ms UTC; of years that are not known the first or last one.
    pub fn of(ts_ms: i64) -> Date {
        let z = shanghai_day(ts_ms) + 719_468;
        let (era, doe) = (z.div_euclid(146_097), z.rem_euclid(146_097));
        let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        let year = yoe + era * 400 + i64::from(month <= 2);
        let day = doy - (153 * mp + 2) / 5 + 1;
        Date((year * 10_000 + month * 100 + day).clamp(19_000_101, 21_991_231) as u32)
    }

    /// As `YYYYMMDD`.
    pub fn yyyymmdd(self) -> u32 {
        self.0
    }

    /// Days since 1970-01-01 (Hinnant's civil-day count).
    pub fn days(self) -> i64 {
        let (y, m, d) = (i64::from(self.0 / 10_000), i64::from(self.0 / 100 % 100), i64::from(self.0 % 100));
        let y = if m <= 2 { y - 1 } else { y };
        let era = y.div_euclid(400);
        let yoe = y - era * 400;
        let doy = (153 * ((m + 9) % 12) + 2) / 5 + d - 1;
        era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
    }

    /// Midnight in Shanghai, ms UTC.
    pub fn midnight_ms(self) -> i64 {
        self.days() * DAY_MS - SHANGHAI_MS
    }

    /// The opening at 09:30 in Shanghai, ms UTC.
    pub fn open_ms(self) -> i64 {
        self.midnight_ms() + 9 * 3_600_000 + 30 * 60_000
    }

    /// The close at 15:00 in Shanghai, ms UTC.
    pub fn close_ms(self) -> i64 {
        self.midnight_ms() + 15 * 3_600_000
    }
}

/// The day in Shanghai of an instant, counted from 1970-01-01.
pub fn shanghai_day(ts_ms: i64) -> i64 {
    (ts_ms + SHANGHAI_MS).div_euclid(DAY_MS)
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.0 / 10_000, self.0 / 100 % 100, self.0 % 100)
    }
}

impl FromStr for Date {
    type Err = String;

    /// `2025-06-03` or `20250603`.
    fn from_str(text: &str) -> Result<Date, String> {
        let bytes = text.as_bytes();
        let digits: String = match bytes {
            [_, _, _, _, b'-', _, _, b'-', _, _] => text.split('-').collect(),
            _ => text.to_owned(),
        };
        let all_digits = digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit());
        let number = all_digits.then(|| digits.parse().ok()).flatten();
        number.and_then(Date::new).ok_or_else(|| format!("{text:?} is no day such as 2025-06-03"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_instants_are_those_of_shanghai() {
        let date: Date = "2025-06-04".parse().expect("a day");
        assert_eq!((date.yyyymmdd(), date.to_string().as_str()), (20_250_604, "2025-06-04"));
        assert_eq!(date.open_ms(), 1_749_000_600_000, "09:30 of the vectors");
        assert_eq!(date.close_ms(), 1_749_020_400_000, "15:00 of the vectors");
        assert_eq!(shanghai_day(date.open_ms()), date.days());
        assert_eq!(shanghai_day(date.midnight_ms() - 1), date.days() - 1);
        for date in ["2024-02-29", "1999-12-31", "2000-03-01", "2025-06-04"]
            .map(|t| t.parse::<Date>().expect("a day"))
        {
            assert_eq!(
                (Date::of(date.midnight_ms()), Date::of(date.midnight_ms() + DAY_MS - 1)),
                (date, date)
            );
        }
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in ["2023-02-29", "20231301", "2023-1-01", "yesterday", "202301011", "2023-01-32"] {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
        assert_eq!("20240229".parse::<Date>().map(Date::yyyymmdd), Ok(20_240_229));
        assert_eq!("19700101".parse::<Date>().map(Date::days), Ok(0));
    }
}
