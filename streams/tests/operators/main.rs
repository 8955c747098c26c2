//! Operators on an embedded log: what they write for what they read, held against numbers made elsewhere.

mod bed;
mod vectors;
mod words;
