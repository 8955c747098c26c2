//! `Kv`: an ordered map of bytes to bytes, with one record's changes undone if the record fails.
//!
//! After a restart it holds what was touched since; the rest is read from the checkpoint when it is asked for.

use std::any::Any;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::Arc;

use crate::record::{CodecError, Key};
use crate::store::base::StoreBase;
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
    /// `None`: deleted, but the base has it until the next checkpoint.
    entries: BTreeMap<Key, Option<Vec<u8>>>,
    /// What is not in `entries` is here.
    base: Option<StoreBase>,
    journal: Vec<(Key, Option<Vec<u8>>)>,
    changed_in_epoch: BTreeSet<Key>,
    changed_since_checkpoint: BTreeSet<Key>,
    dirty_bytes: usize,
}

impl KvStore {
    /// The value of a key.
    pub fn get(&mut self, key: &[u8]) -> Option<&[u8]> {
        self.fetch(key);
        self.held(key)
    }

    /// Sets the value of a key.
    ///
    /// # Panics
    /// If the key is longer than [`KEY_MAX`]: the record becomes a dead letter.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        assert!(key.len() <= KEY_MAX, "a key of {} bytes, {KEY_MAX} are possible", key.len());
        self.fetch(key);
        let key = Key::new(key);
        let old = self.entries.insert(key.clone(), Some(value.to_vec()));
        self.touched(key, old.flatten(), value.len());
    }

    /// Removes a key; nothing happens if it is absent.
    pub fn delete(&mut self, key: &[u8]) {
        self.fetch(key);
        if self.held(key).is_some() {
            let key = Key::new(key);
            let old = self.replace(&key, None);
            self.touched(key, old, 0);
        }
    }

    /// Entries from `from` on, in order of their keys.
    pub fn range_from(&self, from: &[u8]) -> Range<'_> {
        let held = self.entries.range::<[u8], _>((Bound::Included(from), Bound::Unbounded));
        let unread = self.base.as_ref().map(|base| (base, from.to_vec()));
        Range { held: held.peekable(), page: Vec::new().into_iter().peekable(), unread }
    }

    /// Brings a key here that only the base has.
    fn fetch(&mut self, key: &[u8]) {
        let Some(base) = &self.base else { return };
        if !self.entries.contains_key(key)
            && let Some(value) = base.get(key)
        {
            self.entries.insert(Key::new(key), Some(value));
        }
    }

    fn held(&self, key: &[u8]) -> Option<&[u8]> {
        self.entries.get(key).and_then(Option::as_deref)
    }

    /// Puts a value in the place of another; where a base may have the key, its absence must be known.
    fn replace(&mut self, key: &Key, value: Option<Vec<u8>>) -> Option<Vec<u8>> {
        match value {
            None if self.base.is_none() => self.entries.remove(key).flatten(),
            value => self.entries.insert(key.clone(), value).flatten(),
        }
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
        for (key, old) in std::mem::take(&mut self.journal).into_iter().rev() {
            self.replace(&key, old);
        }
    }

    fn load(&mut self, key: &[u8], value: Option<&[u8]>, origin: Origin) -> Result<(), CodecError> {
        let key = Key::new(key);
        self.replace(&key, value.map(<[u8]>::to_vec));
        match origin {
            Origin::Checkpoint => {}
            Origin::Changelog => drop(self.changed_since_checkpoint.insert(key)),
        }
        Ok(())
    }

    fn lean_on(&mut self, base: StoreBase) -> bool {
        self.base = Some(base);
        true
    }

    fn changed(&self, since: Since, tell: &mut OnChange<'_>) {
        for key in self.changes(since) {
            tell(key, self.held(key));
        }
    }

    fn settled(&mut self, since: Since) {
        match since {
            Since::Epoch => self.changed_in_epoch.clear(),
            Since::Checkpoint => {
                for key in std::mem::take(&mut self.changed_since_checkpoint) {
                    if self.base.is_some() && self.held(&key).is_none() {
                        self.entries.remove(&key);
                    }
                }
                self.dirty_bytes = 0;
            }
        }
    }

    fn dirty_bytes(&self) -> usize {
        self.dirty_bytes
    }
}

