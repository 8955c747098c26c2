//! What a log holds: records, their keys and headers, and batches that are read without copying twice.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use crate::time::Ts;

/// Name of a topic, `<kind>.<venue>` or derived from an application's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(Arc<str>);

impl TopicName {
    /// The name as written.
    pub fn new(name: &str) -> TopicName {
        TopicName(name.into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tp {
    /// The topic.
    pub topic: TopicName,
    /// From 0.
    pub partition: u32,
}

impl Tp {
    /// A partition of a topic.
    pub fn new(topic: &TopicName, partition: u32) -> Tp {
        Tp { topic: topic.clone(), partition }
    }
}

impl fmt::Display for Tp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// Place of a record in its partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub u64);

/// Header names that the engine reserves.
pub mod header {
    /// Event time, i64 big-endian ns (on logs whose records have only milliseconds).
    pub const TS: &str = "ts";
    /// Sequence number, u64 big-endian, absent when 0.
    pub const SEQ: &str = "seq";
    /// The input record that caused an output: topic rank u16 · partition u32 · offset u64 · k u32.
    pub const SRC: &str = "src";
    /// Which of the writers that share a partition wrote a record, u16 big-endian.
    pub const ORIGIN: &str = "origin";
    /// The number that this writer gave it, u64 big-endian: rising within origin and partition.
    pub const OSEQ: &str = "oseq";
    /// How manieth correction of a result, u32 big-endian; absent on the first result.
    pub const REVISION: &str = "revision";
    /// How late a record was, i64 big-endian ns: stream time − its time.
    pub const LATE_BY: &str = "late_by";
    /// Why a record was refused.
    pub const DLQ_REASON: &str = "dlq.reason";
    /// The node that refused it.
    pub const DLQ_NODE: &str = "dlq.node";
    /// `topic/partition/offset` of the refused record.
    pub const DLQ_SRC: &str = "dlq.src";
    /// The epoch in which it was refused.
    pub const DLQ_EPOCH: &str = "dlq.epoch";
}

/// A name and its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// At most 255 bytes.
    pub name: &'a str,
    /// Anything.
    pub value: &'a [u8],
}

/// A record on its way into the log. The partition is explicit.
#[derive(Clone, Copy, Debug)]
pub struct OutRecord<'a> {
    /// Where it goes.
    pub tp: &'a Tp,
    /// `None` only for topics that are written round-robin.
    pub key: Option<&'a [u8]>,
    /// `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Event time.
    pub ts: Ts,
    /// 0 = none.
    pub seq: u64,
    /// Beyond `ts` and `seq`.
    pub headers: &'a [Header<'a>],
}

/// A record as read, borrowed from its [`Batch`].
#[derive(Clone, Copy, Debug)]
pub struct InRecord<'a> {
    /// Its place in the partition.
    pub offset: Offset,
    /// Event time.
    pub ts: Ts,
    /// 0 = none.
    pub seq: u64,
    /// `None`: written without a key.
    pub key: Option<&'a [u8]>,
    /// `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers beyond `ts` and `seq`.
    pub headers: Headers<'a>,
}

/// The headers of one record, in written order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    packed: &'a [u8],
}

impl<'a> Headers<'a> {
    /// The bytes of the first header of this name.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.iter().find(|h| h.name == name).map(|h| h.value)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Header<'a>> + use<'a> {
        let mut rest = self.packed;
        std::iter::from_fn(move || {
            let (&name_len, tail) = rest.split_first()?;
            let (name, tail) = tail.split_at(usize::from(name_len));
            let (len, tail) = tail.split_first_chunk::<4>()?;
            let (value, tail) = tail.split_at(u32::from_be_bytes(*len) as usize);
            rest = tail;
            Some(Header { name: std::str::from_utf8(name).unwrap_or(""), value })
        })
    }
}

/// Records of one partition in offset order, all in one allocation that is reused.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    offset: Offset,
    ts: Ts,
    seq: u64,
    start: usize,
    key: Option<u32>,
    value: Option<u32>,
    headers: u32,
}

impl Batch {
    /// Forgets the records, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.rows.clear();
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// No record?
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes of keys, values and headers.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Appends one record, copying its bytes.
    pub fn push<'h>(
        &mut self,
        offset: Offset,
        ts: Ts,
        seq: u64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = Header<'h>>,
    ) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key.unwrap_or_default());
        self.bytes.extend_from_slice(value.unwrap_or_default());
        let before = self.bytes.len();
        for h in headers {
            let name = &h.name.as_bytes()[..h.name.len().min(255)];
            self.bytes.push(name.len() as u8);
            self.bytes.extend_from_slice(name);
            self.bytes.extend_from_slice(&(h.value.len() as u32).to_be_bytes());
            self.bytes.extend_from_slice(h.value);
        }
        let headers = (self.bytes.len() - before) as u32;
        let len = |b: Option<&[u8]>| b.map(|b| b.len() as u32);
        self.rows.push(Row { offset, ts, seq, start, key: len(key), value: len(value), headers });
    }

    /// The i-th record.
    pub fn get(&self, i: usize) -> Option<InRecord<'_>> {
        let row = self.rows.get(i)?;
        let (key_len, value_len) = (row.key.unwrap_or(0) as usize, row.value.unwrap_or(0) as usize);
        let key = &self.bytes[row.start..row.start + key_len];
        let at = row.start + key_len;
        let value = &self.bytes[at..at + value_len];
        let at = at + value_len;
        let packed = &self.bytes[at..at + row.headers as usize];
        Some(InRecord {
            offset: row.offset,
            ts: row.ts,
            seq: row.seq,
            key: row.key.map(|_| key),
            value: row.value.map(|_| value),
            headers: Headers { packed },
        })
    }

    /// All records in offset order.
    pub fn iter(&self) -> impl Iterator<Item = InRecord<'_>> {
        (0..self.rows.len()).filter_map(|i| self.get(i))
    }
}

