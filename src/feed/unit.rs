//! Units of integer time stamps, told by their magnitude and then held to it.

use crate::error::InputKind;

/// Unit of an integer time stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimeUnit {
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
}

/// 1990-01-01T00:00Z.
const NS_MIN: i64 = 631_152_000_000_000_000;
/// 2100-01-01T00:00Z.
const NS_END: i64 = 4_102_444_800_000_000_000;

impl TimeUnit {
    /// The unit whose magnitudes hold this value; `None` for 0 and for the gap between s and ms.
    pub fn of(value: i64) -> Option<TimeUnit> {
        match value.unsigned_abs() {
            1..10_000_000_000 => Some(TimeUnit::S),
            100_000_000_000..100_000_000_000_000 => Some(TimeUnit::Ms),
            100_000_000_000_000..100_000_000_000_000_000 => Some(TimeUnit::Us),
            100_000_000_000_000_000..10_000_000_000_000_000_000 => Some(TimeUnit::Ns),
            _ => None,
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            TimeUnit::S => "s",
            TimeUnit::Ms => "ms",
            TimeUnit::Us => "us",
            TimeUnit::Ns => "ns",
        }
    }

    fn ns_each(self) -> i64 {
        match self {
            TimeUnit::S => 1_000_000_000,
            TimeUnit::Ms => 1_000_000,
            TimeUnit::Us => 1_000,
            TimeUnit::Ns => 1,
        }
    }

    /// In ns, if that lies in 1990–2100.
    pub fn ns(self, value: i64) -> Option<i64> {
        value.checked_mul(self.ns_each()).filter(|ns| in_range(*ns))
    }
}

/// Is it a time of 1990–2100?
pub fn in_range(ns: i64) -> bool {
    (NS_MIN..NS_END).contains(&ns)
}

/// Why a value of a time column has no meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeError {
    /// The first value does not tell its unit.
    Ambiguous,
    /// The first value, in its unit, lies outside 1990–2100.
    FirstOutOfRange(TimeUnit),
    /// Another unit than the values before.
    Mixed(TimeUnit, TimeUnit),
    /// The unit is known, and this value lies outside 1990–2100.
    OutOfRange,
}

impl TimeError {
    /// The rule that is broken, and words for it.
    pub(crate) fn explain(self, column: &str, value: i64) -> (InputKind, String) {
        match self {
            TimeError::Ambiguous => {
                (InputKind::UnitAmbiguous, format!("{column} {value}: neither s, ms, µs nor ns"))
            }
            TimeError::FirstOutOfRange(unit) => (
                InputKind::UnitOutOfRange,
                format!("{column} {value} in {} lies outside 1990-2100", unit.as_str()),
            ),
            TimeError::Mixed(first, now) => (
                InputKind::UnitMixed,
                format!(
                    "{column} {value} is in {}, those before in {}: split the file there",
                    now.as_str(),
                    first.as_str()
                ),
            ),
            TimeError::OutOfRange => {
                (InputKind::Malformed, format!("{column} {value} lies outside 1990-2100"))
            }
        }
    }
}

/// A column of time stamps: the first one tells the unit of all.
#[derive(Clone, Copy, Debug, Default)]
pub struct TimeColumn {
    unit: Option<TimeUnit>,
}

impl TimeColumn {
    /// A value in ns.
    ///
    /// # Errors
    /// See [`TimeError`]. All but the last mean that the column as a whole is not understood.
    pub fn ns(&mut self, value: i64) -> Result<i64, TimeError> {
        let Some(unit) = self.unit else {
            let unit = TimeUnit::of(value).ok_or(TimeError::Ambiguous)?;
            let ns = unit.ns(value).ok_or(TimeError::FirstOutOfRange(unit))?;
            self.unit = Some(unit);
            return Ok(ns);
        };
        match TimeUnit::of(value) {
            Some(other) if other != unit => Err(TimeError::Mixed(unit, other)),
            Some(_) => unit.ns(value).ok_or(TimeError::OutOfRange),
            None => Err(TimeError::OutOfRange),
        }
    }
}

/// Decimal seconds, as `1646003667.399285`, in ns; digits beyond the ninth are rounded half up.
pub fn decimal_seconds(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 10 || !digits(whole) || !digits(part) {
        return None;
    }
    let nanos = part.bytes().take(9).chain(std::iter::repeat(b'0')).take(9);
    let nanos = nanos.fold(0i64, |sum, b| sum * 10 + i64::from(b - b'0'));
    let round = i64::from(part.as_bytes().get(9).is_some_and(|b| *b >= b'5'));
    let ns = whole.parse::<i64>().ok()?.checked_mul(1_000_000_000)?.checked_add(nanos + round)?;
    Some(ns).filter(|ns| in_range(*ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_unit_detect() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/spec/vectors/book_sync.json");
        let Ok(text) = std::fs::read_to_string(path) else {
            crate::said(&format!("SKIPPED the_vectors_of_unit_detect: {path} is absent"));
            return;
        };
        let all: serde_json::Value = serde_json::from_str(&text).expect("json");
        let cases = all["unit_detect"].as_array().expect("cases");
        assert!(cases.len() >= 10);
        for case in cases {
            let value = case["value"].as_i64().expect("value");
            let got = TimeColumn::default().ns(value);
            match case["error"].as_str() {
                Some("unit_ambiguous") => assert_eq!(got, Err(TimeError::Ambiguous), "{case}"),
                Some("unit_out_of_range") => {
                    assert!(matches!(got, Err(TimeError::FirstOutOfRange(_))), "{case}");
                }
                other => {
                    assert_eq!(other, None, "{case}");
                    assert_eq!(got.ok(), case["ns"].as_i64(), "{case}");
                }
            }
            let unit = TimeUnit::of(value).map(TimeUnit::as_str);
            assert_eq!(unit, case["unit"].as_str(), "{case}");
        }
    }

    #[test]
    fn a_column_keeps_its_unit() {
        let mut column = TimeColumn::default();
        assert_eq!(column.ns(1_735_689_599_999), Ok(1_735_689_599_999_000_000));
        assert_eq!(
            column.ns(1_735_689_600_000_000),
            Err(TimeError::Mixed(TimeUnit::Ms, TimeUnit::Us)),
            "a dump that changes to µs in the middle"
        );
        assert_eq!(column.ns(0), Err(TimeError::OutOfRange));
        assert_eq!(column.ns(99_999_999_999_999), Err(TimeError::OutOfRange), "the year 5138");
        assert_eq!(column.ns(1_735_689_600_001), Ok(1_735_689_600_001_000_000));
    }

    #[test]
    fn decimal_seconds_are_exact() {
        assert_eq!(decimal_seconds("1646003667.399285"), Some(1_646_003_667_399_285_000));
        assert_eq!(decimal_seconds("1633998512"), Some(1_633_998_512_000_000_000));
        assert_eq!(decimal_seconds("1633998512.1234567894"), Some(1_633_998_512_123_456_789));
        assert_eq!(decimal_seconds("1633998512.1234567895"), Some(1_633_998_512_123_456_790));
        assert_eq!(decimal_seconds("1633998512.9999999999"), Some(1_633_998_513_000_000_000));
        for text in ["", ".5", "-1633998512", "1633998512.1e3", "16339985120", "12", "1.2.3"] {
            assert_eq!(decimal_seconds(text), None, "{text}");
        }
    }
}
