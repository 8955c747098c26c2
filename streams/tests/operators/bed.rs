//! A log in a directory of its own, records in, an application run to the end, records out.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use lobstream_streams::beacon::Beacon;
use lobstream_streams::error::Error;
use lobstream_streams::log::memory::MemoryLog;
use lobstream_streams::log::{
    self, Answer, Assignment, ConsumerOptions, Log, ProducerOptions, TopicName, TopicSpec, Tp,
};
use lobstream_streams::record::{Batch, Header, InRecord, Offset, OutRecord, header};
use lobstream_streams::runtime::metrics::{Progress, Snapshot};
use lobstream_streams::runtime::outbox::Src;
use lobstream_streams::runtime::{App, Clock, Until};
use lobstream_streams::settings::{Settings, Sharing};
use lobstream_streams::store::checkpoint::{Checkpoints, Entries};
use lobstream_streams::time::{Mono, Ts};
use lobstream_streams::topology::Topology;

/// Says something past the test harness, which hides what passing tests print.
pub(crate) fn said(text: &str) {
    // Nobody may be listening; that is no failure of a test.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A clock that goes with the machine's.
pub(crate) struct Machine(Instant);

impl Machine {
    #[expect(clippy::disallowed_methods, reason = "the clock of a test application; no result depends on it")]
    pub(crate) fn start() -> Machine {
        Machine(Instant::now())
    }
}

impl Clock for Machine {
    fn mono(&self) -> Mono {
        Mono(self.0.elapsed())
    }
}

/// A record as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: String,
    pub(crate) value: Option<String>,
    pub(crate) ts: i64,
    pub(crate) headers: BTreeMap<String, Vec<u8>>,
}

impl Row {
    /// Offset of the input that caused it.
    pub(crate) fn cause(&self) -> u64 {
        Src::decode(&self.headers[header::SRC]).expect("a src header").cause.offset.0
    }

    pub(crate) fn text(&self) -> &str {
        self.value.as_deref().unwrap_or("null")
    }

    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        let bytes = self.headers.get(name)?;
        Some(bytes.iter().fold(0, |n, byte| (n << 8) | i64::from(*byte)))
    }
}

/// A record to write; `None` is a tombstone.
pub(crate) type Input<'a> = (i64, &'a str, Option<&'a str>);

pub(crate) struct Bed {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) dir: tempfile::TempDir,
}

impl Bed {
    /// A log on disk, which keeps state beside its records.
    pub(crate) fn new() -> Bed {
        let dir = tempfile::tempdir().expect("a directory");
        let log = log::open(&format!("embedded:{}", dir.path().join("log").display())).expect("a log");
        Bed { log, dir }
    }

    /// A log in memory, where tasks keep their own checkpoints and changelogs.
    pub(crate) fn memory() -> Bed {
        Bed { log: Arc::new(MemoryLog::default()), dir: tempfile::tempdir().expect("a directory") }
    }

    pub(crate) fn topic(&self, name: &str, partitions: u32) {
        let spec = TopicSpec { name: TopicName::new(name), partitions, retention: None, compact: false };
        self.log.ensure_topic(&spec).expect("a topic");
    }

