//! A stock that is held: what it cost, where its levels are, what was decided about it.

use crate::dataset::Date;
use crate::engine::ExitReason;
use crate::engine::daily::Part;
use crate::model::money::Fen;

/// What a strategy remembers about a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memo {
    /// Stages of a staged exit that are done.
    pub stage: u8,
    /// The price met what it should meet in time.
    pub touched: bool,
}

/// An exit on its way to the market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) reason: ExitReason,
    pub(super) part: Part,
    /// Bar at whose close it was decided, or in which its stop was touched.
    pub(super) decided: usize,
    /// Days on which it was tried and not done.
    pub(super) carried: usize,
    /// Shares of a half that are still to be sold; `None` until it was tried.
    pub(super) left: Option<i64>,
}

/// A position. Prices in 10⁻⁴ CNY; what is scaled on an ex-date says so.
#[derive(Clone, Debug)]
pub struct Held {
    pub(super) id: usize,
    pub(super) stock: usize,
    /// Bar of the entry.
    pub(super) i0: usize,
    /// Bar after which the entry was decided.
    pub(super) decided_in: usize,
    pub(super) entry_date: Date,
    pub(super) entry_ms: i64,
    pub(super) entry_e4: i64,
    pub(super) entry_reason: &'static str,
    /// Shares held now, bonus shares included.
    pub(super) qty: i64,
    /// What these cost, without fees.
    pub(super) cost: Fen,
    /// Fees of the entry that no exit has carried yet.
    pub(super) fees: Fen,
    /// Slippage of the entry, likewise.
    pub(super) slippage: Fen,
    /// Cash of ex-dates that no exit has carried yet.
    pub(super) dividends: Fen,
    /// All shares of the entry and of later bonuses.
    pub(super) qty_all: i64,
    pub(super) fees_all: Fen,
    pub(super) slippage_all: Fen,
    /// Scaled on ex-dates.
    pub(super) stop_e4: Option<i64>,
    /// As it was at the entry.
    pub(super) first_stop_e4: Option<i64>,
    pub(super) pending: Option<Pending>,
    /// Extremes of whole days held, scaled likewise, as fractions of the entry.
    pub(super) mae: f64,
    pub(super) mfe: f64,
    pub(super) scaled_entry: f64,
    /// Level it was bought on; scaled on ex-dates.
    pub support_e4: i64,
    /// Level above it, if there was one; scaled on ex-dates.
    pub resistance_e4: Option<i64>,
    /// Days with a bar since the entry, which counts 1.
    pub days: usize,
    /// The strategy's own.
    pub memo: Memo,
}

impl Held {
    /// Fill price of the entry, 10⁻⁴ CNY.
    pub fn entry_e4(&self) -> i64 {
        self.entry_e4
    }

    /// Decides an exit, unless one of everything is on its way already.
    pub(super) fn decide(&mut self, reason: ExitReason, part: Part, decided: usize) {
        let replaces = match self.pending {
            None => true,
            Some(pending) => pending.part == Part::Half && part == Part::All,
        };
        if replaces {
            self.pending = Some(Pending { reason, part, decided, carried: 0, left: None });
        }
    }

    pub(super) fn stop_reached(&self, price_e4: i64) -> bool {
        self.stop_e4.is_some_and(|stop| price_e4 <= stop)
    }

    /// Takes a range of prices into the extremes.
    pub(super) fn note(&mut self, low_e4: i64, high_e4: i64) {
        self.mae = self.mae.min(low_e4 as f64 / self.scaled_entry - 1.0);
        self.mfe = self.mfe.max(high_e4 as f64 / self.scaled_entry - 1.0);
    }

    /// Levels and stop follow the reference price of an ex-date.
    pub(super) fn rescale(&mut self, pre_close: i64, previous_close: i64) {
        let scaled = |level: i64| rescaled(level, pre_close, previous_close);
        self.support_e4 = scaled(self.support_e4);
        self.resistance_e4 = self.resistance_e4.map(scaled);
        self.stop_e4 = self.stop_e4.map(|stop| crate::engine::daily::market::round_to_tick(scaled(stop)));
        self.scaled_entry *= pre_close as f64 / previous_close as f64;
    }
}

/// `level · pre_close / previous_close`, half up.
pub(super) fn rescaled(level: i64, pre_close: i64, previous_close: i64) -> i64 {
    let (level, pre, last) = (i128::from(level), i128::from(pre_close), i128::from(previous_close));
    i64::try_from((2 * level * pre + last).div_euclid(2 * last)).unwrap_or(i64::MAX)
}
