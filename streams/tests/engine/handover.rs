//! An archive and the live log that continues it give what one continuous log gives.

use std::sync::Arc;
use std::time::Duration;

use lobstream_streams::error::{Error, LogError};
use lobstream_streams::log::{
    Answer, Assignment, ConsumerOptions, Log, ProducerOptions, TopicName, TopicSpec, Tp, topic,
};
use lobstream_streams::record::{Batch, Offset, OutRecord};
use lobstream_streams::replay::Handover;
use lobstream_streams::runtime::commit::Edge;
use lobstream_streams::runtime::decision::Decision;
use lobstream_streams::verify::{VerifyOptions, verify};

use crate::check::read;
use crate::feed::{Bed, PARTITIONS, Workload, feed};
use crate::fixture::{Protocol, app, run, settings, topology};
use crate::oracle::Row;

const WORKLOAD: Workload =
    Workload { seed: 77, records: 3_000, poison_every: 80, bye: true, start: 1_000_000 };
/// Event time that the live log still has of the 90 µs or so that all records span.
const KEPT: Duration = Duration::from_nanos(45_000);

/// Copies a share (of 100) of every input partition, from the front, a few records at a time.
fn copy(from: &dyn Log, to: &dyn Log, topics: &[TopicName], percent: u64, retention: Option<Duration>) {
    let mut producer = to.producer(&ProducerOptions::default()).expect("a producer");
    producer.init().expect("ready");
    let options = ConsumerOptions { group: None, assignment: Assignment::Manual };
    for name in topics {
        let spec = TopicSpec { name: name.clone(), partitions: PARTITIONS, retention, compact: false };
        to.ensure_topic(&spec).expect("a topic");
        for partition in 0..PARTITIONS {
            let tp = Tp::new(name, partition);
            let end = from.range(&tp).expect("a range").stable.0 * percent / 100;
            let (mut reader, mut batch) = (from.consumer(&options).expect("a reader"), Batch::default());
            reader.answer(Answer::Start(&[(tp.clone(), Offset(0))])).expect("started");
            reader.take(&tp, 100_000, &mut batch).expect("readable");
            for r in batch.iter().take_while(|r| r.offset.0 < end) {
                let headers: Vec<_> = r.headers.iter().collect();
                let (key, value) = (r.key, r.value);
                let out = OutRecord { tp: &tp, key, value, ts: r.ts, seq: r.seq, headers: &headers };
                producer.send(out).expect("room");
                if r.offset.0 % 20 == 19 {
                    producer.drain(Duration::from_secs(10)).expect("written");
                }
            }
            producer.drain(Duration::from_secs(10)).expect("written");
        }
    }
}

/// The continuous log with its results, and the archive and the live log that were cut from it.
struct Cut {
    whole: Bed,
    archive: Bed,
    live: Bed,
    log: Arc<dyn Log>,
    inputs: [TopicName; 2],
}

fn cut() -> Cut {
    let (whole, archive, live) = (Bed::embedded(), Bed::embedded(), Bed::embedded());
    let log = whole.open();
    feed(&whole, &log, WORKLOAD);
    let settings = settings(&whole.dir.path().join("state"));
    let inputs = [whole.topic("a"), whole.topic("b")];
    run(&app(&whole.app, Protocol::B, &log, &settings)).expect("a run");
    Cut { whole, archive, live, log, inputs }
}

fn results(bed: &Bed, log: &Arc<dyn Log>) -> Vec<Row> {
    let topics = [bed.topic("out"), bed.topic("counted"), topic::dead_letter(&bed.app)];
    topics.iter().flat_map(|name| (0..PARTITIONS).flat_map(|p| read(log, name, p))).collect()
}

#[test]
fn an_archive_and_its_live_log_give_what_one_log_gives() {
    let Cut { whole, archive, live, log, inputs } = cut();
    let (old, new) = (archive.open(), live.open());
    copy(&*log, &*old, &inputs, 75, None);
    copy(&*log, &*new, &inputs, 100, Some(KEPT));
    let joined = Handover::join(Arc::clone(&old), Arc::clone(&new), &inputs).expect("they meet");
    let vector: Vec<(Tp, Offset)> = joined.vector().map(|(tp, joint)| (tp.clone(), joint)).collect();
    for (tp, joint) in &vector {
        let first = new.range(tp).expect("a range").first;
        assert!(first > Offset(0) && first < *joint, "{tp} keeps {first:?}, the joint is {joint:?}");
    }
    let joined: Arc<dyn Log> = Arc::new(joined);
    let mut settings = settings(&live.dir.path().join("state"));
    (settings.commit_records_max, settings.take_max) = (100, 20);
    // It dies a few times, on both sides of the joint.
    for after in [3, 12] {
        let left = std::sync::atomic::AtomicI32::new(after);
        let crashing = app(&live.app, Protocol::B, &joined, &settings).on_edge(move |edge| {
            let last =
                edge == Edge::Committed && left.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) == 0;
            assert!(!last, "crash");
        });
        assert!(matches!(run(&crashing), Err(Error::Panicked { .. })), "it dies after {after} epochs");
    }
    run(&app(&live.app, Protocol::B, &joined, &settings)).expect("a run");
    let expected = results(&whole, &log);
    let bare = |rows: Vec<Row>| rows.into_iter().map(|row| Row { offset: 0, ..row }).collect::<Vec<_>>();
    assert!(expected.len() > 5_000);
    assert!(bare(results(&live, &new)) == bare(expected), "the joint shows in the results");

    let mut joints = Vec::new();
    for p in 0..PARTITIONS {
        for row in read(&new, &topic::decisions(&live.app), p) {
            let decision = Decision::decode(&row.value).expect("understood");
            joints.extend(decision.joints.iter().map(|joint| {
                let (tp, _) = &decision.position.channels[usize::from(joint.channel)];
                (tp.clone(), Offset(joint.last.0 + 1))
            }));
        }
    }
    joints.sort();
    assert_eq!(joints, vector, "each joint is the decision of one epoch");
    let stop = std::sync::atomic::AtomicBool::new(false);
    let options = VerifyOptions { batch: 33, ..VerifyOptions::default() };
    let found = verify(topology(&live.app, Protocol::B), &joined, &settings, &options, &stop).expect("told");
    assert!(found.is_equal() && found.outputs > 5_000, "chains run across it: {:?}", found.differences);
}

#[test]
fn logs_that_do_not_meet_are_refused() {
    let Cut { archive, live, log, inputs, .. } = cut();
    let (old, new) = (archive.open(), live.open());
    copy(&*log, &*old, &inputs, 10, None);
    copy(&*log, &*new, &inputs, 100, Some(KEPT));
    let join = |old: &Arc<dyn Log>, new: &Arc<dyn Log>| {
        Handover::join(Arc::clone(old), Arc::clone(new), &inputs).map(drop).expect_err("they do not meet")
    };
    let error = join(&old, &new);
    let LogError::Hole { tp, ends, begins } = &error else { panic!("{error}") };
    assert!(*tp == format!("{}-0", inputs[0]) && ends < begins, "{error}");
    let missing = format!("{} records are in neither", begins - ends);
    assert!(error.to_string().contains(&missing), "{error}");

    // The archive is ahead of what should continue it.
    let error = join(&log, &old);
    assert!(error.to_string().contains("it is not its continuation"), "{error}");

    // The same offsets hold something else.
    let other = Bed::embedded();
    let stranger = other.open();
    feed(&other, &stranger, Workload { seed: 78, ..WORKLOAD });
    let error = join(&old, &stranger);
    assert!(error.to_string().contains("is another record in the archive"), "{error}");
}
