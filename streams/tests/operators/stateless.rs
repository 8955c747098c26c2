//! Operators that keep nothing, and what becomes of records that are none of theirs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lobstream_streams::topology::window::{Windowed, Windows};
use lobstream_streams::topology::{Builder, Source};

use crate::bed::Bed;
use crate::words::{Msg, text};

fn texts(bed: &Bed, topic: &str) -> Vec<String> {
    bed.read(topic, 0).iter().map(|row| format!("{} {} {}", row.ts, row.key, row.text())).collect()
}

#[test]
fn values_change_and_keys_times_and_tombstones_stay() {
    let seen = Arc::new(AtomicU32::new(0));
    let mut t = Builder::<Msg>::new("app");
    let words = t.stream::<String>("words", Source::topic("in", text()));
    let count = Arc::clone(&seen);
    let looked = words.peek(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let long = looked.filter(|record| record.value.len() > 1);
    let letters = long.flat_map(|word| word.chars().map(String::from).collect::<Vec<_>>());
    letters.map(|letter| letter.to_uppercase()).to("out", text());
    let bed = Bed::memory();
    bed.feed("in", &[(1, "k", Some("ab")), (2, "k", Some("c")), (3, "l", None), (4, "l", Some("de"))]);
    bed.run(t.build().expect("valid"));
    assert_eq!(texts(&bed, "out"), ["1 k A", "1 k B", "3 l null", "4 l D", "4 l E"]);
    assert_eq!(seen.load(Ordering::Relaxed), 3);
}

#[test]
fn a_branch_takes_the_first_predicate_that_holds() {
    let mut t = Builder::<Msg>::new("app");
    let words = t.stream::<String>("words", Source::topic("in", text()));
    let ([long, a], rest) = words.branch(
        [
            ("long", Box::new(|record| record.value.len() > 2)),
            ("with-a", Box::new(|record| record.value.contains('a'))),
        ],
        "rest",
    );
    long.to("long", text());
    a.to("a", text());
    // One stream may be put together again.
    rest.merge(&long).to("merged", text());
    let bed = Bed::memory();
    bed.feed("in", &[(1, "k", Some("aaa")), (2, "k", Some("a")), (3, "k", Some("b")), (4, "k", None)]);
    bed.run(t.build().expect("valid"));
    assert_eq!(texts(&bed, "long"), ["1 k aaa", "4 k null"]);
    assert_eq!(texts(&bed, "a"), ["2 k a", "4 k null"]);
    assert_eq!(texts(&bed, "merged"), ["1 k aaa", "3 k b", "4 k null", "4 k null"]);
}

#[test]
fn a_record_of_another_kind_is_a_dead_letter() {
    let mut t = Builder::<Msg>::new("app");
    let numbers = t.stream::<Windowed<u64>>("numbers", Source::topic("in", text()));
    numbers.map(|w| w.value.to_string()).named("texts").to("out", text());
    let bed = Bed::memory();
    bed.feed("in", &[(1, "k", Some("a word"))]);
    assert_eq!(bed.run(t.build().expect("valid")).poisoned, 1);
    let letter = &bed.read("app-dead-letter", 0)[0];
    assert_eq!(letter.headers["dlq.node"], b"texts");
    assert_eq!(letter.headers["dlq.reason"], b"not the kind of record that this operator takes");
}

#[test]
fn a_window_refuses_records_without_value_and_times_beyond_reason() {
    let mut t = Builder::<Msg>::new("app");
    let words = t.stream::<String>("words", Source::topic("in", text()));
    let windows = Windows::tumbling(Duration::from_nanos(10), Duration::ZERO);
    words.windowed(windows).count().named("count").to("out", text());
    let bed = Bed::memory();
    bed.feed("in", &[(1, "k", None), (2, "k", Some("x")), (i64::MAX - 1, "k", Some("x"))]);
    assert_eq!(bed.run(t.build().expect("valid")).poisoned, 2);
    assert_eq!(texts(&bed, "out"), ["9 k 0 10 1"], "time itself goes on");
}