/// The bytes by which records belong together. Up to 22 bytes lie in place, longer keys are shared, so a
/// clone never copies much and seldom allocates.
#[derive(Clone)]
pub struct Key(Bytes);

const IN_PLACE: usize = 22;

#[derive(Clone)]
enum Bytes {
    InPlace { len: u8, bytes: [u8; IN_PLACE] },
    Shared(Arc<[u8]>),
}

impl Key {
    /// A key of these bytes.
    pub fn new(key: &[u8]) -> Key {
        if key.len() > IN_PLACE {
            return Key(Bytes::Shared(key.into()));
        }
        let mut bytes = [0; IN_PLACE];
        bytes[..key.len()].copy_from_slice(key);
        Key(Bytes::InPlace { len: key.len() as u8, bytes })
    }
}

impl Deref for Key {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::InPlace { len, bytes } => &bytes[..usize::from(*len)],
            Bytes::Shared(bytes) => bytes,
        }
    }
}

impl From<&[u8]> for Key {
    fn from(key: &[u8]) -> Key {
        Key::new(key)
    }
}

impl From<&str> for Key {
    fn from(key: &str) -> Key {
        Key::new(key.as_bytes())
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        **self == **other
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Key) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Key) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.escape_ascii())
    }
}

/// A decoded record inside a topology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<M> {
    /// By which it belongs to others.
    pub key: Key,
    /// What it says.
    pub value: M,
    /// Event time.
    pub ts: Ts,
    /// 0 = none.
    pub seq: u64,
}

impl<M> Record<M> {
    /// A record without a sequence number.
    pub fn new(key: Key, value: M, ts: Ts) -> Record<M> {
        Record { key, value, ts, seq: 0 }
    }
}

/// A record without value: what its key stood for is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Of what is gone.
    pub key: Key,
    /// Since when.
    pub ts: Ts,
    /// 0 = none.
    pub seq: u64,
}

/// Turns values into bytes and back. Equal values give equal bytes: output digests depend on it.
pub trait Codec<M>: Send + Sync {
    /// Appends the bytes of `value`; what `into` holds already must stay.
    ///
    /// # Errors
    /// This codec cannot write a value of this kind; the record becomes a dead letter.
    fn encode(&self, value: &M, into: &mut Vec<u8>) -> Result<(), CodecError>;
    /// The value that these bytes say.
    ///
    /// # Errors
    /// They say none; the record becomes a dead letter.
    fn decode(&self, bytes: &[u8]) -> Result<M, CodecError>;
}

/// Bytes and values do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CodecError(pub String);

impl CodecError {
    /// With a sentence that says what does not fit.
    pub fn new(what: impl Into<String>) -> CodecError {
        CodecError(what.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_bytes_wherever_they_lie() {
        for text in ["", "BTCUSDT", "exactly-twenty-two-byt", "twenty-three-bytes-long", &"x".repeat(480)] {
            let key = Key::from(text);
            assert_eq!((&*key, &key.clone()), (text.as_bytes(), &key));
        }
        assert!(Key::from("a") < Key::from("aa") && Key::from("aa") < Key::from(&*"b".repeat(30)));
        assert_eq!(size_of::<Key>(), 24, "a record's key fits three words");
    }

    #[test]
    fn a_batch_gives_back_what_was_pushed() {
        let mut batch = Batch::default();
        let headers = [Header { name: "src", value: b"abc" }, Header { name: "x", value: b"" }];
        batch.push(Offset(7), Ts(-5), 3, Some(b"k"), Some(b"value"), headers.into_iter());
        batch.push(Offset(9), Ts(2), 0, None, None, std::iter::empty());
        let first = batch.get(0).expect("pushed");
        assert_eq!((first.offset, first.ts, first.seq), (Offset(7), Ts(-5), 3));
        assert_eq!((first.key, first.value), (Some(&b"k"[..]), Some(&b"value"[..])));
        assert_eq!(first.headers.iter().collect::<Vec<_>>(), headers);
        assert_eq!(first.headers.get("x"), Some(&b""[..]));
        let second = batch.get(1).expect("pushed");
        assert_eq!((second.key, second.value, second.headers.get("src")), (None, None, None));
        assert!(batch.get(2).is_none());
    }
}
