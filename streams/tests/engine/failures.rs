//! What stops an application, and what it says: a second instance, a node that gives up, poisoned input,
//! programs and checkpoints that do not fit the past.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lobstream_streams::error::Error;
use lobstream_streams::log::memory::MemoryLog;
use lobstream_streams::log::{Assignment, Consumer, ConsumerOptions, Log, Membership, TopicName, TopicSpec};
use lobstream_streams::record::Record;
use lobstream_streams::runtime::metrics::Progress;
use lobstream_streams::runtime::state::AppState;
use lobstream_streams::runtime::{App, Until};
use lobstream_streams::settings::{GroupProtocol, Sharing};
use lobstream_streams::store::StoreRef;
use lobstream_streams::store::kv::Kv;
use lobstream_streams::topology::processor::{Context, ProcessError, Processor};
use lobstream_streams::topology::{Builder, NO_STORES, Sink, Source, Topology};

use crate::check::check;
use crate::feed::{Bed, PARTITIONS, Workload, append, feed};
use crate::fixture::{Machine, Protocol, Text, app, run, settings};

const WORKLOAD: Workload =
    Workload { seed: 23, records: 2_000, poison_every: 0, bye: true, start: 1_000_000 };

type Process =
    Arc<dyn Fn(&mut Context<'_, String>, Record<String>) -> Result<(), ProcessError> + Send + Sync>;

struct Scripted(Process);

impl Processor<String> for Scripted {
    fn process(&mut self, ctx: &mut Context<'_, String>, r: Record<String>) -> Result<(), ProcessError> {
        (self.0)(ctx, r)
    }
}

/// One input, one node that does what it is told, one store, one output.
fn scripted(
    bed: &Bed,
    script: impl Fn(&mut Context<'_, String>, Record<String>, StoreRef<Kv>) -> Result<(), ProcessError>
    + Send
    + Sync
    + 'static,
) -> Topology<String> {
    let mut t = Builder::new(&bed.app);
    let a = t.source("a", Source::topic(bed.topic("a").as_str(), Arc::new(Text)));
    let store = t.store(Kv::new("store"));
    let process: Process = Arc::new(move |ctx, r| script(ctx, r, store));
    let node = t.processor("node", [a], [store], move || Scripted(Arc::clone(&process)));
    t.sink("out", [node], Sink::topic(bed.topic("out").as_str(), Arc::new(Text)));
    t.build().expect("valid")
}

fn run_scripted(bed: &Bed, log: &Arc<dyn Log>, topology: Topology<String>) -> Result<(), Error> {
    let settings = settings(&bed.dir.path().join("state"));
    run(&App::new(topology, Arc::clone(log), settings, Arc::new(Machine::new()))).map(drop)
}

fn filled(bed: &Bed) -> Arc<dyn Log> {
    let log = bed.open();
    feed(bed, &log, WORKLOAD);
    log
}

/// Runs an application, then a second one in its place, which must end the first.
fn the_older_one_ends(instance_of_new: &str) {
    let bed = Bed::embedded();
    let log = filled(&bed);
    let mut settings = settings(&bed.dir.path().join("state"));
    let old = app(&bed.app, Protocol::B, &log, &settings);
    settings.instance = instance_of_new.to_owned();
    let new = app(&bed.app, Protocol::B, &log, &settings);
    let (shutdown, progress) = (AtomicBool::new(false), Progress::default());
    let (ran, ended) = std::thread::scope(|scope| {
        let zombie = scope.spawn(|| old.run(Until::Shutdown, &shutdown, &progress));
        while progress.snapshot().commits == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let ran = run(&new);
        // The older one learns of it with its next commit: give it something to do.
        append(&bed, &log, Workload { start: 9_000_000, records: 200, ..WORKLOAD });
        for _ in 0..1_000 {
            if zombie.is_finished() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        shutdown.store(true, Ordering::Release);
        (ran, zombie.join().expect("no panic"))
    });
    ran.expect("the newer one runs");
    let error = ended.expect_err("the older one must end");
    assert!(matches!(&error, Error::Fenced { id } if id == "app-0-0"), "{error}");
    assert!(error.to_string().contains("app-0-0 is held by another process"), "{error}");
    run(&new).expect("the newer one goes on");
    check(&bed, &log);
}

#[test]
fn of_two_instances_of_one_name_the_older_one_ends() {
    the_older_one_ends("0");
}

#[test]
fn an_instance_of_another_name_takes_over_who_committed_before() {
    the_older_one_ends("other");
}

fn member(log: &MemoryLog) -> Box<dyn Consumer> {
    let (protocol, name) = (GroupProtocol::Classic, "member".to_owned());
    let membership = Membership { protocol, name, session_timeout: Duration::from_secs(6) };
    let options =
        ConsumerOptions { group: Some("app".to_owned()), assignment: Assignment::Group(membership) };
    let mut member = log.consumer(&options).expect("a consumer");
    member.subscribe(&[TopicName::new("app.a")]).expect("joined");
    member
}

/// A group shares all partitions out, those too that somebody takes by their numbers.
#[test]
fn partitions_owned_by_number_and_a_group_do_not_go_together() {
    let (bed, memory) = (Bed::embedded(), MemoryLog::default());
    let log: Arc<dyn Log> = Arc::new(memory.clone());
    feed(&bed, &log, WORKLOAD);
    let mut settings = settings(&bed.dir.path().join("state"));
    (settings.assignment, settings.session_timeout) = (Sharing::Static, Duration::from_millis(100));
    let app = app(&bed.app, Protocol::A, &log, &settings);
    let _first = member(&memory);
    let error = run(&app).expect_err("it would take the member's partitions");
    assert!(matches!(&error, Error::GroupMembers { app, n: 1 } if app == "app"), "{error}");
    memory.advance(Duration::from_secs(7));
    run(&app).expect("the member was silent for too long");
    check(&bed, &log);

    let (shutdown, progress) = (AtomicBool::new(false), Progress::default());
    let ended = std::thread::scope(|scope| {
        let running = scope.spawn(|| app.run(Until::Shutdown, &shutdown, &progress));
        while progress.state() != AppState::Running {
            std::thread::sleep(Duration::from_millis(1));
        }
        let _second = member(&memory);
        for _ in 0..3_000 {
            if running.is_finished() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        shutdown.store(true, Ordering::Release);
        running.join().expect("no panic")
    });
    assert!(matches!(ended, Err(Error::GroupMembers { n: 1, .. })), "{ended:?}");
}

#[test]
fn the_shutdown_flag_drains_and_commits() {
    let bed = Bed::embedded();
    let log = filled(&bed);
    let settings = settings(&bed.dir.path().join("state"));
    let app = app(&bed.app, Protocol::B, &log, &settings);
    let (shutdown, progress) = (AtomicBool::new(false), Progress::default());
    assert_eq!(progress.state(), AppState::Created);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| app.run(Until::Shutdown, &shutdown, &progress));
        while progress.snapshot().records_in < 500 {
            std::thread::sleep(Duration::from_millis(1));
        }
        shutdown.store(true, Ordering::Release);
        running.join().expect("no panic").expect("an orderly end");
    });
    assert_eq!(progress.state(), AppState::Stopped);
    run(&app).expect("the rest");
    check(&bed, &log);
}

#[test]
fn a_node_that_gives_up_stops_the_application_and_nothing_is_lost() {
    let bed = Bed::embedded();
    let log = filled(&bed);
    let patience = Arc::new(Mutex::new(300));
    let left = Arc::clone(&patience);
    let topology = || {
        let left = Arc::clone(&left);
        scripted(&bed, move |ctx, r, _| {
            let mut left = left.lock().expect("not poisoned");
            *left -= 1;
            if *left == 0 {
                return Err(ProcessError::Fatal("had enough".to_owned()));
            }
            ctx.forward(r);
            Ok(())
        })
    };
    let error = run_scripted(&bed, &log, topology()).expect_err("it gives up");
    assert!(matches!(&error, Error::Node { node, .. } if node == "node"), "{error}");
    assert!(error.to_string().ends_with("node node: had enough"), "{error}");
    *patience.lock().expect("not poisoned") = i32::MAX;
    run_scripted(&bed, &log, topology()).expect("it goes on");
    let inputs = |p| crate::check::read(&log, &bed.topic("a"), p);
    for p in 0..PARTITIONS {
        let expected: Vec<_> =
            inputs(p).into_iter().filter(|row| row.key[0] != 0).map(|row| row.value).collect();
        let out: Vec<_> =
            crate::check::read(&log, &bed.topic("out"), p).into_iter().map(|row| row.value).collect();
        assert_eq!(out, expected);
    }
}

#[test]
fn too_much_poison_stops_the_application_and_is_kept() {
    let bed = Bed::embedded();
    let log = bed.open();
    feed(&bed, &log, Workload { records: 6_000, ..WORKLOAD });
    let topology = scripted(&bed, |_, _, _| Err(ProcessError::Poison("not today".to_owned())));
    let mut settings = settings(&bed.dir.path().join("state"));
    settings.poison_percent_max = 1;
    let app = App::new(topology, Arc::clone(&log), settings, Arc::new(Machine::new()));
    let error = run(&app).expect_err("too much");
    assert!(matches!(error, Error::PoisonRate { poisoned: 101, of: 101, .. }), "{error}");
    assert!(error.to_string().contains("by node (not today); see app-dead-letter"), "{error}");
    let dead = (0..PARTITIONS).map(|p| crate::check::read(&log, &TopicName::new("app-dead-letter"), p).len());
    assert!(dead.max() >= Some(101), "what was refused is committed");
}

/// Leaves an application with one committed epoch and no checkpoint, so that its inputs are processed again.
fn crashed(bed: &Bed, log: &Arc<dyn Log>, topology: Topology<String>) {
    let mut settings = settings(&bed.dir.path().join("state"));
    settings.checkpoint_interval = Some(Duration::from_secs(3_600));
    let app = App::new(topology, Arc::clone(log), settings, Arc::new(Machine::new()));
    let app = app.on_edge(|edge| {
        assert_ne!(edge, lobstream_streams::runtime::commit::Edge::Committed, "crash");
    });
    assert!(matches!(run(&app), Err(Error::Panicked { .. })), "the thread dies after its first commit");
}

#[test]
fn a_program_that_is_not_deterministic_is_found_out() {
    let bed = Bed::embedded();
    let log = filled(&bed);
    let outputs = |word: &'static str| {
        scripted(&bed, move |ctx, r, _| {
            ctx.forward(Record { value: format!("{word} {}", r.value), ..r });
            Ok(())
        })
    };
    crashed(&bed, &log, outputs("one"));
    let error = run_scripted(&bed, &log, outputs("two")).expect_err("other outputs");
    assert!(matches!(error, Error::StateDiverged { epoch: 1, changed: false, .. }), "{error}");
    assert!(error.to_string().contains("its outputs differ; the configuration is the same"), "{error}");
    run_scripted(&bed, &log, outputs("one")).expect("the same program goes on");
}

