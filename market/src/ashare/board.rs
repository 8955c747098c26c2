//! Segments of the exchanges: told by a code, decide about limits, lots and who is let in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A board of the A-share market.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Board {
    /// Main boards of Shanghai and Shenzhen.
    Main,
    /// ChiNext, the growth board of Shenzhen.
    Chinext,
    /// STAR, the science board of Shanghai.
    Star,
    /// Beijing.
    Bse,
}

impl Board {
    /// All of them.
    pub const ALL: [Board; 4] = [Board::Main, Board::Chinext, Board::Star, Board::Bse];

    /// The board of a code such as `688001.SH`; without an ending its digits tell alone.
    pub fn of_code(code: &str) -> Board {
        let (digits, ending) = code.split_once('.').map_or((code, None), |(d, e)| (d, Some(e)));
        let head = |n: usize| digits.get(..n).unwrap_or(digits);
        match (ending, head(3)) {
            (Some("BJ"), _) => Board::Bse,
            (Some("SH") | None, "688" | "689") => Board::Star,
            (Some("SZ") | None, "300" | "301" | "302") => Board::Chinext,
            // Beijing has 43, 83, 87, 88 and, since 2024, 92; 900 are B shares of Shanghai.
            (None, _) if matches!(head(1), "4" | "8") || head(2) == "92" => Board::Bse,
            _ => Board::Main,
        }
    }

    /// As written in tables and settings.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_tell_their_board_with_an_ending_and_without() {
        let cases = [
            ("600519.SH", Board::Main),
            ("000001.SZ", Board::Main),
            ("000300.SH", Board::Main),
            ("900901.SH", Board::Main),
            ("300750.SZ", Board::Chinext),
            ("302132.SZ", Board::Chinext),
            ("688981.SH", Board::Star),
            ("689009.SH", Board::Star),
            ("830799.BJ", Board::Bse),
            ("430047.BJ", Board::Bse),
            ("920002.BJ", Board::Bse),
        ];
        for (code, board) in cases {
            assert_eq!(Board::of_code(code), board, "{code}");
            assert_eq!(Board::of_code(&code[..6]), board, "{} alone", &code[..6]);
            assert_eq!(board.as_str().parse(), Ok(board));
        }
        assert_eq!(Board::of_code("830799.SH"), Board::Main, "an index of Shanghai");
        assert!("moon".parse::<Board>().is_err());
    }
}
