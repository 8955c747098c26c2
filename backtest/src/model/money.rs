//! Money of A shares in whole fen, so that sums are exact.

use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

/// An amount in units of 0.01 CNY.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fen(pub i64);

impl Fen {
    /// Nothing.
    pub const ZERO: Fen = Fen(0);

    /// From CNY, half away from zero.
    pub fn of_cny(cny: f64) -> Fen {
        Fen((cny * 100.0).round() as i64)
    }

    /// As CNY; exact in text up to 15 digits.
    pub fn cny(self) -> f64 {
        self.0 as f64 / 100.0
    }

    /// What `qty` shares at a price in units of 10⁻⁴ CNY come to, half up.
    pub fn amount(price_e4: i64, qty: i64) -> Fen {
        Fen(divide(i128::from(price_e4) * i128::from(qty), 100))
    }

    /// `self · part / whole`, half up: the share of an amount that belongs to a part. Nothing of nothing.
    pub fn share(self, part: i64, whole: i64) -> Fen {
        if whole == 0 {
            return Fen::ZERO;
        }
        Fen(divide(i128::from(self.0) * i128::from(part), i128::from(whole)))
    }

    /// `self · rate`, half up.
    pub fn times(self, rate: Rate) -> Fen {
        Fen(divide(i128::from(self.0) * i128::from(rate.0), i128::from(Rate::ONE.0)))
    }
}

/// A share of an amount in units of 10⁻⁸.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(pub i64);

impl Rate {
    /// The whole.
    pub const ONE: Rate = Rate(100_000_000);
}

/// `a / b` half up, b > 0.
fn divide(a: i128, b: i128) -> i64 {
    let half_up = (2 * a + b).div_euclid(2 * b);
    i64::try_from(half_up).expect("amounts of a run stay below 10¹⁶ CNY")
}

impl Add for Fen {
    type Output = Fen;
    fn add(self, other: Fen) -> Fen {
        Fen(self.0 + other.0)
    }
}

impl Sub for Fen {
    type Output = Fen;
    fn sub(self, other: Fen) -> Fen {
        Fen(self.0 - other.0)
    }
}

impl Neg for Fen {
    type Output = Fen;
    fn neg(self) -> Fen {
        Fen(-self.0)
    }
}

impl AddAssign for Fen {
    fn add_assign(&mut self, other: Fen) {
        self.0 += other.0;
    }
}

impl SubAssign for Fen {
    fn sub_assign(&mut self, other: Fen) {
        self.0 -= other.0;
    }
}

impl Sum for Fen {
    fn sum<I: Iterator<Item = Fen>>(amounts: I) -> Fen {
        amounts.fold(Fen::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_round_half_up_and_shares_leave_nothing_over() {
        assert_eq!(Fen::amount(100_250, 1), Fen(1_003), "10.025 CNY");
        assert_eq!(Fen::amount(100_200, 9_900), Fen(9_919_800));
        assert_eq!(Fen(-250).times(Rate(1_000_000)), Fen(-2), "-2.5 fen, half up");
        let fees = Fen(2_579);
        let first = fees.share(4_900, 9_900);
        assert_eq!(first, Fen(1_276));
        assert_eq!(first + (fees - first), fees);
        assert_eq!(Fen(5).share(1, 0), Fen::ZERO);
    }
}
