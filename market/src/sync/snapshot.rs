//! What a snapshot does: join the changes kept, or stand beside a book that is right.

use std::cmp::Ordering;

use super::BookSync;
use super::rule::Verdict;
use super::state::Outcome;
use crate::book::{OrderBook, Side, validate};
use crate::event::BookSnapshot;

/// Levels a side that an audit compares.
const AUDIT_LEVELS: usize = 100;

impl BookSync {
    pub(super) fn on_snapshot(&mut self, snapshot: &BookSnapshot) -> Outcome {
        let oddities = validate::snapshot_oddities(snapshot);
        self.counters.duplicate_levels += oddities.duplicate_levels;
        self.counters.disordered += oddities.disordered;
        if !validate::is_usable_snapshot(snapshot) {
            return self.refuse();
        }
        self.wake();
        match (self.rule.has_ids(), snapshot.last_id, self.book.last_id()) {
            (false, _, _) => self.take_as_it_is(snapshot),
            (true, None, _) => self.refuse(),
            (true, Some(id), Some(book_id)) => self.beside_the_book(snapshot, id.cmp(&book_id)),
            (true, Some(id), None) => self.join(snapshot, id),
        }
    }

    /// A snapshot while the book is right.
    fn beside_the_book(&mut self, snapshot: &BookSnapshot, age: Ordering) -> Outcome {
        match age {
            Ordering::Less => Outcome::StaleSnapshot,
            Ordering::Equal => self.audit(snapshot),
            Ordering::Greater => {
                self.held = Some(snapshot.clone());
                Outcome::Held
            }
        }
    }

    /// Compares where both were told everything.
    fn audit(&mut self, snapshot: &BookSnapshot) -> Outcome {
        let mut told = OrderBook::new(usize::MAX);
        told.load(snapshot);
        let agrees = |side: Side| {
            let is_known = |px| told.is_known(side, px) && self.book.is_known(side, px);
            let known = |book: &OrderBook| {
                book.iter(side).take(AUDIT_LEVELS).take_while(|level| is_known(level.px)).collect::<Vec<_>>()
            };
            known(&told) == known(&self.book)
        };
        if !Side::ALL.into_iter().all(agrees) {
            self.counters.audits_differing += 1;
        }
        Outcome::Audit
    }

    /// Without ids every snapshot is the book.
    fn take_as_it_is(&mut self, snapshot: &BookSnapshot) -> Outcome {
        self.load(snapshot);
        self.shown(1);
        Outcome::Snapshot
    }

    fn load(&mut self, snapshot: &BookSnapshot) {
        let applied = self.book.load(snapshot);
        self.count(applied);
        self.anchored = false;
    }

    /// Loads a snapshot and steps through the changes kept. Nothing is shown unless all of them continue.
    pub(super) fn join(&mut self, snapshot: &BookSnapshot, id: i64) -> Outcome {
        if !self.rule.reaches(&self.buffer, id) {
            return Outcome::TooOld;
        }
        self.load(snapshot);
        let mut kept = std::mem::take(&mut self.buffer);
        let mut messages = 1;
        for i in 0..kept.len() {
            match self.rule.judge(&kept[i], self.book.last_id(), self.anchored) {
                Verdict::Apply | Verdict::Unverified => {
                    self.apply(&kept[i]);
                    messages += 1;
                }
                Verdict::Stale => self.counters.stale += 1,
                Verdict::Gap { lost_ids } => {
                    self.count_gap(lost_ids);
                    self.book.clear();
                    kept.drain(..i);
                    self.buffer = kept;
                    return Outcome::GapInBuffer;
                }
            }
        }
        self.shown(messages);
        Outcome::Synced
    }
}
