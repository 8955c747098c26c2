//! Cells of a table as numbers: text of CSV files and typed values of Parquet files alike.

use lobstream_market::ashare::{Exchange, StockCode, TickTime};

use crate::parquet::groups::MISSING;

/// A cell that should hold an integer and does not.
pub(super) const BAD: i64 = i64::MIN + 1;
/// A cell that should hold a time of a day and does not.
pub(super) const NO_TIME: u32 = u32::MAX;

/// A short text packed into an integer, blanks at its ends left out: what enums are told by.
pub(super) const fn word(text: &[u8]) -> u32 {
    let (mut from, mut to) = (0, text.len());
    while from < to && text[from] == b' ' {
        from += 1;
    }
    while to > from && text[to - 1] == b' ' {
        to -= 1;
    }
    let (mut packed, mut i) = (0, from);
    while i < to && i < from + 4 {
        packed = packed << 8 | text[i] as u32;
        i += 1;
    }
    packed
}

/// A number as the word of its decimal text.
pub(super) fn word_of_number(number: i64) -> u32 {
    match number {
        0..10 => word(&[b'0' + number as u8]),
        10..100 => word(&[b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]),
        _ => 0,
    }
}

/// An integer, `12` or `12.0`; [`MISSING`] if blank, [`BAD`] if it is something else.
pub(super) fn int(text: &[u8]) -> i64 {
    let text = text.trim_ascii();
    if text.is_empty() {
        return MISSING;
    }
    let mut n = 0i64;
    for (i, b) in text.iter().enumerate() {
        match b {
            b'0'..=b'9' if n < i64::MAX / 20 => n = n * 10 + i64::from(b - b'0'),
            b'.' if i > 0 && text[i + 1..].iter().all(|b| *b == b'0') => return n,
            _ => {
                return std::str::from_utf8(text).ok().and_then(|t| t.parse().ok()).map_or(BAD, int_of_float);
            }
        }
    }
    n
}

/// The integer that a float holds.
pub(super) fn int_of_float(x: f64) -> i64 {
    match x {
        x if x.is_nan() => MISSING,
        x if x.fract() == 0.0 && x.abs() < 9e15 => x as i64,
        _ => BAD,
    }
}

/// A float; NaN if blank, infinite if it is no number.
pub(super) fn float(text: &[u8]) -> f64 {
    let text = text.trim_ascii();
    if text.is_empty() {
        return f64::NAN;
    }
    std::str::from_utf8(text).ok().and_then(|t| t.parse().ok()).unwrap_or(f64::INFINITY)
}

/// The digits of a code as the number they are, and what stands behind the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) number: u64,
    /// `None` without a suffix; `Some(None)` if it is of neither exchange.
    pub(super) suffix: Option<Option<Exchange>>,
}

impl Code {
    pub(super) const BAD: Code = Code { number: 0, suffix: None };

    pub(super) fn of_number(number: i64) -> Code {
        Code { number: u64::try_from(number).unwrap_or(0), suffix: None }
    }

    /// `600519`, `600519.SH`, `1`.
    pub(super) fn of_text(text: &[u8]) -> Code {
        let text = text.trim_ascii();
        let (digits, suffix) = match memchr::memchr(b'.', text) {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
            return Code::BAD;
        }
        let number = digits.iter().fold(0, |n, d| n * 10 + u64::from(d - b'0'));
        let suffix = suffix.map(|s| match word(s) {
            SH | XSHG => Some(Exchange::Sh),
            SZ | XSHE => Some(Exchange::Sz),
            _ => None,
        });
        // A code that lost its zeros as a float: `1.0`.
        let suffix = if suffix == Some(None) && text.ends_with(b".0") { None } else { suffix };
        Code { number, suffix }
    }

    /// The stock it is, in a table of an exchange or of any.
    pub(super) fn stock(self, table: Option<Exchange>) -> Option<StockCode> {
        let exchange = match (table, self.suffix) {
            (Some(table), Some(said)) => (said == Some(table)).then_some(table),
            (Some(table), None) => Some(table),
            (None, Some(said)) => said,
            (None, None) => StockCode::digits_of(self.number).and_then(Exchange::of_digits),
        };
        // Beijing has no tables of rows: its codes are those of another market here.
        StockCode::from_number(self.number, exchange.filter(|exchange| *exchange != Exchange::Bj)?)
    }
}

pub(super) const SH: u32 = word(b"SH");
pub(super) const SZ: u32 = word(b"SZ");
const XSHG: u32 = word(b"XSHG");
const XSHE: u32 = word(b"XSHE");

/// How a time column is written. A file has one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// `09:30:00.540`, with or without a date before it.
    Clock,
    /// `HHMMSSmmm` as a number.
    Number,
    /// `YYYYMMDDHHMMSSmmm` as a number.
    Stamp,
    /// `HHMMSS` as a number, which a millisecond column never is.
    Seconds,
    /// Something else: since 1970, or since midnight.
    Other,
}

/// A time cell: how it is written, `HHMMSSmmm` or [`NO_TIME`], and the date beside it, 0 if there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) unit: Option<TimeUnit>,
    pub(super) time: u32,
    pub(super) date: u32,
}

impl Time {
    pub(super) const NONE: Time = Time { unit: None, time: NO_TIME, date: 0 };

