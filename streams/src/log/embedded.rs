//! The log on LMDB: no server, one directory, several processes at once if need be.
//!
//! ```text
//! producers ──submission──▶ queue ──▶ writer thread ──one LMDB transaction──▶ DIR/lobstream.lmdb ──view──▶ consumers
//! ```
//! Everything that waits is committed together and synced once; each submission is in it whole or not at
//! all. Offsets are assigned inside that transaction, so writers of other processes never collide, and
//! nothing that was read is held to be true later. A transaction becomes visible when it is committed, so
//! `stable` and `end` are one.
//!
//! Limits: retention deletes whole batches and measures age against the newest record of the partition;
//! `compact` is kept with the topic, yet every record stays, which a compacted topic allows.

mod buffer;
mod consumer;
mod layout;
mod producer;
mod receipts;
mod retention;
mod transaction;
mod writer;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use self::buffer::RECORD_BYTES_MAX;
use self::consumer::EmbeddedConsumer;
use self::layout::{Extent, PartitionId, Reader, StoredBatch, Tables, Topic};
use self::producer::PlainProducer;
use self::transaction::TransactionalProducer;
use self::writer::{Signal, Submission};
use crate::error::{LogError, StoreError};
use crate::lmdb::{Env, EnvOptions, KEY_BYTES_MAX, View};
use crate::log::{
    Consumer, ConsumerOptions, Log, Producer, ProducerOptions, Range, TopicName, TopicSpec, Tp, topic,
};
use crate::lz4;
use crate::record::Offset;
use crate::time::Ts;

/// Submissions that may wait for the writer; a producer has few of them under way.
const QUEUE_MAX: usize = 1_024;
/// Longest group name: its key begins with eight bytes of partition.
const GROUP_BYTES_MAX: usize = KEY_BYTES_MAX - 8;

/// How an embedded log is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Its environment.
    pub env: EnvOptions,
}

/// A log in a directory.
#[derive(Debug)]
pub struct EmbeddedLog {
    core: Arc<Core>,
}

/// What the log, its consumers and its producers share. The last one ends the writer and closes the
/// environment, once all that was submitted is written.
#[derive(Debug)]
struct Core {
    queue: Option<SyncSender<Submission>>,
    writer: Option<JoinHandle<()>>,
    signal: Arc<Signal>,
    tables: Tables,
    topics: Mutex<BTreeMap<TopicName, Topic>>,
    env: Arc<Env>,
}

impl EmbeddedLog {
    /// Opens or makes the log in `dir`.
    ///
    /// # Errors
    /// [`StoreError::AlreadyOpen`] in this process: share the one that is open. [`StoreError::Open`].
    pub fn open(dir: &Path, options: &Options) -> Result<EmbeddedLog, LogError> {
        let env = Env::open(dir, &options.env)?;
        let tables = Tables::open(&env)?;
        let signal = Arc::<Signal>::default();
        let (queue, submissions) = sync_channel(QUEUE_MAX);
        let (shared_env, shared_signal) = (Arc::clone(&env), Arc::clone(&signal));
        let writer = thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || writer::run(&shared_env, tables, &submissions, &shared_signal))
            .map_err(|e: io::Error| StoreError::Open { dir: dir.to_owned(), reason: e.to_string() })?;
        let (queue, writer, topics) = (Some(queue), Some(writer), Mutex::default());
        Ok(EmbeddedLog { core: Arc::new(Core { queue, writer, signal, tables, topics, env }) })
    }
}

