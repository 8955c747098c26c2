//! Days of the calendar as flags name them.

use std::fmt;

use crate::error::Error;

/// A day; ordered as it is in time. Shown as `20230711`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u32,
    month: u32,
    day: u32,
}

impl Date {
    /// `20230711` or `2023-07-11`, from 1990 to 2099.
    ///
    /// # Errors
    /// Names the flag.
    pub fn parse(flag: &str, text: &str) -> Result<Date, Error> {
        let bad = || Error::usage(format!("{flag} {text:?} is no day: write 20230711 or 2023-07-11"));
        let parts: Vec<&str> = text.split('-').collect();
        let digits = match parts[..] {
            [whole] if whole.len() == 8 => whole.to_owned(),
            [year, month, day] if (year.len(), month.len(), day.len()) == (4, 2, 2) => parts.concat(),
            _ => return Err(bad()),
        };
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        let n: u32 = digits.parse().map_err(|_| bad())?;
        let date = Date { year: n / 10_000, month: n / 100 % 100, day: n % 100 };
        let valid = (1990..2100).contains(&date.year)
            && (1..=12).contains(&date.month)
            && (1..=date.days_of_month()).contains(&date.day);
        if valid { Ok(date) } else { Err(bad()) }
    }

    /// As the number 20230711.
    pub fn number(self) -> u32 {
        (self.year * 100 + self.month) * 100 + self.day
    }

    /// The day after.
    pub fn next(self) -> Date {
        match self {
            Date { day, .. } if day < self.days_of_month() => Date { day: day + 1, ..self },
            Date { month: 12, year, .. } => Date { year: year + 1, month: 1, day: 1 },
            Date { month, .. } => Date { month: month + 1, day: 1, ..self },
        }
    }

    fn days_of_month(self) -> u32 {
        let leap =
            self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        match self.month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}{:02}{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_follow_each_other() {
        let next = |text| Date::parse("--date", text).expect(text).next().to_string();
        assert_eq!(next("20230711"), "20230712");
        assert_eq!(next("2024-02-28"), "20240229");
        assert_eq!(
            [next("20230228"), next("20230430"), next("20231231")],
            ["20230301", "20230501", "20240101"]
        );
    }

    #[test]
    fn what_is_no_day_is_refused_by_name() {
        for bad in ["2023711", "20230732", "20231301", "20230229", "2023-7-11", "+2023071", "19891231", ""] {
            let error = Date::parse("--from", bad).expect_err(bad);
            assert!(error.to_string().contains("--from") && error.exit_code() == 2, "{error}");
        }
    }
}
