//! How far a partition is stored, and how to tell whether it is still the same log.

use lobstream_streams::record::{InRecord, Offset};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::codec::json::Canonical;

/// Position of a store in a partition.
///
/// Offsets alone would take any other log that is long enough for the one that was read, and skip its
/// beginning without a word; so the last record is remembered too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Next offset to read.
    #[serde(with = "number")]
    pub next: Offset,
    /// Offset of the last record read.
    #[serde(with = "number")]
    pub last: Offset,
    /// First 16 hex digits of the SHA-256 of its key and value.
    pub check: String,
}

impl Canonical for Cursor {}

impl Cursor {
    /// The cursor after a record.
    pub fn after(record: &InRecord<'_>) -> Cursor {
        Cursor { next: Offset(record.offset.0 + 1), last: record.offset, check: check(record) }
    }

    /// Is this the last record that was read?
    pub fn follows(&self, record: &InRecord<'_>) -> bool {
        self.last == record.offset && self.check == check(record)
    }
}

fn check(record: &InRecord<'_>) -> String {
    let key = record.key.unwrap_or_default();
    let mut hash = Sha256::new();
    hash.update((key.len() as u64).to_be_bytes());
    hash.update(key);
    hash.update(record.value.unwrap_or_default());
    hex(&hash.finalize()[..8])
}

/// Bytes as lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// An offset as a plain number.
mod number {
    use lobstream_streams::record::Offset;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(offset: &Offset, into: S) -> Result<S::Ok, S::Error> {
        into.serialize_u64(offset.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Offset, D::Error> {
        u64::deserialize(from).map(Offset)
    }
}

#[cfg(test)]
mod tests {
    use lobstream_streams::record::Batch;
    use lobstream_streams::time::Ts;

    use super::*;

    fn batch(offset: u64, key: &[u8], value: &[u8]) -> Batch {
        let mut batch = Batch::default();
        batch.push(Offset(offset), Ts(0), 0, Some(key), Some(value), std::iter::empty());
        batch
    }

    #[test]
    fn a_cursor_knows_its_record_from_any_other() {
        let same = batch(7, b"BTC", b"USDT");
        let cursor = Cursor::after(&same.get(0).expect("pushed"));
        assert_eq!((cursor.next, cursor.last), (Offset(8), Offset(7)));
        // printf '\0\0\0\0\0\0\0\3BTCUSDT' | sha256sum
        assert_eq!(cursor.check, "7149a17611be8e9e");
        assert!(cursor.follows(&same.get(0).expect("pushed")));
        for other in [batch(8, b"BTC", b"USDT"), batch(7, b"BTCU", b"SDT"), batch(7, b"BTC", b"USDC")] {
            assert!(!cursor.follows(&other.get(0).expect("pushed")));
        }
    }
}
