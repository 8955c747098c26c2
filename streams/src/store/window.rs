//! `Window`: (start, key) → a typed value, ordered by time, with one record's changes undone if it fails.
//!
//! ```text
//! key of an entry   (start + 2⁶³) u64 big-endian · key       so that bytes sort as times do
//! ```
//! Values stay decoded in RAM; bytes are made only when a checkpoint or a changelog asks. After a restart the
//! starts of all windows are known, so what is due is too; values are read from the checkpoint when they are
//! first asked for, those of a window that is taken or looked through all at once.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::sync::Arc;

use crate::record::{CodecError, Key};
use crate::store::base::StoreBase;
use crate::store::by_key::ByKey;
use crate::store::{
    Changelog, Failure, KEY_MAX, OnChange, Origin, Since, Store, StoreDefinition, StoreKind, StoreSpec,
    Stored,
};
use crate::time::Ts;

/// Declares a window store.
#[derive(Clone, Debug)]
pub struct Window<S> {
    name: String,
    changelog: Changelog,
    by_key: bool,
    state: PhantomData<fn() -> S>,
}

impl<S: Stored> Window<S> {
    /// With a name that is unique in the topology.
    pub fn new(name: &str) -> Window<S> {
        Window { name: name.to_owned(), changelog: Changelog::Auto, by_key: false, state: PhantomData }
    }

    /// Whether a topic keeps a copy.
    pub fn changelog(self, changelog: Changelog) -> Window<S> {
        Window { changelog, ..self }
    }

    /// Keeps an index by key too, for [`WindowStore::starts`]. After a restart all of it is loaded.
    pub fn by_key(self) -> Window<S> {
        Window { by_key: true, ..self }
    }
}

impl<S: Stored> StoreDefinition for Window<S> {
    fn spec(self) -> StoreSpec {
        let by_key = self.by_key;
        let make = Arc::new(move || Box::new(WindowStore::<S>::new(by_key)) as Box<dyn Store>);
        StoreSpec { name: self.name, kind: StoreKind::Window, changelog: self.changelog, make }
    }
}

/// Bytes of an entry's key, without the partition that LMDB puts before it.
pub fn entry_key(start: Ts, key: &[u8]) -> Vec<u8> {
    [&start_bytes(start)[..], key].concat()
}

fn start_bytes(start: Ts) -> [u8; 8] {
    (start.0 as u64 ^ (1 << 63)).to_be_bytes()
}

/// The place that these bytes say; `None` if they are too short to say one.
fn place(bytes: &[u8]) -> Option<Place> {
    let (start, key) = bytes.split_first_chunk::<8>()?;
    Some(Place { start: Ts((u64::from_be_bytes(*start) ^ (1 << 63)) as i64), key: Key::new(key) })
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    start: Ts,
    key: Key,
}

#[derive(Debug)]
struct Slot<S> {
    state: S,
    in_record: u64,
    in_epoch: bool,
    since_checkpoint: bool,
}

impl<S> Slot<S> {
    fn new(state: S) -> Slot<S> {
        Slot { state, in_record: 0, in_epoch: false, since_checkpoint: false }
    }
}

/// The entries of one partition.
#[derive(Debug)]
pub struct WindowStore<S> {
    panes: BTreeMap<Ts, ByKey<Slot<S>>>,
    base: Option<StoreBase>,
    /// Windows of which the base may have entries that are not in `panes`. Nothing is ever removed from one of
    /// them before all of it was read.
    unread: BTreeSet<Ts>,
    by_key: Option<BTreeMap<Key, Vec<Ts>>>,
    /// Counts records, so that a new one need not visit the slots of the last.
    record: u64,
    journal: Vec<(Place, Option<S>)>,
    in_epoch: Vec<Place>,
    since_checkpoint: Vec<Place>,
    dirty_bytes: usize,
}

