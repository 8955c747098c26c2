//! Cash and quantities as exact decimals of 8 places.

use crate::model::Side;
use crate::model::fee::{Fees, Liquidity};
use crate::portfolio::{Account, Opened, Settled};

/// Units of money, price and quantity in one.
const UNIT: i128 = 100_000_000;

/// Money in units of 10⁻⁸, so that sums are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Money(i128);

impl Money {
    fn of(value: f64) -> Money {
        Money((value * UNIT as f64).round() as i128)
    }

    fn value(self) -> f64 {
        self.0 as f64 / UNIT as f64
    }
}

/// `a·b / UNIT`, half up.
fn product(a: i128, b: i128) -> i128 {
    (a * b + UNIT / 2).div_euclid(UNIT)
}

#[derive(Clone, Copy, Debug)]
struct Position {
    side: Side,
    qty: i128,
    /// What was set aside for it: its cost, and for a short the same amount as collateral.
    stake: Money,
    fee: Money,
}

impl Position {
    /// Worth at `price`, fees apart. A short is fully collateralised: it holds its stake and owes the move.
    fn value(&self, price: i128) -> Money {
        let now = product(self.qty, price);
        match self.side {
            Side::Long => Money(now),
            Side::Short => Money(2 * self.stake.0 - now),
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    fees: [i128; 2],
    position: Option<Position>,
    worth: Money,
}

/// One pot of cash for all symbols; each entry takes a fixed fraction of the equity at the last close.
///
/// No leverage: a long pays its notional, a short sets the same amount aside.
#[derive(Clone, Debug)]
pub struct CashAccount {
    cash: Money,
    equity: Money,
    fraction: f64,
    slots: Vec<Slot>,
}

impl CashAccount {
    /// An account with `cash`, of which each entry may take `fraction` (0 to 1); one set of fees per symbol.
    pub fn new(cash: f64, fraction: f64, fees: &[Fees]) -> CashAccount {
        let rate = |bp: f64| (bp * 1e-4 * UNIT as f64).round() as i128;
        let slots = fees.iter().map(|fees| Slot {
            fees: [rate(fees.bp(Liquidity::Maker)), rate(fees.bp(Liquidity::Taker))],
            ..Slot::default()
        });
        let cash = Money::of(cash);
        CashAccount { cash, equity: cash, fraction, slots: slots.collect() }
    }

    fn budget(&self) -> Money {
        Money::of(self.equity.value() * self.fraction).min(self.cash)
    }

    fn settled(position: &Position, price: i128, exit_fee: Money) -> Settled {
        let gain = position.value(price).0 - position.stake.0;
        let fees = Money(position.fee.0 + exit_fee.0);
        let pnl = Money(gain - fees.0).value();
        Settled { pnl, return_pct: pnl / position.stake.value(), fees: fees.value() }
    }
}

/// The largest quantity whose notional and fee stay within the budget, to one unit of money.
fn affordable(budget: Money, price: i128, rate: i128) -> i128 {
    let rate = rate.max(0);
    let cost = |qty: i128| {
        let notional = product(qty, price);
        notional + product(notional, rate)
    };
    let largest = |budget: i128| budget.max(0) * UNIT * UNIT / (price * (UNIT + rate));
    let qty = largest(budget.0);
    // Two roundings of half a unit each may lift the cost above the budget; two units less never do.
    if cost(qty) <= budget.0 { qty } else { largest(budget.0 - 2) }
}

impl Account for CashAccount {
    fn open(&mut self, symbol: usize, side: Side, price: f64) -> Result<Opened, &'static str> {
        let budget = self.budget();
        let slot = &mut self.slots[symbol];
        let (entry, rate) = (Money::of(price).0, slot.fees[1]);
        if entry <= 0 {
            return Err("no_cash");
        }
        let qty = affordable(budget, entry, rate);
        let stake = Money(product(qty, entry));
        if stake.0 <= 0 {
            return Err("no_cash");
        }
        let fee = Money(product(stake.0, rate));
        self.cash.0 -= stake.0 + fee.0;
        slot.position = Some(Position { side, qty, stake, fee });
        slot.worth = stake;
        Ok(Opened { qty: Money(qty).value(), notional: stake.value() })
    }

    fn close(&mut self, symbol: usize, price: f64, liquidity: Liquidity) -> Settled {
        let slot = &mut self.slots[symbol];
        let position = slot.position.take().expect("the engine closes only what it opened");
        slot.worth = Money(0);
        let price = Money::of(price).0;
        let rate = match liquidity {
            Liquidity::Maker => slot.fees[0],
            Liquidity::Taker => slot.fees[1],
        };
        let fee = Money(product(product(position.qty, price), rate));
        self.cash.0 += position.value(price).0 - fee.0;
        CashAccount::settled(&position, price, fee)
    }

    fn settle_open(&self, symbol: usize, price: f64) -> Settled {
        let position = self.slots[symbol].position.as_ref().expect("the engine marks only what it opened");
        CashAccount::settled(position, Money::of(price).0, Money(0))
    }

    fn mark(&mut self, symbol: usize, price: f64) {
        let slot = &mut self.slots[symbol];
        if let Some(position) = &slot.position {
            slot.worth = position.value(Money::of(price).0);
        }
    }

    fn end_of_bar(&mut self) -> f64 {
        self.equity = Money(self.cash.0 + self.slots.iter().map(|slot| slot.worth.0).sum::<i128>());
        self.equity.value()
    }

    fn is_ruined(&self, symbol: usize) -> bool {
        self.slots[symbol].worth.0 < 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(cash: f64, bp: f64) -> CashAccount {
        CashAccount::new(cash, 1.0, &[Fees::flat(bp)])
    }

    #[test]
    fn quantity_is_as_large_as_cash_pays_for() {
        let cases =
            [(100.0, 7.0, 10.0), (1_000_000.0, 61_737.65, 5.0), (0.000_001, 3.0, 10.0), (5.0, 1e-8, 10.0)];
        for (cash, price, bp) in cases {
            let (budget, px, rate) = (Money::of(cash), Money::of(price).0, (bp * 1e4) as i128);
            let cost = |q: i128| product(q, px) + product(product(q, px), rate);
            let qty = affordable(budget, px, rate);
            let three_units_more = qty + 1 + 3 * UNIT / px;
            assert!(qty > 0 && cost(qty) <= budget.0, "{cash} {price}");
            assert!(cost(three_units_more) > budget.0, "{cash} {price}");
        }
    }

    #[test]
    fn a_round_trip_leaves_cash_exactly_where_its_pnl_says() {
        let mut account = account(1_000.0, 10.0);
        let opened = account.open(0, Side::Long, 100.0).expect("opened");
        // 1000/1.001/100 cut to 8 places, and its product.
        assert_eq!((opened.qty, opened.notional), (9.990_009_99, 999.000_999));
        let settled = account.close(0, 110.0, Liquidity::Taker);
        // In: 999.000999 and 0.99900100 (half up). Out: 1098.9010989 less 1.09890110.
        assert_eq!((settled.fees, settled.pnl), (2.097_902_1, 97.802_197_8));
        assert_eq!(account.end_of_bar(), 1_097.802_197_8);
    }

    #[test]
    fn a_short_earns_what_the_mirrored_long_earns() {
        let (mut long, mut short) = (account(1_000.0, 0.0), account(1_000.0, 0.0));
        long.open(0, Side::Long, 100.0).expect("opened");
        short.open(0, Side::Short, 100.0).expect("opened");
        long.mark(0, 103.0);
        short.mark(0, 97.0);
        assert_eq!(long.end_of_bar(), short.end_of_bar());
        assert_eq!(long.close(0, 103.0, Liquidity::Taker), short.close(0, 97.0, Liquidity::Taker));
    }

    #[test]
    fn a_short_that_doubles_is_ruined() {
        let mut account = account(1_000.0, 0.0);
        account.open(0, Side::Short, 100.0).expect("opened");
        account.mark(0, 200.0);
        assert!(!account.is_ruined(0));
        account.mark(0, 200.5);
        assert!(account.is_ruined(0));
    }
}
