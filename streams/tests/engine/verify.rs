//! A live run is run again and comes to the same; where it does not, the record is named that differs first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lobstream_streams::error::{Error, LogError};
use lobstream_streams::lmdb::Env;
use lobstream_streams::log::{
    Answer, Commit, Consumer, ConsumerOptions, GroupEvent, GroupMetadata, Log, Producer, ProducerOptions,
    Range, Taken, TopicName, TopicSpec, Tp, topic,
};
use lobstream_streams::record::{Batch, Offset, Record};
use lobstream_streams::runtime::App;
use lobstream_streams::store::StoreRef;
use lobstream_streams::store::kv::Kv;
use lobstream_streams::time::Ts;
use lobstream_streams::topology::processor::{Context, ProcessError, Processor};
use lobstream_streams::topology::{Builder, Sink, Source, Topology};
use lobstream_streams::verify::{Difference, Show, Side, Verified, VerifyOptions, What, verify};

use crate::check::read;
use crate::feed::{Bed, PARTITIONS, Workload, append, feed};
use crate::fixture::{Machine, Protocol, Text, app, run, settings, topology};
use crate::oracle::Row;

const WORKLOAD: Workload =
    Workload { seed: 5, records: 3_000, poison_every: 60, bye: false, start: 1_000_000 };

fn verified(bed: &Bed, log: &Arc<dyn Log>, topology: Topology<String>, options: &VerifyOptions) -> Verified {
    let settings = settings(&bed.dir.path().join("state"));
    verify(topology, log, &settings, options, &AtomicBool::new(false)).expect("it can be told")
}

fn options(batch: usize, n_threads: u32) -> VerifyOptions {
    VerifyOptions { batch, n_threads, ..VerifyOptions::default() }
}

/// Two runs with input between them, so that late channels are lifted: those are decisions.
fn live(bed: &Bed, protocol: Protocol) -> (Arc<dyn Log>, u64) {
    let log = bed.open();
    feed(bed, &log, WORKLOAD);
    for n_threads in [2, 1] {
        let mut settings = settings(&bed.dir.path().join("state"));
        settings.n_threads = n_threads;
        run(&app(&bed.app, protocol, &log, &settings)).expect("a run");
        append(bed, &log, Workload { seed: 6, records: 600, start: 900_000, ..WORKLOAD });
    }
    let settings = settings(&bed.dir.path().join("state"));
    run(&app(&bed.app, protocol, &log, &settings)).expect("a run");
    let letters = topic::dead_letter(&bed.app);
    let topics = [bed.topic("out"), bed.topic("counted"), letters];
    let written =
        topics.iter().flat_map(|topic| (0..PARTITIONS).map(|p| read(&log, topic, p).len() as u64)).sum();
    (log, written)
}

fn a_live_run_is_proven(bed: &Bed, protocol: Protocol) {
    let (log, written) = live(bed, protocol);
    for (batch, n_threads) in [(1, 1), (7, 3), (1_000, 2)] {
        let found = verified(bed, &log, topology(&bed.app, protocol), &options(batch, n_threads));
        assert!(found.is_equal(), "batch {batch}: {:?}", found.differences);
        assert_eq!((found.outputs, found.tasks), (written, 8), "batch {batch}");
        assert!(found.digests > 4 && found.decisions > 0 && found.epochs > 20, "{found:?}");
        assert_eq!((found.unread, found.strangers), (0, 0));
    }
    let later = VerifyOptions { from: 3, ..options(64, 1) };
    let found = verified(bed, &log, topology(&bed.app, protocol), &later);
    assert!(found.is_equal() && found.outputs < written && found.outputs > 0, "{found:?}");
    let earlier = VerifyOptions { to: Some(2), ..options(64, 1) };
    let found = verified(bed, &log, topology(&bed.app, protocol), &earlier);
    assert!(found.is_equal() && found.epochs <= 16, "{found:?}");
}

#[test]
fn a_live_run_on_the_embedded_log_is_proven() {
    a_live_run_is_proven(&Bed::embedded(), Protocol::B);
}

#[test]
fn a_live_run_on_kafka_is_proven() {
    let Some(bed) = Bed::kafka("a_live_run_on_kafka_is_proven") else { return };
    a_live_run_is_proven(&bed, Protocol::B);
}

