//! The limit order book of one instrument, and what may be said about it.

pub mod validity;
