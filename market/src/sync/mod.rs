//! From a venue's messages to a book that is right, or known not to be: one machine per symbol.
//!
//! A message is checked before the book is touched. From the moment something is missing the book is
//! cleared, not kept as a last good one: a stale book that looks usable is the worst outcome.

mod binance_futures;
mod binance_spot;
mod rule;
mod snapshot;
mod state;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::book::validity::{BookState, InvalidReason};
use crate::book::{Applied, BookView, Cross, OrderBook, Side, validate};
use crate::event::{BookDelta, BookSnapshot};
use crate::instrument::{Instrument, Venue};
use crate::price::Step;
use rule::{Rule, Verdict};

pub use binance_spot::SpotJoin;
pub use state::{Action, BookChange, Counters, Outcome, SyncInput, SyncState, SyncStep};

/// Settings of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncOptions {
    /// Binance spot: which snapshots join. Default: contiguous ones too.
    pub spot_join: SpotJoin,
    /// Changes kept while there is no book; the oldest go first. Default 10 000, at least 1.
    pub buffer_events_max: usize,
    /// Levels a side of the book. Default 20 000, at least 1.
    pub levels_max: usize,
}

impl Default for SyncOptions {
    fn default() -> Self {
        SyncOptions { spot_join: SpotJoin::default(), buffer_events_max: 10_000, levels_max: 20_000 }
    }
}

/// The book of one symbol and the machine that keeps it right.
///
/// Its whole state can be stored and loaded between any two steps.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BookSync {
    rule: Rule,
    buffer_events_max: usize,
    state: SyncState,
    /// Why there is no book; of no meaning while `Synced`.
    missing: InvalidReason,
    /// The source fell silent and no book message has come since.
    silent: bool,
    book: OrderBook,
    /// A change was applied since the snapshot.
    anchored: bool,
    buffer: VecDeque<BookDelta>,
    held: Option<BookSnapshot>,
    /// Steps of price and quantity that the levels are counted in.
    steps: Option<(Step, Step)>,
    epoch: u32,
    book_seq: u64,
    counters: Counters,
}

impl BookSync {
    /// A machine without a book.
    pub fn new(venue: Venue, options: SyncOptions) -> BookSync {
        BookSync {
            rule: Rule::of(venue, options.spot_join),
            buffer_events_max: options.buffer_events_max.max(1),
            state: SyncState::Unsynced,
            missing: InvalidReason::Unsynced,
            silent: false,
            book: OrderBook::new(options.levels_max),
            anchored: false,
            buffer: VecDeque::new(),
            held: None,
            steps: None,
            epoch: 0,
            book_seq: 0,
            counters: Counters::default(),
        }
    }

    /// Takes one message. What readers then see is [`BookSync::view`].
    pub fn step(&mut self, input: SyncInput<'_>) -> SyncStep {
        let (before, had_buffer) = (self.unusable(), !self.buffer.is_empty());
        let outcome = match input {
            SyncInput::Instrument(instrument) => self.on_instrument(instrument),
            SyncInput::Connected => self.on_connected(),
            SyncInput::Disconnected => self.on_disconnected(),
            SyncInput::Silent => self.on_silent(),
            SyncInput::Away => self.on_away(),
            SyncInput::ResyncStarted => self.on_resync_started(),
            SyncInput::Snapshot(snapshot) => self.on_snapshot(snapshot),
            SyncInput::Delta(delta) => self.on_delta(delta),
            SyncInput::Refused => self.refuse(),
        };
        SyncStep { outcome, change: self.change(before, outcome), action: self.action(had_buffer, outcome) }
    }

