//! Books rebuilt from recordings against what the venue itself said, and against two ordered maps.

use std::collections::{BTreeMap, HashMap};

use lobstream_market::book::validity::InvalidReason;
use lobstream_market::book::{OrderBook, Side};
use lobstream_market::event::{Body, BookDelta, BookSnapshot, Level, Quote};
use lobstream_market::sync::{
    Action, BookChange, BookSync, Counters, Outcome, SyncInput, SyncOptions, SyncState,
};

use super::captures::{COINM, Recording, SPOT, SPOT_SECOND_FILE, USDM, USDM_2023, USDM_JULY};

struct Expected {
    buffered: usize,
    dropped: u64,
    applied: u64,
    unknown_deletes: u64,
    bid: (&'static str, &'static str),
    ask: (&'static str, &'static str),
    levels: [usize; 2],
    /// Tickers of an id that the book also had, all of them equal.
    compared: usize,
}

fn check(test: &str, recording: &Recording, expected: &Expected) {
    let Some(bodies) = recording.read(test) else { return };
    let mut sync = BookSync::new(recording.venue, SyncOptions::default());
    let (mut maps, mut tickers) = (Maps::default(), Tickers::default());
    let mut buffered = None;
    for body in &bodies {
        if let Body::Quote(quote) = body {
            tickers.on_quote(quote, &sync);
            continue;
        }
        if let Body::Snapshot(_) = body {
            buffered = Some(sync.buffered());
        }
        let step = sync.step(SyncInput::of(body).expect("a book message"));
        let joined = step.change == BookChange::Joined;
        maps.on(body, &sync, joined);
        if joined || step.change == BookChange::Delta {
            assert!(sync.view().is_ok(), "never crossed, never one-sided");
            tickers.on_book(&sync);
        }
    }
    let book = sync.view().book;
    maps.check_equal(book);
    let (bid, ask) = (expected.bid, expected.ask);
    assert_eq!(book.best(Side::Bid), Some(recording.level_of(bid.0, bid.1)));
    assert_eq!(book.best(Side::Ask), Some(recording.level_of(ask.0, ask.1)));
    assert_eq!(Side::ALL.map(|side| book.len(side)), expected.levels);
    assert_eq!(buffered, Some(expected.buffered));
    let counted = Counters {
        applied: expected.applied,
        stale: expected.dropped,
        unknown_deletes: expected.unknown_deletes,
        ..Counters::default()
    };
    assert_eq!(*sync.counters(), counted, "and nothing else: no gap, no refusal, nothing odd");
    assert_eq!((tickers.compared, tickers.equal), (expected.compared, expected.compared));
}

/// The venue's ticker, compared when its id is the book's, whichever of the two comes first.
#[derive(Default)]
struct Tickers {
    seen: HashMap<i64, (Level, Level)>,
    compared: usize,
    equal: usize,
}

impl Tickers {
    fn on_quote(&mut self, quote: &Quote, sync: &BookSync) {
        let id = quote.update_id.expect("tickers have ids");
        if self.seen.insert(id, (quote.bid, quote.ask)).is_none() && sync.view().last_update_id == Some(id) {
            self.compare(sync, id);
        }
    }

    fn on_book(&mut self, sync: &BookSync) {
        if let Some(id) = sync.view().last_update_id.filter(|id| self.seen.contains_key(id)) {
            self.compare(sync, id);
        }
    }

    fn compare(&mut self, sync: &BookSync, id: i64) {
        let book = sync.view().book;
        let best = book.best(Side::Bid).zip(book.best(Side::Ask));
        self.compared += 1;
        self.equal += usize::from(best == Some(self.seen[&id]));
    }
}

/// Two ordered maps that take everything the venue sends after the snapshot, without a machine.
#[derive(Default)]
struct Maps {
    sides: [BTreeMap<i64, i64>; 2],
    kept: Vec<BookDelta>,
}

impl Maps {
    fn on(&mut self, body: &Body, sync: &BookSync, joined: bool) {
        match body {
            Body::Snapshot(snapshot) if joined => {
                self.set(&snapshot.bids, &snapshot.asks);
                for delta in std::mem::take(&mut self.kept) {
                    // Absolute quantities: a change at or after the snapshot's id may be set again.
                    if delta.last_id >= snapshot.last_id {
                        self.set(&delta.bids, &delta.asks);
                    }
                }
            }
            Body::Delta(delta) if sync.state() == SyncState::Synced => self.set(&delta.bids, &delta.asks),
            Body::Delta(delta) => self.kept.push(delta.clone()),
            _ => {}
        }
    }

    fn set(&mut self, bids: &[Level], asks: &[Level]) {
        for (map, levels) in self.sides.iter_mut().zip([bids, asks]) {
            for level in levels {
                match level.qty.0 {
                    0 => map.remove(&level.px.0),
                    lots => map.insert(level.px.0, lots),
                };
            }
        }
    }

    fn check_equal(&self, book: &OrderBook) {
        let flat = |level: Level| (level.px.0, level.qty.0);
        let [bids, asks] = &self.sides;
        assert!(book.iter(Side::Bid).map(flat).eq(bids.iter().rev().map(|(&px, &qty)| (px, qty))));
        assert!(book.iter(Side::Ask).map(flat).eq(asks.iter().map(|(&px, &qty)| (px, qty))));
    }
}

