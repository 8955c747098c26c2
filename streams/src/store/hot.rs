//! `Hot`: typed objects changed in place. Bytes are made only when a checkpoint or a changelog asks.

use std::any::Any;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::record::{CodecError, Key};
use crate::store::base::StoreBase;
use crate::store::{
    Changelog, Failure, KEY_MAX, OnChange, Origin, Since, Store, StoreDefinition, StoreKind, StoreSpec,
};

/// An object that lives in a `Hot` store, one for each key.
pub trait HotState: Send + 'static {
    /// What a key has before its first record.
    fn new(key: &[u8]) -> Self;
    /// Appends everything that [`HotState::decode`] needs; equal objects give equal bytes.
    fn encode(&self, into: &mut Vec<u8>);
    /// The object that these bytes say.
    ///
    /// # Errors
    /// They say none: another version wrote them, or they are damaged.
    fn decode(key: &[u8], bytes: &[u8]) -> Result<Self, CodecError>
    where
        Self: Sized;
    /// What to go on with after a panic that may have left the object half changed. Keep only what no record
    /// changes in several steps, and come to the same from the same object: a recovery repeats the panic.
    /// Default: nothing, the key begins anew.
    fn after_panic(self) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }
}

/// Declares a store of `S` objects.
#[derive(Clone, Debug)]
pub struct Hot<S> {
    name: String,
    changelog: Changelog,
    state: PhantomData<fn() -> S>,
}

impl<S: HotState> Hot<S> {
    /// With a name that is unique in the topology.
    pub fn new(name: &str) -> Hot<S> {
        Hot { name: name.to_owned(), changelog: Changelog::Auto, state: PhantomData }
    }

    /// Whether a topic keeps a copy.
    pub fn changelog(self, changelog: Changelog) -> Hot<S> {
        Hot { changelog, ..self }
    }
}

impl<S: HotState> StoreDefinition for Hot<S> {
    fn spec(self) -> StoreSpec {
        let make = Arc::new(|| Box::new(HotStore::<S>::default()) as Box<dyn Store>);
        StoreSpec { name: self.name, kind: StoreKind::Hot, changelog: self.changelog, make }
    }
}

/// The objects of one partition.
#[derive(Debug)]
pub struct HotStore<S> {
    objects: BTreeMap<Key, Slot<S>>,
    marks: Marks,
}

/// `state` is `None` from the removal of an object until everyone who must know has been told.
#[derive(Debug)]
struct Slot<S> {
    state: Option<S>,
    in_record: u64,
    in_epoch: bool,
    since_checkpoint: bool,
}

/// Which keys were touched, each once.
#[derive(Debug, Default)]
struct Marks {
    /// Counts records, so that a new one need not visit the slots of the last.
    record: u64,
    in_record: Vec<Key>,
    in_epoch: Vec<Key>,
    since_checkpoint: Vec<Key>,
}

impl Marks {
    fn touch<S>(&mut self, key: &[u8], slot: &mut Slot<S>) {
        if std::mem::replace(&mut slot.in_record, self.record) != self.record {
            self.in_record.push(Key::new(key));
        }
        if !std::mem::replace(&mut slot.in_epoch, true) {
            self.in_epoch.push(Key::new(key));
        }
        if !std::mem::replace(&mut slot.since_checkpoint, true) {
            self.since_checkpoint.push(Key::new(key));
        }
    }
}

impl<S> Default for HotStore<S> {
    fn default() -> HotStore<S> {
        HotStore { objects: BTreeMap::new(), marks: Marks { record: 1, ..Marks::default() } }
    }
}

impl<S> Slot<S> {
    fn of(state: Option<S>) -> Slot<S> {
        Slot { state, in_record: 0, in_epoch: false, since_checkpoint: false }
    }
}

impl<S: HotState> HotStore<S> {
    /// The object of a key, if a record has touched it.
    pub fn get(&self, key: &[u8]) -> Option<&S> {
        self.objects.get(key)?.state.as_ref()
    }

    /// Changes the object of a key, making it first if there is none.
    ///
    /// # Panics
    /// If the key is longer than [`KEY_MAX`]: the record becomes a dead letter.
    pub fn edit<R>(&mut self, key: &[u8], change: impl FnOnce(&mut S) -> R) -> R {
        if !self.objects.contains_key(key) {
            assert!(key.len() <= KEY_MAX, "a key of {} bytes, {KEY_MAX} are possible", key.len());
            self.objects.insert(Key::new(key), Slot::of(None));
        }
        let slot = self.objects.get_mut(key).expect("it was put there if it was missing");
        self.marks.touch(key, slot);
        change(slot.state.get_or_insert_with(|| S::new(key)))
    }

