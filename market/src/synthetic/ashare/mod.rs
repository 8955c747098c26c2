//! A made-up day of Shanghai or Shenzhen, order by order, as the exchange would publish it.
//!
//! ```text
//! stocks ─▶ flow: who does what in this second ─▶ book: FIFO matching ─▶ wire: rows, numbers, late rows
//! ```
//! What makes these days worth reading is what the real ones do: Shanghai sends the fills of an order before its
//! balance and nothing for an order that was filled whole; Shenzhen cancels without a price; auctions
//! open and close the day; orders without a price, odd lots, status rows, securities lending, repeated rows, late
//! rows, and now and then a cancel of an order that nobody sent.
//!
//! A day is made second by second for all stocks at once, because numbers run through a channel, not through a
//! stock. Memory is what the open orders need, whatever the number of rows.

mod book;
mod flow;
mod stocks;
mod wire;

use std::collections::BTreeMap;

use super::dice::Dice;
use crate::ashare::{Exchange, SseRow, StockCode, SzseExecution, SzseOrder};
use flow::Trader;
use stocks::Listing;
use wire::{Channel, Wire};

/// What to make up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AshareOptions {
    /// Stocks of this exchange, 1 to 3 000.
    pub stocks: u32,
    /// Rows of all of them together; met within a few rows a stock, but never below what an empty day has.
    pub rows: u64,
}

/// Rows of some second of the day, in the order in which they arrive. Only those of the exchange are filled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AshareRows {
    /// Shanghai's merged stream.
    pub sse: Vec<(StockCode, SseRow)>,
    /// Shenzhen's orders.
    pub orders: Vec<(StockCode, SzseOrder)>,
    /// Shenzhen's trades and cancels.
    pub executions: Vec<(StockCode, SzseExecution)>,
}

impl AshareRows {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.sse.len() + self.orders.len() + self.executions.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A day in the making.
///
/// ```
/// use lobstream_market::ashare::Exchange;
/// use lobstream_market::synthetic::ashare::{AshareDay, AshareOptions};
///
/// let day = AshareDay::new(7, Exchange::Sh, AshareOptions { stocks: 3, rows: 1_000 });
/// let rows: usize = day.map(|second| second.len()).sum();
/// assert!((900..1_200).contains(&rows), "{rows}");
/// ```
#[derive(Debug)]
pub struct AshareDay {
    traders: Vec<Trader>,
    channels: Vec<Channel>,
    /// Seconds of the day that are still to be made.
    seconds: std::vec::IntoIter<flow::Second>,
    /// Rows that come late, by the second in which they do.
    late: BTreeMap<u32, Vec<(StockCode, SseRow)>>,
    dice: Dice,
}

/// How many channels an exchange spreads its stocks over.
const CHANNELS: u32 = 6;

impl AshareDay {
    /// The day of this seed.
    ///
    /// # Panics
    /// If there are no stocks, or more than an exchange has codes for: Beijing has none here.
    pub fn new(seed: u64, exchange: Exchange, options: AshareOptions) -> AshareDay {
        let stream = match exchange {
            Exchange::Sh => 1 << 40,
            Exchange::Sz => 2 << 40,
            Exchange::Bj => 3 << 40,
        };
        let mut dice = Dice::new(seed, stream);
        let listings = Listing::all(exchange, options, &mut dice);
        let traders = (1..).zip(listings).map(|(i, l)| Trader::new(l, Dice::new(seed, stream + i))).collect();
        let channels = (0..CHANNELS).map(|i| Channel::new(exchange, i)).collect();
        AshareDay { traders, channels, seconds: flow::seconds().into_iter(), late: BTreeMap::new(), dice }
    }

    /// What is done in a second, by time.
    fn plan(&mut self, second: &flow::Second) -> Vec<(u32, usize)> {
        let mut acts = Vec::new();
        for (i, trader) in self.traders.iter_mut().enumerate() {
            for _ in 0..trader.acts_due(second) {
                acts.push((self.dice.below(100) as u32 * 10, i));
            }
        }
        acts.sort_unstable();
        acts
    }
}

impl Iterator for AshareDay {
    type Item = AshareRows;

    fn next(&mut self) -> Option<AshareRows> {
        let second = self.seconds.next()?;
        let mut rows = AshareRows::default();
        let acts = self.plan(&second);
        let bell = (0..self.traders.len()).filter(|_| second.bell.is_some()).map(|i| (0, i, true));
        let acts = bell.chain(acts.into_iter().map(|(ms, i)| (ms, i, false)));
        for (ms, i, bell) in acts.collect::<Vec<_>>() {
            let trader = &mut self.traders[i];
            let channel = &mut self.channels[i % CHANNELS as usize];
            let mut wire = Wire::new(channel, trader.code(), second.time(ms), &mut rows);
            if bell {
                trader.ring(&second, &mut wire)
            } else {
                trader.act(&second, &mut wire)
            }
            let written = wire.written();
            trader.wrote(written);
        }
        self.hold_back(&second, &mut rows);
        rows.sse.extend(self.late_rows(&second));
        Some(rows)
    }
}

impl AshareDay {
    /// Rows of earlier seconds that arrive now.
    fn late_rows(&mut self, second: &flow::Second) -> Vec<(StockCode, SseRow)> {
        if second.is_last {
            return std::mem::take(&mut self.late).into_values().flatten().collect();
        }
        self.late.remove(&second.number).unwrap_or_default()
    }

    /// Makes one Shanghai row in a thousand come late by up to three minutes, as they do.
    fn hold_back(&mut self, second: &flow::Second, rows: &mut AshareRows) {
        if second.is_last || rows.sse.is_empty() {
            return;
        }
        let (late, dice) = (&mut self.late, &mut self.dice);
        rows.sse.retain(|row| {
            let hold = dice.once_in(1_000);
            if hold {
                late.entry(second.number + 1 + dice.below(180) as u32).or_default().push(*row);
            }
            !hold
        });
    }
}

#[cfg(test)]
mod tests;
