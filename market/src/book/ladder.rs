//! One side of a book: a dense window of ticks where the market is, an ordered map behind it.
//!
//! ```text
//!   key ──▶ worse                                         best ──▶ never occupied
//!   far (BTreeMap) │ base ······· window, 2^14 keys ······▲······ │
//!                         bit per key, lots per key, bit per 64 keys
//! ```
//! A greater key is a better price, so both sides are one type. Nothing lies above the window: a key that
//! would moves the window. Where the window stands is never visible from outside.

use std::collections::{BTreeMap, btree_map};
use std::iter::Rev;

use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Keys in the window.
const WINDOW: usize = 1 << 14;
const WORDS: usize = WINDOW / 64;
const GROUPS: usize = WORDS / 64;
/// The window moves when a key comes above it, or when the best key falls below this slot …
const EDGE: usize = WINDOW / 8;
/// … and then stands so that the best key is here: a book is deeper behind its best than it moves ahead.
const HOME: usize = WINDOW / 4 * 3;

/// Key → lots above zero, best (greatest) key first.
#[derive(Clone, Debug)]
pub(super) struct Ladder {
    /// Key of the window's first slot.
    base: i64,
    /// Meaningful where `bits` is set.
    lots: Box<[i64]>,
    /// Which slots are occupied.
    bits: Box<[u64; WORDS]>,
    /// Which words of `bits` are not zero.
    groups: [u64; GROUPS],
    /// Everything below the window.
    far: BTreeMap<i64, i64>,
    len: usize,
}

impl Default for Ladder {
    fn default() -> Self {
        Ladder {
            base: 0,
            lots: vec![0; WINDOW].into_boxed_slice(),
            bits: Box::new([0; WORDS]),
            groups: [0; GROUPS],
            far: BTreeMap::new(),
            len: 0,
        }
    }
}

impl Ladder {
    /// Sets the lots of a key, 0 removes it; what was there before, 0 if nothing.
    pub(super) fn set(&mut self, key: i64, lots: i64) -> i64 {
        debug_assert!(lots >= 0, "the machine refuses negative quantities");
        let before = match self.slot(key) {
            Some(slot) if lots > 0 => self.put(slot, lots),
            Some(slot) => self.take(slot),
            None if lots > 0 => self.put_outside(key, lots),
            None => self.far.remove(&key).unwrap_or(0),
        };
        self.len = self.len + usize::from(lots > 0) - usize::from(before > 0);
        before
    }

    /// Lots of a key, 0 if there is nothing.
    pub(super) fn get(&self, key: i64) -> i64 {
        match self.slot(key) {
            Some(slot) if self.is_set(slot) => self.lots[slot],
            Some(_) => 0,
            None => self.far.get(&key).copied().unwrap_or(0),
        }
    }

    /// The greatest key and its lots.
    pub(super) fn best(&self) -> Option<(i64, i64)> {
        match highest(&self.bits, &self.groups) {
            Some(slot) => Some((self.key(slot), self.lots[slot])),
            None => self.far.last_key_value().map(|(&key, &lots)| (key, lots)),
        }
    }

    /// Removes the least key.
    pub(super) fn pop_worst(&mut self) -> Option<(i64, i64)> {
        let worst = match self.far.first_key_value() {
            Some((&key, &lots)) => (key, lots),
            None => {
                let word = self.bits.iter().position(|&word| word != 0)?;
                let slot = word * 64 + self.bits[word].trailing_zeros() as usize;
                (self.key(slot), self.lots[slot])
            }
        };
        self.set(worst.0, 0);
        Some(worst)
    }

    /// Occupied keys.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Removes everything.
    pub(super) fn clear(&mut self) {
        self.bits.fill(0);
        self.groups = [0; GROUPS];
        self.far.clear();
        self.len = 0;
    }

