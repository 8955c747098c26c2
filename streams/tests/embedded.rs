//! What only the embedded log promises: it outlives its process, killed or not, is shared by several, keeps
//! state beside its records, and says so when a disk is full or a byte is wrong.

#[path = "embedded/child.rs"]
mod child;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use lobstream_streams::error::{LogError, SendError, StoreError, TxnClass};
use lobstream_streams::lmdb::{Durability, Env, EnvOptions};
use lobstream_streams::log::embedded::{EmbeddedLog, Options};
use lobstream_streams::log::{
    Answer, Assignment, Commit, Consumer, ConsumerOptions, Log, Producer, ProducerOptions, TopicName,
    TopicSpec, Tp,
};
use lobstream_streams::record::{Batch, Offset, OutRecord};
use lobstream_streams::time::Ts;

const PATIENCE: Duration = Duration::from_secs(20);

fn open(dir: &Path) -> EmbeddedLog {
    open_with(dir, Durability::Sync)
}

fn open_with(dir: &Path, durability: Durability) -> EmbeddedLog {
    let env = EnvOptions { durability, ..EnvOptions::default() };
    EmbeddedLog::open(dir, &Options { env }).expect("opens")
}

fn spec(name: &str, partitions: u32) -> TopicSpec {
    TopicSpec { name: TopicName::new(name), partitions, retention: None, compact: false }
}

fn tp(name: &str, partition: u32) -> Tp {
    Tp::new(&TopicName::new(name), partition)
}

fn reader(log: &dyn Log, group: Option<&str>) -> Box<dyn Consumer> {
    let options = ConsumerOptions { group: group.map(str::to_owned), assignment: Assignment::Manual };
    log.consumer(&options).expect("a consumer")
}

fn plain(log: &dyn Log) -> Box<dyn Producer> {
    log.producer(&ProducerOptions::default()).expect("a producer")
}

fn transactional(log: &dyn Log, id: &str) -> Box<dyn Producer> {
    let mut producer = log.producer(&ProducerOptions::transactional(id)).expect("a producer");
    producer.init().expect("fenced");
    producer
}

fn record<'a>(tp: &'a Tp, value: &'a [u8], ts: i64) -> OutRecord<'a> {
    OutRecord { tp, key: None, value: Some(value), ts: Ts(ts), seq: 0, headers: &[] }
}

/// Everything from an offset on: offsets and values.
fn read(log: &dyn Log, tp: &Tp, from: u64) -> Result<Vec<(u64, Vec<u8>)>, LogError> {
    let mut reader = reader(log, None);
    reader.answer(Answer::Start(&[(tp.clone(), Offset(from))]))?;
    let mut batch = Batch::default();
    while !reader.take(tp, 1_000, &mut batch)?.caught_up {}
    Ok(batch.iter().map(|r| (r.offset.0, r.value.expect("no tombstone").to_vec())).collect())
}

#[test]
fn everything_is_there_after_a_reopen() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let out = tp("t", 1);
    let commit = Commit { tp: out.clone(), offset: Offset(1), note: "e=7;d=3".to_owned() };
    let log = open(dir.path());
    log.ensure_topic(&spec("t", 2)).expect("made");
    let mut producer = transactional(&log, "app-0");
    producer.begin().expect("begun");
    producer.send(record(&out, b"a", 5)).expect("sent");
    producer
        .send_offsets(reader(&log, Some("app")).group().as_ref(), std::slice::from_ref(&commit))
        .expect("sent");
    assert!(
        producer.ship(&vec![("app.state".to_owned(), b"k".to_vec(), Some(b"v".to_vec()))]).expect("shipped")
    );
    producer.commit().expect("committed");
    producer.begin().expect("begun");
    producer.send(record(&out, b"lost", 6)).expect("sent");
    drop(producer);
    drop(log);
    let log = open(dir.path());
    assert_eq!(log.topics().expect("listed"), [TopicName::new("t")]);
    assert_eq!(log.partitions(&out.topic).expect("known"), 2);
    assert_eq!(read(&log, &out, 0).expect("readable"), [(0, b"a".to_vec())]);
    let committed = reader(&log, Some("app")).committed(std::slice::from_ref(&out)).expect("read");
    assert_eq!(committed, [Some(commit)]);
    assert_eq!(state(&log, "app.state", b"k"), Some(b"v".to_vec()));
    assert_eq!(log.offset_at(&out, Ts(5)).expect("found"), Some(Offset(0)));
}

