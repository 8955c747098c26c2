//! The runtime as a whole against a single-threaded recomputation: same outputs, same state, whatever the
//! batches, the threads and the crashes.

mod check;
mod child;
mod crashes;
mod ending;
mod failures;
mod faults;
mod feed;
mod fixture;
mod handover;
mod oracle;
mod queries;
mod standby;
mod stateless;
mod verify;
mod why;

use feed::{Bed, Workload, append, feed};
use fixture::{Protocol, app, run, settings};

const WORKLOAD: Workload =
    Workload { seed: 42, records: 4_000, poison_every: 60, bye: true, start: 1_000_000 };

fn embedded_run(workload: Workload, take_max: usize, n_threads: u32) {
    let bed = Bed::embedded();
    let log = bed.open();
    feed(&bed, &log, workload);
    let mut settings = settings(&bed.dir.path().join("state"));
    (settings.take_max, settings.n_threads) = (take_max, n_threads);
    let snapshot = run(&app(&bed.app, Protocol::B, &log, &settings)).expect("a run");
    let n = check::check(&bed, &log);
    assert!(n > 10_000, "{n} outputs are too few to prove anything");
    assert!(snapshot.commits > 1 && snapshot.checkpoints > 1 && snapshot.poisoned > 10, "{snapshot:?}");
}

#[test]
fn outputs_are_those_of_the_oracle_for_every_batch_size_and_thread_count() {
    for (take_max, n_threads) in [(1, 1), (7, 2), (256, 1), (1_000, 2), (1_000, 4)] {
        embedded_run(WORKLOAD, take_max, n_threads);
    }
}

#[test]
fn an_input_without_bye_ends_where_it_ends() {
    embedded_run(Workload { seed: 7, bye: false, ..WORKLOAD }, 100, 2);
}

#[test]
fn what_arrives_between_two_runs_is_processed_once() {
    let bed = Bed::embedded();
    let log = bed.open();
    feed(&bed, &log, Workload { bye: false, ..WORKLOAD });
    for n_threads in [1, 2, 1, 3] {
        let mut settings = settings(&bed.dir.path().join("state"));
        settings.n_threads = n_threads;
        run(&app(&bed.app, Protocol::B, &log, &settings)).expect("a run");
        let nothing_new = run(&app(&bed.app, Protocol::B, &log, &settings)).expect("a run");
        assert_eq!((nothing_new.records_in, nothing_new.records_out), (0, 0));
    }
    check::check(&bed, &log);
    append(&bed, &log, Workload { start: 9_000_000, records: 500, ..WORKLOAD });
    let settings = settings(&bed.dir.path().join("state"));
    let more = run(&app(&bed.app, Protocol::B, &log, &settings)).expect("a run");
    assert!(more.records_in >= 500, "{more:?}");
    check::check(&bed, &log);
}