    /// Writes records with these headers to a partition.
    pub(crate) fn write(&self, topic: &str, partition: u32, records: &[(Input<'_>, &[Header<'_>])]) {
        let tp = Tp::new(&TopicName::new(topic), partition);
        let mut producer = self.log.producer(&ProducerOptions::default()).expect("a producer");
        producer.init().expect("ready");
        for ((ts, key, value), headers) in records {
            let (key, value) = (Some(key.as_bytes()), value.map(str::as_bytes));
            let record = OutRecord { tp: &tp, key, value, ts: Ts(*ts), seq: 0, headers };
            while producer.send(record).is_err() {
                producer.drain(Duration::from_secs(10)).expect("room");
            }
        }
        producer.drain(Duration::from_secs(10)).expect("written");
    }

    /// Writes records to partition 0 of a topic, which is made if it is missing.
    pub(crate) fn feed(&self, topic: &str, records: &[Input<'_>]) {
        self.topic(topic, 1);
        let records: Vec<_> = records.iter().map(|record| (*record, &[][..])).collect();
        self.write(topic, 0, &records);
    }

    pub(crate) fn beacon(&self, topic: &str, partition: u32, bound: i64, bye: bool) {
        let tp = Tp::new(&TopicName::new(topic), partition);
        let mut producer = self.log.producer(&ProducerOptions::default()).expect("a producer");
        producer.init().expect("ready");
        let beacon = Beacon { origin: 0, bound: Ts(bound), bye };
        let (key, value) = (beacon.key(), beacon.value());
        let record =
            OutRecord { tp: &tp, key: Some(&key), value: Some(&value), ts: Ts(bound), seq: 0, headers: &[] };
        producer.send(record).expect("room");
        producer.drain(Duration::from_secs(10)).expect("written");
    }

    pub(crate) fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        settings.commit_interval = Duration::from_millis(20);
        settings.checkpoint_interval = Some(Duration::from_millis(50));
        settings.state_dir = self.dir.path().join("state");
        settings.poison_percent_max = 100;
        settings.assignment = Sharing::Static;
        settings
    }

    pub(crate) fn run<M: Clone + Send + 'static>(&self, topology: Topology<M>) -> Snapshot {
        self.run_with(topology, self.settings()).expect("a run")
    }

    pub(crate) fn run_with<M: Clone + Send + 'static>(
        &self,
        topology: Topology<M>,
        settings: Settings,
    ) -> Result<Snapshot, Error> {
        run(self.app(topology, settings))
    }

    pub(crate) fn app<M: Clone + Send + 'static>(&self, topology: Topology<M>, settings: Settings) -> App<M> {
        App::new(topology, Arc::clone(&self.log), settings, Arc::new(Machine::start()))
    }

    /// Everything of a partition that is no beacon.
    pub(crate) fn read(&self, topic: &str, partition: u32) -> Vec<Row> {
        let tp = Tp::new(&TopicName::new(topic), partition);
        let options = ConsumerOptions { group: None, assignment: Assignment::Manual };
        let mut consumer = self.log.consumer(&options).expect("a consumer");
        consumer.answer(Answer::Start(&[(tp.clone(), Offset(0))])).expect("started");
        let mut rows = Vec::new();
        loop {
            let mut batch = Batch::default();
            let taken = consumer.take(&tp, 10_000, &mut batch).expect("readable");
            let beacon = |record: &InRecord<'_>| Beacon::decode(record.key, record.value).is_some();
            rows.extend(batch.iter().filter(|record| !beacon(record)).map(|record| row(&record)));
            if taken.caught_up {
                return rows;
            }
        }
    }

    /// How many records a partition has, beacons among them; none if there is no such topic.
    pub(crate) fn everything(&self, topic: &str, partition: u32) -> u64 {
        let range = self.log.range(&Tp::new(&TopicName::new(topic), partition));
        range.map_or(0, |_| {
            let options = ConsumerOptions { group: None, assignment: Assignment::Manual };
            let mut consumer = self.log.consumer(&options).expect("a consumer");
            let tp = Tp::new(&TopicName::new(topic), partition);
            consumer.answer(Answer::Start(&[(tp.clone(), Offset(0))])).expect("started");
            let mut batch = Batch::default();
            while !consumer.take(&tp, 10_000, &mut batch).expect("readable").caught_up {}
            batch.len() as u64
        })
    }

    /// Entries of a store as of the last checkpoint.
    pub(crate) fn entries(&self, app: &str, store: &str, partition: u32) -> Entries {
        let env = self.log.state().expect("an embedded log keeps state");
        Checkpoints::new(env, app).entries(store, partition).expect("readable")
    }
}

/// Runs an application until its inputs are used up.
pub(crate) fn run<M: Clone + Send + 'static>(app: App<M>) -> Result<Snapshot, Error> {
    let progress = Progress::default();
    app.run(Until::End, &AtomicBool::new(false), &progress)?;
    Ok(progress.snapshot())
}

/// A small generator of pseudo-random numbers (xorshift); its seed is part of what a failing test prints.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

fn row(record: &InRecord<'_>) -> Row {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Row {
        key: text(record.key.unwrap_or_default()),
        value: record.value.map(text),
        ts: record.ts.0,
        headers: record.headers.iter().map(|h| (h.name.to_owned(), h.value.to_vec())).collect(),
    }
}