    /// The book and what may be said about it now.
    pub fn view(&self) -> BookView<'_> {
        let (state, reason) = self.judged();
        BookView {
            book: &self.book,
            state,
            reason,
            epoch: self.epoch,
            book_seq: self.book_seq,
            last_update_id: self.book.last_id(),
        }
    }

    /// Where the machine stands.
    pub fn state(&self) -> SyncState {
        self.state
    }

    /// What was dropped, ignored or repaired so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Changes kept for a snapshot to come.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    fn on_instrument(&mut self, instrument: &Instrument) -> Outcome {
        let steps = (instrument.tick_size, instrument.lot_size);
        if self.steps.replace(steps).is_none_or(|known| known == steps) {
            return Outcome::Instrument;
        }
        self.buffer.clear();
        self.held = None;
        if self.state != SyncState::Unsynced {
            self.lose(SyncState::Resyncing, InvalidReason::Resyncing);
        }
        Outcome::StepsChanged
    }

    fn on_connected(&mut self) -> Outcome {
        self.wake();
        Outcome::Connected
    }

    fn on_disconnected(&mut self) -> Outcome {
        self.buffer.clear();
        self.held = None;
        self.lose(SyncState::Unsynced, InvalidReason::Disconnected);
        Outcome::Disconnected
    }

    fn on_silent(&mut self) -> Outcome {
        self.silent = true;
        Outcome::Silent
    }

    /// Where changes have ids the next one proves whether the book is still right; else only a snapshot does.
    fn on_away(&mut self) -> Outcome {
        if self.rule.has_ids() {
            self.silent = true;
        } else if self.state != SyncState::Unsynced {
            self.lose(SyncState::Gap, InvalidReason::Stale);
        }
        Outcome::Away
    }

    fn on_resync_started(&mut self) -> Outcome {
        if self.state == SyncState::Gap {
            self.lose(SyncState::Resyncing, InvalidReason::Resyncing);
        }
        Outcome::ResyncStarted
    }

    fn on_delta(&mut self, delta: &BookDelta) -> Outcome {
        for levels in [&delta.bids, &delta.asks] {
            self.counters.duplicate_levels += validate::duplicate_levels(levels);
        }
        if !validate::is_usable_delta(delta) || !self.rule.is_complete(delta) {
            return self.refuse();
        }
        self.wake();
        if self.state != SyncState::Synced {
            return self.keep(delta);
        }
        match self.rule.judge(delta, self.book.last_id(), self.anchored) {
            Verdict::Apply => self.apply_shown(delta, Outcome::Applied),
            Verdict::Unverified => {
                self.counters.unverified += 1;
                self.apply_shown(delta, Outcome::Unverified)
            }
            Verdict::Stale => {
                self.counters.stale += 1;
                Outcome::Stale
            }
            Verdict::Gap { lost_ids } => self.gap(delta, lost_ids),
        }
    }

    /// In files there is no word of a connection; the first message tells.
    fn wake(&mut self) {
        if self.state == SyncState::Unsynced {
            self.lose(SyncState::Buffering, InvalidReason::Buffering);
        }
    }

    fn refuse(&mut self) -> Outcome {
        self.counters.refused += 1;
        self.wake();
        self.lose(SyncState::Gap, InvalidReason::Refused);
        Outcome::Refused
    }

    fn keep(&mut self, delta: &BookDelta) -> Outcome {
        if !self.rule.has_ids() {
            self.counters.ignored += 1;
            return Outcome::Ignored;
        }
        if self.buffer.len() == self.buffer_events_max {
            self.buffer.pop_front();
            self.counters.buffer_dropped += 1;
        }
        self.buffer.push_back(delta.clone());
        Outcome::Buffered
    }

    fn apply_shown(&mut self, delta: &BookDelta, outcome: Outcome) -> Outcome {
        self.apply(delta);
        self.silent = false;
        self.book_seq += 1;
        if self.held.as_ref().is_some_and(|held| held.last_id <= self.book.last_id()) {
            self.held = None;
        }
        outcome
    }

    fn apply(&mut self, delta: &BookDelta) {
        let applied = self.book.apply(delta);
        self.count(applied);
        self.counters.applied += 1;
        self.anchored = true;
    }

    fn count(&mut self, applied: Applied) {
        self.counters.unknown_deletes += applied.unknown_deletes;
        self.counters.pruned_levels += applied.pruned;
    }

    /// The change that shows the gap is the first one kept for the next join.
    fn gap(&mut self, delta: &BookDelta, lost_ids: u64) -> Outcome {
        self.count_gap(lost_ids);
        self.lose(SyncState::Gap, InvalidReason::Gap);
        self.keep(delta);
        match self.held.take().map(|held| (held.last_id, held)) {
            Some((Some(id), held)) if self.join(&held, id) == Outcome::Synced => Outcome::GapRejoined,
            Some(_) | None => Outcome::Gap,
        }
    }

    fn count_gap(&mut self, lost_ids: u64) {
        self.counters.gaps += 1;
        self.counters.lost_ids += lost_ids;
    }

    fn shown(&mut self, messages: u64) {
        self.held = None;
        self.silent = false;
        self.epoch += 1;
        self.book_seq += messages;
        self.enter(SyncState::Synced);
    }

    /// Leaves the book, if there is one, for a state without.
    fn lose(&mut self, state: SyncState, reason: InvalidReason) {
        self.book.clear();
        self.silent = false;
        self.missing = reason;
        self.enter(state);
    }

    fn enter(&mut self, next: SyncState) {
        debug_assert!(self.state == next || self.state.may_become(next), "{:?} to {next:?}", self.state);
        self.state = next;
    }

    /// Why there is no right book at all; crossed and locked ones are right, though not to be used.
    fn unusable(&self) -> Option<InvalidReason> {
        match self.state {
            SyncState::Synced => self.silent.then_some(InvalidReason::Stale),
            SyncState::Unsynced | SyncState::Buffering | SyncState::Gap | SyncState::Resyncing => {
                Some(self.missing)
            }
        }
    }

    fn judged(&self) -> (BookState, Option<InvalidReason>) {
        if let Some(reason) = self.unusable() {
            let state = if self.epoch == 0 { BookState::None } else { BookState::Invalid };
            return (state, Some(reason));
        }
        match self.book.cross() {
            Some(Cross::Crossed) => (BookState::Crossed, Some(InvalidReason::Crossed)),
            Some(Cross::Locked) => (BookState::Crossed, Some(InvalidReason::Locked)),
            None => match Side::ALL.map(|side| self.book.len(side) > 0) {
                [true, true] => (BookState::Ok, None),
                [false, false] => (BookState::Empty, None),
                [true, false] | [false, true] => (BookState::OneSided, None),
            },
        }
    }

    fn change(&self, before: Option<InvalidReason>, outcome: Outcome) -> BookChange {
        use Outcome::{
            Applied, Audit, Away, Buffered, Connected, Disconnected, Gap, GapInBuffer, GapRejoined, Held,
            Ignored, Instrument, Refused, ResyncStarted, Silent, Snapshot, Stale, StaleSnapshot,
            StepsChanged, Synced, TooOld, Unverified,
        };
        match outcome {
            Applied | Unverified => BookChange::Delta,
            Synced | Snapshot => BookChange::Joined,
            GapRejoined => BookChange::Rejoined(InvalidReason::Gap),
            Instrument | StepsChanged | Connected | Disconnected | Silent | Away | Refused | Buffered
            | Ignored | Stale | TooOld | Gap | GapInBuffer | Held | Audit | StaleSnapshot | ResyncStarted => {
                match (before, self.unusable()) {
                    (None, Some(reason)) => BookChange::Lost(reason),
                    (Some(before), Some(reason)) if before != reason => BookChange::Waiting(reason),
                    (None | Some(_), None) | (Some(_), Some(_)) => BookChange::None,
                }
            }
        }
    }

    /// A snapshot is of use once there is something to join it with; one that failed is asked for again.
    fn action(&self, had_buffer: bool, outcome: Outcome) -> Option<Action> {
        let failed = matches!(outcome, Outcome::TooOld | Outcome::GapInBuffer | Outcome::Refused);
        let waits = self.state != SyncState::Synced && !self.buffer.is_empty();
        (waits && (failed || !had_buffer)).then_some(Action::RequestSnapshot)
    }
}
