//! What ends up in a topic, whatever the batches and the log.

use lobstream_market::event::{Body, Control, MarketEvent};
use lobstream_streams::error::TxnError;
use lobstream_streams::log::{
    Acks, Commit, Consumer, ConsumerOptions, GroupMetadata, Range, StateWrites, TopicName,
};
use proptest::prelude::*;

use super::*;
use crate::codec::binary::decode_event;

/// A log that keeps records in memory, in the order sent, and takes `room` of them between two drains.
#[derive(Default)]
struct Kept {
    records: std::sync::Arc<std::sync::Mutex<Vec<Sent>>>,
    room: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Sent {
    tp: Tp,
    key: Vec<u8>,
    value: Vec<u8>,
    ts: i64,
}

struct KeptProducer {
    records: std::sync::Arc<std::sync::Mutex<Vec<Sent>>>,
    room: Option<usize>,
    waiting: usize,
}

impl Log for Kept {
    fn ensure_topic(&self, _: &TopicSpec) -> Result<(), LogError> {
        Ok(())
    }
    fn partitions(&self, topic: &TopicName) -> Result<u32, LogError> {
        Err(LogError::UnknownTopic { topic: topic.to_string() })
    }
    fn topics(&self) -> Result<Vec<TopicName>, LogError> {
        unreachable!("a writer does not ask")
    }
    fn range(&self, tp: &Tp) -> Result<Range, LogError> {
        let n = self.records.lock().expect("lock").iter().filter(|s| s.tp == *tp).count() as u64;
        Ok(Range { first: Offset(0), stable: Offset(n), end: Offset(n) })
    }
    fn offset_at(&self, tp: &Tp, ts: Ts) -> Result<Option<Offset>, LogError> {
        let records = self.records.lock().expect("lock");
        let at = records.iter().filter(|s| s.tp == *tp).position(|s| s.ts >= ts.0);
        Ok(at.map(|at| Offset(at as u64)))
    }
    fn consumer(&self, _: &ConsumerOptions) -> Result<Box<dyn Consumer>, LogError> {
        unreachable!("a writer does not read")
    }
    fn producer(&self, _: &ProducerOptions) -> Result<Box<dyn Producer>, LogError> {
        Ok(Box::new(KeptProducer { records: self.records.clone(), room: self.room, waiting: 0 }))
    }
    fn state(&self) -> Option<std::sync::Arc<lobstream_streams::lmdb::Env>> {
        None
    }
}

impl Producer for KeptProducer {
    fn init(&mut self) -> Result<(), TxnError> {
        Ok(())
    }
    fn begin(&mut self) -> Result<(), TxnError> {
        unreachable!("a feed has no transactions")
    }
    fn send(&mut self, r: OutRecord<'_>) -> Result<(), SendError> {
        if self.room.is_some_and(|room| self.waiting >= room) {
            return Err(SendError::Full);
        }
        self.waiting += 1;
        let bytes = |b: Option<&[u8]>| b.expect("given").to_vec();
        let sent = Sent { tp: r.tp.clone(), key: bytes(r.key), value: bytes(r.value), ts: r.ts.0 };
        self.records.lock().expect("lock").push(sent);
        Ok(())
    }
    fn drain(&mut self, _: Duration) -> Result<Acks, TxnError> {
        self.waiting = 0;
        Ok(Acks::new())
    }
    fn send_offsets(&mut self, _: Option<&GroupMetadata>, _: &[Commit]) -> Result<(), TxnError> {
        unreachable!("a feed has no offsets")
    }
    fn ship(&mut self, _: &StateWrites) -> Result<bool, TxnError> {
        unreachable!("a feed has no state")
    }
    fn commit(&mut self) -> Result<(), TxnError> {
        unreachable!("a feed has no transactions")
    }
    fn abort(&mut self) -> Result<(), TxnError> {
        unreachable!("a feed has no transactions")
    }
}

const MS: i64 = 1_000_000;

fn event(symbol: &str, event_ms: Option<i64>, recv_ms: Option<i64>) -> FeedEvent {
    FeedEvent {
        venue: Venue::BinanceSpot,
        symbol: Symbol::new(symbol),
        event: MarketEvent {
            ts_event: event_ms.map(|t| t * MS),
            ts_recv: recv_ms.map(|t| t * MS),
            body: Body::Control(Control::Connected),
        },
        source: 0,
    }
}

fn write(room: Option<usize>, partitions: u32, events: &[FeedEvent]) -> Vec<Sent> {
    let log = Kept { room, ..Kept::default() };
    let options = WriterOptions { partitions: Some(partitions), ..WriterOptions::default() };
    let mut writer = TopicWriter::open(&log, options).expect("open");
    events.iter().for_each(|event| writer.write(event).expect("write"));
    let written = writer.finish().expect("finish");
    let sent = log.records.lock().expect("lock").clone();
    assert_eq!(written.events, events.len() as u64);
    assert_eq!(written.events + written.beacons, sent.len() as u64);
    sent
}

/// Beacons as (place in the stream, bound in ms, bye).
fn beacons(sent: &[Sent]) -> Vec<(usize, i64, bool)> {
    let decoded = |s: &Sent| Beacon::decode(Some(&s.key), Some(&s.value)).map(|b| (b.bound.0 / MS, b.bye));
    sent.iter().enumerate().filter_map(|(i, s)| decoded(s).map(|(b, bye)| (i, b, bye))).collect()
}

#[test]
fn a_record_has_its_event_time_or_the_greatest_before_or_its_receive_time() {
    let sent = write(
        None,
        1,
        &[
            event("X", None, Some(1_010)),
            event("X", Some(1_005), Some(1_011)),
            event("X", Some(1_002), Some(1_012)),
            event("Y", None, Some(1_013)),
        ],
    );
    let times: Vec<i64> = sent[..4].iter().map(|s| s.ts / MS).collect();
    assert_eq!(times, [1_010, 1_005, 1_002, 1_005]);
    assert_eq!(decode_event(&sent[1].value).expect("event").ts_event, Some(1_005 * MS));
}

/// The golden case of the streams page: E = 1000.000, R = 998.730, now = 999.230 gives 1000.000.
#[test]
fn the_beacon_of_a_crossed_grid_point_stands_before_the_event_that_crossed_it() {
    let sent = write(
        None,
        1,
        &[
            event("X", Some(1_000_000), Some(998_730)),
            event("X", Some(1_000_600), Some(999_260)),
            event("X", Some(1_000_700), Some(999_270)),
        ],
    );
    // Grid points 998.750, 999.000 and 999.250 were crossed: only the newest counts.
    let at_999_250 = 1_000_000 + (999_250 - 998_730) - 500;
    assert_eq!(beacons(&sent), [(1, at_999_250, false), (4, 1_000_700 + 500, true)]);
    assert_eq!(sent[1].ts, at_999_250 * MS);
}

/// Two recorders of one venue, whose clocks are 5 s apart, and a third one of another venue.
#[test]
fn a_beacon_is_reckoned_with_the_clock_of_one_recorder() {
    let of = |source, event_ms: i64, ahead_ms: i64| FeedEvent {
        source,
        ..event("X", Some(event_ms), Some(event_ms + ahead_ms))
    };
    let mut events = Vec::new();
    for i in 0..40 {
        events.extend([of(0, 10_000 + 100 * i, -2_000), of(1, 10_050 + 100 * i, 3_000)]);
        let other = FeedEvent { venue: Venue::BinanceUsdm, ..of(2, 10_060 + 100 * i, 60_000) };
        events.push(other);
    }
    let sent = write(None, 1, &events);
    for topic in ["market.binance-spot", "market.binance-usdm"] {
        let of_topic: Vec<Sent> = sent.iter().filter(|s| s.tp.topic.as_str() == topic).cloned().collect();
        let told = beacons(&of_topic);
        assert!(told.len() > 10, "{topic}: time goes on");
        for (place, bound, _) in told {
            let late = of_topic[place + 1..].iter().find(|s| s.ts < bound * MS);
            assert_eq!(late, None, "{topic}: {bound} was promised");
        }
    }
}

#[test]
fn every_partition_gets_every_beacon_and_a_bye() {
    let sent = write(None, 4, &[event("X", Some(1_000), Some(1_000)), event("X", Some(1_300), Some(1_300))]);
    let of = |p: u32| sent.iter().filter(move |s| s.tp.partition == p && s.key[0] == 0).count();
    assert_eq!([of(0), of(1), of(2), of(3)], [2; 4]);
    let x = topic::partition(b"X", 4);
    assert!(sent.iter().filter(|s| s.key == b"X").all(|s| s.tp.partition == x));
}

#[test]
fn without_receive_times_there_is_only_a_bye() {
    let sent = write(None, 1, &[event("X", Some(1_000), None), event("X", Some(9_000), None)]);
    assert_eq!(beacons(&sent), [(2, 9_500, true)]);
}

#[test]
fn the_bye_is_of_the_whole_input_and_never_below_a_beacon() {
    let mut other = event("X", Some(5_000), Some(1_000));
    other.venue = Venue::BinanceUsdm;
    let sent = write(None, 1, &[event("X", Some(1_000), Some(1_000)), other, event("X", None, Some(60_000))]);
    let byes: Vec<_> = beacons(&sent).into_iter().filter(|b| b.2).collect();
    // The clock of the capture ran on for 59 s after the last event time: the promise stands.
    assert_eq!(byes.iter().map(|b| b.1).collect::<Vec<_>>(), [1_000 + 59_000 - 500; 2]);
    let topics: Vec<&str> = sent.iter().rev().take(2).map(|s| s.tp.topic.as_str()).collect();
    assert_eq!(topics, ["market.binance-usdm", "market.binance-spot"]);
}

/// Two sessions into one log: the second one says so first, wherever records are.
#[test]
fn a_later_session_begins_with_a_mark_that_nobody_listened() {
    let log = Kept::default();
    let session = |events: &[FeedEvent]| {
        let before = log.records.lock().expect("lock").len();
        let options = WriterOptions { partitions: Some(3), ..WriterOptions::default() };
        let mut writer = TopicWriter::open(&log, options).expect("open");
        events.iter().for_each(|event| writer.write(event).expect("write"));
        // Killed: no bye.
        let written = writer.leave().expect("leave");
        assert!(written.overlapping.is_empty(), "time goes on");
        log.records.lock().expect("lock")[before..].to_vec()
    };
    let first = session(&[event("X", Some(1_000), Some(1_000)), event("Y", Some(1_100), Some(1_100))]);
    assert!(first.iter().all(|sent| sent.key != b"*"), "nobody was there before");
    let mut filled = [b"X", b"Y"].map(|symbol| topic::partition(symbol, 3)).to_vec();
    filled.sort_unstable();
    filled.dedup();
    let second = session(&[event("X", Some(9_000), Some(9_000))]);
    let (marks, events) = second.split_at(second.len() - 1);
    assert_eq!(events[0].key, b"X");
    let away = MarketEvent { ts_event: None, ts_recv: None, body: Body::Control(Control::Away) };
    for mark in marks {
        assert_eq!((&mark.key[..], mark.ts), (&b"*"[..], 0), "time does not rise");
        assert_eq!(decode_event(&mark.value), Ok(away.clone()));
    }
    let marked: Vec<u32> = marks.iter().map(|mark| mark.tp.partition).collect();
    assert_eq!(marked, filled);
}

#[test]
fn a_session_that_writes_the_past_is_told() {
    let log = Kept::default();
    let session = |event_ms: i64| {
        let options = WriterOptions { partitions: Some(1), ..WriterOptions::default() };
        let mut writer = TopicWriter::open(&log, options).expect("open");
        for i in 0..8 {
            writer.write(&event("X", Some(event_ms + 100 * i), Some(event_ms + 100 * i))).expect("write");
        }
        writer.finish().expect("finish").overlapping
    };
    assert!(session(10_000).is_empty());
    assert!(
        session(10_800).is_empty(),
        "it goes on where the first one ended, whose bye is half a second later"
    );
    assert_eq!(session(10_000), ["market.binance-spot"], "the same once more");
    assert!(session(20_000).is_empty());
}

proptest! {
    /// Whatever the log's buffer holds, the records are the same, and no beacon goes back.
    #[test]
    fn what_is_written_does_not_depend_on_the_log(
        steps in prop::collection::vec((0i64..400, prop::option::of(0i64..900)), 1..60),
        room in 1usize..9,
    ) {
        let mut recv = 10_000;
        let events: Vec<FeedEvent> = steps
            .iter()
            .map(|(step, ahead)| {
                recv += step;
                event("X", ahead.map(|a| recv + a), Some(recv))
            })
            .collect();
        let sent = write(None, 2, &events);
        prop_assert_eq!(&write(Some(room), 2, &events), &sent);
        let bounds: Vec<i64> = beacons(&sent).iter().map(|b| b.1).collect();
        prop_assert!(bounds.is_sorted());
    }
}
