//! Faults on a real Kafka: processes that are killed, frozen and shuffled, commits whose outcome nobody
//! knows, brokers that come and go. After each the outputs, the state and the decisions must be those of a
//! single-threaded recomputation: nothing lost, nothing twice.
//!
//! Each fault has a short form, which runs with the other tests, and a long form, which is ignored by
//! default: `scripts/faults --long`. They need `LOBSTREAM_TEST_KAFKA`; F4 and F7 start a broker of their
//! own with `scripts/services` and need what that needs.
#![expect(dead_code, reason = "the application and its inputs are shared with other tests")]

#[path = "../engine/check.rs"]
mod check;
#[path = "../engine/feed.rs"]
mod feed;
#[path = "../engine/fixture.rs"]
mod fixture;
#[path = "../engine/oracle.rs"]
mod oracle;

mod again;
mod ambiguous;
mod broker;
mod instance;
mod kills;
mod outage;
mod proxy;
mod restarts;
mod scene;
mod storm;
mod zombies;
