//! `Kv`: an ordered map of bytes to bytes, with one record's changes undone if the record fails.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use crate::record::{CodecError, Key};
use crate::store::{
    Changelog, Failure, OnChange, Origin, Since, Store, StoreDefinition, StoreKind, StoreSpec,
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
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
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
