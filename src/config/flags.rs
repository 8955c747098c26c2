//! Values of flags: durations, venues, merge orders, `name=value` pairs.

use std::str::FromStr;
use std::time::Duration;

use lobstream_market::instrument::{Symbol, Venue};
use lobstream_market::price::Step;
use lobstream_streams::replay::Speed;
use lobstream_streams::settings::Standby;
use lobstream_streams::time::Ts;

use crate::error::Error;
use crate::feed::merge::MergeBy;

/// A duration such as `250ms`, `5s`, `1m`, `2h`.
///
/// # Errors
/// Names the flag.
pub fn duration(flag: &str, text: &str) -> Result<Duration, Error> {
    let bad = || Error::usage(format!("{flag} {text:?} is no duration: write 250ms, 5s, 1m or 2h"));
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    let n: u64 = text[..digits].parse().map_err(|_| bad())?;
    let ms = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(bad()),
    };
    n.checked_mul(ms).map(Duration::from_millis).ok_or_else(bad)
}

/// A number of bytes such as `512MiB`, `4GiB`, `2GB`.
///
/// # Errors
/// Names the flag.
pub fn bytes(flag: &str, text: &str) -> Result<u64, Error> {
    let bad = || Error::usage(format!("{flag} {text:?} is no size: write 512MiB, 4GiB or 2GB"));
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    let n: u64 = text[..digits].parse().map_err(|_| bad())?;
    let unit: u64 = match &text[digits..] {
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(bad()),
    };
    n.checked_mul(unit).filter(|n| *n > 0).ok_or_else(bad)
}

/// A bar step in ms: whole seconds that divide a day.
///
/// # Errors
/// Names the flag.
pub fn bar_ms(flag: &str, text: &str) -> Result<i64, Error> {
    let ms = i64::try_from(duration(flag, text)?.as_millis()).unwrap_or(i64::MAX);
    if ms > 0 && ms % 1_000 == 0 && 86_400_000 % ms == 0 {
        return Ok(ms);
    }
    Err(Error::usage(format!(
        "{flag} {text}: bars are whole seconds that divide a day; write 1s, 5s, 10s, 1m, 5m or 1h"
    )))
}

/// An instant such as `2024-08-08T10:00:00Z`.
///
/// # Errors
/// Names the flag.
pub fn instant(flag: &str, text: &str) -> Result<Ts, Error> {
    Ts::from_str(text).map_err(|e| Error::usage(format!("{flag} {e}")))
}

/// A replay speed.
///
/// # Errors
/// Names the flag.
pub fn speed(text: &str) -> Result<Speed, Error> {
    Speed::from_str(text).map_err(|e| Error::usage(format!("--speed {e}")))
}

/// How files are merged.
///
/// # Errors
/// Names the flag.
pub fn merge(text: &str) -> Result<MergeBy, Error> {
    match text {
        "event" => Ok(MergeBy::Event),
        "recv" => Ok(MergeBy::Recv),
        "none" => Ok(MergeBy::None),
        _ => Err(Error::usage(format!("--merge {text:?} is not known: write event, recv or none"))),
    }
}

/// A venue.
///
/// # Errors
/// Names the flag and the venues there are.
pub fn venue(flag: &str, text: &str) -> Result<Venue, Error> {
    Venue::from_str(text).map_err(|e| Error::usage(format!("{flag}: {e}")))
}

/// Which process this is of how many that keep copies for each other: `0/2`, or with two copies of each task `0/3x2`.
///
/// # Errors
/// Names the flag.
pub fn standby(flag: &str, text: &str) -> Result<Standby, Error> {
    let (place, copies) = text.split_once('x').unwrap_or((text, "1"));
    let numbers = place.split_once('/').and_then(|(index, of)| {
        Some(Standby { index: index.parse().ok()?, of: of.parse().ok()?, copies: copies.parse().ok()? })
    });
    numbers
        .filter(|it| it.of >= 2 && it.index < it.of && (1..=2).contains(&it.copies) && it.copies < it.of)
        .ok_or_else(|| {
            Error::usage(format!(
                "{flag} {text}: write the number of this process, from 0, and how many there are, such as 0/2; with two copies 0/3x2"
            ))
        })
}

/// A step of price or quantity.
///
/// # Errors
/// Names the flag.
pub fn step(flag: &str, text: &str) -> Result<Step, Error> {
    Step::parse(text).map_err(|e| Error::usage(format!("{flag}: {e}; write a positive decimal such as 0.01")))
}

