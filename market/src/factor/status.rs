//! In which condition the book was during a second: state at its end, valid time, ages and ids.

use serde::{Deserialize, Serialize};

use crate::book::BookView;
use crate::book::validity::{BookState, InvalidReason};
use crate::factor::row::FactorRow;

/// Condition of the book in the open second. Times are symbol times, ns; `None` before the first one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct BookStatus {
    state: BookState,
    reason: Option<InvalidReason>,
    epoch: u32,
    seq: Option<u64>,
    update_id: Option<i64>,
    last_at: Option<i64>,
    /// Up to here, time in state ok has been counted.
    counted_to: Option<i64>,
    invalid_from: Option<i64>,
    ok_ns: i64,
    n_book: u32,
    /// The state has been ok, without resync, since the second began.
    whole: bool,
}

/// Did a spell in which the book could not be used just end, and how long was it? ns.
pub(super) type SpellEnd = Option<i64>;

impl BookStatus {
    /// The book after messages, or with another state, at symbol time `at`.
    pub(super) fn on_book(&mut self, at: Option<i64>, view: &BookView<'_>, resync: bool) -> SpellEnd {
        let messages = view.book_seq.saturating_sub(self.seq.unwrap_or(0));
        if messages > 0 {
            self.n_book = self.n_book.saturating_add(u32::try_from(messages).unwrap_or(u32::MAX));
            (self.seq, self.update_id, self.last_at) = (Some(view.book_seq), view.last_update_id, at);
        }
        self.epoch = view.epoch;
        self.whole &= !resync;
        self.becomes(at, view.state, view.reason)
    }

    /// The book may not be used from `at` on. True if it could until now: a new gap.
    pub(super) fn on_gap(&mut self, at: Option<i64>, reason: InvalidReason) -> bool {
        let (state, new) = match self.state {
            BookState::None => (BookState::None, false),
            BookState::Invalid => (BookState::Invalid, false),
            BookState::Ok | BookState::OneSided | BookState::Empty | BookState::Crossed => {
                (BookState::Invalid, true)
            }
        };
        self.becomes(at, state, Some(reason));
        new
    }

    fn becomes(&mut self, at: Option<i64>, state: BookState, reason: Option<InvalidReason>) -> SpellEnd {
        self.count(at);
        (self.state, self.reason) = (state, reason);
        self.whole &= state == BookState::Ok;
        if reason.is_some() {
            self.invalid_from = self.invalid_from.or(at);
            return None;
        }
        let from = self.invalid_from.take()?;
        Some(at? - from)
    }

    /// Counts the time up to `at`.
    fn count(&mut self, at: Option<i64>) {
        if let (BookState::Ok, Some(from), Some(to)) = (self.state, self.counted_to, at) {
            self.ok_ns += to - from;
        }
        self.counted_to = at;
    }

    /// The book may be used, and both sides are there.
    pub(super) fn is_ok(&self) -> bool {
        self.state == BookState::Ok
    }

    /// Ok from the first instant of the second on, without resync.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Ends the second at `end` and writes the status columns.
    pub(super) fn fill(&mut self, row: &mut FactorRow, end: i64) {
        self.count(Some(end));
        row.book_state = self.state;
        row.book_valid = self.is_ok();
        row.book_valid_ms = u16::try_from(self.ok_ns / 1_000_000).unwrap_or(u16::MAX);
        row.book_epoch = self.epoch;
        row.n_book = self.n_book;
        row.stale_ms = self.last_at.map(|at| (end - at) / 1_000_000);
        row.book_seq = self.seq;
        row.last_update_id = self.update_id;
        row.invalid_reason = self.reason;
    }

    /// A new second begins at `start`.
    pub(super) fn next_second(&mut self, start: i64) {
        self.counted_to = Some(start);
        (self.ok_ns, self.n_book) = (0, 0);
        self.whole = self.is_ok();
    }

    /// The first second of a grid begins at `start`, where `at` is the first instant known. Messages counted
    /// before any time was known belong to it.
    pub(super) fn first_second(&mut self, at: i64) {
        self.counted_to = Some(at);
        (self.ok_ns, self.whole) = (0, false);
    }
}
