//! Rows as the exchanges publish them, vendor spelling left behind.
//!
//! An `index` counts a channel's rows from 1. Where a file has none it is 0: rows then keep their order,
//! stable by time.

use serde::{Deserialize, Serialize};

use super::{Phase, TickTime};
use crate::book::Side;

/// What an SSE row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SseKind {
    /// `A`: what is left of an order after it matched on arrival, now resting.
    Add,
    /// `D`: a cancel.
    Delete,
    /// `T`: a match.
    Trade,
    /// `S`: the phase changed.
    Status,
}

/// Side of an SSE order, or aggressor of an SSE trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SseFlag {
    /// `B`.
    B,
    /// `S`.
    S,
    /// `N`: a match of an auction, which nobody crossed.
    N,
}

impl SseFlag {
    /// As a side; `None` for `N`.
    pub fn side(self) -> Option<Side> {
        match self {
            SseFlag::B => Some(Side::Bid),
            SseFlag::S => Some(Side::Ask),
            SseFlag::N => None,
        }
    }
}

/// A row of Shanghai's merged stream; orders and trades of two files give the same rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SseRow {
    /// Channel; 0 if the file does not say.
    pub channel: u32,
    /// `BizIndex`.
    pub index: i64,
    /// When.
    pub time: TickTime,
    /// What.
    pub kind: SseKind,
    /// Number of the buy order; 0 if there is none.
    pub buy_no: i64,
    /// Number of the sell order; 0 if there is none.
    pub sell_no: i64,
    /// Ticks; 0 where the row has no price.
    pub price: i64,
    /// Shares.
    pub qty: i64,
    /// What the file says was paid, in ticks times shares; checked only.
    pub money: Option<i64>,
    /// Side of an order, aggressor of a trade. `N` in a status row.
    pub flag: SseFlag,
    /// What a status row says the phase is now.
    pub phase: Option<Phase>,
}

/// Type of an SZSE order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OrdType {
    /// At a price or better.
    Limit,
    /// At the best prices of the other side.
    Market,
    /// `U`: at the best price of its own side.
    OwnBest,
}

/// An order as Shenzhen publishes it. Its number is its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SzseOrder {
    /// Channel; 0 if the file does not say.
    pub channel: u32,
    /// `ApplSeqNum`.
    pub index: i64,
    /// When.
    pub time: TickTime,
    /// Ticks; 0 for an order without a price.
    pub price: i64,
    /// Shares.
    pub qty: i64,
    /// `None`: securities lending, which is no order of the book.
    pub side: Option<Side>,
    /// How it is priced.
    pub kind: OrdType,
}

/// What an SZSE execution is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ExecKind {
    /// `F`: a match.
    Trade,
    /// `4`: a cancel of the one order whose number is not 0.
    Cancel,
}

/// An execution as Shenzhen publishes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SzseExecution {
    /// Channel; 0 if the file does not say.
    pub channel: u32,
    /// `ApplSeqNum`.
    pub index: i64,
    /// When.
    pub time: TickTime,
    /// Ticks; without meaning in a cancel.
    pub price: i64,
    /// Shares.
    pub qty: i64,
    /// Number of the buy order; 0 if there is none.
    pub buy_no: i64,
    /// Number of the sell order; 0 if there is none.
    pub sell_no: i64,
    /// What.
    pub kind: ExecKind,
}
