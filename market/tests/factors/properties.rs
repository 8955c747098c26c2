//! What holds for every stream: bits, chunks, shifts, swaps, gaps, the future.

use lobstream_market::event::Aggressor;
use lobstream_market::factor::row::FactorRow;
use lobstream_market::factor::technical::Bollinger;
use lobstream_market::factor::zscore::{HybridSettings, Wins, WinsSettings};
use lobstream_market::factor::{FactorEngine, FactorSettings, GAP_BOOK};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::support::{Driver, Event, What, bits, instrument};

/// Short baselines, so that scores appear within a short stream.
fn engine() -> FactorEngine {
    let z_ofi = WinsSettings { n: 20, min_n: 5, ..WinsSettings::default() };
    let z_cvd = HybridSettings { mad_n: 60, freeze_min: 5, ..HybridSettings::default() };
    let settings = FactorSettings { z_ofi, z_cvd, reset_gap_ms: 3_000 };
    FactorEngine::new(instrument("0.10", "0.001"), settings)
}

fn run(events: &[Event]) -> Vec<FactorRow> {
    Driver::new(engine()).feed_all(events)
}

/// A walk of books and trades with holes, late records, crossed and one-sided books, and ticks.
fn stream(seed: u64, n: usize) -> Vec<Event> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut ms, mut px, mut id, mut joined) = (1_700_000_000_000, 10_000i64, 1i64, false);
    let mut events = Vec::with_capacity(n);
    for _ in 0..n {
        ms += rng.random_range(0..400) + if rng.random_bool(0.01) { 4_000 } else { 0 };
        let late = if rng.random_bool(0.05) { rng.random_range(0..1_500) } else { 0 };
        let what = match rng.random_range(0..100) {
            0..=1 => {
                joined = false;
                What::BookGap
            }
            2 => [What::TradeGap, What::FeedDown][rng.random_range(0..2)].clone(),
            3..=9 => What::Tick,
            10..=54 => {
                id += if rng.random_bool(0.02) { 3 } else { 1 };
                let aggressor =
                    [Aggressor::Buyer, Aggressor::Seller, Aggressor::Unknown][rng.random_range(0..3)];
                What::Trade { id: Some(id), px, qty: rng.random_range(1..900), aggressor }
            }
            _ => {
                px += rng.random_range(-1..2);
                let resync = !joined || rng.random_bool(0.01);
                joined = true;
                let spread = if rng.random_bool(0.02) { 0 } else { rng.random_range(1..3) };
                let mut side = |start: i64, sign: i64| {
                    let levels = if rng.random_bool(0.01) { 0 } else { rng.random_range(1..9) };
                    (0..levels).map(|i| (start + sign * i, rng.random_range(1..500))).collect::<Vec<_>>()
                };
                What::Book { resync, bids: side(px, -1), asks: side(px + spread, 1) }
            }
        };
        let tick = matches!(what, What::Tick);
        events.push(Event { ms: if tick { ms / 1_000 * 1_000 } else { ms - late }, what });
    }
    events
}

#[test]
fn one_by_one_all_at_once_and_restored_after_every_event_give_the_same_bits() {
    for seed in 0..8 {
        let events = stream(seed, 1_200);
        let whole = run(&events);
        assert!(whole.iter().any(|row| row.z_ofi.is_some()) && whole.iter().any(|row| row.z_cvd.is_some()));
        let mut driver = Driver::new(engine());
        let mut rows = Vec::new();
        for event in &events {
            driver.feed(event, &mut rows);
            let saved = serde_json::to_string(&driver.engine).expect("saves");
            driver.engine = serde_json::from_str(&saved).expect("loads");
            assert_eq!(serde_json::to_string(&driver.engine).expect("saves"), saved, "seed {seed}");
        }
        assert_eq!(bits(&rows), bits(&whole), "seed {seed}");
    }
}

