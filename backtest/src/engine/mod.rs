//! From decisions to fills: what an engine is told, what it answers.

pub mod ashare;
mod bar;
pub mod daily;
mod drive;
mod hash;
mod held;
mod tick;
mod trade;

use serde::Serialize;

pub use drive::{Counts, EquityPoint, Outcome, drive, drive_within};
pub use hash::{HashTrade, run_hash};
pub use trade::{ExitReason, Rejection, ResolvedBy, Trade};

use crate::dataset::{FactorId, Series, StoredSignal};
use crate::error::Error;
use crate::model::Side;
use crate::model::slippage::Slippage;

/// Where an order fills that was decided at a close.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// At the open of the next bar.
    #[default]
    NextOpen,
    /// At that close.
    Close,
}

impl Fill {
    /// Its text.
    pub fn as_str(self) -> &'static str {
        match self {
            Fill::NextOpen => "next_open",
            Fill::Close => "close",
        }
    }
}

/// What is decided about a position when it is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Brackets {
    /// Stop loss, fraction of the entry price.
    pub sl: Option<f64>,
    /// Take profit, fraction of the entry price.
    pub tp: Option<f64>,
    /// Bars after which the position is closed; the entry bar counts 1.
    pub max_hold: Option<usize>,
}

/// How fills are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Where decisions fill.
    pub fill: Fill,
    /// Stops of every position.
    pub brackets: Brackets,
    /// How much worse than the bar's price.
    pub slippage: Slippage,
    /// Ask the prices inside a bar which of two levels came first.
    pub detail: bool,
    /// What is bought on a day of Shanghai is sold on a later one.
    pub t1: bool,
    /// Where prices of the market stand: stops and targets are rounded to it half up, and a fill does not slip onto
    /// a limit of the day. `None` for prices of any kind.
    pub tick: Option<f64>,
    /// Largest order as a share of the mean volume of the 20 bars before; `None`: no cap.
    pub volume_cap: Option<f64>,
}

impl Rules {
    /// # Errors
    /// A stop outside (0, 1), or a holding time that ends where it begins.
    pub fn check(&self) -> Result<(), Error> {
        let bad = |name, value: String, expected: &str| {
            Err(Error::Parameter { name, value, expected: expected.to_owned() })
        };
        for (name, level) in [("sl", self.brackets.sl), ("tp", self.brackets.tp)] {
            if let Some(level) = level.filter(|x| !(*x > 0.0 && *x < 1.0)) {
                return bad(name, level.to_string(), "a fraction of the price above 0 and below 1");
            }
        }
        let least = if self.fill == Fill::Close { 2 } else { 1 };
        match self.brackets.max_hold {
            Some(bars) if bars < least => {
                bad("max_hold", bars.to_string(), "at least 1 bar, with fill = close at least 2")
            }
            Some(_) | None => self.slippage.check(),
        }
    }
}

/// What a rule wants at a bar's close.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Intent {
    /// Open a position this way, if flat.
    pub enter: Option<Side>,
    /// Close a long, if one is held.
    pub exit_long: bool,
    /// Close a short, if one is held.
    pub exit_short: bool,
}

impl Intent {
    fn exits(&self, side: Side) -> bool {
        match side {
            Side::Long => self.exit_long,
            Side::Short => self.exit_short,
        }
    }
}

/// All that a rule may see: the bar that just closed. There is no way from here to a later one.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    series: &'a Series,
    i: usize,
}

impl<'a> Moment<'a> {
    /// The close of bar `i`.
    pub fn new(series: &'a Series, i: usize) -> Moment<'a> {
        Moment { series, i }
    }

    /// When the bar began, ms.
    pub fn begin_ms(&self) -> i64 {
        self.series.bars.ts_ms[self.i]
    }

    /// The instant of the decision, ms.
    pub fn now_ms(&self) -> i64 {
        self.series.known_ms(self.i)
    }

    /// Length of a bar, ms.
    pub fn step_ms(&self) -> i64 {
        self.series.step_ms
    }

    /// The close.
    #[inline]
    pub fn close(&self) -> f64 {
        self.series.bars.close[self.i]
    }

    /// A factor at the close.
    #[inline]
    pub fn factor(&self, id: FactorId) -> Option<f64> {
        self.series.factors.at(id, self.i)
    }

    /// All signals that are known now, oldest first.
    pub fn signals(&self) -> &'a [StoredSignal] {
        let now_ms = self.now_ms();
        &self.series.signals[..self.series.signals.partition_point(|signal| signal.known_ms <= now_ms)]
    }

    /// The book may be used now.
    #[inline]
    pub fn book_ok(&self) -> bool {
        self.series.bars.book_ok[self.i]
    }

    /// Age of the book, ms.
    #[inline]
    pub fn stale_ms(&self) -> Option<f64> {
        self.series.factors.stale_ms(self.i)
    }
}