#[test]
fn without_its_decisions_a_run_tells_what_they_cost() {
    let bed = Bed::embedded();
    let (log, _) = live(&bed, Protocol::B);
    let pure = VerifyOptions { pure: true, ..options(100, 2) };
    let found = verified(&bed, &log, topology(&bed.app, Protocol::B), &pure);
    let costs = |d: &Difference| matches!(&d.what, What::Cost { n, first } if *n > 0 && !first.is_empty());
    assert!(!found.is_equal() && found.differences.iter().all(costs), "{:?}", found.differences);
    assert!(found.differences.iter().all(|d| d.task.sub == 0), "the second one merges nothing");
    let bed = Bed::embedded();
    let log = bed.open();
    feed(&bed, &log, Workload { bye: true, ..WORKLOAD });
    let settings = settings(&bed.dir.path().join("state"));
    run(&app(&bed.app, Protocol::B, &log, &settings)).expect("a run");
    let found = verified(&bed, &log, topology(&bed.app, Protocol::B), &pure);
    assert!(found.is_equal() && found.decisions == 0, "{:?}", found.differences);
}

/// Copies its input, counts it by key, and does one record in another way when it is told to.
struct Fickle {
    store: StoreRef<Kv>,
    odd: Option<(Vec<u8>, i64)>,
    /// Only the count is odd.
    quiet: bool,
}

impl Processor<String> for Fickle {
    fn process(&mut self, ctx: &mut Context<'_, String>, r: Record<String>) -> Result<(), ProcessError> {
        let odd = self.odd.as_ref().is_some_and(|(key, ts)| (&**key, *ts) == (&*r.key, r.ts.0));
        let n = ctx.kv(self.store).get(&r.key).map_or(0, |n| n[0]).wrapping_add(if odd { 2 } else { 1 });
        ctx.kv(self.store).put(&r.key, &[n]);
        let value = if odd && !self.quiet { format!("odd {}", r.value) } else { r.value.clone() };
        ctx.forward(Record { value, ..r });
        Ok(())
    }
}

fn fickle(bed: &Bed, odd: Option<(Vec<u8>, i64)>) -> Topology<String> {
    in_a_way(bed, odd, false)
}

fn in_a_way(bed: &Bed, odd: Option<(Vec<u8>, i64)>, quiet: bool) -> Topology<String> {
    let mut t = Builder::new(&bed.app);
    let a = t.source("a", Source::topic(bed.topic("a").as_str(), Arc::new(Text)));
    let store = t.store(Kv::new("n"));
    let node = t.processor("node", [a], [store], move || Fickle { store, odd: odd.clone(), quiet });
    t.sink("out", [node], Sink::topic(bed.topic("out").as_str(), Arc::new(Text)));
    t.build().expect("valid")
}

/// A run of the steady form, and one of its inputs in partition 1: its place, and how many outputs precede it.
fn steady(bed: &Bed) -> (Arc<dyn Log>, Row, u64) {
    let log = bed.open();
    feed(bed, &log, Workload { poison_every: 0, bye: true, ..WORKLOAD });
    let settings = settings(&bed.dir.path().join("state"));
    run(&App::new(fickle(bed, None), Arc::clone(&log), settings, Arc::new(Machine::new()))).expect("a run");
    let input = read(&log, &bed.topic("a"), 1);
    let records: Vec<&Row> = input.iter().filter(|row| row.key[0] != 0).collect();
    let unique = |row: &Row| records.iter().filter(|r| (&r.key, r.ts) == (&row.key, row.ts)).count() == 1;
    let at = (100..).find(|i| unique(records[*i])).expect("one of its own");
    (log, records[at].clone(), at as u64)
}

fn the_first_difference_is_the_odd_record(bed: &Bed) {
    let (log, row, index) = steady(bed);
    for (batch, n_threads) in [(1, 1), (50, 2)] {
        let odd = Some((row.key.clone(), row.ts));
        let found = verified(bed, &log, fickle(bed, odd), &options(batch, n_threads));
        let [difference] = &found.differences[..] else { panic!("{:?}", found.differences) };
        let What::Output { tp, index: i, log: was, again } = &difference.what else {
            panic!("{difference:?}")
        };
        assert_eq!((tp, *i), (&Tp::new(&bed.topic("out"), 1), index));
        let odd = format!("odd {}", String::from_utf8_lossy(&row.value)).into_bytes();
        assert_eq!(was.as_ref().and_then(|s| s.value.clone()), Some(row.value.clone()));
        assert_eq!(again.as_ref().and_then(|s| s.value.clone()), Some(odd));
        let cause = difference.cause.as_ref().expect("known");
        assert_eq!(
            (&cause.tp, cause.record.offset),
            (&Tp::new(&bed.topic("a"), 1), Some(Offset(row.offset)))
        );
        let keys = difference.keys.as_ref().expect("a checkpoint was written at the end");
        let named: Vec<_> = keys.iter().map(|key| (key.store.as_str(), &key.key, key.only)).collect();
        assert_eq!(named, [("n", &row.key, None)], "only this count is another one");
        let text = Show { verified: &found, decode: &|_, _| None }.to_string();
        assert!(text.contains(&format!("output {index} of {tp} differs")), "{text}");
        assert!(
            text.contains("6f6464") && text.contains("odd ") && text.ends_with("different in 1 task"),
            "{text}"
        );
    }
}

