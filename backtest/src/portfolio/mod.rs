//! What is held and what it is worth, in one of two ways of counting.

mod cash;
mod unit;

pub use cash::CashAccount;
pub use unit::UnitAccount;

use crate::model::Side;
use crate::model::fee::Liquidity;

/// A position was opened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Opened {
    /// Quantity, base units.
    pub qty: f64,
    /// Quantity times price.
    pub notional: f64,
}

/// A position was closed, or marked as if it were (then the exit fee is not charged).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settled {
    /// What it earned after fees, quote currency.
    pub pnl: f64,
    /// The same over the entry notional.
    pub return_pct: f64,
    /// Fees of entry and exit.
    pub fees: f64,
}

/// The books of a run: at most one position per symbol, symbols by their index in the dataset.
pub trait Account {
    /// A bar begins: fees may depend on the day.
    fn begin_bar(&mut self, _ts_ms: i64) {}
    /// Cuts the next order of a symbol to so many base units, if there is a limit. Accounts that count in no lots take
    /// no notice.
    fn cap(&mut self, _symbol: usize, _most: Option<i64>) {}
    /// Does the next close sell anything at all? Called only while the symbol is held.
    fn can_close(&self, _symbol: usize) -> bool {
        true
    }
    /// What the last close has left because it was cut: quantity, and what that had cost. `None` if it sold all.
    fn left(&self, _symbol: usize) -> Option<Opened> {
        None
    }
    /// Opens as large as the rules of the account allow.
    ///
    /// # Errors
    /// Why that is nothing: `no_cash`, `no_slot` or `volume_cap`.
    fn open(&mut self, symbol: usize, side: Side, price: f64) -> Result<Opened, &'static str>;
    /// Closes all of it, or as much as [`Account::cap`] allows. Called only while the symbol is held.
    fn close(&mut self, symbol: usize, price: f64, liquidity: Liquidity) -> Settled;
    /// What closing for nothing at `price` would leave. Called only while the symbol is held.
    fn settle_open(&self, symbol: usize, price: f64) -> Settled;
    /// Values the symbol at a bar close.
    fn mark(&mut self, symbol: usize, price: f64);
    /// Fixes the equity by which the next bar's entries are sized.
    fn end_of_bar(&mut self) -> f64;
    /// A held short is worth less than nothing.
    fn is_ruined(&self, symbol: usize) -> bool;
}
