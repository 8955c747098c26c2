//! Rows for unit tests.

use lobstream_market::book::validity::BookState;
use lobstream_market::factor::columns::{Cell, ColumnKind};
use lobstream_market::factor::row::FactorRow;

/// The row of a second with a valid book at `mid` and nothing else.
pub(crate) fn row(second: i64, mid: f64) -> FactorRow {
    let row = FactorRow::from_cells(|name| {
        let column = FactorRow::COLUMNS.iter().find(|column| column.name == name).expect("a column");
        match (name, column.nullable, column.kind) {
            ("book_state", ..) => Cell::Text(BookState::Ok.as_str().to_owned()),
            (_, true, _) => Cell::Null,
            (_, false, ColumnKind::Bool) => Cell::Bool(true),
            (_, false, ColumnKind::Int) => Cell::Int(0),
            (_, false, ColumnKind::Float) => Cell::Float(0.0),
            (_, false, ColumnKind::Date) => panic!("no row of the streams has a date"),
            (_, false, ColumnKind::Text) => Cell::Text("X".to_owned()),
        }
    });
    FactorRow { ts_ms: second * 1_000, mid: Some(mid), ..row.expect("every column is given") }
}
