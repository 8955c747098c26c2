//! Instants: event time [`Ts`], process time [`Mono`].

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

const SECOND_NS: i64 = 1_000_000_000;
const DAY_S: i64 = 86_400;

/// An instant of event time: nanoseconds since 1970-01-01T00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ts(pub i64);

impl Ts {
    /// Before everything.
    pub const MIN: Ts = Ts(i64::MIN);
    /// After everything.
    pub const MAX: Ts = Ts(i64::MAX);

    /// The instant in whole milliseconds, rounded down: what a Kafka record's CreateTime can hold.
    pub fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The first instant of a millisecond.
    pub fn from_millis(ms: i64) -> Ts {
        Ts(ms.saturating_mul(1_000_000))
    }

    /// The time of day, to the millisecond: `23:54:21.312`.
    pub fn time_of_day(self) -> String {
        let (second, ns) = (self.0.div_euclid(SECOND_NS), self.0.rem_euclid(SECOND_NS));
        let of_day = second.rem_euclid(DAY_S);
        format!("{:02}:{:02}:{:02}.{:03}", of_day / 3_600, of_day / 60 % 60, of_day % 60, ns / 1_000_000)
    }
}

/// `2024-08-08T23:54:21.312Z`, to the millisecond.
impl fmt::Display for Ts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date_of(self.0.div_euclid(SECOND_NS * DAY_S));
        write!(f, "{year:04}-{month:02}-{day:02}T{}Z", self.time_of_day())
    }
}

/// The text is no instant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time: write 2024-08-08T23:54:21.312Z (UTC), or the date alone")]
pub struct BadTime(String);

impl FromStr for Ts {
    type Err = BadTime;

    /// `YYYY-MM-DD`, and behind it `THH:MM`, `THH:MM:SS` or `THH:MM:SS.` with up to nine digits; a closing `Z`
    /// may be left out.
    fn from_str(text: &str) -> Result<Ts, BadTime> {
        let read = || {
            let text = text.strip_suffix('Z').unwrap_or(text);
            let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
            let mut parts = date.splitn(3, '-').map(|part| digits(part, 2..=4));
            let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
            let days = days_of(year, month, day);
            let of_day = time_of_day(time)?;
            // Only a date that comes back as it went is one: there is no 31 April.
            let real = date_of(days) == (year, month, day);
            real.then(|| days.checked_mul(SECOND_NS * DAY_S)?.checked_add(of_day)).flatten()
        };
        read().map(Ts).ok_or_else(|| BadTime(text.to_owned()))
    }
}

/// Nanoseconds since midnight of `HH:MM[:SS[.fraction]]`.
pub(crate) fn time_of_day(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let mut parts = whole.split(':').map(|part| digits(part, 2..=2));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    let ns = digits(fraction, 1..=9)? * 10_i64.pow(9 - fraction.len() as u32);
    let real = hour < 24 && minute < 60 && second < 60 && parts.next().is_none();
    real.then_some((hour * 3_600 + minute * 60 + second) * SECOND_NS + ns)
}

fn digits(text: &str, len: std::ops::RangeInclusive<usize>) -> Option<i64> {
    let plain = len.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. A year is counted from March, so that the leap
/// day is its last; 400 years have 146 097 days.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date of a day counted from 1970-01-01.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * from_march + 2) / 5 + 1, (from_march + 2) % 12 + 1);
    (era * 400 + year + i64::from(month <= 2), month, day)
}

/// Reads a monotonic clock. The engine has none of its own; what it reads decides only when something is done.
pub trait Clock: Send + Sync {
    /// Time since some fixed moment.
    fn mono(&self) -> Mono;
    /// Waits this long. A clock of a simulation goes forward instead.
    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// A reading of a monotonic clock, taken by the caller. It decides *when* to commit, checkpoint or
/// report, never what a result is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mono(pub Duration);

impl Mono {
    /// Time gone by since an `earlier` reading; zero if the readings are the other way round.
    pub fn since(self, earlier: Mono) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds as told by the system's own `date -u +%s`.
    #[test]
    fn instants_are_read_and_written_as_dates() {
        for (text, s) in [
            ("1970-01-01T00:00:00.000Z", 0),
            ("1969-12-31T23:59:59.000Z", -1),
            ("2000-02-29T12:00:00.000Z", 951_825_600),
            ("2024-08-08T23:54:21.000Z", 1_723_161_261),
            ("2100-03-01T00:00:00.000Z", 4_107_542_400),
        ] {
            let ts = Ts(s * SECOND_NS);
            assert_eq!((ts.to_string(), text.parse()), (text.to_owned(), Ok(ts)));
        }
        let short = |text: &str| text.parse::<Ts>().expect(text).0;
        assert_eq!(short("2024-08-08T23:54:21.3125"), 1_723_161_261_312_500_000);
        assert_eq!(short("2024-08-08 23:54"), 1_723_161_240_000_000_000);
        assert_eq!(short("2024-08-08"), 1_723_075_200_000_000_000);
        assert_eq!(Ts(-1).time_of_day(), "23:59:59.999");
    }

    #[test]
    fn every_day_of_four_centuries_comes_back() {
        let mut expected = (1600, 1, 1);
        for day in -135_140..146_097 - 135_140 {
            assert_eq!(date_of(day), expected);
            assert_eq!(days_of(expected.0, expected.1, expected.2), day);
            let (y, m, d) = expected;
            let leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
            let long = [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][m as usize - 1];
            expected = match (d < long, m < 12) {
                (true, _) => (y, m, d + 1),
                (false, true) => (y, m + 1, 1),
                (false, false) => (y + 1, 1, 1),
            };
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "now",
            "2024-04-31",
            "2023-02-29",
            "2024-08-08T24:00",
            "2024-08-08T1:00",
            "2024-8-8x",
            "2024-08-08T10:00:00.1234567890",
            "2024-08-08T10:00:00:00",
            "+2024-08-08",
            "99999-01-01",
        ] {
            assert!(text.parse::<Ts>().is_err(), "{text:?}");
        }
    }
}
