//! The live feed against a venue on loopback that replays a recording, with faults: what is in the log gives
//! the venue's own book.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lobstream::clock::Clock;
use lobstream::codec::ALL_SYMBOLS;
use lobstream::codec::binary::decode_event;
use lobstream::feed::fake::{FakeOptions, FakeVenue, Fault};
use lobstream::feed::live::{LiveFeed, LiveItem, LiveOptions};
use lobstream::feed::writer::{TopicWriter, WriterOptions};
use lobstream_market::book::{OrderBook, Side};
use lobstream_market::event::{Body, Control, MarketEvent};
use lobstream_market::sync::{BookSync, SyncInput, SyncOptions, SyncState};
use lobstream_streams::beacon::Beacon;
use lobstream_streams::log::{self, Answer, Assignment, ConsumerOptions, Log, TopicName, Tp, topic};
use lobstream_streams::record::{Batch, Offset};

use crate::support::recording;

/// What the topic holds for the one symbol, and how many beacons.
struct Topic {
    events: Vec<MarketEvent>,
    beacons: usize,
}

/// What a reader of the topic finds.
struct Followed {
    sync: BookSync,
    joins: u32,
    resyncs: usize,
    connections: usize,
}

fn read(log: &dyn Log, venue: &FakeVenue) -> Topic {
    let symbol = venue.instrument().symbol.as_str();
    let name = TopicName::new(&format!("market.{}", venue.instrument().venue));
    let partition = topic::partition(symbol.as_bytes(), log.partitions(&name).expect("topic"));
    let tp = Tp::new(&name, partition);
    let options = ConsumerOptions { group: None, assignment: Assignment::Manual };
    let mut consumer = log.consumer(&options).expect("consumer");
    consumer.answer(Answer::Start(&[(tp.clone(), Offset(0))])).expect("start");
    let (mut batch, mut topic) = (Batch::default(), Topic { events: Vec::new(), beacons: 0 });
    loop {
        batch.clear();
        let taken = consumer.take(&tp, 4_096, &mut batch).expect("take");
        for record in batch.iter() {
            if Beacon::decode(record.key, record.value).is_some() {
                topic.beacons += 1;
                continue;
            }
            let event = decode_event(record.value.expect("value")).expect("event");
            let of_all = event.body == Body::Control(Control::Away);
            assert_eq!(record.key, Some(if of_all { ALL_SYMBOLS } else { symbol }.as_bytes()));
            topic.events.push(event);
        }
        if taken.caught_up && taken.n == 0 {
            return topic;
        }
    }
}

fn follow(venue: &FakeVenue, events: &[MarketEvent]) -> Followed {
    let mut sync = BookSync::new(venue.instrument().venue, SyncOptions::default());
    let (mut joins, mut resyncs, mut connections) = (0, 0, 0);
    for event in events {
        resyncs += usize::from(event.body == Body::Control(Control::ResyncStarted));
        connections += usize::from(event.body == Body::Control(Control::Connected));
        let before = sync.state();
        if let Some(input) = SyncInput::of(&event.body) {
            sync.step(input);
        }
        joins += u32::from(before != SyncState::Synced && sync.state() == SyncState::Synced);
    }
    Followed { sync, joins, resyncs, connections }
}

/// How a session ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// It is asked to.
    Stopped,
    /// It is gone, without a word.
    Killed,
}

/// Runs a live feed until the venue's last change has come.
fn session(venue: &FakeVenue, log: &dyn Log, end: End) {
    let instrument = venue.instrument().clone();
    let mut options = LiveOptions::new(instrument.venue, vec![instrument.symbol], 7).expect("options");
    (options.ws_base, options.rest_base) = (Some(venue.ws_base()), Some(venue.rest_base()));
    options.depth = Some(1_000);
    let (clock, stop) = (Clock::start(), Arc::new(AtomicBool::new(false)));
    let mut feed = LiveFeed::start(options, clock, Arc::clone(&stop)).expect("start");
    let mut writer = TopicWriter::open(log, WriterOptions::default()).expect("writer");
    let deadline = clock.mono().0 + Duration::from_secs(60);
    while let Some(item) = feed.wait().expect("feed") {
        assert!(clock.mono().0 < deadline, "the venue's last change never came");
        match item {
            LiveItem::Event(event) => {
                writer.write(&event).expect("write");
                let last = match &event.event.body {
                    Body::Delta(delta) => delta.last_id,
                    _ => None,
                };
                if last.is_some() && last == venue.last_id() {
                    stop.store(true, Ordering::SeqCst);
                    if end == End::Killed {
                        break;
                    }
                }
            }
            LiveItem::Tick(now) => writer.beat(now).expect("beat"),
        }
    }
    writer.leave().expect("leave");
}

/// One session that is stopped, and what the topic holds then.
fn run(test: &str, file: &str, frames: usize, faults: Vec<Fault>) -> Option<(FakeVenue, Topic)> {
    let file = recording(test, &format!("crypto/binance/{file}"))?.into();
    let venue = FakeVenue::start(&FakeOptions { file, frames, rate: 5_000, faults }).expect("venue");
    let dir = tempfile::tempdir().expect("dir");
    let log = log::open(&format!("embedded:{}", dir.path().display())).expect("log");
    session(&venue, log.as_ref(), End::Stopped);
    let topic = read(log.as_ref(), &venue);
    Some((venue, topic))
}

