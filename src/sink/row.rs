//! What the stores need to know of a row: its table, its cells and its place in canonical order.

use std::fmt;

use lobstream_market::factor::columns::{Cell, Column, ColumnKind};
use lobstream_market::factor::row::FactorRow;
use lobstream_market::signal::{Signal, SignalHead};

use crate::codec::json::{self, Canonical};

/// Kinds of stored rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// One [`FactorRow`] per symbol-second.
    Factors,
    /// One [`Signal`] per symbol-second and rule.
    Signals,
}

impl Kind {
    /// All of them, in the order of a digest.
    pub const ALL: [Kind; 2] = [Kind::Factors, Kind::Signals];

    /// Its name in topics, collections, folders and databases.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Factors => "factors",
            Kind::Signals => "signals",
        }
    }

    /// What a topic `<prefix><kind>.<venue>` holds; `None`: no rows.
    pub fn of_topic(topic: &str) -> Option<Kind> {
        let (kind, _venue) = topic.rsplit_once('.')?;
        let ends_in = |k: &Kind| {
            let prefix = kind.strip_suffix(k.as_str());
            prefix.is_some_and(|prefix| prefix.is_empty() || prefix.ends_with(['.', '-', '_']))
        };
        Kind::ALL.into_iter().find(ends_in)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Place of a row in canonical order, and its identity in every store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowKey<'a> {
    /// Venue id.
    pub venue: &'a str,
    /// Symbol.
    pub symbol: &'a str,
    /// Row label.
    pub ts_ms: i64,
    /// Rule of a signal; empty for factors.
    pub rule_id: &'a str,
}

/// A stored row.
///
/// A store holds one row per key. Of two with the same key the one with the higher [`Row::rev`] stays; with
/// equal revisions, the later one of its topic.
pub trait Row: Canonical + Clone + PartialEq + fmt::Debug + Send + Sync + 'static {
    /// Which kind it is.
    const KIND: Kind;
    /// Its flat table: what CSV and Parquet hold.
    fn columns() -> Vec<Column>;
    /// Its cells, in the order of [`Row::columns`].
    fn cells(&self) -> Vec<Cell>;
    /// A row from its cells.
    ///
    /// # Errors
    /// The name of the first column whose cell does not fit.
    fn from_cells(cells: Vec<Cell>) -> Result<Self, &'static str>;
    /// Its identity.
    fn key(&self) -> RowKey<'_>;
    /// Number of the computation it comes from.
    fn rev(&self) -> u16;
}

impl Row for FactorRow {
    const KIND: Kind = Kind::Factors;

    fn columns() -> Vec<Column> {
        FactorRow::COLUMNS.to_vec()
    }

    fn cells(&self) -> Vec<Cell> {
        FactorRow::cells(self)
    }

    fn from_cells(cells: Vec<Cell>) -> Result<Self, &'static str> {
        let mut cells = cells.into_iter();
        FactorRow::from_cells(|_| cells.next().unwrap_or(Cell::Null))
    }

    fn key(&self) -> RowKey<'_> {
        RowKey { venue: &self.venue, symbol: &self.symbol, ts_ms: self.ts_ms, rule_id: "" }
    }

    fn rev(&self) -> u16 {
        self.rev
    }
}

/// What a flat table has beyond the columns of [`SignalHead`]: the values as one JSON text.
const VALUES: Column = Column {
    name: "values",
    kind: ColumnKind::Text,
    nullable: false,
    doc: "Factor values used, in leaf order: a JSON list of name, value, vote.",
};

impl Row for Signal {
    const KIND: Kind = Kind::Signals;

    fn columns() -> Vec<Column> {
        SignalHead::COLUMNS.iter().copied().chain([VALUES]).collect()
    }

    fn cells(&self) -> Vec<Cell> {
        let mut cells = self.head.cells();
        cells.push(Cell::Text(json::text(&self.values)));
        cells
    }