    /// Changes every object, in order of the keys.
    pub fn edit_all(&mut self, mut change: impl FnMut(&[u8], &mut S)) {
        for (key, slot) in self.objects.iter_mut().filter(|(_, slot)| slot.state.is_some()) {
            self.marks.touch(key, slot);
            if let Some(state) = &mut slot.state {
                change(key, state);
            }
        }
    }

    /// Changes the objects that `wanted` names, in order of the keys; the others do not count as changed.
    pub fn edit_some(&mut self, wanted: impl Fn(&S) -> bool, mut change: impl FnMut(&[u8], &mut S)) {
        for (key, slot) in &mut self.objects {
            if !slot.state.as_ref().is_some_and(&wanted) {
                continue;
            }
            self.marks.touch(key, slot);
            if let Some(state) = &mut slot.state {
                change(key, state);
            }
        }
    }

    /// Forgets the object of a key.
    pub fn remove(&mut self, key: &[u8]) {
        if let Some(slot) = self.objects.get_mut(key) {
            self.marks.touch(key, slot);
            slot.state = None;
        }
    }

    /// All objects, in order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &S)> {
        self.objects.iter().filter_map(|(key, slot)| Some((&**key, slot.state.as_ref()?)))
    }

    fn unmark(&mut self, keys: &[Key], since: Since) {
        for key in keys {
            let Some(slot) = self.objects.get_mut(key) else { continue };
            match since {
                Since::Epoch => slot.in_epoch = false,
                Since::Checkpoint => slot.since_checkpoint = false,
            }
            if slot.state.is_none() && !slot.in_epoch && !slot.since_checkpoint {
                self.objects.remove(key);
            }
        }
    }
}

impl<S: HotState> Store for HotStore<S> {
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn begin(&mut self) {
        self.marks.record += 1;
        self.marks.in_record.clear();
    }

    /// Of an object that a panic left half changed stays what it says itself; a refused record has changed
    /// nothing.
    fn undo(&mut self, failure: Failure) {
        match failure {
            Failure::Refused => {}
            Failure::Panicked => {
                for key in &self.marks.in_record {
                    if let Some(slot) = self.objects.get_mut(key) {
                        slot.state = slot.state.take().and_then(S::after_panic);
                    }
                }
            }
        }
    }

    fn load(&mut self, key: &[u8], value: Option<&[u8]>, origin: Origin) -> Result<(), CodecError> {
        let state = value.map(|bytes| S::decode(key, bytes)).transpose()?;
        match origin {
            Origin::Checkpoint => drop(self.objects.insert(Key::new(key), Slot::of(state))),
            Origin::Changelog => {
                let slot = self.objects.entry(Key::new(key)).or_insert_with(|| Slot::of(None));
                slot.state = state;
                if !std::mem::replace(&mut slot.since_checkpoint, true) {
                    self.marks.since_checkpoint.push(Key::new(key));
                }
            }
        }
        Ok(())
    }

    /// Objects are gone through in every tick: all of them live here.
    fn lean_on(&mut self, _: StoreBase) -> bool {
        false
    }

    fn changed(&self, since: Since, tell: &mut OnChange<'_>) {
        let mut keys: Vec<&Key> = match since {
            Since::Epoch => self.marks.in_epoch.iter().collect(),
            Since::Checkpoint => self.marks.since_checkpoint.iter().collect(),
        };
        keys.sort_unstable();
        let mut bytes = Vec::new();
        for key in keys {
            bytes.clear();
            let state = self.get(key).map(|state| state.encode(&mut bytes));
            tell(key, state.map(|()| bytes.as_slice()));
        }
    }

    fn settled(&mut self, since: Since) {
        let mut keys = match since {
            Since::Epoch => std::mem::take(&mut self.marks.in_epoch),
            Since::Checkpoint => std::mem::take(&mut self.marks.since_checkpoint),
        };
        self.unmark(&keys, since);
        keys.clear();
        match since {
            Since::Epoch => self.marks.in_epoch = keys,
            Since::Checkpoint => self.marks.since_checkpoint = keys,
        }
    }

