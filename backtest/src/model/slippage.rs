//! How much worse than the bar's price an order fills.

use std::fmt;

use serde::Serialize;

use crate::dataset::{Basis, FactorId, Series};
use crate::error::Error;
use crate::model::Side;

/// A slippage model. It is always adverse.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Slippage {
    /// Fills at the price of the bar.
    None,
    /// So many basis points of the price.
    Bp(f64),
    /// So many ticks.
    Ticks {
        /// How many.
        n: u32,
        /// What one is, quote currency.
        tick: f64,
    },
    /// Half of the spread of the second before the fill: what crossing costs when the bars are mids.
    HalfSpread,
}

impl Slippage {
    /// # Errors
    /// Basis points outside 0 to 1000.
    pub fn check(&self) -> Result<(), Error> {
        match *self {
            Slippage::Bp(bp) if !(0.0..=1_000.0).contains(&bp) => Err(Error::Parameter {
                name: "slippage.bp",
                value: bp.to_string(),
                expected: "basis points from 0 to 1000".to_owned(),
            }),
            Slippage::Ticks { tick, .. } if !(tick > 0.0 && tick.is_finite()) => Err(Error::Parameter {
                name: "slippage.tick",
                value: tick.to_string(),
                expected: "a price above 0".to_owned(),
            }),
            Slippage::Bp(_) | Slippage::Ticks { .. } | Slippage::None | Slippage::HalfSpread => Ok(()),
        }
    }

    /// The price at which an order of `side` fills in bar `i` when the bar says `px`.
    ///
    /// Traded bars bound it by their range. A mid bar cannot: what it costs to cross lies beyond every mid.
    #[inline]
    pub fn apply(&self, side: Side, px: f64, series: &Series, i: usize) -> f64 {
        let worse = match *self {
            Slippage::None => return px,
            Slippage::Bp(bp) => px * (1.0 + side.sign() * (bp * 1e-4)),
            Slippage::Ticks { n, tick } => px + side.sign() * f64::from(n) * tick,
            Slippage::HalfSpread => px * (1.0 + side.sign() * half_spread(series, i)),
        };
        match series.basis {
            Basis::Mid => worse,
            Basis::Traded => worse.clamp(series.bars.low[i], series.bars.high[i]),
        }
    }
}

/// Half the spread over the mid at the end of the bar before; of the first bar and after a spell, of bar `i` itself.
fn half_spread(series: &Series, i: usize) -> f64 {
    let Some(id) = FactorId::of("spread_bps") else { return 0.0 };
    let before = i.checked_sub(1).and_then(|i| series.factors.at(id, i));
    before.or_else(|| series.factors.at(id, i)).map_or(0.0, |bps| bps * 0.5e-4)
}

impl fmt::Display for Slippage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Slippage::None => f.write_str("none"),
            Slippage::Bp(bp) => write!(f, "{bp} bp"),
            Slippage::Ticks { n, tick } => write!(f, "{n} ticks of {tick}"),
            Slippage::HalfSpread => f.write_str("half spread"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_adverse_and_stays_inside_a_traded_bar() {
        let mut series =
            Series::from_ohlc("v", "S", 1_000, 0, &[[100.0, 100.5, 99.0, 100.0]]).expect("series");
        let bp = Slippage::Bp(100.0);
        assert_eq!(bp.apply(Side::Long, 100.0, &series, 0), 100.5);
        assert_eq!(bp.apply(Side::Short, 100.0, &series, 0), 99.0);
        series.basis = Basis::Mid;
        assert_eq!(bp.apply(Side::Long, 100.0, &series, 0), 101.0);
        assert_eq!(Slippage::None.apply(Side::Long, 100.0, &series, 0), 100.0);
        assert!(Slippage::Bp(-1.0).check().is_err());
    }
}