/// Entries in order of their keys, see [`KvStore::range_from`].
#[derive(Debug)]
pub struct Range<'a> {
    held: Peekable<btree_map::Range<'a, Key, Option<Vec<u8>>>>,
    page: Peekable<std::vec::IntoIter<(Vec<u8>, Vec<u8>)>>,
    /// The next page begins at or after this key.
    unread: Option<(&'a StoreBase, Vec<u8>)>,
}

impl<'a> Iterator for Range<'a> {
    type Item = (Cow<'a, [u8]>, Cow<'a, [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.turn_page();
            let held = self.held.peek().map(|(key, _)| &***key);
            let far = self.page.peek().map(|(key, _)| key.as_slice());
            let near = match (held, far) {
                (Some(held), Some(far)) if far < held => false,
                (Some(held), Some(far)) => {
                    // What is held is newer.
                    if far == held {
                        self.page.next();
                    }
                    true
                }
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => return None,
            };
            if !near {
                return self.page.next().map(|(key, value)| (Cow::Owned(key), Cow::Owned(value)));
            }
            if let Some((key, Some(value))) = self.held.next() {
                return Some((Cow::Borrowed(&**key), Cow::Borrowed(value.as_slice())));
            }
        }
    }
}

impl Range<'_> {
    /// Entries of the base read at a time.
    const PAGE: usize = 256;

    fn turn_page(&mut self) {
        if self.page.peek().is_some() {
            return;
        }
        let Some((base, from)) = self.unread.take() else { return };
        let page = base.page(&from, Range::PAGE);
        if let Some((last, _)) = page.last().filter(|_| page.len() == Range::PAGE) {
            self.unread = Some((base, [last, &[0][..]].concat()));
        }
        self.page = page.into_iter().peekable();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::base::tests::{Bed, TASK};

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
        let entries: Vec<_> = entries.iter().map(|(key, value)| (&**key, &**value)).collect();
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
        assert_eq!((store.held(b"a"), store.held(b"b")), (Some(&b"1"[..]), None));
        assert_eq!(changes(&store, Since::Checkpoint), [("b".to_owned(), None)]);
        assert_eq!(changes(&store, Since::Epoch), []);
    }

    /// A store that leans on a checkpoint says the same as one that was given all of it, whatever is done to
    /// both: the oracle is a plain map.
    #[test]
    fn a_store_that_leans_on_a_checkpoint_is_the_store_that_loaded_it() {
        let mut state = 7_u64;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let key = |n: u64| format!("{n:03}").into_bytes();
        let mut model: BTreeMap<Vec<u8>, Vec<u8>> = (0..700).map(|n| (key(n * 2), vec![n as u8])).collect();
        let bed = Bed::new(&model.clone().into_iter().collect::<Vec<_>>());
        let mut store = KvStore::default();
        assert!(store.lean_on(bed.base.of("s")));
        let mut written = 1;
        for epoch in 2..40 {
            for _ in 0..20 {
                let (before, fails) = (model.clone(), random(4) == 0);
                store.begin();
                for _ in 0..3 {
                    let k = key(random(1_400));
                    assert_eq!(store.get(&k), model.get(&k).map(Vec::as_slice));
                    if random(3) == 0 {
                        store.delete(&k);
                        model.remove(&k);
                    } else {
                        store.put(&k, &[epoch as u8]);
                        model.insert(k, vec![epoch as u8]);
                    }
                }
                if fails {
                    store.undo(Failure::Refused);
                    model = before;
                }
            }
            let from = key(random(1_400));
            let seen: Vec<_> =
                store.range_from(&from).map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
            let expected: Vec<_> = model.range(from..).map(|(k, v)| (k.clone(), v.clone())).collect();
            assert_eq!(seen, expected);
            store.settled(Since::Epoch);
            if random(2) == 0 {
                let mut changed = Vec::new();
                store.changed(Since::Checkpoint, &mut |k, v| {
                    changed.push((k.to_vec(), v.map(<[u8]>::to_vec)))
                });
                bed.write(written + 1, changed.into_iter());
                written += 1;
                bed.base.moved_to(written);
                store.settled(Since::Checkpoint);
                let saved = bed.checkpoints.entries("s", TASK.partition).expect("readable");
                assert_eq!(saved, model.clone().into_iter().collect::<Vec<_>>());
            }
        }
        assert!(store.entries.len() < 1_400, "what was not touched is not here");
        bed.base.check().expect("all was answered");
    }
}
