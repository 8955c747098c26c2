//! How the log lies in its environment. All numbers are big-endian, so byte order is number order.
//!
//! ```text
//! log.topics      name                                       magic 1 u8 | id u32 | partitions u32 | retention ns u64 | compact u8
//! log.partitions  topic u32 | partition u32                  first u64 | end u64 | ts_max i64
//! log.batches     topic u32 | partition u32 | base u64       magic 1 u8 | n u32 | eff_max i64 | LZ4 frame of n records
//! log.groups      topic u32 | partition u32 | group          offset u64 | note
//! log.producers   transactional id                           epoch u64
//!
//! record          ts i64 | seq u64 | klen u32 | key | vlen u32 | value | headers u16 { klen u8 | key | vlen u32 | value }
//! ```
//! A length of `ffffffff` is null; a retention of `ffffffffffffffff` keeps for ever. `eff_max` is the greatest
//! `ts` of the partition up to the end of the batch.

use std::time::Duration;

use crate::error::StoreError;
use crate::lmdb::{Db, Env};
use crate::record::{Batch, Header, Offset, OutRecord};
use crate::time::Ts;

/// Version of topics and batches.
const MAGIC: u8 = 1;
const NULL: u32 = u32::MAX;
const KEEP: u64 = u64::MAX;
/// Bytes of a batch before its frame.
pub(super) const BATCH_HEAD: usize = 13;

/// The databases of the log. Names that begin with `log.` belong to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tables {
    pub(super) topics: Db,
    pub(super) partitions: Db,
    pub(super) batches: Db,
    pub(super) groups: Db,
    pub(super) producers: Db,
}

impl Tables {
    pub(super) fn open(env: &Env) -> Result<Tables, StoreError> {
        Ok(Tables {
            topics: env.database("log.topics")?,
            partitions: env.database("log.partitions")?,
            batches: env.database("log.batches")?,
            groups: env.database("log.groups")?,
            producers: env.database("log.producers")?,
        })
    }
}

/// What is known of a topic. It never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Topic {
    pub(super) id: u32,
    pub(super) partitions: u32,
    pub(super) retention: Option<Duration>,
    pub(super) compact: bool,
}

impl Topic {
    pub(super) fn encode(&self) -> Vec<u8> {
        let retention = self.retention.map_or(KEEP, nanos);
        let mut bytes = vec![MAGIC];
        bytes.extend(self.id.to_be_bytes());
        bytes.extend(self.partitions.to_be_bytes());
        bytes.extend(retention.to_be_bytes());
        bytes.push(u8::from(self.compact));
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Topic> {
        let mut reader = Reader(bytes);
        if reader.array::<1>()? != [MAGIC] {
            return None;
        }
        let (id, partitions, retention) = (reader.u32()?, reader.u32()?, reader.u64()?);
        let compact = reader.array::<1>()? == [1];
        let retention = (retention != KEEP).then(|| Duration::from_nanos(retention));
        Some(Topic { id, partitions, retention, compact })
    }
}

/// Whole nanoseconds, below the value that stands for ever.
fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(KEEP).min(KEEP - 1)
}

/// A partition by numbers: the first bytes of the keys of everything in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PartitionId {
    pub(super) topic: u32,
    pub(super) partition: u32,
}

impl PartitionId {
    pub(super) fn key(self) -> [u8; 8] {
        ((u64::from(self.topic) << 32) | u64::from(self.partition)).to_be_bytes()
    }

    pub(super) fn batch_key(self, base: u64) -> [u8; 16] {
        ((u128::from(u64::from_be_bytes(self.key())) << 64) | u128::from(base)).to_be_bytes()
    }

    pub(super) fn group_key(self, group: &str) -> Vec<u8> {
        [&self.key()[..], group.as_bytes()].concat()
    }
}

/// What a partition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) first: u64,
    pub(super) end: u64,
    /// Greatest `ts` ever written.
    pub(super) ts_max: i64,
}

impl Extent {
    /// Nothing was written yet.
    pub(super) const EMPTY: Extent = Extent { first: 0, end: 0, ts_max: i64::MIN };