fn state(log: &dyn Log, database: &str, key: &[u8]) -> Option<Vec<u8>> {
    let env = log.state().expect("the log keeps state");
    let db = env.database(database).expect("known");
    env.read(|view| Ok::<_, StoreError>(view.get(db, key)?.map(<[u8]>::to_vec))).expect("readable")
}

#[test]
fn shipped_state_is_committed_with_the_transaction_or_not_at_all() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let log = open(dir.path());
    log.ensure_topic(&spec("t", 1)).expect("made");
    let write = |key: &str, value: Option<&str>| {
        vec![("s".to_owned(), key.as_bytes().to_vec(), value.map(|v| v.as_bytes().to_vec()))]
    };
    let mut zombie = transactional(&log, "app");
    zombie.begin().expect("begun");
    zombie.ship(&write("k", Some("zombie"))).expect("shipped");
    let mut owner = transactional(&log, "app");
    owner.begin().expect("begun");
    owner.ship(&write("k", Some("1"))).expect("shipped");
    assert_eq!(state(&log, "s", b"k"), None, "not before the commit");
    owner.commit().expect("committed");
    owner.begin().expect("begun");
    owner.ship(&write("k", Some("aborted"))).expect("shipped");
    owner.abort().expect("aborted");
    let fenced = zombie.commit().expect_err("a zombie");
    assert_eq!(fenced.class(), TxnClass::Fatal { fenced: true });
    assert!(zombie.begin().is_err(), "only drop is legal");
    assert_eq!(state(&log, "s", b"k"), Some(b"1".to_vec()));
    owner.begin().expect("begun");
    owner.ship(&write("k", None)).expect("shipped");
    owner.commit().expect("committed");
    assert_eq!(state(&log, "s", b"k"), None, "deleted");
    owner.begin().expect("begun");
    assert!(owner.ship(&write("", Some("x"))).is_err(), "a key that cannot be stored is refused at once");
}

#[test]
fn what_is_sent_at_once_is_committed_together() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let log: Arc<dyn Log> = Arc::new(open(dir.path()));
    log.ensure_topic(&spec("t", 4)).expect("made");
    let before = log.state().expect("an environment").last_commit().expect("mapped");
    thread::scope(|scope| {
        for p in 0..4 {
            let log = &log;
            scope.spawn(move || {
                let (mut producer, out) = (transactional(&**log, &format!("id{p}")), tp("t", p));
                for i in 0..50_u8 {
                    producer.begin().expect("begun");
                    producer.send(record(&out, &[i], 0)).expect("sent");
                    producer.commit().expect("committed");
                }
            });
        }
    });
    let commits = log.state().expect("an environment").last_commit().expect("mapped") - before;
    assert!(commits < 180, "{commits} LMDB commits for 200 transactions of 4 producers");
    for p in 0..4 {
        let expected: Vec<_> = (0..50).map(|i| (i, vec![i as u8])).collect();
        assert_eq!(read(&*log, &tp("t", p), 0).expect("readable"), expected);
    }
}

