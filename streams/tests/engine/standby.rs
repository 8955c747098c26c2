//! Standby copies: a process that takes a task over has only the tail to read.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use lobstream_streams::error::Error;
use lobstream_streams::log::memory::MemoryLog;
use lobstream_streams::log::{
    Answer, Assignment, ConsumerOptions, Log, ProducerOptions, TopicName, TopicSpec, Tp,
};
use lobstream_streams::record::{Batch, Offset, OutRecord, Record};
use lobstream_streams::runtime::metrics::Progress;
use lobstream_streams::runtime::state::TaskState;
use lobstream_streams::runtime::{App, Until};
use lobstream_streams::settings::{Settings, Standby};
use lobstream_streams::store::kv::Kv;
use lobstream_streams::store::{Changelog, StoreRef, TaskId};
use lobstream_streams::text::{Text, text};
use lobstream_streams::time::Ts;
use lobstream_streams::topology::processor::{Context, ProcessError, Processor};
use lobstream_streams::topology::{Builder, Sink, Source, Topology};

use crate::feed::Bed;
use crate::fixture::Machine;

/// By which the clock of a log in memory goes on every few ms: a session of ten seconds takes less than three.
const STEP: Duration = Duration::from_millis(20);
const TASK: TaskId = TaskId { sub: 0, partition: 0 };

struct Count(StoreRef<Kv>);

impl Processor<Text> for Count {
    fn process(&mut self, ctx: &mut Context<'_, Text>, r: Record<Text>) -> Result<(), ProcessError> {
        let counts = ctx.kv(self.0);
        let n = counts.get(&r.key).and_then(|n| n.try_into().ok()).map_or(1, |n| u64::from_be_bytes(n) + 1);
        counts.put(&r.key, &n.to_be_bytes());
        ctx.forward(Record { value: Text::from(n), ..r });
        Ok(())
    }
}

/// How often each key came; `pass` copies, and keeps nothing.
fn counting(app: &str, changelog: Option<Changelog>) -> Topology<Text> {
    let mut t = Builder::<Text>::new(app);
    let input = t.source("in", Source::topic(&format!("{app}.in"), text()));
    let node = match changelog {
        Some(changelog) => {
            let counts = t.store(Kv::new("counts").changelog(changelog));
            t.processor("count", [input], [counts], move || Count(counts))
        }
        None => input,
    };
    t.sink("out", [node], Sink::topic(&format!("{app}.out"), text()));
    t.build().expect("a topology")
}

fn append(log: &Arc<dyn Log>, app: &str, numbers: std::ops::Range<u32>) {
    let name = TopicName::new(&format!("{app}.in"));
    log.ensure_topic(&TopicSpec { name: name.clone(), partitions: 1, retention: None, compact: false })
        .expect("a topic");
    let (tp, mut producer) =
        (Tp::new(&name, 0), log.producer(&ProducerOptions::default()).expect("a producer"));
    for n in numbers {
        let (key, ts) = (format!("key {}", n % 1_000), Ts(i64::from(n)));
        let record =
            OutRecord { tp: &tp, key: Some(key.as_bytes()), value: Some(b"x"), ts, seq: 0, headers: &[] };
        producer.send(record).expect("room");
    }
    producer.drain(Duration::from_secs(10)).expect("arrived");
}

/// Values of the output, in order.
fn outputs(log: &Arc<dyn Log>, app: &str) -> Vec<String> {
    let tp = Tp::new(&TopicName::new(&format!("{app}.out")), 0);
    let manual = ConsumerOptions { group: None, assignment: Assignment::Manual };
    let mut consumer = log.consumer(&manual).expect("a consumer");
    consumer.answer(Answer::Start(&[(tp.clone(), Offset(0))])).expect("started");
    let mut batch = Batch::default();
    while !consumer.take(&tp, 1_000, &mut batch).expect("readable").caught_up {}
    batch.iter().map(|r| String::from_utf8_lossy(r.value.unwrap_or_default()).into_owned()).collect()
}

fn settings(dir: &Path, instance: u32) -> Settings {
    let mut settings = Settings::default();
    settings.instance = instance.to_string();
    settings.state_dir = dir.join(format!("state{instance}"));
    settings.commit_interval = Duration::from_millis(20);
    settings.checkpoint_interval = Some(Duration::from_millis(50));
    settings.load_entries_max = 10;
    settings
}

