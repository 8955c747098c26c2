//! Names of topics, those that the engine derives, and which partition a key goes to.

use crate::error::LogError;
use crate::log::{TopicName, TopicSpec};

/// Longest name that every log takes.
const NAME_BYTES_MAX: usize = 249;

/// Refuses what one of the logs would not take: a name that is not 1 to 249 of `[a-zA-Z0-9._-]`, or is `.`
/// or `..`; no partitions.
///
/// # Errors
/// [`LogError::Client`] with the rule.
pub fn check(spec: &TopicSpec) -> Result<(), LogError> {
    let refused = |reason: &str| {
        let what = format!("topic {:?}", spec.name.as_str());
        Err(LogError::Client { what, reason: reason.to_owned(), retriable: false })
    };
    if !well_formed(spec.name.as_str()) {
        return refused("a name is 1 to 249 letters, digits, dots, underscores and hyphens");
    }
    if spec.partitions == 0 {
        return refused("a topic has at least one partition");
    }
    Ok(())
}

fn well_formed(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(legal) && name != "." && name != ".."
}

/// Where an application keeps what every epoch decided.
pub fn decisions(app: &str) -> TopicName {
    TopicName::new(&format!("{app}-decisions"))
}

/// Where inputs go that it could not process.
pub fn dead_letter(app: &str) -> TopicName {
    TopicName::new(&format!("{app}-dead-letter"))
}

/// Where late records go, if they are wanted.
pub fn late(app: &str) -> TopicName {
    TopicName::new(&format!("{app}-late"))
}

/// Where records go that get another key, on their way to the tasks of that key.
pub fn repartition(app: &str, name: &str) -> TopicName {
    TopicName::new(&format!("{app}-{name}-repartition"))
}

/// From where a store can be rebuilt.
pub fn changelog(app: &str, store: &str) -> TopicName {
    TopicName::new(&format!("{app}-{store}-changelog"))
}

/// The partition of a key, the same on every log: `(murmur2(key) & 0x7fffffff) mod partitions`, as Kafka's
/// own clients for Java do it.
///
/// # Panics
/// If there are no partitions.
pub fn partition(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions
}

/// Kafka's Java flavour of MurmurHash2: seed 0x9747b28c, the rest of a block taken from its low bytes up.
fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ key.len() as u32;
    let (blocks, rest) = key.as_chunks::<4>();
    for block in blocks {
        let mut k = u32::from_le_bytes(*block).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    if !rest.is_empty() {
        let last = rest.iter().rev().fold(0, |acc, &byte| (acc << 8) | u32::from(byte));
        hash = (hash ^ last).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_hash_as_in_kafkas_java_client() {
        let golden = [
            ("BTCUSDT", -841_713_390, 2, 18),
            ("ETHUSDT", 616_678_109, 5, 29),
            ("BTC-USDT", -1_797_938_610, 6, 14),
            ("600519.SH", -1_807_954_771, 5, 45),
            ("000001.SZ", -623_719_019, 5, 21),
            ("foobar", -790_332_482, 6, 62),
            ("21", -973_932_308, 4, 44),
        ];
        for (key, hash, of_8, of_64) in golden {
            let key = key.as_bytes();
            assert_eq!((murmur2(key) as i32, partition(key, 8), partition(key, 64)), (hash, of_8, of_64));
        }
    }

    #[test]
    fn names_that_a_broker_would_refuse_are_refused() {
        for good in ["market.binance-usdm", "lob-books-changelog", "a"] {
            assert!(well_formed(good), "{good}");
        }
        for bad in ["", ".", "..", "a b", "a/b", "é", &"x".repeat(250)] {
            assert!(!well_formed(bad), "{bad}");
        }
    }
}
