//! The kinds of store: how the suite changes and reads each, and what only that kind can be asked.

use std::collections::BTreeSet;
use std::marker::PhantomData;

use super::{Model, Sample, Subject};
use crate::record::{CodecError, Key};
use crate::store::hot::{Hot, HotState, HotStore};
use crate::store::kv::{Kv, KvStore};
use crate::store::window::{Window, WindowStore, entry_key};
use crate::store::{StoreDefinition, StoreSpec};
use crate::time::Ts;

/// Starts of windows: the ends of time, and what lies on both sides of 1970.
const STARTS: [i64; 5] = [i64::MIN, -10, 0, 10, 3_000_000_000_000_000_000];

/// A key in front of which the number of its window may stand.
fn plain_place(window: usize, key: &[u8]) -> Vec<u8> {
    let number = [window as u8];
    let before: &[u8] = if window == 0 { b"" } else { &number };
    [before, key].concat()
}

pub(super) struct OfKv;

impl Subject for OfKv {
    type Store = KvStore;
    const UNDOES: bool = true;

    fn spec() -> StoreSpec {
        Kv::new("s").spec()
    }

    fn place(window: usize, key: &[u8]) -> Vec<u8> {
        plain_place(window, key)
    }

    fn value(n: u16) -> Vec<u8> {
        Vec::sample(n)
    }

    fn put(store: &mut KvStore, place: &[u8], value: &[u8], _: bool) {
        store.put(place, value);
    }

    fn delete(store: &mut KvStore, place: &[u8]) {
        store.delete(place);
    }

    fn get(store: &mut KvStore, place: &[u8]) -> Option<Vec<u8>> {
        store.get(place).map(<[u8]>::to_vec)
    }

    fn all(store: &mut KvStore) -> Vec<(Vec<u8>, Vec<u8>)> {
        from(store, b"")
    }

    /// A scan begins at its first key or behind it, whether that key exists or not.
    fn ask(store: &mut KvStore, model: &Model) {
        let behind = model.keys().map(|key| [key, &[0][..]].concat());
        for first in model.keys().cloned().chain(behind).chain([vec![0xff; 4]]) {
            let expected: Vec<_> =
                model.range(first.clone()..).map(|(k, v)| (k.clone(), v.clone())).collect();
            assert_eq!(from(store, &first), expected, "from {first:?}");
        }
    }
}

fn from(store: &KvStore, first: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    store.range_from(first).map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

/// Bytes as an object.
pub(super) struct Bytes(Vec<u8>);

impl HotState for Bytes {
    fn new(_: &[u8]) -> Bytes {
        Bytes(Vec::new())
    }

    fn encode(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.0);
    }

    fn decode(_: &[u8], bytes: &[u8]) -> Result<Bytes, CodecError> {
        Ok(Bytes(bytes.to_vec()))
    }
}

pub(super) struct OfHot;

impl Subject for OfHot {
    type Store = HotStore<Bytes>;
    const UNDOES: bool = false;

    fn spec() -> StoreSpec {
        Hot::<Bytes>::new("s").spec()
    }

    fn place(window: usize, key: &[u8]) -> Vec<u8> {
        plain_place(window, key)
    }

    fn value(n: u16) -> Vec<u8> {
        Vec::sample(n)
    }

    fn put(store: &mut HotStore<Bytes>, place: &[u8], value: &[u8], _: bool) {
        store.edit(place, |object| object.0 = value.to_vec());
    }

    fn delete(store: &mut HotStore<Bytes>, place: &[u8]) {
        store.remove(place);
    }

    fn get(store: &mut HotStore<Bytes>, place: &[u8]) -> Option<Vec<u8>> {
        store.get(place).map(|object| object.0.clone())
    }

    fn all(store: &mut HotStore<Bytes>) -> Vec<(Vec<u8>, Vec<u8>)> {
        store.iter().map(|(key, object)| (key.to_vec(), object.0.clone())).collect()
    }

    fn ask(_: &mut HotStore<Bytes>, _: &Model) {}
}

