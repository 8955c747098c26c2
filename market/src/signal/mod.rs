//! From factor rows to decisions: the record, and (in the files beside) who makes it.
//!
//! A signal is a state held from row to row, and an event on the row where it changes. Everything is evaluated
//! once per row; the end of the row's window is the first instant at which the signal may be used.

mod engine;
pub mod fusion;
pub mod gate;
pub mod rule;

use serde::{Deserialize, Serialize};

use crate::book::validity::BookState;
use crate::factor::columns::{columns, text_field};

pub use engine::{SignalEngine, SignalMemory};

/// What is held after a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalState {
    /// Nothing.
    Neutral,
    /// Up.
    Buy,
    /// Up, strongly.
    StrongBuy,
    /// Down.
    Sell,
    /// Down, strongly.
    StrongSell,
}

impl SignalState {
    /// All of them.
    pub const ALL: [SignalState; 5] = [
        SignalState::Neutral,
        SignalState::Buy,
        SignalState::StrongBuy,
        SignalState::Sell,
        SignalState::StrongSell,
    ];

    /// Its text.
    pub fn as_str(self) -> &'static str {
        match self {
            SignalState::Neutral => "neutral",
            SignalState::Buy => "buy",
            SignalState::StrongBuy => "strong_buy",
            SignalState::Sell => "sell",
            SignalState::StrongSell => "strong_sell",
        }
    }
}

/// What changed on a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalEvent {
    /// Nothing.
    None,
    /// Neutral → held.
    Enter,
    /// Held → neutral.
    Exit,
    /// Held → held the other way.
    Flip,
    /// Normal → strong.
    Upgrade,
    /// Strong → normal.
    Downgrade,
}

impl SignalEvent {
    /// All of them.
    pub const ALL: [SignalEvent; 6] = [
        SignalEvent::None,
        SignalEvent::Enter,
        SignalEvent::Exit,
        SignalEvent::Flip,
        SignalEvent::Upgrade,
        SignalEvent::Downgrade,
    ];

    /// Its text.
    pub fn as_str(self) -> &'static str {
        match self {
            SignalEvent::None => "none",
            SignalEvent::Enter => "enter",
            SignalEvent::Exit => "exit",
            SignalEvent::Flip => "flip",
            SignalEvent::Upgrade => "upgrade",
            SignalEvent::Downgrade => "downgrade",
        }
    }
}

text_field!(SignalState, SignalEvent);

/// A factor value that a signal was made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalValue {
    /// Leaf or leg.
    pub name: String,
    /// What it read; null if the factor was missing.
    pub value: Option<f64>,
    /// How it voted; null for legs.
    pub vote: Option<i8>,
}

columns! {
    /// What one source says after one row.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct SignalHead {
        /// Row label, ms.
        pub ts_ms: i64,
        /// First instant it may be used: row label + 1 s, ns.
        pub ts_known_ns: i64,
        /// Venue id.
        pub venue: String,
        /// Symbol.
        pub symbol: String,
        /// `rule` or `fusion`.
        pub source: String,
        /// Rule id, or `fusion`.
        pub rule_id: String,
        /// Hash of the effective rule.
        pub rule_hash: String,
        /// What is held.
        pub signal: SignalState,
        /// −1, 0, 1.
        pub dir: i8,
        /// What changed.
        pub event: SignalEvent,
        /// Why.
        pub reason: String,
        /// Evaluation time of the entry or flip of the held state, ms.
        pub since_ms: Option<i64>,
        /// Fusion score, or Σ weight·vote / Σ weight.
        pub score: Option<f64>,
        /// P(up) of the fusion score.
        pub proba: Option<f64>,
        /// Agreement of the legs.
        pub consistency: Option<f64>,
        /// Spread of the legs.
        pub dispersion: Option<f64>,
        /// Age difference of the legs, ms.
        pub lag_ms: Option<i64>,
        /// The coefficients of `proba` come from a fit.
        pub calibrated: bool,
        /// Copied from the row.
        pub book_state: BookState,
        /// Copied from the row.
        pub book_valid: bool,
        /// Copied from the row.
        pub stale_ms: Option<i64>,
    }
}

/// A decision and what it was made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Everything that has one value.
    #[serde(flatten)]
    pub head: SignalHead,
    /// Factor values used, in leaf order.
    pub values: Vec<SignalValue>,
}
