//! What is traded where, and its least steps of price and quantity.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

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

/// A symbol as the venue writes it, in upper case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Symbol(String);

impl Symbol {
    /// From the venue's text.
    pub fn new(text: &str) -> Symbol {
        Symbol(text.to_ascii_uppercase())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
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
