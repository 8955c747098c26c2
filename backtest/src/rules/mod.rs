//! What a market allows: price limits, lots, settlement and fees, each by date.
//!
//! The table of the A-share market is `ashare_rules.toml` beside this file; a file of the same form replaces
//! it. It is read by a small reader of its own (`table.rs`), so this crate needs no configuration library.

mod ashare;
mod board;
mod limit;
mod lot;
mod table;

pub use ashare::AshareRules;
pub use board::{Board, Exchange};
pub use limit::{Limits, limits};
pub use lot::Lot;
