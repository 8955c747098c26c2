//! Factors: numbers of a symbol, second by second.

pub mod columns;
pub mod row;
