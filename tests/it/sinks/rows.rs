//! Rows with every kind of extreme, from a seed.

use lobstream_market::factor::columns::{Cell, Column, ColumnKind};
use lobstream_market::factor::row::FactorRow;
use lobstream_market::signal::{Signal, SignalHead, SignalValue};
use lobstream_streams::record::{Batch, Offset};
use lobstream_streams::time::Ts;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use lobstream::sink::cursor::Cursor;

/// Draws rows.
pub(crate) struct Rows(ChaCha8Rng);

const FLOATS: [f64; 12] = [
    0.0,
    -0.0,
    1.0,
    0.1,
    -1e-7,
    1e16,
    9_007_199_254_740_993.0,
    f64::MAX,
    f64::MIN,
    f64::MIN_POSITIVE,
    5e-324,
    f64::EPSILON,
];
const TEXTS: [&str; 8] = ["", "a,b", "\"quoted\"", "two\nlines\r\n", "ü永\u{1f600}", " ", "null", "a|b\\"];
const SYMBOLS: [&str; 4] = ["BTCUSDT", "BTC-USDT", "600519.SH", "ÄÖ\"Ü"];

impl Rows {
    /// From a seed.
    pub(crate) fn new(seed: u64) -> Rows {
        Rows(ChaCha8Rng::seed_from_u64(seed))
    }

    fn below(&mut self, n: usize) -> usize {
        (self.0.next_u64() % n as u64) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn float(&mut self) -> f64 {
        let any = f64::from_bits(self.0.next_u64());
        if any.is_finite() && self.below(2) == 0 { any } else { self.pick(&FLOATS) }
    }

    fn int(&mut self, name: &str) -> i64 {
        let (least, most) = match name {
            "dir" => (i64::from(i8::MIN), i64::from(i8::MAX)),
            "gap_flags" => (0, i64::from(u8::MAX)),
            "rev" => (0, 0),
            "book_valid_ms" => (0, i64::from(u16::MAX)),
            "book_epoch" | "late_n" | "n_book" | "n_trades" | "cvd_epoch" => (0, i64::from(u32::MAX)),
            "book_seq" => (0, i64::MAX),
            _ => (i64::MIN, i64::MAX),
        };
        match self.below(4) {
            0 => least,
            1 => most,
            _ => (self.0.next_u64() as i64).clamp(least, most),
        }
    }

    fn text(&mut self, name: &str) -> &'static str {
        match name {
            "venue" => self.pick(&["binance-usdm", "okx", "okx-swap"]),
            "symbol" => self.pick(&SYMBOLS),
            "book_state" => self.pick(&["ok", "one_sided", "empty", "crossed", "invalid", "none"]),
            "invalid_reason" => self.pick(&["unsynced", "gap", "stale", "locked"]),
            "signal" => self.pick(&["neutral", "buy", "strong_buy", "sell", "strong_sell"]),
            "event" => self.pick(&["none", "enter", "exit", "flip", "upgrade", "downgrade"]),
            "rule_id" => self.pick(&["fusion", "obi_micro", "a", "b"]),
            _ => self.pick(&TEXTS),
        }
    }

    fn cell(&mut self, columns: &[Column], name: &str) -> Cell {
        let column = columns.iter().find(|c| c.name == name).expect("known");
        if column.nullable && self.below(3) == 0 {
            return Cell::Null;
        }
        match column.kind {
            ColumnKind::Bool => Cell::Bool(self.below(2) == 0),
            ColumnKind::Int => Cell::Int(self.int(name)),
            ColumnKind::Float => Cell::Float(self.float()),
            ColumnKind::Date => panic!("no row of the streams has a date"),
            ColumnKind::Text => Cell::Text(self.text(name).to_owned()),
        }
    }

    /// A factor row; now and then one of an earlier second.
    pub(crate) fn factor(&mut self) -> FactorRow {
        FactorRow::from_cells(|name| self.cell(FactorRow::COLUMNS, name)).expect("every cell fits")
    }

    /// A signal.
    pub(crate) fn signal(&mut self) -> Signal {
        let head =
            SignalHead::from_cells(|name| self.cell(SignalHead::COLUMNS, name)).expect("every cell fits");
        let values = (0..self.below(4))
            .map(|_| SignalValue {
                name: self.pick(&TEXTS).to_owned(),
                value: (self.below(3) > 0).then(|| self.float()),
                vote: (self.below(3) > 0).then(|| self.pick(&[i8::MIN, -1, 0, 1, i8::MAX])),
            })
            .collect();
        Signal { head, values }
    }
}

/// A cursor after the record at this offset.
pub(crate) fn cursor(last: u64) -> Cursor {
    let mut batch = Batch::default();
    batch.push(Offset(last), Ts(0), 0, Some(b"k"), Some(b"v"), std::iter::empty());
    Cursor::after(&batch.get(0).expect("pushed"))
}
