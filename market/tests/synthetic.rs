//! The made-up market: right in every message, the same everywhere, and alive enough to trade.
#![expect(clippy::print_stderr, reason = "what the market is like is said aloud")]

use std::collections::BTreeMap;

use lobstream_market::book::validity::InvalidReason;
use lobstream_market::book::{OrderBook, Side};
use lobstream_market::event::{Aggressor, Body, Control, Level, MarketEvent};
use lobstream_market::instrument::{Symbol, Venue};
use lobstream_market::sync::{BookChange, BookSync, SyncInput, SyncOptions};
use lobstream_market::synthetic::{Synthetic, SyntheticOptions};

const SEED: u64 = 20_240_603;

/// FNV-1a over the text of all events.
fn digest(seed: u64, seconds: u64) -> (u64, usize) {
    let options = SyntheticOptions { seconds, lost_at_s: Some(30), ..SyntheticOptions::default() };
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut n = 0;
    for (symbol, event) in Synthetic::new(seed, options) {
        let text = format!("{symbol} {}", serde_json::to_string(&event).expect("an event"));
        for byte in text.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        n += 1;
    }
    (hash, n)
}

/// Known bytes: another machine, another build, another version of a crate must not change them.
#[test]
fn the_same_seed_gives_the_same_bytes_everywhere() {
    assert_eq!(digest(1, 60), (11_598_525_326_880_554_888, 2_870));
    assert_ne!(digest(2, 60).0, digest(1, 60).0);
}

/// What a reader of one symbol's messages knows.
struct Reader {
    sync: BookSync,
    last_recv: i64,
    last_event: i64,
    gaps: Vec<InvalidReason>,
    /// The best levels that trades since the last book message must agree with, sweeps included.
    untraded: Option<OrderBook>,
    n: BTreeMap<&'static str, u64>,
    /// Second → (net flow at the best level, mid of its end in half ticks, size imbalance of five levels).
    seconds: BTreeMap<i64, (f64, f64, f64)>,
    last_best: Option<(Level, Level)>,
    longest_silence: i64,
}

impl Reader {
    fn new() -> Reader {
        Reader {
            sync: BookSync::new(Venue::BinanceUsdm, SyncOptions::default()),
            last_recv: 0,
            last_event: 0,
            gaps: Vec::new(),
            untraded: None,
            n: BTreeMap::new(),
            seconds: BTreeMap::new(),
            last_best: None,
            longest_silence: 0,
        }
    }

    fn on(&mut self, event: &MarketEvent) {
        let recv = event.ts_recv.expect("a receive time");
        assert!(recv > self.last_recv, "arrival order");
        if self.last_recv > 0 {
            self.longest_silence = self.longest_silence.max(recv - self.last_recv);
        }
        self.last_recv = recv;
        if let Some(ts_event) = event.ts_event {
            let latency_ms = (recv - ts_event) / 1_000_000;
            let is_snapshot = matches!(event.body, Body::Snapshot(_));
            assert!((1..60).contains(&latency_ms) || is_snapshot, "{latency_ms}");
            assert!(ts_event >= self.last_event || is_snapshot, "event time goes back");
            self.last_event = self.last_event.max(ts_event);
        }
        match &event.body {
            Body::Trade(trade) => self.on_trade(trade.aggressor, trade.px.0, trade.qty.0),
            Body::Quote(quote) => {
                self.count("quotes");
                if self.sync.view().last_update_id == quote.update_id {
                    let book = self.sync.view().book;
                    assert_eq!(book.best(Side::Bid).zip(book.best(Side::Ask)), Some((quote.bid, quote.ask)));
                    self.count("quotes compared");
                }
            }
            Body::Instrument(_)
            | Body::Snapshot(_)
            | Body::Delta(_)
            | Body::Control(_)
            | Body::Refused(_) => {
                self.on_book(event);
            }
        }
    }

