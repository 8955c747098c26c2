//! Prices and quantities as integers: decimal text ↔ ticks and lots, without passing through a float.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::DataError;

/// A price in ticks of its instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ticks(pub i64);

/// A quantity in lots of its instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lots(pub i64);

/// An exact decimal: `mantissa / 10^decimals`. Trailing zeros are kept as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decimal {
    /// All digits.
    pub mantissa: i64,
    /// How many of them stand behind the point.
    pub decimals: u8,
}

const POW10: [i64; 19] = {
    let mut powers = [1i64; 19];
    let mut i = 1;
    while i < 19 {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

impl Decimal {
    /// Reads `-?digits(.digits)?`, at most 18 digits in all.
    ///
    /// # Errors
    /// [`DataError::NotANumber`], [`DataError::Overflow`].
    pub fn parse(text: &str) -> Result<Decimal, DataError> {
        let bad = || DataError::NotANumber { text: text.to_owned() };
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mut mantissa, mut decimals, mut n, mut point) = (0i64, 0u8, 0usize, false);
        for &b in digits.as_bytes() {
            match b {
                b'0'..=b'9' => {
                    if mantissa >= POW10[17] {
                        return Err(DataError::Overflow { text: text.to_owned() });
                    }
                    mantissa = mantissa * 10 + i64::from(b - b'0');
                    decimals += u8::from(point);
                    n += 1;
                }
                b'.' if !point && n > 0 => point = true,
                _ => return Err(bad()),
            }
            if decimals > 18 {
                return Err(DataError::Overflow { text: text.to_owned() });
            }
        }
        if n == 0 || (point && decimals == 0) {
            return Err(bad());
        }
        Ok(Decimal { mantissa: if negative { -mantissa } else { mantissa }, decimals })
    }

    /// The same number without trailing zeros behind the point.
    pub fn normalized(self) -> Decimal {
        let Decimal { mut mantissa, mut decimals } = self;
        while decimals > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            decimals -= 1;
        }
        Decimal { mantissa, decimals }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let (digits, d) = (self.mantissa.unsigned_abs(), usize::from(self.decimals));
        if d == 0 {
            return write!(f, "{sign}{digits}");
        }
        let text = format!("{digits:0width$}", width = d + 1);
        let (whole, part) = text.split_at(text.len() - d);
        write!(f, "{sign}{whole}.{part}")
    }
}

/// The least step of a price or quantity: `numerator / 10^decimals`, normalised, positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    numerator: i64,
    decimals: u8,
}

impl Step {
    /// A step from its decimal text, such as `0.10`.
    ///
    /// # Errors
    /// Not a number, or not above zero.
    pub fn parse(text: &str) -> Result<Step, DataError> {
        Step::from_decimal(Decimal::parse(text)?)
    }

    /// A step from a decimal.
    ///
    /// # Errors
    /// Not above zero.
    pub fn from_decimal(step: Decimal) -> Result<Step, DataError> {
        let Decimal { mantissa, decimals } = step.normalized();
        if mantissa <= 0 {
            return Err(DataError::NotANumber { text: step.to_string() });
        }
        Ok(Step { numerator: mantissa, decimals })
    }

    /// 10^-decimals: the step of texts with at most this many decimals.
    pub fn of_decimals(decimals: u8) -> Step {
        Step { numerator: 1, decimals: decimals.min(18) }
    }

    /// How many steps a decimal is, exactly.
    ///
    /// # Errors
    /// A remainder, or an overflow.
    pub fn count(self, value: Decimal) -> Result<i64, DataError> {
        let off = || DataError::OffStep { text: value.to_string(), step: self.to_string() };
        let overflow = || DataError::Overflow { text: value.to_string() };
        let mut scaled = value.mantissa;
        if value.decimals <= self.decimals {
            let factor = POW10[usize::from(self.decimals - value.decimals)];
            scaled = scaled.checked_mul(factor).ok_or_else(overflow)?;
        } else {
            let factor = POW10[usize::from(value.decimals - self.decimals)];
            if scaled % factor != 0 {
                return Err(off());
            }
            scaled /= factor;
        }
        if self.numerator == 1 {
            return Ok(scaled);
        }
        if scaled % self.numerator != 0 {
            return Err(off());
        }
        Ok(scaled / self.numerator)
    }

    /// How many steps the number in a text is: as [`Decimal::parse`] and [`Step::count`] say, but what venues send is
    /// counted on the way and without a division.
    ///
    /// # Errors
    /// Those of both.
    pub fn count_text(self, text: &str) -> Result<i64, DataError> {
        let counted = self.count_digits(text.as_bytes());
        counted.map_or_else(|| Decimal::parse(text).and_then(|value| self.count(value)), Ok)
    }

    /// `digits(.digits)?` in powers of ten, with nothing but zeros beyond the step's decimals. `None`: not so simple.
    fn count_digits(self, text: &[u8]) -> Option<i64> {
        let digit = |b: &u8| Some(b.wrapping_sub(b'0')).filter(|d| *d < 10).map(i64::from);
        // So many digits, with zeros for those that are missing, may be more than fit; so many bytes are not.
        if self.numerator != 1 || text.is_empty() || text.len() > 18 {
            return None;
        }
        let point = text.iter().position(|b| *b == b'.').unwrap_or(text.len());
        let (whole, part) = (&text[..point], text.get(point + 1..));
        if whole.is_empty() || part.is_some_and(<[u8]>::is_empty) {
            return None;
        }
        let part = part.unwrap_or_default();
        let kept = part.len().min(self.decimals.into());
        let digits = whole.iter().chain(&part[..kept]);
        let mut count = 0i64;
        for b in digits {
            count = count * 10 + digit(b)?;
        }
        let zeros = part[kept..].iter().all(|b| *b == b'0');
        let missing = usize::from(self.decimals) - kept;
        zeros.then(|| count.checked_mul(POW10[missing])).flatten()
    }

