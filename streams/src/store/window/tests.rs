//! What a window store keeps, tells, forgets and takes back.

use super::*;
use crate::store::base::tests::Bed;

fn changes(store: &WindowStore<u64>, since: Since) -> Vec<(i64, String, Option<u64>)> {
    let mut told = Vec::new();
    store.changed(since, &mut |key, value| {
        let place = place(key).expect("long enough");
        let text = String::from_utf8_lossy(&place.key).into_owned();
        told.push((place.start.0, text, value.map(|bytes| u64::decode(bytes).expect("eight bytes"))));
    });
    told
}

fn all(store: &mut WindowStore<u64>) -> Vec<(i64, String, u64)> {
    let text = |key: &Key| String::from_utf8_lossy(key).into_owned();
    store.iter().map(|(start, key, n)| (start.0, text(key), *n)).collect()
}

fn add(store: &mut WindowStore<u64>, start: i64, key: &str, n: u64) {
    store.edit(Ts(start), &key.into(), || 0, |sum| *sum += n);
}

fn entry(start: i64, key: &str, n: u64) -> (i64, String, u64) {
    (start, key.to_owned(), n)
}

#[test]
fn keys_sort_as_times_do() {
    let hex = |start| entry_key(Ts(start), b"A").iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert_eq!(hex(-1), "7fffffffffffffff41");
    assert_eq!(hex(0), "800000000000000041");
    assert_eq!(hex(1_700_000_000_000_000_000), "97979cfe362a000041");
    for start in [i64::MIN, -1, 0, i64::MAX] {
        let key = Place { start: Ts(start), key: "A".into() };
        assert_eq!(place(&entry_key(Ts(start), b"A")), Some(key));
    }
    assert_eq!(place(&[0; 7]), None);
}

#[test]
fn windows_come_out_in_order_and_whole() {
    let mut store = WindowStore::new(false);
    for (start, key) in [(10, "b"), (-10, "z"), (10, "a"), (0, "c"), (10, "b")] {
        add(&mut store, start, key, 1);
    }
    assert_eq!(all(&mut store), [entry(-10, "z", 1), entry(0, "c", 1), entry(10, "a", 1), entry(10, "b", 2)]);
    assert_eq!((store.first(), store.first_after(Ts(0))), (Some(Ts(-10)), Some(Ts(10))));
    store.expire(Ts(10));
    assert_eq!(all(&mut store), [entry(10, "a", 1), entry(10, "b", 2)]);
    let taken: Vec<(Key, u64)> = store.take(Ts(10));
    assert_eq!(taken, [("a".into(), 1), ("b".into(), 2)]);
    assert_eq!((store.first(), store.take(Ts(10))), (None, Vec::new()));
}

#[test]
fn a_failed_record_leaves_no_trace() {
    let mut store = WindowStore::new(true);
    add(&mut store, 0, "a", 1);
    add(&mut store, 5, "a", 2);
    add(&mut store, 5, "b", 3);
    let before = all(&mut store);
    store.begin();
    add(&mut store, 0, "a", 10);
    add(&mut store, 0, "a", 10);
    add(&mut store, 9, "a", 1);
    store.put(Ts(9), &"a".into(), 7);
    assert_eq!(store.remove(Ts(5), b"b"), Some(3));
    assert_eq!(store.remove(Ts(5), b"c"), None);
    store.take(Ts(5));
    store.undo(Failure::Refused);
    assert_eq!(all(&mut store), before);
    assert_eq!(store.starts(b"a"), [Ts(0), Ts(5)]);
    store.undo(Failure::Refused);
    assert_eq!(all(&mut store), before, "undone once");
}

#[test]
fn the_index_by_key_follows() {
    let mut store = WindowStore::new(true);
    for start in [7, 3, 5] {
        add(&mut store, start, "a", 1);
    }
    assert_eq!(store.starts(b"a"), [Ts(3), Ts(5), Ts(7)]);
    store.remove(Ts(5), b"a");
    store.take(Ts(3));
    assert_eq!((store.starts(b"a"), store.starts(b"b")), (&[Ts(7)][..], &[][..]));
    store.expire(Ts(8));
    assert_eq!(store.starts(b"a"), []);
}

#[test]
fn changes_are_told_once_per_entry_until_they_are_settled() {
    let mut store = WindowStore::new(false);
    add(&mut store, 1, "b", 1);
    add(&mut store, 0, "c", 1);
    add(&mut store, 1, "b", 1);
    let told = [(0, "c".to_owned(), Some(1)), (1, "b".to_owned(), Some(2))];
    assert_eq!(changes(&store, Since::Epoch), told);
    store.settled(Since::Epoch);
    assert_eq!(changes(&store, Since::Epoch), []);
    store.remove(Ts(0), b"c");
    add(&mut store, 0, "c", 5);
    store.remove(Ts(0), b"c");
    assert_eq!(changes(&store, Since::Epoch), [(0, "c".to_owned(), None)]);
    let both = [(0, "c".to_owned(), None), (1, "b".to_owned(), Some(2))];
    assert_eq!(changes(&store, Since::Checkpoint), both);
    store.settled(Since::Checkpoint);
    assert_eq!((changes(&store, Since::Checkpoint), store.dirty_bytes()), (Vec::new(), 0));
    add(&mut store, 1, "b", 1);
    assert_eq!(changes(&store, Since::Checkpoint).len(), 1, "an old entry that changes again");
}

