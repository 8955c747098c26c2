//! `ByKey`: a map from keys that costs one look in memory, for entries of which there may be millions.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::record::Key;

/// In no order: whatever leaves a store is sorted first.
pub(crate) type ByKey<V> = HashMap<Key, V, BuildHasherDefault<KeyHasher>>;

/// Multiplies eight bytes at a time. Keys come from the log, not from an attacker who could choose them to
/// collide, and no order depends on it.
#[derive(Default)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        let (blocks, rest) = bytes.as_chunks::<8>();
        blocks.iter().for_each(|block| self.write_u64(u64::from_le_bytes(*block)));
        let last = rest.iter().rev().fold(0, |acc, byte| (acc << 8) | u64::from(*byte));
        self.write_u64(last);
    }

    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(5) ^ n).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}
