//! What a log holds: records, their keys and headers, and batches that are read without copying twice.

use crate::time::Ts;

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
    pub tp: &'a crate::log::Tp,
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

#[cfg(test)]
mod tests {
    use super::*;

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
