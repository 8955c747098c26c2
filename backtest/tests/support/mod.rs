//! A small seeded market of per-second rows: a price that wanders around an anchor, whose dips are bought.

use lobstream_market::book::validity::{BookState, InvalidReason};
use lobstream_market::factor::columns::{Cell, ColumnKind};
use lobstream_market::factor::row::FactorRow;

/// SplitMix64: the same numbers everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Twelve uniform numbers make a normal one, near enough.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// A row with nothing in it.
pub(crate) fn blank(venue: &str, symbol: &str, ts_ms: i64) -> FactorRow {
    FactorRow::from_cells(|name| {
        let column = FactorRow::COLUMNS.iter().find(|column| column.name == name).expect("a column");
        match name {
            "ts_ms" => Cell::Int(ts_ms),
            "venue" => Cell::Text(venue.to_owned()),
            "symbol" => Cell::Text(symbol.to_owned()),
            "book_state" => Cell::Text(BookState::Invalid.as_str().to_owned()),
            _ if column.nullable => Cell::Null,
            _ => match column.kind {
                ColumnKind::Bool => Cell::Bool(false),
                ColumnKind::Int => Cell::Int(0),
                ColumnKind::Float => Cell::Float(0.0),
                ColumnKind::Text => Cell::Text(String::new()),
                ColumnKind::Date => panic!("{name}: a row of factors has no dates"),
            },
        }
    })
    .expect("every column is given")
}

/// `n` seconds of a symbol; the book is invalid from 40 % to 43 % of them, and at 70 % a hundredth is missing.
pub(crate) fn market(
    venue: &str,
    symbol: &str,
    seed: u64,
    start_ms: i64,
    n: usize,
    price: f64,
) -> Vec<FactorRow> {
    let mut random = Random::new(seed);
    let (mut pull, mut anchor, mut cvd, mut tide) = (0.0, 0.0, 0.0, 0.0);
    let mut rows = Vec::new();
    for i in 0..n {
        anchor += random.normal() * 5e-5;
        tide = 0.97 * tide + random.normal() * 0.25;
        pull = 0.985 * pull + random.normal() * 2.6e-4 + tide * 3.2e-5;
        let flow = 6.0 * random.normal() + 4.0 * tide - 1.1e4 * pull * random.uniform();
        cvd += flow * 0.3 + random.normal();
        let share = i as f64 / n as f64;
        if (0.70..0.71).contains(&share) {
            continue;
        }
        let mut row = blank(venue, symbol, start_ms + i as i64 * 1_000);
        if (0.40..0.43).contains(&share) {
            row.invalid_reason = Some(InvalidReason::Gap);
        } else {
            let tick = 0.1;
            row.book_state = BookState::Ok;
            row.book_valid = true;
            row.mid = Some(((price * (1.0 + anchor + pull)) / tick).round() * tick + tick / 2.0);
            row.spread_bps = Some(tick / price * 1e4);
            row.stale_ms = Some((random.uniform() * 200.0) as i64);
            row.ofi = Some(flow);
            row.ofi_w = Some(flow);
            row.z_ofi = Some(flow / 9.0);
            row.obi_5 = Some((flow / 25.0 + random.normal() * 0.15).clamp(-0.98, 0.98));
            row.delta = Some(flow * 0.3);
        }
        row.cvd = Some(cvd);
        rows.push(row);
    }
    rows
}