#[test]
fn a_large_transaction_is_stored_in_small_batches() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let log = open(dir.path());
    log.ensure_topic(&spec("t", 1)).expect("made");
    let (mut producer, out) = (transactional(&log, "app"), tp("t", 0));
    producer.begin().expect("begun");
    for i in 0..200_u8 {
        producer.send(record(&out, &[i; 100_000], 0)).expect("sent");
    }
    producer.send_offsets(reader(&log, Some("app")).group().as_ref(), &[]).expect("sent");
    producer.commit().expect("committed");
    let env = log.state().expect("an environment");
    let batches = env.database("log.batches").expect("known");
    let n = env.read(|view| Ok::<_, StoreError>(view.prefix(batches, b"")?.count())).expect("readable");
    assert_eq!(n, 20, "ten records of 100 kB each, so that one is read without unpacking the rest");
    let values = read(&log, &out, 95).expect("readable");
    assert!(values.iter().map(|(_, value)| value[0]).eq(95..200));
}

#[test]
fn a_producer_ahead_of_the_disk_is_told_to_wait() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let log = open(dir.path());
    log.ensure_topic(&spec("t", 1)).expect("made");
    let out = tp("t", 0);
    let env = log.state().expect("an environment");
    let (sent, mut producer) = thread::scope(|scope| {
        let ((held, is_held), (release, released)) = (channel(), channel());
        // While this transaction is open the writer waits.
        scope.spawn(move || {
            env.write(|_| {
                held.send(()).expect("heard");
                released.recv().expect("told");
                Ok::<_, StoreError>(())
            })
        });
        is_held.recv().expect("held");
        let mut producer = plain(&log);
        let full = |sent: &u64| match producer.send(record(&out, &child::noise(*sent, 900_000), 0)) {
            Ok(()) => false,
            Err(SendError::Full) => true,
            Err(e) => panic!("{e}"),
        };
        let sent = (0..50).find(full).expect("full at some time");
        release.send(()).expect("heard");
        (sent, producer)
    });
    assert!((8..16).contains(&sent), "{sent} records of 0.9 MB were taken");
    producer.drain(PATIENCE).expect("written");
    assert_eq!(log.range(&out).expect("known").end, Offset(sent));
}

#[test]
fn old_batches_leave_but_not_past_what_a_group_needs() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let log = open(dir.path());
    let keep = Some(Duration::from_nanos(100));
    log.ensure_topic(&TopicSpec { retention: keep, ..spec("t", 1) }).expect("made");
    let out = tp("t", 0);
    let append = |times: &[i64]| {
        let mut producer = plain(&log);
        times.iter().for_each(|&ts| producer.send(record(&out, b"x", ts)).expect("sent"));
        producer.drain(PATIENCE).expect("written");
        log.range(&out).expect("known").first.0
    };
    assert_eq!(append(&[0, 10]), 0);
    assert_eq!(append(&[20]), 0);
    assert_eq!(append(&[110]), 0, "a record as old as the limit keeps its batch: 10 = 110 - 100");
    assert_eq!(append(&[111]), 2);
    assert_eq!(append(&[5]), 2, "time does not go back");
    let missing = read(&log, &out, 1).expect_err("it is gone");
    assert!(matches!(&missing, LogError::HistoryMissing { need: 1, have: 2, .. }), "{missing}");
    let mut group = reader(&log, Some("sink"));
    let commit = |offset| [Commit { tp: out.clone(), offset: Offset(offset), note: String::new() }];
    group.commit(&commit(3)).expect("committed");
    assert_eq!(append(&[10_000]), 3, "the group needs 3");
    group.commit(&commit(5)).expect("committed");
    assert_eq!(append(&[10_001]), 5);
    assert_eq!(
        log.offset_at(&out, Ts(111)).expect("found"),
        Some(Offset(6)),
        "past batches whose maximum is older"
    );
}

