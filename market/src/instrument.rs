//! What is traded where, and its least steps of price and quantity.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::DataError;
use crate::price::Step;

/// A venue that a feed can read and whose sync rule is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Venue {
    /// Binance spot.
    BinanceSpot,
    /// Binance USD-margined futures.
    BinanceUsdm,
    /// Binance coin-margined futures; quantities are contracts.
    BinanceCoinm,
    /// Any source without sequence numbers (Tardis CSV of other venues): books are taken as they come.
    Unsequenced,
}

impl Venue {
    /// All of them.
    pub const ALL: [Venue; 4] =
        [Venue::BinanceSpot, Venue::BinanceUsdm, Venue::BinanceCoinm, Venue::Unsequenced];

    /// Its id in topic names, rows and flags.
    pub fn as_str(self) -> &'static str {
        match self {
            Venue::BinanceSpot => "binance-spot",
            Venue::BinanceUsdm => "binance-usdm",
            Venue::BinanceCoinm => "binance-coinm",
            Venue::Unsequenced => "unsequenced",
        }
    }
}

impl fmt::Display for Venue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Venue {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Venue, DataError> {
        Venue::ALL.into_iter().find(|v| v.as_str() == text).ok_or_else(|| DataError::UnknownVenue {
            text: text.to_owned(),
            known: Venue::ALL.map(Venue::as_str).join(", "),
        })
    }
}

/// A symbol as the venue writes it, in upper case. A copy shares its text: every event has one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(Arc<str>);

impl Symbol {
    /// From the venue's text.
    pub fn new(text: &str) -> Symbol {
        match text.bytes().any(|b| b.is_ascii_lowercase()) {
            true => Symbol(text.to_ascii_uppercase().into()),
            false => Symbol(text.into()),
        }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// So that a map of symbols can be asked with a text, which must be in upper case.
impl Borrow<str> for Symbol {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for Symbol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Symbol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Symbol, D::Error> {
        String::deserialize(deserializer).map(|text| Symbol(text.into()))
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is traded, with the steps in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instrument {
    /// Where.
    pub venue: Venue,
    /// What.
    pub symbol: Symbol,
    /// Least step of the price, in quote currency.
    pub tick_size: Step,
    /// Least step of the quantity: base units, contracts on [`Venue::BinanceCoinm`].
    pub lot_size: Step,
}