#[test]
fn a_processor_that_is_not_deterministic_is_found_at_its_record() {
    the_first_difference_is_the_odd_record(&Bed::embedded());
}

#[test]
fn a_processor_that_is_not_deterministic_is_found_at_its_record_on_kafka() {
    let test = "a_processor_that_is_not_deterministic_is_found_at_its_record_on_kafka";
    let Some(bed) = Bed::kafka(test) else { return };
    the_first_difference_is_the_odd_record(&bed);
}

/// What happens to one record of a log when it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tamper {
    Change,
    Remove,
    Repeat,
}

/// A log one of whose records is not what was written.
struct Tampered {
    log: Arc<dyn Log>,
    tp: Tp,
    offset: Offset,
    how: Tamper,
}

struct TamperedReader {
    reader: Box<dyn Consumer>,
    tp: Tp,
    offset: Offset,
    how: Tamper,
}

impl Log for Tampered {
    fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), LogError> {
        self.log.ensure_topic(spec)
    }
    fn partitions(&self, topic: &TopicName) -> Result<u32, LogError> {
        self.log.partitions(topic)
    }
    fn topics(&self) -> Result<Vec<TopicName>, LogError> {
        self.log.topics()
    }
    fn range(&self, tp: &Tp) -> Result<Range, LogError> {
        self.log.range(tp)
    }
    fn offset_at(&self, tp: &Tp, ts: Ts) -> Result<Option<Offset>, LogError> {
        self.log.offset_at(tp, ts)
    }
    fn consumer(&self, options: &ConsumerOptions) -> Result<Box<dyn Consumer>, LogError> {
        let (tp, offset, how) = (self.tp.clone(), self.offset, self.how);
        Ok(Box::new(TamperedReader { reader: self.log.consumer(options)?, tp, offset, how }))
    }
    fn producer(&self, options: &ProducerOptions) -> Result<Box<dyn Producer>, LogError> {
        self.log.producer(options)
    }
    fn state(&self) -> Option<Arc<Env>> {
        self.log.state()
    }
}

impl Consumer for TamperedReader {
    fn subscribe(&mut self, topics: &[TopicName]) -> Result<(), LogError> {
        self.reader.subscribe(topics)
    }
    fn serve(&mut self, wait: Duration) -> Result<Option<GroupEvent>, LogError> {
        self.reader.serve(wait)
    }
    fn answer(&mut self, answer: Answer<'_>) -> Result<(), LogError> {
        self.reader.answer(answer)
    }
    fn take(&mut self, tp: &Tp, max: usize, into: &mut Batch) -> Result<Taken, LogError> {
        let mut batch = Batch::default();
        let taken = self.reader.take(tp, max, &mut batch)?;
        for r in batch.iter() {
            let hit = *tp == self.tp && r.offset == self.offset;
            let mut push = |value| into.push(r.offset, r.ts, r.seq, r.key, value, r.headers.iter());
            match (hit, self.how) {
                (false, _) => push(r.value),
                (true, Tamper::Change) => push(Some(b"altered")),
                (true, Tamper::Remove) => {}
                (true, Tamper::Repeat) => (0..2).for_each(|_| push(r.value)),
            }
        }
        Ok(taken)
    }
    fn committed(&mut self, tps: &[Tp]) -> Result<Vec<Option<Commit>>, LogError> {
        self.reader.committed(tps)
    }
    fn commit(&mut self, offsets: &[Commit]) -> Result<(), LogError> {
        self.reader.commit(offsets)
    }
    fn group(&self) -> Option<GroupMetadata> {
        self.reader.group()
    }
    fn close(self: Box<Self>, within: Duration) -> Result<(), LogError> {
        self.reader.close(within)
    }
}

