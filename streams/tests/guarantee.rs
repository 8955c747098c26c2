//! At-least-once on a log with transactions: whatever edge of the commit a run dies at, nothing is lost, and
//! only what was not committed comes twice.

#[expect(dead_code, reason = "the operator tests use the rest of it")]
#[path = "operators/bed.rs"]
mod bed;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bed::{Bed, Input, Machine};
use lobstream_streams::error::Error;
use lobstream_streams::log;
use lobstream_streams::record::{Codec, CodecError, Record};
use lobstream_streams::runtime::commit::Edge;
use lobstream_streams::runtime::metrics::Progress;
use lobstream_streams::runtime::{App, Until};
use lobstream_streams::settings::{Guarantee, Settings, Sharing};
use lobstream_streams::store::StoreRef;
use lobstream_streams::store::kv::Kv;
use lobstream_streams::topology::processor::{Context, ProcessError, Processor};
use lobstream_streams::topology::{Builder, Sink, Source, Topology};

const KEYS: [&str; 3] = ["a", "b", "c"];
const RECORDS: u64 = 1_000;
/// Records of an epoch.
const EPOCH: u64 = 100;

struct Number;

impl Codec<u64> for Number {
    fn encode(&self, value: &u64, into: &mut Vec<u8>) -> Result<(), CodecError> {
        into.extend_from_slice(value.to_string().as_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<u64, CodecError> {
        String::from_utf8_lossy(bytes).parse().map_err(|_| CodecError::new("not a number"))
    }
}

/// Numbers the records of each key.
struct Count(StoreRef<Kv>);

impl Processor<u64> for Count {
    fn process(&mut self, ctx: &mut Context<'_, u64>, r: Record<u64>) -> Result<(), ProcessError> {
        let counts = ctx.kv(self.0);
        let n = 1 + counts.get(&r.key).map_or(0, |n| u64::from_be_bytes(n.try_into().expect("eight bytes")));
        counts.put(&r.key, &n.to_be_bytes());
        ctx.forward(Record { value: n, ..r });
        Ok(())
    }
}

fn topology() -> Topology<u64> {
    let mut t = Builder::new("numbers");
    let numbers = t.source("numbers", Source::topic("in", Arc::new(Number)));
    let counts = t.store(Kv::new("counts"));
    let count = t.processor("count", [numbers], [counts], move || Count(counts));
    t.sink("out", [count], Sink::topic("out", Arc::new(Number)));
    t.build().expect("valid")
}

fn bed() -> Bed {
    let dir = tempfile::tempdir().expect("a directory");
    let bed = Bed { log: log::open("memory:").expect("a log"), dir };
    let values: Vec<String> = (0..RECORDS).map(|i| i.to_string()).collect();
    let input = |(i, value): (usize, &String)| -> (i64, &'static str, String) {
        (i as i64, KEYS[i % KEYS.len()], value.clone())
    };
    let inputs: Vec<_> = values.iter().enumerate().map(input).collect();
    let inputs: Vec<Input<'_>> = inputs.iter().map(|(ts, key, v)| (*ts, *key, Some(v.as_str()))).collect();
    bed.feed("in", &inputs);
    bed
}

fn settings(bed: &Bed, checkpoints: bool) -> Settings {
    let mut settings = bed.settings();
    settings.guarantee = Guarantee::AtLeastOnce;
    settings.assignment = Sharing::Static;
    settings.commit_interval = Duration::from_secs(3_600);
    settings.commit_records_max = EPOCH;
    settings.take_max = EPOCH as usize;
    settings.checkpoint_interval =
        Some(if checkpoints { Duration::ZERO } else { Duration::from_secs(3_600) });
    settings
}

/// Runs until this edge has come the third time, or to the end.
fn run(bed: &Bed, settings: Settings, dies_at: Option<Edge>) -> Result<(), Error> {
    let n = AtomicU32::new(0);
    let app = App::new(topology(), Arc::clone(&bed.log), settings, Arc::new(Machine::start()));
    let app = app.on_edge(move |edge| {
        if Some(edge) == dies_at && n.fetch_add(1, Ordering::Relaxed) == 2 {
            panic!("dies at {edge:?}");
        }
    });
    app.run(Until::End, &AtomicBool::new(false), &Progress::default())
}

/// How often each input was answered, and the last count of each key.
fn answers(bed: &Bed) -> (BTreeMap<u64, u32>, BTreeMap<String, u64>) {
    let (mut causes, mut last) = (BTreeMap::new(), BTreeMap::new());
    for row in bed.read("out", 0) {
        *causes.entry(row.cause()).or_default() += 1;
        last.insert(row.key.clone(), row.text().parse().expect("a number"));
    }
    (causes, last)
}

#[test]
fn without_a_crash_every_input_is_answered_once() {
    let bed = bed();
    run(&bed, settings(&bed, false), None).expect("a run");
    let (causes, last) = answers(&bed);
    assert_eq!((causes.len() as u64, causes.values().all(|n| *n == 1)), (RECORDS, true));
    assert_eq!(last.into_values().collect::<Vec<_>>(), [334, 333, 333]);
}

#[test]
fn a_crash_loses_nothing_and_repeats_an_epoch_at_most() {
    let edges = [
        Edge::BeforeSend,
        Edge::Sent,
        Edge::BeforeChangelog,
        Edge::BeforeDecision,
        Edge::Drained,
        Edge::Committed,
        Edge::BeforeOffsets,
        Edge::OffsetsSent,
    ];
    for (edge, checkpoints) in edges.into_iter().flat_map(|edge| [(edge, false), (edge, true)]) {
        let bed = bed();
        let died = run(&bed, settings(&bed, checkpoints), Some(edge)).expect_err("it dies");
        assert!(matches!(died, Error::Panicked { .. }), "{edge:?}: {died}");
        run(&bed, settings(&bed, checkpoints), None).expect("it goes on");
        let (causes, last) = answers(&bed);
        assert_eq!(causes.len() as u64, RECORDS, "{edge:?}, checkpoints {checkpoints}: inputs lost");
        let twice = causes.values().filter(|n| **n > 1).count() as u64;
        assert!(twice <= EPOCH, "{edge:?}, checkpoints {checkpoints}: {twice} inputs answered again");
        assert!(causes.values().all(|n| *n <= 2), "{edge:?}, checkpoints {checkpoints}");
        for (key, n) in &last {
            let most = 334 + EPOCH;
            assert!((333..=most).contains(n), "{edge:?}, checkpoints {checkpoints}: {key} counted {n} times");
        }
        if edge == Edge::Drained {
            assert_eq!(twice, EPOCH, "no transaction takes back what has arrived");
        }
        if edge == Edge::OffsetsSent {
            assert_eq!(twice, 0, "all of it was committed");
        }
        // A checkpoint is written after everything has arrived: from there on nothing comes twice.
        if edge == Edge::BeforeOffsets && checkpoints {
            assert_eq!((twice, last["a"]), (0, 334), "the checkpoint is ahead of the positions");
        }
    }
}
