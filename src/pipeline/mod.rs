//! *Our* topology: what the engine runs, made of what the market crate computes.

pub mod factors;
mod nodes;
mod signals;
mod symbol;

pub use nodes::Message;
