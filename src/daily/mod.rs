//! After the close: vendors' files into a store, and the chain of jobs that makes the daily tables of them.
//!
//! ```text
//! files ─▶ import ─▶ store: bars, facts ─▶ history ─▶ chain ─▶ jobs ─▶ store: tables, job_runs
//!                                     trades ───────────┘        └──▶ Parquet parts, MongoDB
//! ```
//! The store is embedded and holds everything that a later day needs; Parquet and MongoDB get copies.

pub mod chain;
pub mod explain;
mod hash;
pub mod history;
pub mod import;
mod jobs;
pub mod publish;
pub mod settings;
pub mod store;
pub mod study;
pub mod table;
pub mod trades;
mod values;