#[test]
fn an_output_that_was_altered_lost_or_doubled_is_found() {
    let bed = Bed::embedded();
    let (log, row, index) = steady(&bed);
    let tp = Tp::new(&bed.topic("out"), 1);
    let out = read(&log, &bed.topic("out"), 1);
    let following = &out[index as usize + 1];
    for how in [Tamper::Change, Tamper::Remove, Tamper::Repeat] {
        let tampered: Arc<dyn Log> =
            Arc::new(Tampered { log: Arc::clone(&log), tp: tp.clone(), offset: Offset(index), how });
        let found = verified(&bed, &tampered, fickle(&bed, None), &options(33, 1));
        let [difference] = &found.differences[..] else { panic!("{how:?} {:?}", found.differences) };
        let What::Output { index: i, log: was, again, .. } = &difference.what else {
            panic!("{difference:?}")
        };
        let value = |sample: &Option<lobstream_streams::verify::Sample>| {
            sample.as_ref().and_then(|s| s.value.clone())
        };
        match how {
            Tamper::Change => {
                assert_eq!(
                    (*i, value(was), value(again)),
                    (index, Some(b"altered".to_vec()), Some(row.value.clone()))
                );
            }
            Tamper::Remove => {
                let next = Some(following.value.clone());
                assert_eq!((*i, value(was), value(again)), (index, next, Some(row.value.clone())));
            }
            Tamper::Repeat => {
                let next = Some(following.value.clone());
                assert_eq!((*i, value(was), value(again)), (index + 1, Some(row.value.clone()), next));
            }
        }
        assert!(difference.keys.as_ref().is_ok_and(Vec::is_empty), "{:?}", difference.keys);
    }
    // The last one twice: nothing follows that would show it.
    let last = Offset(out.len() as u64 - 1);
    let tampered: Arc<dyn Log> =
        Arc::new(Tampered { log: Arc::clone(&log), tp: tp.clone(), offset: last, how: Tamper::Repeat });
    let found = verified(&bed, &tampered, fickle(&bed, None), &options(33, 1));
    let [difference] = &found.differences[..] else { panic!("{:?}", found.differences) };
    assert!(matches!(&difference.what, What::Output { again: None, log: Some(_), .. }), "{difference:?}");
}

#[test]
fn state_that_differs_under_equal_outputs_is_found_with_its_key() {
    let bed = Bed::embedded();
    let (log, row, _) = steady(&bed);
    let found = verified(&bed, &log, in_a_way(&bed, Some((row.key.clone(), row.ts)), true), &options(20, 2));
    let [difference] = &found.differences[..] else { panic!("{:?}", found.differences) };
    assert!(matches!(&difference.what, What::State { logged, again } if logged != again), "{difference:?}");
    let keys = difference.keys.as_ref().expect("the last checkpoint is of the end");
    assert_eq!(keys.iter().map(|key| &key.key).collect::<Vec<_>>(), [&row.key]);
}

#[test]
fn an_altered_input_is_a_difference_of_the_output_that_it_causes() {
    let bed = Bed::embedded();
    let (log, row, index) = steady(&bed);
    let (tp, offset) = (Tp::new(&bed.topic("a"), 1), Offset(row.offset));
    let tampered: Arc<dyn Log> = Arc::new(Tampered { log, tp, offset, how: Tamper::Change });
    let found = verified(&bed, &tampered, fickle(&bed, None), &options(33, 1));
    let [difference] = &found.differences[..] else { panic!("{:?}", found.differences) };
    assert!(matches!(&difference.what, What::Output { index: i, .. } if *i == index), "{difference:?}");
    assert_eq!(difference.cause.as_ref().and_then(|cause| cause.record.offset), Some(offset));
}

#[test]
fn what_cannot_be_told_is_an_error() {
    let bed = Bed::embedded();
    let (log, ..) = steady(&bed);
    let settings = settings(&bed.dir.path().join("state"));
    let refused = |topology, stop: bool| {
        verify(topology, &log, &settings, &VerifyOptions::default(), &AtomicBool::new(stop))
            .expect_err("refused")
    };
    let mut other = Builder::new(&bed.app);
    let a = other.source("a", Source::topic(bed.topic("a").as_str(), Arc::new(Text)));
    other.sink("out", [a], Sink::topic(bed.topic("out").as_str(), Arc::new(Text)));
    let error = refused(other.build().expect("valid"), false).to_string();
    assert!(error.contains("epoch 1 was written by another topology"), "{error}");
    assert!(matches!(refused(fickle(&bed, None), true), Error::Interrupted));
    let stop = AtomicBool::new(false);
    let wrong = VerifyOptions { batch: 0, ..VerifyOptions::default() };
    let error = verify(fickle(&bed, None), &log, &settings, &wrong, &stop).expect_err("out of range");
    assert_eq!(error.to_string(), "setting batch is 0: at least 1");
    assert!(!stop.load(Ordering::Relaxed));
    assert_eq!(Side::Log.min(Side::Again), Side::Log);
}
