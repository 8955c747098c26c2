//! One symbol at a made-up venue: its true book, and the messages it sends in the shape of Binance USD-M.

use std::collections::{BTreeMap, VecDeque};

use super::dice::Dice;
use super::price::{Price, STEPS_PER_SECOND};
use crate::book::{OrderBook, Side};
use crate::event::{Aggressor, Body, BookDelta, BookSnapshot, Control, Level, MarketEvent, Quote, Trade};
use crate::instrument::Instrument;
use crate::price::{Lots, Ticks};

const MS: i64 = 1_000_000;
const STEP_MS: i64 = 1_000 / STEPS_PER_SECOND as i64;
/// When in a step its change is sent; its trades come before.
const MESSAGE_MS: i64 = STEP_MS - 3;
/// Levels a side that the venue keeps up.
const LEVELS: usize = 50;
/// Orders farther from the best than this are withdrawn.
const REACH: i64 = 120;
/// Trades that may happen in a step.
const TRADE_SLOTS: i64 = 4;
/// Steps from the start to the state of the first snapshot; it arrives some steps later.
const FIRST_SNAPSHOT: u64 = 3;
const SNAPSHOT_DELAY: u64 = 3;
/// Steps from the lost message to the feed's answer, and to the state of the snapshot that heals it.
const RESYNC_AFTER: u64 = 12;
const RESYNC_SNAPSHOT: u64 = 38;

/// A symbol's market, step by step.
#[derive(Clone, Debug)]
pub(super) struct SymbolVenue {
    dice: Dice,
    price: Price,
    book: OrderBook,
    /// Levels changed since the last message, bids and asks.
    changed: [BTreeMap<Ticks, Lots>; 2],
    start_ns: i64,
    step: u64,
    steps: u64,
    quiet_steps: i64,
    lost_step: Option<u64>,
    last_id: i64,
    trade_id: i64,
    ticker: Option<(Level, Level)>,
    /// On its way, and when it was true.
    snapshot: Option<(i64, BookSnapshot)>,
    recv_ns: i64,
    out: VecDeque<MarketEvent>,
}

impl SymbolVenue {
    pub(super) fn new(instrument: &Instrument, mid: Ticks, dice: Dice, start_ns: i64, seconds: u64) -> Self {
        let mut venue = SymbolVenue {
            dice,
            price: Price::new(mid.0 as f64),
            book: OrderBook::new(usize::MAX),
            changed: [BTreeMap::new(), BTreeMap::new()],
            start_ns,
            step: 0,
            steps: seconds * STEPS_PER_SECOND,
            quiet_steps: 0,
            lost_step: None,
            last_id: 0,
            trade_id: 0,
            ticker: None,
            snapshot: None,
            recv_ns: start_ns,
            out: VecDeque::new(),
        };
        venue.last_id = venue.dice.between(1_000_000_000, 9_000_000_000);
        venue.trade_id = venue.dice.between(1_000_000, 9_000_000);
        venue.move_book();
        venue.changed = [BTreeMap::new(), BTreeMap::new()];
        venue.send(None, Body::Instrument(instrument.clone()));
        venue.send(None, Body::Control(Control::Connected));
        venue
    }

    /// The message of this step is lost on its way.
    pub(super) fn lose_message_at(&mut self, step: u64) {
        self.lost_step = Some(step);
    }

    /// The next message to arrive; `None` when time is up.
    pub(super) fn peek(&mut self) -> Option<&MarketEvent> {
        while self.out.is_empty() && self.step < self.steps {
            self.run_step();
        }
        self.out.front()
    }

    pub(super) fn pop(&mut self) -> Option<MarketEvent> {
        self.out.pop_front()
    }

    pub(super) fn book(&self) -> &OrderBook {
        &self.book
    }

    fn run_step(&mut self) {
        if !self.is_quiet() {
            let is_lost = self.lost_step == Some(self.step);
            self.price.step(&mut self.dice);
            self.trade();
            self.move_book();
            self.refresh_sizes();
            self.send_change(is_lost);
            self.send_ticker();
        }
        self.send_snapshots();
        self.step += 1;
    }

