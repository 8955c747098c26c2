//! The factor vectors, the properties every factor keeps, and rows of recorded streams.

#[path = "factors/properties.rs"]
mod properties;
#[path = "factors/recordings.rs"]
mod recordings;
#[path = "factors/support.rs"]
mod support;
#[path = "factors/vectors.rs"]
mod vectors;
