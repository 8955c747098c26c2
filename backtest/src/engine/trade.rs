//! One row per position, or per part of one that was sold apart: how it began, how it ended, what it earned.

use serde::Serialize;

use crate::model::Side;

/// Why a position ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitReason {
    /// Stop loss inside a bar.
    Sl,
    /// The open was already beyond the stop.
    SlGap,
    /// The stop was touched on the day of the entry; sold at the first open after it.
    SlT1,
    /// Take profit inside a bar.
    Tp,
    /// The open was already beyond the target.
    TpGap,
    /// The support broke and was sold.
    SupportBreak,
    /// It never reached the middle band in time.
    NoTouch,
    /// First stage of a staged exit: half.
    Tp1,
    /// Last stage: the rest.
    Tp2,
    /// Closed because a fold or period ended.
    EndOfData,
    /// The stock is not listed any more.
    Delisted,
    /// The rule said so.
    Signal,
    /// The longest holding time.
    Time,
    /// It did not: the data ended. Marked to the last close, not counted as closed.
    Open,
}

impl ExitReason {
    /// All of them.
    pub const ALL: [ExitReason; 14] = [
        ExitReason::Sl,
        ExitReason::SlGap,
        ExitReason::SlT1,
        ExitReason::Tp,
        ExitReason::TpGap,
        ExitReason::SupportBreak,
        ExitReason::NoTouch,
        ExitReason::Tp1,
        ExitReason::Tp2,
        ExitReason::EndOfData,
        ExitReason::Delisted,
        ExitReason::Signal,
        ExitReason::Time,
        ExitReason::Open,
    ];

    /// Its text.
    pub fn as_str(self) -> &'static str {
        match self {
            ExitReason::Sl => "sl",
            ExitReason::SlGap => "sl_gap",
            ExitReason::SlT1 => "sl_t1",
            ExitReason::Tp => "tp",
            ExitReason::TpGap => "tp_gap",
            ExitReason::SupportBreak => "support_break",
            ExitReason::NoTouch => "no_touch",
            ExitReason::Tp1 => "tp1",
            ExitReason::Tp2 => "tp2",
            ExitReason::EndOfData => "end_of_data",
            ExitReason::Delisted => "delisted",
            ExitReason::Signal => "signal",
            ExitReason::Time => "time",
            ExitReason::Open => "open",
        }
    }

    /// What it means, for people.
    pub fn describe(self) -> &'static str {
        match self {
            ExitReason::Sl => "stop loss inside a bar",
            ExitReason::SlGap => "opened beyond the stop",
            ExitReason::SlT1 => "stop touched on the entry day",
            ExitReason::Tp => "take profit inside a bar",
            ExitReason::TpGap => "opened beyond the target",
            ExitReason::SupportBreak => "support broken with selling",
            ExitReason::NoTouch => "middle band never touched in time",
            ExitReason::Tp1 => "first target, half",
            ExitReason::Tp2 => "last target",
            ExitReason::EndOfData => "end of the period",
            ExitReason::Delisted => "not listed any more",
            ExitReason::Signal => "exit rule",
            ExitReason::Time => "longest holding time",
            ExitReason::Open => "still open at the end",
        }
    }
}

/// What settled at which price an exit was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolvedBy {
    /// The bar alone: only one thing can have happened.
    Bar,
    /// The prices inside the bar.
    Detail,
    /// The rule "stop before target".
    Rule,
}

impl ResolvedBy {
    /// Its text.
    pub fn as_str(self) -> &'static str {
        match self {
            ResolvedBy::Bar => "bar",
            ResolvedBy::Detail => "detail",
            ResolvedBy::Rule => "rule",
        }
    }
}

/// A position from its entry to its exit.
#[derive(Clone, Debug, PartialEq)]
pub struct Trade {
    /// Index of its series in the dataset.
    pub series: usize,
    /// Which way.
    pub side: Side,
    /// Bar of the entry.
    pub i0: usize,
    /// Bar of the exit.
    pub i1: usize,
    /// Bar at whose close the entry was decided.
    pub decided_in: usize,
    /// Last bar that was known when the exit was decided.
    pub decided_out: usize,
    /// When it was entered, ms.
    pub entry_ms: i64,
    /// When it ended, ms.
    pub exit_ms: i64,
    /// Fill price of the entry.
    pub entry: f64,
    /// Fill price of the exit.
    pub exit: f64,
    /// Quantity, base units.
    pub qty: f64,
    /// Quantity times entry price.
    pub notional: f64,
    /// Stop price.
    pub sl: Option<f64>,
    /// Target price.
    pub tp: Option<f64>,
    /// What it earned after fees.
    pub pnl: f64,
    /// The same over the notional.
    pub return_pct: f64,
    /// Fees of both fills.
    pub fees: f64,
    /// What slippage cost in both fills.
    pub slippage: f64,
    /// Worst move against it, fraction of the entry (≤ 0): whole bars before the exit, and the exit itself.
    pub mae: f64,
    /// Best move for it, likewise (≥ 0).
    pub mfe: f64,
    /// Why it ended.
    pub reason: ExitReason,
    /// What settled the exit price.
    pub resolved_by: ResolvedBy,
    /// Which entry it belongs to, counted from 1; exits of parts share it. 0 where every entry has one exit.
    pub position: usize,
    /// Why it was entered: `signal`, or the variant of the entry.
    pub entry_reason: &'static str,
    /// Days on which the exit was tried in vain.
    pub carried_days: usize,
}

impl Trade {
    /// Bars it lived, entry and exit bar included.
    pub fn bars_held(&self) -> usize {
        self.i1 - self.i0 + 1
    }

    /// It ended before the data did.
    pub fn is_closed(&self) -> bool {
        self.reason != ExitReason::Open
    }
}

/// An order that was not filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Index of its series in the dataset.
    pub series: usize,
    /// When, ms.
    pub ts_ms: i64,
    /// `entry`, or the reason of the exit.
    pub what: &'static str,
    /// `book_invalid`, `no_cash`, `no_slot`, `limit_up`, `limit_down`, `volume_cap`, `no_volume`, `suspended` or `ipo_day1`.
    pub cause: &'static str,
}
