//! What a rule of the suite runs on: a log, names of its own, and short words for common steps.

use std::io::Write;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use lobstream_streams::error::SendError;
use lobstream_streams::log::embedded::{EmbeddedLog, Options};
use lobstream_streams::log::memory::MemoryLog;
use lobstream_streams::log::{
    Answer, Assignment, Consumer, ConsumerOptions, Log, Producer, ProducerOptions, TopicName, TopicSpec, Tp,
    open,
};
use lobstream_streams::record::{Batch, Header, Offset, OutRecord};
use lobstream_streams::settings::GroupProtocol;
use lobstream_streams::time::Ts;

/// Event time of the first record of every test.
pub(crate) const T0: i64 = 1_723_161_594_000_000_000;
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const TURN: Duration = Duration::from_millis(10);

pub(crate) struct Bed {
    pub(crate) log: Arc<dyn Log>,
    prefix: String,
    /// What is committed is readable at once, by everyone. A broker takes its time.
    pub(crate) prompt: bool,
    /// By which members of a group agree.
    pub(crate) protocol: GroupProtocol,
    /// A log whose time is its own.
    clock: Option<MemoryLog>,
    /// Removed when the test is over.
    _dir: Option<tempfile::TempDir>,
}

/// A record, owned.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rec {
    pub(crate) offset: u64,
    pub(crate) ts: i64,
    pub(crate) seq: u64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

impl Bed {
    pub(crate) fn embedded(_test: &str) -> Option<Bed> {
        let dir = tempfile::tempdir().expect("temporary folder");
        let log = EmbeddedLog::open(dir.path(), &Options::default()).expect("a new log opens");
        Some(Bed { _dir: Some(dir), ..Bed::of(Arc::new(log)) })
    }

    pub(crate) fn memory(_test: &str) -> Option<Bed> {
        let log = MemoryLog::default();
        Some(Bed { clock: Some(log.clone()), ..Bed::of(Arc::new(log)) })
    }

    fn of(log: Arc<dyn Log>) -> Bed {
        let (prefix, protocol) = ("t".to_owned(), GroupProtocol::Classic);
        Bed { log, prefix, prompt: true, protocol, clock: None, _dir: None }
    }

    /// The broker that `LOBSTREAM_TEST_KAFKA` names, with topics, groups and ids that no other run has.
    pub(crate) fn kafka(test: &str) -> Option<Bed> {
        let Some(brokers) = std::env::var("LOBSTREAM_TEST_KAFKA").ok().filter(|b| !b.is_empty()) else {
            let _ = writeln!(std::io::stderr(), "SKIPPED kafka::{test}: LOBSTREAM_TEST_KAFKA is not set");
            return None;
        };
        let log = open(&format!("kafka://{brokers}")).expect("the broker answers");
        let unique = tempfile::Builder::new().prefix("conf").rand_bytes(8).tempdir().expect("a name");
        let unique = unique.path().file_name().expect("it has a name").to_string_lossy().into_owned();
        Some(Bed { prefix: format!("{unique}-{test}"), prompt: false, ..Bed::of(log) })
    }

    /// The same, with groups that the broker shares out (KIP-848).
    pub(crate) fn kafka_by_broker(test: &str) -> Option<Bed> {
        Bed::kafka(test).map(|bed| Bed { protocol: GroupProtocol::Consumer, ..bed })
    }

    /// Lets time go by for the log.
    pub(crate) fn pass(&self, time: Duration) {
        match &self.clock {
            Some(log) => log.advance(time),
            None => sleep(time),
        }
    }

