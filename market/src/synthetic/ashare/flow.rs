//! Who does what: the seconds of a day, and what comes to one stock's book in each of them.

use super::book::{Book, opposite};
use super::stocks::Listing;
use super::wire::Wire;
use crate::ashare::{Exchange, OrdType, Phase, StockCode, TickTime};
use crate::book::Side;
use crate::synthetic::dice::Dice;

/// A second of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Second {
    /// Counted from the first one of the day.
    pub(super) number: u32,
    /// Seconds since midnight.
    clock: u32,
    /// Share of the day's rows that is out by its end, in millionths.
    done_ppm: u64,
    /// What the second begins with.
    pub(super) bell: Option<Bell>,
    /// Do orders match?
    continuous: bool,
    /// Is it the last one of the day?
    pub(super) is_last: bool,
}

/// What happens to all stocks at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bell {
    /// A new phase, said by Shanghai only.
    Phase(Phase),
    /// An auction ends: what crosses trades at one price.
    Auction,
}

impl Second {
    /// A time within it.
    pub(super) fn time(&self, ms: u32) -> TickTime {
        let (h, m, s) = (self.clock / 3600, self.clock / 60 % 60, self.clock % 60);
        TickTime(((h * 100 + m) * 100 + s) * 1000 + ms)
    }
}

/// From, to (hours and minutes) and how much happens in a second of it.
const DAY: &[(u32, u32, u64)] = &[
    (915, 925, 6),
    (930, 945, 40),
    (945, 1000, 25),
    (1000, 1130, 12),
    (1300, 1430, 10),
    (1430, 1457, 18),
    (1457, 1500, 10),
];

const BELLS: &[(u32, Bell)] = &[
    (914, Bell::Phase(Phase::Pre)),
    (915, Bell::Phase(Phase::OpenCall)),
    (925, Bell::Auction),
    (930, Bell::Phase(Phase::Continuous)),
    (1457, Bell::Phase(Phase::CloseCall)),
    (1500, Bell::Auction),
    (1501, Bell::Phase(Phase::After)),
];

/// The day: every second in which something may happen.
pub(super) fn seconds() -> Vec<Second> {
    let clock = |hhmm: u32| hhmm / 100 * 3600 + hhmm % 100 * 60;
    let bell = |at: u32| BELLS.iter().find(|(hhmm, _)| clock(*hhmm) == at).map(|(_, bell)| *bell);
    let busy = |at: u32| DAY.iter().find(|(from, to, _)| (clock(*from)..clock(*to)).contains(&at));
    let all: u64 = DAY.iter().map(|(from, to, w)| u64::from(clock(*to) - clock(*from)) * w).sum();
    let mut done = 0;
    let mut seconds: Vec<Second> = Vec::new();
    for at in clock(914)..=clock(1501) {
        let weight = busy(at).map_or(0, |(_, _, w)| *w);
        if weight == 0 && bell(at).is_none() {
            continue;
        }
        done += weight;
        let continuous = TickTime(at / 3600 * 10_000_000 + at / 60 % 60 * 100_000).in_session();
        seconds.push(Second {
            number: seconds.len() as u32,
            clock: at,
            done_ppm: done * 1_000_000 / all,
            bell: bell(at),
            continuous,
            is_last: at == clock(1501),
        });
    }
    seconds
}

/// Rows that an act has on average.
const ROWS_PER_ACT: f64 = 1.6;
/// Above so many open orders cancels prevail.
const OPEN_MAX: usize = 400;
/// Hundreds of shares.
const SIZES: &[i64] = &[1, 1, 1, 1, 2, 2, 3, 4, 5, 5, 8, 10, 10, 20, 30, 50];

/// Everybody who trades one stock.
#[derive(Debug)]
pub(super) struct Trader {
    listing: Listing,
    book: Book,
    /// What the stock is worth, ticks.
    fair: f64,
    /// How far that moves with an act.
    step: f64,
    /// Rows written.
    written: u64,
    last_trade: i64,
    dice: Dice,
}

