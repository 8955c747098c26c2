//! The determinism hash: two runs are the same if and only if their hashes are.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::engine::EquityPoint;
use crate::model::hex;

/// What of a trade enters the hash, in whole units.
#[derive(Clone, Debug, PartialEq)]
pub struct HashTrade<'a> {
    /// Symbol.
    pub symbol: &'a str,
    /// Entry, ns.
    pub entry_ns: i64,
    /// Exit, ns.
    pub exit_ns: i64,
    /// Quantity in lots; units of 10⁻⁸ where the lot is not known.
    pub qty: i64,
    /// Price in ticks; units of 10⁻⁸ where the tick is not known.
    pub entry_ticks: i64,
    /// Likewise.
    pub exit_ticks: i64,
    /// P&L.
    pub pnl: f64,
    /// Exit reason.
    pub reason: &'a str,
}

/// SHA-256 over one line per trade, by (exit, symbol, entry), then one per equity point, as 64 hex digits.
///
/// ```text
/// T|symbol|entry_ns|exit_ns|qty|entry_ticks|exit_ticks|<pnl bits>|exit_reason
/// E|ts_ns|<equity bits>
/// ```
pub fn run_hash(trades: &[HashTrade<'_>], equity: &[EquityPoint]) -> String {
    let mut order: Vec<&HashTrade<'_>> = trades.iter().collect();
    order.sort_by_key(|t| (t.exit_ns, t.symbol, t.entry_ns));
    let mut sum = Sha256::new();
    let mut line = String::new();
    for trade in order {
        line.clear();
        trade_line(trade, &mut line);
        sum.update(line.as_bytes());
    }
    for point in equity {
        line.clear();
        equity_line(point, &mut line);
        sum.update(line.as_bytes());
    }
    hex(&sum.finalize())
}

/// The bits of a number; −0 counts as 0.
fn bits(value: f64) -> u64 {
    debug_assert!(!value.is_nan(), "no result may be NaN");
    (value + 0.0).to_bits()
}

fn trade_line(t: &HashTrade<'_>, line: &mut String) {
    let HashTrade { symbol, entry_ns, exit_ns, qty, entry_ticks, exit_ticks, pnl, reason } = t;
    let pnl = bits(*pnl);
    let _ = writeln!(
        line,
        "T|{symbol}|{entry_ns}|{exit_ns}|{qty}|{entry_ticks}|{exit_ticks}|{pnl:016x}|{reason}"
    );
}

fn equity_line(point: &EquityPoint, line: &mut String) {
    let _ = writeln!(line, "E|{}|{:016x}", point.ts_ms * 1_000_000, bits(point.equity));
}