    /// Now and then nothing happens for some seconds; never while a snapshot is due.
    fn is_quiet(&mut self) -> bool {
        let after_loss = self.lost_step.map_or(u64::MAX, |lost| self.step.abs_diff(lost));
        let is_settled = self.step > 100 && after_loss > 100;
        if self.quiet_steps > 0 {
            self.quiet_steps -= 1;
        } else if is_settled && self.dice.once_in(150 * STEPS_PER_SECOND) {
            self.quiet_steps = self.dice.between(30, 60);
        }
        self.quiet_steps > 0
    }

    fn step_ns(&self) -> i64 {
        self.start_ns + self.step as i64 * STEP_MS * MS
    }

    /// Takers cross the spread, more of them on the side of the pressure, and eat the best level.
    fn trade(&mut self) {
        let pressure = self.price.pressure;
        let rate = (0.04 + 0.14 * pressure.abs()) * self.price.regime.activity();
        for slot in 0..TRADE_SLOTS {
            let is_buy = self.dice.chance(0.5 + 0.42 * pressure);
            let wanted = self.dice.pick(&[1, 1, 2, 3, 5, 5, 10, 20, 40]) * self.dice.between(1, 12);
            if !self.dice.chance(rate) {
                continue;
            }
            let (side, aggressor) =
                if is_buy { (Side::Ask, Aggressor::Buyer) } else { (Side::Bid, Aggressor::Seller) };
            let Some(best) = self.book.best(side) else { continue };
            let qty = Lots(wanted.min(best.qty.0));
            self.set(side, best.px, Lots(best.qty.0 - qty.0));
            self.trade_id += 1;
            let ts_event = self.step_ns() + (slot * 20 + self.dice.between(1, 15)) * MS;
            let id = Some(self.trade_id);
            self.send(
                Some(ts_event),
                Body::Trade(Trade { id, px: best.px, qty, aggressor, non_market: false }),
            );
        }
    }

    /// Orders follow the price: those it ran over are gone, new ones stand up to the new best.
    fn move_book(&mut self) {
        let spread = if self.dice.once_in(8) { 2 } else { 1 };
        let bid = (self.price.mid - spread as f64 / 2.0) as i64;
        for (side, best) in [(Side::Bid, bid), (Side::Ask, bid + spread)] {
            self.withdraw(side, best);
            self.fill_up_to(side, best);
            self.deepen(side, best);
        }
    }

    fn withdraw(&mut self, side: Side, best: i64) {
        let is_gone = |px: Ticks| {
            let depth = depth(side, best, px);
            !(0..=REACH).contains(&depth)
        };
        let gone: Vec<Ticks> = self.book.iter(side).map(|level| level.px).filter(|&px| is_gone(px)).collect();
        for px in gone {
            self.set(side, px, Lots(0));
        }
    }

    fn fill_up_to(&mut self, side: Side, best: i64) {
        let old = self.book.best(side).map_or(1, |level| depth(side, best, level.px));
        for k in 0..old.clamp(1, REACH) {
            let is_best = k == 0;
            if self.book.qty(side, at(side, best, k)) == Lots(0) && (is_best || !self.dice.once_in(4)) {
                self.place(side, best, k);
            }
        }
    }

    fn deepen(&mut self, side: Side, best: i64) {
        let last = self.book.iter(side).last();
        let mut k = last.map_or(0, |level| depth(side, best, level.px));
        while self.book.len(side) < LEVELS {
            k += self.dice.pick(&[1, 1, 1, 2, 3]);
            self.place(side, best, k);
        }
    }

    /// Makers change their minds, most often near the touch.
    fn refresh_sizes(&mut self) {
        for side in Side::ALL {
            let Some(best) = self.book.best(side).map(|level| level.px.0) else { continue };
            for _ in 0..self.dice.between(2, 5) {
                let reach = self.dice.pick(&[1, 3, 5, 10, 60]);
                let k = self.dice.below(reach as u64);
                let may_leave = k > 0 && self.book.len(side) > LEVELS - 5;
                if may_leave && self.dice.once_in(4) {
                    self.set(side, at(side, best, k), Lots(0));
                } else {
                    self.place(side, best, k);
                }
            }
        }
    }

