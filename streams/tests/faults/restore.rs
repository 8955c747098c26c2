//! F16: a task comes back, with its checkpoint and without.

use std::path::Path;
use std::sync::Arc;

use lobstream_streams::log::{Log, ProducerOptions, TopicName, TopicSpec, Tp, topic};
use lobstream_streams::record::{OutRecord, Record};
use lobstream_streams::store::kv::Kv;
use lobstream_streams::store::{Changelog, StoreRef};
use lobstream_streams::text::{Text, text};
use lobstream_streams::time::Ts;
use lobstream_streams::topology::processor::{Context, ProcessError, Processor};
use lobstream_streams::topology::{Builder, Sink, Source, Topology};

use crate::bed::number;
use crate::check::read;
use crate::program::{open, start};

const PARTITIONS: u32 = 4;
/// Each key comes so often before the first restart: as many changelog records are left of it.
const ROUNDS: u64 = 5;

/// Millions of changelog records a second. The aim is 1, and 2 with a million keys: docs/reliability.md has what is
/// reached.
const COLD_LEAST: f64 = 0.4;

struct Count(StoreRef<Kv>);

/// Writes only what follows the rounds: the changelog is what is measured.
impl Processor<Text> for Count {
    fn process(&mut self, ctx: &mut Context<'_, Text>, r: Record<Text>) -> Result<(), ProcessError> {
        let counts = ctx.kv(self.0);
        let n = counts.get(&r.key).and_then(|n| n.try_into().ok()).map_or(1, |n| u64::from_be_bytes(n) + 1);
        counts.put(&r.key, &n.to_be_bytes());
        if n > ROUNDS {
            ctx.forward(Record { value: Text::from(n), ..r });
        }
        Ok(())
    }
}

/// How often each key came.
pub(crate) fn counts() -> Topology<Text> {
    let mut t = Builder::<Text>::new("app");
    let input = t.source("in", Source::topic("in", text()));
    let counts = t.store(Kv::new("counts").changelog(Changelog::On));
    let node = t.processor("count", [input], [counts], move || Count(counts));
    t.sink("out", [node], Sink::topic("out", text()));
    t.build().expect("valid")
}

fn key(n: u64) -> String {
    format!("key-{n:08}")
}

/// Each of these keys once more.
fn append(log: &Arc<dyn Log>, round: u64, keys: impl Iterator<Item = u64>) {
    let name = TopicName::new("in");
    let spec = TopicSpec { name: name.clone(), partitions: PARTITIONS, retention: None, compact: false };
    log.ensure_topic(&spec).expect("a topic");
    let tps: Vec<Tp> = (0..PARTITIONS).map(|p| Tp::new(&name, p)).collect();
    let mut producer = log.producer(&ProducerOptions::default()).expect("a producer");
    for n in keys {
        let key = key(n);
        let tp = &tps[topic::partition(key.as_bytes(), PARTITIONS) as usize];
        let (key, ts) = (Some(key.as_bytes()), Ts((round * 1_000_000_000 + n) as i64));
        let record = OutRecord { tp, key, value: Some(b"x"), ts, seq: 0, headers: &[] };
        while producer.send(record).is_err() {
            producer.drain(std::time::Duration::from_secs(60)).expect("room");
        }
    }
    producer.drain(std::time::Duration::from_secs(60)).expect("arrived");
}

/// Every hundredth key, which must be counted on from where it was.
fn few(n_keys: u64) -> impl Iterator<Item = u64> {
    (0..n_keys).step_by(100)
}

/// Comes to the end of its input. What was restored, the longest restore of a task in ms, and the time from the start
/// of the process to its first record in ms.
fn run(dir: &Path) -> (u64, f64, u128) {
    let program = start(dir, "counts");
    let (_, first) = program.wait_for("FIRST RECORD");
    let (restored, _) = program.wait_for("RESTORED");
    program.end();
    let (records, micros) = restored.split_once(' ').expect("two numbers");
    let micros: f64 = micros.parse().expect("a number");
    (records.parse().expect("a number"), micros / 1_000.0, first.as_millis())
}

fn counted(log: &Arc<dyn Log>, n: u64) -> usize {
    let rows = (0..PARTITIONS).flat_map(|p| read(log, &TopicName::new("out"), p));
    rows.filter(|row| row.value == n.to_string().as_bytes()).count()
}

#[test]
fn f16_a_task_is_restored_from_its_checkpoint_at_once_and_without_it_from_the_changelog() {
    let n_keys = if number("LOBSTREAM_FAULTS_LONG", 0) > 0 { 1_000_000 } else { 200_000 };
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    for round in 0..ROUNDS {
        append(&open(dir), round, 0..n_keys);
    }
    run(dir);
    append(&open(dir), ROUNDS, few(n_keys));
    let (warm_read, warm_ms, warm_first) = run(dir);
    std::fs::remove_dir_all(dir.join("state")).expect("removed");
    append(&open(dir), ROUNDS + 1, few(n_keys));
    let (cold_read, cold_ms, cold_first) = run(dir);

    let (log, n) = (open(dir), few(n_keys).count());
    for round in [ROUNDS + 1, ROUNDS + 2] {
        assert_eq!(counted(&log, round), n, "keys that were counted {round} times");
    }
    let rate = cold_read as f64 / cold_ms / 1_000.0;
    println!(
        "F16 {n_keys} keys: warm {warm_read} records, {warm_ms:.1} ms, first record {warm_first} ms after the start; \
         cold {cold_read} records, {cold_ms:.0} ms, {rate:.2} M/s, first record {cold_first} ms after the start"
    );
    assert!(warm_read < n_keys / 10, "{warm_read} records were read beside the checkpoint");
    assert!(cold_read >= ROUNDS * n_keys, "{cold_read} records of the changelog");
    // A debug build shows that it is right, not how fast.
    if !cfg!(debug_assertions) {
        assert!(warm_ms < 200.0 && rate >= COLD_LEAST, "warm {warm_ms} ms, cold {rate} M records/s");
    }
}
