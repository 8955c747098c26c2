//! The factor vectors, the properties every factor keeps, and rows of recorded streams.
#![expect(clippy::print_stderr, reason = "what is skipped or left out is said aloud")]

#[path = "factors/properties.rs"]
mod properties;
#[path = "factors/recordings.rs"]
mod recordings;
#[path = "factors/support.rs"]
mod support;
#[path = "factors/vectors.rs"]
mod vectors;
