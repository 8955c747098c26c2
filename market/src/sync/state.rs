//! What a sync machine is in, takes, and answers.

use serde::{Deserialize, Serialize};

use crate::book::validity::InvalidReason;
use crate::event::{Body, BookDelta, BookSnapshot, Control};
use crate::instrument::Instrument;

/// Where a machine stands.
///
/// ```text
/// Unsynced ─connected, first message─▶ Buffering ─join─▶ Synced ─gap, refused─▶ Gap ─resync started─▶ Resyncing
///    ▲                                                     ▲                     └──── a snapshot joins ──┤
///    │                                                     └──────────────────────────────────────────────┘
///    └── disconnected, from any state            any but Unsynced ─ a message refused ─▶ Gap
///                                                any but Unsynced ─ other steps of price ─▶ Resyncing
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SyncState {
    /// No connection.
    Unsynced,
    /// Changes are kept until a snapshot joins them.
    Buffering,
    /// The book is right and shown.
    Synced,
    /// A message is missing; the book is cleared, changes are kept.
    Gap,
    /// As `Gap`; a snapshot is on its way.
    Resyncing,
}

impl SyncState {
    /// All of them.
    pub const ALL: [SyncState; 5] =
        [SyncState::Unsynced, SyncState::Buffering, SyncState::Synced, SyncState::Gap, SyncState::Resyncing];

    /// Its text in logs and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            SyncState::Unsynced => "Unsynced",
            SyncState::Buffering => "Buffering",
            SyncState::Synced => "Synced",
            SyncState::Gap => "Gap",
            SyncState::Resyncing => "Resyncing",
        }
    }

    /// The arrows of the drawing; staying is no move.
    pub(super) fn may_become(self, next: SyncState) -> bool {
        use SyncState::{Buffering, Gap, Resyncing, Synced, Unsynced};
        match self {
            Unsynced => matches!(next, Buffering),
            Buffering => matches!(next, Synced | Gap | Resyncing | Unsynced),
            Synced => matches!(next, Gap | Resyncing | Unsynced),
            Gap => matches!(next, Resyncing | Synced | Unsynced),
            Resyncing => matches!(next, Synced | Gap | Unsynced),
        }
    }
}

/// What a machine is told.
#[derive(Clone, Copy, Debug)]
pub enum SyncInput<'a> {
    /// Steps of price and quantity from here on.
    Instrument(&'a Instrument),
    /// A connection stands.
    Connected,
    /// It broke.
    Disconnected,
    /// The source delivered nothing at all for too long.
    Silent,
    /// Nobody listened to the source since the message before.
    Away,
    /// The feed asks for a snapshot now.
    ResyncStarted,
    /// A complete state.
    Snapshot(&'a BookSnapshot),
    /// A change.
    Delta(&'a BookDelta),
    /// A book message came that could not be used.
    Refused,
}

impl<'a> SyncInput<'a> {
    /// What an event tells a machine; `None` for trades, quotes and refused trades.
    pub fn of(body: &'a Body) -> Option<SyncInput<'a>> {
        match body {
            Body::Instrument(instrument) => Some(SyncInput::Instrument(instrument)),
            Body::Snapshot(snapshot) => Some(SyncInput::Snapshot(snapshot)),
            Body::Delta(delta) => Some(SyncInput::Delta(delta)),
            Body::Refused(refused) => refused.book.then_some(SyncInput::Refused),
            Body::Control(Control::Connected) => Some(SyncInput::Connected),
            Body::Control(Control::Disconnected) => Some(SyncInput::Disconnected),
            Body::Control(Control::Stale) => Some(SyncInput::Silent),
            Body::Control(Control::ResyncStarted) => Some(SyncInput::ResyncStarted),
            Body::Control(Control::Away) => Some(SyncInput::Away),
            Body::Trade(_) | Body::Quote(_) => None,
        }
    }
}

/// What became of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The steps of price and quantity are as they were.
    Instrument,
    /// They changed: nothing from before can be used.
    StepsChanged,
    /// Connected.
    Connected,
    /// Disconnected; book and buffer are gone.
    Disconnected,
    /// The source is silent; the book may not be used until it speaks.
    Silent,
    /// Messages may be missing; the book may not be used until the next one proves that none is.
    Away,
    /// A message that cannot be right; the book is gone.
    Refused,
    /// Kept until a snapshot comes.
    Buffered,
    /// Of no use here.
    Ignored,
    /// In the book.
    Applied,
    /// In the book; whether one is missing before it cannot be told.
    Unverified,
    /// Older than the book.
    Stale,
    /// A state of a source without ids: it is the book.
    Snapshot,
    /// A snapshot joined the changes kept.
    Synced,
    /// The snapshot is older than the changes kept.
    TooOld,
    /// A message is missing.
    Gap,
    /// A message is missing among those kept.
    GapInBuffer,
    /// A message is missing, and the snapshot held back has closed the gap at once.
    GapRejoined,
    /// A snapshot newer than the book, held back for a gap.
    Held,
    /// A snapshot of the book's own state: compared.
    Audit,
    /// A snapshot older than the book.
    StaleSnapshot,
    /// The feed fetches a snapshot.
    ResyncStarted,
}

impl Outcome {
    /// Its text in logs and vectors.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Instrument => "instrument",
            Outcome::StepsChanged => "steps_changed",
            Outcome::Connected => "connected",
            Outcome::Disconnected => "disconnected",
            Outcome::Silent => "silent",
            Outcome::Away => "away",
            Outcome::Refused => "refused",
            Outcome::Buffered => "buffered",
            Outcome::Ignored => "ignored",
            Outcome::Applied => "applied",
            Outcome::Unverified => "unverified",
            Outcome::Stale => "stale",
            Outcome::Snapshot => "snapshot",
            Outcome::Synced => "synced",
            Outcome::TooOld => "too_old",
            Outcome::Gap => "gap",
            Outcome::GapInBuffer => "gap_in_buffer",
            Outcome::GapRejoined => "gap_rejoined",
            Outcome::Held => "held",
            Outcome::Audit => "audit",
            Outcome::StaleSnapshot => "stale_snapshot",
            Outcome::ResyncStarted => "resync_started",
        }
    }
}

