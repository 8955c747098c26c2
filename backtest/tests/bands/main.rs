//! The band rule in one pass, and sweeps over it.

mod pass;
#[path = "../support/mod.rs"]
mod support;
mod sweep;
