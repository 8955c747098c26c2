//! Reads what an application has written and holds it against the oracle.

use std::sync::Arc;

use lobstream_streams::digest::{Chain, StateDigest};
use lobstream_streams::lmdb::{Env, EnvOptions};
use lobstream_streams::log::{Answer, Assignment, ConsumerOptions, Log, TopicName, Tp, topic};
use lobstream_streams::record::{Batch, InRecord, Offset, header};
use lobstream_streams::runtime::decision::Decision;
use lobstream_streams::store::checkpoint::Checkpoints;
use lobstream_streams::time::Ts;
use lobstream_streams::topology::processor::TaskId;

use crate::feed::{Bed, PARTITIONS};
use crate::oracle::{self, Row};

/// Everything readable of a partition.
pub(crate) fn read(log: &Arc<dyn Log>, topic: &TopicName, partition: u32) -> Vec<Row> {
    let tp = Tp::new(topic, partition);
    let options = ConsumerOptions { group: None, assignment: Assignment::Manual };
    let mut consumer = log.consumer(&options).expect("a consumer");
    consumer.answer(Answer::Start(&[(tp.clone(), Offset(0))])).expect("started");
    let mut rows = Vec::new();
    loop {
        let mut batch = Batch::default();
        let taken = consumer.take(&tp, 10_000, &mut batch).expect("readable");
        rows.extend(batch.iter().map(|record| row(&record)));
        if taken.caught_up {
            return rows;
        }
        consumer.serve(std::time::Duration::from_millis(2)).expect("served");
    }
}

fn row(record: &InRecord<'_>) -> Row {
    let text = |name| String::from_utf8_lossy(record.headers.get(name).unwrap_or_default()).into_owned();
    let origin = match record.headers.get(header::SRC) {
        Some(src) => src.to_vec(),
        None if record.headers.get(header::DLQ_SRC).is_some() => {
            let place = text(header::DLQ_SRC);
            let place = place.rsplit('.').next().unwrap_or_default();
            format!("{place} {} {}", text(header::DLQ_NODE), text(header::DLQ_REASON)).into_bytes()
        }
        None => Vec::new(),
    };
    Row {
        offset: record.offset.0,
        key: record.key.unwrap_or_default().to_vec(),
        value: record.value.unwrap_or_default().to_vec(),
        ts: record.ts.0,
        seq: record.seq,
        origin,
    }
}

/// Every output, every dead letter, every store and every chain is what the oracle says. Returns the number
/// of outputs.
pub(crate) fn check(bed: &Bed, log: &Arc<dyn Log>) -> usize {
    check_with(&bed.app, log, |task| {
        let envs = log.state().map_or_else(|| environments(bed, task), |env| vec![env]);
        let load = |env: Arc<Env>| Checkpoints::new(env, &bed.app).load(task).expect("readable");
        let found = envs.into_iter().filter_map(load).map(|one| one.expect("understood"));
        found.max_by_key(|checkpoint| checkpoint.epoch).map(|checkpoint| checkpoint.digest)
    })
}

/// Each instance keeps its checkpoints in a folder `state…` of its own.
fn environments(bed: &Bed, task: TaskId) -> Vec<Arc<Env>> {
    let dirs = std::fs::read_dir(bed.dir.path()).expect("a folder").map(|dir| dir.expect("an entry").path());
    let dirs = dirs.filter(|dir| dir.file_name().is_some_and(|n| n.to_string_lossy().starts_with("state")));
    let dirs = dirs.map(|dir| dir.join(&bed.app).join(task.to_string())).filter(|dir| Env::exists(dir));
    dirs.map(|dir| Env::open(&dir, &EnvOptions::default()).expect("an environment")).collect()
}

/// The same, where `state` gives the digest of a task's last checkpoint.
pub(crate) fn check_with(
    app: &str,
    log: &Arc<dyn Log>,
    state_of: impl Fn(TaskId) -> Option<StateDigest>,
) -> usize {
    let of = |name: &str| TopicName::new(&format!("{app}.{name}"));
    let mut n = 0;
    for p in 0..PARTITIONS {
        let inputs = [read(log, &of("a"), p), read(log, &of("b"), p)];
        let expected = oracle::first(p, &inputs[0], &inputs[1]);
        let out = read(log, &of("out"), p);
        same(&out, &expected.out, &format!("out-{p}"));
        same(&read(log, &topic::dead_letter(app), p), &expected.dead, &format!("dead letters {p}"));
        let counted = read(log, &of("counted"), p);
        let (rows, counts) = oracle::second(p, &out);
        same(&counted, &rows, &format!("counted-{p}"));
        n += out.len() + counted.len();

        let mut state = StateDigest::default();
        for (key, [a, b, c, d]) in &expected.sums {
            state.add("sums", key, format!("{a} {b} {c} {d}").as_bytes());
        }
        expected.last.iter().for_each(|(key, last)| state.add("last", key, last));
        same_state(&state_of, TaskId { sub: 0, partition: p }, state);
        let mut state = StateDigest::default();
        counts.iter().for_each(|(key, n)| state.add("counts", key, &n.to_be_bytes()));
        same_state(&state_of, TaskId { sub: 1, partition: p }, state);
        decisions(app, log, p, &out, &counted);
    }
    n
}

fn same(found: &[Row], expected: &[Row], what: &str) {
    let bare = |row: &Row| Row { offset: 0, ..row.clone() };
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let text = |row: &Row| format!("{:?} {}", row, String::from_utf8_lossy(&row.value));
        assert!(bare(found) == bare(expected), "{what} row {i}\n{}\n{}", text(found), text(expected));
    }
    assert_eq!(found.len(), expected.len(), "{what}");
}

/// The last checkpoint of a task is the state at the end.
fn same_state(state_of: impl Fn(TaskId) -> Option<StateDigest>, task: TaskId, state: StateDigest) {
    match state_of(task) {
        Some(found) => assert_eq!(found, state, "state of {task}"),
        None => assert_eq!(state, StateDigest::default(), "no checkpoint of {task}"),
    }
}

/// Epochs have no gap, each begins where the one before ended, and the last chain is that of the outputs.
fn decisions(app: &str, log: &Arc<dyn Log>, p: u32, out: &[Row], counted: &[Row]) {
    let rows = read(log, &topic::decisions(app), p);
    for (sub, topic, written) in [(0, "out", out), (1, "counted", counted)] {
        let task = TaskId { sub, partition: p }.to_string();
        let all: Vec<Decision> = rows
            .iter()
            .filter(|row| row.key == task.as_bytes())
            .map(|row| Decision::decode(&row.value).expect("understood"))
            .collect();
        let mut ends: Option<Vec<Offset>> = None;
        for (decision, epoch) in all.iter().zip(1..) {
            assert_eq!(decision.epoch, epoch, "{task}");
            assert!(ends.is_none_or(|ends| ends == decision.from), "{task} epoch {epoch}");
            ends = Some(decision.position.channels.iter().map(|(_, channel)| channel.next).collect());
        }
        let mut chain = Chain::default();
        written.iter().for_each(|row| chain.push(Some(&row.key), Some(&row.value), Ts(row.ts)));
        let tp = Tp::new(&TopicName::new(&format!("{app}.{topic}")), p);
        let last = all.last().and_then(|last| last.position.outputs.iter().find(|output| output.tp == tp));
        let (count, logged) = last.map_or((0, Chain::default()), |output| (output.count, output.chain));
        assert_eq!((count, logged), (written.len() as u64, chain), "chain of {tp}");
    }
}
