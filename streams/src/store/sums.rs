//! `Sums`: the digest of a task's stores, kept up to date key by key.

use std::collections::BTreeMap;

use crate::digest::StateDigest;
use crate::record::Key;
use crate::store::base::StoreBase;
use crate::store::{Since, StoreId, Stores};

/// The digest of all entries, and of each one that is known here. What is not is in the checkpoint, for a store
/// that leans on one.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    /// `None`: the entry is gone, but the checkpoint may still have it.
    entries: BTreeMap<(StoreId, Key), Option<u128>>,
    bases: BTreeMap<StoreId, StoreBase>,
    /// Those that are `None`, until the checkpoint knows.
    gone: Vec<(StoreId, Key)>,
    total: StateDigest,
}

impl Sums {
    /// Entries of this store that are not known here are in its checkpoint.
    pub(crate) fn lean_on(&mut self, id: StoreId, base: StoreBase) {
        self.bases.insert(id, base);
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
        let (place, base) = ((id, Key::new(key)), self.bases.get(&id));
        let old = match self.entries.get(&place) {
            Some(known) => *known,
            None => base.and_then(|base| base.get(key)).map(|value| digest(&value)),
        };
        let new = value.map(digest);
        self.total.0 = self.total.0.wrapping_add(new.unwrap_or(0)).wrapping_sub(old.unwrap_or(0));
        if new.is_some() {
            self.entries.insert(place, new);
        } else if base.is_some() {
            self.gone.push(place.clone());
            self.entries.insert(place, None);
        } else {
            self.entries.remove(&place);
        }
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
        for place in std::mem::take(&mut self.gone) {
            if self.entries.get(&place) == Some(&None) {
                self.entries.remove(&place);
            }
        }
    }

    /// The digest of one entry, if there is one. Only of stores that lean on nothing.
    pub(crate) fn entry(&self, id: StoreId, key: &[u8]) -> Option<StateDigest> {
        self.entries.get(&(id, Key::new(key))).copied().flatten().map(StateDigest)
    }

    /// The keys of a store, in order. Only of stores that lean on nothing.
    pub(crate) fn keys(&self, id: StoreId) -> impl Iterator<Item = &Key> {
        let from = (id, Key::new(b""));
        let entries = self.entries.range(from..).take_while(move |((store, _), _)| *store == id);
        entries.filter(|(_, sum)| sum.is_some()).map(|((_, key), _)| key)
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
        assert_eq!(sums.entries.len(), 1, "what is gone from the checkpoint too is forgotten");
        sums.set(ID, "s", b"b", Some(b"6"));
        assert_eq!(sums.total(), of(&[("a", "9"), ("b", "6"), ("c", "3")]));
        bed.base.check().expect("all was answered");
    }
}
