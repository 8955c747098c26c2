//! `Kv`: a map of bytes to bytes, with one record's changes undone if the record fails. Its order is kept from
//! the first time that somebody asks for it.
//!
//! After a restart it holds what was touched since; the rest is read from the checkpoint when it is asked for.

mod range;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::collections::hash_map::Entry;
use std::ops::Bound;
use std::sync::Arc;

pub use range::Range;

use crate::record::{CodecError, Key};
use crate::store::base::StoreBase;
use crate::store::by_key::ByKey;
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
    slots: ByKey<Slot>,
    /// From the first range on: the keys of `slots` that have a value, and those without one that hide one of the base.
    order: OnceCell<BTreeSet<Key>>,
    /// What is not in `slots` is here.
    base: Option<StoreBase>,
    journal: Vec<(Key, Option<Vec<u8>>)>,
    marks: Marks,
    dirty_bytes: usize,
}

/// `value` is `None` from the removal of an entry until everyone who must know has been told.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    value: Option<Vec<u8>>,
    in_epoch: u64,
    since_checkpoint: u64,
}

impl Slot {
    fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }
}

/// Which keys were touched, each once. A slot is marked while its number is that of the stretch, so that a new
/// stretch need not visit the slots of the last.
#[derive(Debug)]
struct Marks {
    epoch: u64,
    checkpoint: u64,
    in_epoch: Vec<Key>,
    since_checkpoint: Vec<Key>,
    /// Slots that lost their value since the last checkpoint; some have one again.
    gone: Vec<Key>,
}

impl Default for Marks {
    fn default() -> Marks {
        let (in_epoch, since_checkpoint, gone) = Default::default();
        Marks { epoch: 1, checkpoint: 1, in_epoch, since_checkpoint, gone }
    }
}

impl Marks {
    fn touch(&mut self, key: &Key, slot: &mut Slot) {
        if std::mem::replace(&mut slot.in_epoch, self.epoch) != self.epoch {
            self.in_epoch.push(key.clone());
        }
        self.touch_for_checkpoint(key, slot);
    }

    fn touch_for_checkpoint(&mut self, key: &Key, slot: &mut Slot) {
        if std::mem::replace(&mut slot.since_checkpoint, self.checkpoint) != self.checkpoint {
            self.since_checkpoint.push(key.clone());
        }
    }

    fn has(&self, slot: &Slot) -> bool {
        slot.in_epoch == self.epoch || slot.since_checkpoint == self.checkpoint
    }
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
        self.dirty_bytes += key.len() + value.len();
        self.change(Key::new(key), Some(value.to_vec()));
    }

    /// Removes a key; nothing happens if it is absent.
    pub fn delete(&mut self, key: &[u8]) {
        self.fetch(key);
        if self.held(key).is_some() {
            self.dirty_bytes += key.len();
            self.change(Key::new(key), None);
        }
    }

    /// Entries from `from` on, in order of their keys. The first range sorts all that are held.
    pub fn range_from(&self, from: &[u8]) -> Range<'_> {
        let order = self.order.get_or_init(|| {
            let met = self.slots.iter().filter(|(_, slot)| slot.value.is_some() || self.base.is_some());
            met.map(|(key, _)| key.clone()).collect()
        });
        let held = order.range::<[u8], _>((Bound::Included(from), Bound::Unbounded));
        Range::new(held, &self.slots, self.base.as_ref().map(|base| (base, from.to_vec())))
    }

    /// Brings a key here that only the base has.
    fn fetch(&mut self, key: &[u8]) {
        let Some(base) = &self.base else { return };
        if !self.slots.contains_key(key)
            && let Some(value) = base.get(key)
        {
            self.set(&Key::new(key), Some(value));
        }
    }

    fn held(&self, key: &[u8]) -> Option<&[u8]> {
        self.slots.get(key).and_then(Slot::value)
    }

    /// Puts a value into the slot of a key, made if there is none; what was there, and the slot.
    fn set(&mut self, key: &Key, value: Option<Vec<u8>>) -> (Option<Vec<u8>>, &mut Slot, &mut Marks) {
        let KvStore { slots, order, base, marks, .. } = self;
        let (slot, is_new) = match slots.entry(key.clone()) {
            Entry::Occupied(known) => (known.into_mut(), false),
            Entry::Vacant(place) => (place.insert(Slot::default()), true),
        };
        let old = std::mem::replace(&mut slot.value, value);
        let comes = slot.value.is_some() && old.is_none();
        let goes = slot.value.is_none() && (old.is_some() || is_new);
        if goes {
            marks.gone.push(key.clone());
        }
        match order.get_mut() {
            Some(order) if goes && base.is_none() => drop(order.remove(key)),
            // Where the base may have the key, its absence must be met on the way.
            Some(order) if comes || goes => drop(order.insert(key.clone())),
            Some(_) | None => {}
        }
        (old, slot, marks)
    }

    fn change(&mut self, key: Key, value: Option<Vec<u8>>) {
        let (old, slot, marks) = self.set(&key, value);
        marks.touch(&key, slot);
        self.journal.push((key, old));
    }

    /// Forgets slots without a value that nobody waits for any more.
    fn sweep(&mut self) {
        let KvStore { slots, order, marks, .. } = self;
        let mut gone = std::mem::take(&mut marks.gone);
        gone.retain(|key| {
            let Some(slot) = slots.get(key).filter(|slot| slot.value.is_none()) else { return false };
            if marks.has(slot) {
                return true;
            }
            slots.remove(key);
            if let Some(order) = order.get_mut() {
                order.remove(key);
            }
            false
        });
        marks.gone = gone;
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
            self.set(&key, old);
        }
    }

    fn load(&mut self, key: &[u8], value: Option<&[u8]>, origin: Origin) -> Result<(), CodecError> {
        let key = Key::new(key);
        let (_, slot, marks) = self.set(&key, value.map(<[u8]>::to_vec));
        match origin {
            Origin::Checkpoint => {}
            Origin::Changelog => marks.touch_for_checkpoint(&key, slot),
        }
        Ok(())
    }

    fn lean_on(&mut self, base: StoreBase) -> bool {
        self.base = Some(base);
        true
    }

    fn changed(&self, since: Since, tell: &mut OnChange<'_>) {
        let mut keys: Vec<&Key> = match since {
            Since::Epoch => self.marks.in_epoch.iter().collect(),
            Since::Checkpoint => self.marks.since_checkpoint.iter().collect(),
        };
        keys.sort_unstable();
        keys.into_iter().for_each(|key| tell(key, self.held(key)));
    }

    fn settled(&mut self, since: Since) {
        let marks = &mut self.marks;
        match since {
            Since::Epoch => {
                marks.epoch += 1;
                marks.in_epoch = Vec::new();
            }
            Since::Checkpoint => {
                marks.checkpoint += 1;
                marks.since_checkpoint = Vec::new();
                self.dirty_bytes = 0;
                self.sweep();
            }
        }
    }

    fn dirty_bytes(&self) -> usize {
        self.dirty_bytes
    }
}
