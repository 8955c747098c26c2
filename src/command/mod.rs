//! One file per verb: what it does with settings that are already resolved.

pub mod digest;
pub mod export;
