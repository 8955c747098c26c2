//! The order-book vectors, and the recordings they were drawn from.

#[path = "book_sync/captures.rs"]
mod captures;
#[path = "book_sync/faults.rs"]
mod faults;
#[path = "book_sync/machine.rs"]
mod machine;
#[path = "book_sync/model.rs"]
mod model;
#[path = "book_sync/recordings.rs"]
mod recordings;
#[path = "book_sync/vectors.rs"]
mod vectors;