impl Log for EmbeddedLog {
    fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), LogError> {
        topic::check(spec)?;
        let known = match self.core.topic(&spec.name) {
            Ok(topic) => Some(topic),
            Err(LogError::UnknownTopic { .. }) => None,
            Err(e) => return Err(e),
        };
        match known {
            Some(topic) => fits(spec, &topic),
            None => self.core.make_topic(spec).and_then(|topic| fits(spec, &topic)),
        }
    }

    fn partitions(&self, topic: &TopicName) -> Result<u32, LogError> {
        Ok(self.core.topic(topic)?.partitions)
    }

    fn topics(&self) -> Result<Vec<TopicName>, LogError> {
        self.core.env.read(|view| {
            let mut names = Vec::new();
            for entry in view.from(self.core.tables.topics, b"")? {
                let name = String::from_utf8_lossy(entry?.0).into_owned();
                if !name.starts_with("__") {
                    names.push(TopicName::new(&name));
                }
            }
            Ok(names)
        })
    }

    fn range(&self, tp: &Tp) -> Result<Range, LogError> {
        let (_, at) = self.core.partition(tp)?;
        let extent = self.core.env.read(|view| self.core.extent(view, at))?;
        Ok(Range { first: Offset(extent.first), stable: Offset(extent.end), end: Offset(extent.end) })
    }

    fn offset_at(&self, tp: &Tp, ts: Ts) -> Result<Option<Offset>, LogError> {
        let (_, at) = self.core.partition(tp)?;
        self.core.env.read(|view| self.core.offset_at(view, tp, at, ts))
    }

    fn consumer(&self, options: &ConsumerOptions) -> Result<Box<dyn Consumer>, LogError> {
        if let Some(group) = &options.group {
            check_name("group", group, GROUP_BYTES_MAX)?;
        }
        Ok(Box::new(EmbeddedConsumer::new(Arc::clone(&self.core), options)))
    }

    fn producer(&self, options: &ProducerOptions) -> Result<Box<dyn Producer>, LogError> {
        let core = Arc::clone(&self.core);
        let Some(id) = &options.transactional_id else { return Ok(Box::new(PlainProducer::new(core))) };
        check_name("transactional id", id, KEY_BYTES_MAX)?;
        Ok(Box::new(TransactionalProducer::new(core, id)))
    }

    fn purge(&self, before: &[(Tp, Offset)]) -> Result<(), LogError> {
        for (tp, offset) in before {
            let (_, at) = self.core.partition(tp)?;
            self.core.env.write(|txn| retention::purge(txn, self.core.tables, at, offset.0))?;
        }
        Ok(())
    }

    fn state(&self) -> Option<Arc<Env>> {
        Some(Arc::clone(&self.core.env))
    }
}