    pub(super) fn encode(&self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.first.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.end.to_be_bytes());
        bytes[16..].copy_from_slice(&self.ts_max.to_be_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Extent> {
        let mut reader = Reader(bytes);
        Some(Extent { first: reader.u64()?, end: reader.u64()?, ts_max: reader.u64()? as i64 })
    }
}

/// A batch as stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoredBatch<'a> {
    pub(super) base: u64,
    pub(super) n: u32,
    pub(super) eff_max: i64,
    pub(super) frame: &'a [u8],
}

impl<'a> StoredBatch<'a> {
    pub(super) fn decode(key: &[u8], value: &'a [u8]) -> Option<StoredBatch<'a>> {
        let base = u64::from_be_bytes(*key.last_chunk::<8>()?);
        let mut reader = Reader(value);
        if reader.array::<1>()? != [MAGIC] {
            return None;
        }
        let (n, eff_max) = (reader.u32()?, reader.u64()? as i64);
        Some(StoredBatch { base, n, eff_max, frame: reader.0 })
    }

    /// One past its last record.
    pub(super) fn end(&self) -> u64 {
        self.base + u64::from(self.n)
    }
}

/// Writes what stands before the frame; `bytes` holds at least [`BATCH_HEAD`].
pub(super) fn put_batch_head(bytes: &mut [u8], n: u32, eff_max: i64) {
    bytes[0] = MAGIC;
    bytes[1..5].copy_from_slice(&n.to_be_bytes());
    bytes[5..BATCH_HEAD].copy_from_slice(&eff_max.to_be_bytes());
}

/// Bytes of a record as stored.
pub(super) fn record_len(record: &OutRecord<'_>) -> usize {
    let text = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    let headers: usize = record.headers.iter().map(|h| 5 + h.name.len() + h.value.len()).sum();
    26 + text(record.key) + text(record.value) + headers
}

/// Appends a record. Header names have at most 255 bytes, and there are at most 65535 of them.
pub(super) fn put_record(into: &mut Vec<u8>, record: &OutRecord<'_>) {
    into.extend(record.ts.0.to_be_bytes());
    into.extend(record.seq.to_be_bytes());
    for bytes in [record.key, record.value] {
        into.extend(bytes.map_or(NULL, |b| b.len() as u32).to_be_bytes());
        into.extend_from_slice(bytes.unwrap_or_default());
    }
    into.extend((record.headers.len() as u16).to_be_bytes());
    for header in record.headers {
        into.push(header.name.len() as u8);
        into.extend_from_slice(header.name.as_bytes());
        into.extend((header.value.len() as u32).to_be_bytes());
        into.extend_from_slice(header.value);
    }
}

/// Reads records one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// Copies the next record into `batch`. `None`: the bytes are not a record.
    pub(super) fn copy_record(&mut self, offset: Offset, batch: &mut Batch) -> Option<()> {
        let (ts, seq) = (Ts(self.u64()? as i64), self.u64()?);
        let (key, value) = (self.nullable()?, self.nullable()?);
        let n = u16::from_be_bytes(self.array()?);
        let headers = *self;
        for _ in 0..n {
            self.header()?;
        }
        let mut headers = Reader(&headers.0[..headers.0.len() - self.0.len()]);
        batch.push(offset, ts, seq, key, value, std::iter::from_fn(|| headers.header()));
        Some(())
    }

    /// Steps over the next record and tells its time.
    pub(super) fn skip_record(&mut self) -> Option<Ts> {
        let ts = Ts(self.u64()? as i64);
        self.u64()?;
        self.nullable()?;
        self.nullable()?;
        for _ in 0..u16::from_be_bytes(self.array()?) {
            self.header()?;
        }
        Some(ts)
    }