#[test]
fn an_undone_change_is_told_as_it_is_now() {
    let mut store = WindowStore::new(false);
    add(&mut store, 0, "a", 1);
    store.settled(Since::Epoch);
    store.begin();
    add(&mut store, 0, "a", 9);
    add(&mut store, 2, "a", 9);
    store.undo(Failure::Panicked);
    add(&mut store, 0, "a", 1);
    assert_eq!(changes(&store, Since::Epoch), [(0, "a".to_owned(), Some(2)), (2, "a".to_owned(), None)]);
}

#[test]
fn only_what_the_checkpoint_lacks_counts_as_changed_after_loading() {
    let mut store = WindowStore::<u64>::new(true);
    let bytes = |n: u64| n.to_be_bytes();
    let (a, b) = (entry_key(Ts(3), b"a"), entry_key(Ts(4), b"a"));
    store.load(&a, Some(&bytes(1)), Origin::Checkpoint).expect("bytes");
    store.load(&b, Some(&bytes(2)), Origin::Checkpoint).expect("bytes");
    store.load(&b, None, Origin::Changelog).expect("bytes");
    assert!(store.load(&[1], Some(&bytes(2)), Origin::Checkpoint).is_err());
    assert!(store.load(&a, Some(&[1]), Origin::Checkpoint).is_err());
    assert_eq!((all(&mut store), store.starts(b"a")), (vec![entry(3, "a", 1)], &[Ts(3)][..]));
    assert_eq!(changes(&store, Since::Checkpoint), [(4, "a".to_owned(), None)]);
    assert_eq!(changes(&store, Since::Epoch), []);
}

#[test]
#[should_panic(expected = "a key of 481 bytes, 480 are possible")]
fn a_key_that_no_store_can_hold_is_refused() {
    add(&mut WindowStore::new(false), 0, &"x".repeat(481), 1);
}

/// A store that leans on a checkpoint says the same as one that was given all of it, whatever is done to both.
#[test]
fn a_store_that_leans_on_a_checkpoint_is_the_store_that_loaded_it() {
    let mut state = 11_u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let key = |n: u64| Key::new(format!("{n:02}").as_bytes());
    let saved: Vec<_> = (0..400)
        .map(|n| (entry_key(Ts(n as i64 / 20 - 5), &key(n % 20 * 2)), n.to_be_bytes().to_vec()))
        .collect();
    let bed = Bed::new(&saved);
    let (mut leans, mut loaded) = (WindowStore::<u64>::new(false), WindowStore::<u64>::new(false));
    assert!(leans.lean_on(bed.base.of("s")));
    assert!(!WindowStore::<u64>::new(true).lean_on(bed.base.of("s")), "its index needs all keys");
    for (key, value) in &saved {
        loaded.load(key, Some(value), Origin::Checkpoint).expect("bytes");
    }
    assert_eq!(
        (leans.panes.len(), leans.first()),
        (0, Some(Ts(-5))),
        "starts are known, values are not read"
    );
    let mut written = 1;
    for round in 0..600 {
        let (start, k) = (Ts(random(24) as i64 - 7), key(random(45)));
        leans.begin();
        loaded.begin();
        if round % 3 == 0 {
            assert_eq!(leans.get(start, &k), loaded.get(start, &k));
        }
        for store in [&mut leans, &mut loaded] {
            match round % 8 {
                0..4 => store.edit(start, &k, || 1, |n| *n += round),
                4 => store.put(start, &k, round),
                5 => drop(store.remove(start, &k)),
                6 if round % 3 == 0 => drop(store.take(start)),
                6 => drop(store.window(start)),
                _ => drop(store.load(&entry_key(start, &k), None, Origin::Changelog)),
            }
        }
        if round % 5 == 0 {
            leans.undo(Failure::Refused);
            loaded.undo(Failure::Refused);
        }
        assert_eq!(leans.get(start, &k), loaded.get(start, &k), "round {round}");
        assert!(round != 30 || !leans.unread.is_empty(), "some windows are not read yet");
        assert_eq!(leans.first(), loaded.first());
        assert_eq!(leans.first_after(start), loaded.first_after(start));
        if random(40) == 0 {
            assert_eq!(changes(&leans, Since::Checkpoint), changes(&loaded, Since::Checkpoint));
            let mut changed = Vec::new();
            leans.changed(Since::Checkpoint, &mut |k, v| changed.push((k.to_vec(), v.map(<[u8]>::to_vec))));
            written += 1;
            bed.write(written, changed.into_iter());
            bed.base.moved_to(written);
            leans.settled(Since::Checkpoint);
            loaded.settled(Since::Checkpoint);
        }
    }
    assert!(written > 4, "{written} checkpoints");
    assert_eq!(all(&mut leans), all(&mut loaded));
    bed.base.check().expect("all was answered");
}

#[test]
fn bytes_that_say_no_value_are_told_when_they_are_read() {
    let bed = Bed::new(&[(entry_key(Ts(3), b"a"), vec![1])]);
    let mut store = WindowStore::<u64>::new(false);
    assert!(store.lean_on(bed.base.of("s")));
    bed.base.check().expect("not read yet");
    assert_eq!(store.get(Ts(3), b"a"), None);
    assert!(bed.base.check().is_err());
}