/// Values of a type in windows, with an index by key or without: windowed aggregates, sessions, join buffers.
pub(crate) struct InWindows<T, const BY_KEY: bool>(PhantomData<T>);

impl<T: Sample, const BY_KEY: bool> Subject for InWindows<T, BY_KEY> {
    type Store = WindowStore<T>;
    const UNDOES: bool = true;

    fn spec() -> StoreSpec {
        let window = Window::<T>::new("s");
        if BY_KEY { window.by_key().spec() } else { window.spec() }
    }

    fn place(window: usize, key: &[u8]) -> Vec<u8> {
        entry_key(Ts(STARTS[window % STARTS.len()]), key)
    }

    fn start(place: &[u8]) -> Option<Ts> {
        Some(apart(place).0)
    }

    fn value(n: u16) -> Vec<u8> {
        bytes(&T::sample(n))
    }

    fn put(store: &mut WindowStore<T>, place: &[u8], value: &[u8], in_place: bool) {
        let (start, key) = apart(place);
        let value = T::decode(value).expect("made by encode");
        if in_place {
            store.edit(start, &key, || value.clone(), |held| *held = value.clone());
        } else {
            store.put(start, &key, value);
        }
    }

    fn delete(store: &mut WindowStore<T>, place: &[u8]) {
        let (start, key) = apart(place);
        store.remove(start, &key);
    }

    fn get(store: &mut WindowStore<T>, place: &[u8]) -> Option<Vec<u8>> {
        let (start, key) = apart(place);
        store.get(start, &key).map(bytes)
    }

    fn all(store: &mut WindowStore<T>) -> Vec<(Vec<u8>, Vec<u8>)> {
        store.iter().map(|(start, key, value)| (entry_key(start, key), bytes(value))).collect()
    }

    fn expire(store: &mut WindowStore<T>, before: Ts) {
        store.expire(before);
    }

    fn take(store: &mut WindowStore<T>, start: Ts) -> Vec<(Vec<u8>, Vec<u8>)> {
        store.take(start).iter().map(|(key, value)| (entry_key(start, key), bytes(value))).collect()
    }

    fn ask(store: &mut WindowStore<T>, model: &Model) {
        let places: Vec<(Ts, Key)> = model.keys().map(|place| apart(place)).collect();
        let starts: BTreeSet<Ts> = places.iter().map(|(start, _)| *start).collect();
        assert_eq!(store.first(), starts.first().copied());
        for start in STARTS.map(Ts) {
            let next = starts.iter().find(|other| **other > start).copied();
            assert_eq!(store.first_after(start), next, "after {start:?}");
            let window = store.window(start).into_iter();
            let window: Vec<_> = window.map(|(key, value)| (entry_key(start, key), bytes(value))).collect();
            let expected = model.iter().filter(|(place, _)| apart(place).0 == start);
            assert_eq!(window, expected.map(|(p, v)| (p.clone(), v.clone())).collect::<Vec<_>>());
        }
        if BY_KEY {
            for key in places.iter().map(|(_, key)| key).chain([&Key::new(b"absent")]) {
                let expected: Vec<_> = places.iter().filter(|(_, other)| other == key).collect();
                let expected: Vec<Ts> = expected.into_iter().map(|(start, _)| *start).collect();
                assert_eq!(store.starts(key), expected, "windows of {key:?}");
                let of_key: Vec<_> = store.of_key(key).map(|(start, value)| (start, bytes(value))).collect();
                let values = expected.iter().map(|start| (*start, model[&entry_key(*start, key)].clone()));
                assert_eq!(of_key, values.collect::<Vec<_>>());
            }
        }
    }
}

fn bytes<T: Sample>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes
}

/// Start and key of a place, by the layout that is written down in `window.rs`.
fn apart(place: &[u8]) -> (Ts, Key) {
    let (start, key) = place.split_first_chunk::<8>().expect("a start and a key");
    (Ts((u64::from_be_bytes(*start) ^ (1 << 63)) as i64), Key::new(key))
}
