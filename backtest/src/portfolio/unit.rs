//! Everything in, as fractions of one: the way vectorised references count.

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

/// Equity as multiples: each symbol begins with an equal share and has all of it in each of its positions.
///
/// ```text
/// long    E·(1 − f)²·exit/entry             marked E·(1 − f)·close/entry
/// short   E·(1 + (1 − x) − f·(1 + x))       x = exit/entry, marked E·(1 + (1 − close/entry))
/// ```
#[derive(Clone, Debug)]
pub struct UnitAccount {
    slots: Vec<Slot>,
}

#[derive(Clone, Debug)]
struct Slot {
    equity: f64,
    fees: Fees,
    position: Option<Position>,
}

impl UnitAccount {
    /// An account for one symbol.
    pub fn new(equity: f64, fees: Fees) -> UnitAccount {
        UnitAccount::shared(equity, &[fees])
    }

    /// An account for several, one set of fees per symbol.
    pub fn shared(equity: f64, fees: &[Fees]) -> UnitAccount {
        let share = equity / fees.len().max(1) as f64;
        let slots = fees.iter().map(|&fees| Slot { equity: share, fees, position: None });
        UnitAccount { slots: slots.collect() }
    }
}

impl Slot {
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
    fn open(&mut self, symbol: usize, side: Side, price: f64) -> Result<Opened, &'static str> {
        let slot = &mut self.slots[symbol];
        slot.position = Some(Position { side, entry: price, stake: slot.equity, worth: slot.equity });
        Ok(Opened { qty: slot.equity / price, notional: slot.equity })
    }

    fn close(&mut self, symbol: usize, price: f64, liquidity: Liquidity) -> Settled {
        let slot = &mut self.slots[symbol];
        let position = slot.position.take().expect("the engine closes only what it opened");
        let (entry_fee, exit_fee) = (slot.fees.taker_bp * 1e-4, slot.fees.bp(liquidity) * 1e-4);
        slot.equity = position.left(price, entry_fee, exit_fee);
        slot.settled(&position, price, exit_fee, slot.equity)
    }

    fn settle_open(&self, symbol: usize, price: f64) -> Settled {
        let slot = &self.slots[symbol];
        let position = slot.position.as_ref().expect("the engine marks only what it opened");
        slot.settled(position, price, 0.0, position.marked(price, slot.fees.taker_bp * 1e-4))
    }

    fn mark(&mut self, symbol: usize, price: f64) {
        let slot = &mut self.slots[symbol];
        let entry_fee = slot.fees.taker_bp * 1e-4;
        if let Some(position) = &mut slot.position {
            position.worth = position.marked(price, entry_fee);
        }
    }

    fn end_of_bar(&mut self) -> f64 {
        let worth = |slot: &Slot| slot.position.map_or(slot.equity, |position| position.worth);
        // From the first on, so that one symbol alone keeps its very bits.
        self.slots.iter().map(worth).fold(0.0, |sum, worth| sum + worth)
    }

    fn is_ruined(&self, symbol: usize) -> bool {
        self.slots[symbol].position.is_some_and(|position| position.worth < 0.0)
    }
}
