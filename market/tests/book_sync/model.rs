//! The book against two ordered maps: nothing tells them apart.

use std::collections::BTreeMap;

use lobstream_market::book::{Cross, OrderBook, Side};
use lobstream_market::event::{BookSnapshot, Level};
use lobstream_market::price::{Lots, Ticks};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Price → lots, a map per side, and the rules of the page written down again.
#[derive(Clone, Debug, Default)]
struct Model {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

impl Model {
    fn map(&mut self, side: Side) -> &mut BTreeMap<i64, i64> {
        match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        }
    }

    fn set(&mut self, side: Side, px: i64, lots: i64) -> i64 {
        let map = self.map(side);
        let before = if lots == 0 { map.remove(&px) } else { map.insert(px, lots) };
        before.unwrap_or(0)
    }

    fn levels(&self, side: Side) -> Box<dyn Iterator<Item = Level> + '_> {
        let level = |(&px, &lots): (&i64, &i64)| Level { px: Ticks(px), qty: Lots(lots) };
        match side {
            Side::Bid => Box::new(self.bids.iter().rev().map(level)),
            Side::Ask => Box::new(self.asks.iter().map(level)),
        }
    }

    fn cross(&self) -> Option<Cross> {
        let (bid, ask) = (self.bids.last_key_value()?.0, self.asks.first_key_value()?.0);
        if bid > ask {
            Some(Cross::Crossed)
        } else if bid == ask {
            Some(Cross::Locked)
        } else {
            None
        }
    }
}

#[derive(Clone, Debug)]
enum Op {
    Set(Side, i64, i64),
    Clear,
    Load(Vec<(i64, i64)>, Vec<(i64, i64)>),
}

fn run(op: &Op, book: &mut OrderBook, model: &mut Model) {
    match op {
        &Op::Set(side, px, lots) => {
            let before = book.set(side, Ticks(px), Lots(lots));
            assert_eq!(before, Lots(model.set(side, px, lots)), "{op:?}");
            assert_eq!(book.qty(side, Ticks(px)), Lots(lots));
        }
        Op::Clear => {
            book.clear();
            *model = Model::default();
        }
        Op::Load(bids, asks) => {
            let levels = |side: &[(i64, i64)]| -> Vec<Level> {
                side.iter().map(|&(px, lots)| Level { px: Ticks(px), qty: Lots(lots) }).collect()
            };
            book.load(&BookSnapshot { last_id: None, limit: None, bids: levels(bids), asks: levels(asks) });
            *model = Model::default();
            for (side, levels) in [(Side::Bid, bids), (Side::Ask, asks)] {
                for &(px, lots) in levels {
                    model.set(side, px, lots);
                }
            }
        }
    }
}

fn check_top(book: &OrderBook, model: &Model) {
    for side in Side::ALL {
        let mut top = [Level { px: Ticks(0), qty: Lots(0) }; 12];
        let n = book.top(side, &mut top);
        assert!(top[..n].iter().copied().eq(model.levels(side).take(12)));
        assert_eq!(book.best(side), model.levels(side).next());
    }
    assert_eq!([book.len(Side::Bid), book.len(Side::Ask)], [model.bids.len(), model.asks.len()]);
    assert_eq!(book.cross(), model.cross());
}

fn check_all(book: &OrderBook, model: &Model) {
    for side in Side::ALL {
        assert!(book.iter(side).eq(model.levels(side)));
    }
}

/// A price near a moving market or far behind it; in wild times anywhere, up to the ends of an integer.
fn price(rng: &mut ChaCha8Rng, side: Side, mid: i64, wild: bool) -> i64 {
    let behind = |distance: i64| if side == Side::Bid { mid - distance } else { mid + distance };
    match rng.random_range(0..100u32) {
        0 if wild => rng.random(),
        1 if wild => i64::MAX - rng.random_range(0..20_000i64),
        2 if wild => i64::MIN + rng.random_range(0..20_000i64),
        3..10 if wild => mid + rng.random_range(-60_000..60_000i64),
        0..10 => behind(rng.random_range(0..60_000)),
        10..40 => behind(rng.random_range(-30..3_000)),
        _ => behind(rng.random_range(-20..60)),
    }
}

fn random_op(rng: &mut ChaCha8Rng, mid: i64, wild: bool) -> Op {
    let lots =
        |rng: &mut ChaCha8Rng| if rng.random_range(0..5u32) < 2 { 0 } else { rng.random_range(1..900) };
    match rng.random_range(0..20_000u32) {
        0 => Op::Clear,
        1 => {
            let mut levels =
                |side| (0..200).map(|_| (price(rng, side, mid, wild), lots(rng))).collect::<Vec<_>>();
            Op::Load(levels(Side::Bid), levels(Side::Ask))
        }
        n => {
            let side = if n % 2 == 0 { Side::Bid } else { Side::Ask };
            Op::Set(side, price(rng, side, mid, wild), lots(rng))
        }
    }
}

