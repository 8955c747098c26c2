//! A runner moves every record of its topics into the store once, across restarts, crashes and logs.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lobstream::clock::Clock;
use lobstream::codec::json;
use lobstream::error::Error;
use lobstream::sink::results::Results;
use lobstream::sink::runner::SinkRunner;
use lobstream_market::factor::row::FactorRow;
use lobstream_market::signal::Signal;
use lobstream_streams::beacon::Beacon;
use lobstream_streams::log::{self, Log, ProducerOptions, TopicName, TopicSpec, Tp};
use lobstream_streams::record::OutRecord;
use lobstream_streams::time::Ts;

use super::rows::Rows;
use super::{digest, drop_store, stores};
use crate::support::{Folder, kafka, unique, wait_for};

const PARTITIONS: u32 = 3;

/// Two topics of a log and what they should hold.
struct Topics {
    log: Arc<dyn Log>,
    names: [TopicName; 2],
    draw: Rows,
    next_ts: i64,
}

impl Topics {
    fn on(uri: &str, venue: &str, seed: u64) -> Topics {
        let log = log::open(uri).expect("log");
        let names = ["factors", "signals"].map(|kind| TopicName::new(&format!("{kind}.{venue}")));
        for name in &names {
            let spec =
                TopicSpec { name: name.clone(), partitions: PARTITIONS, retention: None, compact: false };
            log.ensure_topic(&spec).expect("topic");
        }
        Topics { log, names, draw: Rows::new(seed), next_ts: 0 }
    }

    /// Appends `n` rows of each kind, all of other seconds, after a beacon and a tombstone in each partition.
    fn append(&mut self, n: usize) {
        let mut producer = self.log.producer(&ProducerOptions::default()).expect("producer");
        producer.init().expect("init");
        let mut send = |topic: &TopicName, partition: u32, key: &[u8], value: Option<&[u8]>| {
            let tp = Tp::new(topic, partition);
            let record = OutRecord { tp: &tp, key: Some(key), value, ts: Ts(0), seq: 0, headers: &[] };
            producer.send(record).expect("sent");
        };
        for topic in &self.names {
            for partition in 0..PARTITIONS {
                let beacon = Beacon { origin: 0, bound: Ts(1), bye: false };
                send(topic, partition, &beacon.key(), Some(&beacon.value()));
                send(topic, partition, b"gone", None);
            }
        }
        for _ in 0..n {
            self.next_ts += 1000;
            let partition = (self.next_ts / 1000 % i64::from(PARTITIONS)) as u32;
            let row = FactorRow { ts_ms: self.next_ts, ..self.draw.factor() };
            send(&self.names[0], partition, row.symbol.as_bytes(), Some(json::text(&row).as_bytes()));
            let mut signal: Signal = self.draw.signal();
            signal.head.ts_ms = self.next_ts;
            send(&self.names[1], partition, b"s", Some(json::text(&signal).as_bytes()));
        }
        producer.drain(Duration::from_secs(30)).expect("acknowledged");
    }

    fn runner(&self, uri: &str) -> Result<SinkRunner, Error> {
        SinkRunner::open(Arc::clone(&self.log), Results::open_sink(uri)?, &self.names, Clock::start())
    }

    fn drain(&self, uri: &str) -> Result<u64, Error> {
        self.runner(uri)?.run_until_end()
    }
}

/// The digest of a store that was filled in one go.
fn undisturbed(topics: &Topics, folder: &Folder) -> Vec<String> {
    let uri = folder.uri("lmdb", &unique("undisturbed"));
    topics.drain(&uri).expect("drained");
    digest(&uri)
}

fn check_restarts(topics: &mut Topics, test: &str, folder: &Folder) {
    for uri in stores(test, folder) {
        topics.append(40);
        topics.drain(&uri).expect("first");
        topics.append(25);
        assert_eq!(topics.drain(&uri).expect("second"), 50, "{uri}: only what is new");
        assert_eq!(topics.drain(&uri).expect("third"), 0, "{uri}: nothing is new");
        assert_eq!(digest(&uri), undisturbed(topics, folder), "{uri}");
        drop_store(&uri);
    }
}

#[test]
fn a_store_continues_where_it_was() {
    let folder = Folder::new();
    let mut topics = Topics::on(&folder.uri("embedded", "log"), "okx", 10);
    check_restarts(&mut topics, "a_store_continues_where_it_was", &folder);
}

#[test]
fn a_store_continues_where_it_was_on_a_real_broker() {
    let test = "a_store_continues_where_it_was_on_a_real_broker";
    let Some(broker) = kafka(test) else { return };
    let folder = Folder::new();
    let mut topics = Topics::on(&format!("kafka://{broker}"), &unique("sinks"), 11);
    check_restarts(&mut topics, test, &folder);
}

