//! What one book says: touch, spread, mids, and the size imbalances of its best ten levels.

use serde::{Deserialize, Serialize};

use crate::book::{BookView, Side};
use crate::event::Level;
use crate::factor::maths::finite;
use crate::factor::row::FactorRow;
use crate::instrument::Instrument;
use crate::price::{Lots, Ticks};

/// Levels a side that factors look at.
pub const DEPTH: usize = 10;

/// Weights of the weighted factors, best level first.
pub const W5: [f64; 5] = [0.40, 0.25, 0.20, 0.10, 0.05];

/// One side of a [`Top`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopSide {
    levels: [Level; DEPTH],
    len: usize,
    bound: Option<Ticks>,
}

impl TopSide {
    fn read(view: &BookView<'_>, side: Side) -> TopSide {
        let mut levels = [Level { px: Ticks(0), qty: Lots(0) }; DEPTH];
        let len = view.book.top(side, &mut levels);
        TopSide { levels, len, bound: view.book.known_bound(side) }
    }

    /// Occupied levels, best first, at most ten.
    pub fn levels(&self) -> &[Level] {
        &self.levels[..self.len]
    }

    /// Sum of the best `n` sizes, lots; of all if there are fewer.
    fn depth(&self, n: usize) -> i128 {
        self.levels().iter().take(n).map(|level| i128::from(level.qty.0)).sum()
    }

    fn weighted(&self) -> f64 {
        self.levels().iter().zip(W5).fold(0.0, |sum, (level, w)| sum + w * level.qty.0 as f64)
    }
}

/// The best ten levels of a book with two sides, uncrossed: an array copy, so that nothing is allocated per event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Top {
    bids: TopSide,
    asks: TopSide,
}

impl Top {
    /// The top of a book; `None` unless its state is ok.
    pub fn of(view: &BookView<'_>) -> Option<Top> {
        let top = || Top { bids: TopSide::read(view, Side::Bid), asks: TopSide::read(view, Side::Ask) };
        view.is_ok().then(top)
    }

    /// One side.
    pub fn side(&self, side: Side) -> &TopSide {
        match side {
            Side::Bid => &self.bids,
            Side::Ask => &self.asks,
        }
    }

    /// Do the best `n` levels of both sides lie where everything was told? A side with fewer levels counts if
    /// all of it was told.
    pub fn is_known(&self, n: usize) -> bool {
        Side::ALL.into_iter().all(|side| {
            let TopSide { levels, len, bound } = self.side(side);
            let Some(bound) = bound else { return true };
            let within = |px: Ticks| match side {
                Side::Bid => px >= *bound,
                Side::Ask => px <= *bound,
            };
            *len >= n && levels[..n].iter().all(|level| within(level.px))
        })
    }

    /// (bid − ask)/(bid + ask) of the sizes on the best `n` levels; −1..1.
    pub fn obi(&self, n: usize) -> Option<f64> {
        let (bid, ask) = (self.bids.depth(n), self.asks.depth(n));
        finite((bid - ask) as f64 / (bid + ask) as f64)
    }

    /// The same with sizes weighted by [`W5`].
    pub fn obi_w(&self) -> Option<f64> {
        let (bid, ask) = (self.bids.weighted(), self.asks.weighted());
        finite((bid - ask) / (bid + ask))
    }

    /// Writes the book columns of a row. Those that need depth stay empty where depth is not known.
    pub fn fill(&self, row: &mut FactorRow, instrument: &Instrument) {
        self.fill_touch(row, instrument);
        row.obi_1 = self.obi(1);
        row.depth_known = self.is_known(DEPTH);
        if self.is_known(W5.len()) {
            let lot = instrument.lot_size;
            row.obi_5 = self.obi(5);
            row.obi_w = self.obi_w();
            row.depth_bid_5 = finite(lot.value(self.bids.depth(5)));
            row.depth_ask_5 = finite(lot.value(self.asks.depth(5)));
        }
        if row.depth_known {
            row.obi_10 = self.obi(DEPTH);
        }
    }

