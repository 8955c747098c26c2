//! What the log tells about one window: decisions, ends of inputs, outputs, what was refused.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::beacon::{Beacon, is_reserved};
use crate::error::{Error, LogError};
use crate::log::{Answer, Assignment, ConsumerOptions, Log, TopicName, Tp, topic};
use crate::record::{Batch, InRecord, Offset, header};
use crate::runtime::decision::Decision;
use crate::runtime::state::TaskState;
use crate::runtime::topics;
use crate::time::Ts;
use crate::topology::Topology;
use crate::topology::processor::TaskId;
use crate::why::{Channel, Why};

/// Records before a position that are searched for the last record and the last beacon.
const TAIL: u64 = 4_096;
/// Outputs and dead letters that are searched.
const SEARCHED_MAX: usize = 2_000_000;
const FETCH: usize = 4_096;
const PAUSE: Duration = Duration::from_millis(5);
/// A longer silence is that of a replay.
const SILENCE_MAX: Duration = Duration::from_secs(3_600);

/// Which row is missing.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The topic that should hold it.
    pub topic: TopicName,
    /// Its key.
    pub key: Vec<u8>,
    /// The window that it describes: [start, end).
    pub start: Ts,
    /// Where that ends; the row carries the last instant before it.
    pub end: Ts,
    /// How long after its end it stays open.
    pub grace: Duration,
    /// Wall time of whoever asks.
    pub now: Option<Ts>,
    /// The states of the tasks, where the application runs in this process: [`Progress::tasks`].
    ///
    /// [`Progress::tasks`]: crate::runtime::metrics::Progress::tasks
    pub states: Option<&'a BTreeMap<TaskId, TaskState>>,
}

/// Gathers what there is to know.
///
/// # Errors
/// The topology does not write the topic, or the log cannot be read.
pub fn why<M>(topology: &Topology<M>, log: &dyn Log, question: &Question<'_>) -> Result<Why, Error> {
    let task = task_of(topology, log, question)?;
    let decision = last_decision(log, topology.name(), task)?;
    let mut channels = Vec::new();
    for input in inputs(topology, task, decision.as_ref()) {
        channels.push(channel(log, input, question.now)?);
    }
    let state = question.states.map(|states| states.get(&task).copied().unwrap_or(TaskState::Closed));
    Ok(Why {
        key: question.key.clone(),
        start: question.start,
        end: question.end,
        grace: question.grace,
        task,
        state,
        epoch: decision.as_ref().map(|decision| decision.epoch),
        time: decision.as_ref().and_then(|decision| decision.position.time),
        channels,
        emitted: emitted(log, question)?,
        late: late(log, topology.name(), task, question)?,
        poisoned: poisoned(log, topology.name(), task, question)?,
    })
}

/// The task whose sub-topology writes the topic and whose inputs have the key.
fn task_of<M>(topology: &Topology<M>, log: &dyn Log, question: &Question<'_>) -> Result<TaskId, Error> {
    let writes = |sub: &crate::topology::SubTopology| {
        sub.nodes.iter().any(|id| topology.node(*id).sink().is_some_and(|sink| sink.topic == question.topic))
    };
    let Some(sub) = topology.subs.iter().position(writes) else {
        let known: Vec<String> = topology.sink_topics().iter().map(ToString::to_string).collect();
        let (topic, what) = (question.topic.to_string(), known.join(", "));
        return Err(LogError::TopicMismatch {
            topic,
            what: format!("no sink of {}: it writes {what}", topology.name()),
        }
        .into());
    };
    let n = topics::input_partitions(log, topology, sub)?;
    Ok(TaskId { sub: sub as u32, partition: topic::partition(&question.key, n) })
}

/// A channel as its task left it. Of a partition with several writers the position is that of the partition:
/// how far a channel is counts its own records.
struct Input {
    tp: Tp,
    origin: Option<u16>,
    bound: Option<Ts>,
    next: Offset,
    left: bool,
}

fn inputs<M>(topology: &Topology<M>, task: TaskId, decision: Option<&Decision>) -> Vec<Input> {
    let Some(position) = decision.map(|decision| &decision.position) else {
        let nodes = topology.subs[task.sub as usize].nodes.iter();
        let sources =
            nodes.filter_map(|id| Some(Tp::new(&topology.node(*id).source()?.topic, task.partition)));
        let new = |tp| Input { tp, origin: None, bound: None, next: Offset(0), left: false };
        return sources.map(new).collect();
    };
    let mut inputs: Vec<Input> = Vec::new();
    for (tp, progress) in &position.channels {
        let shared = position.fetched.iter().find(|(shared, _)| shared == tp).map(|(_, next)| *next);
        let before = inputs.iter().filter(|input| input.tp == *tp).count();
        let bound = progress.eff.map(|eff| eff.ts);
        let (origin, next) = (shared.map(|_| before as u16), shared.unwrap_or(progress.next));
        inputs.push(Input { tp: tp.clone(), origin, bound, next, left: progress.left });
    }
    inputs
}

/// Is a record of this writer, if the partition has several?
fn is_of(r: &InRecord<'_>, origin: Option<u16>) -> bool {
    origin.is_none_or(|origin| r.headers.get(header::ORIGIN) == Some(&origin.to_be_bytes()))
}

