//! The rules, one function each.

use std::time::Duration;

use lobstream_streams::error::{LogError, TxnClass, TxnError};
use lobstream_streams::log::{
    Answer, Assignment, Commit, ConsumerOptions, GroupEvent, Producer, ProducerOptions, TopicName, TopicSpec,
    Tp,
};
use lobstream_streams::record::{Batch, Offset};
use lobstream_streams::time::Ts;

use crate::bed::{Bed, PATIENCE, Rec, T0, read_on, send, start, texts};

pub(crate) fn records_come_back_whole_and_in_order(bed: &Bed) {
    let tp = &bed.topic("whole", 3)[1];
    let headers = || vec![("src".to_owned(), vec![0, 255]), ("dlq.reason".to_owned(), Vec::new())];
    let mut sent: Vec<Rec> = (0..500)
        .map(|i: u64| Rec {
            offset: i,
            ts: T0 + 1_000 * i as i64 + 7,
            seq: i % 3,
            key: (!i.is_multiple_of(5)).then(|| format!("key {i}").into_bytes()),
            value: (!i.is_multiple_of(7)).then(|| vec![i as u8; i as usize % 50]),
            headers: if i.is_multiple_of(2) { headers() } else { Vec::new() },
        })
        .collect();
    sent[9].seq = u64::MAX;
    sent[10].key = Some(Vec::new());
    sent[11].value = Some(vec![0x5a; 300_000]);
    let mut producer = bed.plain();
    for record in &sent {
        record.send(&mut *producer, tp);
    }
    producer.drain(PATIENCE).expect("written");
    assert_eq!(bed.read(tp, sent.len()), sent);
    let range = bed.log.range(tp).expect("known");
    assert_eq!((range.first, range.stable, range.end), (Offset(0), Offset(500), Offset(500)));
}

pub(crate) fn a_start_moves_the_position(bed: &Bed) {
    let tp = &bed.topic("start", 1)[0];
    bed.write(tp, &["a", "b", "c"]);
    bed.write(tp, &["d", "e"]);
    let mut reader = bed.reader(None);
    for (offset, rest) in [(3, "de"), (1, "bcde"), (4, "e"), (0, "abcde"), (5, "")] {
        start(&mut *reader, tp, offset);
        assert_eq!(texts(&read_on(&mut *reader, tp, rest.len())).concat(), rest, "from {offset}");
    }
    reader.answer(Answer::Stop(std::slice::from_ref(tp))).expect("stopped");
    assert!(reader.take(tp, 1, &mut Batch::default()).is_err(), "a stopped partition is not taken from");
    reader.close(PATIENCE).expect("closed");
}

pub(crate) fn take_obeys_its_bound_and_tells_when_it_is_caught_up(bed: &Bed) {
    let tp = &bed.topic("bound", 1)[0];
    bed.write(tp, &["a", "b", "c", "d", "e"]);
    let mut reader = bed.reader(None);
    start(&mut *reader, tp, 0);
    let (mut all, mut batch) = (Vec::new(), Batch::default());
    while all.len() < 5 {
        let before = all.len();
        batch.clear();
        let taken = reader.take(tp, 2, &mut batch).expect("readable");
        assert!(taken.n <= 2);
        all.extend(batch.iter().map(Rec::from));
        assert!(
            !taken.caught_up || all.len() == 5 || all.len() == before,
            "caught up early at {}",
            all.len()
        );
        reader.serve(Duration::from_millis(5)).expect("served");
    }
    assert_eq!(texts(&all).concat(), "abcde");
    assert!(read_on(&mut *reader, tp, 0).is_empty(), "caught up, nothing more");
    bed.write(tp, &["f"]);
    assert_eq!(texts(&read_on(&mut *reader, tp, 1)), ["f"]);
}

pub(crate) fn not_taking_loses_nothing(bed: &Bed) {
    let tps = bed.topic("back-pressure", 2);
    let mut reader = bed.reader(None);
    tps.iter().for_each(|tp| start(&mut *reader, tp, 0));
    let mut producer = bed.plain();
    for i in 0..20_000 {
        send(&mut *producer, &tps[i % 2], &format!("{i}"));
        if i % 1_000 == 0 {
            reader.serve(Duration::ZERO).expect("served");
        }
    }
    producer.drain(PATIENCE).expect("written");
    for (p, tp) in tps.iter().enumerate() {
        let expected: Vec<String> = (0..10_000).map(|i| format!("{}", 2 * i + p)).collect();
        assert_eq!(texts(&read_on(&mut *reader, tp, 10_000)), expected);
    }
}

