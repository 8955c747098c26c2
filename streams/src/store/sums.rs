//! `Sums`: the digest of a task's stores, kept up to date key by key.

use std::collections::BTreeMap;

use crate::digest::StateDigest;
use crate::record::Key;
use crate::store::base::StoreBase;
use crate::store::by_key::ByKey;
use crate::store::{Since, StoreId, Stores};

/// The digest of all entries, and of each one that is known here. What is not is in the checkpoint, for a store
/// that leans on one.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    stores: BTreeMap<StoreId, OfStore>,
    total: StateDigest,
}

#[derive(Debug, Default)]
struct OfStore {
    /// `None`: the entry is gone, but the checkpoint may still have it.
    entries: ByKey<Option<u128>>,
    /// Has what is not in `entries`.
    base: Option<StoreBase>,
    /// Those that are `None`, until the checkpoint knows.
    gone: Vec<Key>,
}

impl OfStore {
    /// A key has another digest now; the one it had.
    fn put(&mut self, key: &[u8], new: Option<u128>, digest: impl Fn(&[u8]) -> u128) -> Option<u128> {
        let old = match self.entries.get_mut(key) {
            Some(known) => std::mem::replace(known, new),
            None => {
                if new.is_some() || self.base.is_some() {
                    self.entries.insert(Key::new(key), new);
                }
                self.base.as_ref().and_then(|base| base.get(key)).map(|value| digest(&value))
            }
        };
        if new.is_none() && self.base.is_some() {
            self.gone.push(Key::new(key));
        } else if new.is_none() {
            self.entries.remove(key);
        }
        old
    }

    fn settled(&mut self) {
        for key in std::mem::take(&mut self.gone) {
            if self.entries.get(&key) == Some(&None) {
                self.entries.remove(&key);
            }
        }
    }
}

impl Sums {
    /// Entries of this store that are not known here are in its checkpoint.
    pub(crate) fn lean_on(&mut self, id: StoreId, base: StoreBase) {
        self.stores.entry(id).or_default().base = Some(base);
    }

    /// Stores lean on a checkpoint, and this is the digest of it.
    pub(crate) fn begin_at(&mut self, total: StateDigest) {
        self.total = total;
    }

    /// A key has this value now.
    pub(crate) fn set(&mut self, id: StoreId, store: &str, key: &[u8], value: Option<&[u8]>) {
        let digest = |value: &[u8]| {
            let mut one = StateDigest::default();
            one.add(store, key, value);
            one.0
        };
        let new = value.map(digest);
        let old = self.stores.entry(id).or_default().put(key, new, digest);
        self.total.0 = self.total.0.wrapping_add(new.unwrap_or(0)).wrapping_sub(old.unwrap_or(0));
    }

    /// Learns of everything that changed since the last checkpoint.
    pub(crate) fn absorb(&mut self, stores: &Stores) -> StateDigest {
        for slot in &stores.0 {
            slot.store
                .changed(Since::Checkpoint, &mut |key, value| self.set(slot.id, &slot.name, key, value));
        }
        self.total
    }

    /// What was absorbed is in the checkpoint now.
    pub(crate) fn settled(&mut self) {
        self.stores.values_mut().for_each(OfStore::settled);
    }

    /// The digest of one entry, if there is one. Only of stores that lean on nothing.
    pub(crate) fn entry(&self, id: StoreId, key: &[u8]) -> Option<StateDigest> {
        self.stores.get(&id)?.entries.get(key).copied().flatten().map(StateDigest)
    }

    /// The keys of a store, in no order. Only of stores that lean on nothing.
    pub(crate) fn keys(&self, id: StoreId) -> impl Iterator<Item = &Key> {
        let entries = self.stores.get(&id).into_iter().flat_map(|of| &of.entries);
        entries.filter(|(_, sum)| sum.is_some()).map(|(key, _)| key)
    }

    /// The digest of all entries.
    pub(crate) fn total(&self) -> StateDigest {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::base::tests::Bed;

    const ID: StoreId = StoreId(3);

    fn of(entries: &[(&str, &str)]) -> StateDigest {
        let mut sum = StateDigest::default();
        entries.iter().for_each(|(key, value)| sum.add("s", key.as_bytes(), value.as_bytes()));
        sum
    }

    #[test]
    fn what_the_checkpoint_holds_counts_until_it_is_changed() {
        let bytes = |text: &str| text.as_bytes().to_vec();
        let bed = Bed::new(&[(bytes("a"), bytes("1")), (bytes("b"), bytes("2")), (bytes("c"), bytes("3"))]);
        let mut sums = Sums::default();
        sums.lean_on(ID, bed.base.of("s"));
        sums.begin_at(of(&[("a", "1"), ("b", "2"), ("c", "3")]));
        sums.set(ID, "s", b"a", Some(b"9"));
        sums.set(ID, "s", b"b", None);
        sums.set(ID, "s", b"d", Some(b"4"));
        assert_eq!(sums.total(), of(&[("a", "9"), ("c", "3"), ("d", "4")]));
        sums.set(ID, "s", b"b", Some(b"5"));
        assert_eq!(sums.total(), of(&[("a", "9"), ("b", "5"), ("c", "3"), ("d", "4")]), "not b of before");
        sums.set(ID, "s", b"b", None);
        sums.set(ID, "s", b"d", None);
        bed.write(2, [(bytes("a"), Some(bytes("9"))), (bytes("b"), None)].into_iter());
        bed.base.moved_to(2);
        sums.settled();
        assert_eq!(sums.stores[&ID].entries.len(), 1, "what is gone from the checkpoint too is forgotten");
        sums.set(ID, "s", b"b", Some(b"6"));
        assert_eq!(sums.total(), of(&[("a", "9"), ("b", "6"), ("c", "3")]));
        bed.base.check().expect("all was answered");
    }
}