fn channel(log: &dyn Log, input: Input, now: Option<Ts>) -> Result<Channel, Error> {
    let Input { tp, origin, bound, next, left } = input;
    let range = log.range(&tp)?;
    let (mut record, mut beacon, mut head) = (None, None, None);
    let from = Offset(range.first.0.max(next.0.saturating_sub(TAIL)));
    scan(log, &tp, from, |r| {
        let says = r.key.filter(|key| is_reserved(key)).and_then(|key| Beacon::decode(Some(key), r.value));
        if r.offset >= next {
            head = Some(says.map_or(r.ts, |beacon| beacon.bound));
            return false;
        }
        match says {
            _ if !is_of(r, origin) => {}
            Some(says) => beacon = Some(says.bound),
            None => record = Some((r.offset, r.ts)),
        }
        true
    })?;
    let since =
        |bound: Ts| Duration::from_nanos(now.map_or(0, |now| now.0.saturating_sub(bound.0)).max(0) as u64);
    let silent = bound.map(since).filter(|silent| now.is_some() && *silent < SILENCE_MAX);
    let (stable, end) = (range.stable, range.end);
    // Offsets between the last record and the end may hold none: a log numbers its own marks too.
    let next = if head.is_none() { stable.max(next) } else { next };
    Ok(Channel { tp, origin, bound, next, stable, end, record, beacon, head, left, silent })
}

fn last_decision(log: &dyn Log, app: &str, task: TaskId) -> Result<Option<Decision>, Error> {
    let tp = Tp::new(&topic::decisions(app), task.partition);
    let range = match log.range(&tp) {
        Err(LogError::UnknownTopic { .. }) => return Ok(None),
        range => range?,
    };
    let (key, mut last, mut corrupt) = (task.to_string(), None, None);
    // The newest one is near the end; only a task that has long been silent has it further in front.
    let mut from = range.stable.0.saturating_sub(TAIL).max(range.first.0);
    loop {
        scan(log, &tp, Offset(from), |r| {
            if r.key == Some(key.as_bytes()) {
                match Decision::decode(r.value.unwrap_or_default()) {
                    Ok(decision) => last = Some(decision),
                    Err(e) => corrupt = Some((r.offset, e.to_string())),
                }
            }
            true
        })?;
        if last.is_some() || from == range.first.0 {
            break;
        }
        from = range.first.0;
    }
    match corrupt {
        Some((offset, reason)) => {
            Err(LogError::Corrupt { place: format!("{tp} offset {}", offset.0), reason }.into())
        }
        None => Ok(last),
    }
}

/// The newest row of the window.
fn emitted(log: &dyn Log, question: &Question<'_>) -> Result<Option<(Tp, Offset)>, Error> {
    let n = match log.partitions(&question.topic) {
        Err(LogError::UnknownTopic { .. }) => return Ok(None),
        n => n?,
    };
    let tp = Tp::new(&question.topic, topic::partition(&question.key, n));
    let (last_instant, mut found, mut left) = (Ts(question.end.0 - 1), None, SEARCHED_MAX);
    let Some(from) = log.offset_at(&tp, last_instant)? else { return Ok(None) };
    scan(log, &tp, from, |r| {
        if r.key == Some(&question.key) && r.ts == last_instant {
            found = Some(r.offset);
        }
        left -= 1;
        left > 0
    })?;
    Ok(found.map(|offset| (tp, offset)))
}

/// Late records of the window, where they are kept.
fn late(log: &dyn Log, app: &str, task: TaskId, question: &Question<'_>) -> Result<u64, Error> {
    let name = topic::late(app);
    let mut n = 0;
    if let Some(tp) = partition_of(log, &name, task)? {
        scan(log, &tp, log.range(&tp)?.first, |r| {
            let inside = question.start <= r.ts && r.ts < question.end;
            n += u64::from(r.key == Some(&question.key) && inside);
            true
        })?;
    }
    Ok(n)
}

fn poisoned(
    log: &dyn Log,
    app: &str,
    task: TaskId,
    question: &Question<'_>,
) -> Result<Option<(String, String, u64)>, Error> {
    let mut found: Option<(String, String, u64)> = None;
    if let Some(tp) = partition_of(log, &topic::dead_letter(app), task)? {
        scan(log, &tp, log.range(&tp)?.first, |r| {
            if r.key == Some(&question.key) && r.ts < question.end {
                let text =
                    |name| String::from_utf8_lossy(r.headers.get(name).unwrap_or_default()).into_owned();
                let first =
                    found.get_or_insert_with(|| (place(&text(header::DLQ_SRC)), text(header::DLQ_REASON), 0));
                first.2 += 1;
            }
            true
        })?;
    }
    Ok(found)
}

/// `topic/partition/offset` in words.
fn place(src: &str) -> String {
    let mut parts = src.rsplitn(3, '/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(offset), Some(partition), Some(topic)) => format!("offset {offset} of {topic}-{partition}"),
        _ => src.to_owned(),
    }
}

/// The task's partition of a topic of the application, if the topic was made.
fn partition_of(log: &dyn Log, name: &TopicName, task: TaskId) -> Result<Option<Tp>, Error> {
    match log.partitions(name) {
        Err(LogError::UnknownTopic { .. }) => Ok(None),
        n => Ok((task.partition < n?).then(|| Tp::new(name, task.partition))),
    }
}

/// Shows records from an offset to the readable end, as long as `look` wants more.
fn scan(
    log: &dyn Log,
    tp: &Tp,
    from: Offset,
    mut look: impl FnMut(&InRecord<'_>) -> bool,
) -> Result<(), Error> {
    let mut reader = log.consumer(&ConsumerOptions { group: None, assignment: Assignment::Manual })?;
    reader.answer(Answer::Start(&[(tp.clone(), from)]))?;
    let mut batch = Batch::default();
    loop {
        batch.clear();
        let taken = reader.take(tp, FETCH, &mut batch)?;
        if !batch.iter().all(|r| look(&r)) || taken.caught_up {
            return Ok(());
        }
        if taken.n == 0 {
            reader.serve(PAUSE)?;
        }
    }
}
