//! Where checkpoints are kept: named databases in key order, written whole or not at all, against a map.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::log::StateWrites;
use crate::store::checkpoint::{CheckpointStore, Entries, Guard, Place, Shown};

const DATABASES: [&str; 2] = ["app/tasks", "app/s:s"];

type Tables = BTreeMap<(usize, Vec<u8>), Vec<u8>>;

#[derive(Clone, Debug)]
struct Batch {
    /// The key of the first write is the guarded one.
    writes: Vec<(usize, Vec<u8>, Option<u8>)>,
    approved: bool,
}

/// Keys that are prefixes and neighbours of each other.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(0xff)], 1..5)
}

fn batch() -> impl Strategy<Value = Batch> {
    let write = (0..DATABASES.len(), key(), prop::option::of(any::<u8>()));
    (prop::collection::vec(write, 1..8), prop::bool::weighted(0.8))
        .prop_map(|(writes, approved)| Batch { writes, approved })
}

fn value(n: u8) -> Vec<u8> {
    // Empty ones, and some that need a page of LMDB of their own.
    vec![n; if n.is_multiple_of(16) { 9_000 } else { usize::from(n % 5) }]
}

/// `open` gives an empty place, with whatever keeps it alive.
pub(crate) fn a_place_for_checkpoints_is_a_map<D>(open: impl Fn() -> (D, Arc<dyn CheckpointStore>)) {
    let mut runner = TestRunner::new(Config { cases: 40, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&prop::collection::vec(batch(), 1..20), |batches| {
        let (_alive, kept) = open();
        let mut model = Tables::new();
        for batch in &batches {
            write(&*kept, &mut model, batch);
        }
        agrees(&*kept, &model);
        Ok(())
    });
    outcome.unwrap_or_else(|e| panic!("{e}"));
}

fn write(kept: &dyn CheckpointStore, model: &mut Tables, batch: &Batch) {
    let of = |(db, key, n): &(usize, Vec<u8>, Option<u8>)| (*db, key.clone(), n.map(value));
    let writes: Vec<_> = batch.writes.iter().map(of).collect();
    let (db, key, _) = &writes[0];
    let known = model.get(&(*db, key.clone()));
    let approves = |found: Option<&[u8]>| {
        assert_eq!(found, known.map(Vec::as_slice), "the guard is shown what lies there");
        batch.approved
    };
    let guard = Guard { database: DATABASES[*db], key, approves: &approves };
    let named = writes.iter().map(|(db, key, value)| (DATABASES[*db].to_owned(), key.clone(), value.clone()));
    let written = kept.write_if(&guard, &named.collect::<StateWrites>()).expect("room");
    assert_eq!(written, batch.approved);
    for (db, key, value) in writes.into_iter().filter(|_| written) {
        match value {
            Some(value) => drop(model.insert((db, key), value)),
            None => drop(model.remove(&(db, key))),
        }
    }
}

fn agrees(kept: &dyn CheckpointStore, model: &Tables) {
    let mut asked: Vec<Vec<u8>> = model.keys().map(|(_, key)| key.clone()).collect();
    asked.extend([vec![], vec![0], vec![1], vec![0xff], vec![0, 0], vec![0xff, 0xff, 1]]);
    for (n, db) in DATABASES.iter().enumerate() {
        let of_db =
            || model.iter().filter(move |((of, _), _)| *of == n).map(|((_, key), value)| (key, value));
        for key in asked.iter().filter(|key| !key.is_empty()) {
            let found = kept.get(db, key).expect("readable");
            assert_eq!(found.as_ref(), model.get(&(n, key.clone())), "{db} {key:?}");
        }
        for prefix in &asked {
            let expected: Entries = of_db()
                .filter_map(|(key, value)| Some((key.strip_prefix(&prefix[..])?.to_vec(), value.clone())))
                .collect();
            let found = kept.prefix(db, prefix, usize::MAX).expect("readable");
            assert_eq!(found, expected, "{db}, what begins with {prefix:?}");
            let two = kept.prefix(db, prefix, 2).expect("readable");
            assert_eq!(two[..], expected[..expected.len().min(2)]);
            for from in [vec![], vec![0], vec![1, 0], vec![0xff]] {
                looks(kept, model, n, prefix, &from, &expected);
            }
        }
    }
}

/// A look shows the head, then the entries of a prefix from a key on, until it is told that this is enough.
fn looks(
    kept: &dyn CheckpointStore,
    model: &Tables,
    db: usize,
    prefix: &[u8],
    from: &[u8],
    all: &[(Vec<u8>, Vec<u8>)],
) {
    let head = (DATABASES[0], &[1, 1][..]);
    let expected: Entries = all.iter().filter(|(key, _)| key.as_slice() >= from).cloned().collect();
    for most in [0, 1, usize::MAX] {
        let (mut shown_head, mut shown) = (None, Entries::new());
        let place = Place { head, entries: DATABASES[db], prefix, from };
        let looked = kept.look(place, &mut |what| {
            match what {
                Shown::Head(bytes) => shown_head = Some(bytes.to_vec()),
                Shown::Entry(key, value) => shown.push((key.to_vec(), value.to_vec())),
            }
            shown.len() < most
        });
        looked.expect("readable");
        let known = model.get(&(0, head.1.to_vec()));
        assert_eq!(shown_head.as_ref(), known, "nothing is shown without a head");
        let n = if known.is_some() { expected.len().min(most) } else { 0 };
        assert_eq!(shown, expected[..n], "from {from:?} of {prefix:?}");
    }
}
