//! Tables for other programs: trades, equity, rejections.

use std::fmt::Write as _;

use crate::dataset::{FactorId, Series};
use crate::engine::Trade;
use crate::metrics::drawdown::underwater;
use crate::report::format::iso;
use crate::run::RunResult;

const TRADES: &str = "position_id,venue,symbol,side,entry_time,exit_time,entry_price,exit_price,qty,notional,sl,tp,\
     pnl,return_pct,fees,slippage,bars_held,mae,mfe,entry_reason,exit_reason,resolved_by";

/// One row per trade, then the factors that the strategy reads, at entry and at exit.
pub(super) fn trades(result: &RunResult) -> String {
    let factors = result.config.strategy.factors();
    let mut text = TRADES.to_owned();
    for side in ["entry", "exit"] {
        for factor in factors {
            let _ = write!(text, ",{side}_{factor}");
        }
    }
    text.push('\n');
    for (id, trade) in result.trades.iter().enumerate() {
        trade_row(&mut text, id + 1, trade, &result.series[trade.series], factors);
    }
    text
}

fn trade_row(text: &mut String, id: usize, trade: &Trade, series: &Series, factors: &[&str]) {
    let optional = |level: Option<f64>| level.map_or_else(String::new, decimal);
    let fields = [
        id.to_string(),
        field(&series.venue),
        field(&series.symbol),
        trade.side.as_str().to_owned(),
        iso(trade.entry_ms),
        iso(trade.exit_ms),
        decimal(trade.entry),
        decimal(trade.exit),
        decimal(trade.qty),
        decimal(trade.notional),
        optional(trade.sl),
        optional(trade.tp),
        decimal(trade.pnl),
        decimal(trade.return_pct),
        decimal(trade.fees),
        decimal(trade.slippage),
        trade.bars_held().to_string(),
        decimal(trade.mae),
        decimal(trade.mfe),
        "signal".to_owned(),
        trade.reason.as_str().to_owned(),
        trade.resolved_by.as_str().to_owned(),
    ];
    text.push_str(&fields.join(","));
    for i in [trade.decided_in, trade.decided_out] {
        for factor in factors {
            let value = FactorId::of(factor).and_then(|id| series.factors.at(id, i));
            let _ = write!(text, ",{}", optional(value));
        }
    }
    text.push('\n');
}

/// One row per bar time.
pub(super) fn equity(result: &RunResult) -> String {
    let mut text = "time,ts_ms,equity,drawdown\n".to_owned();
    let depths = underwater(result.config.cash, &result.equity);
    for (point, depth) in result.equity.iter().zip(depths) {
        let (time, ms) = (iso(point.ts_ms), point.ts_ms);
        let _ = writeln!(text, "{time},{ms},{},{}", decimal(point.equity), decimal(depth));
    }
    text
}

/// One row per order that was not filled.
pub(super) fn rejections(result: &RunResult) -> String {
    let mut text = "time,ts_ms,venue,symbol,what,cause\n".to_owned();
    for rejection in &result.rejections {
        let (series, ms) = (&result.series[rejection.series], rejection.ts_ms);
        let (venue, symbol) = (field(&series.venue), field(&series.symbol));
        let _ = writeln!(text, "{},{ms},{venue},{symbol},{},{}", iso(ms), rejection.what, rejection.cause);
    }
    text
}

/// At most 8 decimals, as the books keep them, without trailing zeros.
fn decimal(value: f64) -> String {
    let text = format!("{value:.8}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A text, in quotes if it needs them.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_texts_are_safe() {
        let texts = [100.0, 0.1, -0.000_000_001, 61_737.65, 1e-8].map(decimal);
        assert_eq!(texts, ["100", "0.1", "0", "61737.65", "0.00000001"]);
        assert_eq!(field("A,\"B\""), "\"A,\"\"B\"\"\"");
    }
}