#[test]
fn spot_book_equals_the_ticker() {
    let expected = Expected {
        buffered: 3,
        dropped: 2,
        applied: 6_493,
        unknown_deletes: 26_140,
        bid: ("61602.01", "1.67177"),
        ask: ("61602.02", "2.66795"),
        levels: [1_971, 2_962],
        compared: 1_072,
    };
    check("spot_book_equals_the_ticker", &SPOT, &expected);
}

#[test]
fn usdm_book_equals_the_ticker() {
    let expected = Expected {
        buffered: 6,
        dropped: 4,
        applied: 6_547,
        unknown_deletes: 17_747,
        bid: ("61659.70", "1.486"),
        ask: ("61659.80", "0.981"),
        levels: [5_018, 4_578],
        compared: 503 + 126,
    };
    check("usdm_book_equals_the_ticker", &USDM, &expected);
}

#[test]
fn usdm_book_goes_on_over_midnight() {
    let expected = Expected {
        buffered: 6,
        dropped: 5,
        applied: 9_017,
        unknown_deletes: 8_497,
        bid: ("63867.40", "0.002"),
        ask: ("63867.50", "5.045"),
        levels: [5_276, 5_156],
        compared: 625,
    };
    check("usdm_book_goes_on_over_midnight", &USDM_JULY, &expected);
}

#[test]
fn usdm_book_joins_a_snapshot_that_comes_first() {
    let expected = Expected {
        buffered: 0,
        dropped: 0,
        applied: 16_110,
        unknown_deletes: 3_599,
        bid: ("28140.10", "8.251"),
        ask: ("28140.20", "7.212"),
        levels: [5_393, 3_847],
        compared: 1_565,
    };
    check("usdm_book_joins_a_snapshot_that_comes_first", &USDM_2023, &expected);
}

#[test]
fn coinm_book_equals_the_ticker() {
    let expected = Expected {
        buffered: 25,
        dropped: 23,
        applied: 44_772,
        unknown_deletes: 88_100,
        bid: ("61600.0", "27"),
        ask: ("61600.1", "1647"),
        levels: [1_510, 1_733],
        compared: 1_885,
    };
    check("coinm_book_equals_the_ticker", &COINM, &expected);
}

/// The file after midnight holds no snapshot: nothing is ever shown, nothing is invented.
#[test]
fn a_file_without_a_snapshot_never_syncs() {
    let Some(bodies) = SPOT_SECOND_FILE.read("a_file_without_a_snapshot_never_syncs") else { return };
    let mut sync = BookSync::new(SPOT_SECOND_FILE.venue, SyncOptions::default());
    for input in bodies.iter().filter_map(SyncInput::of) {
        sync.step(input);
        assert!(!sync.view().is_ok() && sync.view().book.is_empty());
    }
    assert_eq!((sync.state(), sync.buffered()), (SyncState::Buffering, 3_044));
}

/// One change is lost: one gap, no book until a snapshot comes, and then the book of the whole file.
fn gap_drill(test: &str, recording: &Recording) {
    let Some(bodies) = recording.read(test) else { return };
    let messages: Vec<_> = bodies.iter().filter(|body| SyncInput::of(body).is_some()).collect();
    let (lost, resync) = (messages.len() / 2, messages.len() / 2 + 200);
    let mut whole = BookSync::new(recording.venue, SyncOptions::default());
    let mut torn = whole.clone();
    for (i, body) in messages.iter().enumerate() {
        let input = SyncInput::of(body).expect("a book message");
        whole.step(input);
        if i == lost {
            continue;
        }
        let step = torn.step(input);
        if i == lost + 1 {
            assert_eq!(step.outcome, Outcome::Gap);
            assert_eq!(step.change, BookChange::Lost(InvalidReason::Gap));
            assert_eq!(step.action, Some(Action::RequestSnapshot));
        } else if i > lost && i <= resync {
            assert_eq!((step.outcome, step.change), (Outcome::Buffered, BookChange::None));
            assert!(torn.view().book.is_empty());
        }
        if i == resync {
            let joined = torn.step(SyncInput::Snapshot(&state_of(&whole)));
            assert_eq!((joined.outcome, joined.change), (Outcome::Synced, BookChange::Joined));
        }
        if i >= resync {
            let levels =
                |sync: &BookSync| Side::ALL.map(|side| sync.view().book.iter(side).collect::<Vec<_>>());
            if i % 500 == 0 || i + 1 == messages.len() || i == resync {
                assert_eq!(levels(&torn), levels(&whole));
            }
        }
    }
    assert_eq!((torn.counters().gaps, torn.view().epoch), (1, 2));
}

fn state_of(sync: &BookSync) -> BookSnapshot {
    let book = sync.view().book;
    BookSnapshot {
        last_id: book.last_id(),
        limit: None,
        bids: book.iter(Side::Bid).collect(),
        asks: book.iter(Side::Ask).collect(),
    }
}

#[test]
fn a_lost_spot_change_is_one_gap() {
    gap_drill("a_lost_spot_change_is_one_gap", &SPOT);
}

#[test]
fn a_lost_usdm_change_is_one_gap() {
    gap_drill("a_lost_usdm_change_is_one_gap", &USDM);
}

#[test]
fn a_lost_coinm_change_is_one_gap() {
    gap_drill("a_lost_coinm_change_is_one_gap", &COINM);
}