    fn from_cells(mut cells: Vec<Cell>) -> Result<Self, &'static str> {
        let Some(Cell::Text(values)) = cells.pop() else { return Err(VALUES.name) };
        let values = json::decode(values.as_bytes()).map_err(|_| VALUES.name)?;
        let mut cells = cells.into_iter();
        Ok(Signal { head: SignalHead::from_cells(|_| cells.next().unwrap_or(Cell::Null))?, values })
    }

    fn key(&self) -> RowKey<'_> {
        let SignalHead { venue, symbol, ts_ms, rule_id, .. } = &self.head;
        RowKey { venue, symbol, ts_ms: *ts_ms, rule_id }
    }

    fn rev(&self) -> u16 {
        0
    }
}

/// Rows of one kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Rows {
    /// Factor rows.
    Factors(Vec<FactorRow>),
    /// Signals.
    Signals(Vec<Signal>),
}

impl Rows {
    /// No rows of a kind, with room for some.
    pub fn none(kind: Kind) -> Rows {
        match kind {
            Kind::Factors => Rows::Factors(Vec::new()),
            Kind::Signals => Rows::Signals(Vec::new()),
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Rows::Factors(rows) => rows.len(),
            Rows::Signals(rows) => rows.len(),
        }
    }

    /// None?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends the row that a record holds.
    ///
    /// # Errors
    /// What does not fit.
    pub fn push(&mut self, text: &[u8]) -> Result<(), String> {
        match self {
            Rows::Factors(rows) => {
                let row: FactorRow = json::decode(text)?;
                // Every store but this text has signed integers only.
                if row.book_seq.is_some_and(|n| i64::try_from(n).is_err()) {
                    return Err(format!("book_seq {:?} is beyond 2^63 - 1", row.book_seq));
                }
                rows.push(row);
            }
            Rows::Signals(rows) => rows.push(json::decode(text)?),
        }
        Ok(())
    }
}

/// One row per key, the one that stays, in canonical order.
pub fn settle<R: Row>(mut rows: Vec<R>) -> Vec<R> {
    // Stable: of equal keys and revisions the later one comes last.
    rows.sort_by(|a, b| a.key().cmp(&b.key()).then(a.rev().cmp(&b.rev())));
    rows.dedup_by(|later, earlier| {
        let same = later.key() == earlier.key();
        if same {
            std::mem::swap(later, earlier);
        }
        same
    });
    rows
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A row of zeros: one cell for each kind of column that may not be missing.
    pub(crate) fn zero_row() -> FactorRow {
        FactorRow::from_cells(|name| match name {
            "venue" => Cell::Text("binance-usdm".into()),
            "symbol" => Cell::Text("BTCUSDT".into()),
            "book_state" => Cell::Text("none".into()),
            "book_valid" | "depth_known" => Cell::Bool(false),
            _ if FactorRow::COLUMNS.iter().any(|c| c.name == name && c.nullable) => Cell::Null,
            _ => Cell::Int(0),
        })
        .expect("fits")
    }

    #[test]
    fn the_highest_revision_stays_and_of_equal_ones_the_later() {
        let row = |ts_ms, rev, n_book| FactorRow { ts_ms, rev, n_book, ..zero_row() };
        let kept = settle(vec![row(2000, 0, 1), row(1000, 1, 2), row(1000, 0, 3), row(2000, 0, 4)]);
        assert_eq!(kept, [row(1000, 1, 2), row(2000, 0, 4)]);
    }

    #[test]
    fn topics_tell_what_they_hold() {
        assert_eq!(Kind::of_topic("factors.binance-usdm"), Some(Kind::Factors));
        assert_eq!(Kind::of_topic("test.7-signals.okx"), Some(Kind::Signals));
        assert_eq!(Kind::of_topic("xfactors.okx"), None, "another word");
        assert_eq!((Kind::of_topic("market.okx"), Kind::of_topic("factors")), (None, None));
    }

    #[test]
    fn a_number_that_no_store_can_hold_is_refused() {
        let mut text = Vec::new();
        json::encode(&FactorRow { book_seq: Some(1 << 63), ..zero_row() }, &mut text);
        let error = Rows::none(Kind::Factors).push(&text).expect_err("too large");
        assert!(error.contains("book_seq"), "{error}");
    }

    #[test]
    fn a_table_has_one_cell_per_column() {
        assert_eq!(zero_row().cells().len(), FactorRow::columns().len());
        assert_eq!(<FactorRow as Row>::from_cells(zero_row().cells()), Ok(zero_row()));
    }
}
