//! Tables about stocks: names, free float, special treatment, suspensions, the calendar, corporate actions.

use std::collections::{BTreeMap, BTreeSet};

use lobstream_market::ashare::{Board, StockCode};
use lobstream_market::calendar::Day;
use serde::{Deserialize, Serialize};

use super::source::{CsvTable, Row};
use crate::error::InputError;

/// What is known of a stock once and for all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StockBasic {
    /// Today's name.
    pub name: String,
    /// Its board.
    pub board: Board,
    /// First day.
    pub list_date: Option<Day>,
    /// First day on which it is no longer listed.
    pub delist_date: Option<Day>,
}

/// What an action pays for each share.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// Day from which the price is without it.
    pub ex_date: Day,
    /// CNY before tax.
    pub cash: f64,
    /// New shares.
    pub shares: f64,
}

/// A time of special treatment: its first day, and its last one if it has ended.
pub(super) type Spell = (Day, Option<Day>);

/// Everything that is known of stocks beside their bars.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Names, boards, dates.
    pub basic: BTreeMap<StockCode, StockBasic>,
    /// Value of freely traded shares from a day on, CNY.
    pub float_value: BTreeMap<StockCode, BTreeMap<Day, f64>>,
    /// Freely traded shares from a day on.
    pub float_shares: BTreeMap<StockCode, BTreeMap<Day, f64>>,
    /// Spells of special treatment, from and (if it has ended) to, both included; `None`: not known.
    pub special: Option<BTreeMap<StockCode, Vec<Spell>>>,
    /// Days on which a stock did not trade.
    pub suspended: BTreeSet<(StockCode, Day)>,
    /// Trading days, if a calendar was imported.
    pub calendar: BTreeSet<Day>,
    /// Corporate actions.
    pub actions: BTreeMap<StockCode, Vec<Action>>,
}

impl Facts {
    /// Board of a stock, by its code if nothing else is known.
    pub fn board(&self, code: StockCode) -> Board {
        self.basic.get(&code).map_or_else(|| Board::of_code(&code.to_string()), |b| b.board)
    }

    /// Name of a stock, empty if not known.
    pub fn name(&self, code: StockCode) -> &str {
        self.basic.get(&code).map_or("", |b| &b.name)
    }

    /// Is it under special treatment? Without dated spells today's name tells, which knows the future; `None`
    /// without either.
    pub fn is_st(&self, code: StockCode, day: Day) -> Option<bool> {
        match &self.special {
            Some(spells) => {
                let on = |(from, to): &(Day, Option<Day>)| *from <= day && to.is_none_or(|to| day <= to);
                Some(spells.get(&code).is_some_and(|s| s.iter().any(on)))
            }
            None => self.basic.get(&code).map(|b| b.name.contains("ST") || b.name.contains('退')),
        }
    }

    /// Has it left the exchange on this day?
    pub fn is_delisted(&self, code: StockCode, day: Day) -> bool {
        self.basic.get(&code).and_then(|b| b.delist_date).is_some_and(|d| d <= day)
    }

    /// Value of freely traded shares at a close, CNY; `None` before the first day that tells it.
    pub fn free_float_value(&self, code: StockCode, day: Day, close: f64) -> Option<f64> {
        let last = |table: &BTreeMap<StockCode, BTreeMap<Day, f64>>| {
            table.get(&code)?.range(..=day).next_back().map(|(_, x)| *x)
        };
        last(&self.float_value).or_else(|| last(&self.float_shares).map(|n| n * close))
    }
}

/// Which table of facts a header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FactTable {
    Basic,
    Float,
    Special,
    Suspended,
    Calendar,
    Actions,
}

/// The table that a header tells; `None` if it is none of these.
pub(super) fn recognise(table: &CsvTable) -> Option<FactTable> {
    let has = |name: &str| table.find(&[name]).is_some();
    let stock = has("ts_code") || has("code");
    Some(match () {
        () if stock && has("ex_date") => FactTable::Actions,
        () if stock && has("from") && has("to") => FactTable::Special,
        () if stock && (has("free_float_value") || has("free_share")) => FactTable::Float,
        () if stock && has("name") && !has("close") => FactTable::Basic,
        () if has("cal_date") && has("is_open") => FactTable::Calendar,
        () if !stock && has("trade_date") && !has("close") => FactTable::Calendar,
        () if stock && has("trade_date") && !has("close") => FactTable::Suspended,
        () => return None,
    })
}