impl<S: Stored> WindowStore<S> {
    fn new(by_key: bool) -> WindowStore<S> {
        WindowStore {
            panes: BTreeMap::new(),
            base: None,
            unread: BTreeSet::new(),
            by_key: by_key.then(BTreeMap::new),
            record: 1,
            journal: Vec::new(),
            in_epoch: Vec::new(),
            since_checkpoint: Vec::new(),
            dirty_bytes: 0,
        }
    }

    /// The value of a key in the window that begins at `start`.
    pub fn get(&mut self, start: Ts, key: &[u8]) -> Option<&S> {
        self.fetch(start, key);
        self.held(start, key)
    }

    /// Changes a value in place, making it by `init` first if there is none.
    ///
    /// # Panics
    /// If the key is longer than [`KEY_MAX`]: the record becomes a dead letter.
    pub fn edit<R>(
        &mut self,
        start: Ts,
        key: &Key,
        init: impl FnOnce() -> S,
        change: impl FnOnce(&mut S) -> R,
    ) -> R {
        self.fetch(start, key);
        if let Some(slot) = self.panes.get_mut(&start).and_then(|pane| pane.get_mut(&**key)) {
            if slot.in_record != self.record {
                slot.in_record = self.record;
                self.journal.push((Place { start, key: key.clone() }, Some(slot.state.clone())));
            }
            mark(slot, start, key, &mut self.in_epoch, &mut self.since_checkpoint, &mut self.dirty_bytes);
            return change(&mut slot.state);
        }
        let mut state = init();
        let result = change(&mut state);
        self.put(start, key, state);
        result
    }

    /// Sets a value.
    ///
    /// # Panics
    /// If the key is longer than [`KEY_MAX`]: the record becomes a dead letter.
    pub fn put(&mut self, start: Ts, key: &Key, state: S) {
        assert!(key.len() <= KEY_MAX, "a key of {} bytes, {KEY_MAX} are possible", key.len());
        self.fetch(start, key);
        let mut slot = Slot { in_record: self.record, ..Slot::new(state) };
        mark(&mut slot, start, key, &mut self.in_epoch, &mut self.since_checkpoint, &mut self.dirty_bytes);
        let old = self.insert(start, key.clone(), slot);
        self.journal.push((Place { start, key: key.clone() }, old));
    }

    /// Removes a value and returns it; `None` if it was absent.
    pub fn remove(&mut self, start: Ts, key: &[u8]) -> Option<S> {
        self.read(start);
        let state = self.take_out(start, key)?;
        self.removed(Place { start, key: Key::new(key) }, state.clone());
        Some(state)
    }

    /// Removes a whole window and returns its values in order of their keys.
    pub fn take(&mut self, start: Ts) -> Vec<(Key, S)> {
        self.read(start);
        let Some(pane) = self.panes.remove(&start) else { return Vec::new() };
        let mut taken: Vec<(Key, S)> = pane.into_iter().map(|(key, slot)| (key, slot.state)).collect();
        taken.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (key, state) in &taken {
            self.forget_start(start, key);
            self.removed(Place { start, key: key.clone() }, state.clone());
        }
        taken
    }

    /// Removes every window that begins before this instant.
    pub fn expire(&mut self, before: Ts) {
        while let Some(start) = self.first().filter(|start| *start < before) {
            self.take(start);
        }
    }

    /// Start of the first window.
    pub fn first(&self) -> Option<Ts> {
        let held = self.panes.keys().next();
        held.into_iter().chain(self.unread.first()).min().copied()
    }

    /// Start of the first window that begins after this instant.
    pub fn first_after(&self, after: Ts) -> Option<Ts> {
        use std::ops::Bound::{Excluded, Unbounded};
        let held = self.panes.range((Excluded(after), Unbounded)).next().map(|(start, _)| start);
        held.into_iter().chain(self.unread.range((Excluded(after), Unbounded)).next()).min().copied()
    }

    /// Values of one window in order of their keys.
    pub fn window(&mut self, start: Ts) -> Vec<(&Key, &S)> {
        self.read(start);
        self.held_window(start)
    }

