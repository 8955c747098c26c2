//! Seeded inputs: two topics, disorder, equal times, beacons, poison; and a log to put them in.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lobstream_streams::beacon::Beacon;
use lobstream_streams::log::{self, Log, ProducerOptions, TopicName, TopicSpec, Tp, topic};
use lobstream_streams::record::OutRecord;
use lobstream_streams::time::Ts;

pub(crate) const PARTITIONS: u32 = 4;

/// A small generator of pseudo-random numbers (xorshift).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

/// What an input holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    pub(crate) seed: u64,
    pub(crate) records: u64,
    /// One record in so many is poison; 0 = none.
    pub(crate) poison_every: u64,
    pub(crate) bye: bool,
    /// Event time of the first record, roughly.
    pub(crate) start: i64,
}

/// A log of its own for one test: a directory, or names on a broker that no other test uses.
pub(crate) struct Bed {
    pub(crate) uri: String,
    pub(crate) app: String,
    pub(crate) dir: tempfile::TempDir,
}

impl Bed {
    pub(crate) fn embedded() -> Bed {
        let dir = tempfile::tempdir().expect("a directory");
        let uri = format!("embedded:{}", dir.path().join("log").display());
        Bed { uri, app: "app".to_owned(), dir }
    }

    /// `None`, and a word about it, if there is no broker.
    pub(crate) fn kafka(test: &str) -> Option<Bed> {
        let Ok(brokers) = std::env::var("LOBSTREAM_TEST_KAFKA") else {
            let _ = writeln!(std::io::stderr(), "SKIPPED {test}: LOBSTREAM_TEST_KAFKA is not set");
            return None;
        };
        Some(Bed::at(&brokers))
    }

    /// Names on these brokers that no other test uses.
    pub(crate) fn at(brokers: &str) -> Bed {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let dir = tempfile::tempdir().expect("a directory");
        // The directory's name is random: topics of an earlier run are never met again.
        let random = dir.path().file_name().expect("a name").to_string_lossy().to_lowercase();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let app = format!("t{}-{number}", random.replace('.', ""));
        Bed { uri: format!("kafka://{brokers}"), app, dir }
    }

    pub(crate) fn open(&self) -> Arc<dyn Log> {
        log::open(&self.uri).expect("a log")
    }

    pub(crate) fn topic(&self, name: &str) -> TopicName {
        TopicName::new(&format!("{}.{name}", self.app))
    }
}

/// Makes both input topics and fills them.
pub(crate) fn feed(bed: &Bed, log: &Arc<dyn Log>, workload: Workload) {
    for name in ["a", "b"] {
        let spec =
            TopicSpec { name: bed.topic(name), partitions: PARTITIONS, retention: None, compact: false };
        log.ensure_topic(&spec).expect("a topic");
    }
    append(bed, log, workload);
}

/// Writes records to both input topics.
pub(crate) fn append(bed: &Bed, log: &Arc<dyn Log>, workload: Workload) {
    let mut producer = log.producer(&ProducerOptions::default()).expect("a producer");
    producer.init().expect("ready");
    let mut send = |topic: &str, partition, key: &[u8], value: &[u8], ts, seq| {
        let tp = Tp::new(&bed.topic(topic), partition);
        let record = OutRecord { tp: &tp, key: Some(key), value: Some(value), ts: Ts(ts), seq, headers: &[] };
        while producer.send(record).is_err() {
            producer.drain(Duration::from_secs(10)).expect("room");
        }
    };
    for item in items(workload) {
        match item {
            Item::Record { topic, key, value, ts, seq } => {
                send(topic, topic::partition(&key, PARTITIONS), &key, &value, ts, seq);
            }
            Item::Beacon(beacon) => {
                for (topic, p) in ["a", "b"].into_iter().flat_map(|t| (0..PARTITIONS).map(move |p| (t, p))) {
                    send(topic, p, &beacon.key(), &beacon.value(), 0, 0);
                }
            }
        }
    }
    producer.drain(Duration::from_secs(120)).expect("all arrived");
}

/// A part of an input.
pub(crate) enum Item {
    Record {
        topic: &'static str,
        key: Vec<u8>,
        value: Vec<u8>,
        ts: i64,
        seq: u64,
    },
    /// To every partition of both topics.
    Beacon(Beacon),
}

/// What a workload consists of, in the order in which it is written.
pub(crate) fn items(workload: Workload) -> Vec<Item> {
    let mut items = Vec::new();
    let mut random = Random(workload.seed);
    let mut now = workload.start;
    for i in 0..workload.records {
        now += random.below(60) as i64;
        let topic = ["a", "b"][random.below(2) as usize];
        let key = format!("key-{}", random.below(20)).into_bytes();
        let ts = now - random.below(40) as i64;
        let seq = random.below(3);
        let poison = workload.poison_every > 0 && random.below(workload.poison_every) == 0;
        let number = random.below(1_000).to_string();
        let value: &[u8] = match (poison, random.below(3)) {
            (false, _) => number.as_bytes(),
            (true, 0) => b"\xff",
            (true, 1) => b"word",
            (true, _) => b"panic",
        };
        items.push(Item::Record { topic, key, value: value.to_vec(), ts, seq });
        let last = i + 1 == workload.records;
        if last || random.below(50) == 0 {
            items.push(Item::Beacon(Beacon { origin: 0, bound: Ts(now - 40), bye: last && workload.bye }));
        }
    }
    items
}
