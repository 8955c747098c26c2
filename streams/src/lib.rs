//! A Kafka Streams for Rust: keyed logs, state, event time, exactly-once results.
#![deny(unsafe_code)]

pub mod beacon;
pub mod digest;
pub mod error;
pub mod lmdb;
pub mod log;
mod lz4;
pub mod record;
pub mod replay;
pub mod runtime;
pub mod settings;
pub mod store;
pub mod time;
pub mod topology;
mod wire;