#[test]
fn a_wrong_byte_is_found_and_named() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let log = open(dir.path());
    log.ensure_topic(&spec("t", 1)).expect("made");
    let out = tp("t", 0);
    let mut producer = plain(&log);
    producer.send(record(&out, &[7; 500], 0)).expect("sent");
    producer.drain(PATIENCE).expect("written");
    let env = log.state().expect("an environment");
    let batches = env.database("log.batches").expect("known");
    let key = [0; 16];
    env.write(|txn| {
        let mut value = txn.view().get(batches, &key)?.expect("the first batch").to_vec();
        let last = value.len() - 6;
        value[last] ^= 1;
        txn.put(batches, &key, &value)
    })
    .unwrap_or_else(|e: StoreError| panic!("{e}"));
    let found = read(&log, &out, 0).expect_err("it is not what was written");
    assert!(matches!(found, LogError::Corrupt { .. }) && found.to_string().contains("t-0"), "{found}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long a call takes is what is tested")]
fn serve_wakes_for_a_commit() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let log = open(dir.path());
    log.ensure_topic(&spec("t", 1)).expect("made");
    let out = tp("t", 0);
    let mut reader = reader(&log, None);
    reader.answer(Answer::Start(&[(out.clone(), Offset(0))])).expect("started");
    let mut batch = Batch::default();
    assert!(reader.take(&out, 9, &mut batch).expect("readable").caught_up);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut producer = plain(&log);
            producer.send(record(&out, b"x", 0)).expect("sent");
            producer.drain(PATIENCE).expect("written");
        });
        let before = Instant::now();
        reader.serve(PATIENCE).expect("served");
        assert!(before.elapsed() < PATIENCE / 2);
    });
    assert_eq!(reader.take(&out, 9, &mut batch).expect("readable").n, 1);
}

#[test]
fn what_cannot_be_done_is_refused_with_a_reason() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let log = open(dir.path());
    log.ensure_topic(&spec("t", 1)).expect("made");
    let out = tp("t", 0);
    assert!(log.ensure_topic(&spec("no spaces", 1)).is_err());
    assert!(log.ensure_topic(&spec("none", 0)).is_err(), "a topic has partitions");
    let again = EmbeddedLog::open(dir.path(), &Options::default()).expect_err("open in this process");
    assert!(matches!(again, LogError::Store(StoreError::AlreadyOpen { .. })), "{again}");
    let mut producer = transactional(&log, "id");
    assert!(producer.send(record(&out, b"x", 0)).is_err(), "no transaction is open");
    assert!(producer.commit().is_err());
    producer.begin().expect("begun");
    assert!(producer.begin().is_err(), "one at a time");
    assert!(producer.send_offsets(None, &[]).is_err(), "whose offsets?");
    let large = vec![0; 17 << 20];
    let refused = producer.send(record(&out, &large, 0)).expect_err("too large");
    assert!(matches!(refused, SendError::TooLarge { .. }), "{refused}");
    assert!(producer.send(record(&tp("t", 1), b"x", 0)).is_err(), "there is no such partition");
    producer.send(record(&out, &large[..16_000_000], 0)).expect("nearly the largest");
    producer.commit().expect("committed");
    assert_eq!(read(&log, &out, 0).expect("readable")[0].1.len(), 16_000_000);
    let past = read(&log, &out, 2).expect_err("past the end").to_string();
    assert!(past.contains("t-0") && past.contains("past the end, 1"), "{past}");
    assert!(plain(&log).begin().is_err(), "made without an id");
}

#[test]
fn a_full_disk_stops_the_log_and_loses_nothing_that_was_told() {
    let dir = tempfile::tempdir().expect("temporary folder");
    open(dir.path()).ensure_topic(&spec("t", 1)).expect("made");
    // No file may grow past 4 MiB; the signal of that is ignored, as the application does.
    let shell = "trap '' XFSZ; ulimit -f 8192; exec \"$0\" \"$@\"";
    let output = child::run("child::fills_the_disk", dir.path(), shell);
    let told = output.split("TOLD ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let told: usize = told.and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{output}"));
    let log = open(dir.path());
    let kept = read(&log, &tp("t", 0), 0).expect("readable");
    assert_eq!(kept.len(), told, "all that was acknowledged, nothing else");
    assert!(kept.iter().enumerate().all(|(i, (offset, _))| *offset == i as u64));
}

