//! What the vectors do not tell: one short story each.

use lobstream_market::book::Side;
use lobstream_market::book::validity::{BookState, InvalidReason};
use lobstream_market::event::{BookDelta, BookSnapshot, Level};
use lobstream_market::instrument::{Instrument, Symbol, Venue};
use lobstream_market::price::{Lots, Step, Ticks};
use lobstream_market::sync::{
    Action, BookChange, BookSync, Outcome, SyncInput, SyncOptions, SyncState, SyncStep,
};

fn levels(pairs: &[(i64, i64)]) -> Vec<Level> {
    pairs.iter().map(|&(px, qty)| Level { px: Ticks(px), qty: Lots(qty) }).collect()
}

fn snapshot(id: i64, bids: &[(i64, i64)], asks: &[(i64, i64)]) -> BookSnapshot {
    BookSnapshot { last_id: Some(id), limit: None, bids: levels(bids), asks: levels(asks) }
}

fn delta(first: i64, last: i64, bids: &[(i64, i64)], asks: &[(i64, i64)]) -> BookDelta {
    let (first_id, last_id, prev_id) = (Some(first), Some(last), Some(first - 1));
    BookDelta { first_id, last_id, prev_id, bids: levels(bids), asks: levels(asks) }
}

/// A spot book of id 10: bids 100@5 99@5, asks 101@5 102@5.
fn synced() -> BookSync {
    let mut sync = BookSync::new(Venue::BinanceSpot, SyncOptions::default());
    tell_snapshot(&mut sync, 10);
    sync
}

fn tell_snapshot(sync: &mut BookSync, id: i64) -> SyncStep {
    sync.step(SyncInput::Snapshot(&snapshot(id, &[(100, 5), (99, 5)], &[(101, 5), (102, 5)])))
}

fn tell(sync: &mut BookSync, first: i64, last: i64) -> SyncStep {
    sync.step(SyncInput::Delta(&delta(first, last, &[(100, last)], &[])))
}

#[test]
fn book_messages_are_numbered_without_holes() {
    let mut sync = BookSync::new(Venue::BinanceSpot, SyncOptions::default());
    for (first, last) in [(5, 8), (9, 11), (12, 12)] {
        tell(&mut sync, first, last);
    }
    assert_eq!(sync.view().book_seq, 0);
    assert_eq!(tell_snapshot(&mut sync, 10).change, BookChange::Joined);
    assert_eq!(sync.view().book_seq, 3, "the snapshot, 9–11 and 12; 5–8 is stale");
    tell(&mut sync, 12, 12);
    tell(&mut sync, 13, 14);
    assert_eq!(sync.view().book_seq, 4, "a stale message has no number");
}

#[test]
fn a_snapshot_is_asked_for_when_it_can_be_of_use() {
    let mut sync = BookSync::new(Venue::BinanceSpot, SyncOptions::default());
    assert_eq!(sync.step(SyncInput::Connected).action, None, "nothing to join it with");
    assert_eq!(tell(&mut sync, 11, 11).action, Some(Action::RequestSnapshot));
    assert_eq!(tell(&mut sync, 12, 12).action, None, "asked already");
    assert_eq!(tell_snapshot(&mut sync, 5).action, Some(Action::RequestSnapshot), "too old");
    assert_eq!(tell(&mut sync, 15, 15).action, None);
    assert_eq!(tell_snapshot(&mut sync, 11).action, Some(Action::RequestSnapshot), "a hole in the buffer");
    assert_eq!(tell_snapshot(&mut sync, 15).action, None);
    assert_eq!(tell(&mut sync, 20, 20).action, Some(Action::RequestSnapshot), "a gap");
    assert_eq!(sync.step(SyncInput::ResyncStarted).action, None);
    assert_eq!(sync.step(SyncInput::Refused).action, Some(Action::RequestSnapshot), "its answer may be it");
}

#[test]
fn a_full_buffer_drops_its_oldest() {
    let options = SyncOptions { buffer_events_max: 3, ..SyncOptions::default() };
    let mut sync = BookSync::new(Venue::BinanceSpot, options);
    for id in 11..16 {
        tell(&mut sync, id, id);
    }
    assert_eq!((sync.buffered(), sync.counters().buffer_dropped), (3, 2));
    assert_eq!(tell_snapshot(&mut sync, 11).outcome, Outcome::TooOld, "12 is no longer there");
    assert_eq!(tell_snapshot(&mut sync, 12).outcome, Outcome::Synced);
    assert_eq!(sync.view().last_update_id, Some(15));
}

