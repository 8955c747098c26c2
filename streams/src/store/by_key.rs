//! `ByKey`: a map from keys that costs one look in memory, for entries of which there may be millions.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::record::Key;

/// In no order: whatever leaves a store is sorted first.
pub(crate) type ByKey<V> = HashMap<Key, V, BuildHasherDefault<KeyHasher>>;

/// Multiplies eight bytes at a time and folds the product, so that every bit of a key reaches every bit of its
/// hash. Keys come from the log, not from an attacker who could choose them to collide, and no order depends on
/// it.
#[derive(Default)]
pub(crate) struct KeyHasher(u64);

const START: u64 = 0x243f_6a88_85a3_08d3;
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let (blocks, rest) = bytes.as_chunks::<8>();
        blocks.iter().for_each(|block| self.write_u64(u64::from_le_bytes(*block)));
        if !rest.is_empty() {
            let last = rest.iter().rev().fold(0, |acc, byte| (acc << 8) | u64::from(*byte));
            self.write_u64(last);
        }
    }

    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }

    fn write_u64(&mut self, n: u64) {
        let product = u128::from(self.0 ^ n ^ START) * u128::from(FACTOR);
        self.0 = product as u64 ^ (product >> 64) as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    use super::*;

    /// Ids that rise by one, as producers of every language write them: as good as drawn by lot, with which
    /// 65,536 keys meet about 63 % of so many places.
    #[test]
    fn keys_that_rise_by_one_spread_over_a_table() {
        let n = 1_u64 << 16;
        let hash = |key: &[u8]| BuildHasherDefault::<KeyHasher>::default().hash_one(Key::new(key));
        type Kind<'a> = (&'a str, &'a dyn Fn(u64) -> Vec<u8>);
        let kinds: [Kind<'_>; 5] = [
            ("u64 big-endian", &|i| i.to_be_bytes().to_vec()),
            ("u64 little-endian", &|i| i.to_le_bytes().to_vec()),
            ("u32 big-endian", &|i| (i as u32).to_be_bytes().to_vec()),
            ("digits", &|i| format!("key-{i}").into_bytes()),
            ("user and digits", &|i| format!("user{i:012}").into_bytes()),
        ];
        for (kind, key) in kinds {
            for shift in [0, 57 - 16] {
                let places: HashSet<u64> = (0..n).map(|i| (hash(&key(i)) >> shift) & (n - 1)).collect();
                assert!(places.len() as u64 > n * 58 / 100, "{kind}: {} places", places.len());
            }
            let tags: HashSet<u64> = (0..n).map(|i| hash(&key(i)) >> 57).collect();
            assert_eq!(tags.len(), 128, "{kind}");
        }
    }
}
