//! What may be said about a book, and why it may not be used.

use serde::{Deserialize, Serialize};

/// What may be said about a book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BookState {
    /// Right, with two sides.
    Ok,
    /// Right, one side empty.
    OneSided,
    /// Right, both sides empty.
    Empty,
    /// Best bid at or above best ask.
    Crossed,
    /// Known to be wrong, or not known to be right.
    Invalid,
    /// There never was one.
    #[default]
    None,
}

impl BookState {
    /// All of them.
    pub const ALL: [BookState; 6] = [
        BookState::Ok,
        BookState::OneSided,
        BookState::Empty,
        BookState::Crossed,
        BookState::Invalid,
        BookState::None,
    ];

    /// Its text in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            BookState::Ok => "ok",
            BookState::OneSided => "one_sided",
            BookState::Empty => "empty",
            BookState::Crossed => "crossed",
            BookState::Invalid => "invalid",
            BookState::None => "none",
        }
    }
}

/// Why a book may not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvalidReason {
    /// No connection yet.
    Unsynced,
    /// Waiting for a snapshot that joins.
    Buffering,
    /// A message is missing.
    Gap,
    /// Waiting for the snapshot after a gap.
    Resyncing,
    /// A message could not be used.
    Refused,
    /// The connection broke.
    Disconnected,
    /// The source went silent.
    Stale,
    /// Best bid above best ask.
    Crossed,
    /// Best bid equal to best ask.
    Locked,
}

impl InvalidReason {
    /// All of them.
    pub const ALL: [InvalidReason; 9] = [
        InvalidReason::Unsynced,
        InvalidReason::Buffering,
        InvalidReason::Gap,
        InvalidReason::Resyncing,
        InvalidReason::Refused,
        InvalidReason::Disconnected,
        InvalidReason::Stale,
        InvalidReason::Crossed,
        InvalidReason::Locked,
    ];

    /// Its text in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            InvalidReason::Unsynced => "unsynced",
            InvalidReason::Buffering => "buffering",
            InvalidReason::Gap => "gap",
            InvalidReason::Resyncing => "resyncing",
            InvalidReason::Refused => "refused",
            InvalidReason::Disconnected => "disconnected",
            InvalidReason::Stale => "stale",
            InvalidReason::Crossed => "crossed",
            InvalidReason::Locked => "locked",
        }
    }
}