    /// A taker takes what stands at the best price, no more.
    fn on_trade(&mut self, aggressor: Aggressor, px: i64, qty: i64) {
        self.count("trades");
        let ms = (self.last_event - SyntheticOptions::default().start_ns) / 1_000_000;
        if (900_000..900_300).contains(&ms) {
            // Between the lost message and the next one, no reader can know the book.
            return;
        }
        let Some(book) = &mut self.untraded else { return };
        let side = if aggressor == Aggressor::Buyer { Side::Ask } else { Side::Bid };
        let best = book.best(side).expect("a best level");
        assert_eq!(best.px.0, px);
        assert!(qty > 0 && qty <= best.qty.0);
        book.set(side, best.px, lobstream_market::price::Lots(best.qty.0 - qty));
    }

    fn on_book(&mut self, event: &MarketEvent) {
        let step = self.sync.step(SyncInput::of(&event.body).expect("a book message"));
        let view = self.sync.view();
        match step.change {
            BookChange::Lost(reason) => self.gaps.push(reason),
            BookChange::None | BookChange::Delta | BookChange::Joined => {}
            BookChange::Waiting(_) | BookChange::Rejoined(_) => {}
        }
        self.untraded = view.is_ok().then(|| view.book.clone());
        if !matches!(step.change, BookChange::Delta | BookChange::Joined) {
            self.last_best = None;
            return;
        }
        assert!(view.is_ok() && view.depth_known(20));
        let book = view.book;
        assert!(Side::ALL.into_iter().all(|side| (20..=130).contains(&book.len(side))));
        let (bid, ask) = (book.best(Side::Bid).expect("bid"), book.best(Side::Ask).expect("ask"));
        let five = |side| book.iter(side).take(5).map(|level| level.qty.0 as f64).sum::<f64>();
        let imbalance = (five(Side::Bid) - five(Side::Ask)) / (five(Side::Bid) + five(Side::Ask));
        let flow = self.last_best.map_or(0.0, |before| flow(before, (bid, ask)));
        self.last_best = Some((bid, ask));
        let second = self.seconds.entry(self.last_event / 1_000_000_000).or_insert((0.0, 0.0, 0.0));
        *second = (second.0 + flow, (bid.px.0 + ask.px.0) as f64, imbalance);
        self.count("book");
    }

    fn count(&mut self, name: &'static str) {
        *self.n.entry(name).or_default() += 1;
    }
}

fn flow((b0, a0): (Level, Level), (b, a): (Level, Level)) -> f64 {
    let bid = if b.px > b0.px {
        b.qty.0
    } else if b.px < b0.px {
        -b0.qty.0
    } else {
        b.qty.0 - b0.qty.0
    };
    let ask = if a.px < a0.px {
        a.qty.0
    } else if a.px > a0.px {
        -a0.qty.0
    } else {
        a.qty.0 - a0.qty.0
    };
    (bid - ask) as f64
}

fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let n = pairs.len() as f64;
    let mean = |f: fn(&(f64, f64)) -> f64| pairs.iter().map(f).sum::<f64>() / n;
    let (mx, my) = (mean(|p| p.0), mean(|p| p.1));
    let (mut sxy, mut sxx, mut syy) = (0.0, 0.0, 0.0);
    for (x, y) in pairs {
        sxy += (x - mx) * (y - my);
        sxx += (x - mx) * (x - mx);
        syy += (y - my) * (y - my);
    }
    sxy / (sxx * syy).sqrt()
}

fn read(seed: u64) -> BTreeMap<Symbol, Reader> {
    let mut readers = BTreeMap::new();
    let mut market = Synthetic::new(seed, SyntheticOptions::default());
    let mut last_recv = 0;
    for (symbol, event) in market.by_ref() {
        assert!(event.ts_recv >= Some(last_recv), "arrival order over all symbols");
        last_recv = event.ts_recv.expect("a receive time");
        readers.entry(symbol).or_insert_with(Reader::new).on(&event);
    }
    for (symbol, reader) in &readers {
        let truth = market.true_book(symbol).expect("known symbol");
        for side in Side::ALL {
            assert!(
                truth.iter(side).eq(reader.sync.view().book.iter(side)),
                "{symbol} ends with the true book"
            );
        }
    }
    readers
}