impl Core {
    fn topic(&self, name: &TopicName) -> Result<Topic, LogError> {
        let mut known = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&topic) = known.get(name) {
            return Ok(topic);
        }
        let stored = self.env.read(|view| {
            let value = view.get(self.tables.topics, name.as_str().as_bytes())?;
            value.map(|bytes| decode_topic(name, bytes)).transpose()
        })?;
        let topic = stored.ok_or_else(|| LogError::UnknownTopic { topic: name.to_string() })?;
        known.insert(name.clone(), topic);
        Ok(topic)
    }

    /// Makes the topic, unless another process has done so meanwhile.
    fn make_topic(&self, spec: &TopicSpec) -> Result<Topic, LogError> {
        let key = spec.name.as_str().as_bytes();
        self.env.write(|txn| {
            if let Some(bytes) = txn.view().get(self.tables.topics, key)? {
                return decode_topic(&spec.name, bytes);
            }
            let id = txn.view().from(self.tables.topics, b"")?.count() as u32;
            let (partitions, retention, compact) = (spec.partitions, spec.retention, spec.compact);
            let topic = Topic { id, partitions, retention, compact };
            txn.put(self.tables.topics, key, &topic.encode())?;
            Ok(topic)
        })
    }

    fn partition(&self, tp: &Tp) -> Result<(Topic, PartitionId), LogError> {
        let topic = self.topic(&tp.topic)?;
        if tp.partition >= topic.partitions {
            let what = format!("{} partitions, there is no {}", topic.partitions, tp.partition);
            return Err(LogError::TopicMismatch { topic: tp.topic.to_string(), what });
        }
        Ok((topic, PartitionId { topic: topic.id, partition: tp.partition }))
    }

    fn extent(&self, view: &View<'_>, at: PartitionId) -> Result<Extent, LogError> {
        let stored = view.get(self.tables.partitions, &at.key())?;
        Ok(stored.and_then(Extent::decode).unwrap_or(Extent::EMPTY))
    }

    fn unpack(&self, batch: &StoredBatch<'_>) -> io::Result<Vec<u8>> {
        lz4::decompress(batch.frame, RECORD_BYTES_MAX)
    }

    /// Binary search for the first batch whose running maximum reaches `ts`, then record by record. The
    /// maximum may have been set by a record that retention has deleted, so the search may go on.
    fn offset_at(
        &self,
        view: &View<'_>,
        tp: &Tp,
        at: PartitionId,
        ts: Ts,
    ) -> Result<Option<Offset>, LogError> {
        let Extent { first, end, .. } = self.extent(view, at)?;
        let (mut low, mut high) = (first, end);
        while low < high {
            let middle = low + (high - low) / 2;
            let batch = self.batch_of(view, tp, at, middle)?;
            if batch.eff_max < ts.0 { low = batch.end() } else { high = batch.base }
        }
        while low < end {
            let batch = self.batch_of(view, tp, at, low)?;
            let plain = self.unpack(&batch).map_err(|e| corrupt(tp, batch.base, &e.to_string()))?;
            let mut reader = Reader(&plain);
            for i in 0..u64::from(batch.n) {
                let at_record = batch.base + i;
                if reader.skip_record().ok_or_else(|| corrupt(tp, at_record, "not a record"))? >= ts {
                    return Ok(Some(Offset(at_record)));
                }
            }
            low = batch.end();
        }
        Ok(None)
    }

    /// The batch that holds an offset between `first` and `end`.
    fn batch_of<'t>(
        &self,
        view: &View<'t>,
        tp: &Tp,
        at: PartitionId,
        offset: u64,
    ) -> Result<StoredBatch<'t>, LogError> {
        let entry = view.floor(self.tables.batches, &at.batch_key(offset))?;
        let batch = entry.and_then(|(key, value)| StoredBatch::decode(key, value));
        batch
            .filter(|b| b.base <= offset && offset < b.end())
            .ok_or_else(|| corrupt(tp, offset, "no batch holds it"))
    }

    /// Hands a submission to the writer; its ticket tells what became of it.
    fn submit(&self, submission: Submission) {
        if let Some(queue) = &self.queue {
            // A writer that is gone gives the submission back; dropping it settles its ticket.
            drop(queue.send(submission));
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(writer) = self.writer.take() {
            drop(writer.join());
        }
    }
}

/// Is the topic that exists the one that is asked for?
fn fits(spec: &TopicSpec, topic: &Topic) -> Result<(), LogError> {
    let mismatch = |what| Err(LogError::TopicMismatch { topic: spec.name.to_string(), what });
    if topic.partitions != spec.partitions {
        let (have, want) = (topic.partitions, spec.partitions);
        return mismatch(format!(
            "{have} partitions, {want} are asked for: ask for {have}, or use another name"
        ));
    }
    let keeps_enough = match (topic.retention, spec.retention) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(have), Some(want)) => have >= want,
    };
    if keeps_enough {
        return Ok(());
    }
    mismatch("a shorter retention than is asked for, it would lose records: use another name".to_owned())
}

fn check_name(what: &str, name: &str, bytes_max: usize) -> Result<(), LogError> {
    if (1..=bytes_max).contains(&name.len()) {
        return Ok(());
    }
    let reason = format!("{} bytes, 1 to {bytes_max} are possible", name.len());
    Err(LogError::Client { what: format!("{what} {name:?}"), reason, retriable: false })
}

fn decode_topic(name: &TopicName, bytes: &[u8]) -> Result<Topic, LogError> {
    let damaged =
        || LogError::Corrupt { place: format!("topic {name}"), reason: "unknown layout".to_owned() };
    Topic::decode(bytes).ok_or_else(damaged)
}

fn corrupt(tp: &Tp, offset: u64, reason: &str) -> LogError {
    LogError::Corrupt { place: format!("{tp} at offset {offset}"), reason: reason.to_owned() }
}
