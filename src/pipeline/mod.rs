//! *Our* topology: what the engine runs, made of what the market crate computes.

pub mod factors;
pub mod images;
mod nodes;
mod signals;
pub mod sole_writer;
mod symbol;

pub use nodes::{LATE, Message};
pub use signals::SymbolsSeen;
