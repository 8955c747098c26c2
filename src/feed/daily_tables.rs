//! Stored tables of the daily chain → what a portfolio is tested on.
//!
//! ```text
//! DIR[/daily]/<table>/trade_date=YYYYMMDD/part-0.parquet
//!   stock_daily                  bars; its days are the calendar
//!   stock_bollinger_data         price_position, middle_band
//!   stock_microstructure_daily   big_net_ratio, order_flow_imbalance            may be missing: flow = "optional"
//!   stock_level_microstructure   tests of levels                                likewise
//!   strategy_candidates          whom to buy on the next day of the calendar
//! ```
//! The day of a row is the name of its folder. Prices with more than two places are adjusted ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lobstream_backtest::dataset::{
    Candidate, DailyBar, DailyData, Date, DayFacts, DayFlow, LevelTest, PriceBasis, Stock, TICK_E4,
};

use crate::error::{Error, InputError, InputKind};
use crate::parquet::Loose;

/// Days before the first one whose bars are read: the cap by volume looks back.
const BARS_BEFORE: usize = 30;

/// Which days of which stocks.
#[derive(Clone, Debug, Default)]
pub struct Period {
    /// First day; `None`: the first there is.
    pub first: Option<Date>,
    /// Last day, likewise.
    pub last: Option<Date>,
    /// These stocks; empty: all.
    pub symbols: Vec<String>,
}

/// Reads the tables of a period.
///
/// # Errors
/// No tables there, no day in the period, a file that cannot be read or lacks a column.
pub fn read(dir: &Path, period: &Period) -> Result<DailyData, Error> {
    let root = if dir.join("daily").is_dir() { dir.join("daily") } else { dir.to_owned() };
    let days = days(&root, "stock_daily")?;
    if days.is_empty() {
        let what = format!("no daily tables in {}: make them with lobstream daily run", dir.display());
        return Err(Error::Missing { what });
    }
    let inside = |date: &Date| {
        period.first.is_none_or(|first| first <= *date) && period.last.is_none_or(|last| *date <= last)
    };
    let from = days.iter().position(inside);
    let Some(from) = from else {
        return Err(Error::usage(format!(
            "no stored day lies in the period; there are {} to {}",
            days[0],
            days[days.len() - 1]
        )));
    };
    let to = from + days[from..].iter().take_while(|date| inside(date)).count();
    let mut reader = Reader { root, period, stocks: BTreeMap::new(), candidates: Vec::new() };
    for date in &days[from.saturating_sub(BARS_BEFORE)..to] {
        reader.bars(*date)?;
    }
    for date in &days[from..to] {
        reader.bands(*date)?;
        reader.flow(*date)?;
        reader.tests(*date)?;
    }
    // Candidates of the evening before the first day may be bought on it.
    for pair in days[from.saturating_sub(1)..to].windows(2) {
        reader.candidates(pair[0], pair[1])?;
    }
    reader.finish(days[from..to].to_vec())
}

/// Days that a table has, ascending.
fn days(root: &Path, table: &str) -> Result<Vec<Date>, Error> {
    let dir = root.join(table);
    let Ok(entries) = std::fs::read_dir(&dir) else { return Ok(Vec::new()) };
    let mut days = Vec::new();
    for entry in entries {
        let name = entry.map_err(|e| Error::file("cannot read", &dir, e))?.file_name();
        let day: Option<Date> = name.to_str().and_then(|name| name.strip_prefix("trade_date=")?.parse().ok());
        days.extend(day);
    }
    days.sort_unstable();
    Ok(days)
}

struct Reader<'a> {
    root: PathBuf,
    period: &'a Period,
    stocks: BTreeMap<String, Stock>,
    /// Code, then the candidate, whose index of a stock is not known yet.
    candidates: Vec<(String, Candidate)>,
}

/// One file, whose errors name it.
struct Table {
    file: String,
    table: Loose,
    codes: Vec<String>,
}

impl Table {
    fn wrong(&self, what: String) -> Error {
        input(&self.file, what)
    }

    fn numbers(&self, name: &str) -> Result<Vec<Option<f64>>, Error> {
        self.table.numbers(name).map_err(|what| self.wrong(what))
    }

