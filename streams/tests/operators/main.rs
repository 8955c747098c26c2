//! Operators at work: what they write for what they read, held against numbers made elsewhere.
#![allow(clippy::duplicate_mod, reason = "each example brings what the examples share")]

mod bed;
mod codecs;
mod crashes;
mod examples;
mod graph;
mod joins;
mod keys;
mod quiet;
mod stateless;
mod vectors;
mod windows;
mod words;
