//! Many seeds of one application, with everything going wrong.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Once};

use lobstream_streams::log::Log;
use lobstream_streams::testing::{Counts, Feed, Outcome, Plan, Sim};
use lobstream_streams::time::Ts;

use crate::check::check_with;
use crate::feed::{Item, PARTITIONS, Workload, items};
use crate::fixture::{Protocol, topology};

pub(crate) const WORKLOAD: Workload =
    Workload { seed: 1, records: 300, poison_every: 40, bye: true, start: 1_000_000 };

/// A simulation of the application on a workload.
pub(crate) fn sim(protocol: Protocol, workload: Workload, plan: Plan) -> Sim<String> {
    let mut feed = Feed::default().topic("app.a", PARTITIONS).topic("app.b", PARTITIONS);
    for item in items(workload) {
        match item {
            Item::Record { topic, key, value, ts, seq } => {
                feed.record(&format!("app.{topic}"), &key, Some(&value), Ts(ts), seq);
            }
            Item::Beacon(beacon) => feed.beacon(beacon.bound, beacon.bye),
        }
    }
    Sim::new(topology("app", protocol), feed).plan(plan)
}

/// The run did what the oracle says.
pub(crate) fn ask_oracle(seed: u64, outcome: &Outcome) -> Result<(), String> {
    let log: Arc<dyn Log> = Arc::new(outcome.log.clone());
    let asked = catch_unwind(AssertUnwindSafe(|| check_with("app", &log, |task| outcome.state(task))));
    asked.map(drop).map_err(|panic| {
        let words = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        format!("seed {seed}: {words}")
    })
}

/// The fixture panics when it is asked to, very often: once is enough to read about it.
pub(crate) fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if panic.payload().downcast_ref::<&str>() != Some(&"asked to") {
                usual(panic);
            }
        }));
    });
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs seeds, each with a workload of its own.
fn run_seeds(protocol: Protocol, parity: u64) -> Counts {
    hush();
    let (from, n) = (number("LOBSTREAM_SIM_FROM", 0), number("LOBSTREAM_SIM_SEEDS", 200));
    let mut all = Counts::default();
    for seed in (from..from + n).filter(|seed| seed % 2 == parity) {
        let workload = Workload { seed: seed + 1, ..WORKLOAD };
        let sim = sim(protocol, workload, Plan::ALL);
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
        assert!(*n > 20, "only {n} {what}");
    }
    assert!(edges.len() >= 13, "only some edges were met: {edges:?}");
}

#[test]
fn every_seed_is_what_the_oracle_says_with_changelogs() {
    everything_happened(&run_seeds(Protocol::A, 0));
}

#[test]
fn every_seed_is_what_the_oracle_says_with_muted_replay() {
    everything_happened(&run_seeds(Protocol::B, 1));
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
