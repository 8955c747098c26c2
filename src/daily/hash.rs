//! Hashes of inputs, settings and rows, by which a job is told to have been done already.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// Collects what a job depends on, and gives one short text for it.
#[derive(Default)]
pub(super) struct Hasher(Sha256);

impl Hasher {
    /// Adds a part; parts cannot run into each other.
    pub(super) fn add(&mut self, part: impl AsRef<[u8]>) {
        let part = part.as_ref();
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    /// 32 hex digits.
    pub(super) fn finish(self) -> String {
        hex(&self.0.finalize()[..16])
    }
}

/// The hash of a few parts.
pub(super) fn of<T: AsRef<[u8]>>(parts: impl IntoIterator<Item = T>) -> String {
    let mut hasher = Hasher::default();
    parts.into_iter().for_each(|p| hasher.add(p));
    hasher.finish()
}

/// What one element adds to the digest of a set; the sum does not depend on their order.
pub(super) fn element(bytes: &[u8]) -> u128 {
    let mut first = [0; 16];
    first.copy_from_slice(&Sha256::digest(bytes)[..16]);
    u128::from_le_bytes(first)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a text takes everything");
        text
    })
}
