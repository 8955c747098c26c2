//! What only a real broker can show, beyond the suite that every log runs. `LOBSTREAM_TEST_KAFKA` names
//! it; without it each test is skipped and says so.

use std::io::Write;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use futures_executor::block_on;
use rdkafka::Offset as At;
use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header as RawHeader, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::{KafkaLog, settings};
use crate::error::{LogError, SendError, TxnClass};
use crate::log::{
    Answer, Assignment, Commit, Consumer, ConsumerOptions, Log, Producer, ProducerOptions, TopicName,
    TopicSpec, Tp,
};
use crate::record::{Batch, InRecord, Offset, OutRecord};
use crate::time::Ts;

const PATIENCE: Duration = Duration::from_secs(20);
const TURN: Duration = Duration::from_millis(10);

/// A cluster, and names that no other run has.
struct Bed {
    log: KafkaLog,
    unique: String,
}

fn bed(test: &str) -> Option<Bed> {
    let Some(brokers) = std::env::var("LOBSTREAM_TEST_KAFKA").ok().filter(|b| !b.is_empty()) else {
        let _ =
            writeln!(std::io::stderr(), "SKIPPED log::kafka::tests::{test}: LOBSTREAM_TEST_KAFKA is not set");
        return None;
    };
    let name = tempfile::Builder::new().prefix("unit").rand_bytes(8).tempdir().expect("a name");
    let unique = name.path().file_name().expect("it has a name").to_string_lossy().into_owned();
    let log = KafkaLog::connect(&brokers).expect("the broker answers");
    Some(Bed { log, unique: format!("{unique}-{test}") })
}

impl Bed {
    fn spec(&self) -> TopicSpec {
        TopicSpec { name: TopicName::new(&self.unique), partitions: 1, retention: None, compact: false }
    }

    fn topic(&self) -> Tp {
        self.log.ensure_topic(&self.spec()).expect("made");
        Tp::new(&self.spec().name, 0)
    }

    fn producer(&self, id: Option<&str>) -> Box<dyn Producer> {
        let transactional_id = id.map(|id| format!("{}-{id}", self.unique));
        let mut producer = self
            .log
            .producer(&ProducerOptions { transactional_id, ..ProducerOptions::default() })
            .expect("a producer");
        producer.init().expect("fenced");
        producer
    }

    fn reader(&self, group: Option<&str>) -> Box<dyn Consumer> {
        let group = group.map(|group| format!("{}-{group}", self.unique));
        self.log.consumer(&ConsumerOptions { group, assignment: Assignment::Manual }).expect("a consumer")
    }

    fn write(&self, tp: &Tp, n: u64) {
        let mut producer = self.producer(None);
        for i in 0..n {
            send(&mut *producer, tp, &i.to_be_bytes(), Ts::from_millis(1_700_000_000_000));
        }
        producer.drain(PATIENCE).expect("written");
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        settings::with(self.log.cluster.brokers(), &[]).create().expect("a client")
    }

    /// A client of somebody else's.
    fn stranger(&self) -> BaseProducer {
        settings::with(self.log.cluster.brokers(), &[]).create().expect("a client")
    }
}