pub(crate) fn drain_acknowledges_the_last_offsets(bed: &Bed) {
    let tps = bed.topic("acks", 3);
    let mut producer = bed.plain();
    for (p, n) in [(0, 3), (2, 2)] {
        (0..n).for_each(|_| send(&mut *producer, &tps[p], "x"));
    }
    let acks = producer.drain(PATIENCE).expect("written");
    let expected = [(tps[0].clone(), Offset(2)), (tps[2].clone(), Offset(1))];
    assert_eq!(acks.into_iter().collect::<Vec<_>>(), expected);
    assert!(producer.drain(PATIENCE).expect("nothing to do").is_empty(), "each is told once");
    send(&mut *producer, &tps[0], "x");
    let acks = producer.drain(PATIENCE).expect("written");
    assert_eq!(acks.into_iter().collect::<Vec<_>>(), [(tps[0].clone(), Offset(3))]);
}

pub(crate) fn a_transaction_is_seen_when_it_is_committed(bed: &Bed) {
    let tp = &bed.topic("visible", 1)[0];
    let mut producer = bed.transactional("visible");
    let mut reader = bed.reader(None);
    start(&mut *reader, tp, 0);
    producer.begin().expect("begun");
    send(&mut *producer, tp, "a");
    send(&mut *producer, tp, "b");
    let acks = producer.drain(PATIENCE).expect("handed over");
    assert!(read_on(&mut *reader, tp, 0).is_empty(), "nothing is seen before the commit");
    assert_eq!(bed.log.range(tp).expect("known").stable, Offset(0));
    producer.commit().expect("committed");
    let records = read_on(&mut *reader, tp, 2);
    assert_eq!(texts(&records), ["a", "b"]);
    assert_eq!(acks.get(tp), Some(&Offset(records[1].offset)), "drain told where it would be");
}

pub(crate) fn a_transaction_spans_partitions(bed: &Bed) {
    let (left, right) = (bed.topic("left", 2), bed.topic("right", 1));
    let mut producer = bed.transactional("span");
    producer.begin().expect("begun");
    for tp in left.iter().chain(&right) {
        send(&mut *producer, tp, "x");
    }
    producer.drain(PATIENCE).expect("handed over");
    producer.commit().expect("committed");
    for tp in left.iter().chain(&right) {
        assert_eq!(bed.values(tp, 1), ["x"], "{tp}");
    }
}

pub(crate) fn aborted_records_are_never_taken(bed: &Bed) {
    let tp = &bed.topic("abort", 1)[0];
    let mut producer = bed.transactional("abort");
    for (value, commit) in [("a", true), ("lost", false), ("b", true), ("lost too", false), ("c", true)] {
        producer.begin().expect("begun");
        send(&mut *producer, tp, value);
        producer.drain(PATIENCE).expect("handed over");
        if commit { producer.commit().expect("committed") } else { producer.abort().expect("aborted") }
    }
    let records = bed.read(tp, 3);
    assert_eq!(texts(&records), ["a", "b", "c"]);
    assert!(records.is_sorted_by(|a, b| a.offset < b.offset));
}

pub(crate) fn a_fenced_producer_changes_nothing(bed: &Bed) {
    let tp = &bed.topic("fence", 1)[0];
    let mut zombie = bed.transactional("fence");
    zombie.begin().expect("begun");
    send(&mut *zombie, tp, "zombie");
    let mut owner = bed.transactional("fence");
    owner.begin().expect("begun");
    send(&mut *owner, tp, "owner");
    owner.drain(PATIENCE).expect("handed over");
    owner.commit().expect("committed");
    let failed = finish(&mut *zombie).expect_err("a zombie cannot commit");
    assert_eq!(failed.class(), TxnClass::Fatal { fenced: true }, "{failed}");
    assert_eq!(bed.values(tp, 1), ["owner"]);
    owner.begin().expect("the owner lives on");
    send(&mut *owner, tp, "again");
    finish(&mut *owner).expect("committed");
    assert_eq!(bed.values(tp, 2), ["owner", "again"]);
}

/// Where the log hears of a transaction before its end.
pub(crate) fn a_transaction_that_is_left_open_is_given_up(bed: &Bed) {
    let tp = &bed.topic("left-open", 1)[0];
    let (transactional_id, transaction_timeout) = (Some(bed.name("left")), Duration::from_secs(2));
    let options = ProducerOptions { transactional_id, transaction_timeout };
    let mut dead = bed.log.producer(&options).expect("a producer");
    dead.init().expect("nothing to fence");
    dead.begin().expect("begun");
    send(&mut *dead, tp, "never");
    dead.drain(PATIENCE).expect("handed over");
    bed.write(tp, &["behind"]);
    let range = bed.log.range(tp).expect("known");
    assert_eq!((range.stable, range.end), (Offset(0), Offset(2)), "it hides what comes behind it");
    bed.pass(transaction_timeout);
    assert_eq!(bed.values(tp, 1), ["behind"]);
    assert!(finish(&mut *dead).is_err(), "it may not come back");
    assert_eq!(bed.values(tp, 1), ["behind"]);
}