#[test]
fn chunks_of_any_size_give_the_same_bits() {
    for seed in 0..8 {
        let events = stream(seed, 2_000);
        let whole = bits(&run(&events));
        let (mut rng, mut rest) = (ChaCha8Rng::seed_from_u64(seed), events.as_slice());
        let (mut driver, mut rows) = (Driver::new(engine()), Vec::new());
        while !rest.is_empty() {
            let (chunk, tail) = rest.split_at(rng.random_range(1..=rest.len().min(90)));
            rows.extend(driver.clone().feed_all(chunk));
            driver.feed_all(chunk);
            rest = tail;
        }
        assert_eq!(bits(&rows), whole, "seed {seed}");
    }
}

#[test]
fn rows_form_an_unbroken_grid_of_seconds_and_hold_what_they_promise() {
    for seed in 0..8 {
        let rows = run(&stream(seed, 2_000));
        let mut before: Option<&FactorRow> = None;
        for row in &rows {
            assert_eq!(row.ts_ms % 1_000, 0);
            assert_eq!(row.book_valid, row.mid.is_some(), "{row:?}");
            assert!(row.ofi.is_none() || (row.book_valid && row.book_valid_ms == 1_000), "{row:?}");
            assert!(row.z_ofi.is_none() || row.ofi_w.is_some());
            assert!(row.stale_ms.is_none_or(|ms| ms > 0) && row.trade_age_ms.is_none_or(|ms| ms > 0));
            if let (Some(before), Some(cvd)) = (before, row.cvd) {
                assert_eq!(row.ts_ms, before.ts_ms + 1_000, "seed {seed}");
                if let (Some(delta), true) = (row.delta, row.cvd_epoch == before.cvd_epoch) {
                    assert!((cvd - before.cvd.expect("never missing") - delta).abs() < 1e-9, "telescopes");
                }
            }
            before = Some(row);
        }
    }
}

#[test]
fn the_future_changes_no_row_that_is_out() {
    let events = stream(3, 2_000);
    let whole = bits(&run(&events));
    for cut in [1, 10, 333, 1_000, 1_999] {
        let part = bits(&run(&events[..cut]));
        assert_eq!(part, whole[..part.len()], "cut at {cut}");
    }
}

#[test]
fn a_shift_by_whole_seconds_shifts_labels_only() {
    let events = stream(4, 1_000);
    let shift = 86_400_000;
    let later: Vec<Event> = events.iter().map(|e| Event { ms: e.ms + shift, what: e.what.clone() }).collect();
    let mut moved = run(&later);
    moved.iter_mut().for_each(|row| row.ts_ms -= shift);
    assert_eq!(bits(&moved), bits(&run(&events)));
}

#[test]
fn a_swap_of_sides_negates_every_flow() {
    let events = stream(5, 1_500);
    let mirror = |levels: &[(i64, i64)]| levels.iter().map(|(p, q)| (20_000 - p, *q)).collect::<Vec<_>>();
    let swapped: Vec<Event> = events
        .iter()
        .map(|event| {
            let what = match &event.what {
                What::Book { resync, bids, asks } => {
                    What::Book { resync: *resync, bids: mirror(asks), asks: mirror(bids) }
                }
                What::Trade { id, px, qty, aggressor } => {
                    let aggressor = match aggressor {
                        Aggressor::Buyer => Aggressor::Seller,
                        Aggressor::Seller => Aggressor::Buyer,
                        Aggressor::Unknown => Aggressor::Unknown,
                    };
                    What::Trade { id: *id, px: *px, qty: *qty, aggressor }
                }
                other @ (What::BookGap | What::TradeGap | What::FeedDown | What::Tick) => other.clone(),
            };
            Event { ms: event.ms, what }
        })
        .collect();
    let (rows, mirrored) = (run(&events), run(&swapped));
    let flows = |row: &FactorRow| {
        [
            row.ofi,
            row.mlofi_2,
            row.mlofi_3,
            row.mlofi_4,
            row.mlofi_5,
            row.ofi_w,
            row.delta,
            row.cvd,
            row.obi_5,
        ]
    };
    assert!(rows.iter().any(|row| row.ofi.is_some_and(|x| x != 0.0)));
    for (row, other) in rows.iter().zip(&mirrored) {
        assert_eq!(flows(row), flows(other).map(|x| x.map(|x| -x)), "{}", row.ts_ms);
    }
}

