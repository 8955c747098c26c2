//! Bars of A shares on the bar engine: limits of the day, whole lots, dated fees, an account in fen.

mod account;
mod limits;

pub use account::AshareAccount;
pub use limits::{BarLimits, day_limits};

/// Distance of two prices of a share, CNY.
pub const TICK: f64 = 0.01;