#[test]
fn silence_takes_the_book_away_until_the_source_speaks() {
    let mut sync = synced();
    let step = sync.step(SyncInput::Silent);
    assert_eq!((step.outcome, step.change), (Outcome::Silent, BookChange::Lost(InvalidReason::Stale)));
    assert_eq!(sync.view().state, BookState::Invalid);
    assert_eq!(sync.view().reason, Some(InvalidReason::Stale));
    assert_eq!(sync.step(SyncInput::Silent).change, BookChange::None, "known already");
    assert_eq!(tell(&mut sync, 11, 11).change, BookChange::Delta, "nothing was lost meanwhile");
    assert!(sync.view().is_ok());
    assert_eq!(sync.view().epoch, 1);
}

#[test]
fn after_an_absence_the_next_change_proves_the_book_or_does_not() {
    let mut sync = synced();
    let step = sync.step(SyncInput::Away);
    assert_eq!((step.outcome, step.change), (Outcome::Away, BookChange::Lost(InvalidReason::Stale)));
    assert_eq!(tell(&mut sync, 11, 11).change, BookChange::Delta, "nothing was lost meanwhile");
    assert!(sync.view().is_ok());
    sync.step(SyncInput::Away);
    assert_eq!(tell(&mut sync, 13, 13).outcome, Outcome::Gap, "12 was");
    assert!(!sync.view().is_ok());
}

#[test]
fn without_ids_only_a_snapshot_ends_an_absence() {
    let mut sync = BookSync::new(Venue::Unsequenced, SyncOptions::default());
    let bare =
        |px| BookDelta { first_id: None, last_id: None, prev_id: None, ..delta(1, 1, &[(px, 1)], &[]) };
    let whole = BookSnapshot { last_id: None, ..snapshot(1, &[(98, 5)], &[(101, 5)]) };
    assert_eq!(sync.step(SyncInput::Away).change, BookChange::None, "there is no book yet");
    sync.step(SyncInput::Snapshot(&whole));
    assert_eq!(sync.step(SyncInput::Delta(&bare(98))).change, BookChange::Delta);
    assert_eq!(sync.step(SyncInput::Away).change, BookChange::Lost(InvalidReason::Stale));
    assert_eq!(sync.step(SyncInput::Delta(&bare(97))).outcome, Outcome::Ignored);
    assert!(!sync.view().is_ok() && sync.view().book.is_empty());
    assert_eq!(sync.step(SyncInput::Snapshot(&whole)).change, BookChange::Joined);
}

#[test]
fn a_refused_message_takes_the_book_away() {
    let negative = delta(11, 11, &[(100, -1)], &[]);
    let mut sync = synced();
    let step = sync.step(SyncInput::Delta(&negative));
    assert_eq!((step.outcome, step.change), (Outcome::Refused, BookChange::Lost(InvalidReason::Refused)));
    assert_eq!((sync.state(), step.action), (SyncState::Gap, None));
    assert!(sync.view().book.is_empty());
    assert_eq!(tell(&mut sync, 12, 12).action, Some(Action::RequestSnapshot));
    assert_eq!(tell_snapshot(&mut sync, 10).outcome, Outcome::TooOld, "11 is nowhere");
    assert_eq!(tell_snapshot(&mut sync, 11).outcome, Outcome::Synced);
    assert_eq!((sync.counters().refused, sync.view().epoch), (1, 2));
}

#[test]
fn messages_that_cannot_be_right_are_refused() {
    let crossed = snapshot(10, &[(103, 1), (104, 0)], &[(102, 5)]);
    let nameless = BookSnapshot { last_id: None, ..snapshot(0, &[], &[]) };
    for bad in [&crossed, &snapshot(10, &[(100, -5)], &[]), &nameless] {
        let mut sync = BookSync::new(Venue::BinanceSpot, SyncOptions::default());
        assert_eq!(sync.step(SyncInput::Snapshot(bad)).outcome, Outcome::Refused, "{bad:?}");
        assert_eq!(sync.view().state, BookState::None, "there never was a book");
    }
    let no_prev = BookDelta { prev_id: None, ..delta(11, 12, &[], &[]) };
    for (venue, bad) in [
        (Venue::BinanceSpot, BookDelta { first_id: None, ..no_prev.clone() }),
        (Venue::BinanceSpot, BookDelta { last_id: Some(10), ..no_prev.clone() }),
        (Venue::BinanceUsdm, no_prev),
    ] {
        let mut sync = BookSync::new(venue, SyncOptions::default());
        assert_eq!(sync.step(SyncInput::Delta(&bad)).outcome, Outcome::Refused, "{bad:?}");
    }
}

