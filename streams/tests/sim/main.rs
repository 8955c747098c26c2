//! The engine under every fault at once, seed by seed, against a single-threaded recomputation.
//!
//! `LOBSTREAM_SIM_SEEDS=N` runs N seeds instead of 200, `LOBSTREAM_SIM_FROM=S` begins at seed S.

#![expect(clippy::print_stdout, reason = "a run tells what happened in it")]
mod bed;
#[expect(dead_code, reason = "the engine tests use the rest of it")]
#[path = "../engine/check.rs"]
mod check;
#[expect(dead_code, reason = "the engine tests use the rest of it")]
#[path = "../engine/feed.rs"]
mod feed;
#[expect(dead_code, reason = "the engine tests use the rest of it")]
#[path = "../engine/fixture.rs"]
mod fixture;
#[path = "../engine/oracle.rs"]
mod oracle;
mod sabotage;
mod seeds;