    pub(super) fn of_number(n: i64) -> Time {
        let of = |unit, clock: i64, date: i64| Time {
            unit: Some(unit),
            time: TickTime::from_number(clock).map_or(NO_TIME, |t| t.0),
            date: u32::try_from(date).unwrap_or(0),
        };
        match n {
            0 | MISSING | BAD => Time::NONE,
            1..1_000_000 => of(TimeUnit::Seconds, -1, 0),
            1_000_000..1_000_000_000 => of(TimeUnit::Number, n, 0),
            19_900_101_000_000_000..21_000_101_000_000_000 => {
                of(TimeUnit::Stamp, n % 1_000_000_000, n / 1_000_000_000)
            }
            _ => of(TimeUnit::Other, -1, 0),
        }
    }

    pub(super) fn of_text(text: &[u8]) -> Time {
        let text = text.trim_ascii();
        let Some(colon) = memchr::memchr(b':', text) else {
            return Time::of_number(int(text));
        };
        let clock = &text[colon.saturating_sub(2)..];
        let before = text[..colon.saturating_sub(2)].trim_ascii_end();
        let date = date(before.strip_suffix(b"T").unwrap_or(before));
        let time = clock_time(clock).unwrap_or(NO_TIME);
        Time { unit: Some(TimeUnit::Clock), time, date }
    }
}

/// `HH:MM:SS` and a fraction, cut to milliseconds.
fn clock_time(text: &[u8]) -> Option<u32> {
    let two = |at: usize| match (text.get(at)?, text.get(at + 1)?) {
        (a @ b'0'..=b'9', b @ b'0'..=b'9') => Some(u32::from(a - b'0') * 10 + u32::from(b - b'0')),
        _ => None,
    };
    if text.get(5) != Some(&b':') {
        return None;
    }
    let mut millis = 0;
    if let Some((b'.', fraction)) = text.get(8..).and_then(|t| t.split_first()) {
        for i in 0..3 {
            let digit = fraction.get(i).copied().unwrap_or(b'0');
            millis = millis * 10 + u32::from(digit.is_ascii_digit().then(|| digit - b'0')?);
        }
    } else if text.len() > 8 {
        return None;
    }
    TickTime::from_parts(two(0)?, two(3)?, two(6)?, millis).map(|t| t.0)
}

/// `YYYYMMDD`, `YYYY-MM-DD`, `YYYY.MM.DD` or with `/`; 0 if it is none of them.
pub(super) fn date(text: &[u8]) -> u32 {
    let (mut n, mut digits) = (0u32, 0);
    for b in text.trim_ascii() {
        match b {
            b'0'..=b'9' if digits < 8 => (n, digits) = (n * 10 + u32::from(b - b'0'), digits + 1),
            b'-' | b'.' | b'/' => {}
            _ => return 0,
        }
    }
    if digits == 8 { n } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_spelling_and_their_way_is_known() {
        let at = |t: &str| {
            let Time { unit, time, date } = Time::of_text(t.as_bytes());
            (unit, time, date)
        };
        assert_eq!(at("09:15:00.020"), (Some(TimeUnit::Clock), 91_500_020, 0));
        assert_eq!(at("2023.02.01T09:25:00.320"), (Some(TimeUnit::Clock), 92_500_320, 20_230_201));
        assert_eq!(at("2023-02-01 14:25:00"), (Some(TimeUnit::Clock), 142_500_000, 20_230_201));
        assert_eq!(at("93000540"), (Some(TimeUnit::Number), 93_000_540, 0));
        assert_eq!(at("093000540"), (Some(TimeUnit::Number), 93_000_540, 0));
        assert_eq!(at("20230201093000540"), (Some(TimeUnit::Stamp), 93_000_540, 20_230_201));
        assert_eq!(at("93000"), (Some(TimeUnit::Seconds), NO_TIME, 0));
        assert_eq!(at("1675215000540"), (Some(TimeUnit::Other), NO_TIME, 0));
        assert_eq!(at("09:61:00.000"), (Some(TimeUnit::Clock), NO_TIME, 0));
        assert_eq!(at(""), (None, NO_TIME, 0));
    }

    #[test]
    fn numbers_are_whole_or_bad_and_blank_is_missing() {
        assert_eq!(
            [int(b"100"), int(b"100.0"), int(b" 7 "), int(b""), int(b"1e2")],
            [100, 100, 7, MISSING, 100]
        );
        assert_eq!([int(b"100.5"), int(b"x"), int(b"-3")], [BAD, BAD, -3]);
        assert!(float(b"").is_nan() && float(b"x").is_infinite());
    }

    #[test]
    fn codes_keep_what_their_suffix_says() {
        let stock = |t: &str, table| Code::of_text(t.as_bytes()).stock(table).map(|c| c.to_string());
        assert_eq!(stock("1", Some(Exchange::Sz)).as_deref(), Some("000001.SZ"));
        assert_eq!(stock("333.0", Some(Exchange::Sz)).as_deref(), Some("000333.SZ"));
        assert_eq!(stock("605580.SH", None).as_deref(), Some("605580.SH"));
        assert_eq!(stock("300750", None).as_deref(), Some("300750.SZ"));
        for (bad, table) in [("605580.SH", Some(Exchange::Sz)), ("00700.HK", None), ("abc", None), ("", None)]
        {
            assert_eq!(stock(bad, table), None, "{bad}");
        }
    }

    #[test]
    fn words_leave_blanks_out_and_numbers_are_their_text() {
        assert_eq!(word(b" SH "), word(b"SH"));
        assert_eq!([word_of_number(70), word_of_number(4)], [word(b"70"), word(b"4")]);
        assert_ne!(word(b"New"), word(b"Cancel"));
    }

    #[test]
    fn dates_have_eight_digits() {
        assert_eq!([date(b"2023.07.11"), date(b"20230711"), date(b"2023-7-11")], [20_230_711, 20_230_711, 0]);
    }
}
