//! Plain files of trades: one a row, in the order of the exchange.

use std::collections::BTreeMap;
use std::path::Path;

use lobstream_market::ashare::{StockCode, TickTime};
use lobstream_market::book::Side;
use lobstream_market::daily::numbers::e4;
use lobstream_market::daily::print::Print;

use super::source::{self, CsvTable, Row};
use crate::error::InputError;

/// Reads `ts_code, time, price, qty, side[, order_no]`; time is HHMMSS, HHMMSSmmm or HH:MM:SS[.mmm], side B, S or
/// N. Trades of one time keep the order of the file.
///
/// # Errors
/// A column is missing, a cell cannot be read: file and line are named.
pub fn read_prints(path: &Path) -> Result<BTreeMap<StockCode, Vec<Print>>, InputError> {
    let mut all: BTreeMap<StockCode, Vec<Print>> = BTreeMap::new();
    for table in source::open(path)? {
        let code = table.column(&["ts_code", "code"])?;
        let columns = Columns::of(&table)?;
        let mut last = None;
        for (line, row) in table.rows() {
            let text = row.text(Some(code)).unwrap_or_default();
            // Files hold one stock after the other: most codes are the one before.
            let code = match last {
                Some((before, code)) if before == text => Some(code),
                _ => StockCode::spelled(text),
            };
            let Some(code) = code else { continue };
            last = Some((text, code));
            let print = print(row, &columns).map_err(|what| table.error(Some(line), what))?;
            all.entry(code).or_default().push(print);
        }
    }
    all.values_mut().for_each(|prints| prints.sort_by_key(|p| p.time));
    Ok(all)
}

struct Columns {
    time: usize,
    price: usize,
    qty: usize,
    side: usize,
    order_no: Option<usize>,
}

impl Columns {
    fn of(table: &CsvTable) -> Result<Columns, InputError> {
        Ok(Columns {
            time: table.column(&["time"])?,
            price: table.column(&["price"])?,
            qty: table.column(&["qty", "volume"])?,
            side: table.column(&["side"])?,
            order_no: table.find(&["order_no"]),
        })
    }
}

fn print(row: Row<'_>, columns: &Columns) -> Result<Print, String> {
    let positive = |column: usize, name: &str| match row.number(Some(column)) {
        Ok(Some(x)) if x > 0.0 => Ok(x),
        Ok(x) => Err(format!("{name} is {x:?}, must be above 0")),
        Err(e) => Err(format!("{name}: {e}")),
    };
    let time = row.text(Some(columns.time)).unwrap_or_default();
    Ok(Print {
        time: clock(time).ok_or_else(|| format!("time {time:?} is no time of a day"))?,
        price_e4: e4(positive(columns.price, "price")?),
        qty: positive(columns.qty, "qty")?.round() as i64,
        aggressor: match row.text(Some(columns.side)) {
            Some("B" | "b") => Some(Side::Bid),
            Some("S" | "s") => Some(Side::Ask),
            Some("N" | "n") | None => None,
            Some(other) => return Err(format!("side {other:?} is none of B, S, N")),
        },
        order_no: row.number(columns.order_no)?.unwrap_or_default() as i64,
    })
}

fn clock(text: &str) -> Option<TickTime> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let plain = text.chars().all(|c| c.is_ascii_digit() || c == ':' || c == '.');
    let n: i64 = digits.parse().ok()?;
    match (plain, digits.len()) {
        (true, 5 | 6) => TickTime::from_number(n * 1000),
        (true, 8 | 9) => TickTime::from_number(n),
        _ => None,
    }
}