    fn held_window(&self, start: Ts) -> Vec<(&Key, &S)> {
        let pane = self.panes.get(&start).into_iter().flatten();
        let mut entries: Vec<(&Key, &S)> = pane.map(|(key, slot)| (key, &slot.state)).collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        entries
    }

    /// Everything, in order of windows and keys.
    pub fn iter(&mut self) -> impl Iterator<Item = (Ts, &Key, &S)> {
        while let Some(start) = self.unread.first().copied() {
            self.read(start);
        }
        let starts = self.panes.keys().copied();
        let window = |start| self.held_window(start).into_iter();
        starts.flat_map(move |start| window(start).map(move |(key, state)| (start, key, state)))
    }

    /// Starts of the windows that have this key, ascending; of a store that was declared
    /// [`by_key`](Window::by_key).
    pub fn starts(&self, key: &[u8]) -> &[Ts] {
        let starts = self.by_key.as_ref().and_then(|by_key| by_key.get(key));
        starts.map_or(&[], Vec::as_slice)
    }

    /// Windows that have this key and its value in them, ascending; of a store that was declared
    /// [`by_key`](Window::by_key).
    pub fn of_key(&self, key: &[u8]) -> impl Iterator<Item = (Ts, &S)> {
        self.starts(key).iter().filter_map(move |start| Some((*start, self.held(*start, key)?)))
    }

    fn held(&self, start: Ts, key: &[u8]) -> Option<&S> {
        Some(&self.panes.get(&start)?.get(key)?.state)
    }

    /// Brings an entry here that only the base has.
    fn fetch(&mut self, start: Ts, key: &[u8]) {
        if !self.unread.contains(&start) || self.held(start, key).is_some() {
            return;
        }
        let Some(base) = &self.base else { return };
        let place = entry_key(start, key);
        if let Some(bytes) = base.get(&place) {
            match S::decode(&bytes) {
                Ok(state) => drop(self.insert(start, Key::new(key), Slot::new(state))),
                Err(e) => base.refuse(&place, &e),
            }
        }
    }

    /// Brings a whole window here.
    fn read(&mut self, start: Ts) {
        if !self.unread.remove(&start) {
            return;
        }
        let Some(base) = self.base.clone() else { return };
        for (bytes, value) in base.prefix(&start_bytes(start)) {
            let Some(Place { key, .. }) = place(&bytes) else { continue };
            if self.held(start, &key).is_some() {
                continue;
            }
            match S::decode(&value) {
                Ok(state) => drop(self.insert(start, key, Slot::new(state))),
                Err(e) => base.refuse(&bytes, &e),
            }
        }
    }

    fn insert(&mut self, start: Ts, key: Key, slot: Slot<S>) -> Option<S> {
        if let Some(by_key) = &mut self.by_key {
            let starts = by_key.entry(key.clone()).or_default();
            if let Err(at) = starts.binary_search(&start) {
                starts.insert(at, start);
            }
        }
        self.panes.entry(start).or_default().insert(key, slot).map(|old| old.state)
    }

    fn take_out(&mut self, start: Ts, key: &[u8]) -> Option<S> {
        let pane = self.panes.get_mut(&start)?;
        let slot = pane.remove(key)?;
        if pane.is_empty() {
            self.panes.remove(&start);
        }
        self.forget_start(start, key);
        Some(slot.state)
    }

    fn forget_start(&mut self, start: Ts, key: &[u8]) {
        let Some(by_key) = &mut self.by_key else { return };
        let Some(starts) = by_key.get_mut(key) else { return };
        if let Ok(at) = starts.binary_search(&start) {
            starts.remove(at);
        }
        if starts.is_empty() {
            by_key.remove(key);
        }
    }

    fn removed(&mut self, place: Place, state: S) {
        self.dirty_bytes += place.key.len() + 8;
        self.in_epoch.push(place.clone());
        self.since_checkpoint.push(place.clone());
        self.journal.push((place, Some(state)));
    }

