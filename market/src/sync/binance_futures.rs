//! Binance futures, USD-M and COIN-M: ids jump, and `pu` names the message before.

use super::rule::{Ids, Verdict};
use crate::event::BookDelta;

/// `U`, `u` and `pu`, if they make sense.
pub(super) fn ids(delta: &BookDelta) -> Option<Ids> {
    let (first, last, prev) = (delta.first_id?, delta.last_id?, delta.prev_id?);
    (first <= last).then_some(Ids { first, last, prev: Some(prev) })
}

/// Does a snapshot reach the first change kept that it does not contain?
pub(super) fn reaches(mut kept: impl Iterator<Item = Ids>, snapshot_id: i64) -> bool {
    kept.find(|ids| ids.last >= snapshot_id).is_none_or(|ids| anchors(ids, snapshot_id))
}

/// A change against the id of the book. Until one change is applied on top of a snapshot (`anchored`), the
/// id is the snapshot's, which may lie inside a message; afterwards only `pu` counts. A change that ends at the snapshot's id is not stale: it carries the chain on.
pub(super) fn judge(ids: Ids, book_id: i64, anchored: bool) -> Verdict {
    if anchored {
        match (ids.prev == Some(book_id), ids.last <= book_id) {
            (true, _) => Verdict::Apply,
            (false, true) => Verdict::Stale,
            (false, false) => Verdict::Gap { lost_ids: 0 },
        }
    } else if ids.last < book_id {
        Verdict::Stale
    } else if anchors(ids, book_id) {
        Verdict::Apply
    } else {
        Verdict::Gap { lost_ids: 0 }
    }
}

/// Spans the snapshot's id, or follows it directly.
fn anchors(ids: Ids, snapshot_id: i64) -> bool {
    (ids.first <= snapshot_id && snapshot_id <= ids.last) || ids.prev == Some(snapshot_id)
}
