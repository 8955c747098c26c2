//! What can go wrong, and the questions an error answers. No driver's type appears here.

use std::path::PathBuf;

/// A log or a client of it failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The scheme is not known, or what follows it is empty.
    #[error("log {uri:?} is not understood: write embedded:DIR or kafka://host:port")]
    Uri {
        /// As given.
        uri: String,
    },
    /// Neither made nor named right.
    #[error("topic {topic} does not exist")]
    UnknownTopic {
        /// Its name.
        topic: String,
    },
    /// The topic exists but is not what was asked for.
    #[error("topic {topic} exists with {what}")]
    TopicMismatch {
        /// Its name.
        topic: String,
        /// What differs, and what to do.
        what: String,
    },
    /// No broker answered.
    #[error("no broker answers at {brokers}: {reason}; check the address and that it runs")]
    Unreachable {
        /// As given.
        brokers: String,
        /// The client's words.
        reason: String,
    },
    /// The group knows another member by this one's name.
    #[error(
        "another process has joined the group under this instance name: stop it, or run with another one"
    )]
    MemberFenced,
    /// An offset that is needed is no longer kept.
    #[error("history missing: {tp} is needed from offset {need} on, but begins at {have}")]
    HistoryMissing {
        /// Partition.
        tp: String,
        /// First offset needed.
        need: u64,
        /// First offset kept.
        have: u64,
    },
    /// An archive and the log that should continue it do not meet.
    #[error(
        "hole in {tp}: the archive ends before offset {ends}, the live log begins at {begins}: {} records are in \
         neither; archive them first",
        begins - ends
    )]
    Hole {
        /// Partition.
        tp: String,
        /// First offset that the archive does not have.
        ends: u64,
        /// First offset that the live log has.
        begins: u64,
    },
    /// Stored bytes are not what was written.
    #[error("corrupt data at {place}: {reason}")]
    Corrupt {
        /// Topic, partition, offset or file.
        place: String,
        /// What does not fit.
        reason: String,
    },
    /// The local store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Anything else the client reports.
    #[error("{what}: {reason}")]
    Client {
        /// What was being done, to which topic.
        what: String,
        /// The client's words.
        reason: String,
        /// The same call may succeed later.
        retriable: bool,
    },
}

impl LogError {
    /// May the same call succeed later?
    pub fn is_retriable(&self) -> bool {
        matches!(self, LogError::Client { retriable: true, .. })
    }
}

/// The store on disk failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk is full, or a quota is reached. LMDB reports it as an input/output error.
    #[error("write failed in {dir}: {reason}; if the disk is full, free space there and run again")]
    Write {
        /// The environment.
        dir: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// It cannot be opened.
    #[error("cannot open the store in {dir}: {reason}")]
    Open {
        /// The environment.
        dir: PathBuf,
        /// Why not.
        reason: String,
    },
    /// It cannot be read.
    #[error("cannot read the store in {dir}: {reason}")]
    Read {
        /// The environment.
        dir: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Opened twice in one process.
    #[error("the store in {dir} is already open in this process")]
    AlreadyOpen {
        /// The environment.
        dir: PathBuf,
    },
}

/// What a caller must do about a failed transaction call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxnClass {
    /// Same call again, same arguments, until the deadline.
    Retriable,
    /// Abort, roll state back, rewind inputs; the producer lives on.
    Abort,
    /// Drop the producer. `fenced`: another holds the id, this one is the zombie.
    Fatal {
        /// Another producer holds the transactional id.
        fenced: bool,
    },
    /// Nobody knows whether it happened: never retry, never abort, read the committed notes.
    Unknown,
}

/// A transaction call failed.
#[derive(Debug, thiserror::Error)]
#[error("{call} failed: {reason}")]
pub struct TxnError {
    /// Which call.
    pub call: &'static str,
    /// The client's words.
    pub reason: String,
    class: TxnClass,
}

impl TxnError {
    /// A failure of `call`.
    pub fn new(call: &'static str, class: TxnClass, reason: impl Into<String>) -> TxnError {
        TxnError { call, reason: reason.into(), class }
    }

    /// What to do about it.
    pub fn class(&self) -> TxnClass {
        self.class
    }
}

