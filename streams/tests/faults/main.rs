//! Faults by number, each against an oracle: nothing lost, nothing doubled, the same state. Those here are
//! simulated (`scripts/faults` lists all of them), every failure of which names its seed; F16 and F17 are processes
//! on an embedded log.
//!
//! `LOBSTREAM_FAULTS_LONG=1` runs ten times as much, `LOBSTREAM_SIM_FROM=S` begins at seed S.

#![expect(clippy::print_stdout, reason = "a run tells what happened in it")]
#[path = "../sim/bed.rs"]
mod bed;
#[path = "../engine/check.rs"]
mod check;
mod data;
#[expect(dead_code, reason = "the engine tests use the rest of it")]
#[path = "../engine/feed.rs"]
mod feed;
#[expect(dead_code, reason = "the engine tests use the rest of it")]
#[path = "../engine/fixture.rs"]
mod fixture;
mod idle;
#[path = "../engine/oracle.rs"]
mod oracle;
mod process;
mod program;
mod restore;
mod sink;
mod soak;
#[path = "../engine/stateless.rs"]
mod stateless;
