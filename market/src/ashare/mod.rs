//! Shanghai and Shenzhen, order by order: rows as the exchanges publish them, and the day of a stock they make.
//!
//! ```text
//! SseRow ────────────────────────────▶ sse_day  ─┐  restores the orders that matched on arrival
//! RestoredOrder + SseRow of trades ──▶ restored_day ─▶ StockDay { trades, orders, cancels }
//! SzseOrder + SzseExecution ─────────▶ szse_day ─┘  gives every cancel the price of its order
//! ```
//! Prices are ticks ([`StockCode::tick_decimals`]), quantities shares, times the exchange's local clock. A
//! day is whole and unfiltered: auctions are in it, and rows stand in the order of the exchange's index.

mod board;
mod code;
mod day;
mod maker;
mod numbers;
mod restored;
mod rows;
mod sse;
mod szse;
mod time;

pub use board::Board;
pub use code::{Exchange, StockCode};
pub use day::{DayCancel, DayCounters, DayOrder, DayTrade, OrderSource, StockDay};
pub use maker::{DayMaker, restored_day, sse_day, szse_day};
pub use numbers::Numbers;
pub use restored::{RestoredKind, RestoredOrder};
pub use rows::{ExecKind, OrdType, SseFlag, SseKind, SseRow, SzseExecution, SzseOrder};
pub use time::{Phase, TickTime};
