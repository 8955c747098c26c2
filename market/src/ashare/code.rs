//! Stock codes, `600519.SH`, and what follows from their digits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::DataError;

/// An exchange of the A-share market.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Exchange {
    /// Shanghai.
    Sh,
    /// Shenzhen.
    Sz,
    /// Beijing: daily bars, but no Level 2 that is read here.
    Bj,
}

impl Exchange {
    /// `SH`, `SZ` or `BJ`.
    pub fn as_str(self) -> &'static str {
        match self {
            Exchange::Sh => "SH",
            Exchange::Sz => "SZ",
            Exchange::Bj => "BJ",
        }
    }

    /// The one whose range the first digits of a code fall into; `None` for other markets.
    pub fn of_digits(digits: [u8; 6]) -> Option<Exchange> {
        match digits {
            _ if is_beijing_share(digits) => Some(Exchange::Bj),
            [b'5' | b'6' | b'9', ..] | [b'1', b'1', ..] => Some(Exchange::Sh),
            [b'0' | b'2' | b'3', ..] | [b'1', b'2' | b'5' | b'6' | b'8', ..] => Some(Exchange::Sz),
            _ => None,
        }
    }
}

/// The ranges of Beijing's shares. Its index is 899050; delisted shares are 400, bonds 81, and 880 are indices of vendors.
fn is_beijing_share(digits: [u8; 6]) -> bool {
    matches!(digits, [b'4', b'3', ..] | [b'8', b'3' | b'7', ..] | [b'9', b'2', ..])
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Six digits and an exchange; ordered as its text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StockCode {
    digits: [u8; 6],
    exchange: Exchange,
}

impl StockCode {
    /// From a number, whose lost zeros come back: `1` is `000001`. Eight digits keep their last six.
    /// `None` for other numbers.
    pub fn from_number(number: u64, exchange: Exchange) -> Option<StockCode> {
        Some(StockCode { digits: Self::digits_of(number)?, exchange })
    }

    /// The six digits of a code that lost its zeros or has eight digits; `None` if it is neither.
    pub fn digits_of(number: u64) -> Option<[u8; 6]> {
        let mut rest = match number {
            1..=999_999 => number,
            10_000_000..=99_999_999 => number % 1_000_000,
            _ => return None,
        };
        let mut digits = [b'0'; 6];
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        Some(digits)
    }

    /// From six digits as text.
    pub fn from_digits(digits: [u8; 6], exchange: Exchange) -> Option<StockCode> {
        digits.iter().all(u8::is_ascii_digit).then_some(StockCode { digits, exchange })
    }

    /// Where it is listed.
    pub fn exchange(self) -> Exchange {
        self.exchange
    }

    /// Its digits as a number, below 1 000 000.
    pub fn number(self) -> u32 {
        self.digits.iter().fold(0, |n, d| n * 10 + u32::from(d - b'0'))
    }

    /// Decimals of a tick: 2 for stocks (0.01), 3 for funds, bonds and Shanghai's B shares (0.001).
    pub fn tick_decimals(self) -> u32 {
        match (self.exchange, self.digits[0]) {
            (Exchange::Sh, b'6') | (Exchange::Sz, b'0' | b'2' | b'3') | (Exchange::Bj, _) => 2,
            _ => 3,
        }
    }
}

impl StockCode {
    /// In the spellings of vendors: 600000.SH, sh.600000, 600000.XSHG, sh600000, or digits alone, which may have lost
    /// their zeros. `None` for other markets.
    pub fn spelled(text: &str) -> Option<StockCode> {
        let upper = text.trim().to_ascii_uppercase();
        let (digits, exchange) = match upper.split_once('.') {
            Some((head, tail)) if head.bytes().all(|b| b.is_ascii_digit()) => (head, Some(named(tail)?)),
            Some((head, tail)) => (tail, Some(named(head)?)),
            None => match upper.find(|c: char| c.is_ascii_digit()) {
                Some(at) if at > 0 => (&upper[at..], Some(named(&upper[..at])?)),
                _ => (&upper[..], None),
            },
        };
        let all_digits = digits.bytes().all(|b| b.is_ascii_digit());
        let number: u64 = digits.parse().ok().filter(|_| all_digits)?;
        let of_digits = || StockCode::digits_of(number).and_then(Exchange::of_digits);
        StockCode::from_number(number, exchange.or_else(of_digits)?)
    }

    /// Is it an A share, by the ranges of its exchange? Funds, bonds, indices and B shares are not.
    pub fn is_share(self) -> bool {
        match (self.exchange, &self.digits) {
            (Exchange::Sh, [b'6', b'0' | b'8', ..]) => true,
            (Exchange::Sz, [b'0', b'0', ..] | [b'3', b'0', ..]) => true,
            (Exchange::Bj, _) => is_beijing_share(self.digits),
            (Exchange::Sh | Exchange::Sz, _) => false,
        }
    }
}

/// An exchange as vendors name it.
fn named(text: &str) -> Option<Exchange> {
    match text {
        "SH" | "XSHG" | "SSE" => Some(Exchange::Sh),
        "SZ" | "XSHE" | "SZSE" => Some(Exchange::Sz),
        "BJ" | "XBSE" | "BSE" => Some(Exchange::Bj),
        _ => None,
    }
}

impl fmt::Display for StockCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for digit in self.digits {
            write!(f, "{}", char::from(digit))?;
        }
        write!(f, ".{}", self.exchange)
    }
}