pub(crate) fn offsets_and_notes_are_committed_with_the_transaction(bed: &Bed) {
    let (input, output) = (bed.topic("in", 2), bed.topic("out", 1));
    bed.write(&input[0], &["a", "b"]);
    let mut reader = bed.reader(Some("group"));
    assert_eq!(reader.committed(&input).expect("read"), [None, None]);
    let mut producer = bed.transactional("offsets");
    let commit = Commit { tp: input[0].clone(), offset: Offset(2), note: "e=1;d=0".to_owned() };
    producer.begin().expect("begun");
    send(&mut *producer, &output[0], "ab");
    producer.drain(PATIENCE).expect("handed over");
    producer.send_offsets(reader.group().as_ref(), std::slice::from_ref(&commit)).expect("sent");
    producer.commit().expect("committed");
    assert_eq!(reader.committed(&input).expect("read"), [Some(commit.clone()), None]);
    let mut same_group = bed.reader(Some("group"));
    let reversed = [input[1].clone(), input[0].clone()];
    assert_eq!(same_group.committed(&reversed).expect("read"), [None, Some(commit)]);
    assert_eq!(bed.reader(Some("other")).committed(&input).expect("read"), [None, None]);
}

pub(crate) fn offsets_of_an_aborted_transaction_are_forgotten(bed: &Bed) {
    let tps = bed.topic("in", 1);
    bed.write(&tps[0], &["a", "b"]);
    let mut reader = bed.reader(Some("group"));
    let mut producer = bed.transactional("offsets");
    let commit = |offset, note: &str| [Commit { tp: tps[0].clone(), offset, note: note.to_owned() }];
    producer.begin().expect("begun");
    producer.send_offsets(reader.group().as_ref(), &commit(Offset(1), "e=1")).expect("sent");
    finish(&mut *producer).expect("committed");
    producer.begin().expect("begun");
    send(&mut *producer, &tps[0], "lost");
    producer.drain(PATIENCE).expect("handed over");
    producer.send_offsets(reader.group().as_ref(), &commit(Offset(2), "e=2")).expect("sent");
    producer.abort().expect("aborted");
    producer.begin().expect("begun");
    send(&mut *producer, &tps[0], "c");
    finish(&mut *producer).expect("committed");
    let [expected] = commit(Offset(1), "e=1");
    assert_eq!(reader.committed(&tps).expect("read"), [Some(expected)]);
}

pub(crate) fn a_consumer_commits_outside_transactions(bed: &Bed) {
    let tps = bed.topic("in", 2);
    bed.write(&tps[1], &["a", "b"]);
    let mut reader = bed.reader(Some("sink"));
    let commit = Commit { tp: tps[1].clone(), offset: Offset(2), note: "day=7".to_owned() };
    reader.commit(std::slice::from_ref(&commit)).expect("committed");
    assert_eq!(bed.reader(Some("sink")).committed(&tps).expect("read"), [None, Some(commit)]);
    assert!(bed.reader(None).committed(&tps).is_err(), "without a group nothing is committed");
}

pub(crate) fn static_members_share_the_partitions(bed: &Bed) {
    let tps = bed.topic("shared", 5);
    let mut all = Vec::new();
    for index in 0..2 {
        let assignment = Assignment::Static { index, of: 2 };
        let options = ConsumerOptions { group: Some(bed.name("group")), assignment };
        let mut consumer = bed.log.consumer(&options).expect("a consumer");
        consumer.subscribe(std::slice::from_ref(&tps[0].topic)).expect("subscribed");
        let event = consumer.serve(PATIENCE).expect("served");
        let Some(GroupEvent::Assign(ours)) = event else { panic!("{event:?} instead of an assignment") };
        let expected: Vec<Tp> = tps.iter().filter(|tp| tp.partition % 2 == index).cloned().collect();
        assert_eq!(ours, expected);
        assert_eq!(consumer.serve(Duration::from_millis(20)).expect("served"), None, "assigned once");
        all.extend(ours);
        consumer.close(PATIENCE).expect("closed");
    }
    assert_eq!(all.len(), tps.len());
}