/// A level that the market left behind on the wrong side of the mid.
fn left_behind(model: &Model, mid: i64) -> Option<Op> {
    let bid = model.bids.last_key_value().filter(|&(&px, _)| px > mid + 20);
    let ask = model.asks.first_key_value().filter(|&(&px, _)| px < mid - 20);
    let gone = |side| move |(&px, _): (&i64, &i64)| Op::Set(side, px, 0);
    bid.map(gone(Side::Bid)).or(ask.map(gone(Side::Ask)))
}

/// A million operations on a market that drifts through many windows; a tenth of it without optimisation.
#[test]
fn a_long_life_equals_two_ordered_maps() {
    let (seed, n) = (7, if cfg!(debug_assertions) { 100_000 } else { 1_000_000 });
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut book, mut model) = (OrderBook::new(usize::MAX), Model::default());
    let mut mid = 600_000i64;
    for i in 0..n {
        let wild = i % 20_000 < 4_000;
        mid += if i % 50_000 < 25_000 { rng.random_range(-10..13) } else { rng.random_range(-15..10) };
        let tidy = if wild { None } else { left_behind(&model, mid) };
        run(&tidy.unwrap_or_else(|| random_op(&mut rng, mid, wild)), &mut book, &mut model);
        check_top(&book, &model);
        if i % 1_000 == 0 {
            check_all(&book, &model);
            let stored = serde_json::to_string(&book).expect("stored");
            let loaded: OrderBook = serde_json::from_str(&stored).expect("loaded");
            assert_eq!(loaded, book);
            check_all(&loaded, &model);
        }
    }
}

fn any_op() -> impl Strategy<Value = Op> {
    let px = || prop_oneof![-30..30i64, -40_000..40_000i64, any::<i64>()];
    let lots = || prop_oneof![Just(0i64), 1..5i64];
    let side = prop_oneof![Just(Side::Bid), Just(Side::Ask)];
    let levels = || prop::collection::vec((px(), lots()), 0..8);
    prop_oneof![
        20 => (side, px(), lots()).prop_map(|(side, px, lots)| Op::Set(side, px, lots)),
        1 => Just(Op::Clear),
        1 => (levels(), levels()).prop_map(|(bids, asks)| Op::Load(bids, asks)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Short lives, so that a failure shrinks to the few operations that matter.
    #[test]
    fn short_lives_equal_two_ordered_maps(ops in prop::collection::vec(any_op(), 1..60)) {
        let (mut book, mut model) = (OrderBook::new(usize::MAX), Model::default());
        for op in &ops {
            run(op, &mut book, &mut model);
            check_top(&book, &model);
            check_all(&book, &model);
        }
    }

    /// What is too much is dropped from the far end, and the book says that it no longer knows.
    #[test]
    fn a_long_side_is_pruned_from_its_end(prices in prop::collection::btree_set(-9_000..9_000i64, 1..40)) {
        let level = |&px: &i64| Level { px: Ticks(px), qty: Lots(1) };
        let bids: Vec<Level> = prices.iter().map(level).collect();
        let mut book = OrderBook::new(10);
        let done = book.load(&BookSnapshot { last_id: None, limit: None, bids: bids.clone(), asks: vec![] });
        let kept: Vec<Level> = bids.iter().rev().take(10).copied().collect();
        prop_assert_eq!(done.pruned as usize, bids.len() - kept.len());
        let bound = if done.pruned > 0 { kept.last().map(|level| level.px) } else { None };
        prop_assert_eq!(book.known_bound(Side::Bid), bound);
        prop_assert_eq!(book.iter(Side::Bid).collect::<Vec<_>>(), kept);
    }
}

/// Stored bytes that were not written by a book are refused, not believed.
#[test]
fn a_stored_book_out_of_order_is_refused() {
    let mut book = OrderBook::new(5);
    book.set(Side::Bid, Ticks(9), Lots(1));
    book.set(Side::Bid, Ticks(7), Lots(2));
    let stored = serde_json::to_string(&book).expect("stored");
    assert!(stored.contains("[-9,1,2,2]"), "first price, lots, distance, lots: {stored}");
    for bad in ["[-9,1,-2,2]", "[-9,1,0,2]", "[-9,0]", "[-9,-1]", "[-9]"] {
        let text = stored.replace("[-9,1,2,2]", bad);
        assert!(serde_json::from_str::<OrderBook>(&text).is_err(), "{bad}");
    }
}
