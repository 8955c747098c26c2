//! Parent orders: what the trades of one order number amount to, and from where on that is big.

/// Amounts by order number of one side: a table with open addressing, because numbers are dense in a channel but
/// sparse in a stock.
#[derive(Clone, Debug, Default)]
pub struct Parents {
    slots: Vec<Slot>,
    n: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// 0: nobody is here; no order has this number.
    no: i64,
    amount: i64,
    active: bool,
}

impl Parents {
    /// Empties it and makes room for so many orders.
    pub fn reset(&mut self, orders_max: usize) {
        self.slots.clear();
        self.slots.resize((orders_max * 2).next_power_of_two(), Slot::default());
        self.n = 0;
    }

    /// Adds a trade of an order. `active`: it crossed the spread. Number 0 is no order and adds nothing. `None`: the
    /// amount is too large to be kept exactly.
    pub fn add(&mut self, no: i64, amount: i64, active: bool) -> Option<()> {
        if no == 0 {
            return Some(());
        }
        let at = self.place(no);
        let slot = &mut self.slots[at];
        self.n += usize::from(slot.no == 0);
        slot.no = no;
        slot.amount = slot.amount.checked_add(amount)?;
        slot.active |= active;
        Some(())
    }

    /// What the trades of an order amount to, ticks × shares.
    pub fn amount(&self, no: i64) -> i64 {
        if no == 0 || self.n == 0 { 0 } else { self.slots[self.place(no)].amount }
    }

    /// Did one of its trades cross the spread?
    pub fn is_active(&self, no: i64) -> bool {
        no != 0 && self.n != 0 && self.slots[self.place(no)].active
    }

    /// Number of orders.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Amounts above 0, in no order that means anything.
    pub fn amounts(&self) -> impl Iterator<Item = i64> {
        self.slots.iter().map(|slot| slot.amount).filter(|amount| *amount > 0)
    }

    /// Where a number stands or would stand.
    fn place(&self, no: i64) -> usize {
        let mask = self.slots.len() - 1;
        // Fibonacci hashing: neighbouring numbers are spread over the table.
        let mut at = ((no as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & mask;
        while self.slots[at].no != no && self.slots[at].no != 0 {
            at = (at + 1) & mask;
        }
        at
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
        assert_eq!(table.add(1, i64::MAX, false), Some(()));
        assert_eq!(table.add(1, 1, false), None);
        assert_eq!(big_threshold([i64::MAX; 3].into_iter(), 1.0), None);
    }
}
