//! All numbers of a symbol-second.

use serde::{Deserialize, Serialize};

use crate::book::validity::{BookState, InvalidReason};
use crate::factor::columns::columns;

columns! {
    /// One row per (venue, symbol, second): the window [ts_ms, ts_ms + 1 s), known at its end.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub struct FactorRow {
        /// Window start, ms since 1970 UTC.
        pub ts_ms: i64,
        /// Venue id.
        pub venue: String,
        /// Symbol as the venue writes it.
        pub symbol: String,
        /// 0; a recomputed row has the next number, the highest wins.
        pub rev: u16,
        /// State of the book at the window end.
        pub book_state: BookState,
        /// `book_state` is `ok`.
        pub book_valid: bool,
        /// All ten best levels lie inside the range the snapshot told of.
        pub depth_known: bool,
        /// Whole ms of the window in state `ok`.
        pub book_valid_ms: u16,
        /// Number of the join or resync.
        pub book_epoch: u32,
        /// 1 book gap, 2 trade gap, 4 session, 8 late event.
        pub gap_flags: u8,
        /// Late events counted in this row.
        pub late_n: u32,
        /// Applied book messages.
        pub n_book: u32,
        /// Trades.
        pub n_trades: u32,
        /// Number of the CVD epoch: +1 at each trade gap or reset.
        pub cvd_epoch: u32,
        /// Window end − last book update, ms.
        pub stale_ms: Option<i64>,
        /// Window end − last trade, ms.
        pub trade_age_ms: Option<i64>,
        /// Own number of the last applied book message.
        pub book_seq: Option<u64>,
        /// The venue's id of it.
        pub last_update_id: Option<i64>,
        /// The venue's id of the last trade.
        pub last_trade_id: Option<i64>,
        /// Why the book may not be used at the window end.
        pub invalid_reason: Option<InvalidReason>,
        /// Price.
        pub best_bid: Option<f64>,
        /// Price.
        pub best_ask: Option<f64>,
        /// Quantity at the best bid.
        pub bid_qty: Option<f64>,
        /// Quantity at the best ask.
        pub ask_qty: Option<f64>,
        /// Middle of the best prices.
        pub mid: Option<f64>,
        /// Weighted mid: bid size weighs the ask price. What desks call the micro-price.
        pub wmid: Option<f64>,
        /// Best ask − best bid, ticks.
        pub spread_ticks: Option<i64>,
        /// The same over the mid, basis points.
        pub spread_bps: Option<f64>,
        /// `wmid` − `mid` over the mid, basis points.
        pub wmid_dev_bps: Option<f64>,
        /// Size imbalance (bid − ask)/(bid + ask) of the best level.
        pub obi_1: Option<f64>,
        /// The same of five levels.
        pub obi_5: Option<f64>,
        /// The same of ten levels.
        pub obi_10: Option<f64>,
        /// The same of five levels, weighted .40 .25 .20 .10 .05.
        pub obi_w: Option<f64>,
        /// Quantity on five bid levels.
        pub depth_bid_5: Option<f64>,
        /// Quantity on five ask levels.
        pub depth_ask_5: Option<f64>,
        /// Order-flow imbalance of the best level, quantity.
        pub ofi: Option<f64>,
        /// The same of level 2.
        pub mlofi_2: Option<f64>,
        /// The same of level 3.
        pub mlofi_3: Option<f64>,
        /// The same of level 4.
        pub mlofi_4: Option<f64>,
        /// The same of level 5.
        pub mlofi_5: Option<f64>,
        /// The five weighted .40 .25 .20 .10 .05.
        pub ofi_w: Option<f64>,
        /// Price of the last trade.
        pub last_px: Option<f64>,
        /// Bought by takers in the second.
        pub buy_qty: Option<f64>,
        /// Sold by takers in the second.
        pub sell_qty: Option<f64>,
        /// Traded without a known taker.
        pub unk_qty: Option<f64>,
        /// `buy_qty` − `sell_qty`.
        pub delta: Option<f64>,
        /// Cumulative signed volume since the last reset.
        pub cvd: Option<f64>,
        /// `delta` over classified volume.
        pub tfi: Option<f64>,
        /// Mean price by volume.
        pub vwap: Option<f64>,
        /// Traded value, quote currency; missing where quantities are contracts of a value that is not known.
        pub quote_vol: Option<f64>,
        /// Winsorised z of `ofi_w`.
        pub z_ofi: Option<f64>,
        /// Hybrid-scale z of `delta`.
        pub z_cvd: Option<f64>,
    }
}

impl FactorRow {
    /// The place of a column with numbers in [`FactorRow::COLUMNS`].
    pub fn factor(name: &str) -> Option<usize> {
        FactorRow::COLUMNS.iter().position(|column| column.name == name && column.kind.is_number())
    }

    /// The column that scores a factor, if there is one.
    pub fn z_column(factor: &str) -> Option<&'static str> {
        Z_COLUMNS.iter().find(|(of, _)| *of == factor).map(|(_, z)| *z)
    }
}

/// Which factor each score column scores.
pub const Z_COLUMNS: &[(&str, &str)] = &[("ofi_w", "z_ofi"), ("delta", "z_cvd")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_name_and_texts_are_not() {
        let row =
            FactorRow { ts_ms: 7, mid: Some(1.5), venue: "binance-spot".into(), ..FactorRow::default() };
        let number = |name: &str| FactorRow::factor(name).map(|column| row.number(column));
        assert_eq!(
            [number("ts_ms"), number("mid"), number("wmid")],
            [Some(Some(7.0)), Some(Some(1.5)), Some(None)]
        );
        assert_eq!([number("venue"), number("book_valid"), number("absent")], [None, None, None]);
        assert_eq!(row.number(FactorRow::COLUMNS.len()), None);
        assert!(Z_COLUMNS.iter().all(|(of, z)| number(of).is_some() && number(z).is_some()));
    }
}