#[test]
fn a_locked_snapshot_and_levels_of_nothing_are_no_reason_to_refuse() {
    let mut sync = BookSync::new(Venue::BinanceSpot, SyncOptions::default());
    let locked = snapshot(10, &[(105, 0), (102, 1)], &[(101, 0), (102, 5)]);
    assert_eq!(sync.step(SyncInput::Snapshot(&locked)).outcome, Outcome::Synced);
    assert_eq!(sync.view().reason, Some(InvalidReason::Locked));
    assert_eq!(sync.view().book.len(Side::Bid), 1);
}

#[test]
fn odd_levels_are_counted_and_used() {
    let mut sync = BookSync::new(Venue::BinanceSpot, SyncOptions::default());
    let odd = snapshot(10, &[(99, 5), (100, 1), (100, 7)], &[(101, 5), (102, 5)]);
    sync.step(SyncInput::Snapshot(&odd));
    assert_eq!((sync.counters().disordered, sync.counters().duplicate_levels), (1, 1));
    assert_eq!(sync.view().book.qty(Side::Bid, Ticks(100)), Lots(7), "the last one counts");
    sync.step(SyncInput::Delta(&delta(11, 11, &[(98, 1), (97, 1), (98, 2)], &[])));
    assert_eq!(sync.counters().duplicate_levels, 2);
}

#[test]
fn a_snapshot_of_the_same_id_audits_and_changes_nothing() {
    let mut sync = synced();
    assert_eq!(tell_snapshot(&mut sync, 10).outcome, Outcome::Audit);
    assert_eq!(sync.counters().audits_differing, 0);
    let other = snapshot(10, &[(100, 6)], &[(101, 5), (102, 5)]);
    assert_eq!(sync.step(SyncInput::Snapshot(&other)).change, BookChange::None);
    assert_eq!(sync.counters().audits_differing, 1);
    let cut = BookSnapshot { limit: Some(1), ..snapshot(10, &[(100, 5)], &[(101, 5)]) };
    sync.step(SyncInput::Snapshot(&cut));
    assert_eq!(sync.counters().audits_differing, 1, "what it does not tell is not compared");
    assert_eq!(tell_snapshot(&mut sync, 9).outcome, Outcome::StaleSnapshot);
    assert_eq!((sync.view().epoch, sync.view().book_seq), (1, 1));
}

#[test]
fn a_held_snapshot_is_let_go_when_the_book_has_passed_it() {
    let mut sync = synced();
    assert_eq!(tell_snapshot(&mut sync, 12).outcome, Outcome::Held);
    let is_held = |sync: &BookSync| !serde_json::to_value(sync).expect("stored")["held"].is_null();
    assert!(is_held(&sync));
    tell(&mut sync, 11, 11);
    assert!(is_held(&sync));
    tell(&mut sync, 12, 12);
    assert!(!is_held(&sync));
}

#[test]
fn other_steps_of_price_start_all_over() {
    let instrument = |tick: &str| Instrument {
        venue: Venue::BinanceSpot,
        symbol: Symbol::new("XYZUSDT"),
        tick_size: Step::parse(tick).expect("a step"),
        lot_size: Step::parse("0.001").expect("a step"),
    };
    let mut sync = BookSync::new(Venue::BinanceSpot, SyncOptions::default());
    assert_eq!(sync.step(SyncInput::Instrument(&instrument("0.10"))).outcome, Outcome::Instrument);
    tell_snapshot(&mut sync, 10);
    assert_eq!(sync.step(SyncInput::Instrument(&instrument("0.1"))).change, BookChange::None, "the same");
    let step = sync.step(SyncInput::Instrument(&instrument("0.01")));
    assert_eq!(step.outcome, Outcome::StepsChanged);
    assert_eq!(step.change, BookChange::Lost(InvalidReason::Resyncing));
    assert!(sync.view().book.is_empty());
    assert_eq!(tell(&mut sync, 11, 11).action, Some(Action::RequestSnapshot));
    assert_eq!(tell_snapshot(&mut sync, 10).outcome, Outcome::Synced);
    assert_eq!(sync.view().epoch, 2);
}

