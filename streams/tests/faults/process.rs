//! F3 to F7, F14: processes, groups, brokers and clocks that fail.

use std::time::Duration;

use lobstream_streams::runtime::commit::Edge;
use lobstream_streams::testing::{Counts, Faults, Plan};

use crate::bed::{WORKLOAD, ask_oracle, hush, number, sim};
use crate::feed::Workload;
use crate::fixture::Protocol;

/// Seeds that may pass until enough has happened.
const SEEDS_MAX: u64 = 2_000;

/// How much more a long run does.
pub(crate) fn factor() -> u64 {
    if number("LOBSTREAM_FAULTS_LONG", 0) > 0 { 10 } else { 1 }
}

/// Runs seed after seed, by both protocols, until `count` says that it is enough.
fn until(enough: u64, plan: &Plan, records: u64, count: impl Fn(&Counts) -> u64) -> Counts {
    hush();
    let (mut all, from) = (Counts::default(), number("LOBSTREAM_SIM_FROM", 0));
    for seed in from..from + SEEDS_MAX * factor() {
        let protocol = if seed.is_multiple_of(2) { Protocol::A } else { Protocol::B };
        let workload = Workload { seed: seed + 1, records, ..WORKLOAD };
        let run = sim(protocol, workload, plan.clone()).run(seed);
        let outcome = run.unwrap_or_else(|failure| panic!("{protocol:?} {failure}"));
        ask_oracle(seed, &outcome).unwrap_or_else(|what| panic!("{protocol:?} {what}"));
        all.add(&outcome.counts);
        if count(&all) >= enough * factor() {
            println!("{} seeds: {all:?}", seed + 1 - from);
            return all;
        }
    }
    panic!("it did not happen often enough: {all:?}")
}

#[test]
fn f3_a_crash_at_each_edge_leaves_no_trace() {
    let plan = Plan { turns: 150, power: 4, quit: 20, ..Plan::CALM };
    for edge in Edge::ALL {
        let plan = Plan { edge: 3, only_edge: Some(edge), ..plan.clone() };
        let all = until(20, &plan, 150, |all| all.edges.get(&(edge as u8)).copied().unwrap_or(0));
        assert_eq!(all.edges.len(), 1, "only {edge:?}");
    }
    // 10: inside the commit, its reply never seen. 13: inside the checkpoint.
    until(20, &Plan { network: Faults { dies: 40, ..Faults::NONE }, ..plan.clone() }, 150, |all| all.deaths);
    until(20, &Plan { disk_dies: 4, ..plan }, 150, |all| all.deaths);
}

#[test]
fn f4_the_outcome_of_an_ambiguous_commit_is_found_in_the_notes() {
    let network = Faults {
        unanswered: 40,
        late: 25,
        reply_lost: 25,
        late_max: Duration::from_secs(30),
        ..Faults::NONE
    };
    let all = until(100, &Plan { turns: 300, network, ..Plan::CALM }, 200, |all| all.replaced + all.errors);
    assert!(all.replaced > 20, "producers are replaced: {all:?}");
}

#[test]
fn f5_a_process_that_wakes_up_late_commits_nothing() {
    let plan = Plan { turns: 200, freeze: 12, ..Plan::CALM };
    let all = until(50, &plan, 200, |all| all.freezes);
    assert!(all.errors > 0, "zombies learn that they are: {all:?}");
}

#[test]
fn f6_members_that_come_and_go_lose_nothing() {
    let plan = Plan { turns: 400, members: 3, kick: 8, kill: 60, quit: 60, freeze: 60, ..Plan::CALM };
    until(300, &plan, 200, |all| all.kicks + all.deaths + all.quits);
}

#[test]
fn f7_the_application_goes_on_soon_after_the_broker_is_back() {
    let network = Faults { marker_max: Duration::from_millis(30), ..Faults::NONE };
    let all = until(40, &Plan { turns: 200, stop: 25, network, ..Plan::CALM }, 200, |all| all.stops);
    assert!(all.recovery_ms_max < 15_000, "{} ms", all.recovery_ms_max);
}

#[test]
fn f14_clocks_change_no_byte() {
    hush();
    for (seed, slowness) in (0..10 * factor()).zip([1, 3, 3, 30].into_iter().cycle()) {
        let plan = Plan { turns: 150, slowness, kill: 40, ..Plan::CALM };
        let workload = Workload { seed: seed + 1, records: 200, ..WORKLOAD };
        let checked = sim(Protocol::B, workload, plan).check(seed..seed + 1);
        checked.unwrap_or_else(|failure| panic!("{failure}"));
    }
}
