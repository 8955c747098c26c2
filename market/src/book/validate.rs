//! What can be wrong with a book message in itself, before the machine looks at it.

use super::Side;
use crate::event::{BookDelta, BookSnapshot, Level};
use crate::price::Lots;

/// Oddities that are counted and let through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oddities {
    /// Levels whose price another level of the same side and message repeats later; the last one counts.
    pub duplicate_levels: u64,
    /// Sides of a snapshot that are not sorted best first.
    pub disordered: u64,
}

/// Can a snapshot be a book? No quantity is negative, and the best bid is not above the best ask.
pub fn is_usable_snapshot(snapshot: &BookSnapshot) -> bool {
    is_non_negative(&snapshot.bids) && is_non_negative(&snapshot.asks) && !is_crossed(snapshot)
}

/// Can a change be applied? No quantity is negative.
pub fn is_usable_delta(delta: &BookDelta) -> bool {
    is_non_negative(&delta.bids) && is_non_negative(&delta.asks)
}

fn is_non_negative(levels: &[Level]) -> bool {
    levels.iter().all(|level| level.qty >= Lots(0))
}

/// Best bid above best ask.
fn is_crossed(snapshot: &BookSnapshot) -> bool {
    let present = |levels: &[Level], side: Side| {
        levels.iter().filter(|level| level.qty > Lots(0)).map(|level| side.key(level.px)).max()
    };
    match (present(&snapshot.bids, Side::Bid), present(&snapshot.asks, Side::Ask)) {
        (Some(bid), Some(ask)) => bid > !ask,
        (None, _) | (_, None) => false,
    }
}

/// Oddities of a snapshot.
pub fn snapshot_oddities(snapshot: &BookSnapshot) -> Oddities {
    let disordered = |levels: &[Level], side: Side| {
        u64::from(levels.windows(2).any(|pair| side.key(pair[0].px) < side.key(pair[1].px)))
    };
    Oddities {
        duplicate_levels: duplicate_levels(&snapshot.bids) + duplicate_levels(&snapshot.asks),
        disordered: disordered(&snapshot.bids, Side::Bid) + disordered(&snapshot.asks, Side::Ask),
    }
}

/// Levels that a later level of the same price replaces. Venues sort their sides, and a side sorted either
/// way is judged without a copy.
pub fn duplicate_levels(levels: &[Level]) -> u64 {
    let is_rising = levels.windows(2).all(|pair| pair[0].px < pair[1].px);
    if is_rising || levels.windows(2).all(|pair| pair[0].px > pair[1].px) {
        return 0;
    }
    let mut prices: Vec<_> = levels.iter().map(|level| level.px).collect();
    prices.sort_unstable();
    prices.windows(2).filter(|pair| pair[0] == pair[1]).count() as u64
}
