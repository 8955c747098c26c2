//! Crashes: at every numbered edge of the commit protocol, and at moments nobody chose. Whatever falls out,
//! the outputs are complete, not doubled, and those of a run that nothing disturbed.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lobstream_streams::log::{Log, topic};
use lobstream_streams::runtime::Until;
use lobstream_streams::runtime::commit::Edge;
use lobstream_streams::runtime::decision::Decision;
use lobstream_streams::runtime::metrics::Progress;

use crate::check::{check, read};
use crate::child::Order;
use crate::feed::{Bed, PARTITIONS, Random, Workload, append, feed};
use crate::fixture::{Protocol, app, run, settings};
use crate::stateless::without_state;

const WORKLOAD: Workload =
    Workload { seed: 5, records: 3_000, poison_every: 80, bye: true, start: 1_000_000 };

/// Crashes at each edge, several times each, restarting in between. Every edge must have been met.
fn crash_at_every_edge(bed: &Bed, order: Order, edges: &[Edge], visits: &[u32]) {
    let log = bed.open();
    feed(bed, &log, WORKLOAD);
    drop(log);
    let mut rounds = 1;
    for edge in edges {
        let mut met = 0;
        for nth in visits {
            let order = Order { edge: *edge as u8, nth: *nth, ..order };
            met += u32::from(!order.run(bed).success());
            // More input, so that there is always something to crash in.
            let start = WORKLOAD.start + rounds * 1_000_000;
            append(bed, &bed.open(), Workload { seed: rounds as u64, start, records: 100, ..WORKLOAD });
            rounds += 1;
        }
        assert!(met > 0, "{edge:?} was never met");
    }
    order.run(bed);
    check(bed, &bed.open());
}

/// The `src` header is the identity of an output: no two have the same.
fn no_output_is_doubled(bed: &Bed, log: &Arc<dyn Log>) {
    for p in 0..PARTITIONS {
        for name in ["out", "counted"] {
            let rows = read(log, &bed.topic(name), p).into_iter();
            let mut seen: Vec<Vec<u8>> = rows.map(|row| row.origin).collect();
            let n = seen.len();
            seen.sort();
            seen.dedup();
            assert_eq!(seen.len(), n, "{name}-{p} holds an output twice");
        }
    }
}

/// Kills a child at random moments until it comes to its end, at most so many times.
fn kill_at_random(
    bed: &Bed,
    order: Order,
    (kills_min, kills_max): (u32, u32),
    (least_ms, most_ms): (u64, u64),
) {
    feed(bed, &bed.open(), WORKLOAD);
    let mut random = Random(0x9e37_79b9);
    let mut kills = 0;
    while kills < kills_max {
        let n_threads = 1 + kills % 2;
        let after = Duration::from_millis(least_ms + random.below(most_ms - least_ms));
        if !(Order { n_threads, ..order }).kill_after(bed, after) {
            break;
        }
        kills += 1;
    }
    Order { pause_us: 0, ..order }.run(bed);
    assert!(kills >= kills_min, "only {kills} kills met the child at work");
    check(bed, &bed.open());
}

#[test]
fn embedded_survives_a_crash_at_every_edge() {
    let edges: Vec<Edge> = Edge::ALL.into_iter().filter(|edge| *edge != Edge::BeforeCheckpoint).collect();
    // The log keeps the checkpoint: there is no moment between it and the commit.
    let edges: Vec<Edge> = edges.into_iter().filter(|edge| *edge != Edge::Checkpointed).collect();
    crash_at_every_edge(&Bed::embedded(), Order::new(Protocol::B), &edges, &[1, 2, 5]);
}

#[test]
fn embedded_is_what_the_oracle_says_after_kills_at_random_moments() {
    let order = Order { pause_us: 8_000, checkpoint_ms: 60, ..Order::new(Protocol::B) };
    kill_at_random(&Bed::embedded(), order, (10, 40), (60, 500));
}

#[test]
fn kafka_a_survives_a_crash_at_every_edge() {
    if let Some(bed) = Bed::kafka("kafka_a_survives_a_crash_at_every_edge") {
        crash_at_every_edge(&bed, Order::new(Protocol::A), &Edge::ALL, &[1, 3]);
    }
}

#[test]
fn kafka_b_survives_a_crash_at_every_edge() {
    if let Some(bed) = Bed::kafka("kafka_b_survives_a_crash_at_every_edge") {
        crash_at_every_edge(&bed, Order::new(Protocol::B), &Edge::ALL, &[1, 3]);
    }
}

#[test]
fn kafka_a_is_what_the_oracle_says_after_kills_at_random_moments() {
    if let Some(bed) = Bed::kafka("kafka_a_is_what_the_oracle_says_after_kills_at_random_moments") {
        let order = Order { pause_us: 10_000, checkpoint_ms: 60, ..Order::new(Protocol::A) };
        kill_at_random(&bed, order, (10, 12), (600, 2_500));
    }
}