impl FromStr for StockCode {
    type Err = DataError;

    /// `600519.SH`, or six digits alone where their range tells the exchange.
    fn from_str(text: &str) -> Result<StockCode, DataError> {
        let bad = || DataError::BadCode { text: text.to_owned() };
        let (digits, suffix) = text.split_once('.').map_or((text, None), |(d, s)| (d, Some(s)));
        let digits: [u8; 6] = digits.as_bytes().try_into().map_err(|_| bad())?;
        let exchange = match suffix {
            Some(s) if s.eq_ignore_ascii_case("SH") => Some(Exchange::Sh),
            Some(s) if s.eq_ignore_ascii_case("SZ") => Some(Exchange::Sz),
            Some(s) if s.eq_ignore_ascii_case("BJ") => Some(Exchange::Bj),
            Some(_) => None,
            None => Exchange::of_digits(digits),
        };
        exchange.and_then(|e| StockCode::from_digits(digits, e)).ok_or_else(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_read_and_write_and_order_as_text() {
        let mut codes: Vec<StockCode> =
            ["600519.SH", "000001.SZ", "000001.SH", "159915.SZ"].iter().map(|t| t.parse().unwrap()).collect();
        codes.sort();
        let text: Vec<String> = codes.iter().map(StockCode::to_string).collect();
        assert_eq!(text, ["000001.SH", "000001.SZ", "159915.SZ", "600519.SH"]);
        assert_eq!("300750".parse::<StockCode>().unwrap().to_string(), "300750.SZ");
        for beijing in ["430047", "830799.bj", "920799"] {
            let code: StockCode = beijing.parse().unwrap();
            assert_eq!((code.exchange(), code.to_string().ends_with(".BJ")), (Exchange::Bj, true));
        }
        for bad in ["60051.SH", "600519.HK", "60O519.SH", "700001", ""] {
            assert!(bad.parse::<StockCode>().is_err(), "{bad}");
        }
    }

    #[test]
    fn spellings_of_one_stock_are_one_code() {
        let code = |text: &str| StockCode::spelled(text).map(|c| c.to_string());
        for text in ["600000.SH", "sh.600000", "600000.XSHG", "sh600000", "600000", " 600000.sh "] {
            assert_eq!(code(text).as_deref(), Some("600000.SH"), "{text}");
        }
        assert_eq!([code("1"), code("1.SH")].map(Option::unwrap), ["000001.SZ", "000001.SH"]);
        assert_eq!([code("430047.BJ"), code("bj920799")].map(Option::unwrap), ["430047.BJ", "920799.BJ"]);
        for text in ["", "AAPL", "600000.HK", "60000000000", "+1", "sh.+60000", "700001"] {
            assert_eq!(code(text), None, "{text}");
        }
        let shares =
            ["600000.SH", "688001.SH", "000001.SZ", "301001.SZ", "830799.BJ", "430047.BJ", "920002.BJ"];
        assert!(shares.iter().all(|text| text.parse::<StockCode>().unwrap().is_share()));
        let others = [
            "510300.SH",
            "000300.SH",
            "900901.SH",
            "200002.SZ",
            "159915.SZ",
            "399001.SZ",
            "899050.BJ",
            "400001.BJ",
            "810001.BJ",
            "880001.BJ",
        ];
        assert!(!others.iter().any(|text| text.parse::<StockCode>().unwrap().is_share()));
    }

    #[test]
    fn lost_zeros_come_back_and_eight_digits_lose_their_head() {
        let text = |n| StockCode::from_number(n, Exchange::Sz).map(|c| c.to_string());
        assert_eq!(text(1).as_deref(), Some("000001.SZ"));
        assert_eq!(text(333).as_deref(), Some("000333.SZ"));
        assert_eq!(text(10_000_333).as_deref(), Some("000333.SZ"));
        assert_eq!([text(0), text(1_000_000), text(100_000_000)], [None, None, None]);
    }

    #[test]
    fn stocks_tick_in_cents_and_funds_in_tenths_of_them() {
        let decimals = |t: &str| t.parse::<StockCode>().unwrap().tick_decimals();
        assert_eq!([decimals("600519.SH"), decimals("300750.SZ")], [2, 2]);
        assert_eq!([decimals("510300.SH"), decimals("159915.SZ"), decimals("113050.SH")], [3, 3, 3]);
    }
}
