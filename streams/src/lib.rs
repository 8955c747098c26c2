//! A Kafka Streams for Rust: keyed logs, state, event time, exactly-once results.
#![deny(unsafe_code)]

pub mod error;
pub mod lmdb;
pub mod log;
pub mod record;
pub mod time;
