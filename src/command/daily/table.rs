//! `lobstream daily table`: rows of a table, on the terminal or into a file.

use std::fs;
use std::path::Path;

use comfy_table::Table as Shown;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use lobstream_market::ashare::StockCode;
use lobstream_market::daily::bands::BollingerRow;
use lobstream_market::daily::bar::StockDailyRow;
use lobstream_market::daily::candidates::CandidateRow;
use lobstream_market::daily::levels::LevelRow;
use lobstream_market::daily::micro::MicroRow;
use lobstream_market::daily::pool::PoolRow;
use lobstream_market::daily::quality::FundQualityRow;
use lobstream_market::daily::reaction::LevelTestRow;
use lobstream_market::factor::columns::{Cell, Column};

use super::stock;
use crate::cli::daily::DailyTable;
use crate::codec::json;
use crate::command::say;
use crate::daily::history;
use crate::daily::store::Store;
use crate::daily::table::{TABLES, TableRow};
use crate::error::Error;
use crate::parquet::Table;

pub(super) fn execute(args: &DailyTable) -> Result<(), Error> {
    let symbol = args.symbol.as_deref().map(stock).transpose()?;
    if let Some(out) = &args.out {
        return export(&args.place.dir, &args.table, symbol, out);
    }
    let days = if symbol.is_none() { 1 } else { args.last as usize };
    let (columns, cells) = stored(&args.place.dir, &args.table, symbol, days)?;
    say(shown(columns, cells));
    Ok(())
}

/// All stored rows of a table, of one stock or of all, as FILE.csv or FILE.parquet.
pub(super) fn export(dir: &Path, table: &str, symbol: Option<StockCode>, out: &Path) -> Result<(), Error> {
    let (columns, cells) = stored(dir, table, symbol, usize::MAX)?;
    let n = cells.len();
    write(out, columns, cells)?;
    say(format!("{n} rows written to {}", out.display()));
    Ok(())
}

/// Rows of the last days that have any; at least one.
fn stored(dir: &Path, table: &str, symbol: Option<StockCode>, days: usize) -> Result<Rows, Error> {
    let store = Store::open_to_read(dir)?;
    let found = match table {
        StockDailyRow::TABLE => rows::<StockDailyRow>(&store, symbol, days)?,
        BollingerRow::TABLE => rows::<BollingerRow>(&store, symbol, days)?,
        PoolRow::TABLE => rows::<PoolRow>(&store, symbol, days)?,
        MicroRow::TABLE => rows::<MicroRow>(&store, symbol, days)?,
        FundQualityRow::TABLE => rows::<FundQualityRow>(&store, symbol, days)?,
        LevelRow::TABLE => rows::<LevelRow>(&store, symbol, days)?,
        LevelTestRow::TABLE => rows::<LevelTestRow>(&store, symbol, days)?,
        CandidateRow::TABLE => rows::<CandidateRow>(&store, symbol, days)?,
        other => {
            let known = TABLES.map(|(name, _)| name).join(", ");
            return Err(Error::usage(format!("{other:?} is no table: write {known}")));
        }
    };
    if found.1.is_empty() {
        let of = symbol.map_or_else(String::new, |s| format!(" of {s}"));
        return Err(Error::Missing { what: format!("no row{of} is stored in {table}") });
    }
    Ok(found)
}

type Rows = (&'static [Column], Vec<Vec<Cell>>);

/// Rows of the last days that have any, oldest first.
fn rows<T: TableRow>(store: &Store, symbol: Option<StockCode>, days: usize) -> Result<Rows, Error> {
    let (calendar, last) = history::calendar(store)?;
    let mut found: Vec<Vec<T>> = Vec::new();
    for day in calendar.last(last, usize::MAX).iter().rev() {
        if found.len() == days {
            break;
        }
        let of_day: Vec<T> = match symbol {
            Some(code) => store.rows(*day, code)?,
            None => store.day::<T>(*day)?.into_values().flatten().collect(),
        };
        if !of_day.is_empty() {
            found.push(of_day);
        }
    }
    Ok((T::FIELDS, found.into_iter().rev().flatten().map(|row| row.fields()).collect()))
}

fn text(cell: &Cell) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Bool(b) => b.to_string(),
        Cell::Int(i) => i.to_string(),
        Cell::Float(x) => json::text(x),
        Cell::Date(day) => day.to_string(),
        Cell::Text(t) => t.clone(),
    }
}

/// One column per row of the table: these tables are wide.
fn shown(columns: &[Column], rows: Vec<Vec<Cell>>) -> Shown {
    let mut table = Shown::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let short = |cell: &Cell| match cell {
        Cell::Float(x) if x.abs() >= 1e-3 && x.abs() < 1e15 => {
            let text = format!("{x:.4}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        cell => text(cell),
    };
    if rows.len() <= 12 {
        for (i, column) in columns.iter().enumerate() {
            let cells = rows.iter().map(|row| short(&row[i]));
            table.add_row(std::iter::once(column.name.to_owned()).chain(cells).collect::<Vec<_>>());
        }
    } else {
        table.set_header(columns.iter().map(|c| c.name).collect::<Vec<_>>());
        for row in &rows {
            table.add_row(row.iter().map(short).collect::<Vec<_>>());
        }
    }
    table
}

fn write(path: &Path, columns: &[Column], rows: Vec<Vec<Cell>>) -> Result<(), Error> {
    let failed = |e: String| Error::file("cannot write", path, e);
    let mut bytes = Vec::new();
    match path.extension().and_then(|e| e.to_str()) {
        Some("parquet") => {
            let mut table = Table::new(columns);
            rows.into_iter().for_each(|row| table.push(row));
            table.write(&mut bytes, &[]).map_err(failed)?;
        }
        Some("csv") => {
            let mut csv = csv::Writer::from_writer(&mut bytes);
            let mut record = |cells: Vec<String>| csv.write_record(cells).map_err(|e| failed(e.to_string()));
            record(columns.iter().map(|c| c.name.to_owned()).collect())?;
            rows.iter().try_for_each(|row| record(row.iter().map(text).collect()))?;
            csv.flush().map_err(|e| failed(e.to_string()))?;
            drop(csv);
        }
        _ => {
            return Err(Error::usage(format!(
                "--out {}: write a name that ends in .csv or .parquet",
                path.display()
            )));
        }
    }
    let unfinished = path.with_extension("unfinished");
    fs::write(&unfinished, bytes).map_err(|e| failed(e.to_string()))?;
    fs::rename(&unfinished, path).map_err(|e| failed(e.to_string()))
}