#[test]
fn a_configuration_that_changed_is_told_apart_from_a_program_that_is_not_deterministic() {
    let bed = Bed::embedded();
    let log = filled(&bed);
    let configured = |word: &'static str| {
        let mut t = Builder::new(&bed.app);
        t.config(word.as_bytes());
        let a = t.source("a", Source::topic(bed.topic("a").as_str(), Arc::new(Text)));
        let store = t.store(Kv::new("store"));
        let process: Process = Arc::new(move |ctx, r| {
            ctx.kv(store).put(&r.key, word.as_bytes());
            ctx.forward(Record { value: format!("{word} {}", r.value), ..r });
            Ok(())
        });
        let node = t.processor("node", [a], [store], move || Scripted(Arc::clone(&process)));
        t.sink("out", [node], Sink::topic(bed.topic("out").as_str(), Arc::new(Text)));
        t.build().expect("valid")
    };
    crashed(&bed, &log, configured("one"));
    let error = run_scripted(&bed, &log, configured("two")).expect_err("other outputs");
    assert!(matches!(error, Error::StateDiverged { epoch: 1, changed: true, .. }), "{error}");
    assert!(error.to_string().contains("under another configuration"), "{error}");
    run_scripted(&bed, &log, configured("one")).expect("the old configuration goes on");
}

