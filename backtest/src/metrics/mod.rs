//! Measures of a run, one file each. Every ratio is printed with its convention.

pub mod drawdown;
pub mod returns;
pub mod sharpe;
pub mod sortino;
pub mod trades;

mod table;

pub(crate) use table::step_text;
pub use table::{Metric, Metrics, Unit, measure};
