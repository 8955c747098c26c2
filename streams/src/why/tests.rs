//! The order of the checks, and every answer as a person reads it.

use super::*;
use crate::log::TopicName;

fn at(text: &str) -> Ts {
    format!("2024-08-08T{text}").parse().expect("a time")
}

fn channel(topic: &str, bound: &str) -> Channel {
    Channel {
        tp: Tp::new(&TopicName::new(topic), 2),
        origin: None,
        bound: Some(at(bound)),
        next: Offset(88_131),
        stable: Offset(88_131),
        end: Offset(88_131),
        record: None,
        beacon: None,
        head: None,
        left: false,
        silent: None,
    }
}

/// The window of the page: one input is empty and is waited for, the other one has records.
fn open() -> Why {
    let trade = Channel {
        record: Some((Offset(88_123), at("23:54:21.104"))),
        beacon: Some(at("23:54:21.312")),
        silent: Some(Duration::from_millis(4_100)),
        ..channel("trade.okx", "23:54:21.312")
    };
    let (head, stable, end) = (Some(at("23:54:24")), Offset(89_335), Offset(89_335));
    let book = Channel { head, stable, end, ..channel("book-delta.okx", "23:54:23.9") };
    Why {
        key: b"BTCUSDT".to_vec(),
        start: at("23:54:20"),
        end: at("23:54:21"),
        grace: Duration::from_secs(1),
        task: TaskId { sub: 0, partition: 2 },
        state: None,
        epoch: Some(7),
        time: Some(at("23:54:21.312")),
        channels: vec![book, trade],
        emitted: None,
        late: 0,
        poisoned: None,
    }
}

const OPEN: &str = "window  [23:54:20, 23:54:21) key BTCUSDT task 0_2: open. Needs T >= 23:54:22.000 (end + grace 1 s); T is 23:54:21.312";

#[test]
fn an_empty_input_is_named_with_all_that_is_known_of_it() {
    let expected = format!(
        "{OPEN}\n\
         waits   trade.okx-2: empty, bound 23:54:21.312 (record 88123 at 23:54:21.104, beacon 23:54:21.312), caught up at 88131, silent 4.1 s, rule wait\n\
         others  book-delta.okx-2: head 23:54:24.000, 1204 waiting"
    );
    assert_eq!(open().to_string(), expected);
}

#[test]
fn checks_are_made_in_their_fixed_order() {
    use TaskState::{Closed, Restoring, Running, Suspended};
    let mut why = open();
    let name = |why: &Why| match why.verdict() {
        Verdict::NotAssigned => "not assigned",
        Verdict::Restoring => "restoring",
        Verdict::Suspended => "suspended",
        Verdict::OpenTransaction(_) => "stable < end",
        Verdict::Lag(_) => "lag",
        Verdict::Empty(_) => "empty",
        Verdict::Short => "short",
        Verdict::Emitted(..) => "emitted",
        Verdict::ClosedEmpty => "closed empty",
    };
    // From the last check to the first: each one is overruled by the one before it.
    why.time = Some(at("23:54:22"));
    assert_eq!(name(&why), "closed empty");
    why.emitted = Some((Tp::new(&TopicName::new("factors.okx"), 2), Offset(77)));
    assert_eq!(name(&why), "emitted");
    (why.emitted, why.time) = (None, Some(Ts(at("23:54:22").0 - 1)));
    why.channels.iter_mut().for_each(|c| (c.left, c.stable, c.end) = (true, c.next, c.next));
    assert_eq!(name(&why), "short");
    why.channels = open().channels;
    assert_eq!(name(&why), "empty");
    (why.channels[1].stable, why.channels[1].end) = (Offset(88_140), Offset(88_140));
    assert_eq!(name(&why), "lag");
    why.channels[1].end = Offset(88_150);
    assert_eq!(name(&why), "stable < end");
    for (state, expected) in [
        (Running, "stable < end"),
        (Suspended, "suspended"),
        (Restoring, "restoring"),
        (Closed, "not assigned"),
    ] {
        why.state = Some(state);
        assert_eq!(name(&why), expected);
    }
    (why.state, why.epoch) = (None, None);
    assert_eq!(name(&why), "not assigned");
}

/// Every answer as a person reads it.
#[test]
fn answers_are_worded_as_the_golden_text() {
    let mut why = open();
    let mut text = Vec::new();
    let mut say = |why: &Why| text.push(why.to_string());
    (why.channels[1].stable, why.channels[1].end) = (Offset(88_131), Offset(88_140));
    say(&why);
    (why.channels[1].stable, why.channels[1].end) = (Offset(88_133), Offset(88_133));
    why.channels[1].head = Some(at("23:54:21.4"));
    say(&why);
    why.channels.truncate(1);
    why.channels[0].left = true;
    (why.channels[0].stable, why.channels[0].end) = (why.channels[0].next, why.channels[0].next);
    say(&why);
    why.time = Some(at("23:54:22"));
    why.late = 3;
    why.poisoned = Some(("offset 812 of market.okx-2".to_owned(), "not JSON".to_owned(), 2));
    say(&why);
    why.emitted = Some((Tp::new(&TopicName::new("factors.okx"), 2), Offset(77)));
    say(&why);
    for state in [TaskState::Suspended, TaskState::Restoring, TaskState::Failed] {
        why.state = Some(state);
        say(&why);
    }
    let text = text.join("\n\n") + "\n";
    let golden = include_str!("../../tests/fixtures/why.txt");
    assert!(text == golden, "the golden text is fixtures/why.txt; this is\n{text}");
}
