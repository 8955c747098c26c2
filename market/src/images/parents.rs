//! Parent orders: what the trades of one order number amount to, and from where on that is big.

use crate::ashare::Numbers;

/// Amounts by order number of one side.
#[derive(Clone, Debug, Default)]
pub struct Parents {
    places: Numbers,
    amounts: Vec<i64>,
    active: Vec<bool>,
}

impl Parents {
    /// Empties it and makes room for so many orders; there may be more.
    pub fn reset(&mut self, orders: usize) {
        self.places.reset(orders);
        self.amounts.clear();
        self.active.clear();
    }

    /// Adds a trade of an order. `active`: it crossed the spread. Number 0 is no order and adds nothing. Gives the
    /// order's place, by which [`Parents::amount_at`] knows it; `None`: the amount is too large to be kept exactly.
    pub fn add(&mut self, no: i64, amount: i64, active: bool) -> Option<Option<u32>> {
        if no == 0 {
            return Some(None);
        }
        let (place, new) = self.places.enter(no);
        if new {
            self.amounts.push(amount);
            self.active.push(active);
        } else {
            let sum = &mut self.amounts[place as usize];
            *sum = sum.checked_add(amount)?;
            self.active[place as usize] |= active;
        }
        Some(Some(place))
    }

    /// What the trades of an order amount to, ticks × shares.
    pub fn amount(&self, no: i64) -> i64 {
        self.places.get(no).map_or(0, |place| self.amount_at(place))
    }

    /// The same of the order at a place.
    ///
    /// # Panics
    /// If there is none.
    pub fn amount_at(&self, place: u32) -> i64 {
        self.amounts[place as usize]
    }

    /// Did one of its trades cross the spread?
    pub fn is_active(&self, no: i64) -> bool {
        self.places.get(no).is_some_and(|place| self.active[place as usize])
    }

    /// Number of orders.
    pub fn len(&self) -> usize {
        self.amounts.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.amounts.is_empty()
    }

    /// Amounts above 0, in no order that means anything.
    pub fn amounts(&self) -> impl Iterator<Item = i64> {
        self.amounts.iter().copied().filter(|amount| *amount > 0)
    }
}

/// From which amount on a parent order is big: the mean plus `m` population standard deviations.
///
/// ```text
/// n orders, S = Σv, N = n·Σv² - S²      T = S/n + m·√N/n
/// ```
/// Sums are exact; +∞ without orders; `None` if a sum does not fit 128 bits.
pub fn big_threshold(amounts: impl Iterator<Item = i64>, m: f64) -> Option<f64> {
    let (mut n, mut sum, mut squares) = (0_i128, 0_i128, 0_i128);
    for amount in amounts.map(i128::from) {
        n += 1;
        sum += amount;
        squares = squares.checked_add(amount * amount)?;
    }
    if n == 0 {
        return Some(f64::INFINITY);
    }
    let spread = n.checked_mul(squares)?.checked_sub(sum.checked_mul(sum)?)?;
    Some(sum as f64 / n as f64 + m * (spread as f64).sqrt() / n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use rand::RngExt as _;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn amounts_are_those_of_a_plain_map() {
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let (mut table, mut map) = (Parents::default(), BTreeMap::<i64, (i64, bool)>::new());
            table.reset(400);
            for _ in 0..400 {
                let (no, amount) =
                    (rng.random_range(0..1 << (seed + 2)) * 1024, rng.random_range(1..1_000_000));
                let active = rng.random_bool(0.2);
                table.add(no, amount, active).expect("small");
                if no != 0 {
                    let entry = map.entry(no).or_default();
                    *entry = (entry.0 + amount, entry.1 | active);
                }
            }
            assert_eq!(table.len(), map.len(), "seed {seed}");
            for (&no, &(amount, active)) in &map {
                assert_eq!(
                    (table.amount(no), table.is_active(no)),
                    (amount, active),
                    "seed {seed}, order {no}"
                );
            }
            assert_eq!((table.amount(0), table.amount(1)), (0, 0));
        }
    }

    #[test]
    fn an_amount_that_cannot_be_exact_is_refused() {
        let mut table = Parents::default();
        table.reset(2);
        assert_eq!(table.add(1, i64::MAX, false), Some(Some(0)));
        assert_eq!(table.add(1, 1, false), None);
        assert_eq!(big_threshold([i64::MAX; 3].into_iter(), 1.0), None);
    }
}