#[test]
fn kafka_b_is_what_the_oracle_says_after_kills_at_random_moments() {
    if let Some(bed) = Bed::kafka("kafka_b_is_what_the_oracle_says_after_kills_at_random_moments") {
        let order = Order { pause_us: 10_000, checkpoint_ms: 60, ..Order::new(Protocol::B) };
        kill_at_random(&bed, order, (10, 12), (600, 2_500));
    }
}

/// A late record of a channel that had left is lifted above what others have done meanwhile, in one epoch.
/// A recovery, which sees all of that epoch's input at once, must lift it to the same place.
#[test]
fn a_recovery_follows_the_lifts_of_the_first_run() {
    let bed = Bed::embedded();
    let log = without_state(&bed.open());
    feed(&bed, &log, Workload { records: 1_000, ..WORKLOAD });
    let mut settings = settings(&bed.dir.path().join("state"));
    settings.commit_interval = Duration::from_secs(3_600);
    let app = app(&bed.app, Protocol::B, &log, &settings);
    let (shutdown, progress) = (AtomicBool::new(false), Progress::default());
    let wait_for = |records| {
        while progress.snapshot().records_in < records {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    std::thread::scope(|scope| {
        let running = scope.spawn(|| app.run(Until::Shutdown, &shutdown, &progress));
        wait_for(1_000);
        append(&bed, &log, Workload { seed: 3, records: 100, ..WORKLOAD });
        // What the second sub-topology reads counts too: quiet is waited for.
        let mut before = 0;
        while std::mem::replace(&mut before, progress.snapshot().records_in) != before {
            std::thread::sleep(Duration::from_millis(300));
        }
        shutdown.store(true, Ordering::Release);
        running.join().expect("no panic").expect("an orderly end");
    });
    let lifts: usize = (0..PARTITIONS).map(|p| lifts(&bed, &log, p)).sum();
    assert!(lifts > 0, "nothing was lifted");
    std::fs::remove_dir_all(&settings.state_dir).expect("removed");
    let outputs = || (0..PARTITIONS).map(|p| read(&log, &bed.topic("out"), p)).collect::<Vec<_>>();
    let before = outputs();
    run(&app).expect("the same outputs again");
    assert!(outputs() == before, "the first sub-topology writes nothing again");
    no_output_is_doubled(&bed, &log);
}

fn lifts(bed: &Bed, log: &Arc<dyn Log>, p: u32) -> usize {
    let rows = read(log, &topic::decisions(&bed.app), p);
    let decided = rows.iter().map(|row| Decision::decode(&row.value).expect("understood"));
    decided.map(|decision| decision.virtual_beacons.len()).sum()
}

#[test]
fn a_checkpoint_that_is_lost_is_rebuilt() {
    for protocol in [Protocol::A, Protocol::B] {
        let Some(bed) = Bed::kafka("a_checkpoint_that_is_lost_is_rebuilt") else { return };
        let log = bed.open();
        feed(&bed, &log, WORKLOAD);
        let settings = settings(&bed.dir.path().join("state"));
        let first = run(&app(&bed.app, protocol, &log, &settings)).expect("a run");
        std::fs::remove_dir_all(&settings.state_dir).expect("removed");
        let start = WORKLOAD.start + 1_000_000;
        append(&bed, &log, Workload { start, records: 500, ..WORKLOAD });
        let again = run(&app(&bed.app, protocol, &log, &settings)).expect("a run");
        assert!(again.records_out < first.records_out / 2, "what was written is not written again");
        check(&bed, &log);
    }
}

/// Tasks whose checkpoints fail are suspended, and go on by themselves once there is room again.
#[test]
fn a_full_disk_under_the_checkpoints_suspends_the_tasks() {
    let Some(bed) = Bed::kafka("a_full_disk_under_the_checkpoints_suspends_the_tasks") else { return };
    feed(&bed, &bed.open(), WORKLOAD);
    let order = Order { pause_us: 2_000, ..Order::new(Protocol::B) };
    let mut child = order.start_with_file_limit(&bed, 64);
    std::thread::sleep(Duration::from_secs(10));
    let waits = child.try_wait().expect("asked").is_none();
    let pid = child.id().to_string();
    let lifted = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited:"]).status();
    let mut ended = None;
    for _ in 0..300 {
        ended = child.try_wait().expect("asked");
        if ended.is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let _ = child.kill();
    let _ = child.wait();
    assert!(waits, "it must wait for room");
    assert!(lifted.expect("prlimit is part of every Linux").success());
    assert!(ended.is_some_and(|status| status.success()), "it goes on and comes to its end: {ended:?}");
    check(&bed, &bed.open());
}
