//! The order-book vectors, and the recordings they were drawn from.

#[path = "book_sync/vectors.rs"]
mod vectors;
