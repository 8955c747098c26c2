//! Why a tick's row is missing, asked of real logs: each answer of the checks, in their order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lobstream_streams::beacon::Beacon;
use lobstream_streams::log::{Log, ProducerOptions, TopicSpec, Tp, topic};
use lobstream_streams::record::OutRecord;
use lobstream_streams::runtime::state::TaskState;
use lobstream_streams::time::Ts;
use lobstream_streams::topology::processor::TaskId;
use lobstream_streams::why::{Question, Verdict, Why, why};

use crate::feed::{Bed, PARTITIONS};
use crate::fixture::{Protocol, TICK, app, run, settings, topology};

const KEY: &[u8] = b"key-1";

/// One record or beacon of an input: topic, key, value, time.
type Input<'a> = (&'a str, &'a [u8], &'a [u8], i64);

fn send(bed: &Bed, log: &Arc<dyn Log>, inputs: &[Input<'_>]) {
    let mut producer = log.producer(&ProducerOptions::default()).expect("a producer");
    producer.init().expect("ready");
    for name in ["a", "b"] {
        let spec =
            TopicSpec { name: bed.topic(name), partitions: PARTITIONS, retention: None, compact: false };
        log.ensure_topic(&spec).expect("a topic");
    }
    for (name, key, value, ts) in inputs {
        let tp = Tp::new(&bed.topic(name), topic::partition(KEY, PARTITIONS));
        let record =
            OutRecord { tp: &tp, key: Some(key), value: Some(value), ts: Ts(*ts), seq: 0, headers: &[] };
        producer.send(record).expect("room");
    }
    producer.drain(Duration::from_secs(10)).expect("arrived");
}

fn beacon<'a>(name: &'a str, beacon: &'a (Vec<u8>, Vec<u8>)) -> Input<'a> {
    (name, &beacon.0, &beacon.1, 0)
}

fn saying(bound: i64, bye: bool) -> (Vec<u8>, Vec<u8>) {
    let beacon = Beacon { origin: 0, bound: Ts(bound), bye };
    (beacon.key().to_vec(), beacon.value().to_vec())
}

/// Why is there no row of the tick that ends at `end`?
fn ask(bed: &Bed, log: &Arc<dyn Log>, end: i64) -> Why {
    ask_with(bed, log, end, None)
}

fn ask_with(bed: &Bed, log: &Arc<dyn Log>, end: i64, states: Option<&BTreeMap<TaskId, TaskState>>) -> Why {
    let (topic, key) = (bed.topic("out"), KEY.to_vec());
    let (start, end, grace) = (Ts(end - TICK as i64), Ts(end), Duration::ZERO);
    let question = Question { topic, key, start, end, grace, now: None, states };
    why(&topology(&bed.app, Protocol::B), &**log, &question).expect("readable")
}

fn live(bed: &Bed, log: &Arc<dyn Log>) {
    let settings = settings(&bed.dir.path().join("state"));
    run(&app(&bed.app, Protocol::B, log, &settings)).expect("a run");
}

#[test]
fn a_missing_row_is_explained_at_every_stage() {
    let bed = Bed::embedded();
    let log = bed.open();
    let partition = topic::partition(KEY, PARTITIONS);
    send(&bed, &log, &[("a", KEY, b"1", 100), ("b", KEY, b"2", 300)]);
    let found = ask(&bed, &log, 1_000);
    assert_eq!((found.verdict(), found.task.partition), (Verdict::NotAssigned, partition));

    live(&bed, &log);
    let found = ask(&bed, &log, 1_000);
    let Verdict::Empty(channel) = found.verdict() else { panic!("{found}") };
    assert_eq!((channel.tp.topic.clone(), channel.bound), (bed.topic("a"), Some(Ts(100))), "the least bound");
    assert!(found.to_string().contains("app.a-") && found.to_string().contains("rule wait"), "{found}");
    assert_eq!(found.time, Some(Ts(300)));

    let lift = saying(700, false);
    send(&bed, &log, &[beacon("a", &lift), ("a", KEY, b"3", 800)]);
    let found = ask(&bed, &log, 1_000);
    let Verdict::Lag(channel) = found.verdict() else { panic!("{found}") };
    assert_eq!((channel.stable.0 - channel.next.0, channel.head), (2, Some(Ts(700))));

    live(&bed, &log);
    let found = ask(&bed, &log, 1_000);
    let Verdict::Empty(channel) = found.verdict() else { panic!("{found}") };
    assert_eq!(channel.tp.topic, bed.topic("b"), "now the other one");
    let a = found.channels.iter().find(|c| c.tp.topic == bed.topic("a")).expect("an input");
    assert_eq!((a.beacon, a.record.map(|(_, ts)| ts)), (Some(Ts(700)), Some(Ts(800))));

    let byes = saying(900, true);
    send(&bed, &log, &[beacon("a", &byes), beacon("b", &byes)]);
    live(&bed, &log);
    assert_eq!(ask(&bed, &log, 1_000).verdict(), Verdict::Short, "T is 900 and nobody lifts it");

    let (word, later) = (b"word".as_slice(), saying(5_000, true));
    send(&bed, &log, &[("a", KEY, word, 2_100), beacon("a", &later), beacon("b", &later)]);
    live(&bed, &log);
    let found = ask(&bed, &log, 1_000);
    let Verdict::Emitted(tp, _) = found.verdict() else { panic!("{found}") };
    assert_eq!((tp, &found.poisoned), (&Tp::new(&bed.topic("out"), partition), &None), "poison came later");

    let found = ask(&bed, &log, 3_000);
    assert_eq!(found.verdict(), Verdict::ClosedEmpty, "the only record of that tick was refused");
    let (place, reason, n) = found.poisoned.clone().expect("told");
    assert_eq!((reason.as_str(), n), ("not a number", 1));
    assert!(place.starts_with("offset ") && place.ends_with(&format!("app.a-{partition}")), "{place}");

    for (state, expected) in [
        (TaskState::Restoring, Verdict::Restoring),
        (TaskState::Suspended, Verdict::Suspended),
        (TaskState::Running, Verdict::ClosedEmpty),
    ] {
        assert_eq!(ask_with(&bed, &log, 3_000, Some(&[(found.task, state)].into())).verdict(), expected);
    }
    assert_eq!(ask_with(&bed, &log, 3_000, Some(&BTreeMap::new())).verdict(), Verdict::NotAssigned);
}

#[test]
fn an_open_transaction_is_told() {
    let Some(bed) = Bed::kafka("an_open_transaction_is_told") else { return };
    let log = bed.open();
    send(&bed, &log, &[("a", KEY, b"1", 100), ("b", KEY, b"2", 300)]);
    live(&bed, &log);
    let options = ProducerOptions::transactional(&format!("{}-stranger", bed.app));
    let mut producer = log.producer(&options).expect("a producer");
    producer.init().expect("ready");
    producer.begin().expect("begun");
    let tp = Tp::new(&bed.topic("a"), topic::partition(KEY, PARTITIONS));
    let record = OutRecord { tp: &tp, key: Some(KEY), value: Some(b"5"), ts: Ts(900), seq: 0, headers: &[] };
    producer.send(record).expect("room");
    producer.drain(Duration::from_secs(10)).expect("arrived");
    let found = ask(&bed, &log, 1_000);
    let Verdict::OpenTransaction(channel) = found.verdict() else { panic!("{found}") };
    assert!(channel.tp == tp && channel.stable < channel.end, "{found}");
    producer.abort().expect("aborted");
}

#[test]
fn a_topic_that_is_not_written_is_refused() {
    let bed = Bed::embedded();
    let log = bed.open();
    send(&bed, &log, &[]);
    let (topic, key, grace) = (bed.topic("a"), KEY.to_vec(), Duration::ZERO);
    let question = Question { topic, key, start: Ts(0), end: Ts(1), grace, now: None, states: None };
    let error = why(&topology(&bed.app, Protocol::B), &*log, &question).expect_err("an input");
    assert!(error.to_string().contains("it writes app.counted, app.out"), "{error}");
}
