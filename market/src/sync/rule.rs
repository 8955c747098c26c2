//! The venue rules behind one face: what the machine asks of each.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::binance_spot::SpotJoin;
use super::{binance_futures, binance_spot};
use crate::event::BookDelta;
use crate::instrument::Venue;

/// The ids of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) prev: Option<i64>,
}

/// A change against the book it meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It continues the book.
    Apply,
    /// It carries nothing to check.
    Unverified,
    /// It is in the book already.
    Stale,
    /// Something between is missing.
    Gap { lost_ids: u64 },
}

/// How changes continue a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Rule {
    Spot(SpotJoin),
    Futures,
    /// No ids: a snapshot loads, changes apply as they come, a missing one cannot be seen.
    Unsequenced,
}

impl Rule {
    pub(super) fn of(venue: Venue, spot_join: SpotJoin) -> Rule {
        match venue {
            Venue::BinanceSpot => Rule::Spot(spot_join),
            Venue::BinanceUsdm | Venue::BinanceCoinm => Rule::Futures,
            Venue::Unsequenced => Rule::Unsequenced,
        }
    }

    /// Can changes wait for a snapshot that comes later? Without ids nobody knows where it belongs.
    pub(super) fn has_ids(self) -> bool {
        match self {
            Rule::Spot(_) | Rule::Futures => true,
            Rule::Unsequenced => false,
        }
    }

    /// Are the ids there that the rule needs?
    pub(super) fn is_complete(self, delta: &BookDelta) -> bool {
        !self.has_ids() || self.ids(delta).is_some()
    }

    /// Can a snapshot of this id be joined with what is kept, or is it too old?
    pub(super) fn reaches(self, kept: &VecDeque<BookDelta>, snapshot_id: i64) -> bool {
        let mut ids = kept.iter().filter_map(|delta| self.ids(delta));
        match self {
            Rule::Spot(join) => binance_spot::reaches(join, ids.next(), snapshot_id),
            Rule::Futures => binance_futures::reaches(ids, snapshot_id),
            Rule::Unsequenced => true,
        }
    }

    /// A change against the book's id. `anchored`: a change was applied since the snapshot.
    pub(super) fn judge(self, delta: &BookDelta, book_id: Option<i64>, anchored: bool) -> Verdict {
        let (Some(ids), Some(book_id)) = (self.ids(delta), book_id) else {
            return Verdict::Unverified;
        };
        match self {
            Rule::Spot(_) => binance_spot::judge(ids, book_id),
            Rule::Futures => binance_futures::judge(ids, book_id, anchored),
            Rule::Unsequenced => Verdict::Unverified,
        }
    }

    fn ids(self, delta: &BookDelta) -> Option<Ids> {
        match self {
            Rule::Spot(_) => binance_spot::ids(delta),
            Rule::Futures => binance_futures::ids(delta),
            Rule::Unsequenced => None,
        }
    }
}
