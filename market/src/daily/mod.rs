//! After the close: from bars and trades to the candidates of the next day, as pure functions on slices.
//!
//! ```text
//! bars ─▶ bands ─▶ pool ─┐
//! trades ─▶ micro ───────┼▶ quality ───────────┐
//! bars ─▶ levels ────────┴▶ reaction (trades) ─┴▶ candidates
//! ```
//! Units are CNY and shares everywhere. Where a price meets a percentage both are integers (1/10000 CNY,
//! basis points). What is missing is `None`; a stock without trades has no row.

pub mod bands;
pub mod bar;
pub mod candidates;
pub mod job;
pub mod levels;
pub mod micro;
pub mod numbers;
pub mod pool;
pub mod print;
pub mod quality;
pub mod reaction;

use crate::ashare::StockCode;
use crate::factor::columns::{Cell, ColumnKind, Field};

impl Field for StockCode {
    const KIND: ColumnKind = ColumnKind::Text;
    fn to_cell(&self) -> Cell {
        Cell::Text(self.to_string())
    }
    fn from_cell(cell: Cell) -> Option<Self> {
        match cell {
            Cell::Text(text) => text.parse().ok(),
            Cell::Null | Cell::Bool(_) | Cell::Int(_) | Cell::Float(_) | Cell::Date(_) => None,
        }
    }
}