pub(crate) fn a_topic_is_made_once(bed: &Bed) {
    let tps = bed.topic("once", 2);
    bed.write(&tps[0], &["kept"]);
    bed.topic("once", 2);
    assert_eq!(bed.values(&tps[0], 1), ["kept"]);
    assert_eq!(bed.log.partitions(&tps[0].topic).expect("known"), 2);
    let names = bed.log.topics().expect("listed");
    assert!(names.contains(&tps[0].topic) && names.is_sorted(), "{names:?}");
    let failed = bed.log.ensure_topic(&bed.spec("once", 3)).expect_err("another partition count");
    let text = failed.to_string();
    assert!(matches!(failed, LogError::TopicMismatch { .. }), "{text}");
    assert!(text.contains("once") && text.contains('2') && text.contains('3'), "{text}");
    let day = Some(Duration::from_secs(86_400));
    bed.log.ensure_topic(&TopicSpec { retention: day, ..bed.spec("day", 1) }).expect("made");
    let failed = bed.log.ensure_topic(&bed.spec("day", 1)).expect_err("it would lose what is to be kept");
    assert!(matches!(failed, LogError::TopicMismatch { .. }), "{failed}");
}

pub(crate) fn an_unknown_topic_is_an_error(bed: &Bed) {
    let name = TopicName::new(&bed.name("nowhere"));
    let unknown = |e: LogError| matches!(e, LogError::UnknownTopic { .. });
    assert!(bed.log.partitions(&name).is_err_and(unknown));
    assert!(bed.log.range(&Tp::new(&name, 0)).is_err());
    let known = &bed.topic("known", 1)[0].topic;
    assert!(bed.log.range(&Tp::new(known, 1)).is_err(), "there is no such partition");
}

pub(crate) fn what_is_purged_is_gone_and_the_rest_stays(bed: &Bed) {
    let tp = &bed.topic("purged", 1)[0];
    for batch in ["abcd", "efgh", "ijkl"] {
        bed.write(tp, &batch.split("").filter(|s| !s.is_empty()).collect::<Vec<_>>());
    }
    bed.log.purge(&[]).expect("nothing to do");
    bed.log.purge(&[(tp.clone(), Offset(9))]).expect("deleted");
    bed.log.purge(&[(tp.clone(), Offset(2))]).expect("they are gone");
    let range = bed.log.range(tp).expect("known");
    assert!((8..=9).contains(&range.first.0), "whole batches, if not each record: {range:?}");
    assert_eq!((range.stable, range.end), (Offset(12), Offset(12)));
    let mut reader = bed.reader(None);
    start(&mut *reader, tp, range.first.0);
    let rest = &"abcdefghijkl"[range.first.0 as usize..];
    assert_eq!(texts(&read_on(&mut *reader, tp, rest.len())).concat(), rest);
    start(&mut *reader, tp, 1);
    let missed = (0..PATIENCE.as_millis() / 10).find_map(|_| {
        std::thread::sleep(Duration::from_millis(10));
        reader.take(tp, 9, &mut Batch::default()).err()
    });
    let have = range.first.0;
    assert!(
        matches!(&missed, Some(LogError::HistoryMissing { need: 1, have: h, .. }) if *h == have),
        "{missed:?}"
    );
    bed.write(tp, &["m"]);
    start(&mut *reader, tp, 12);
    assert_eq!(texts(&read_on(&mut *reader, tp, 1)), ["m"], "offsets go on");
}

pub(crate) fn offsets_are_found_by_time(bed: &Bed) {
    let tp = &bed.topic("times", 1)[0];
    let ms = 1_000_000;
    // Batches that overlap, the last ones older than what stands before them.
    for times in [[0, 10, 5], [8, 30, 20], [7, 9, 2], [1, 1, 1]] {
        let mut producer = bed.plain();
        for t in times {
            let value = Some(Vec::new());
            let (ts, headers) = (T0 + t * ms, Vec::new());
            Rec { offset: 0, ts, seq: 0, key: None, value, headers }.send(&mut *producer, tp);
        }
        producer.drain(PATIENCE).expect("written");
    }
    let expected = [(-1, Some(0)), (0, Some(0)), (1, Some(1)), (10, Some(1)), (11, Some(4)), (30, Some(4))];
    for (t, offset) in expected.into_iter().chain([(31, None)]) {
        let found = bed.log.offset_at(tp, Ts(T0 + t * ms)).expect("readable");
        assert_eq!(found, offset.map(Offset), "at {t} ms");
    }
}

fn finish(producer: &mut dyn Producer) -> Result<(), TxnError> {
    producer.drain(PATIENCE)?;
    producer.commit()
}