#[test]
fn two_processes_append_to_one_partition() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let log = open(dir.path());
    log.ensure_topic(&spec("t", 1)).expect("made");
    let out = tp("t", 0);
    let mut other = child::start("child::appends", dir.path(), &[]);
    let mut producer = plain(&log);
    for i in 0..child::APPENDS {
        producer.send(record(&out, format!("parent {i}").as_bytes(), 0)).expect("sent");
        let acks = producer.drain(PATIENCE).expect("written");
        let value = read(&log, &out, acks[&out].0).expect("readable").remove(0).1;
        assert_eq!(value, format!("parent {i}").into_bytes(), "each offset is the writer's own");
    }
    assert!(other.wait().expect("ended").success());
    let all = read(&log, &out, 0).expect("readable");
    assert!(all.iter().enumerate().all(|(i, (offset, _))| *offset == i as u64), "no gap, no double");
    for who in ["parent", "child"] {
        let own = all.iter().filter(|(_, value)| value.starts_with(who.as_bytes()));
        let own: Vec<_> = own.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect();
        let expected: Vec<_> = (0..child::APPENDS).map(|i| format!("{who} {i}")).collect();
        assert_eq!(own, expected, "in the order of its writer");
    }
}

#[test]
fn a_killed_process_leaves_whole_transactions_only() {
    kill_and_check(Durability::Sync, "sync", 10);
    kill_and_check(Durability::Fast, "fast", 5);
}

fn kill_and_check(durability: Durability, name: &str, kills: u64) {
    let dir = tempfile::tempdir().expect("temporary folder");
    open(dir.path()).ensure_topic(&spec("t", 3)).expect("made");
    let mut last = 0;
    for kill in 0..kills {
        let mut process = child::start("child::commits_for_ever", dir.path(), &[("DURABILITY", name)]);
        child::wait_for_line(&mut process, "FIRST COMMIT");
        // Spread over the few milliseconds of a commit, and over commits.
        thread::sleep(Duration::from_micros(20_000 + kill * 7_919 % 40_000));
        process.kill().expect("killed");
        process.wait().expect("ended");
        let log = open_with(dir.path(), durability);
        let epoch = check_whole(&log);
        assert!(epoch > last, "each process commits, nothing goes back: {epoch} after {last}");
        last = epoch;
    }
}

/// Every epoch is there in all partitions, in its offset, note and state, or in none.
fn check_whole(log: &EmbeddedLog) -> u64 {
    let tps: Vec<Tp> = (0..3).map(|p| tp("t", p)).collect();
    let committed = reader(log, Some("app")).committed(&tps[..1]).expect("read");
    let note = committed[0].as_ref().map(|commit| commit.note.clone()).expect("committed");
    let epoch: u64 = note.strip_prefix("e=").and_then(|e| e.parse().ok()).expect("an epoch");
    assert_eq!(state(log, "app", b"epoch"), Some(epoch.to_string().into_bytes()));
    for tp in &tps {
        let mut seen = BTreeMap::<u64, u64>::new();
        for (_, value) in read(log, tp, 0).expect("readable") {
            let epoch = String::from_utf8_lossy(&value).parse().expect("an epoch");
            *seen.entry(epoch).or_default() += 1;
        }
        let expected: BTreeMap<u64, u64> = (1..=epoch).map(|e| (e, child::records_of(e))).collect();
        assert_eq!(seen, expected, "{tp}");
    }
    epoch
}

#[test]
fn an_environment_that_is_not_a_log_is_left_alone() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let env = Env::open(dir.path(), &EnvOptions::default()).expect("opens");
    let db = env.database("mine").expect("made");
    env.write(|txn| txn.put(db, b"k", b"v")).unwrap_or_else(|e: StoreError| panic!("{e}"));
    drop(env);
    let log = open(dir.path());
    assert!(log.topics().expect("listed").is_empty());
    assert_eq!(state(&log, "mine", b"k"), Some(b"v".to_vec()));
}
