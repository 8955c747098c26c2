//! The prices between which a stock may trade on a day.

/// Highest and lowest price of a day, ticks of 0.01 CNY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A buyer at this price stands in a queue that may not move.
    pub up: i64,
    /// A seller likewise.
    pub down: i64,
}

/// Limits of `percent` around the exchange's reference price, all integers.
///
/// ```text
/// up   = ⌊(2·pre·(100 + p) + 100) / 200⌋        down = ⌊(2·pre·(100 − p) + 100) / 200⌋, at least 1
/// ```
/// Half a tick rounds up. With `one_tick` a limit that rounds to the reference price moves one tick away.
///
/// ```
/// use lobstream_backtest::rules::{Limits, limits};
///
/// assert_eq!(limits(505, 10, true), Limits { up: 556, down: 455 }, "5.05: floats say 5.55 or 4.54");
/// assert_eq!(limits(4, 10, true), Limits { up: 5, down: 3 }, "0.04 with a band of one tick");
/// ```
pub fn limits(pre_close: i64, percent: i64, one_tick: bool) -> Limits {
    let rounded = |percent: i64| (2 * pre_close * percent + 100).div_euclid(200);
    let (mut up, mut down) = (rounded(100 + percent), rounded(100 - percent));
    if one_tick {
        up += i64::from(up == pre_close);
        down -= i64::from(down == pre_close);
    }
    Limits { up, down: down.max(1) }
}