#[test]
fn the_market_is_right_in_every_message_and_alive() {
    let readers = read(SEED);
    assert_eq!(readers.len(), 2);
    for (i, (symbol, reader)) in readers.values().enumerate().map(|(i, r)| (i, (readers.keys().nth(i), r))) {
        let symbol = symbol.expect("a symbol");
        let lost = if i == 0 { vec![InvalidReason::Gap] } else { vec![] };
        assert_eq!(reader.gaps, lost, "{symbol}: one lost message");
        assert_eq!(reader.sync.view().epoch, if i == 0 { 2 } else { 1 });
        let per_second = reader.n.values().sum::<u64>() as f64 / 2_400.0;
        assert!((15.0..45.0).contains(&per_second), "{symbol}: {per_second} events a second");
        assert!(reader.longest_silence > 3_000_000_000, "{symbol}: a quiet spell");
        eprintln!("{symbol}: {:?}", reader.n);
        check_flow_leads(symbol, reader);
        check_bounces(symbol, reader);
    }
}

/// Flow of one second and return of the next move together, a little: enough to use, not to get rich by.
fn check_flow_leads(symbol: &Symbol, reader: &Reader) {
    let rows: Vec<_> = reader.seconds.values().collect();
    let pairs: Vec<_> = rows.windows(3).map(|w| (w[1].0, w[2].1 - w[1].1)).collect();
    let r = correlation(&pairs);
    eprintln!("{symbol}: flow and next return {r:.3}");
    assert!((0.05..0.35).contains(&r), "{symbol}: {r}");
}

/// The price falls out of its band with buyers coming back, and the middle is reached again.
fn check_bounces(symbol: &Symbol, reader: &Reader) {
    let rows: Vec<_> = reader.seconds.values().collect();
    let (mut entries, mut wins, mut gain_bps) = (0, 0, 0.0);
    let mut i = 20;
    while i + 60 < rows.len() {
        let window = &rows[i - 20..i];
        let mean = window.iter().map(|row| row.1).sum::<f64>() / 20.0;
        let deviation = (window.iter().map(|row| (row.1 - mean).powi(2)).sum::<f64>() / 20.0).sqrt();
        let (flow, mid, imbalance) = *rows[i];
        if mid < mean - 2.0 * deviation && flow > 0.0 && imbalance > 0.0 {
            let out = (1..60).find(|k| rows[i + k].1 >= mean).unwrap_or(60);
            let gain = (rows[i + out].1 / mid - 1.0) * 1e4;
            entries += 1;
            wins += i32::from(gain > 0.0);
            gain_bps += gain;
            i += out;
        }
        i += 1;
    }
    eprintln!("{symbol}: {entries} bounces, {wins} won, {gain_bps:.1} bps in all");
    assert!(entries >= 5, "{symbol}: {entries}");
    assert!(wins < entries, "{symbol}: not every bounce is won");
}

/// What is sent around the lost message, in order.
#[test]
fn a_lost_message_is_answered_by_a_snapshot() {
    let options = SyntheticOptions { seconds: 60, lost_at_s: Some(30), ..SyntheticOptions::default() };
    let first = options.symbols[0].0.symbol.clone();
    let (mut chain, mut holes, mut told) = (None, 0, Vec::new());
    for (symbol, event) in Synthetic::new(3, options) {
        match event.body {
            Body::Delta(delta) if symbol == first => {
                holes += i32::from(chain.is_some_and(|last| last != delta.prev_id));
                chain = Some(delta.last_id);
            }
            Body::Control(control) if symbol == first => told.push(format!("{control:?}")),
            Body::Snapshot(_) if symbol == first => told.push("Snapshot".to_owned()),
            _ => {}
        }
    }
    let connected = format!("{:?}", Control::Connected);
    assert_eq!(holes, 1);
    assert_eq!(told, [connected, "Snapshot".into(), "ResyncStarted".into(), "Snapshot".into()]);
}