    /// What the objects take is not known before they are encoded: a few KiB are taken for each.
    fn dirty_bytes(&self) -> usize {
        const TYPICAL: usize = 4096;
        self.marks.since_checkpoint.len() * TYPICAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    struct Number(u8);

    impl HotState for Number {
        fn new(_: &[u8]) -> Number {
            Number(0)
        }

        fn encode(&self, into: &mut Vec<u8>) {
            into.push(self.0);
        }

        fn decode(_: &[u8], bytes: &[u8]) -> Result<Number, CodecError> {
            bytes.first().map(|n| Number(*n)).ok_or_else(|| CodecError::new("empty"))
        }

        /// Hundreds survive.
        fn after_panic(self) -> Option<Number> {
            (self.0 >= 100).then_some(Number(100))
        }
    }

    fn changes(store: &HotStore<Number>, since: Since) -> Vec<(Vec<u8>, Option<u8>)> {
        let mut told = Vec::new();
        store.changed(since, &mut |key, value| told.push((key.to_vec(), value.map(|v| v[0]))));
        told
    }

    #[test]
    fn objects_are_made_changed_and_removed_in_place() {
        let mut store = HotStore::<Number>::default();
        assert_eq!(store.edit(b"b", |n| std::mem::replace(&mut n.0, 7)), 0);
        store.edit(b"a", |n| n.0 = 1);
        store.edit_all(|_, n| n.0 += 10);
        assert_eq!(store.iter().collect::<Vec<_>>(), [(&b"a"[..], &Number(11)), (b"b", &Number(17))]);
        store.remove(b"b");
        store.remove(b"absent");
        assert_eq!((store.get(b"b"), store.iter().count()), (None, 1));
        store.edit_all(|_, n| n.0 += 1);
        assert_eq!(store.get(b"b"), None, "a removed object is not revived");
    }

    #[test]
    fn a_panic_drops_what_its_record_touched_and_nothing_else() {
        let mut store = HotStore::<Number>::default();
        store.edit(b"a", |n| n.0 = 1);
        store.edit(b"b", |n| n.0 = 2);
        store.begin();
        store.edit(b"b", |n| n.0 = 3);
        store.undo(Failure::Refused);
        assert_eq!(store.get(b"b"), Some(&Number(3)), "a node that refuses has changed nothing");
        store.undo(Failure::Panicked);
        assert_eq!((store.get(b"a"), store.get(b"b")), (Some(&Number(1)), None));
        assert_eq!(changes(&store, Since::Checkpoint), [(b"a".to_vec(), Some(1)), (b"b".to_vec(), None)]);
    }

    #[test]
    fn what_an_object_keeps_after_a_panic_stays() {
        let mut store = HotStore::<Number>::default();
        store.edit(b"a", |n| n.0 = 107);
        store.settled(Since::Checkpoint);
        store.begin();
        store.edit(b"a", |n| n.0 = 231);
        store.undo(Failure::Panicked);
        assert_eq!(store.get(b"a"), Some(&Number(100)));
        assert_eq!(changes(&store, Since::Checkpoint), [(b"a".to_vec(), Some(100))]);
    }

    #[test]
    fn only_wanted_objects_are_changed_and_count_as_changed() {
        let mut store = HotStore::<Number>::default();
        for (key, n) in [(b"a", 1), (b"b", 2), (b"c", 3)] {
            store.edit(key, |number| number.0 = n);
        }
        store.settled(Since::Epoch);
        store.edit_some(|n| n.0 != 2, |_, n| n.0 += 10);
        assert_eq!(changes(&store, Since::Epoch), [(b"a".to_vec(), Some(11)), (b"c".to_vec(), Some(13))]);
    }

    #[test]
    fn a_removal_is_told_to_everyone_and_then_forgotten() {
        let mut store = HotStore::<Number>::default();
        store.edit(b"a", |n| n.0 = 1);
        store.settled(Since::Epoch);
        store.settled(Since::Checkpoint);
        store.remove(b"a");
        store.settled(Since::Epoch);
        assert_eq!(changes(&store, Since::Epoch), []);
        assert_eq!(changes(&store, Since::Checkpoint), [(b"a".to_vec(), None)]);
        store.settled(Since::Checkpoint);
        assert!(store.objects.is_empty() && store.dirty_bytes() == 0);
    }

    #[test]
    fn only_what_the_checkpoint_lacks_counts_as_changed_after_loading() {
        let mut store = HotStore::<Number>::default();
        store.load(b"a", Some(&[1]), Origin::Checkpoint).expect("bytes");
        store.load(b"b", Some(&[2]), Origin::Checkpoint).expect("bytes");
        store.load(b"b", Some(&[3]), Origin::Changelog).expect("bytes");
        assert!(store.load(b"c", Some(&[]), Origin::Checkpoint).is_err());
        assert_eq!(store.iter().map(|(_, n)| n.0).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(changes(&store, Since::Checkpoint), [(b"b".to_vec(), Some(3))]);
        assert_eq!(changes(&store, Since::Epoch), []);
    }
}
