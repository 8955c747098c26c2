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