/// A record was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The buffer is full: serve events, call again with the same record.
    #[error("send buffer full")]
    Full,
    /// Larger than the log takes.
    #[error("record of {bytes} bytes is larger than {topic} takes ({max})")]
    TooLarge {
        /// Where it was going.
        topic: String,
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The producer or its transaction is broken.
    #[error(transparent)]
    Txn(#[from] TxnError),
}

/// A topology breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// A name is not one.
    #[error("name {name:?} is malformed: write 1 to 64 of a-z, 0-9, '_', '.', '-', but not '.' or '..'")]
    MalformedName {
        /// As given.
        name: String,
    },
    /// A name stands for two things.
    #[error("name {name:?} is used twice")]
    DuplicateName {
        /// As given.
        name: String,
    },
    /// A parent is missing.
    #[error("node {node:?} has no parent that was declared before it and may have children")]
    UnknownParent {
        /// The child.
        node: String,
    },
    /// A store is of another topology.
    #[error("node {node:?} uses a store that this topology does not have")]
    UnknownStore {
        /// The node.
        node: String,
    },
    /// A store would be named after a number that changes when the topology does.
    #[error("operator {node:?} keeps state and has no name: add .named(\"…\") to it")]
    Nameless {
        /// The node, by its number.
        node: String,
    },
    /// An operator was asked for what cannot be.
    #[error("operator {node:?}: {rule}")]
    Operator {
        /// The operator.
        node: String,
        /// What must be otherwise.
        rule: String,
    },
    /// Nothing would come of a processor.
    #[error("processor {node:?} has neither child nor store: connect it, or say terminal()")]
    NoEffect {
        /// The node.
        node: String,
    },
    /// No processor uses a store.
    #[error("store {store:?} is not used by any processor")]
    UnusedStore {
        /// The store.
        store: String,
    },
    /// Two sub-topologies use one store, but they run in different tasks.
    #[error("store {store:?} is used by two sub-topologies: connect them, or give each its own")]
    SharedStore {
        /// The store.
        store: String,
    },
    /// A topic has two sources in a sub-topology.
    #[error("topic {topic} is read by both {a:?} and {b:?}: one source can have several children")]
    TopicReadTwice {
        /// The topic.
        topic: String,
        /// The earlier source.
        a: String,
        /// The later source.
        b: String,
    },
    /// The order of two inputs is open.
    #[error(
        "sources {a:?} and {b:?} both have rank {rank}: which comes first at one instant? Give different ranks, or both one sequence_domain"
    )]
    EqualRanks {
        /// The rank.
        rank: u16,
        /// The earlier source.
        a: String,
        /// The later source.
        b: String,
    },
    /// Times of two inputs cannot be compared.
    #[error("sources {a:?} and {b:?} are timed by different clocks")]
    TwoClocks {
        /// The earlier source.
        a: String,
        /// The later source.
        b: String,
    },
    /// A sub-topology would feed itself.
    #[error("sink {sink:?} writes {topic}, which its own sub-topology reads")]
    Loop {
        /// The sink.
        sink: String,
        /// The topic.
        topic: String,
    },
    /// An input that several tasks of this application write cannot be merged with another one yet.
    #[error(
        "source {source_node:?} reads what this application writes and is merged with another source: give it a sub-topology of its own"
    )]
    InternalInput {
        /// The source.
        source_node: String,
    },
    /// A topic belongs to the engine.
    #[error("topic {topic} is one that the engine makes for this application: choose another name")]
    DerivedTopic {
        /// The topic.
        topic: String,
    },
}

/// An application stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A transaction failed again and again.
    #[error(transparent)]
    Txn(#[from] TxnError),
    /// A record cannot be sent.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The run was told to end while the cluster was away.
    #[error(
        "ended while the cluster did not answer ({reason}): what was not committed is processed again by the next run"
    )]
    Outage {
        /// What was waited for.
        reason: String,
    },
    /// Topics that are read together do not match.
    #[error("{a} has {n_a} partitions and {b} has {n_b}: topics of one sub-topology need equally many")]
    Partitions {
        /// A topic.
        a: String,
        /// Its partitions.
        n_a: u32,
        /// Another topic.
        b: String,
        /// Its partitions.
        n_b: u32,
    },
    /// A setting is out of range.
    #[error("setting {name} is {value}: {rule}")]
    Setting {
        /// Which.
        name: &'static str,
        /// As given.
        value: String,
        /// What it may be.
        rule: &'static str,
    },
    /// Another process runs as this instance.
    #[error("transactional id {id} is held by another process: stop it, or run with another instance name")]
    Fenced {
        /// The id.
        id: String,
    },
    /// Others share the partitions of this application out in a group; this process would take some of them all the
    /// same.
    #[error(
        "{app} runs as a group of {n} already, which knows nothing of partitions owned by number: stop its members, or share in the same way (setting assignment)"
    )]
    GroupMembers {
        /// The application.
        app: String,
        /// How many members.
        n: usize,
    },
    /// A node gave up, or a panic left it no way on.
    #[error("task {task}, node {node}: {reason}")]
    Node {
        /// The task.
        task: String,
        /// The node.
        node: String,
        /// Its words.
        reason: String,
    },
    /// Too much of the input is unusable.
    #[error(
        "task {task}: {poisoned} of {of} records were refused, last by {node} ({reason}); see {dead_letters}"
    )]
    PoisonRate {
        /// The task.
        task: String,
        /// How many.
        poisoned: u64,
        /// Of how many.
        of: u64,
        /// The last node that refused one.
        node: String,
        /// Why it did.
        reason: String,
        /// Where they are kept.
        dead_letters: String,
    },
    /// Processing the input again did not give what was written the first time.
    #[error(
        "task {task} diverged in epoch {epoch}: {what}; {}",
        if *changed { "it was written under another configuration or topology" }
        else { "the configuration is the same: a processor is not deterministic, or the input was changed" }
    )]
    StateDiverged {
        /// The task.
        task: String,
        /// The epoch whose record differs.
        epoch: u64,
        /// What differs.
        what: String,
        /// The epoch was written by another topology, or under another configuration.
        changed: bool,
    },
    /// A checkpoint is not one of this task.
    #[error("checkpoint of task {task}: {what}; move the state away to rebuild it from the log")]
    CheckpointRefused {
        /// The task.
        task: String,
        /// What does not fit.
        what: String,
    },
    /// Another process goes on with a task.
    #[error(
        "checkpoint of task {task} was written by another process: stop one of them, or give each a state_dir"
    )]
    CheckpointTaken {
        /// The task.
        task: String,
    },
    /// A record of a shared partition does not say whose it is.
    #[error(
        "task {task}: {what}; every writer must put its number and its records' numbers into the headers"
    )]
    SharedInput {
        /// The task.
        task: String,
        /// Which record, and what it lacks.
        what: String,
    },
    /// What the log says about a task's past cannot be read.
    #[error("task {task}: {what}")]
    History {
        /// The task.
        task: String,
        /// What is wrong.
        what: String,
    },
    /// It was told to stop before it was done.
    #[error("stopped before it was done")]
    Interrupted,
    /// A stream thread panicked outside any node.
    #[error("stream thread {thread} {reason}")]
    Panicked {
        /// Which thread.
        thread: u32,
        /// What it said.
        reason: String,
    },
}
