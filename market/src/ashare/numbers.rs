//! Order numbers → places, by open addressing: the one look-up that every row of a day needs.

/// A map from order numbers to places 0, 1, 2 … in the order in which they were entered.
///
/// Slots hold places only, so that they stay in the cache; the numbers lie in the order of the day, as do the rows
/// that ask for them.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// Place + 1; 0 is free.
    slots: Vec<u32>,
    /// The number at each place.
    entered: Vec<i64>,
}

impl Numbers {
    /// With room for `n` numbers before it grows.
    pub fn with_capacity(n: usize) -> Numbers {
        let mut numbers = Numbers::default();
        numbers.reset(n);
        numbers
    }

    /// Empties it and makes room for `n` numbers.
    pub fn reset(&mut self, n: usize) {
        self.entered.clear();
        self.slots.clear();
        self.slots.resize((n * 2).next_power_of_two().max(16), 0);
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.entered.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.entered.is_empty()
    }

    /// The place of a number; `None` if it was not entered.
    pub fn get(&self, no: i64) -> Option<u32> {
        if self.is_empty() {
            return None;
        }
        self.slots[self.slot(no)].checked_sub(1)
    }

    /// The place of a number, the next one if it is new, and whether it is.
    ///
    /// # Panics
    /// If there are 2³² numbers.
    pub fn enter(&mut self, no: i64) -> (u32, bool) {
        if self.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let slot = self.slot(no);
        if let Some(place) = self.slots[slot].checked_sub(1) {
            return (place, false);
        }
        self.entered.push(no);
        let taken = u32::try_from(self.len()).expect("a day has fewer orders");
        self.slots[slot] = taken;
        (taken - 1, true)
    }

    /// Where the number is, or the free slot where it belongs.
    fn slot(&self, no: i64) -> usize {
        let mask = self.slots.len() - 1;
        // The highest bits of the product are mixed best, also of neighbouring numbers (Fibonacci hashing).
        let shift = (self.slots.len() as u64).leading_zeros() + 1;
        let mut at = ((no as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift) as usize;
        while self.slots[at] != 0 && self.entered[self.slots[at] as usize - 1] != no {
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) {
        let room = (self.slots.len() * 2).max(16);
        self.slots.clear();
        self.slots.resize(room, 0);
        for (taken, no) in (1..).zip(&self.entered) {
            let slot = self.slot(*no);
            self.slots[slot] = taken;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_answers_as_an_ordered_map_does() {
        let (mut numbers, mut oracle) = (Numbers::with_capacity(0), BTreeMap::new());
        let mut x = 88_172_645_463_325_252_u64;
        for _ in 0..20_000 {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            let no = if x.is_multiple_of(3) { (x % 500) as i64 + 1 } else { (x >> 2) as i64 + 1 };
            let (new, next) = (!oracle.contains_key(&no), oracle.len() as u32);
            assert_eq!(numbers.enter(no), (*oracle.entry(no).or_insert(next), new));
        }
        assert_eq!(numbers.len(), oracle.len());
        assert!(oracle.iter().all(|(no, place)| numbers.get(*no) == Some(*place)));
        assert_eq!([numbers.get(0), numbers.get(-5), numbers.get(501)], [None; 3]);
    }
}