/// A second with a gap has no book flow; the pair across the resync gives none; flow speaks again after a full
/// valid second. The epoch of the book is what tells.
#[test]
fn gap_drill() {
    let what = |resync: bool, q: i64| What::Book { resync, bids: vec![(100, q)], asks: vec![(101, 5)] };
    let book = |ms: i64, resync: bool, q: i64| Event { ms, what: what(resync, q) };
    let events = [
        book(0, true, 10),
        book(1_000, false, 13),
        Event { ms: 2_500, what: What::BookGap },
        book(2_700, true, 900),
        book(2_800, false, 901),
        book(3_100, false, 905),
        book(4_100, true, 50),
        book(5_000, false, 51),
        Event { ms: 6_000, what: What::Tick },
    ];
    let rows = run(&events);
    let flow: Vec<_> = rows.iter().map(|row| row.ofi).collect();
    assert_eq!(flow, [None, Some(0.003), None, Some(0.004), None, Some(0.001)]);
    let flags: Vec<_> = rows.iter().map(|row| row.gap_flags).collect();
    assert_eq!(flags, [0, 0, GAP_BOOK, 0, 0, 0], "a resync without a gap is none");
    assert_eq!(
        rows.iter().map(|row| row.book_valid_ms).collect::<Vec<_>>(),
        [1000, 1000, 800, 1000, 1000, 1000]
    );
    assert_eq!(rows[2].book_epoch, 2);
}

#[test]
fn a_long_spell_without_a_book_clears_its_history_and_a_short_one_keeps_it() {
    let after = |spell_ms: i64| {
        let book = |i: i64| {
            let (bids, asks) = (vec![(100, 5 + i * i % 7)], vec![(101, 5)]);
            What::Book { resync: i == 0 || i == 100, bids, asks }
        };
        let mut events: Vec<Event> = (0..12).map(|i| Event { ms: i * 1_000, what: book(i) }).collect();
        events.push(Event { ms: 12_000, what: What::BookGap });
        let again = (0..4).map(|i| Event { ms: 12_000 + spell_ms + i * 1_000, what: book(100 + i) });
        events.extend(again);
        run(&events).pop().expect("rows").z_ofi
    };
    assert!(after(3_000).is_some(), "the limit itself is kept");
    assert_eq!(after(3_001), None);
}

#[test]
fn a_hole_in_the_ids_tears_its_second_and_a_repeated_trade_counts_once() {
    let trade = |ms, id, qty| {
        let aggressor = Aggressor::Buyer;
        Event { ms, what: What::Trade { id: Some(id), px: 100, qty, aggressor } }
    };
    let events = [
        trade(0, 1, 5),
        trade(1_000, 2, 7),
        trade(1_001, 2, 7),
        trade(2_000, 4, 9),
        trade(3_000, 5, 1),
        Event { ms: 4_000, what: What::Tick },
    ];
    let rows = run(&events);
    let seen: Vec<_> = rows.iter().map(|r| (r.delta, r.cvd, r.n_trades, r.gap_flags, r.cvd_epoch)).collect();
    let want = [
        (None, Some(0.005), 1, 0, 0),
        (Some(0.007), Some(0.012), 1, 0, 0),
        (None, Some(0.021), 1, 2, 1),
        (Some(0.001), Some(0.022), 1, 0, 1),
    ];
    assert_eq!(seen, want);
}

