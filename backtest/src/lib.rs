//! What stored factors were worth: rules, fills that state their assumptions, metrics, charts.
//!
//! ```text
//! FactorRow… ─▶ Dataset ─▶ run(strategy, fills, fees) ─▶ RunResult ─▶ report::write
//!               bars, factors,                            trades, equity,   HTML, PNG, CSV,
//!               spells without a book                     metrics, hash     JSON, assumptions
//! ```
//!
//! It reads stored rows, never the log. A decision at a bar's close sees only what was known then, an
//! order fills at a price of a later bar, and nothing fills while the book is known to be wrong.
//! Not modelled: market impact, queues and latency below one bar, funding, borrow cost; every run lists
//! its assumptions in `assumptions.md`.
//!
//! ```
//! use lobstream_backtest::{Dataset, RunConfig, Series, StrategyConfig, run};
//!
//! let bars = [[100.0, 101.0, 99.0, 100.5], [100.5, 102.0, 100.0, 101.5], [101.5, 103.0, 101.0, 102.5]];
//! let series = Series::from_ohlc("binance-spot", "BTCUSDT", 60_000, 0, &bars)?;
//! let config = RunConfig { strategy: StrategyConfig::Hold, ..RunConfig::default() };
//! let result = run(&Dataset::from_series(vec![series])?, &config)?;
//! assert_eq!(result.trades[0].i0, 1, "decided at the first close, filled at the second open");
//! # Ok::<(), lobstream_backtest::Error>(())
//! ```
#![forbid(unsafe_code)]

pub mod band_pass;
pub mod dataset;
pub mod engine;
pub mod error;
pub mod lookahead;
pub mod metrics;
pub mod model;
pub mod portfolio;
pub mod report;
pub mod rules;
pub mod run;
pub mod strategy;
pub mod sweep;

pub use dataset::{Dataset, DatasetOptions, Series};
pub use engine::{Fill, Trade};
pub use error::Error;
pub use report::ReportOptions;
pub use run::{Accounting, RunConfig, RunResult, run, run_daily};
pub use strategy::StrategyConfig;