    /// A column of prices in 10⁻⁴ CNY.
    fn prices(&self, name: &str) -> Result<Vec<Option<i64>>, Error> {
        Ok(self.numbers(name)?.into_iter().map(|price| price.map(e4)).collect())
    }

    /// The same, of a column without gaps.
    fn all_prices(&self, name: &str) -> Result<Vec<i64>, Error> {
        let prices: Option<Vec<i64>> = self.prices(name)?.into_iter().collect();
        prices.ok_or_else(|| self.wrong(format!("{name} is missing in a row")))
    }
}

fn input(file: &str, what: String) -> Error {
    Error::Input(InputError { kind: InputKind::Malformed, file: file.to_owned(), line: None, what })
}

fn e4(price: f64) -> i64 {
    (price * 1e4).round() as i64
}

impl Reader<'_> {
    /// A table of a day; `None` if that was not made or has no row.
    fn table(&self, table: &str, date: Date) -> Result<Option<Table>, Error> {
        let path =
            self.root.join(table).join(format!("trade_date={}", date.yyyymmdd())).join("part-0.parquet");
        let Ok(bytes) = std::fs::read(&path) else { return Ok(None) };
        let file = path.display().to_string();
        let table = Loose::read(bytes).map_err(|what| input(&file, what))?;
        if table.len() == 0 {
            return Ok(None);
        }
        let codes = table.texts("ts_code").map_err(|what| input(&file, what))?;
        Ok(Some(Table { file, table, codes: codes.into_iter().map(Option::unwrap_or_default).collect() }))
    }

    fn wants(&self, code: &str) -> bool {
        self.period.symbols.is_empty() || self.period.symbols.iter().any(|symbol| symbol == code)
    }

    fn bars(&mut self, date: Date) -> Result<(), Error> {
        let Some(table) = self.table("stock_daily", date)? else { return Ok(()) };
        let [open, high, low, close] = ["open", "high", "low", "close"].map(|name| table.prices(name));
        let (open, high, low, close) = (open?, high?, low?, close?);
        let pre_close = table.prices("pre_close")?;
        let (volume, st, status) =
            (table.numbers("vol")?, table.numbers("is_st")?, table.numbers("trade_status")?);
        for (i, code) in table.codes.iter().enumerate() {
            let (Some(open), Some(high), Some(low), Some(close)) = (open[i], high[i], low[i], close[i])
            else {
                continue;
            };
            if !self.wants(code) || status[i] == Some(0.0) || low <= 0 {
                continue;
            }
            let stock = self.stocks.entry(code.clone()).or_default();
            let Some(pre_close) = pre_close[i].or(stock.bars.last().map(|bar| bar.close)) else { continue };
            stock.bars.push(DailyBar {
                date,
                open,
                high: high.max(open).max(close),
                low: low.min(open).min(close),
                close,
                pre_close,
                volume: volume[i].map(|shares| shares.round() as i64),
                st: st[i] == Some(1.0),
            });
            stock.facts.push(DayFacts::default());
        }
        Ok(())
    }

    /// The facts of a stock on a day that has a bar.
    fn facts(&mut self, code: &str, date: Date) -> Option<&mut DayFacts> {
        let stock = self.stocks.get_mut(code)?;
        let i = stock.index(date)?;
        stock.facts.get_mut(i)
    }

    fn bands(&mut self, date: Date) -> Result<(), Error> {
        let Some(table) = self.table("stock_bollinger_data", date)? else { return Ok(()) };
        let (position, middle) = (table.numbers("price_position")?, table.numbers("middle_band")?);
        for (i, code) in table.codes.iter().enumerate() {
            if let Some(facts) = self.facts(code, date) {
                (facts.price_position, facts.middle_band) = (position[i], middle[i]);
                facts.known = Some(date);
            }
        }
        Ok(())
    }

    fn flow(&mut self, date: Date) -> Result<(), Error> {
        let Some(table) = self.table("stock_microstructure_daily", date)? else { return Ok(()) };
        let (big, imbalance) = (table.numbers("big_net_ratio")?, table.numbers("order_flow_imbalance")?);
        for (i, code) in table.codes.iter().enumerate() {
            if let Some(facts) = self.facts(code, date) {
                facts.flow = Some(DayFlow { big_net_ratio: big[i], order_flow_imbalance: imbalance[i] });
            }
        }
        Ok(())
    }

    fn tests(&mut self, date: Date) -> Result<(), Error> {
        let Some(table) = self.table("stock_level_microstructure", date)? else { return Ok(()) };
        let (level, value) = (table.numbers("level_e4")?, table.numbers("value_total")?);
        let (big_net, imbalance) = (table.numbers("big_net_value")?, table.numbers("order_flow_imbalance")?);
        for (i, code) in table.codes.iter().enumerate() {
            let (Some(level), Some(value)) = (level[i], value[i]) else { continue };
            if let Some(facts) = self.facts(code, date) {
                let signed = imbalance[i].unwrap_or(0.0) * value;
                facts.tests.push(LevelTest { level_e4: level as i64, value, big_net: big_net[i], signed });
            }
        }
        Ok(())
    }

    fn candidates(&mut self, known: Date, valid_for: Date) -> Result<(), Error> {
        let Some(table) = self.table("strategy_candidates", known)? else { return Ok(()) };
        let (rank, support) = (table.numbers("rank")?, table.all_prices("support_price")?);
        let resistance = table.prices("resistance_price")?;
        let missing = table.table.texts("flow_missing").map_err(|what| table.wrong(what))?;
        for (i, code) in table.codes.iter().enumerate() {
            let lacks = |part: &str| missing[i].as_deref().unwrap_or_default().contains(part);
            let candidate = Candidate {
                known,
                valid_for,
                stock: 0,
                rank: rank[i].map_or(u32::MAX, |rank| rank as u32),
                support_e4: support[i],
                resistance_e4: resistance[i],
                quality_missing: lacks("quality"),
                support_missing: lacks("support"),
            };
            if self.stocks.contains_key(code) {
                self.candidates.push((code.clone(), candidate));
            }
        }
        Ok(())
    }

    fn finish(self, calendar: Vec<Date>) -> Result<DailyData, Error> {
        let codes: Vec<String> = self.stocks.keys().cloned().collect();
        let stocks: Vec<Stock> =
            self.stocks.into_iter().map(|(code, stock)| Stock { code, ..stock }).collect();
        let place = |code: &String| codes.binary_search(code).unwrap_or(usize::MAX);
        let candidates =
            self.candidates.into_iter().map(|(code, c)| Candidate { stock: place(&code), ..c }).collect();
        let is_whole = |bar: &DailyBar| bar.close % TICK_E4 == 0 && bar.open % TICK_E4 == 0;
        let traded = stocks.iter().flat_map(|stock| &stock.bars).all(is_whole);
        let basis = if traded { PriceBasis::Traded } else { PriceBasis::Adjusted };
        Ok(DailyData::new(basis, calendar, stocks, candidates)?)
    }
}