/// Ends both processes, however the test ends.
struct Ends<'a>(&'a [AtomicBool; 2]);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|stop| stop.store(true, Ordering::Release));
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..12_000 {
        if done() {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("waited a minute in vain: {what}");
}

/// One process works, a second one copies; then the first one leaves.
///
/// Members keep their partitions until their session is over, so time must go on: `wait` sees to it.
fn taken_over(log: &Arc<dyn Log>, app: &str, changelog: Changelog, wait: &dyn Fn()) {
    let dir = tempfile::tempdir().expect("a directory");
    append(log, app, 0..3_000);
    let run = |instance: u32, stop: &AtomicBool, progress: &Progress| {
        let mut settings = settings(dir.path(), instance);
        settings.standby = (instance == 1).then_some(Standby { index: 1, of: 2, copies: 1 });
        let app =
            App::new(counting(app, Some(changelog)), Arc::clone(log), settings, Arc::new(Machine::new()));
        app.run(Until::Shutdown, stop, progress)
    };
    let (stops, progress) =
        ([AtomicBool::new(false), AtomicBool::new(false)], [0, 1].map(|_| Progress::default()));
    thread::scope(|scope| {
        let _ends = Ends(&stops);
        let first = scope.spawn(|| run(0, &stops[0], &progress[0]));
        until("the first process has the task", || progress[0].snapshot().records_in > 0);
        let second = scope.spawn(|| run(1, &stops[1], &progress[1]));
        until("all is counted", || outputs(log, app).len() == 3_000);
        until("a copy is told", || progress[1].tasks().get(&TASK) == Some(&TaskState::Standby));
        assert_eq!(progress[1].snapshot().records_in, 0, "a copy processes nothing of its own");
        append(log, app, 3_000..3_100);
        until("all is counted", || outputs(log, app).len() == 3_100);
        // What is committed by now is in the pass after the next.
        for _ in 0..2 {
            let (copied, commits) = (progress[1].snapshot().copied, progress[0].snapshot().commits);
            let quiet = || progress[0].snapshot().commits == commits;
            until("the copy follows", || progress[1].snapshot().copied > copied || quiet());
            thread::sleep(Duration::from_millis(200));
        }
        stops[0].store(true, Ordering::Release);
        first.join().expect("no panic").expect("ended in order");
        append(log, app, 3_100..3_200);
        until("the second process goes on", || {
            wait();
            outputs(log, app).len() == 3_200
        });
        until("it is at work", || progress[1].tasks().get(&TASK) == Some(&TaskState::Running));
        let read = progress[1].snapshot().restore_records;
        assert!(read < 600, "{read} changelog records were read again");
        stops[1].store(true, Ordering::Release);
        second.join().expect("no panic").expect("ended in order");
    });
    let expected: Vec<String> = (0..3_200_u32).map(|n| (n / 1_000 + 1).to_string()).collect();
    assert_eq!(outputs(log, app), expected);
}

#[test]
fn a_copy_that_followed_the_changelog_takes_over() {
    let log = MemoryLog::default();
    taken_over(&(Arc::new(log.clone()) as Arc<dyn Log>), "follow", Changelog::On, &|| log.advance(STEP));
}

#[test]
fn a_copy_that_ran_muted_takes_over() {
    let log = MemoryLog::default();
    taken_over(&(Arc::new(log.clone()) as Arc<dyn Log>), "muted", Changelog::Off, &|| log.advance(STEP));
}

#[test]
fn a_copy_takes_over_on_kafka() {
    let Some(bed) = Bed::kafka("a_copy_takes_over_on_kafka") else { return };
    taken_over(&bed.open(), &bed.app, Changelog::On, &|| {});
}

/// A store that is new in the middle of an input would count from there on, and nobody would know.
#[test]
fn a_store_that_is_new_in_mid_log_is_refused() {
    let (log, dir) =
        (Arc::new(MemoryLog::default()) as Arc<dyn Log>, tempfile::tempdir().expect("a directory"));
    append(&log, "grown", 0..100);
    let run = |changelog| {
        let topology = counting("grown", changelog);
        let app = App::new(topology, Arc::clone(&log), settings(dir.path(), 0), Arc::new(Machine::new()));
        app.run(Until::End, &AtomicBool::new(false), &Progress::default())
    };
    run(None).expect("a run");
    let refused = run(Some(Changelog::On)).expect_err("its changelog has nothing of the first hundred");
    assert!(
        matches!(&refused, Error::History { what, .. } if what.contains("another topology")),
        "{refused}"
    );
    append(&log, "grown", 100..200);
    run(None).expect("the earlier one goes on");
    assert_eq!(outputs(&log, "grown").len(), 200);
}
