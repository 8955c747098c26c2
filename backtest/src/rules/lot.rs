//! Which quantities an order may have.

use crate::model::money::Fen;

/// Quantities of an order on one board: `first`, then in steps of `step` shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lot {
    /// Least quantity.
    pub first: i64,
    /// Step above it.
    pub step: i64,
}

impl Lot {
    /// The largest quantity of an order that is not above `wanted`; 0 if there is none.
    pub fn floor(&self, wanted: i64) -> i64 {
        if wanted < self.first {
            return 0;
        }
        wanted - (wanted - self.first) % self.step
    }

    /// May so many be bought?
    pub fn may_buy(&self, qty: i64) -> bool {
        qty > 0 && self.floor(qty) == qty
    }

    /// May so many be sold of `sellable`? Everything may; on boards of whole lots also a quantity that takes
    /// the odd remainder along.
    pub fn may_sell(&self, qty: i64, sellable: i64) -> bool {
        let odd_along = self.step > 1 && qty % self.step == sellable % self.step;
        qty > 0 && qty <= sellable && (self.floor(qty) == qty || qty == sellable || odd_along)
    }

    /// The largest quantity that may be sold and is not above `wanted`: everything, or whole lots.
    pub fn sell_floor(&self, wanted: i64, sellable: i64) -> i64 {
        if wanted >= sellable { sellable } else { self.floor(wanted) }
    }

    /// The largest quantity whose amount and fees stay within `budget`; 0 if not even the first lot does.
    ///
    /// # Errors
    /// What `fees` says.
    pub fn affordable<E>(
        &self,
        budget: Fen,
        price_e4: i64,
        fees: impl Fn(Fen) -> Result<Fen, E>,
    ) -> Result<i64, E> {
        let most = i128::from(budget.0.max(0)) * 100 / i128::from(price_e4.max(1));
        let mut qty = self.floor(i64::try_from(most).unwrap_or(i64::MAX / 2));
        while qty > 0 {
            let amount = Fen::amount(price_e4, qty);
            let over = amount + fees(amount)? - budget;
            if over <= Fen::ZERO {
                return Ok(qty);
            }
            // A share less saves at least its price: so many fewer are certainly needed, and one at least.
            let fewer = i64::try_from(i128::from(over.0) * 90 / i128::from(price_e4)).unwrap_or(qty).max(1);
            qty = self.floor(qty - fewer);
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: Lot = Lot { first: 100, step: 100 };
    const STAR: Lot = Lot { first: 200, step: 1 };

    #[test]
    fn lots_of_orders() {
        assert_eq!((MAIN.floor(99), MAIN.floor(4_950)), (0, 4_900));
        assert_eq!((STAR.floor(199), STAR.floor(217)), (0, 217));
        assert!(MAIN.may_sell(150, 350) && MAIN.may_sell(50, 50) && MAIN.may_sell(200, 350));
        assert!(!MAIN.may_sell(120, 350) && !MAIN.may_sell(400, 350) && !MAIN.may_buy(150));
        assert!(STAR.may_sell(199, 199) && !STAR.may_sell(199, 300));
        assert_eq!((MAIN.sell_floor(149, 150), MAIN.sell_floor(150, 150)), (100, 150));
    }

    #[test]
    fn the_largest_affordable_quantity_is_that_of_a_search() {
        let fees = |amount: Fen| Ok::<_, ()>(Fen((amount.0 * 25 / 100_000).max(500)));
        for lot in [MAIN, STAR, Lot { first: 100, step: 1 }] {
            for (budget, price) in
                [(1_234_567, 567_800), (100_000, 10_000), (3_333_333, 33_100), (60_000, 55)]
            {
                let fits = |q: i64| {
                    let amount = Fen::amount(price, q);
                    amount + fees(amount).expect("a fee") <= Fen(budget)
                };
                let slow = (1..=2 * budget * 100 / price).rev().find(|q| lot.may_buy(*q) && fits(*q));
                assert_eq!(
                    lot.affordable(Fen(budget), price, fees),
                    Ok(slow.unwrap_or(0)),
                    "{budget} {price}"
                );
            }
        }
    }
}