#[test]
fn a_checkpoint_of_another_topology_is_refused() {
    let bed = Bed::embedded();
    let log = filled(&bed);
    let pass = |ctx: &mut Context<'_, String>, r, _| {
        ctx.forward(r);
        Ok(())
    };
    run_scripted(&bed, &log, scripted(&bed, pass)).expect("a run");
    let mut other = Builder::new(&bed.app);
    let a = other.source("a", Source::topic(bed.topic("a").as_str(), Arc::new(Text)));
    other.sink("out", [a], Sink::topic(bed.topic("out").as_str(), Arc::new(Text)));
    let error = run_scripted(&bed, &log, other.build().expect("valid")).expect_err("another topology");
    assert!(matches!(error, Error::CheckpointRefused { .. }), "{error}");
    assert!(error.to_string().contains("it was made by another topology"), "{error}");
}

#[test]
fn inputs_of_different_width_cannot_be_merged() {
    let bed = Bed::embedded();
    let log = bed.open();
    for (name, partitions) in [("a", 4), ("b", 3)] {
        let spec = TopicSpec { name: bed.topic(name), partitions, retention: None, compact: false };
        log.ensure_topic(&spec).expect("a topic");
    }
    let settings = settings(&bed.dir.path().join("state"));
    let error = run(&app(&bed.app, Protocol::B, &log, &settings)).expect_err("unequal");
    assert!(matches!(error, Error::Partitions { n_a: 4, n_b: 3, .. }), "{error}");
}

