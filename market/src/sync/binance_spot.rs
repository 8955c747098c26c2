//! Binance spot: update ids count without holes, so `U = id + 1` continues.

use serde::{Deserialize, Serialize};

use super::rule::{Ids, Verdict};
use crate::event::BookDelta;

/// May a snapshot that ends exactly where the buffer begins (L = U₁ − 1) join?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpotJoin {
    /// Yes: nothing lies between the two.
    #[default]
    Contiguous,
    /// No, as the venue's documentation says; a newer one is fetched.
    DocsStrict,
}

/// `U` and `u`, if they make sense.
pub(super) fn ids(delta: &BookDelta) -> Option<Ids> {
    let (first, last) = (delta.first_id?, delta.last_id?);
    (first <= last).then_some(Ids { first, last, prev: None })
}

/// Does a snapshot reach the first change kept?
pub(super) fn reaches(join: SpotJoin, first_kept: Option<Ids>, snapshot_id: i64) -> bool {
    first_kept.is_none_or(|kept| match join {
        SpotJoin::Contiguous => snapshot_id >= kept.first.saturating_sub(1),
        SpotJoin::DocsStrict => snapshot_id >= kept.first,
    })
}

/// A change against the id of the book. `U ≤ id < u` overlaps and is harmless: quantities are absolute.
pub(super) fn judge(ids: Ids, book_id: i64) -> Verdict {
    if ids.last <= book_id {
        Verdict::Stale
    } else if ids.first.saturating_sub(1) > book_id {
        Verdict::Gap { lost_ids: ids.first.abs_diff(book_id) - 1 }
    } else {
        Verdict::Apply
    }
}