    /// `n` steps as a float: one exact product, one division, so it equals the parsed decimal text.
    pub fn value(self, n: i128) -> f64 {
        (n * i128::from(self.numerator)) as f64 / POW10[usize::from(self.decimals)] as f64
    }

    /// `n / d` steps as a float: exact products, one division; `d` is not 0.
    pub fn ratio(self, n: i128, d: i128) -> f64 {
        let scale = i128::from(POW10[usize::from(self.decimals)]);
        n.saturating_mul(i128::from(self.numerator)) as f64 / d.saturating_mul(scale) as f64
    }

    /// `n` products of this step and another as a float, by exact products and one division.
    pub fn product(self, other: Step, n: i128) -> f64 {
        let scale = |step: Step| i128::from(POW10[usize::from(step.decimals)]);
        let numerators = i128::from(self.numerator) * i128::from(other.numerator);
        n.saturating_mul(numerators) as f64 / (scale(self) * scale(other)) as f64
    }

    /// `n` steps as exact decimal text.
    pub fn text(self, n: i64) -> String {
        Decimal { mantissa: n.saturating_mul(self.numerator), decimals: self.decimals }.to_string()
    }

    /// Numerator and decimals.
    pub fn parts(self) -> (i64, u8) {
        (self.numerator, self.decimals)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Decimal { mantissa: self.numerator, decimals: self.decimals }.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::TestRunner;

    use super::*;

    #[test]
    fn decimal_text_survives() {
        for text in ["61737.63000000", "0.0703", "0.07030", "7", "-2.50", "0.00000001"] {
            assert_eq!(Decimal::parse(text).expect(text).to_string(), text);
        }
        for text in ["", ".5", "+1", "1e3", "-", "1.", "1.2.3", "1 "] {
            assert!(matches!(Decimal::parse(text), Err(DataError::NotANumber { .. })), "{text}");
        }
        assert!(matches!(Decimal::parse("1234567890123456789"), Err(DataError::Overflow { .. })));
    }

    #[test]
    fn steps_count_exactly_or_refuse() {
        let tick = Step::parse("0.10").expect("step");
        assert_eq!(tick.count(Decimal::parse("61737.60000").expect("number")), Ok(617_376));
        assert!(matches!(
            tick.count(Decimal::parse("0.05").expect("number")),
            Err(DataError::OffStep { .. })
        ));
        let five = Step::parse("0.05").expect("step");
        assert_eq!(five.count(Decimal::parse("1.15").expect("number")), Ok(23));
        assert!(five.count(Decimal::parse("1.16").expect("number")).is_err());
        assert!(Step::parse("0").is_err() && Step::parse("-1").is_err());
    }

    /// The short way is the long one: the same numbers, refused for the same reason.
    #[test]
    fn a_text_counts_as_its_number_does() {
        let check = |step: Step, text: &str| {
            let expected = Decimal::parse(text).and_then(|value| step.count(value));
            assert_eq!(step.count_text(text), expected, "{text} in {step}");
        };
        const STEPS: [&str; 6] = ["1", "0.1", "0.05", "0.01", "0.000001", "25"];
        let text = "-?[0-9]{0,10}[.]?[0-9]{0,3}0{0,10}";
        let mut runner = TestRunner::default();
        let outcome = runner.run(&(prop::sample::select(&STEPS[..]), text), |(step, text)| {
            check(Step::parse(step).expect("a step"), &text);
            Ok(())
        });
        assert_eq!(outcome, Ok(()));
        let odd = [
            "", ".", "5.", ".5", "0.0", "1.2.0", "1..0", "1.0.0", "1x", "1.x0", "x.00", "-1.50", "-0", "+1.0",
        ];
        let long =
            ["123456789012345678", "1234567890123456789", "1.00000000000000000", "1.0000000000000000000"];
        for text in odd.into_iter().chain(long) {
            STEPS.iter().for_each(|step| check(Step::parse(step).expect("a step"), text));
        }
    }

    #[test]
    fn a_tick_value_equals_its_parsed_text() {
        let tick = Step::parse("0.10").expect("step");
        assert_eq!(tick.value(2504).to_bits(), 250.4f64.to_bits());
        assert_eq!(tick.value(3).to_bits(), 0.3f64.to_bits());
        assert_eq!(tick.text(2504), "250.4");
    }

    #[test]
    fn a_ratio_and_a_product_are_rounded_once() {
        let (tick, lot) = (Step::parse("0.05").expect("step"), Step::parse("0.002").expect("step"));
        assert_eq!(tick.ratio(41, 2).to_bits(), 1.025f64.to_bits());
        assert_eq!(tick.product(lot, 3).to_bits(), 0.0003f64.to_bits());
        assert!(tick.ratio(i128::MAX, 1).is_finite(), "saturates, never wraps");
    }
}