/// What the feed should do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Fetch a snapshot, when backoff and budget allow. Replayed files have nobody to ask.
    RequestSnapshot,
}

/// What a reader of the book has to know of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookChange {
    /// Nothing: the book and what may be said about it are as before.
    None,
    /// One message was applied. What may be said about the book may have changed too (crossed, locked).
    Delta,
    /// The book stands on a new snapshot; nothing may be differenced with what was before.
    Joined,
    /// A book in use was lost.
    Lost(InvalidReason),
    /// A book in use was lost, and one stands again: `Lost`, then `Joined`.
    Rejoined(InvalidReason),
    /// There is still no book to use; only the reason is another.
    Waiting(InvalidReason),
}

/// The answer to an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncStep {
    /// What became of it.
    pub outcome: Outcome,
    /// What readers of the book have to know.
    pub change: BookChange,
    /// What the feed should do.
    pub action: Option<Action>,
}

/// Everything dropped, ignored or repaired, under its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Changes that went into a book, those of a join that then failed included.
    pub applied: u64,
    /// Changes older than the book.
    pub stale: u64,
    /// Changes that came while there was no book and nothing could be kept for later.
    pub ignored: u64,
    /// Changes applied without a number to check.
    pub unverified: u64,
    /// Missing messages, or runs of them.
    pub gaps: u64,
    /// Update ids missing in them, where the venue counts without holes.
    pub lost_ids: u64,
    /// Deletes of levels that were not there.
    pub unknown_deletes: u64,
    /// Messages that could not be used.
    pub refused: u64,
    /// Levels replaced by a later one of the same message.
    pub duplicate_levels: u64,
    /// Sides of snapshots that were not sorted.
    pub disordered: u64,
    /// Levels dropped because a side was too long.
    pub pruned_levels: u64,
    /// Changes dropped because the buffer was full.
    pub buffer_dropped: u64,
    /// Snapshots of the book's own state that differed from it.
    pub audits_differing: u64,
}

#[cfg(test)]
mod tests {
    use super::SyncState::{self, Buffering, Gap, Resyncing, Synced, Unsynced};

    /// All pairs, as the drawing has them.
    #[test]
    fn only_the_arrows_drawn_are_moves() {
        let drawn = [
            (Unsynced, Buffering),
            (Buffering, Synced),
            (Buffering, Gap),
            (Buffering, Resyncing),
            (Buffering, Unsynced),
            (Synced, Gap),
            (Synced, Resyncing),
            (Synced, Unsynced),
            (Gap, Resyncing),
            (Gap, Synced),
            (Gap, Unsynced),
            (Resyncing, Synced),
            (Resyncing, Gap),
            (Resyncing, Unsynced),
        ];
        for from in SyncState::ALL {
            for to in SyncState::ALL {
                assert_eq!(from.may_become(to), drawn.contains(&(from, to)), "{from:?} to {to:?}");
            }
        }
    }
}