/// The best hundred levels of both sides; what lies beyond a snapshot of a thousand is not known.
fn best(book: &OrderBook) -> Vec<(i64, i64)> {
    let side = |side| book.iter(side).take(100).map(|l| (l.px.0, l.qty.0)).collect::<Vec<_>>();
    [side(Side::Bid), side(Side::Ask)].concat()
}

/// All but the last event, which says that the feed has left and takes the book with it.
fn until_the_end(events: &[MarketEvent]) -> &[MarketEvent] {
    let (last, before) = events.split_last().expect("events");
    assert_eq!(last.body, Body::Control(Control::Disconnected));
    before
}

#[test]
fn without_faults_the_book_joins_once_and_is_the_venues() {
    let test = "without_faults_the_book_joins_once_and_is_the_venues";
    for (file, frames) in [("usdm_btcusdt_20240808.gz", 8_000), ("spot_btcusdt_20240808.gz", 8_000)] {
        let Some((venue, topic)) = run(test, file, frames, vec![]) else { return };
        assert!(matches!(topic.events[0].body, Body::Instrument(_)), "{file}");
        let followed = follow(&venue, until_the_end(&topic.events));
        assert_eq!((followed.joins, followed.resyncs, followed.connections), (1, 0, 1), "{file}");
        assert_eq!(followed.sync.counters().gaps, 0, "{file}");
        assert_eq!(venue.snapshots(), 1, "{file}");
        assert_eq!(best(followed.sync.view().book), best(&venue.book()), "{file}");
        assert!(topic.beacons > 2, "{file}: {} beacons", topic.beacons);
    }
}

#[test]
fn a_lost_change_is_one_gap_and_a_fresh_snapshot_heals_it() {
    let test = "a_lost_change_is_one_gap_and_a_fresh_snapshot_heals_it";
    let faults = vec![Fault::Drop(300)];
    let Some((venue, topic)) = run(test, "usdm_btcusdt_20240808.gz", 20_000, faults) else { return };
    let followed = follow(&venue, until_the_end(&topic.events));
    assert_eq!(followed.sync.counters().gaps, 1);
    assert_eq!((followed.joins, followed.resyncs, followed.connections), (2, 1, 1));
    assert_eq!(venue.snapshots(), 2);
    assert_eq!(best(followed.sync.view().book), best(&venue.book()));
}

#[test]
fn a_broken_connection_is_made_again_and_the_book_with_it() {
    let test = "a_broken_connection_is_made_again_and_the_book_with_it";
    let faults = vec![Fault::Disconnect(300)];
    let Some((venue, topic)) = run(test, "usdm_btcusdt_20240808.gz", 20_000, faults) else { return };
    let followed = follow(&venue, until_the_end(&topic.events));
    assert_eq!((followed.joins, followed.connections), (2, 2));
    assert_eq!(followed.sync.counters().gaps, 0, "the break is known: nothing was missed unseen");
    assert_eq!(best(followed.sync.view().book), best(&venue.book()));
}

/// The first session and the venue were gone at a blow, so nothing in the log says that the book is not followed
/// any more; the second one has to.
#[test]
fn between_two_sessions_stands_a_mark_and_no_book_until_a_fresh_snapshot() {
    let test = "between_two_sessions_stands_a_mark_and_no_book_until_a_fresh_snapshot";
    let venue = |file| {
        let file = recording(test, &format!("crypto/binance/{file}"))?.into();
        Some(
            FakeVenue::start(&FakeOptions { file, frames: 8_000, rate: 5_000, faults: vec![] })
                .expect("venue"),
        )
    };
    let dir = tempfile::tempdir().expect("dir");
    let log = log::open(&format!("embedded:{}", dir.path().display())).expect("log");
    let Some(gone) = venue("usdm_btcusdt_20240718.gz") else { return };
    session(&gone, log.as_ref(), End::Killed);
    let first = read(log.as_ref(), &gone).events;
    let followed = follow(&gone, &first).sync;
    assert_eq!(followed.view().reason, None, "or there would be nothing to take back");
    drop(gone);
    let Some(venue) = venue("usdm_btcusdt_20240808.gz") else { return };
    session(&venue, log.as_ref(), End::Stopped);

    let both = read(log.as_ref(), &venue).events;
    let second = both.strip_prefix(&first[..]).expect("what was written stays");
    assert_eq!(second[0].body, Body::Control(Control::Away), "it comes before anything else of the session");
    let snapshot = second.iter().position(|e| matches!(e.body, Body::Snapshot(_))).expect("a fresh snapshot");
    assert!(snapshot > 1, "the venue's changes come before it");
    for n in 1..=snapshot {
        let followed = follow(&venue, &both[..first.len() + n]).sync;
        assert!(followed.view().reason.is_some(), "{n} events after the restart the book is shown");
    }
    let followed = follow(&venue, until_the_end(&both));
    assert_eq!((followed.joins, followed.sync.state()), (2, SyncState::Synced));
    assert_eq!(best(followed.sync.view().book), best(&venue.book()));
}