    pub(crate) fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.prefix)
    }

    /// Makes a topic of this test and gives its partitions.
    pub(crate) fn topic(&self, what: &str, partitions: u32) -> Vec<Tp> {
        let spec = self.spec(what, partitions);
        self.log.ensure_topic(&spec).expect("the topic is made");
        (0..partitions).map(|p| Tp::new(&spec.name, p)).collect()
    }

    pub(crate) fn spec(&self, what: &str, partitions: u32) -> TopicSpec {
        TopicSpec { name: TopicName::new(&self.name(what)), partitions, retention: None, compact: false }
    }

    pub(crate) fn plain(&self) -> Box<dyn Producer> {
        let mut producer = self.log.producer(&ProducerOptions::default()).expect("a producer");
        producer.init().expect("nothing to fence");
        producer
    }

    pub(crate) fn transactional(&self, id: &str) -> Box<dyn Producer> {
        let options = ProducerOptions::transactional(&self.name(id));
        let mut producer = self.log.producer(&options).expect("a producer");
        producer.init().expect("earlier holders are fenced");
        producer
    }

    pub(crate) fn reader(&self, group: Option<&str>) -> Box<dyn Consumer> {
        let group = group.map(|group| self.name(group));
        self.log.consumer(&ConsumerOptions { group, assignment: Assignment::Manual }).expect("a consumer")
    }

    /// All that can be read of a partition, once it is at least `n`.
    pub(crate) fn read(&self, tp: &Tp, n: usize) -> Vec<Rec> {
        let mut reader = self.reader(None);
        start(&mut *reader, tp, 0);
        read_on(&mut *reader, tp, n)
    }

    /// Values as text, for tests whose values are text.
    pub(crate) fn values(&self, tp: &Tp, n: usize) -> Vec<String> {
        texts(&self.read(tp, n))
    }

    pub(crate) fn write(&self, tp: &Tp, values: &[&str]) {
        let mut producer = self.plain();
        for value in values {
            send(&mut *producer, tp, value);
        }
        producer.drain(PATIENCE).expect("written");
    }
}

pub(crate) fn texts(records: &[Rec]) -> Vec<String> {
    let text = |r: &Rec| String::from_utf8(r.value.clone().expect("not a tombstone")).expect("text");
    records.iter().map(text).collect()
}

pub(crate) fn start(consumer: &mut dyn Consumer, tp: &Tp, offset: u64) {
    consumer.answer(Answer::Start(&[(tp.clone(), Offset(offset))])).expect("started");
}

/// Takes until it is caught up with at least `n` records.
pub(crate) fn read_on(consumer: &mut dyn Consumer, tp: &Tp, n: usize) -> Vec<Rec> {
    let (mut batch, mut all) = (Batch::default(), Vec::new());
    for _ in 0..PATIENCE.as_millis() / TURN.as_millis() {
        loop {
            batch.clear();
            let taken = consumer.take(tp, 1_000, &mut batch).expect("readable");
            assert_eq!(taken.n, batch.len());
            all.extend(batch.iter().map(Rec::from));
            if taken.caught_up && all.len() >= n {
                return all;
            }
            if taken.n == 0 {
                break;
            }
        }
        assert_eq!(consumer.serve(TURN).expect("served"), None);
    }
    panic!("{tp}: {} records of {n} came", all.len());
}

/// Sends a text without key or headers; a full buffer is waited out.
pub(crate) fn send(producer: &mut dyn Producer, tp: &Tp, value: &str) {
    let record = OutRecord { tp, key: None, value: Some(value.as_bytes()), ts: Ts(T0), seq: 0, headers: &[] };
    push(producer, record);
}

pub(crate) fn push(producer: &mut dyn Producer, record: OutRecord<'_>) {
    loop {
        match producer.send(record) {
            Ok(()) => return,
            Err(SendError::Full) => sleep(Duration::from_millis(1)),
            Err(e) => panic!("{e}"),
        }
    }
}

impl Rec {
    pub(crate) fn send(&self, producer: &mut dyn Producer, tp: &Tp) {
        let headers: Vec<Header<'_>> =
            self.headers.iter().map(|(name, value)| Header { name, value }).collect();
        let (key, value) = (self.key.as_deref(), self.value.as_deref());
        push(producer, OutRecord { tp, key, value, ts: Ts(self.ts), seq: self.seq, headers: &headers });
    }
}

impl From<lobstream_streams::record::InRecord<'_>> for Rec {
    fn from(record: lobstream_streams::record::InRecord<'_>) -> Rec {
        Rec {
            offset: record.offset.0,
            ts: record.ts.0,
            seq: record.seq,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record.headers.iter().map(|h| (h.name.to_owned(), h.value.to_vec())).collect(),
        }
    }
}