/// Reads a table into what is known. Special treatment and the calendar are replaced as a whole.
///
/// # Errors
/// A column is missing, a cell cannot be read: file and line are named.
pub(super) fn read(table: &CsvTable, kind: FactTable, facts: &mut Facts) -> Result<u64, InputError> {
    let code = table.find(&["ts_code", "code"]);
    let columns = |names: &[&str]| table.column(names).map(Some);
    let mut n = 0;
    match kind {
        FactTable::Special => facts.special = Some(BTreeMap::new()),
        FactTable::Calendar => facts.calendar.clear(),
        FactTable::Basic | FactTable::Float | FactTable::Suspended | FactTable::Actions => {}
    }
    let (day, from) = (table.find(&["cal_date", "trade_date", "ex_date"]), table.find(&["from"]));
    for (line, row) in table.rows() {
        let wrong = |what: String| table.error(Some(line), what);
        let stock = match row.text(code) {
            Some(text) => match StockCode::spelled(text) {
                Some(code) => Some(code),
                None => continue,
            },
            None if kind == FactTable::Calendar => None,
            None => return Err(wrong("no code".to_owned())),
        };
        let needed =
            |column| date(row, column).and_then(|d| d.ok_or_else(|| "no date".to_owned())).map_err(wrong);
        let number = |column| row.number(column).map_err(wrong);
        n += 1;
        match (kind, stock) {
            (FactTable::Calendar, _) => {
                if row.text(table.find(&["is_open"])) != Some("0") {
                    facts.calendar.insert(needed(day)?);
                }
            }
            (_, None) => {}
            (FactTable::Basic, Some(stock)) => {
                facts.basic.insert(stock, basic(table, row, stock).map_err(wrong)?);
            }
            (FactTable::Float, Some(stock)) => {
                let at = needed(day)?;
                if let Some(value) = number(table.find(&["free_float_value"]))? {
                    facts.float_value.entry(stock).or_default().insert(at, value);
                } else if let Some(shares) = number(table.find(&["free_share"]))? {
                    facts.float_shares.entry(stock).or_default().insert(at, shares * 10_000.0);
                }
            }
            (FactTable::Special, Some(stock)) => {
                let spell = (needed(from)?, date(row, table.find(&["to"])).map_err(wrong)?);
                facts.special.get_or_insert_default().entry(stock).or_default().push(spell);
            }
            (FactTable::Suspended, Some(stock)) => {
                facts.suspended.insert((stock, needed(day)?));
            }
            (FactTable::Actions, Some(stock)) => {
                let cash = number(columns(&["cash"])?)?.unwrap_or_default();
                let shares = number(columns(&["shares"])?)?.unwrap_or_default();
                let of_stock = facts.actions.entry(stock).or_default();
                let action = Action { ex_date: needed(day)?, cash, shares };
                of_stock.retain(|a| a.ex_date != action.ex_date);
                of_stock.push(action);
                of_stock.sort_by_key(|a| a.ex_date);
            }
        }
    }
    Ok(n)
}

fn date(row: Row<'_>, column: Option<usize>) -> Result<Option<Day>, String> {
    match row.text(column) {
        Some(text) => text.parse().map(Some).map_err(|e: lobstream_market::calendar::NoDay| e.to_string()),
        None => Ok(None),
    }
}

fn basic(table: &CsvTable, row: Row<'_>, code: StockCode) -> Result<StockBasic, String> {
    let told = row.text(table.find(&["board", "market"]));
    let board = match told {
        Some("main" | "主板" | "中小板") => Board::Main,
        Some("chinext" | "创业板") => Board::Chinext,
        Some("star" | "科创板") => Board::Star,
        Some("bse" | "北交所") => Board::Bse,
        Some(_) | None => Board::of_code(&code.to_string()),
    };
    Ok(StockBasic {
        name: row.text(table.find(&["name"])).unwrap_or_default().to_owned(),
        board,
        list_date: date(row, table.find(&["list_date"]))?,
        delist_date: date(row, table.find(&["delist_date"]))?,
    })
}
