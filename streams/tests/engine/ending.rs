//! When a finite run may end: not before it has seen what others still hide.

use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use lobstream_streams::log::{ProducerOptions, TopicSpec, Tp};
use lobstream_streams::record::OutRecord;
use lobstream_streams::runtime::Until;
use lobstream_streams::runtime::metrics::Progress;
use lobstream_streams::time::Ts;

use crate::check::check;
use crate::feed::{Bed, PARTITIONS, Workload, feed};
use crate::fixture::{Protocol, app, settings};

const WORKLOAD: Workload =
    Workload { seed: 31, records: 2_000, poison_every: 0, bye: false, start: 1_000_000 };
/// A run that does not wait is over long before.
const HIDDEN: Duration = Duration::from_secs(3);

/// A process that was killed leaves its transaction open, and what its successor writes lies behind it.
#[test]
fn a_finite_run_waits_for_what_an_open_transaction_hides() {
    let Some(bed) = Bed::kafka("a_finite_run_waits_for_what_an_open_transaction_hides") else { return };
    let log = bed.open();
    feed(&bed, &log, WORKLOAD);
    let name = bed.topic("out");
    let spec = TopicSpec { name: name.clone(), partitions: PARTITIONS, retention: None, compact: false };
    log.ensure_topic(&spec).expect("made");
    let options = ProducerOptions::transactional(&format!("{}-killed", bed.app));
    let mut killed = log.producer(&options).expect("a producer");
    killed.init().expect("ours");
    killed.begin().expect("begun");
    for tp in (0..PARTITIONS).map(|partition| Tp::new(&name, partition)) {
        let record =
            OutRecord { tp: &tp, key: Some(b"k"), value: Some(b"v"), ts: Ts(0), seq: 0, headers: &[] };
        killed.send(record).expect("room");
    }
    killed.drain(Duration::from_secs(10)).expect("arrived");

    let run = app(&bed.app, Protocol::A, &log, &settings(&bed.dir.path().join("state")));
    let (shutdown, progress) = (AtomicBool::new(false), Progress::default());
    thread::scope(|scope| {
        let run = scope.spawn(|| run.run(Until::End, &shutdown, &progress));
        while progress.snapshot().records_in < WORKLOAD.records && !run.is_finished() {
            thread::sleep(Duration::from_millis(10));
        }
        thread::sleep(HIDDEN);
        assert!(!run.is_finished(), "its outputs are hidden, what is to be read of them too");
        killed.abort().expect("given up");
        run.join().expect("no panic").expect("a run");
    });
    check(&bed, &log);
}
