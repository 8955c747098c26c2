//! What is put is found, whatever failed between; changes are told once; a base is as good as its entries.

use std::collections::BTreeMap;

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
        let seen: Vec<_> = store.range_from(&from).map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
        let expected: Vec<_> = model.range(from..).map(|(k, v)| (k.clone(), v.clone())).collect();
        assert_eq!(seen, expected);
        store.settled(Since::Epoch);
        if random(2) == 0 {
            let mut changed = Vec::new();
            store.changed(Since::Checkpoint, &mut |k, v| changed.push((k.to_vec(), v.map(<[u8]>::to_vec))));
            bed.write(written + 1, changed.into_iter());
            written += 1;
            bed.base.moved_to(written);
            store.settled(Since::Checkpoint);
            let saved = bed.checkpoints.entries("s", TASK.partition).expect("readable");
            assert_eq!(saved, model.clone().into_iter().collect::<Vec<_>>());
        }
    }
    assert!(store.slots.len() < 1_400, "what was not touched is not here");
    bed.base.check().expect("all was answered");
}
