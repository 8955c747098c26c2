//! Many seeds of one application, with everything going wrong.

use lobstream_streams::testing::{Counts, Plan};

use crate::bed::{WORKLOAD, ask_oracle, hush, number, sim};
use crate::feed::Workload;
use crate::fixture::Protocol;

/// Runs one seed in so many, each with a workload of its own.
fn run_seeds(protocol: Protocol, parity: u64, plan: &Plan, share: u64) -> Counts {
    hush();
    let (from, n) = (number("LOBSTREAM_SIM_FROM", 0), number("LOBSTREAM_SIM_SEEDS", 200) / share);
    let mut all = Counts::default();
    for seed in (from..from + n).filter(|seed| seed % 2 == parity) {
        let workload = Workload { seed: seed + 1, ..WORKLOAD };
        let sim = sim(protocol, workload, plan.clone());
        let outcome = sim.run_twice(seed).unwrap_or_else(|failure| panic!("{failure}"));
        ask_oracle(seed, &outcome).unwrap_or_else(|what| panic!("{what}"));
        all.add(&outcome.counts);
    }
    all
}

fn everything_happened(all: &Counts) {
    println!("{all:?}");
    if number("LOBSTREAM_SIM_SEEDS", 200) < 200 {
        return;
    }
    let Counts { deaths, power_cuts, freezes, errors, stops, replaced, checkpoints_failed, edges, .. } = all;
    for (what, n) in [
        ("deaths", deaths),
        ("power cuts", power_cuts),
        ("freezes", freezes),
        ("errors", errors),
        ("stops", stops),
        ("replaced producers", replaced),
        ("failed checkpoints", checkpoints_failed),
    ] {
        assert!(*n > 5, "only {n} {what}");
    }
    assert!(edges.len() >= 10, "only some edges were met: {edges:?}");
}

#[test]
fn every_seed_is_what_the_oracle_says_with_changelogs() {
    everything_happened(&run_seeds(Protocol::A, 0, &Plan::ALL, 1));
}

#[test]
fn every_seed_is_what_the_oracle_says_with_muted_replay() {
    everything_happened(&run_seeds(Protocol::B, 1, &Plan::ALL, 1));
}

#[test]
fn a_calm_run_is_what_the_oracle_says() {
    hush();
    for protocol in [Protocol::A, Protocol::B] {
        let outcome = sim(protocol, WORKLOAD, Plan::CALM).run_twice(3).unwrap_or_else(|e| panic!("{e}"));
        ask_oracle(3, &outcome).unwrap_or_else(|what| panic!("{what}"));
        assert_eq!((outcome.counts.starts, outcome.counts.deaths, outcome.counts.errors), (1, 0, 0));
    }
}

#[test]
fn every_seed_of_a_group_is_what_the_oracle_says() {
    for (protocol, parity) in [(Protocol::A, 0), (Protocol::B, 1)] {
        let all = run_seeds(protocol, parity, &Plan::GROUP, 4);
        everything_happened(&all);
        assert!(all.kicks > 5 || number("LOBSTREAM_SIM_SEEDS", 200) < 200, "only {} kicks", all.kicks);
    }
}
