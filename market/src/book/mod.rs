//! The limit order book of one instrument, and what may be said about it.
//!
//! ```text
//!   bids, best first          asks, best first
//!   2504 @ 12  ◀── touch ──▶  2505 @ 4          Ticks @ Lots
//!   2503 @ 7                  2506 @ 9
//!   ····· known_bound ·····   (no bound: the side is complete)
//!   2480 @ 1   told by a later change; others may stand here that nobody told of
//! ```

mod ladder;
pub mod validate;
pub mod validity;
mod view;

use serde::{Deserialize, Serialize};

use crate::event::{BookDelta, BookSnapshot, Level};
use crate::price::{Lots, Ticks};
use ladder::Ladder;

pub use view::BookView;

/// Half of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// Buyers; the greatest price is the best.
    Bid,
    /// Sellers; the least price is the best.
    Ask,
}

impl Side {
    /// Both.
    pub const ALL: [Side; 2] = [Side::Bid, Side::Ask];

    /// Greater is better. `!t` is `-t - 1`: it turns the order round and cannot overflow.
    fn key(self, px: Ticks) -> i64 {
        match self {
            Side::Bid => px.0,
            Side::Ask => !px.0,
        }
    }

    fn level(self, (key, lots): (i64, i64)) -> Level {
        let px = match self {
            Side::Bid => Ticks(key),
            Side::Ask => Ticks(!key),
        };
        Level { px, qty: Lots(lots) }
    }
}

/// How the best prices lie wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cross {
    /// Best bid equal to best ask.
    Locked,
    /// Best bid above best ask.
    Crossed,
}

/// What an [`OrderBook::apply`] met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Deletes of levels that were not there: normal, venues send many.
    pub unknown_deletes: u64,
    /// Levels dropped because a side grew past its maximum.
    pub pruned: u64,
}

/// Quantity up to a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CumDepth {
    /// Sum of all levels at this price or better.
    pub lots: i128,
    /// False if levels may exist there that nobody told of.
    pub complete: bool,
}

/// Levels of both sides, in ticks and lots, and how far they are known.
///
/// Holds what it is told and judges nothing: whether it may be used is said by [`BookView`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OrderBook {
    bids: Ladder,
    asks: Ladder,
    known_bid_low: Option<Ticks>,
    known_ask_high: Option<Ticks>,
    last_id: Option<i64>,
    levels_max: usize,
}

impl OrderBook {
    /// An empty book that keeps at most `levels_max` levels a side (at least 1).
    pub fn new(levels_max: usize) -> OrderBook {
        OrderBook {
            bids: Ladder::default(),
            asks: Ladder::default(),
            known_bid_low: None,
            known_ask_high: None,
            last_id: None,
            levels_max: levels_max.max(1),
        }
    }

