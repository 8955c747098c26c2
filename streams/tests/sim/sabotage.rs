//! Protocols that are broken on purpose: a simulation that does not find them proves nothing.

use lobstream_streams::testing::{Plan, Sabotage};

use crate::bed::{WORKLOAD, ask_oracle, hush, sim};
use crate::feed::Workload;
use crate::fixture::Protocol;

/// Seeds within which each must be found.
const SEEDS_MAX: u64 = 1_000;

/// The first seed that finds it.
fn found_after(rule: Sabotage, protocol: Protocol) -> u64 {
    hush();
    for seed in 0..SEEDS_MAX {
        let workload = Workload { seed: seed + 1, ..WORKLOAD };
        let run = sim(protocol, workload, Plan::ALL).sabotage(rule).run(seed);
        let asked = run.map_err(|failure| failure.to_string()).and_then(|done| ask_oracle(seed, &done));
        if let Err(what) = asked {
            println!("{rule:?} {protocol:?}: found by seed {seed}: {what}");
            return seed;
        }
    }
    panic!("{rule:?} {protocol:?} was not found within {SEEDS_MAX} seeds")
}

fn is_found(rule: Sabotage) {
    for protocol in [Protocol::A, Protocol::B] {
        found_after(rule, protocol);
    }
}

/// The engine itself has to be built to do it wrong: `cargo test --features sabotage`.
#[cfg(feature = "sabotage")]
#[test]
fn a_checkpoint_before_the_commit_is_found() {
    is_found(Sabotage::CheckpointFirst);
}

#[test]
fn a_producer_that_is_not_replaced_after_an_unknown_outcome_is_found() {
    is_found(Sabotage::NeverFences);
}

#[test]
fn a_late_end_that_is_accepted_is_found() {
    is_found(Sabotage::AcceptsLateEnds);
}
