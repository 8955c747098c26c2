//! Test your own topology: record by record with [`TestDriver`], and under every fault with [`Sim`].
//!
//! The first answers "what comes of this record?", in a test of a few lines. The second answers "is it still
//! right when the process is killed between any two steps, a reply is lost, the disk is full?": it runs the
//! engine itself, not a copy of it, over a broker and a disk in memory that fail by seed. A failure names its
//! seed, and the same seed fails again in the same way.
//!
//! ```text
//! seed ─▶ input · threads · batches · order of turns · faults
//!           │
//!           ├─ fault phase: nothing wrong may be written     crash at an edge, power cut, frozen process,
//!           │                                                lost, late and repeated requests, full disk
//!           └─ calm phase:  everything comes to its end
//! ```

mod disk;
mod driver;
mod plan;
mod process;
mod run;
mod sim;

pub use self::driver::TestDriver;
pub use self::plan::{Feed, Plan};
pub use self::sim::{Counts, Failure, Outcome, Sim, Written};
pub use crate::log::memory::{Faults, Sabotage};