#[test]
fn a_runner_that_follows_stores_what_comes_and_finishes_at_the_end() {
    let test = "a_runner_that_follows_stores_what_comes_and_finishes_at_the_end";
    let folder = Folder::new();
    let mut topics = Topics::on(&folder.uri("embedded", "log"), "okx", 12);
    for uri in stores(test, &folder) {
        let before = undisturbed(&topics, &folder);
        let thread = topics.runner(&uri).expect("opens").spawn().expect("thread");
        topics.append(30);
        if !uri.starts_with("parquet:") && !uri.starts_with("lmdb:") {
            let seen = || digest(&uri)[0] != before[0];
            assert!(wait_for(Duration::from_secs(20), seen), "{uri}: visible while it runs");
        }
        topics.append(30);
        assert!(!thread.has_ended());
        thread.finish().expect("finished");
        assert_eq!(digest(&uri), undisturbed(&topics, &folder), "{uri}");
        drop_store(&uri);
    }
}

/// The part is there, the manifest is not: what a crash between the two leaves.
#[test]
fn a_part_without_its_manifest_is_not_read_and_not_doubled() {
    let folder = Folder::new();
    let mut topics = Topics::on(&folder.uri("embedded", "log"), "okx", 13);
    let uri = folder.uri("parquet", "p");
    let manifest = folder.path("p/manifest.jsonl");
    topics.append(40);
    topics.drain(&uri).expect("first");
    let (before, saved) = (digest(&uri), fs::read(&manifest).expect("manifest"));
    topics.append(20);
    topics.drain(&uri).expect("second");
    fs::write(&manifest, saved).expect("as before");
    fs::write(folder.path("p/factors/part-factors.okx-0-1-2.parquet.unfinished"), b"torn").expect("torn");
    assert_eq!(digest(&uri), before, "parts beyond the manifest do not count");
    topics.append(5);
    topics.drain(&uri).expect("third");
    assert_eq!(digest(&uri), undisturbed(&topics, &folder));
    let names: Vec<String> = fs::read_dir(folder.path("p/factors"))
        .expect("dir")
        .map(|e| e.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert!(names.iter().all(|n| n.ends_with(".parquet")), "{names:?}");
    assert_eq!(names.len(), 2 * PARTITIONS as usize, "{names:?}");
}

#[test]
fn another_log_is_refused_however_long_it_is() {
    let test = "another_log_is_refused_however_long_it_is";
    let folder = Folder::new();
    let mut first = Topics::on(&folder.uri("embedded", "first"), "okx", 14);
    first.append(20);
    for (i, other_rows) in [0, 5, 20, 100].into_iter().enumerate() {
        let mut other = Topics::on(&folder.uri("embedded", &format!("other{i}")), "okx", 15);
        other.append(other_rows);
        for uri in stores(test, &folder).iter().map(|uri| uri.replace("/lmdb", &format!("/lmdb{i}"))) {
            first.drain(&uri).expect("drained");
            let before = digest(&uri);
            let error = other.drain(&uri).expect_err("another log");
            assert!(error.to_string().contains("another log"), "{error}");
            assert_eq!(error.exit_code(), 6);
            assert_eq!(digest(&uri), before, "{uri}: nothing changed");
            drop_store(&uri);
        }
    }
}

#[test]
fn a_record_that_is_no_row_stops_the_runner_and_names_its_place() {
    let folder = Folder::new();
    let mut topics = Topics::on(&folder.uri("embedded", "log"), "okx", 16);
    topics.append(3);
    let mut producer = topics.log.producer(&ProducerOptions::default()).expect("producer");
    let tp = Tp::new(&topics.names[0], 1);
    let value = Some(&b"{\"ts_ms\":1}"[..]);
    producer
        .send(OutRecord { tp: &tp, key: Some(b"k"), value, ts: Ts(0), seq: 0, headers: &[] })
        .expect("sent");
    producer.drain(Duration::from_secs(30)).expect("acknowledged");
    let end = topics.log.range(&tp).expect("range").end.0;
    let error = topics.drain(&folder.uri("lmdb", "r")).expect_err("no row");
    assert_eq!(error.exit_code(), 4);
    let place = format!("record {} of factors.okx-1 cannot be used: missing field", end - 1);
    assert!(error.to_string().starts_with(&place), "{error}");
}

#[test]
fn parts_are_the_same_bytes_each_time() {
    let folder = Folder::new();
    let mut topics = Topics::on(&folder.uri("embedded", "log"), "okx", 17);
    topics.append(200);
    let files = |name: &str| {
        topics.drain(&folder.uri("parquet", name)).expect("drained");
        let mut files: Vec<_> = ["factors", "signals"]
            .iter()
            .flat_map(|kind| fs::read_dir(Path::new(&folder.path(name)).join(kind)).expect("dir"))
            .map(|e| e.expect("entry"))
            .map(|e| (e.file_name(), fs::read(e.path()).expect("read")))
            .collect();
        files.sort();
        files
    };
    assert_eq!(files("a"), files("b"));
}