#[test]
fn a_disconnect_loses_the_book_once() {
    let mut sync = synced();
    let lost = sync.step(SyncInput::Disconnected).change;
    assert_eq!(lost, BookChange::Lost(InvalidReason::Disconnected));
    assert_eq!(sync.step(SyncInput::Disconnected).change, BookChange::None);
    assert_eq!(sync.step(SyncInput::Connected).change, BookChange::Waiting(InvalidReason::Buffering));
    assert_eq!(sync.view().state, BookState::Invalid);
}

#[test]
fn sides_may_be_empty() {
    let mut sync = synced();
    sync.step(SyncInput::Delta(&delta(11, 11, &[], &[(101, 0), (102, 0)])));
    assert_eq!((sync.view().state, sync.view().reason), (BookState::OneSided, None));
    sync.step(SyncInput::Delta(&delta(12, 12, &[(100, 0), (99, 0)], &[])));
    assert_eq!((sync.view().state, sync.view().reason), (BookState::Empty, None));
}

/// The hole right behind a futures snapshot is one of the buffer, not of the snapshot: what comes after it
/// is kept for the next one.
#[test]
fn a_futures_change_that_ends_at_the_snapshot_anchors_it() {
    let mut sync = BookSync::new(Venue::BinanceUsdm, SyncOptions::default());
    tell(&mut sync, 5, 10);
    tell(&mut sync, 20, 25);
    assert_eq!(tell_snapshot(&mut sync, 10).outcome, Outcome::GapInBuffer);
    assert_eq!((sync.buffered(), sync.counters().gaps), (1, 1));
    assert_eq!(tell_snapshot(&mut sync, 22).outcome, Outcome::Synced);
}

/// After the join only `pu` counts, whatever the other ids say.
#[test]
fn a_futures_change_that_names_the_book_is_applied() {
    let mut sync = BookSync::new(Venue::BinanceUsdm, SyncOptions::default());
    tell(&mut sync, 5, 10);
    tell_snapshot(&mut sync, 10);
    let repeats = BookDelta { prev_id: Some(10), ..delta(10, 10, &[(100, 8)], &[]) };
    assert_eq!(sync.step(SyncInput::Delta(&repeats)).outcome, Outcome::Applied);
    assert_eq!(sync.view().book.qty(Side::Bid, Ticks(100)), Lots(8));
}

#[test]
fn without_ids_books_are_taken_as_they_come() {
    let plain = BookDelta { first_id: None, last_id: None, prev_id: None, ..delta(1, 1, &[(100, 9)], &[]) };
    let state = BookSnapshot { last_id: None, ..snapshot(0, &[(100, 5)], &[(101, 5)]) };
    let mut sync = BookSync::new(Venue::Unsequenced, SyncOptions::default());
    let early = sync.step(SyncInput::Delta(&plain));
    assert_eq!((early.outcome, early.action, sync.buffered()), (Outcome::Ignored, None, 0));
    let first = sync.step(SyncInput::Snapshot(&state));
    assert_eq!((first.outcome, first.change), (Outcome::Snapshot, BookChange::Joined));
    let change = sync.step(SyncInput::Delta(&plain));
    assert_eq!((change.outcome, change.change), (Outcome::Unverified, BookChange::Delta));
    assert_eq!(sync.view().book.best(Side::Bid), Some(Level { px: Ticks(100), qty: Lots(9) }));
    assert_eq!(sync.step(SyncInput::Snapshot(&state)).change, BookChange::Joined);
    assert_eq!((sync.view().epoch, sync.view().book_seq, sync.view().last_update_id), (2, 3, None));
    assert_eq!(sync.step(SyncInput::Refused).change, BookChange::Lost(InvalidReason::Refused));
    assert_eq!(sync.step(SyncInput::Delta(&plain)).outcome, Outcome::Ignored);
    assert_eq!(sync.step(SyncInput::Snapshot(&state)).change, BookChange::Joined);
}
