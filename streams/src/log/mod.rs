//! The log: topics, partitions, offsets, transactions. Bytes only; what they mean is not known here.
//!
//! One contract, kept by every implementation (`streams/tests/conformance.rs`):
//! order per partition = append order · [`Consumer::take`] never passes `stable` · an aborted record is
//! never taken, its offset may be a gap · `caught_up` ⇔ position = `stable` at the call, or, where that would
//! cost a request each time, at a moment since the position was reached · not calling `take` is
//! back-pressure and loses nothing · [`Producer::commit`] makes the records of all partitions,
//! the offsets and the shipped state visible together or not at all · a fenced producer changes nothing ·
//! after a [`TxnError`] of class `Unknown` only `drop` is legal.

pub mod embedded;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod memory;
pub mod topic;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{LogError, SendError, TxnError};
use crate::lmdb::Env;
use crate::record::{Batch, Offset, OutRecord};
use crate::time::Ts;

pub use crate::record::{TopicName, Tp};
pub use crate::settings::GroupProtocol;

/// How a topic is made if it is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: TopicName,
    /// How many partitions; an existing topic with another count is an error.
    pub partitions: u32,
    /// How long records are kept, by their own time stamps; `None` = for ever. An existing topic that
    /// would delete what is to be kept is an error.
    pub retention: Option<Duration>,
    /// Keep only the newest record of each key.
    pub compact: bool,
}

/// Offsets of a partition. An empty one has all three equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Oldest kept.
    pub first: Offset,
    /// No open transaction below it: the readable end.
    pub stable: Offset,
    /// One past the newest.
    pub end: Offset,
}

/// A position that a group has reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The input partition.
    pub tp: Tp,
    /// Next offset to read.
    pub offset: Offset,
    /// `e=<epoch>;d=<offset of decision e>`, stored beside the offset; under 4 KiB.
    pub note: String,
}

/// What `take` did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Records put into the batch.
    pub n: usize,
    /// Position = `stable` at the call; of a broker, at a moment since the position was reached.
    pub caught_up: bool,
}

/// Who reads which partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assignment {
    /// The group shares the partitions out and moves them as members come and go. Partitions of one number
    /// belong together over all subscribed topics: they come and go in one event. A log without groups
    /// treats its only member like `Static { index: 0, of: 1 }`.
    Group(Membership),
    /// Member `index` of `of` owns the partitions p with `p mod of = index`; a second holder of the same
    /// transactional id fences the first.
    Static {
        /// From 0.
        index: u32,
        /// How many members there are.
        of: u32,
    },
    /// Only what [`Answer::Start`] names: restores, sinks, offline reads.
    Manual,
}

/// How a member stands in its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// By which protocol.
    pub protocol: GroupProtocol,
    /// Its name in the group. One that comes back under its name within the session timeout finds its
    /// partitions as it left them; a second holder of the name ends the first.
    pub name: String,
    /// How long it may be silent before its partitions go to others.
    pub session_timeout: Duration,
}

/// Options of a consumer.
#[derive(Clone, Debug)]
pub struct ConsumerOptions {
    /// Whose committed offsets; `None` for readers that keep their own cursor.
    pub group: Option<String>,
    /// Who reads what.
    pub assignment: Assignment,
}

/// Options of a producer.
#[derive(Clone, Debug)]
pub struct ProducerOptions {
    /// With it: transactions, fencing by this id. Without it: idempotent, every `drain` makes what was
    /// sent durable.
    pub transactional_id: Option<String>,
    /// How long a transaction may be open. Then the log aborts it and fences this producer: what others have written
    /// behind it is hidden until then, if its process has died. Records must arrive within four fifths of it.
    /// Default 10 s. Of no use to a log that hears of a transaction only when it is committed.
    pub transaction_timeout: Duration,
}

impl Default for ProducerOptions {
    fn default() -> ProducerOptions {
        ProducerOptions { transactional_id: None, transaction_timeout: Duration::from_secs(10) }
    }
}

impl ProducerOptions {
    /// With transactions by this id.
    pub fn transactional(id: &str) -> ProducerOptions {
        ProducerOptions { transactional_id: Some(id.to_owned()), ..ProducerOptions::default() }
    }
}