#[test]
fn an_input_that_is_missing_is_named() {
    let bed = Bed::embedded();
    let log = bed.open();
    let settings = settings(&bed.dir.path().join("state"));
    let error = run(&app(&bed.app, Protocol::B, &log, &settings)).expect_err("no input");
    assert!(error.to_string().contains("topic app.a does not exist"), "{error}");
}

#[test]
fn settings_out_of_range_are_named() {
    let bed = Bed::embedded();
    let log = filled(&bed);
    let mut settings = settings(&bed.dir.path().join("state"));
    settings.take_max = 0;
    let error = run(&app(&bed.app, Protocol::B, &log, &settings)).expect_err("out of range");
    assert_eq!(error.to_string(), "setting take_max is 0: at least 1");
}

#[test]
fn an_output_that_no_log_takes_is_poison() {
    let bed = Bed::embedded();
    let log = filled(&bed);
    let topology = scripted(&bed, |ctx, r, store| {
        ctx.kv(store).put(&r.key, b"seen");
        let value = if r.value.ends_with('7') { "x".repeat(2_000_000) } else { r.value };
        ctx.forward(Record { value, ..r });
        Ok(())
    });
    let mut settings = settings(&bed.dir.path().join("state"));
    settings.poison_percent_max = 100;
    let app = App::new(topology, Arc::clone(&log), settings, Arc::new(Machine::new()));
    run(&app).expect("a run");
    for p in 0..PARTITIONS {
        let sevens = crate::check::read(&log, &bed.topic("a"), p);
        let sevens = sevens.iter().filter(|row| row.key[0] != 0 && row.value.ends_with(b"7")).count();
        let dead = crate::check::read(&log, &TopicName::new("app-dead-letter"), p);
        assert_eq!(dead.len(), sevens);
        let reason = String::from_utf8_lossy(&dead[0].origin).into_owned();
        assert!(
            reason.contains("out output of 20000") && reason.ends_with("is larger than 999000"),
            "{reason}"
        );
    }
}

#[test]
fn a_source_without_any_node_between_is_copied() {
    let bed = Bed::embedded();
    let log = filled(&bed);
    let mut t = Builder::new(&bed.app);
    let a = t.source("a", Source::topic(bed.topic("a").as_str(), Arc::new(Text)));
    let pass: Process = Arc::new(|ctx, r| {
        ctx.forward_to(1, r);
        Ok(())
    });
    let node = t.processor("node", [a], NO_STORES, move || Scripted(Arc::clone(&pass)));
    t.sink("never", [node], Sink::topic(bed.topic("never").as_str(), Arc::new(Text)));
    t.sink("second", [node], Sink::topic(bed.topic("second").as_str(), Arc::new(Text)).partitions(1));
    t.sink("copy", [a], Sink::topic(bed.topic("copy").as_str(), Arc::new(Text)));
    run_scripted(&bed, &log, t.build().expect("valid")).expect("a run");
    let rows = |name: &str, p| crate::check::read(&log, &bed.topic(name), p);
    let real = |p| rows("a", p).into_iter().filter(|row| row.key[0] != 0).count();
    let all: usize = (0..PARTITIONS).map(real).sum();
    assert_eq!(rows("second", 0).len(), all, "one child, one partition");
    for p in 0..PARTITIONS {
        assert_eq!((rows("copy", p).len(), rows("never", p).len()), (real(p), 0));
    }
}
