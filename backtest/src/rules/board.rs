//! Where a stock is listed: told by its code.

use std::str::FromStr;

pub use lobstream_market::ashare::Board;

/// An exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// Shanghai.
    Sh,
    /// Shenzhen.
    Sz,
    /// Beijing.
    Bj,
}

impl Exchange {
    /// By the ending of a code; without one by its first digit.
    pub fn of_code(code: &str) -> Exchange {
        match code.split_once('.') {
            Some((_, "SH")) => Exchange::Sh,
            Some((_, "SZ")) => Exchange::Sz,
            Some((_, "BJ")) => Exchange::Bj,
            Some(_) | None => match (Board::of_code(code), code.as_bytes().first()) {
                (Board::Bse, _) => Exchange::Bj,
                (_, Some(b'6' | b'9')) => Exchange::Sh,
                (_, Some(_) | None) => Exchange::Sz,
            },
        }
    }
}

impl FromStr for Exchange {
    type Err = String;
    fn from_str(text: &str) -> Result<Exchange, String> {
        match text {
            "SH" => Ok(Exchange::Sh),
            "SZ" => Ok(Exchange::Sz),
            "BJ" => Ok(Exchange::Bj),
            _ => Err("an exchange: SH, SZ or BJ".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_tell_their_exchange_with_an_ending_and_without() {
        let cases = [
            ("600519.SH", Exchange::Sh),
            ("688981.SH", Exchange::Sh),
            ("900901.SH", Exchange::Sh),
            ("000001.SZ", Exchange::Sz),
            ("300750.SZ", Exchange::Sz),
            ("830799.BJ", Exchange::Bj),
            ("430047.BJ", Exchange::Bj),
            ("920002.BJ", Exchange::Bj),
        ];
        for (code, exchange) in cases {
            assert_eq!(
                (Exchange::of_code(code), Exchange::of_code(&code[..6])),
                (exchange, exchange),
                "{code}"
            );
            let is_bse = Board::of_code(&code[..6]) == Board::Bse;
            assert_eq!(is_bse, exchange == Exchange::Bj, "board and exchange of {code}");
        }
    }
}