/// What changed in the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupEvent {
    /// These partitions are ours (perhaps none): load state, then answer with [`Answer::Start`]. The group does
    /// not wait for the answer.
    Assign(Vec<Tp>),
    /// These go away: commit, then answer with [`Answer::Stop`] of all of them.
    Revoke(Vec<Tp>),
    /// These are gone, others may have them already: abort, then answer with [`Answer::Stop`] of all of them.
    Lost(Vec<Tp>),
}

/// The answer to a group event, also used to move a partition's position.
#[derive(Clone, Debug)]
pub enum Answer<'a> {
    /// Read these, each from its offset.
    Start(&'a [(Tp, Offset)]),
    /// Stop reading these.
    Stop(&'a [Tp]),
}

/// The group as a transaction must name it. Opaque, made and understood by one implementation.
pub struct GroupMetadata(pub(crate) Box<dyn std::any::Any + Send>);

impl fmt::Debug for GroupMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GroupMetadata")
    }
}

/// Delivery reports seen by one `drain`: the offset of the last record acknowledged per partition.
pub type Acks = BTreeMap<Tp, Offset>;

/// Writes to a task's state that belong to one epoch: `(database, key, value)`, `None` deletes.
pub type StateWrites = Vec<(String, Vec<u8>, Option<Vec<u8>>)>;

/// A log. Cheap to clone through `Arc`, used from many threads.
pub trait Log: Send + Sync {
    /// Makes the topic if it is missing. Idempotent.
    ///
    /// # Errors
    /// The topic exists with another partition count, or with a retention that would lose records.
    fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), LogError>;
    /// Number of partitions.
    ///
    /// # Errors
    /// [`LogError::UnknownTopic`].
    fn partitions(&self, topic: &TopicName) -> Result<u32, LogError>;
    /// Names of all topics, sorted; those that begin with `__` are left out.
    fn topics(&self) -> Result<Vec<TopicName>, LogError>;
    /// Oldest, readable end and end of a partition.
    fn range(&self, tp: &Tp) -> Result<Range, LogError>;
    /// First offset whose record has `ts` at or after the given one (Kafka: to the millisecond).
    fn offset_at(&self, tp: &Tp, ts: Ts) -> Result<Option<Offset>, LogError>;
    /// A reader.
    fn consumer(&self, options: &ConsumerOptions) -> Result<Box<dyn Consumer>, LogError>;
    /// A writer.
    fn producer(&self, options: &ProducerOptions) -> Result<Box<dyn Producer>, LogError>;
    /// A writer without a transactional id for a load of records that nobody waits for one by one: they may lie for
    /// up to a tenth of a second to travel with others, and [`Producer::drain`] need not tell offsets.
    ///
    /// # Errors
    /// As [`Log::producer`].
    fn bulk_producer(&self) -> Result<Box<dyn Producer>, LogError> {
        self.producer(&ProducerOptions::default())
    }
    /// The environment in which [`Producer::ship`]ped state lies, if this log keeps state beside its
    /// records. `None`: a task keeps an environment of its own.
    fn state(&self) -> Option<Arc<Env>>;
    /// The first offset of a partition that is read from another log than those before it, if this log is two
    /// that were joined.
    fn joint(&self, tp: &Tp) -> Option<Offset> {
        let _ = tp;
        None
    }

    /// Deletes the records before these offsets for good. What is kept may begin earlier: records leave by whole batches,
    /// and none that a group has yet to read.
    ///
    /// # Errors
    /// Some may be deleted, others not.
    fn purge(&self, before: &[(Tp, Offset)]) -> Result<(), LogError> {
        let _ = before;
        Ok(())
    }

    /// How many members a group has at the moment, dead ones whose session has not lapsed included. A log without
    /// groups has none; of a group that the broker shares out ([`GroupProtocol::Consumer`]) Kafka's client is told none.
    ///
    /// # Errors
    /// Nobody answers.
    fn members(&self, group: &str) -> Result<usize, LogError> {
        let _ = group;
        Ok(0)
    }

    /// The headers of a topic's records need not be read: nobody like us writes it. For logs on which reading
    /// them costs something; `ts` is then the log's own time of the record and `seq` 0. To be said before a
    /// consumer starts on the topic.
    fn skip_headers(&self, topic: &TopicName) {
        let _ = topic;
    }
}

