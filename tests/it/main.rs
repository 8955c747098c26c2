//! One integration binary: the program as its users meet it.

mod parity;
mod sinks;
mod support;
mod tidy;