/// Symbols in upper case, none of them empty.
///
/// # Errors
/// Names the flag.
pub fn symbols(flag: &str, texts: &[String]) -> Result<Vec<Symbol>, Error> {
    let symbol = |text: &String| match text.trim() {
        "" => Err(Error::usage(format!("{flag} holds an empty symbol"))),
        text => Ok(Symbol::new(text)),
    };
    texts.iter().map(symbol).collect()
}

/// Checks what is put before topic names: the end of it must be told from the name that follows.
///
/// # Errors
/// Names the flag.
pub fn prefix(flag: &str, text: &str) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(c);
    if text.is_empty() || (text.chars().all(plain) && text.ends_with(['.', '-', '_'])) {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{flag} {text:?} is no prefix: write a-z, 0-9, \".\", \"-\" and \"_\", one of the last three at the end, \
         such as \"test.\""
    )))
}

/// A name that becomes part of other names and of a folder.
///
/// # Errors
/// Names the flag.
pub fn name(flag: &str, text: &str) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    if (1..=64).contains(&text.len()) && text.chars().all(plain) {
        return Ok(());
    }
    Err(Error::usage(format!("{flag} {text:?} is no name: write 1 to 64 of a-z, 0-9, \"-\" and \"_\"")))
}

/// `name=value` pairs.
///
/// # Errors
/// Names the flag and the pair.
pub fn pairs<'a>(flag: &str, texts: &'a [String]) -> Result<Vec<(&'a str, &'a str)>, Error> {
    let pair = |text: &'a String| {
        let parts = text.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty());
        parts.ok_or_else(|| Error::usage(format!("{flag} {text:?} is not NAME=VALUE")))
    };
    texts.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("--max-gap", "250ms").expect("ms"), Duration::from_millis(250));
        assert_eq!(duration("--max-gap", "2m").expect("m"), Duration::from_secs(120));
        for bad in ["", "5", "s", "1.5s", "-1s", "5 s", "99999999999999999999h", "18446744073709551615h"] {
            let error = duration("--max-gap", bad).expect_err(bad).to_string();
            assert!(error.contains("--max-gap"), "{error}");
        }
    }

    #[test]
    fn a_process_that_keeps_copies_is_one_of_several() {
        assert_eq!(
            standby("--standby", "0/2").expect("first of two"),
            Standby { index: 0, of: 2, copies: 1 }
        );
        assert_eq!(standby("--standby", "2/3x2").expect("two each"), Standby { index: 2, of: 3, copies: 2 });
        for bad in ["", "1", "0/1", "2/2", "-1/2", "0/2x2", "0/3x0", "0/4x3", "a/b", "0/2x"] {
            let error = standby("--standby", bad).expect_err(bad).to_string();
            assert!(error.contains("--standby"), "{error}");
        }
    }

    #[test]
    fn a_size_names_its_unit() {
        assert_eq!(bytes("--mem", "512MiB").expect("a size"), 512 << 20);
        assert_eq!(bytes("--mem", "2GB").expect("a size"), 2_000_000_000);
        for bad in ["4", "4G", "0GiB", "-1GiB", "99999999999999GiB", ""] {
            assert!(bytes("--mem", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bar_divides_a_day() {
        assert_eq!(bar_ms("--bar", "5m").expect("five minutes"), 300_000);
        for bad in ["7s", "500ms", "0s", "48h"] {
            let error = bar_ms("--bar", bad).expect_err(bad).to_string();
            assert!(error.starts_with(&format!("--bar {bad}: ")), "{error}");
        }
    }

    #[test]
    fn a_prefix_ends_where_a_name_can_begin() {
        for good in ["", "test.", "it-7_"] {
            prefix("--topic-prefix", good).expect(good);
        }
        for bad in ["x", "Test.", "a b.", "ü."] {
            let error = prefix("--topic-prefix", bad).expect_err(bad);
            assert!(error.to_string().contains("--topic-prefix") && error.exit_code() == 2, "{error}");
        }
    }

    #[test]
    fn a_pair_needs_both_halves() {
        let good = ["k=1.5".to_owned(), "a=b=c".to_owned()];
        assert_eq!(pairs("--set", &good).expect("pairs"), [("k", "1.5"), ("a", "b=c")]);
        for bad in ["k", "k=", "=1"] {
            assert!(pairs("--set", &[bad.to_owned()]).is_err(), "{bad}");
        }
    }

    #[test]
    fn unknown_words_are_refused_with_those_that_are_known() {
        let error = venue("--venue", "binance").expect_err("unknown").to_string();
        assert!(error.contains("--venue") && error.contains("binance-usdm"), "{error}");
        assert!(merge("fast").is_err() && speed("fast").is_err() && step("--tick", "0").is_err());
        assert!(symbols("--symbols", &["BTCUSDT".into(), " ".into()]).is_err());
    }
}
