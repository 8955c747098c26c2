//! Everything in, as a fraction: the way vectorised references count.

use crate::model::Side;
use crate::model::fee::{Fees, Liquidity};
use crate::portfolio::{Account, Opened, Settled};

#[derive(Clone, Copy, Debug)]
struct Position {
    side: Side,
    entry: f64,
    stake: f64,
    worth: f64,
}

/// Equity as a multiple, all of it in each position; for one symbol.
///
/// ```text
/// long    E·(1 − f)²·exit/entry             marked E·(1 − f)·close/entry
/// short   E·(1 + (1 − x) − f·(1 + x))       x = exit/entry, marked E·(1 + (1 − close/entry))
/// ```
#[derive(Clone, Debug)]
pub struct UnitAccount {
    equity: f64,
    fees: Fees,
    position: Option<Position>,
}

impl UnitAccount {
    /// An account that starts with `equity`.
    pub fn new(equity: f64, fees: Fees) -> UnitAccount {
        UnitAccount { equity, fees, position: None }
    }

    fn settled(&self, position: &Position, price: f64, exit_fee: f64, left: f64) -> Settled {
        let entry_fee = self.fees.taker_bp * 1e-4;
        let x = price / position.entry;
        let return_pct = position.side.sign() * (x - 1.0) - (entry_fee + exit_fee * x);
        Settled { pnl: left - position.stake, return_pct, fees: position.stake * (entry_fee + exit_fee * x) }
    }
}

impl Position {
    fn marked(&self, price: f64, entry_fee: f64) -> f64 {
        let x = price / self.entry;
        match self.side {
            Side::Long => self.stake * ((1.0 - entry_fee) * x),
            Side::Short => self.stake * (1.0 + (1.0 - x)),
        }
    }

    fn left(&self, price: f64, entry_fee: f64, exit_fee: f64) -> f64 {
        let x = price / self.entry;
        match self.side {
            Side::Long => self.stake * ((1.0 - entry_fee) * (1.0 - exit_fee) * x),
            Side::Short => self.stake * (1.0 + (1.0 - x) - (entry_fee + exit_fee * x)),
        }
    }
}

impl Account for UnitAccount {
    fn open(&mut self, _symbol: usize, side: Side, price: f64) -> Option<Opened> {
        self.position = Some(Position { side, entry: price, stake: self.equity, worth: self.equity });
        Some(Opened { qty: self.equity / price, notional: self.equity })
    }

    fn close(&mut self, _symbol: usize, price: f64, liquidity: Liquidity) -> Settled {
        let position = self.position.take().expect("the engine closes only what it opened");
        let (entry_fee, exit_fee) = (self.fees.taker_bp * 1e-4, self.fees.bp(liquidity) * 1e-4);
        self.equity = position.left(price, entry_fee, exit_fee);
        self.settled(&position, price, exit_fee, self.equity)
    }

    fn settle_open(&self, _symbol: usize, price: f64) -> Settled {
        let position = self.position.as_ref().expect("the engine marks only what it opened");
        self.settled(position, price, 0.0, position.marked(price, self.fees.taker_bp * 1e-4))
    }

    fn mark(&mut self, _symbol: usize, price: f64) {
        let entry_fee = self.fees.taker_bp * 1e-4;
        if let Some(position) = &mut self.position {
            position.worth = position.marked(price, entry_fee);
        }
    }

    fn end_of_bar(&mut self) -> f64 {
        self.position.map_or(self.equity, |position| position.worth)
    }

    fn is_ruined(&self, _symbol: usize) -> bool {
        self.position.is_some_and(|position| position.worth < 0.0)
    }
}
