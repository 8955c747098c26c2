//! Measures of a run, one file each. Every ratio is printed with its convention.

pub mod benchmark;
pub mod conventions;
pub mod deflated;
pub mod drawdown;
pub mod normal;
pub mod periods;
pub mod returns;
pub mod sharpe;
pub mod sortino;
pub mod trades;

mod table;

pub use benchmark::Benchmark;
pub use conventions::{Conventions, Days};
pub(crate) use table::step_text;
pub use table::{Metric, Metrics, Sample, Totals, Unit, measure, measure_totals};