    fn header(&mut self) -> Option<Header<'a>> {
        let [name_len] = self.array()?;
        let name = std::str::from_utf8(self.bytes(usize::from(name_len))?).ok()?;
        let value_len = self.u32()?;
        Some(Header { name, value: self.bytes(value_len as usize)? })
    }

    fn nullable(&mut self) -> Option<Option<&'a [u8]>> {
        match self.u32()? {
            NULL => Some(None),
            len => self.bytes(len as usize).map(Some),
        }
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{TopicName, Tp};
    use crate::lz4;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn unhex(text: &str) -> Vec<u8> {
        let digit = |c: u8| (c as char).to_digit(16).expect("hex") as u8;
        text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
    }

    /// A record without key or headers, then a tombstone with two headers.
    const RECORDS: &str = concat!(
        "00000000000000050000000000000000ffffffff0000000161",
        "0000",
        "fffffffffffffffe00000000000000070000000300626bffffffff",
        "00020373726300000002beef",
        "017800000000",
    );

    /// Both records in a batch of the first version; its frame holds them uncompressed.
    const BATCH_V1: &str = concat!(
        "0100000002000000000000000504224d186c404800000000000000d048000080000000000000000500000000",
        "00000000ffffffff00000001610000fffffffffffffffe00000000000000070000000300626bffffffff0002",
        "0373726300000002beef0178000000000000000098ef4aa1",
    );

    #[test]
    fn batches_of_the_first_version_are_read_for_ever() {
        let stored = unhex(BATCH_V1);
        let key = PartitionId { topic: 1, partition: 2 }.batch_key(40);
        assert_eq!(hex(&key), "00000001000000020000000000000028");
        let batch = StoredBatch::decode(&key, &stored).expect("a batch");
        assert_eq!((batch.base, batch.end(), batch.eff_max), (40, 42, 5));
        assert_eq!(hex(&lz4::decompress(batch.frame, 1_000).expect("a frame")), RECORDS);
        let other_version = [&[2], &stored[1..]].concat();
        assert!(StoredBatch::decode(&key, &other_version).is_none());
    }

    #[test]
    fn topics_and_partitions_of_the_first_version_are_read_for_ever() {
        let retention = Some(Duration::from_nanos(9));
        let topic = Topic { id: 3, partitions: 8, retention, compact: true };
        assert_eq!(hex(&topic.encode()), "010000000300000008000000000000000901");
        assert_eq!(Topic::decode(&topic.encode()), Some(topic));
        let kept = Topic { retention: None, compact: false, ..topic };
        assert_eq!(hex(&kept.encode()), "010000000300000008ffffffffffffffff00");
        assert_eq!(Topic::decode(&kept.encode()), Some(kept));
        let extent = Extent { first: 1, end: 2, ts_max: -3 };
        assert_eq!(hex(&extent.encode()), "00000000000000010000000000000002fffffffffffffffd");
        assert_eq!(Extent::decode(&extent.encode()), Some(extent));
    }

    #[test]
    fn records_are_stored_as_the_page_draws_them() {
        let tp = Tp::new(&TopicName::new("t"), 0);
        let headers = [Header { name: "src", value: &[0xbe, 0xef] }, Header { name: "x", value: b"" }];
        let first = OutRecord { tp: &tp, key: None, value: Some(b"a"), ts: Ts(5), seq: 0, headers: &[] };
        let second =
            OutRecord { tp: &tp, key: Some(b"\0bk"), value: None, ts: Ts(-2), seq: 7, headers: &headers };
        let mut plain = Vec::new();
        for record in [&first, &second] {
            let before = plain.len();
            put_record(&mut plain, record);
            assert_eq!(plain.len() - before, record_len(record));
        }
        assert_eq!(hex(&plain), RECORDS);
    }

    #[test]
    fn a_cut_record_is_not_a_record() {
        let plain = unhex(RECORDS);
        for cut in 0..plain.len() {
            let mut reader = Reader(&plain[..cut]);
            let mut batch = Batch::default();
            let whole = (0..2).take_while(|&i| reader.copy_record(Offset(i), &mut batch).is_some()).count();
            let mut reader = Reader(&plain[..cut]);
            let skipped = (0..2).take_while(|_| reader.skip_record().is_some()).count();
            let expected = usize::from(cut >= 27);
            assert_eq!((whole, batch.len(), skipped), (expected, expected, expected), "cut at {cut}");
        }
    }
}