    /// Removes everything: levels, bounds, update id.
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
        (self.known_bid_low, self.known_ask_high, self.last_id) = (None, None, None);
    }

    /// Becomes the snapshot. Order does not matter; of a price given twice the last counts; levels of
    /// quantity 0 are no levels. A side cut at the snapshot's limit is known down to its last level.
    pub fn load(&mut self, snapshot: &BookSnapshot) -> Applied {
        self.clear();
        self.last_id = snapshot.last_id;
        for (side, levels) in [(Side::Bid, &snapshot.bids), (Side::Ask, &snapshot.asks)] {
            for level in levels {
                self.set(side, level.px, level.qty);
            }
            if snapshot.limit.is_some_and(|limit| levels.len() >= limit as usize) {
                let worst = levels.iter().map(|level| side.key(level.px)).min();
                *self.bound_mut(side) = worst.map(|key| side.level((key, 0)).px);
            }
        }
        Applied { unknown_deletes: 0, pruned: self.prune() }
    }

    /// Sets a level's quantity, 0 removes it; the quantity before, 0 if there was no such level.
    /// A price of 0 is a price like any other.
    #[inline]
    pub fn set(&mut self, side: Side, px: Ticks, qty: Lots) -> Lots {
        Lots(self.ladder_mut(side).set(side.key(px), qty.0))
    }

    /// Applies a change: all bids, then all asks, in message order.
    pub fn apply(&mut self, delta: &BookDelta) -> Applied {
        let mut unknown_deletes = 0;
        for (side, levels) in [(Side::Bid, &delta.bids), (Side::Ask, &delta.asks)] {
            for level in levels {
                let before = self.set(side, level.px, level.qty);
                unknown_deletes += u64::from(level.qty == Lots(0) && before == Lots(0));
            }
        }
        self.last_id = delta.last_id;
        Applied { unknown_deletes, pruned: self.prune() }
    }

    /// The best level; `None` if the side is empty.
    #[inline]
    pub fn best(&self, side: Side) -> Option<Level> {
        self.ladder(side).best().map(|entry| side.level(entry))
    }

    /// The k-th best level, 0 the best.
    pub fn level(&self, side: Side, k: usize) -> Option<Level> {
        self.iter(side).nth(k)
    }

    /// All levels, best first.
    pub fn iter(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        self.ladder(side).iter().map(move |entry| side.level(entry))
    }

    /// Writes the best levels, best first, into `out`; how many there are. Allocates nothing.
    #[inline]
    pub fn top(&self, side: Side, out: &mut [Level]) -> usize {
        let mut n = 0;
        for (slot, level) in out.iter_mut().zip(self.iter(side)) {
            *slot = level;
            n += 1;
        }
        n
    }

    /// The quantity at this one price, 0 if there is no level.
    pub fn qty(&self, side: Side, px: Ticks) -> Lots {
        Lots(self.ladder(side).get(side.key(px)))
    }

    /// The quantity at `to` and better.
    pub fn cum_depth(&self, side: Side, to: Ticks) -> CumDepth {
        let levels = self.iter(side).take_while(|level| side.key(level.px) >= side.key(to));
        CumDepth {
            lots: levels.map(|level| i128::from(level.qty.0)).sum(),
            complete: self.is_known(side, to),
        }
    }

    /// Levels of a side.
    pub fn len(&self, side: Side) -> usize {
        self.ladder(side).len()
    }

    /// No level on either side.
    pub fn is_empty(&self) -> bool {
        self.bids.len() + self.asks.len() == 0
    }

    /// The last price the snapshot told of; `None` if it told the whole side.
    pub fn known_bound(&self, side: Side) -> Option<Ticks> {
        match side {
            Side::Bid => self.known_bid_low,
            Side::Ask => self.known_ask_high,
        }
    }

    /// Was everything up to this price told?
    pub fn is_known(&self, side: Side, px: Ticks) -> bool {
        self.known_bound(side).is_none_or(|bound| side.key(px) >= side.key(bound))
    }

    /// How many of the best `n` levels lie where everything was told.
    pub fn known_levels(&self, side: Side, n: usize) -> usize {
        self.iter(side).take(n).take_while(|level| self.is_known(side, level.px)).count()
    }

    /// The venue's update id of this state.
    pub fn last_id(&self) -> Option<i64> {
        self.last_id
    }

    /// How the best prices lie wrong; `None` if they do not.
    pub fn cross(&self) -> Option<Cross> {
        let (bid, ask) = (self.best(Side::Bid)?.px, self.best(Side::Ask)?.px);
        match bid.cmp(&ask) {
            std::cmp::Ordering::Less => None,
            std::cmp::Ordering::Equal => Some(Cross::Locked),
            std::cmp::Ordering::Greater => Some(Cross::Crossed),
        }
    }

    /// Drops the farthest levels beyond the maximum; what is left is then known less far.
    fn prune(&mut self) -> u64 {
        let mut pruned = 0;
        for side in Side::ALL {
            let excess = self.len(side).saturating_sub(self.levels_max);
            let Some(worst_kept) = (excess > 0).then(|| self.level(side, self.levels_max - 1)).flatten()
            else {
                continue;
            };
            for _ in 0..excess {
                self.ladder_mut(side).pop_worst();
            }
            if self.is_known(side, worst_kept.px) {
                *self.bound_mut(side) = Some(worst_kept.px);
            }
            pruned += excess as u64;
        }
        pruned
    }

    fn ladder(&self, side: Side) -> &Ladder {
        match side {
            Side::Bid => &self.bids,
            Side::Ask => &self.asks,
        }
    }

    fn ladder_mut(&mut self, side: Side) -> &mut Ladder {
        match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        }
    }

    fn bound_mut(&mut self, side: Side) -> &mut Option<Ticks> {
        match side {
            Side::Bid => &mut self.known_bid_low,
            Side::Ask => &mut self.known_ask_high,
        }
    }
}

impl PartialEq for OrderBook {
    /// The same levels, bounds and id, wherever they are kept.
    fn eq(&self, other: &OrderBook) -> bool {
        self.last_id == other.last_id
            && Side::ALL.into_iter().all(|side| {
                self.known_bound(side) == other.known_bound(side)
                    && self.ladder(side).iter().eq(other.ladder(side).iter())
            })
    }
}
