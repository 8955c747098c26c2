//! lobstream, the application: the place where streams, market and backtest meet.

pub mod cli;
pub mod clock;
pub mod codec;
pub mod command;
pub mod config;
pub mod error;
pub mod feed;
mod mongo;
mod parquet;
pub mod pipeline;
pub mod sink;
