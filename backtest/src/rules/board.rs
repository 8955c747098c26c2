//! Where a stock is listed: told by its code.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A board of the A-share market. Limits and lots depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Board {
    /// Shanghai and Shenzhen main boards.
    Main,
    /// Growth board of Shenzhen.
    Chinext,
    /// Science board of Shanghai.
    Star,
    /// Beijing.
    Bse,
}

impl Board {
    /// All of them.
    pub const ALL: [Board; 4] = [Board::Main, Board::Chinext, Board::Star, Board::Bse];

    /// The board of a code such as `688001.SH`.
    pub fn of_code(code: &str) -> Board {
        let digits = code.split('.').next().unwrap_or_default();
        match (Exchange::of_code(code), &digits.as_bytes()[..digits.len().min(3)]) {
            (Exchange::Bj, _) => Board::Bse,
            (Exchange::Sh, b"688" | b"689") => Board::Star,
            (Exchange::Sz, b"300" | b"301" | b"302") => Board::Chinext,
            (Exchange::Sh | Exchange::Sz, _) => Board::Main,
        }
    }

    /// Its text.
    pub fn as_str(self) -> &'static str {
        match self {
            Board::Main => "main",
            Board::Chinext => "chinext",
            Board::Star => "star",
            Board::Bse => "bse",
        }
    }
}

impl fmt::Display for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Board {
    type Err = String;
    fn from_str(text: &str) -> Result<Board, String> {
        let known = || "a board: main, chinext, star or bse".to_owned();
        Board::ALL.into_iter().find(|board| board.as_str() == text).ok_or_else(known)
    }
}

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
            Some(_) | None => match code.as_bytes().first() {
                Some(b'6') => Exchange::Sh,
                Some(b'4' | b'8' | b'9') => Exchange::Bj,
                Some(_) | None => Exchange::Sz,
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
    fn codes_tell_their_board() {
        let cases = [
            ("600519.SH", Board::Main),
            ("000001.SZ", Board::Main),
            ("300750.SZ", Board::Chinext),
            ("688981.SH", Board::Star),
            ("830799.BJ", Board::Bse),
            ("920002.BJ", Board::Bse),
            ("688001", Board::Star),
        ];
        for (code, board) in cases {
            assert_eq!(Board::of_code(code), board, "{code}");
            assert_eq!(board.as_str().parse(), Ok(board));
        }
    }
}
