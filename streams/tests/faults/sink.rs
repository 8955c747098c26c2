//! F19: whoever reads the results is slow, and away for minutes.

use std::collections::BTreeMap;
use std::time::Duration;

use lobstream_streams::log::{Answer, Assignment, Commit, ConsumerOptions, Log, TopicName, Tp};
use lobstream_streams::record::{Batch, Offset};
use lobstream_streams::testing::{Faults, Plan};

use crate::bed::{WORKLOAD, ask_oracle, hush, sim};
use crate::feed::{PARTITIONS, Random, Workload};
use crate::fixture::Protocol;
use crate::process::factor;

/// Records that a sink holds at a time.
const HELD_MAX: usize = 50;

#[test]
fn f19_a_slow_sink_holds_little_and_loses_nothing() {
    hush();
    for seed in 0..2 * factor() {
        let workload = Workload { seed: seed + 1, records: 1_000, ..WORKLOAD };
        // The broker is away for long, too: what is open then is bounded by the length of an epoch.
        let plan = Plan { turns: 300, stop: 60, network: Faults::ALL, ..Plan::CALM };
        let outcome =
            sim(Protocol::A, workload, plan).run(seed).unwrap_or_else(|failure| panic!("{failure}"));
        ask_oracle(seed, &outcome).unwrap_or_else(|what| panic!("{what}"));
        let log = &outcome.log;
        let mut random = Random(seed + 1);
        for p in 0..PARTITIONS {
            let tp = Tp::new(&TopicName::new("app.out"), p);
            let (mut stored, mut restarts) = (BTreeMap::new(), 0);
            while !read_some(log, &tp, &mut stored, &mut random) {
                restarts += 1;
                log.advance(Duration::from_secs(300));
            }
            assert!(restarts > 0, "it was never away");
            let written = &outcome.written("app.out")[p as usize];
            let values: Vec<_> = stored.into_values().collect();
            assert_eq!(values, written.iter().map(|row| row.value.clone()).collect::<Vec<_>>());
        }
    }
}

/// Stores what follows the cursor, keyed by its offset, then the cursor; dies now and then in between. `true`:
/// everything is stored.
fn read_some(
    log: &impl Log,
    tp: &Tp,
    stored: &mut BTreeMap<u64, Option<Vec<u8>>>,
    random: &mut Random,
) -> bool {
    let group = Some("sink".to_owned());
    let options = ConsumerOptions { group, assignment: Assignment::Manual };
    let mut consumer = log.consumer(&options).expect("a consumer");
    let cursor = consumer.committed(std::slice::from_ref(tp)).expect("known").remove(0);
    let mut next = cursor.map_or(Offset(0), |commit| commit.offset);
    consumer.answer(Answer::Start(&[(tp.clone(), next)])).expect("started");
    loop {
        let mut batch = Batch::default();
        let taken = consumer.take(tp, HELD_MAX, &mut batch).expect("readable");
        assert!(batch.len() <= HELD_MAX, "memory is bounded");
        for record in batch.iter() {
            stored.insert(record.offset.0, record.value.map(<[u8]>::to_vec));
            next = Offset(record.offset.0 + 1);
        }
        // An acknowledgement takes two seconds, and may never come.
        consumer.serve(Duration::from_secs(2)).expect("served");
        if random.below(3) == 0 {
            return false;
        }
        let commit = Commit { tp: tp.clone(), offset: next, note: String::new() };
        consumer.commit(std::slice::from_ref(&commit)).expect("committed");
        if taken.caught_up {
            return true;
        }
    }
}
