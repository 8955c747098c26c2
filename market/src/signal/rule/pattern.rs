//! Which instruments a rule or an override is for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::instrument::{Symbol, Venue};

/// A venue, or any, and a symbol, a prefix of one, or any: `BTCUSDT`, `BTC*`, `*`, `binance-usdm:ETH*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pattern {
    venue: Option<Venue>,
    symbol: String,
    exact: bool,
}

/// A text that is no [`Pattern`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no pattern: a symbol, or its beginning and *, with venue: before it or not")]
pub struct PatternError(String);

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Pattern, PatternError> {
        let bad = || PatternError(text.to_owned());
        let (venue, symbol) = match text.split_once(':') {
            Some((venue, symbol)) => (Some(venue.parse().map_err(|_| bad())?), symbol),
            None => (None, text),
        };
        let (stem, exact) = match symbol.strip_suffix('*') {
            Some(stem) => (stem, false),
            None => (symbol, true),
        };
        let plain = stem.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
        if !plain || (exact && stem.is_empty()) {
            return Err(bad());
        }
        Ok(Pattern { venue, symbol: Symbol::new(stem).as_str().to_owned(), exact })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(venue) = self.venue {
            write!(f, "{venue}:")?;
        }
        write!(f, "{}{}", self.symbol, if self.exact { "" } else { "*" })
    }
}

/// How closely a pattern names an instrument: a named venue first, then an exact symbol, then the longer prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Closeness {
    venue: bool,
    exact: bool,
    len: usize,
}

impl Pattern {
    /// Every instrument.
    pub fn any() -> Pattern {
        Pattern { venue: None, symbol: String::new(), exact: false }
    }

    /// Is the instrument meant?
    pub fn matches(&self, venue: Venue, symbol: &Symbol) -> bool {
        let here = self.venue.is_none_or(|v| v == venue);
        let symbol = symbol.as_str();
        here && if self.exact { symbol == self.symbol } else { symbol.starts_with(&self.symbol) }
    }

    /// How closely the instruments it means are named.
    pub fn closeness(&self) -> Closeness {
        Closeness { venue: self.venue.is_some(), exact: self.exact, len: self.symbol.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().expect(text)
    }

    #[test]
    fn patterns_mean_what_they_name() {
        let eth = Symbol::new("ETHUSDT");
        let meant = |text: &str| pattern(text).matches(Venue::BinanceUsdm, &eth);
        for text in ["*", "ETHUSDT", "ETH*", "binance-usdm:ETHUSDT", "binance-usdm:*", "ethusdt"] {
            assert!(meant(text), "{text}");
        }
        for text in ["ETH", "BTC*", "binance-spot:ETHUSDT", "binance-spot:*", "ETHUSDTX*"] {
            assert!(!meant(text), "{text}");
        }
    }

    #[test]
    fn malformed_patterns_are_refused_and_good_ones_survive() {
        for text in ["", "B*C", "**", "nowhere:BTCUSDT", "binance-usdm:", "BTC USDT", ":BTC"] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
        for text in ["*", "BTCUSDT", "BTC*", "binance-usdm:ETHUSDT", "binance-usdm:*"] {
            assert_eq!(pattern(text).to_string(), text);
        }
        assert_eq!(pattern("*"), Pattern::any());
    }

    #[test]
    fn closer_patterns_sort_higher() {
        let order =
            ["*", "E*", "ETH*", "ETHUSDT", "binance-usdm:*", "binance-usdm:ETH*", "binance-usdm:ETHUSDT"];
        let closeness = order.map(|text| pattern(text).closeness());
        assert!(closeness.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