    fn changes(&self, since: Since) -> &[Place] {
        match since {
            Since::Epoch => &self.in_epoch,
            Since::Checkpoint => &self.since_checkpoint,
        }
    }
}

/// Remembers that an entry changed, once.
fn mark<S>(
    slot: &mut Slot<S>,
    start: Ts,
    key: &Key,
    in_epoch: &mut Vec<Place>,
    since_checkpoint: &mut Vec<Place>,
    dirty_bytes: &mut usize,
) {
    if !slot.in_epoch {
        slot.in_epoch = true;
        in_epoch.push(Place { start, key: key.clone() });
    }
    if !slot.since_checkpoint {
        slot.since_checkpoint = true;
        since_checkpoint.push(Place { start, key: key.clone() });
        *dirty_bytes += key.len() + size_of::<S>();
    }
}

impl<S: Stored> Store for WindowStore<S> {
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn begin(&mut self) {
        self.record += 1;
        self.journal.clear();
    }

    /// What was marked stays marked: telling an unchanged value again does no harm.
    fn undo(&mut self, _: Failure) {
        for (place, old) in std::mem::take(&mut self.journal).into_iter().rev() {
            let Place { start, key } = place;
            match old {
                Some(state) => {
                    let marked = Slot { in_epoch: true, since_checkpoint: true, ..Slot::new(state) };
                    self.insert(start, key, marked);
                }
                None => drop(self.take_out(start, &key)),
            }
        }
    }

    fn load(&mut self, key: &[u8], value: Option<&[u8]>, origin: Origin) -> Result<(), CodecError> {
        let place = place(key).ok_or_else(|| CodecError::new("a window's key without its start"))?;
        let since_checkpoint = match origin {
            Origin::Checkpoint => false,
            Origin::Changelog => {
                self.since_checkpoint.push(place.clone());
                true
            }
        };
        match value {
            Some(bytes) => {
                let slot = Slot { since_checkpoint, ..Slot::new(S::decode(bytes)?) };
                self.insert(place.start, place.key, slot);
            }
            None => {
                self.read(place.start);
                drop(self.take_out(place.start, &place.key));
            }
        }
        Ok(())
    }

    /// The first key of each window tells its start; nothing else is read. An index by key needs all keys.
    fn lean_on(&mut self, base: StoreBase) -> bool {
        if self.by_key.is_some() {
            return false;
        }
        let mut from = Some(Ts::MIN);
        while let Some(next) = from {
            let first = base.page(&start_bytes(next), 1);
            let start = first.first().and_then(|(key, _)| place(key)).map(|place| place.start);
            self.unread.extend(start);
            from = start.and_then(|start| start.0.checked_add(1)).map(Ts);
        }
        self.base = Some(base);
        true
    }

    fn changed(&self, since: Since, tell: &mut OnChange<'_>) {
        let mut places: Vec<&Place> = self.changes(since).iter().collect();
        places.sort_unstable();
        places.dedup();
        let (mut key, mut value) = (Vec::new(), Vec::new());
        for place in places {
            key.clear();
            key.extend_from_slice(&start_bytes(place.start));
            key.extend_from_slice(&place.key);
            value.clear();
            let state = self.held(place.start, &place.key).map(|state| state.encode(&mut value));
            tell(&key, state.map(|()| value.as_slice()));
        }
    }

    fn settled(&mut self, since: Since) {
        let places = match since {
            Since::Epoch => std::mem::take(&mut self.in_epoch),
            Since::Checkpoint => {
                self.dirty_bytes = 0;
                std::mem::take(&mut self.since_checkpoint)
            }
        };
        for Place { start, key } in places {
            let slot = self.panes.get_mut(&start).and_then(|pane| pane.get_mut(&key));
            match (slot, since) {
                (Some(slot), Since::Epoch) => slot.in_epoch = false,
                (Some(slot), Since::Checkpoint) => slot.since_checkpoint = false,
                (None, _) => {}
            }
        }
    }

    fn dirty_bytes(&self) -> usize {
        self.dirty_bytes
    }
}

#[cfg(test)]
mod tests;