    /// An order `k` ticks behind the best: round sizes, larger behind and at round prices, and near the touch
    /// larger on the side that the pressure comes from.
    fn place(&mut self, side: Side, best: i64, k: i64) {
        let px = at(side, best, k);
        let favour = match side {
            Side::Bid => self.price.pressure,
            Side::Ask => -self.price.pressure,
        };
        let lean = if k < 8 { 1.0 + 0.75 * favour } else { 1.0 };
        let round = if px.0 % 10 == 0 { 3 } else { 1 };
        let size = self.dice.pick(&[20, 20, 50, 50, 100, 100, 150, 250, 500]);
        let lots = (size + self.dice.below(20)) * round * (4 + k.min(24)) / 4;
        self.set(side, px, Lots((lots as f64 * lean) as i64 + 1));
    }

    fn set(&mut self, side: Side, px: Ticks, qty: Lots) {
        if self.book.set(side, px, qty) != qty {
            self.changed[side as usize].insert(px, qty);
        }
    }

    /// One message for all that changed. Ids jump, for the venue counts over all its symbols.
    fn send_change(&mut self, is_lost: bool) {
        let [bids, asks] = std::mem::take(&mut self.changed)
            .map(|side| side.into_iter().map(|(px, qty)| Level { px, qty }).collect::<Vec<_>>());
        if bids.is_empty() && asks.is_empty() {
            return;
        }
        let first_id = self.last_id + 1 + self.dice.below(300);
        let last_id = first_id + (bids.len() + asks.len()) as i64 - 1;
        let prev_id = std::mem::replace(&mut self.last_id, last_id);
        let (first_id, last_id, prev_id) = (Some(first_id), Some(last_id), Some(prev_id));
        let delta = BookDelta { first_id, last_id, prev_id, bids, asks };
        if !is_lost {
            self.send(Some(self.step_ns() + MESSAGE_MS * MS), Body::Delta(delta));
        }
    }

    fn send_ticker(&mut self) {
        let best = self.book.best(Side::Bid).zip(self.book.best(Side::Ask));
        let Some((bid, ask)) = best.filter(|_| best != self.ticker) else { return };
        self.ticker = best;
        let ticker = Quote { update_id: Some(self.last_id), bid, ask };
        self.send(Some(self.step_ns() + MESSAGE_MS * MS), Body::Quote(ticker));
    }

    /// A snapshot is a state that arrives some steps after it was true, as over HTTP.
    fn send_snapshots(&mut self) {
        let lost = self.lost_step.unwrap_or(u64::MAX / 2);
        if self.step == lost + RESYNC_AFTER {
            self.send(None, Body::Control(Control::ResyncStarted));
        }
        let taken = [FIRST_SNAPSHOT, lost + RESYNC_SNAPSHOT];
        if taken.contains(&self.step) {
            self.snapshot = Some((self.step_ns() + MESSAGE_MS * MS, self.state()));
        }
        if taken.map(|step| step + SNAPSHOT_DELAY).contains(&self.step)
            && let Some((true_at, snapshot)) = self.snapshot.take()
        {
            self.send_at(self.step_ns() + STEP_MS * MS, Some(true_at), Body::Snapshot(snapshot));
        }
    }

    fn state(&self) -> BookSnapshot {
        BookSnapshot {
            last_id: Some(self.last_id),
            limit: Some(1_000),
            bids: self.book.iter(Side::Bid).collect(),
            asks: self.book.iter(Side::Ask).collect(),
        }
    }

    fn send(&mut self, ts_event: Option<i64>, body: Body) {
        self.send_at(ts_event.unwrap_or(self.recv_ns), ts_event, body);
    }

    /// A message leaves; it arrives some milliseconds later, never before the one sent before it.
    fn send_at(&mut self, sent_ns: i64, ts_event: Option<i64>, body: Body) {
        let spike_us = if self.dice.once_in(400) { 45_000 } else { 0 };
        let delay_us = self.dice.between(2_000, 5_000) + spike_us;
        self.recv_ns = (sent_ns + delay_us * 1_000).max(self.recv_ns + 1_000);
        self.out.push_back(MarketEvent { ts_event, ts_recv: Some(self.recv_ns), body });
    }
}

/// Ticks behind the best price.
fn depth(side: Side, best: i64, px: Ticks) -> i64 {
    match side {
        Side::Bid => best - px.0,
        Side::Ask => px.0 - best,
    }
}

/// The price `k` ticks behind the best one.
fn at(side: Side, best: i64, k: i64) -> Ticks {
    match side {
        Side::Bid => Ticks(best - k),
        Side::Ask => Ticks(best + k),
    }
}