impl Trader {
    pub(super) fn new(listing: Listing, mut dice: Dice) -> Trader {
        let fair = listing.prev_close as f64 * (1.0 + 0.004 * dice.normal());
        // A day moves by about one and a half per cent, whatever its rows.
        let acts = (listing.rows as f64 / ROWS_PER_ACT).max(16.0);
        let step = listing.prev_close as f64 * 0.015 / acts.sqrt();
        let last_trade = listing.prev_close;
        Trader { listing, book: Book::default(), fair, step, written: 0, last_trade, dice }
    }

    pub(super) fn code(&self) -> StockCode {
        self.listing.code
    }

    /// Counts rows that were written.
    pub(super) fn wrote(&mut self, rows: usize) {
        self.written += rows as u64;
    }

    /// How many acts bring the stock to the rows it should have by the end of a second.
    pub(super) fn acts_due(&mut self, second: &Second) -> u32 {
        let due = self.listing.rows * second.done_ppm / 1_000_000;
        let missing = due.saturating_sub(self.written) as f64 / ROWS_PER_ACT;
        missing as u32 + u32::from(self.dice.chance(missing - missing.trunc()))
    }

    /// What a bell brings.
    pub(super) fn ring(&mut self, second: &Second, wire: &mut Wire<'_>) {
        match second.bell {
            Some(Bell::Phase(phase)) if wire.exchange() == Exchange::Sh => wire.phase(phase),
            Some(Bell::Auction) => self.auction(wire),
            Some(Bell::Phase(_)) | None => {}
        }
    }

    fn auction(&mut self, wire: &mut Wire<'_>) {
        let Some(price) = self.book.clearing(self.last_trade) else { return };
        while let Some((buyer, seller, qty)) = self.book.uncross(price) {
            wire.trade(buyer, seller, price, qty, None);
            self.last_trade = price;
        }
    }

    /// One act of somebody.
    pub(super) fn act(&mut self, second: &Second, wire: &mut Wire<'_>) {
        self.fair += if self.dice.once_in(2) { self.step } else { -self.step };
        let crowded = self.book.len() > OPEN_MAX;
        let closing = !second.continuous && second.clock > 12 * 3600;
        match self.dice.below(100) {
            0..=24 if !closing => self.cancel(wire),
            25..=44 if crowded && !closing => self.cancel(wire),
            45..=64 if second.continuous => self.cross(wire),
            65..=67 if second.continuous && wire.exchange() == Exchange::Sz => self.without_price(wire),
            _ => self.offer(second, wire),
        }
        self.oddities(wire);
    }

    fn cancel(&mut self, wire: &mut Wire<'_>) {
        let Some(order) = self.book.pick(&mut self.dice) else { return };
        self.book.cancel(order);
        let price = if self.dice.once_in(2) { order.price } else { 0 };
        wire.cancel(order.no, order.side, price, order.left);
    }

    /// A limit order that is meant to rest.
    fn offer(&mut self, second: &Second, wire: &mut Wire<'_>) {
        let side = self.side();
        let unit = (self.listing.prev_close / 3_000).max(1);
        let mut away = 0;
        while away < 12 && !self.dice.chance(0.4) {
            away += 1;
        }
        let fair = self.fair as i64;
        let price = match (side, self.book.best(opposite(side)).filter(|_| second.continuous)) {
            (Side::Bid, other) => other.map_or(fair, |ask| fair.min(ask - 1)) - away * unit,
            (Side::Ask, other) => other.map_or(fair + 1, |bid| (fair + 1).max(bid + 1)) + away * unit,
        };
        // In a call some bid above and ask below what they think it worth.
        let eager = if second.continuous { 0 } else { self.dice.below(6) * unit };
        let price = if side == Side::Bid { price + eager } else { price - eager };
        let price = price.clamp(self.listing.limits.0, self.listing.limits.1);
        let qty = self.qty(side);
        if second.continuous {
            self.send(wire, side, price, qty);
        } else {
            let no = wire.number_order();
            wire.order(no, side, price, qty, OrdType::Limit);
            self.book.rest(no, side, price, qty);
        }
    }