#[cfg(test)]
mod tests {
    use lobstream_backtest::rules::AshareRules;
    use lobstream_backtest::strategy::BollingerMicro;
    use lobstream_backtest::{RunConfig, StrategyConfig, run_daily};
    use lobstream_market::factor::columns::{Cell, Column, ColumnKind};

    use super::*;
    use crate::parquet::Table as Written;

    const DAYS: [&str; 4] = ["20250603", "20250604", "20250605", "20250606"];

    /// One row of a table on a day.
    fn write(root: &Path, table: &str, day: &str, cells: &[(&'static str, Cell)]) {
        let kind = |cell: &Cell| match cell {
            Cell::Bool(_) => ColumnKind::Bool,
            Cell::Int(_) => ColumnKind::Int,
            Cell::Text(_) => ColumnKind::Text,
            _ => ColumnKind::Float,
        };
        let column =
            |(name, cell): &(&'static str, Cell)| Column { name, kind: kind(cell), nullable: true, doc: "" };
        let mut written = Written::new(&cells.iter().map(column).collect::<Vec<_>>());
        written.push(cells.iter().map(|(_, cell)| cell.clone()).collect());
        let dir = root.join("daily").join(table).join(format!("trade_date={day}"));
        std::fs::create_dir_all(&dir).expect("a folder");
        let file = std::fs::File::create(dir.join("part-0.parquet")).expect("a file");
        written.write(file, &[]).expect("written");
    }

    fn code() -> (&'static str, Cell) {
        ("ts_code", Cell::Text("600010.SH".to_owned()))
    }

    /// Bought at the open of the second day at 10.02; the third closes below the support.
    fn tables(root: &Path, with_flow: bool) {
        let prices = [
            [10.12, 10.2, 10.05, 10.1, 10.1],
            [10.02, 10.2, 9.95, 10.15, 10.1],
            [10.0, 10.05, 9.8, 9.84, 10.15],
            [9.82, 9.9, 9.7, 9.75, 9.84],
        ];
        for (day, px) in DAYS.iter().zip(prices) {
            let names = ["open", "high", "low", "close", "pre_close"];
            let mut cells = vec![code()];
            cells.extend(names.iter().zip(px).map(|(name, px)| (*name, Cell::Float(px))));
            cells.push(("vol", Cell::Float(1e9)));
            cells.push(("is_st", Cell::Bool(false)));
            cells.push(("trade_status", Cell::Int(1)));
            write(root, "stock_daily", day, &cells);
            let bands = [code(), ("price_position", Cell::Float(20.0)), ("middle_band", Cell::Float(10.4))];
            write(root, "stock_bollinger_data", day, &bands);
        }
        if with_flow {
            let flow =
                [code(), ("big_net_ratio", Cell::Float(-0.1)), ("order_flow_imbalance", Cell::Float(-0.3))];
            write(root, "stock_microstructure_daily", DAYS[2], &flow);
        }
        let candidate = [
            code(),
            ("rank", Cell::Int(1)),
            ("support_price", Cell::Float(10.0)),
            ("resistance_price", Cell::Null),
            ("flow_missing", Cell::Text("quality+support".to_owned())),
        ];
        write(root, "strategy_candidates", DAYS[0], &candidate);
    }

    fn run(with_flow: bool) -> lobstream_backtest::RunResult {
        let dir = tempfile::tempdir().expect("a folder");
        tables(dir.path(), with_flow);
        let data = read(dir.path(), &Period::default()).expect("tables");
        assert_eq!((data.basis, data.calendar.len(), data.candidates.len()), (PriceBasis::Traded, 4, 1));
        let strategy = StrategyConfig::BollingerMicro(BollingerMicro::default());
        let config = RunConfig { strategy, ..RunConfig::default() };
        run_daily(&data, &AshareRules::built_in(), &config).expect("run")
    }

    fn counted(result: &lobstream_backtest::RunResult, name: &str) -> usize {
        result.tally.iter().find(|(key, _)| *key == name).map_or(0, |(_, n)| *n)
    }

    #[test]
    fn stored_tables_are_traded_by_their_levels_and_flow() {
        let result = run(true);
        let reasons: Vec<&str> = result.trades.iter().map(|trade| trade.reason.as_str()).collect();
        assert_eq!(reasons, ["support_break"]);
        assert_eq!(counted(&result, "stop_unevaluated"), 0);
    }

    #[test]
    fn without_flow_the_break_is_counted_and_not_taken() {
        let result = run(false);
        assert_eq!(result.trades[0].reason.as_str(), "open");
        assert_eq!(counted(&result, "stop_unevaluated"), 2, "closes of 9.84 and 9.75");
        assert_eq!(counted(&result, "entries_without_quality"), 1);
        assert_eq!(counted(&result, "entries_without_support_test"), 1);
    }

    #[test]
    fn a_folder_without_tables_names_the_command_that_makes_them() {
        let dir = tempfile::tempdir().expect("a folder");
        let error = read(dir.path(), &Period::default()).expect_err("empty");
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().contains("lobstream daily run"), "{error}");
        tables(dir.path(), false);
        let later = Period { first: "20260101".parse().ok(), ..Period::default() };
        assert_eq!(read(dir.path(), &later).expect_err("no day").exit_code(), 2);
    }
}
