//! Whatever happens to messages on their way, a book that is shown is the venue's own of that update id.

use std::collections::BTreeMap;

use lobstream_market::book::Side;
use lobstream_market::event::{BookDelta, BookSnapshot, Level};
use lobstream_market::instrument::Venue;
use lobstream_market::price::{Lots, Ticks};
use lobstream_market::sync::{BookSync, Outcome, SyncInput, SyncOptions, SyncState};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

type Sides = [BTreeMap<i64, i64>; 2];

/// A venue: its messages, and its book after each single update id.
struct TrueVenue {
    messages: Vec<BookDelta>,
    books: BTreeMap<i64, Sides>,
}

impl TrueVenue {
    /// On spot ids count without holes; futures ids jump between messages.
    fn new(venue: Venue, rng: &mut ChaCha8Rng) -> TrueVenue {
        let mut sides = Sides::default();
        let mut made = TrueVenue { messages: Vec::new(), books: BTreeMap::from([(1_000, sides.clone())]) };
        let mut last = 1_000;
        for _ in 0..60 {
            let jump = if venue == Venue::BinanceSpot { 0 } else { rng.random_range(0..4i64) };
            let (first, prev) = (last + 1 + jump, last);
            let n = rng.random_range(1..4i64);
            let mut changed = [Vec::new(), Vec::new()];
            for id in first..first + n {
                let side = rng.random_range(0..2usize);
                let px = if side == 0 { rng.random_range(90..100) } else { rng.random_range(100..110) };
                let lots = if rng.random_range(0..3u32) == 0 { 0 } else { rng.random_range(1..50i64) };
                match lots {
                    0 => sides[side].remove(&px),
                    lots => sides[side].insert(px, lots),
                };
                changed[side].push(Level { px: Ticks(px), qty: Lots(lots) });
                made.books.insert(id, sides.clone());
            }
            last = first + n - 1;
            let [bids, asks] = changed;
            let (first_id, last_id, prev_id) = (Some(first), Some(last), Some(prev));
            made.messages.push(BookDelta { first_id, last_id, prev_id, bids, asks });
        }
        made
    }

    fn snapshot(&self, id: i64) -> BookSnapshot {
        let level = |(&px, &lots): (&i64, &i64)| Level { px: Ticks(px), qty: Lots(lots) };
        let [bids, asks] = &self.books[&id];
        let (bids, asks) = (bids.iter().rev().map(level).collect(), asks.iter().map(level).collect());
        BookSnapshot { last_id: Some(id), limit: None, bids, asks }
    }

    /// The state at some id from here on backwards.
    fn some_snapshot(&self, upto: i64, rng: &mut ChaCha8Rng) -> BookSnapshot {
        let known: Vec<i64> = self.books.range(..=upto).map(|(&id, _)| id).collect();
        self.snapshot(known[known.len().saturating_sub(1 + rng.random_range(0..12usize))])
    }

    fn check(&self, sync: &BookSync) {
        let view = sync.view();
        if sync.state() != SyncState::Synced {
            assert!(view.book.is_empty() && view.reason.is_some());
            return;
        }
        let truth = &self.books[&view.last_update_id.expect("a shown book has an id")];
        let flat =
            |side| view.book.iter(side).map(|level| (level.px.0, level.qty.0)).collect::<BTreeMap<_, _>>();
        assert_eq!([flat(Side::Bid), flat(Side::Ask)], *truth);
    }
}

/// Lost, doubled and exchanged messages, snapshots of any age, cut connections; at the end a quiet time in
/// which the book must come back.
fn run(venue: Venue, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let truth = TrueVenue::new(venue, &mut rng);
    let mut sync = BookSync::new(venue, SyncOptions { buffer_events_max: 8, ..SyncOptions::default() });
    let mut messages: Vec<&BookDelta> = truth.messages.iter().collect();
    for i in 0..50 {
        match rng.random_range(0..30u32) {
            0 => messages.swap(i, i + 1),
            1 => messages[i] = messages[i + 1],
            _ => {}
        }
    }
    for (i, message) in messages.iter().enumerate() {
        let is_faulty = i < 50;
        if is_faulty && rng.random_range(0..20u32) == 0 {
            continue;
        }
        if is_faulty && rng.random_range(0..40u32) == 0 {
            sync.step(SyncInput::Disconnected);
        }
        sync.step(SyncInput::Delta(message));
        truth.check(&sync);
        if !is_faulty || rng.random_range(0..6u32) == 0 {
            let upto = message.last_id.expect("an id");
            let newest = truth.snapshot(upto);
            let snapshot = if is_faulty { truth.some_snapshot(upto, &mut rng) } else { newest };
            let outcome = sync.step(SyncInput::Snapshot(&snapshot)).outcome;
            assert_ne!(outcome, Outcome::Refused);
            truth.check(&sync);
        }
    }
    assert_eq!(sync.state(), SyncState::Synced);
    assert_eq!(sync.view().last_update_id, truth.messages.last().and_then(|message| message.last_id));
    assert_eq!(sync.counters().audits_differing, 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_shown_spot_book_is_the_true_one(seed: u64) {
        run(Venue::BinanceSpot, seed);
    }

    #[test]
    fn a_shown_futures_book_is_the_true_one(seed: u64) {
        run(Venue::BinanceUsdm, seed);
    }
}
