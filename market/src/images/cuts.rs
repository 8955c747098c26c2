//! Quantile cuts at 12.5 %, 25 %, … 87.5 % of a sample, and the bin of a value among them.
//!
//! All percentiles are eighths, so a cut between two integers is an exact number of eighths: no float, no
//! rounding, and a value that lies exactly on an interpolated cut always goes up.

use super::BINS;

/// Seven cuts between eight bins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cuts {
    x8: [i64; BINS - 1],
    /// The least whole value at or above each cut.
    least: [i64; BINS - 1],
}

impl Cuts {
    /// The cuts of a sample, NumPy's "linear" percentiles; all zero if it is empty. Puts the sample
    /// into another order.
    ///
    /// ```text
    /// (n - 1)·k = 8i + r      cut_k = v[i] + (v[i+1] - v[i])·r/8      k = 1 … 7
    /// ```
    /// ```
    /// use lobstream_market::images::Cuts;
    /// let cuts = Cuts::of(&mut [1000, 1010]);
    /// assert_eq!(cuts.x8(), [8010, 8020, 8030, 8040, 8050, 8060, 8070]);
    /// assert_eq!((cuts.bin(1000), cuts.bin(1010)), (0, 7));
    /// ```
    pub fn of(sample: &mut [i64]) -> Cuts {
        let mut x8 = [0; BINS - 1];
        if sample.is_empty() {
            return Cuts::from_x8(x8);
        }
        put_in_place(sample, 0, &ranks(sample.len()));
        for (cut, (a, b, r)) in x8.iter_mut().zip(neighbours(sample)) {
            *cut = 8 * a + (b - a) * r;
        }
        Cuts::from_x8(x8)
    }

    /// The same in `f64` on `value / per_unit`, as NumPy reckons it: differs in the last bit, so that a value
    /// on a cut may fall below it. Eighths are then those of the exact cuts.
    pub fn of_f64(sample: &mut [i64], per_unit: f64) -> Cuts {
        let mut cuts = Cuts::of(sample);
        if sample.is_empty() {
            return cuts;
        }
        for (least, (a, b, r)) in cuts.least.iter_mut().zip(neighbours(sample)) {
            let cut = lerp(a as f64 / per_unit, b as f64 / per_unit, r as f64 / 8.0);
            *least = (a..=b).find(|&v| v as f64 / per_unit >= cut).unwrap_or(b + 1);
        }
        cuts
    }

    /// Cuts in eighths.
    pub fn from_x8(x8: [i64; BINS - 1]) -> Cuts {
        Cuts { x8, least: x8.map(|cut| cut.div_euclid(8) + i64::from(cut.rem_euclid(8) != 0)) }
    }

    /// Cuts from elsewhere, such as means over past days. Whole values compare with them exactly as they would
    /// in `f64`; eighths are rounded.
    pub fn from_f64(cuts: [f64; BINS - 1]) -> Cuts {
        Cuts { x8: cuts.map(|c| (8.0 * c).round() as i64), least: cuts.map(|c| c.ceil() as i64) }
    }

    /// In eighths of the unit of the sample.
    pub fn x8(&self) -> [i64; BINS - 1] {
        self.x8
    }

    /// In the unit of the sample.
    pub fn values(&self) -> [f64; BINS - 1] {
        self.x8.map(|cut| cut as f64 / 8.0)
    }

    /// How many cuts a value reaches. Equal to a cut goes up.
    pub fn bin(&self, value: i64) -> usize {
        self.least.iter().map(|&least| usize::from(least <= value)).sum()
    }
}

/// For each cut the values on both sides and how many eighths it lies from the first to the second, of a sample
/// that has the values of these [`ranks`] in place.
fn neighbours(sample: &[i64]) -> impl Iterator<Item = (i64, i64, i64)> {
    let last = sample.len() - 1;
    (1..BINS).map(move |k| {
        let (i, r) = (last * k / BINS, last * k % BINS);
        (sample[i], sample[(i + 1).min(last)], r as i64)
    })
}

/// The places on both sides of each cut of a sorted sample of this size, ascending.
fn ranks(len: usize) -> Vec<usize> {
    let last = len - 1;
    let mut ranks: Vec<usize> =
        (1..BINS).map(|k| last * k / BINS).flat_map(|i| [i, (i + 1).min(last)]).collect();
    // In small samples those of one cut repeat those of the one before.
    ranks.sort_unstable();
    ranks.dedup();
    ranks
}

/// Puts the values of these ranks where sorting would put them: halves the ranks, not the sample, which costs far
/// less than sorting. `first` is the rank of the sample's first value.
fn put_in_place(sample: &mut [i64], first: usize, ranks: &[usize]) {
    let (below, rest) = ranks.split_at(ranks.len() / 2);
    let Some((rank, above)) = rest.split_first() else { return };
    let (lesser, _, greater) = sample.select_nth_unstable(rank - first);
    put_in_place(lesser, first, below);
    put_in_place(greater, rank + 1, above);
}

/// What NumPy makes of `a + (b - a)·t`: from the nearer end, so that both ends come out exactly.
pub fn lerp(a: f64, b: f64, t: f64) -> f64 {
    let way = b - a;
    if t < 0.5 { a + way * t } else { b - way * (1.0 - t) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_values_meet_cuts_from_elsewhere_as_they_would_in_f64() {
        let cuts = [-1.5, 0.0, 99.99999999, 100.0, 100.00000001, 1e9 + 0.5, 1e15];
        let kept = Cuts::from_f64(cuts);
        for value in [-2, -1, 0, 1, 99, 100, 101, 1_000_000_000, 1_000_000_001, 1_000_000_000_000_000] {
            let slow = cuts.iter().filter(|c| value as f64 >= **c).count();
            assert_eq!(kept.bin(value), slow, "{value}");
        }
    }

    #[test]
    fn cuts_are_those_of_a_sorted_sample() {
        let mut x = 88_172_645_463_325_252_u64;
        for len in (1..60).chain([1_000, 4_097]) {
            for spread in [3, 50, 1 << 40] {
                let mut sample: Vec<i64> = (0..len)
                    .map(|_| {
                        x ^= x << 13;
                        x ^= x >> 7;
                        x ^= x << 17;
                        (x % spread) as i64
                    })
                    .collect();
                let mut sorted = sample.clone();
                sorted.sort_unstable();
                let at = |h: usize| sorted[h.min(len - 1)];
                let slow = [1, 2, 3, 4, 5, 6, 7].map(|k| {
                    let (i, r) = ((len - 1) * k / 8, ((len - 1) * k % 8) as i64);
                    at(i) * (8 - r) + at(i + 1) * r
                });
                assert_eq!(Cuts::of(&mut sample).x8(), slow, "{len} values below {spread}");
            }
        }
    }

    #[test]
    fn a_value_equal_to_several_cuts_passes_all_of_them() {
        let cuts = Cuts::of(&mut [250; 6]);
        assert_eq!((cuts.bin(250), cuts.bin(249)), (7, 0));
        assert_eq!(Cuts::of(&mut []).bin(1), 7, "without a sample everything is above");
    }
}