/// Nobody listened in seconds 1 to 4: nothing is known of their trades, not even that there was none.
#[test]
fn while_the_feed_is_down_no_second_has_a_flow() {
    let trade = |ms, id| {
        let aggressor = Aggressor::Buyer;
        Event { ms, what: What::Trade { id: Some(id), px: 100, qty: 5, aggressor } }
    };
    let events = [
        trade(0, 1),
        Event { ms: 1_500, what: What::FeedDown },
        Event { ms: 3_000, what: What::Tick },
        trade(4_200, 90),
        Event { ms: 6_000, what: What::Tick },
    ];
    let seen: Vec<_> = run(&events).iter().map(|r| (r.delta, r.n_trades, r.gap_flags, r.cvd_epoch)).collect();
    let want = [
        (None, 1, 0, 0),
        (None, 0, 2, 1),
        (None, 0, 2, 1),
        (None, 0, 2, 1),
        (None, 1, 2, 1),
        (Some(0.0), 0, 0, 1),
    ];
    assert_eq!(seen, want, "the second of the return is torn too");
}

#[test]
fn a_silence_beyond_the_maximum_is_not_written_out() {
    let book = |ms, resync| {
        let (bids, asks) = (vec![(100, 5)], vec![(101, 5)]);
        Event { ms, what: What::Book { resync, bids, asks } }
    };
    let far = 400 * 86_400_000;
    let rows = run(&[book(500, true), book(far + 250, false), Event { ms: far + 2_000, what: What::Tick }]);
    let labels: Vec<_> = rows.iter().map(|row| (row.ts_ms, row.ofi, row.book_valid_ms)).collect();
    assert_eq!(labels, [(0, None, 500), (far, None, 750), (far + 1_000, Some(0.0), 1_000)]);
}

#[test]
fn times_without_sense_overflow_nothing() {
    let book = |resync| {
        let (bids, asks) = (vec![(100, 5)], vec![(101, 5)]);
        What::Book { resync, bids, asks }
    };
    let (least, greatest) = (i64::MIN / 1_000_000, i64::MAX / 1_000_000);
    for order in [[0, least, greatest, 1_500], [least, greatest, 0, 1_500], [greatest, least, 0, least]] {
        let mut events: Vec<Event> = order.map(|ms| Event { ms, what: book(true) }).into();
        events.push(Event { ms: greatest, what: What::Tick });
        assert!(run(&events).len() < 10, "{order:?}");
    }
}

#[test]
fn a_million_values_far_from_zero_are_scored_as_by_two_passes() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let mut wins = Wins::new(WinsSettings { k: 1e9, ..WinsSettings::default() });
    let mut bollinger = Bollinger::new(300, 2.0);
    let values: Vec<f64> = (0..1_000_000).map(|_| 1e9 + rng.random::<f64>() * 3.4).collect();
    for (i, &x) in values.iter().enumerate() {
        let (z, bands) = (wins.push(x), bollinger.push(x));
        if i < 300 || i % 9_973 != 0 {
            continue;
        }
        let (mean, sd) = two_pass(&values[i - 300..i], 1.0);
        let want = (x - mean) / sd;
        assert!((z.expect("a score") - want).abs() <= 1e-8 * want.abs().max(1.0), "value {i}");
        let (mean, sd) = two_pass(&values[i - 299..=i], 0.0);
        let bands = bands.expect("bands");
        assert!((bands.mid - mean).abs() <= 1e-8 * mean && (bands.up - bands.lo - 4.0 * sd).abs() <= 1e-6);
    }
}

fn two_pass(window: &[f64], ddof: f64) -> (f64, f64) {
    let (base, n) = (window[0], window.len() as f64);
    let mean = base + window.iter().map(|x| x - base).sum::<f64>() / n;
    let square: f64 = window.iter().map(|x| (x - mean) * (x - mean)).sum();
    (mean, (square / (n - ddof)).sqrt())
}
