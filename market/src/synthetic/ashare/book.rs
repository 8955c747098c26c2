//! The book of one stock: price-time priority, and a way to pick any open order.

use std::collections::{BTreeMap, VecDeque};

use crate::book::Side;
use crate::synthetic::dice::Dice;

/// An open order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Open {
    /// Its number.
    pub(super) no: i64,
    pub(super) side: Side,
    /// Ticks.
    pub(super) price: i64,
    /// Shares that are left; 0 once it is gone, while a queue still holds its place.
    pub(super) left: i64,
    /// Where it stands in `Book::live`.
    at: u32,
}

/// A fill of an incoming order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fill {
    /// Number of the resting order.
    pub(super) no: i64,
    /// Ticks.
    pub(super) price: i64,
    /// Shares.
    pub(super) qty: i64,
}

#[derive(Clone, Debug, Default)]
struct Level {
    queue: VecDeque<u32>,
    live: u32,
}

/// Open orders of both sides.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    bids: BTreeMap<i64, Level>,
    asks: BTreeMap<i64, Level>,
    orders: Vec<Open>,
    free: Vec<u32>,
    live: Vec<u32>,
}

impl Book {
    /// Open orders.
    pub(super) fn len(&self) -> usize {
        self.live.len()
    }

    /// Highest bid or lowest ask.
    pub(super) fn best(&self, side: Side) -> Option<i64> {
        match side {
            Side::Bid => self.bids.last_key_value().map(|(p, _)| *p),
            Side::Ask => self.asks.first_key_value().map(|(p, _)| *p),
        }
    }

    /// Any open order.
    pub(super) fn pick(&self, dice: &mut Dice) -> Option<Open> {
        if self.live.is_empty() {
            return None;
        }
        Some(self.orders[self.live[dice.below(self.live.len() as u64) as usize] as usize])
    }

    /// Lets an order rest, without matching.
    pub(super) fn rest(&mut self, no: i64, side: Side, price: i64, qty: i64) {
        let order = Open { no, side, price, left: qty, at: self.live.len() as u32 };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.orders[slot as usize] = order;
                slot
            }
            None => {
                self.orders.push(order);
                self.orders.len() as u32 - 1
            }
        };
        self.live.push(slot);
        let level = self.side(side).entry(price).or_default();
        level.queue.push_back(slot);
        level.live += 1;
    }

    /// Takes an open order away.
    pub(super) fn cancel(&mut self, order: Open) {
        let slot = self.live[order.at as usize];
        self.close(slot);
    }

    /// Matches an incoming order as far as its limit goes; `None` for no limit. What it leaves.
    pub(super) fn take(
        &mut self,
        side: Side,
        limit: Option<i64>,
        mut qty: i64,
        mut fill: impl FnMut(Fill),
    ) -> i64 {
        let other = opposite(side);
        while qty > 0 {
            let Some(price) = self.best(other).filter(|&p| limit.is_none_or(|l| crosses(side, l, p))) else {
                break;
            };
            let slot = self.front(other, price);
            let order = &mut self.orders[slot as usize];
            let part = order.left.min(qty);
            order.left -= part;
            qty -= part;
            fill(Fill { no: order.no, price, qty: part });
            if order.left == 0 {
                self.close(slot);
            }
        }
        qty
    }

    /// The price at which an auction trades most; of several the nearest to `near`, then the lower.
    pub(super) fn clearing(&self, near: i64) -> Option<i64> {
        let (best_bid, best_ask) = (self.best(Side::Bid)?, self.best(Side::Ask)?);
        let volume = |level: &Level| level.queue.iter().map(|&s| self.orders[s as usize].left).sum::<i64>();
        let prices = self.bids.range(best_ask..).chain(self.asks.range(..=best_bid)).map(|(p, _)| *p);
        prices
            .filter(|p| (best_ask..=best_bid).contains(p))
            .map(|p| {
                let demand: i64 = self.bids.range(p..).map(|(_, l)| volume(l)).sum();
                let supply: i64 = self.asks.range(..=p).map(|(_, l)| volume(l)).sum();
                (-demand.min(supply), (p - near).abs(), p)
            })
            .min()
            .map(|(_, _, p)| p)
    }

    /// Matches the best bid with the best ask at the auction's price: buyer, seller, shares. `None` when none are left.
    pub(super) fn uncross(&mut self, price: i64) -> Option<(i64, i64, i64)> {
        let bid = self.best(Side::Bid).filter(|&p| p >= price)?;
        let ask = self.best(Side::Ask).filter(|&p| p <= price)?;
        let (buyer, seller) = (self.front(Side::Bid, bid), self.front(Side::Ask, ask));
        let qty = self.orders[buyer as usize].left.min(self.orders[seller as usize].left);
        let numbers = (self.orders[buyer as usize].no, self.orders[seller as usize].no);
        for slot in [buyer, seller] {
            self.orders[slot as usize].left -= qty;
            if self.orders[slot as usize].left == 0 {
                self.close(slot);
            }
        }
        Some((numbers.0, numbers.1, qty))
    }

    fn side(&mut self, side: Side) -> &mut BTreeMap<i64, Level> {
        match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        }
    }

    /// The oldest live order of a level that has one.
    fn front(&mut self, side: Side, price: i64) -> u32 {
        loop {
            let level = self.side(side).get_mut(&price).expect("a level of this price");
            let slot = *level.queue.front().expect("a level is dropped with its last order");
            if self.orders[slot as usize].left > 0 {
                return slot;
            }
            self.side(side).get_mut(&price).expect("the same level").queue.pop_front();
            self.free.push(slot);
        }
    }

    /// Ends an order. Its place in the queue stays until the queue comes to it, or the level goes.
    fn close(&mut self, slot: u32) {
        let Open { side, price, at, .. } = self.orders[slot as usize];
        self.orders[slot as usize].left = 0;
        self.live.swap_remove(at as usize);
        if let Some(&moved) = self.live.get(at as usize) {
            self.orders[moved as usize].at = at;
        }
        let level = self.side(side).get_mut(&price).expect("an open order has a level");
        level.live -= 1;
        if level.live == 0 {
            let level = self.side(side).remove(&price).expect("the same level");
            self.free.extend(level.queue);
        }
    }
}

pub(super) fn opposite(side: Side) -> Side {
    match side {
        Side::Bid => Side::Ask,
        Side::Ask => Side::Bid,
    }
}

fn crosses(side: Side, limit: i64, price: i64) -> bool {
    match side {
        Side::Bid => price <= limit,
        Side::Ask => price >= limit,
    }
}
