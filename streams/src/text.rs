//! `Text`: a message and its codec for topologies whose topics hold text and numbers, so that a first one needs
//! neither an enum nor conversions of its own.
//!
//! A record is its text. Numbers are read from it where an operator wants one, and are written into it where one
//! comes out; a text that is no such number becomes a dead letter. A window's result is the text of its value:
//! the record's time is the last instant of the window, so window and key can still be told.
//!
//! ```
//! use std::time::Duration;
//!
//! use lobstream_streams::record::Record;
//! use lobstream_streams::testing::TestDriver;
//! use lobstream_streams::text::{Text, text};
//! use lobstream_streams::time::Ts;
//! use lobstream_streams::topology::window::Windows;
//! use lobstream_streams::topology::{Builder, Source};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut t = Builder::<Text>::new("sums");
//! let prices = t.stream::<i64>("prices", Source::topic("prices", text()));
//! let seconds = Windows::tumbling(Duration::from_secs(1), Duration::ZERO);
//! prices.windowed(seconds).reduce(|sum, price| *sum += price).named("sums").to("sums", text());
//!
//! let mut driver = TestDriver::new(t.build()?)?;
//! for (ms, price) in [(100, "3"), (400, "-1"), (500, "three"), (1_000, "9")] {
//!     driver.pipe("prices", Record::new("tea".into(), Text::from(price), Ts::from_millis(ms)))?;
//! }
//! let sums = driver.read("sums")?;
//! assert_eq!((sums.len(), &sums[0].value), (1, &Text::from("2")));
//! assert_eq!(sums[0].ts, Ts(999_999_999), "the last instant of [0 s, 1 s)");
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::record::{Codec, CodecError};
use crate::topology::window::Windowed;

/// A record's text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(pub String);

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// UTF-8 without anything around it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8;

impl Codec<Text> for Utf8 {
    fn encode(&self, value: &Text, into: &mut Vec<u8>) -> Result<(), CodecError> {
        into.extend_from_slice(value.0.as_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Text, CodecError> {
        let text = std::str::from_utf8(bytes).map_err(|e| CodecError::new(format!("no UTF-8: {e}")))?;
        Ok(Text(text.to_owned()))
    }
}

/// The codec, as sources and sinks take it.
pub fn text() -> Arc<dyn Codec<Text>> {
    Arc::new(Utf8)
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text(text.to_owned())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text(text)
    }
}

impl From<Text> for String {
    fn from(text: Text) -> String {
        text.0
    }
}

/// Numbers that read as they are written.
macro_rules! number {
    ($($number:ty),*) => {$(
        impl From<$number> for Text {
            fn from(number: $number) -> Text {
                Text(number.to_string())
            }
        }

        impl TryFrom<Text> for $number {
            type Error = <$number as FromStr>::Err;

            fn try_from(text: Text) -> Result<$number, Self::Error> {
                text.0.parse()
            }
        }
    )*};
}

number!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128, f32, f64, bool);

impl<V> From<Windowed<V>> for Text
where
    Text: From<V>,
{
    fn from(result: Windowed<V>) -> Text {
        Text::from(result.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Ts;

    #[test]
    fn values_read_as_they_were_written() {
        let mut bytes = b"kept".to_vec();
        text().encode(&Text::from(-2.5_f64), &mut bytes).expect("any text");
        assert_eq!(bytes, b"kept-2.5");
        let read = text().decode("-7 ".trim().as_bytes()).expect("UTF-8");
        assert_eq!(i32::try_from(read.clone()), Ok(-7));
        assert!(u32::try_from(read.clone()).is_err() && bool::try_from(read).is_err());
        let extreme = f64::MIN_POSITIVE / 3.0;
        assert_eq!(f64::try_from(Text::from(extreme)).map(f64::to_bits), Ok(extreme.to_bits()));
        assert!(text().decode(&[b'a', 0xff]).is_err_and(|e| e.0.contains("index 1")));
    }

    #[test]
    fn a_result_of_a_window_is_its_value() {
        let result = Windowed { start: Ts(0), end: Ts(10), value: 7_u64 };
        assert_eq!(u64::try_from(Text::from(result)), Ok(7));
    }
}
