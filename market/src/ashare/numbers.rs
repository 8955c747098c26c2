//! Order numbers → places, by open addressing: the one look-up that every row of a day needs.

/// A map from order numbers to places in a table. Numbers are above 0.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// (number, place); number 0 is free.
    slots: Vec<(i64, u32)>,
    len: usize,
}

impl Numbers {
    /// With room for `n` numbers before it grows.
    pub fn with_capacity(n: usize) -> Numbers {
        Numbers { slots: vec![(0, 0); (n * 2).next_power_of_two().max(16)], len: 0 }
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The place of a number. `None` for numbers that were not entered, and for 0 and below.
    pub fn get(&self, no: i64) -> Option<u32> {
        if no <= 0 {
            return None;
        }
        let (found, place) = self.slots[self.slot(no)];
        (found == no).then_some(place)
    }

    /// The place of a number, or `place` after entering it, and whether it is new.
    ///
    /// # Panics
    /// If the number is not above 0.
    pub fn enter(&mut self, no: i64, place: u32) -> (u32, bool) {
        assert!(no > 0, "order numbers are above 0");
        if self.len * 3 >= self.slots.len() * 2 {
            self.grow();
        }
        let slot = self.slot(no);
        if self.slots[slot].0 == no {
            return (self.slots[slot].1, false);
        }
        self.slots[slot] = (no, place);
        self.len += 1;
        (place, true)
    }

    /// Where the number is, or the free slot where it belongs.
    fn slot(&self, no: i64) -> usize {
        let mask = self.slots.len() - 1;
        // The upper half of the product is mixed best (Fibonacci hashing).
        let mut at = ((no as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & mask;
        while self.slots[at].0 != 0 && self.slots[at].0 != no {
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.slots);
        self.slots = vec![(0, 0); old.len() * 2];
        for (no, place) in old.into_iter().filter(|s| s.0 != 0) {
            let slot = self.slot(no);
            self.slots[slot] = (no, place);
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
        for place in 0..20_000 {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            let no = if x.is_multiple_of(3) { (x % 500) as i64 + 1 } else { (x >> 2) as i64 + 1 };
            let new = !oracle.contains_key(&no);
            assert_eq!(numbers.enter(no, place), (*oracle.entry(no).or_insert(place), new));
        }
        assert_eq!(numbers.len(), oracle.len());
        assert!(oracle.iter().all(|(no, place)| numbers.get(*no) == Some(*place)));
        assert_eq!([numbers.get(0), numbers.get(-5), numbers.get(501)], [None; 3]);
    }
}