    /// A limit order that is meant to trade.
    fn cross(&mut self, wire: &mut Wire<'_>) {
        let side = self.side();
        let Some(best) = self.book.best(opposite(side)) else { return };
        let more = self.dice.below(3) * (self.listing.prev_close / 3_000).max(1);
        let price = if side == Side::Bid { best + more } else { best - more };
        let price = price.clamp(self.listing.limits.0, self.listing.limits.1);
        let qty = self.qty(side);
        self.send(wire, side, price, qty);
    }

    /// A limit order in continuous trading: Shenzhen says it first, Shanghai what it left last.
    fn send(&mut self, wire: &mut Wire<'_>, side: Side, price: i64, qty: i64) {
        let no = wire.number_order();
        if wire.exchange() == Exchange::Sz {
            wire.order(no, side, price, qty, OrdType::Limit);
        }
        let left = self.take(wire, no, side, Some(price), qty);
        if left > 0 {
            self.book.rest(no, side, price, left);
            if wire.exchange() == Exchange::Sh {
                wire.order(no, side, price, left, OrdType::Limit);
            }
        }
    }

    /// Shenzhen's orders without a price: at the market, what is left being cancelled, or at the best of their side.
    fn without_price(&mut self, wire: &mut Wire<'_>) {
        let (side, no) = (self.side(), wire.number_order());
        let qty = self.qty(side);
        if self.dice.once_in(3) {
            wire.order(no, side, 0, qty, OrdType::OwnBest);
            match self.book.best(side) {
                Some(price) => self.book.rest(no, side, price, qty),
                None => wire.cancel(no, side, 0, qty),
            }
        } else {
            wire.order(no, side, 0, qty, OrdType::Market);
            let left = self.take(wire, no, side, None, qty);
            if left > 0 {
                wire.cancel(no, side, 0, left);
            }
        }
    }

    fn take(&mut self, wire: &mut Wire<'_>, no: i64, side: Side, limit: Option<i64>, qty: i64) -> i64 {
        let last_trade = &mut self.last_trade;
        self.book.take(side, limit, qty, |fill| {
            let (buyer, seller) = if side == Side::Bid { (no, fill.no) } else { (fill.no, no) };
            wire.trade(buyer, seller, fill.price, fill.qty, Some(side));
            *last_trade = fill.price;
        })
    }

    /// What is rare and has to be survived.
    fn oddities(&mut self, wire: &mut Wire<'_>) {
        match self.dice.below(20_000) {
            0..=3 => wire.repeat(),
            4..=7 if wire.exchange() == Exchange::Sz => wire.lending(self.last_trade, 1_000),
            8..=11 => {
                let (side, no) = (self.side(), wire.number_order() + 900_000_000);
                wire.cancel(no, side, 0, 100);
            }
            12..=13 if wire.exchange() == Exchange::Sz => {
                if let Some(order) = self.book.pick(&mut self.dice) {
                    wire.cancel(order.no, opposite(order.side), 0, 100);
                }
            }
            _ => {}
        }
    }

    fn side(&mut self) -> Side {
        if self.dice.once_in(2) { Side::Bid } else { Side::Ask }
    }

    /// Shares: mostly a few lots, seldom hundreds; sellers may have odd ones.
    fn qty(&mut self, side: Side) -> i64 {
        let many = if self.dice.once_in(60) { 20 } else { 1 };
        let cheap = if self.listing.prev_close < 1_000 { 4 } else { 1 };
        let lots = self.dice.pick(SIZES) * many * cheap;
        let odd = match self.listing.odd_sizes {
            true => self.dice.below(100),
            false if side == Side::Ask && self.dice.once_in(40) => self.dice.below(100),
            false => 0,
        };
        (lots * 100).max(self.listing.lot) + odd
    }
}
