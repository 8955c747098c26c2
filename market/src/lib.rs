//! Nouns and numbers of a market: instruments, events, order books, factors, signals.
//!
//! Pure: no I/O, no clock, no threads. The same events in the same order give the same bits.
#![forbid(unsafe_code)]

pub mod ashare;
pub mod book;
pub mod calendar;
pub mod codec;
pub mod error;
pub mod event;
pub mod instrument;
pub mod price;

pub mod daily;
pub mod factor;
pub mod images;
pub mod signal;
pub mod sync;
pub mod synthetic;
