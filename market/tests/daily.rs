//! The daily chain against numbers that were made outside of this code base, and against slow computations.

#[path = "daily/properties.rs"]
mod properties;
#[path = "daily/vectors.rs"]
mod vectors;