    fn fill_touch(&self, row: &mut FactorRow, instrument: &Instrument) {
        let (Some(bid), Some(ask)) = (self.bids.levels().first(), self.asks.levels().first()) else { return };
        let (tick, lot) = (instrument.tick_size, instrument.lot_size);
        let [b, qb, a, qa] = [bid.px.0, bid.qty.0, ask.px.0, ask.qty.0].map(i128::from);
        let (spread, double_mid) = ((a - b) as f64, (a + b) as f64);
        row.best_bid = finite(tick.value(b));
        row.best_ask = finite(tick.value(a));
        row.bid_qty = finite(lot.value(qb));
        row.ask_qty = finite(lot.value(qa));
        row.mid = finite(tick.ratio(a + b, 2));
        row.wmid = finite(tick.ratio(qb * a + qa * b, qb + qa));
        row.spread_ticks = i64::try_from(a - b).ok();
        row.spread_bps = finite(20_000.0 * spread / double_mid);
        row.wmid_dev_bps = self.obi(1).and_then(|obi| finite(1e4 * spread * obi / double_mid));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::book::OrderBook;
    use crate::book::validity::BookState;
    use crate::event::BookSnapshot;
    use crate::instrument::{Symbol, Venue};
    use crate::price::Step;

    pub(crate) fn instrument(tick: &str, lot: &str) -> Instrument {
        Instrument {
            venue: Venue::BinanceUsdm,
            symbol: Symbol::new("XYZUSDT"),
            tick_size: Step::parse(tick).expect("tick"),
            lot_size: Step::parse(lot).expect("lot"),
        }
    }

    pub(crate) fn levels(pairs: &[(i64, i64)]) -> Vec<Level> {
        pairs.iter().map(|(px, qty)| Level { px: Ticks(*px), qty: Lots(*qty) }).collect()
    }

    pub(crate) fn top(bids: &[(i64, i64)], asks: &[(i64, i64)], limit: Option<u32>) -> Top {
        let mut book = OrderBook::new(1_000);
        book.load(&BookSnapshot { last_id: None, limit, bids: levels(bids), asks: levels(asks) });
        let state = BookState::Ok;
        let view = BookView { book: &book, state, reason: None, epoch: 1, book_seq: 1, last_update_id: None };
        Top::of(&view).expect("ok")
    }

    /// Levels outwards from a touch, as (distance to the one before, size).
    fn side() -> impl Strategy<Value = Vec<(i64, i64)>> {
        prop::collection::vec((1i64..4, 1i64..500), 1..14)
    }

    fn outwards(start: i64, sign: i64, steps: &[(i64, i64)]) -> Vec<(i64, i64)> {
        let mut px = start;
        steps
            .iter()
            .map(|(d, q)| {
                px += sign * d;
                (px, *q)
            })
            .collect()
    }

    fn row(top: &Top, instrument: &Instrument) -> FactorRow {
        let mut row = FactorRow::default();
        top.fill(&mut row, instrument);
        row
    }

    #[test]
    fn depth_beyond_the_snapshot_is_not_told() {
        let bids = [(100, 1), (99, 1), (98, 1), (97, 1), (96, 1)];
        let asks = [(101, 1), (102, 2)];
        let known = row(&top(&bids, &asks, None), &instrument("1", "1"));
        assert!(known.depth_known && known.obi_5.is_some() && known.obi_10.is_some());
        let cut = row(&top(&bids, &asks, Some(5)), &instrument("1", "1"));
        assert!(!cut.depth_known && cut.obi_10.is_none());
        assert_eq!(
            (cut.obi_5, cut.depth_bid_5),
            (Some(0.25), Some(5.0)),
            "five are known, asks are complete"
        );
        let four = row(&top(&bids[..4], &asks, Some(4)), &instrument("1", "1"));
        assert_eq!((four.obi_5, four.depth_bid_5, four.obi_w), (None, None, None), "a fifth may exist");
        assert_eq!(four.obi_1, Some(0.0), "the touch is told");
    }

    proptest! {
        #[test]
        fn identities(bids in side(), asks in side(), base in 50i64..100_000, shift in 1i64..1_000) {
            let instrument = instrument("0.5", "0.01");
            let (b, a) = (outwards(base, -1, &bids), outwards(base, 1, &asks));
            let one = row(&top(&b, &a, None), &instrument);
            let (bid, ask) = (one.best_bid.expect("bid"), one.best_ask.expect("ask"));
            let (mid, wmid, obi) = (one.mid.expect("mid"), one.wmid.expect("wmid"), one.obi_1.expect("obi"));
            prop_assert!((wmid - mid - (ask - bid) / 2.0 * obi).abs() < 1e-9);
            prop_assert!(bid <= wmid && wmid <= ask);

            let moved = |levels: &[(i64, i64)]| levels.iter().map(|(p, q)| (p + shift, *q)).collect::<Vec<_>>();
            let up = row(&top(&moved(&b), &moved(&a), None), &instrument);
            prop_assert_eq!((up.obi_1, up.obi_5, up.obi_10, up.obi_w), (one.obi_1, one.obi_5, one.obi_10, one.obi_w));
            prop_assert_eq!(up.mid, Some(mid + 0.5 * shift as f64));

            let mirrored = |levels: &[(i64, i64)]| levels.iter().map(|(p, q)| (2 * base - p, *q)).collect::<Vec<_>>();
            let swapped = row(&top(&mirrored(&a), &mirrored(&b), None), &instrument);
            for (x, y) in [(swapped.obi_1, one.obi_1), (swapped.obi_5, one.obi_5), (swapped.obi_10, one.obi_10),
                (swapped.obi_w, one.obi_w)] {
                prop_assert_eq!(x, y.map(|y| -y));
            }

            let scaled = |levels: &[(i64, i64)]| levels.iter().map(|(p, q)| (*p, 3 * q)).collect::<Vec<_>>();
            let big = row(&top(&scaled(&b), &scaled(&a), None), &instrument);
            prop_assert_eq!((big.obi_1, big.obi_5, big.obi_10), (one.obi_1, one.obi_5, one.obi_10));
            prop_assert!((big.obi_w.expect("obi_w") - one.obi_w.expect("obi_w")).abs() < 1e-12);
        }
    }
}