fn send(producer: &mut dyn Producer, tp: &Tp, value: &[u8], ts: Ts) {
    loop {
        match producer.send(OutRecord { tp, key: None, value: Some(value), ts, seq: 0, headers: &[] }) {
            Ok(()) => return,
            Err(SendError::Full) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn start(reader: &mut dyn Consumer, tp: &Tp, at: u64) {
    reader.answer(Answer::Start(&[(tp.clone(), Offset(at))])).expect("started");
}

/// Takes until something came or it failed.
fn take(reader: &mut dyn Consumer, tp: &Tp, max: usize) -> Result<Batch, LogError> {
    let mut batch = Batch::default();
    for _ in 0..PATIENCE.as_millis() / TURN.as_millis() {
        if reader.take(tp, max, &mut batch)?.n > 0 {
            return Ok(batch);
        }
        thread::sleep(TURN);
    }
    panic!("nothing came of {tp}");
}

#[test]
fn headers_that_nobody_wants_are_not_read() {
    let Some(bed) = bed("without_headers") else { return };
    let (tp, ts) = (bed.topic(), Ts(1_700_000_000_000_123_456));
    let mut producer = bed.producer(None);
    send(&mut *producer, &tp, b"v", ts);
    producer.drain(PATIENCE).expect("written");
    let time = || {
        let mut reader = bed.reader(None);
        start(&mut *reader, &tp, 0);
        take(&mut *reader, &tp, 1).expect("taken").get(0).expect("one").ts
    };
    assert_eq!(time(), ts);
    bed.log.skip_headers(&tp.topic);
    assert_eq!(time(), Ts::from_millis(1_700_000_000_000), "CreateTime");
}

#[test]
fn a_load_is_written_whole_and_its_drain_waits_for_all_of_it() {
    let Some(bed) = bed("bulk") else { return };
    // More than may wait at once.
    let (tp, n) = (bed.topic(), 250_000u64);
    let mut producer = bed.log.bulk_producer().expect("a producer");
    producer.init().expect("nothing to fence");
    for i in 0..n {
        send(&mut *producer, &tp, &i.to_be_bytes(), Ts::from_millis(1_700_000_000_000));
    }
    producer.drain(PATIENCE).expect("written");
    assert_eq!(bed.log.range(&tp).expect("a range").end, Offset(n));
}

#[test]
fn a_load_that_cannot_be_written_says_so() {
    let Some(bed) = bed("bulk_refused") else { return };
    let tp = bed.topic();
    let mut producer = bed.log.bulk_producer().expect("a producer");
    send(&mut *producer, &tp, b"x", Ts::from_millis(1_700_000_000_000));
    send(&mut *producer, &Tp::new(&tp.topic, 7), b"x", Ts::from_millis(1_700_000_000_000));
    let failed = producer.drain(PATIENCE).expect_err("the topic has one partition");
    assert!(failed.reason.contains("make the topic first, with enough partitions"), "{failed}");
}

#[test]
fn an_unreachable_broker_is_named() {
    let failed = KafkaLog::connect("127.0.0.1:1").err().expect("nobody listens there");
    let text = failed.to_string();
    assert!(matches!(failed, LogError::Unreachable { .. }), "{text}");
    assert!(text.contains("127.0.0.1:1") && text.contains("refused"), "{text}");
}

#[test]
fn a_topic_that_would_lose_records_is_refused_with_the_command_to_change_it() {
    let Some(bed) = bed("would_lose") else { return };
    let day = TopicSpec { retention: Some(Duration::from_secs(86_400)), ..bed.spec() };
    bed.log.ensure_topic(&day).expect("made");
    bed.log.ensure_topic(&day).expect("as asked");
    let text = bed.log.ensure_topic(&bed.spec()).expect_err("recorded data is older than a day").to_string();
    assert!(text.contains("retention.ms=86400000"), "{text}");
    assert!(text.contains(&format!("--entity-name {} --add-config retention.ms=-1", bed.unique)), "{text}");
}

#[test]
fn a_record_from_the_future_is_refused_in_words() {
    let Some(bed) = bed("future") else { return };
    // Kafka 4 has this limit by default, 3.9 only if told.
    let limited = NewTopic::new(&bed.unique, 1, TopicReplication::Fixed(1))
        .set("message.timestamp.after.max.ms", "3600000")
        .set("retention.ms", "-1");
    for made in block_on(bed.admin().create_topics([&limited], &AdminOptions::new())).expect("answered") {
        made.expect("made");
    }
    let tp = bed.topic();
    let far = Ts::from_millis(4_000_000_000_000);
    let mut producer = bed.producer(None);
    send(&mut *producer, &tp, b"x", far);
    let failed = producer.drain(PATIENCE).expect_err("the broker's clock is not there yet");
    assert!(failed.reason.contains("message.timestamp.after.max.ms"), "{failed}");
    assert_eq!(failed.class(), TxnClass::Fatal { fenced: false });

    let mut producer = bed.producer(Some("id"));
    producer.begin().expect("begun");
    send(&mut *producer, &tp, b"x", far);
    let failed = producer.drain(PATIENCE).expect_err("the same in a transaction");
    assert_eq!(failed.class(), TxnClass::Fatal { fenced: false }, "{failed}");
    assert!(producer.abort().is_err(), "only drop is left");

    let mut producer = bed.producer(Some("id"));
    producer.begin().expect("the next holder of the id works");
    send(&mut *producer, &tp, b"y", Ts::from_millis(1_700_000_000_000));
    producer.drain(PATIENCE).expect("written");
    producer.commit().expect("committed");
    let mut reader = bed.reader(None);
    start(&mut *reader, &tp, 0);
    let batch = take(&mut *reader, &tp, 10).expect("readable");
    assert_eq!(batch.iter().map(|r| r.value).collect::<Vec<_>>(), [Some(&b"y"[..])]);
}

#[test]
fn a_record_too_large_is_handed_back() {
    let Some(bed) = bed("too_large") else { return };
    let tp = bed.topic();
    let mut producer = bed.producer(None);
    let value = vec![0; 1_100_000];
    let record = OutRecord { tp: &tp, key: None, value: Some(&value), ts: Ts(0), seq: 0, headers: &[] };
    let refused = producer.send(record);
    assert!(
        matches!(refused, Err(SendError::TooLarge { bytes: 1_100_000, max: 1_000_000, .. })),
        "{refused:?}"
    );
    send(&mut *producer, &tp, b"x", Ts(0));
    assert_eq!(producer.drain(PATIENCE).expect("written").get(&tp), Some(&Offset(0)));
}

#[test]
fn history_that_is_gone_is_missed() {
    let Some(bed) = bed("history") else { return };
    let tp = bed.topic();
    bed.write(&tp, 10);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(tp.topic.as_str(), 0, At::Offset(4)).expect("a list");
    block_on(bed.admin().delete_records(&list, &AdminOptions::new())).expect("deleted");

    let mut reader = bed.reader(None);
    start(&mut *reader, &tp, 3);
    match take(&mut *reader, &tp, 10) {
        Err(LogError::HistoryMissing { need: 3, have: 4, .. }) => {}
        other => panic!("{other:?}"),
    }
    start(&mut *reader, &tp, 4);
    assert_eq!(take(&mut *reader, &tp, 10).expect("the rest is there").len(), 6);
    start(&mut *reader, &tp, 99);
    let text = take(&mut *reader, &tp, 10).expect_err("beyond the end").to_string();
    assert!(text.contains("offset 99") && text.contains("ends at 10"), "{text}");
}

#[test]
fn a_rewind_forgets_what_was_fetched() {
    let Some(bed) = bed("rewind") else { return };
    let tp = bed.topic();
    bed.write(&tp, 30_000);
    let mut reader = bed.reader(None);
    start(&mut *reader, &tp, 0);
    let offsets = |batch: &Batch| batch.iter().map(|r| r.offset.0).collect::<Vec<_>>();
    for (from, n) in [(0, 500), (100, 700), (29_000, 50), (10, 2_000)] {
        start(&mut *reader, &tp, from);
        let mut got = Vec::new();
        while got.len() < n {
            got.extend(offsets(&take(&mut *reader, &tp, n - got.len()).expect("readable")));
        }
        assert_eq!(got, (from..from + n as u64).collect::<Vec<_>>());
    }
}

#[test]
fn records_of_strangers_are_read_as_they_are() {
    let Some(bed) = bed("strangers") else { return };
    let tp = bed.topic();
    let stranger = bed.stranger();
    let headers = OwnedHeaders::new()
        .insert(RawHeader { key: "ts", value: Some("yesterday") })
        .insert(RawHeader::<&[u8]> { key: "null", value: None });
    let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(tp.topic.as_str());
    let record = record.partition(0).timestamp(1_700_000_000_123).headers(headers).payload(b"v");
    stranger.send(record).expect("taken");
    stranger.flush(PATIENCE).expect("written");
    let mut reader = bed.reader(None);
    start(&mut *reader, &tp, 0);
    let batch = take(&mut *reader, &tp, 1).expect("readable");
    let InRecord { ts, seq, key, value, headers, .. } = batch.get(0).expect("one");
    assert_eq!((ts, seq), (Ts(1_700_000_000_123_000_000), 0));
    assert_eq!((key, value), (None, Some(&b"v"[..])));
    assert_eq!(headers.get("ts"), Some(&b"yesterday"[..]), "not ours: it stays a header");
    assert_eq!(headers.get("null"), Some(&b""[..]));
}

#[test]
fn times_before_the_first_millisecond_survive() {
    let Some(bed) = bed("early") else { return };
    let tp = bed.topic();
    let times = [Ts(-5), Ts(0), Ts(1), Ts(-1_700_000_000_000_000_000), Ts(2_000_000)];
    let mut producer = bed.producer(None);
    times.iter().for_each(|&ts| send(&mut *producer, &tp, b"x", ts));
    producer.drain(PATIENCE).expect("written");
    let mut reader = bed.reader(None);
    start(&mut *reader, &tp, 0);
    let mut got = Vec::new();
    while got.len() < times.len() {
        got.extend(take(&mut *reader, &tp, 10).expect("readable").iter().map(|r| r.ts));
    }
    assert_eq!(got, times);
    assert_eq!(bed.log.offset_at(&tp, Ts(2_000_000)).expect("answered"), Some(Offset(4)));
}

#[test]
fn committed_waits_for_an_unfinished_transaction() {
    let Some(bed) = bed("unfinished") else { return };
    let tp = bed.topic();
    bed.write(&tp, 2);
    let mut reader = bed.reader(Some("group"));
    let commit = Commit { tp: tp.clone(), offset: Offset(2), note: "e=1;d=7".to_owned() };
    let mut producer = bed.producer(Some("id"));
    producer.begin().expect("begun");
    producer.send_offsets(reader.group().as_ref(), std::slice::from_ref(&commit)).expect("sent");
    let (asking, asked) = mpsc::channel();
    let question = thread::spawn(move || {
        asking.send(()).expect("waited for");
        reader.committed(std::slice::from_ref(&tp)).expect("answered")
    });
    asked.recv().expect("the question is on its way");
    thread::sleep(Duration::from_millis(300));
    assert!(!question.is_finished(), "the answer would be older than the transaction");
    producer.commit().expect("committed");
    assert_eq!(question.join().expect("no panic"), [Some(commit)]);
}

#[test]
fn an_empty_transaction_costs_nothing() {
    let Some(bed) = bed("empty") else { return };
    let tp = bed.topic();
    let mut producer = bed.producer(Some("id"));
    for _ in 0..3 {
        producer.begin().expect("begun");
        producer.abort().expect("nothing to abort");
        producer.begin().expect("begun");
        producer.commit().expect("nothing to commit");
    }
    assert_eq!(bed.log.range(&tp).expect("known").end, Offset(0), "no marker was written");
}

#[test]
fn a_close_keeps_its_deadline() {
    let Some(bed) = bed("close") else { return };
    let tp = bed.topic();
    let mut reader = bed.reader(Some("group"));
    start(&mut *reader, &tp, 0);
    let failed = reader.close(Duration::ZERO).expect_err("the poll thread is in the middle of a turn");
    assert!(failed.to_string().contains("close of a consumer"), "{failed}");
}

#[test]
fn order_of_calls_is_kept() {
    let Some(bed) = bed("order") else { return };
    let tp = bed.topic();
    let misused = |result: Result<(), crate::error::TxnError>| {
        assert_eq!(result.expect_err("out of order").class(), TxnClass::Fatal { fenced: false });
    };
    let mut producer = bed.producer(Some("id"));
    misused(producer.commit());
    let early = OutRecord { tp: &tp, key: None, value: None, ts: Ts(0), seq: 0, headers: &[] };
    assert!(producer.send(early).is_err(), "no transaction is open");
    producer.begin().expect("begun");
    misused(producer.begin());
    misused(bed.producer(None).begin());
}
