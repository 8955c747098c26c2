//! Sums that tell whether two runs did the same: chains over outputs, digests of state. The only file that
//! knows blake3.
//!
//! ```text
//! enc(b) = len u32 BE · b          null = ff ff ff ff
//! chain:   d₀ = 32 zero bytes      dᵢ₊₁ = blake3(dᵢ · enc(key) · enc(value) · ts i64 BE)
//! digest:  Σ mod 2¹²⁸ of blake3(enc(store) · enc(key) · enc(value))[0..16] as little-endian u128
//! ```

use std::fmt;

use crate::time::Ts;

/// Everything that was written to one partition, in order. Headers do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain(pub [u8; 32]);

impl Chain {
    /// Takes one record in.
    pub fn push(&mut self, key: Option<&[u8]>, value: Option<&[u8]>, ts: Ts) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        encode(&mut hasher, key);
        encode(&mut hasher, value);
        hasher.update(&ts.0.to_be_bytes());
        self.0 = *hasher.finalize().as_bytes();
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What stores hold, whatever the order in which it came to be. A changed entry is removed with its old
/// value and added with its new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateDigest(pub u128);

impl StateDigest {
    /// An entry is there.
    pub fn add(&mut self, store: &str, key: &[u8], value: &[u8]) {
        self.0 = self.0.wrapping_add(entry(store, key, value));
    }

    /// An entry is there no more. It must have been added with the same value.
    pub fn remove(&mut self, store: &str, key: &[u8], value: &[u8]) {
        self.0 = self.0.wrapping_sub(entry(store, key, value));
    }
}

impl fmt::Display for StateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

fn entry(store: &str, key: &[u8], value: &[u8]) -> u128 {
    let mut hasher = blake3::Hasher::new();
    encode(&mut hasher, Some(store.as_bytes()));
    encode(&mut hasher, Some(key));
    encode(&mut hasher, Some(value));
    let mut low = [0; 16];
    low.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    u128::from_le_bytes(low)
}

fn encode(hasher: &mut blake3::Hasher, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => hasher.update(&(bytes.len() as u32).to_be_bytes()).update(bytes),
        None => hasher.update(&u32::MAX.to_be_bytes()),
    };
}