    /// All keys with their lots, best first.
    pub(super) fn iter(&self) -> Iter<'_> {
        let word = highest(&self.bits, &self.groups).map_or(0, |slot| slot / 64);
        Iter { ladder: self, word, left: self.bits[word], far: self.far.iter().rev() }
    }

    fn slot(&self, key: i64) -> Option<usize> {
        // Exact for every pair with key >= base, however far they are apart.
        let distance = key.wrapping_sub(self.base) as u64;
        (key >= self.base && distance < WINDOW as u64).then_some(distance as usize)
    }

    fn key(&self, slot: usize) -> i64 {
        self.base + slot as i64
    }

    fn is_set(&self, slot: usize) -> bool {
        self.bits[slot / 64] >> (slot % 64) & 1 == 1
    }

    fn put(&mut self, slot: usize, lots: i64) -> i64 {
        let before = if self.is_set(slot) { self.lots[slot] } else { 0 };
        self.lots[slot] = lots;
        self.bits[slot / 64] |= 1 << (slot % 64);
        self.groups[slot / 4096] |= 1 << (slot / 64 % 64);
        before
    }

    fn take(&mut self, slot: usize) -> i64 {
        if !self.is_set(slot) {
            return 0;
        }
        let before = self.lots[slot];
        self.bits[slot / 64] &= !(1 << (slot % 64));
        if self.bits[slot / 64] == 0 {
            self.groups[slot / 4096] &= !(1 << (slot / 64 % 64));
            self.follow_down();
        }
        before
    }

    fn put_outside(&mut self, key: i64, lots: i64) -> i64 {
        if key < self.base && self.len > 0 {
            let before = self.far.insert(key, lots).unwrap_or(0);
            self.follow_down();
            return before;
        }
        self.move_to(key);
        let slot = self.slot(key).expect("the window was just moved around this key");
        self.put(slot, lots)
    }

    /// Keeps the best key away from the lower end while there is something below it.
    fn follow_down(&mut self) {
        if self.far.is_empty() || highest(&self.bits, &self.groups).is_some_and(|slot| slot >= EDGE) {
            return;
        }
        if let Some((best, _)) = self.best() {
            self.move_to(best);
        }
    }

    /// Moves the window so that `best` stands at home.
    fn move_to(&mut self, best: i64) {
        let base = best.saturating_sub(HOME as i64).min(i64::MAX - WINDOW as i64 + 1);
        if base == self.base {
            return;
        }
        let inside: Vec<(i64, i64)> = self.iter().take_while(|&(key, _)| key >= self.base).collect();
        self.far.extend(inside);
        self.bits.fill(0);
        self.groups = [0; GROUPS];
        self.base = base;
        for (key, lots) in self.far.split_off(&base) {
            let slot = self.slot(key).expect("nothing lies above the best key");
            self.put(slot, lots);
        }
    }
}

/// The greatest occupied slot.
fn highest(bits: &[u64; WORDS], groups: &[u64; GROUPS]) -> Option<usize> {
    let group = groups.iter().rposition(|&group| group != 0)?;
    let word = group * 64 + top_bit(groups[group]);
    Some(word * 64 + top_bit(bits[word]))
}

fn top_bit(word: u64) -> usize {
    63 - word.leading_zeros() as usize
}

/// Best first.
pub(super) struct Iter<'a> {
    ladder: &'a Ladder,
    word: usize,
    /// Bits of `word` still to come.
    left: u64,
    far: Rev<btree_map::Iter<'a, i64, i64>>,
}

impl Iter<'_> {
    /// Steps to the next occupied word below; false at the lower end of the window.
    fn next_word(&mut self) -> bool {
        let mut group = self.word / 64;
        let mut below = self.ladder.groups[group] & ((1 << (self.word % 64)) - 1);
        while below == 0 {
            if group == 0 {
                return false;
            }
            group -= 1;
            below = self.ladder.groups[group];
        }
        self.word = group * 64 + top_bit(below);
        self.left = self.ladder.bits[self.word];
        true
    }
}

impl Iterator for Iter<'_> {
    type Item = (i64, i64);

    fn next(&mut self) -> Option<(i64, i64)> {
        if self.left == 0 && !self.next_word() {
            return self.far.next().map(|(&key, &lots)| (key, lots));
        }
        let slot = self.word * 64 + top_bit(self.left);
        self.left &= !(1 << (slot % 64));
        Some((self.ladder.key(slot), self.ladder.lots[slot]))
    }
}

/// Stored flat, best first: key, lots, then distance to the key before and lots, again and again. Distances
/// are small, so a book of ten thousand levels takes a few bytes a level.
impl Serialize for Ladder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.len * 2))?;
        let mut last = 0i64;
        for (key, lots) in self.iter() {
            seq.serialize_element(&last.wrapping_sub(key))?;
            seq.serialize_element(&lots)?;
            last = key;
        }
        seq.end()
    }
}

impl<'de> Deserialize<'de> for Ladder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Ladder, D::Error> {
        deserializer.deserialize_seq(LadderVisitor)
    }
}

struct LadderVisitor;

impl<'de> Visitor<'de> for LadderVisitor {
    type Value = Ladder;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("distances and lots of a book side, in turn")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Ladder, A::Error> {
        let mut ladder = Ladder::default();
        let mut last: Option<i64> = None;
        while let Some(distance) = seq.next_element::<i64>()? {
            let lots: i64 = seq.next_element()?.ok_or_else(|| Error::custom("a level without lots"))?;
            let key = last.unwrap_or(0).wrapping_sub(distance);
            if lots <= 0 || last.is_some_and(|last| key >= last) {
                return Err(Error::custom("levels out of order or empty"));
            }
            ladder.set(key, lots);
            last = Some(key);
        }
        Ok(ladder)
    }
}