/// Reads partitions. One thread owns it.
pub trait Consumer: Send {
    /// Asks for topics; what is to be read comes by [`Consumer::serve`].
    fn subscribe(&mut self, topics: &[TopicName]) -> Result<(), LogError>;
    /// The next change of the group, waiting at most `wait`; failures of the client surface here.
    fn serve(&mut self, wait: Duration) -> Result<Option<GroupEvent>, LogError>;
    /// Starts, moves or stops partitions.
    fn answer(&mut self, answer: Answer<'_>) -> Result<(), LogError>;
    /// Appends up to `max` records of a started partition to `into`; never blocks.
    fn take(&mut self, tp: &Tp, max: usize, into: &mut Batch) -> Result<Taken, LogError>;
    /// What the group has committed, in the order asked; waits a few seconds for offsets of unfinished
    /// transactions, then fails with an error that is retriable.
    fn committed(&mut self, tps: &[Tp]) -> Result<Vec<Option<Commit>>, LogError>;
    /// Commits outside a transaction: at-least-once only.
    fn commit(&mut self, offsets: &[Commit]) -> Result<(), LogError>;
    /// Needed by [`Producer::send_offsets`]; `None` without a group.
    fn group(&self) -> Option<GroupMetadata>;
    /// Leaves; an error if that takes longer than `within`.
    fn close(self: Box<Self>, within: Duration) -> Result<(), LogError>;
}

/// Writes records. One thread owns it.
pub trait Producer: Send {
    /// Fences earlier holders of the transactional id and settles their transaction. Call once, first;
    /// nothing to do without an id.
    fn init(&mut self) -> Result<(), TxnError>;
    /// Opens a transaction.
    fn begin(&mut self) -> Result<(), TxnError>;
    /// Hands over one record. [`SendError::Full`]: nothing was taken, serve events and call again.
    fn send(&mut self, record: OutRecord<'_>) -> Result<(), SendError>;
    /// Waits until every record handed over is acknowledged, and tells the last offset of each partition.
    /// A log that assigns offsets at the commit tells those that a transaction will get if nobody else writes
    /// to its partitions meanwhile: exact for topics with one writer, such as decisions and changelogs.
    fn drain(&mut self, within: Duration) -> Result<Acks, TxnError>;
    /// Puts consumed offsets into the transaction.
    fn send_offsets(&mut self, group: Option<&GroupMetadata>, offsets: &[Commit]) -> Result<(), TxnError>;
    /// Puts state writes into the transaction, if this log can hold them: `true`. `false`: the caller
    /// writes them itself, after the commit.
    fn ship(&mut self, writes: &StateWrites) -> Result<bool, TxnError>;
    /// Makes records, offsets and shipped state visible together.
    fn commit(&mut self) -> Result<(), TxnError>;
    /// Forgets the open transaction. Never called on an empty one.
    fn abort(&mut self) -> Result<(), TxnError>;
}

/// May a log be at this address already? Looks without making one; of brokers nothing is known before they
/// are asked.
pub fn exists(uri: &str) -> bool {
    uri != MEMORY && uri.strip_prefix("embedded:").is_none_or(|dir| Env::exists(dir.as_ref()))
}

/// The log that nothing keeps, each time a new one.
const MEMORY: &str = "memory:";

/// Opens a log by its URI: `kafka://host:port[,host:port]`, `embedded:DIR`, or `memory:` for one that is empty
/// and is gone with its last handle.
///
/// # Errors
/// An unknown scheme, a directory that cannot be opened, no broker that answers.
pub fn open(uri: &str) -> Result<Arc<dyn Log>, LogError> {
    if let Some(dir) = uri.strip_prefix("embedded:").filter(|dir| !dir.is_empty()) {
        return Ok(Arc::new(embedded::EmbeddedLog::open(dir.as_ref(), &embedded::Options::default())?));
    }
    if uri == MEMORY {
        return Ok(Arc::new(memory::MemoryLog::default()));
    }
    #[cfg(feature = "kafka")]
    if let Some(brokers) = uri.strip_prefix("kafka://").filter(|brokers| !brokers.is_empty()) {
        return Ok(Arc::new(kafka::KafkaLog::connect(brokers)?));
    }
    Err(LogError::Uri { uri: uri.to_owned() })
}
