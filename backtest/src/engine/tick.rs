//! Prices at whole ticks, without the dust of binary fractions.

use crate::model::Side;

/// Units of 10⁻⁸: decimals of prices and shares of them are exact there.
const UNITS: f64 = 1e8;

fn units(px: f64) -> i64 {
    (px * UNITS).round() as i64
}

/// Half up to a tick: 9.525 is a tie, although the nearest binary fraction lies below it.
pub(in crate::engine) fn nearest(px: f64, tick: f64) -> f64 {
    let (px, tick) = (units(px), units(tick));
    ((2 * px + tick).div_euclid(2 * tick) * tick) as f64 / UNITS
}

/// The next tick that is not better for an order of `side`.
pub(in crate::engine) fn worse(side: Side, px: f64, tick: f64) -> f64 {
    let (px, tick) = (units(px), units(tick));
    let ticks = match side {
        Side::Long => -(-px).div_euclid(tick),
        Side::Short => px.div_euclid(tick),
    };
    (ticks * tick) as f64 / UNITS
}

/// Does a price stand at a tick?
pub(in crate::engine) fn is_whole(px: f64, tick: f64) -> bool {
    units(px) % units(tick) == 0
}

/// The same price without dust: 9.6 + 0.01 is 9.61.
pub(in crate::engine) fn clean(px: f64) -> f64 {
    units(px) as f64 / UNITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_decimal() {
        assert_eq!(
            (nearest(10.02 * 0.95, 0.01), nearest(9.525, 0.01), nearest(9.524_9, 0.01)),
            (9.52, 9.53, 9.52)
        );
        assert_eq!((worse(Side::Long, 10.001, 0.01), worse(Side::Short, 9.999, 0.01)), (10.01, 9.99));
        assert_eq!((worse(Side::Long, 10.01, 0.01), worse(Side::Short, 10.01, 0.01)), (10.01, 10.01));
        assert!(is_whole(25.82, 0.01) && is_whole(0.07, 0.01) && !is_whole(25.825, 0.01));
        assert_eq!(clean(9.6 + 0.01), 9.61);
    }
}
