//! The band rule in one pass, and sweeps over it.

#[path = "../support/parity.rs"]
mod parity;
mod pass;
#[path = "../support/mod.rs"]
mod support;
mod sweep;
