//! A book together with what may be said about it: all that factors read.

use super::validity::{BookState, InvalidReason};
use super::{OrderBook, Side};

/// A book at one moment, never in the middle of a message.
#[derive(Clone, Copy, Debug)]
pub struct BookView<'a> {
    /// Levels. To be read only if `state` allows it.
    pub book: &'a OrderBook,
    /// What may be said about them.
    pub state: BookState,
    /// Why they may not be used; `None` while they may.
    pub reason: Option<InvalidReason>,
    /// Number of the join that this book stands on; 0 before the first.
    pub epoch: u32,
    /// Book messages so far: +1 for every snapshot that joined and every change applied, so the difference
    /// of two views is the number of messages between them, those of a join included.
    pub book_seq: u64,
    /// The venue's update id of the last message in the book.
    pub last_update_id: Option<i64>,
}

impl BookView<'_> {
    /// Right, and both sides there.
    pub fn is_ok(&self) -> bool {
        self.state == BookState::Ok
    }

    /// Do the best `n` levels of both sides lie where everything was told? A side with fewer levels counts
    /// if all of it was told.
    pub fn depth_known(&self, n: usize) -> bool {
        Side::ALL
            .into_iter()
            .all(|side| self.book.known_bound(side).is_none() || self.book.known_levels(side, n) == n)
    }
}
