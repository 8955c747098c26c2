//! `Kv`: an ordered map of bytes to bytes, with one record's changes undone if the record fails.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use crate::record::{CodecError, Key};
use crate::store::{
    Changelog, Failure, KEY_MAX, OnChange, Origin, Since, Store, StoreDefinition, StoreKind, StoreSpec,
};

/// Declares a key-value store.
#[derive(Clone, Debug)]
pub struct Kv {
    name: String,
    changelog: Changelog,
}

impl Kv {
    /// With a name that is unique in the topology.
    pub fn new(name: &str) -> Kv {
        Kv { name: name.to_owned(), changelog: Changelog::Auto }
    }

    /// Whether a topic keeps a copy.
    pub fn changelog(self, changelog: Changelog) -> Kv {
        Kv { changelog, ..self }
    }
}

impl StoreDefinition for Kv {
    fn spec(self) -> StoreSpec {
        let make = Arc::new(|| Box::new(KvStore::default()) as Box<dyn Store>);
        StoreSpec { name: self.name, kind: StoreKind::Kv, changelog: self.changelog, make }
    }
}

/// The entries of one partition.
#[derive(Debug, Default)]
pub struct KvStore {
    entries: BTreeMap<Key, Vec<u8>>,
    journal: Vec<(Key, Option<Vec<u8>>)>,
    changed_in_epoch: BTreeSet<Key>,
    changed_since_checkpoint: BTreeSet<Key>,
    dirty_bytes: usize,
}

impl KvStore {
    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.entries.get(key).map(Vec::as_slice)
    }

    /// Sets the value of a key.
    ///
    /// # Panics
    /// If the key is longer than [`KEY_MAX`]: the record becomes a dead letter.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        assert!(key.len() <= KEY_MAX, "a key of {} bytes, {KEY_MAX} are possible", key.len());
        let key = Key::new(key);
        let old = self.entries.insert(key.clone(), value.to_vec());
        self.touched(key, old, value.len());
    }

    /// Removes a key; nothing happens if it is absent.
    pub fn delete(&mut self, key: &[u8]) {
        if let Some((key, old)) = self.entries.remove_entry(key) {
            self.touched(key, Some(old), 0);
        }
    }

    /// Entries from `from` on, in order of their keys.
    pub fn range_from(&self, from: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries
            .range::<[u8], _>((Bound::Included(from), Bound::Unbounded))
            .map(|(key, value)| (&**key, value.as_slice()))
    }

    fn touched(&mut self, key: Key, old: Option<Vec<u8>>, len: usize) {
        self.dirty_bytes += key.len() + len;
        self.changed_in_epoch.insert(key.clone());
        self.changed_since_checkpoint.insert(key.clone());
        self.journal.push((key, old));
    }

    fn changes(&self, since: Since) -> &BTreeSet<Key> {
        match since {
            Since::Epoch => &self.changed_in_epoch,
            Since::Checkpoint => &self.changed_since_checkpoint,
        }
    }
}

impl Store for KvStore {
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn begin(&mut self) {
        self.journal.clear();
    }

    fn undo(&mut self, _: Failure) {
        for (key, old) in self.journal.drain(..).rev() {
            match old {
                Some(value) => self.entries.insert(key, value),
                None => self.entries.remove(&key),
            };
        }
    }

    fn load(&mut self, key: &[u8], value: Option<&[u8]>, origin: Origin) -> Result<(), CodecError> {
        match origin {
            Origin::Checkpoint => {}
            Origin::Changelog => drop(self.changed_since_checkpoint.insert(Key::new(key))),
        }
        match value {
            Some(value) => self.entries.insert(Key::new(key), value.to_vec()),
            None => self.entries.remove(key),
        };
        Ok(())
    }

    fn changed(&self, since: Since, tell: &mut OnChange<'_>) {
        for key in self.changes(since) {
            tell(key, self.get(key));
        }
    }

    fn settled(&mut self, since: Since) {
        match since {
            Since::Epoch => self.changed_in_epoch.clear(),
            Since::Checkpoint => {
                self.changed_since_checkpoint.clear();
                self.dirty_bytes = 0;
            }
        }
    }

    fn dirty_bytes(&self) -> usize {
        self.dirty_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(store: &KvStore, since: Since) -> Vec<(String, Option<String>)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut told = Vec::new();
        store.changed(since, &mut |key, value| told.push((text(key), value.map(text))));
        told
    }

    #[test]
    fn a_failed_record_leaves_no_trace() {
        let mut store = KvStore::default();
        store.put(b"a", b"1");
        store.put(b"b", b"2");
        store.begin();
        store.put(b"a", b"3");
        store.put(b"a", b"4");
        store.delete(b"b");
        store.delete(b"absent");
        store.put(b"c", b"5");
        store.undo(Failure::Refused);
        let entries: Vec<_> = store.range_from(b"").collect();
        assert_eq!(entries, [(&b"a"[..], &b"1"[..]), (b"b", b"2")]);
        store.undo(Failure::Refused);
        assert_eq!(store.get(b"a"), Some(&b"1"[..]), "undone once");
    }

    #[test]
    fn changes_are_told_once_per_key_until_they_are_settled() {
        let mut store = KvStore::default();
        store.put(b"b", b"1");
        store.put(b"a", b"2");
        store.put(b"b", b"3");
        let (a, b) = (("a".to_owned(), Some("2".to_owned())), ("b".to_owned(), Some("3".to_owned())));
        assert_eq!(changes(&store, Since::Epoch), [a.clone(), b.clone()]);
        store.settled(Since::Epoch);
        assert_eq!(changes(&store, Since::Epoch), []);
        store.delete(b"a");
        assert_eq!(changes(&store, Since::Epoch), [("a".to_owned(), None)]);
        assert_eq!(changes(&store, Since::Checkpoint), [("a".to_owned(), None), b]);
        store.settled(Since::Checkpoint);
        assert_eq!((changes(&store, Since::Checkpoint), store.dirty_bytes()), (Vec::new(), 0));
    }

    #[test]
    fn only_what_the_checkpoint_lacks_counts_as_changed_after_loading() {
        let mut store = KvStore::default();
        store.load(b"a", Some(b"1"), Origin::Checkpoint).expect("bytes");
        store.load(b"b", Some(b"2"), Origin::Checkpoint).expect("bytes");
        store.load(b"b", None, Origin::Changelog).expect("bytes");
        assert_eq!((store.get(b"a"), store.get(b"b")), (Some(&b"1"[..]), None));
        assert_eq!(changes(&store, Since::Checkpoint), [("b".to_owned(), None)]);
        assert_eq!(changes(&store, Since::Epoch), []);
    }
}
