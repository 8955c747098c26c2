//! Text of numbers, kept byte for byte.

use crate::price::Decimal;

/// A number whose text can be rebuilt from mantissa and decimals; `None` for all other text, which has to
/// be kept as it is.
///
/// ```text
/// exact:      -?(0|[1-9][0-9]*)(\.[0-9]+)?   at most 18 digits, and not -0, -0.0, …
/// exceptions: .5   5.   +1   1e3   007   -0.0
/// ```
///
/// ```
/// use lobstream_market::codec::exact;
///
/// let price = exact("0.07030").expect("a plain number");
/// assert_eq!((price.mantissa, price.decimals), (7030, 5));
/// assert_eq!(price.to_string(), "0.07030");
/// assert_eq!(exact("007"), None);
/// ```
pub fn exact(text: &str) -> Option<Decimal> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let has_spare_zero = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    let number = Decimal::parse(text).ok().filter(|_| !has_spare_zero)?;
    let is_negative_zero = number.mantissa == 0 && text.starts_with('-');
    (!is_negative_zero).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is accepted is rebuilt; text of the plain form is always accepted.
        #[test]
        fn accepted_text_is_rebuilt(text in "-?[0-9.]{0,20}") {
            if let Some(number) = exact(&text) {
                prop_assert_eq!(number.to_string(), text);
            }
        }

        #[test]
        fn plain_text_is_accepted(whole in "0|[1-9][0-9]{0,8}", part in "(\\.[0-9]{1,8})?") {
            let text = whole + &part;
            prop_assert_eq!(exact(&text).map(|number| number.to_string()), Some(text));
        }
    }
}
