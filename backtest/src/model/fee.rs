//! Fees as a share of the notional, in quote currency.

use lobstream_market::instrument::Venue;
use serde::Serialize;

use crate::error::Error;

/// Whether a fill rested in the book or crossed the spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liquidity {
    /// A resting order: the take profit.
    Maker,
    /// Everything else.
    Taker,
}

/// Fees in basis points of the notional; negative is a rebate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fees {
    /// Of a resting order.
    pub maker_bp: f64,
    /// Of an order that crosses.
    pub taker_bp: f64,
}

impl Fees {
    /// No fees.
    pub const NONE: Fees = Fees::flat(0.0);

    /// The same for both.
    pub const fn flat(bp: f64) -> Fees {
        Fees { maker_bp: bp, taker_bp: bp }
    }

    /// The base tier of a venue. A venue without a table pays the dearest one that is known.
    pub fn of_venue(venue: &str) -> Fees {
        match venue.parse() {
            Ok(Venue::BinanceUsdm | Venue::BinanceCoinm) => Fees { maker_bp: 2.0, taker_bp: 5.0 },
            Ok(Venue::BinanceSpot | Venue::Unsequenced) | Err(_) => Fees { maker_bp: 10.0, taker_bp: 10.0 },
        }
    }

    /// Basis points of a fill.
    pub fn bp(&self, liquidity: Liquidity) -> f64 {
        match liquidity {
            Liquidity::Maker => self.maker_bp,
            Liquidity::Taker => self.taker_bp,
        }
    }

    /// Refuses fees of a tenth and more, and rebates above one hundredth.
    ///
    /// # Errors
    /// A fee outside −100 to 1000 basis points.
    pub fn check(&self) -> Result<(), Error> {
        for (name, bp) in [("fees.maker_bp", self.maker_bp), ("fees.taker_bp", self.taker_bp)] {
            if !(-100.0..1_000.0).contains(&bp) {
                let expected = "basis points from -100 to below 1000".to_owned();
                return Err(Error::Parameter { name, value: bp.to_string(), expected });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_tiers() {
        assert_eq!(Fees::of_venue("binance-usdm"), Fees { maker_bp: 2.0, taker_bp: 5.0 });
        assert_eq!(Fees::of_venue("binance-spot").bp(Liquidity::Maker), 10.0);
        assert_eq!(Fees::of_venue("elsewhere"), Fees::flat(10.0));
        assert!(Fees::flat(f64::NAN).check().is_err() && Fees::flat(1_000.0).check().is_err());
        assert!(Fees::flat(-1.0).check().is_ok());
    }
}
