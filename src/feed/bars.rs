//! The user's own bars: CSV or Parquet with time, open, high, low, close and, if there is one, volume.
//!
//! Columns are found by name, in any order and case. A time is a date, a date with a time of day, or a number since
//! 1970 whose digits tell its unit (10 s, 13 ms, 16 µs, 19 ns); without a zone it is UTC, of A shares Shanghai. Symbols
//! of A shares are codes in any vendor's spelling; their volumes are shares, in a column `vol` without another
//! `volume` (tushare's) lots of 100. Of shares `pre_close` and `is_st`, if they are there, tell the limits of the day.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lobstream_backtest::dataset::OwnBar;
use lobstream_backtest::engine::ashare::TICK;
use lobstream_backtest::{Dataset, Series};
use lobstream_market::ashare::StockCode;

use crate::error::{Error, InputError, InputKind};
use crate::parquet::Loose;

/// Names that a time column has.
const TIMES: [&str; 8] = ["time", "date", "datetime", "timestamp", "trade_date", "ts_ms", "open_time", "ts"];

const PRICES: [&str; 4] = ["open", "high", "low", "close"];

/// Most that a share may cost, CNY: what is dearer is a typing error.
const PRICE_MAX: f64 = 1e6;

/// What bars are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Anything with a price.
    Anything,
    /// Chinese stocks.
    Shares,
}

impl Of {
    fn zone(self) -> Zone {
        match self {
            Of::Anything => Zone::Utc,
            Of::Shares => Zone::Shanghai,
        }
    }

    fn venue(self) -> &'static str {
        match self {
            Of::Anything => "bars",
            Of::Shares => "ashare",
        }
    }

    /// A symbol as it is called from here on.
    ///
    /// # Errors
    /// It is no code of an A share: what would be one.
    pub fn symbol(self, text: &str) -> Result<String, String> {
        match self {
            Of::Anything => Ok(text.to_owned()),
            Of::Shares => match StockCode::spelled(text).filter(|code| code.is_share()) {
                Some(code) => Ok(code.to_string()),
                None => Err(format!(
                    "{text:?} is no code of an A share: name the file or fill its column symbol with codes such as \
                     600000.SH, 688001.XSHG, bj.430047 or 000001"
                )),
            },
        }
    }

    fn price(self, px: f64) -> Result<f64, &'static str> {
        match self {
            _ if !(px.is_finite() && px > 0.0) => Err("is not a positive number"),
            Of::Shares if px < TICK => Err("is below one tick of 0.01 CNY"),
            Of::Shares if px > PRICE_MAX => Err("is above 1000000 CNY"),
            Of::Anything | Of::Shares => Ok(px),
        }
    }
}

/// Where times without a zone are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zone {
    /// Greenwich.
    Utc,
    /// China, UTC+8.
    Shanghai,
}

impl Zone {
    fn offset_ms(self) -> i64 {
        match self {
            Zone::Utc => 0,
            Zone::Shanghai => 8 * 3_600_000,
        }
    }
}

/// A table of texts or numbers, as either format has it.
struct Raw {
    /// `None`: the file's name is the symbol.
    symbol: Option<Vec<String>>,
    time: Vec<String>,
    /// Open, high, low, close.
    prices: [Vec<Option<f64>>; 4],
    volume: Option<Vec<Option<f64>>>,
    /// Of shares: the reference price of the exchange, and whether they are under special treatment.
    pre_close: Option<Vec<Option<f64>>>,
    st: Option<Vec<Option<f64>>>,
    /// Is the volume in lots of 100 shares, if these are shares? Tushare's columns are.
    lots: bool,
}

/// The bars of files as one dataset. The step is told by the times unless it is given.
///
/// # Errors
/// A file that cannot be read, a column that is missing, a row that is no bar, a symbol that two files have: file and
/// row are named.
pub fn dataset(files: &[PathBuf], step_ms: Option<i64>, of: Of) -> Result<Dataset, Error> {
    let mut series: Vec<Series> = Vec::new();
    let mut found: BTreeMap<String, &Path> = BTreeMap::new();
    for path in files {
        for (symbol, bars) in read(path, of)? {
            if let Some(first) = found.insert(symbol.clone(), path) {
                let what = format!("its symbol {symbol} is that of {} too", first.display());
                return Err(wrong(InputKind::Malformed, &path.display().to_string(), None, what));
            }
            series.push(Series::from_own_bars(of.venue(), &symbol, step_ms, &bars)?);
        }
    }
    Ok(Dataset::from_series(series)?)
}

/// The bars of a file by symbol.
fn read(path: &Path, of: Of) -> Result<BTreeMap<String, Vec<OwnBar>>, Error> {
    let file = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|e| wrong(InputKind::Missing, &file, None, e.to_string()))?;
    let raw = match path.extension().and_then(|e| e.to_str()) {
        Some("csv") => from_csv(&bytes, &file, of)?,
        Some("parquet") => from_parquet(bytes, &file, of)?,
        Some(_) | None => {
            let what = "bars are read from FILE.csv or FILE.parquet".to_owned();
            return Err(wrong(InputKind::FormatUnknown, &file, None, what));
        }
    };
    let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let mut names: BTreeMap<&str, String> = BTreeMap::new();
    let mut symbols: BTreeMap<String, Vec<OwnBar>> = BTreeMap::new();
    for i in 0..raw.time.len() {
        let bar = raw.bar(i, &file, of)?;
        let text = raw.symbol.as_ref().map_or(&stem, |symbols| &symbols[i]);
        if !names.contains_key(text.as_str()) {
            let line = raw.symbol.as_ref().map(|_| i as u64 + 2);
            let name = of.symbol(text).map_err(|what| wrong(InputKind::Malformed, &file, line, what))?;
            names.insert(text, name);
        }
        let bars = symbols.entry(names[text.as_str()].clone()).or_default();
        if bars.last().is_some_and(|last| last.ts_ms >= bar.ts_ms) {
            let what = "times do not ascend".to_owned();
            return Err(wrong(InputKind::Malformed, &file, Some(i as u64 + 2), what));
        }
        bars.push(bar);
    }
    Ok(symbols)
}

fn wrong(kind: InputKind, file: &str, line: Option<u64>, what: String) -> Error {
    Error::Input(InputError { kind, file: file.to_owned(), line, what })
}

/// Positions of the columns.
struct Columns {
    time: usize,
    prices: [usize; 4],
    volume: Option<usize>,
    pre_close: Option<usize>,
    st: Option<usize>,
    symbol: Option<usize>,
    lots: bool,
}

impl Columns {
    fn of(names: &[String], file: &str, of: Of) -> Result<Columns, Error> {
        let at = |wanted: &str| names.iter().position(|name| name.trim().eq_ignore_ascii_case(wanted));
        let of_shares = |wanted: &str| at(wanted).filter(|_| of == Of::Shares);
        let missing = |column: &str| {
            let what =
                format!("no column {column}: bars have time, open, high, low, close and may have volume");
            wrong(InputKind::Malformed, file, Some(1), what)
        };
        let mut prices = [0; 4];
        for (place, name) in prices.iter_mut().zip(PRICES) {
            *place = at(name).ok_or_else(|| missing(name))?;
        }
        let volume = at("volume");
        Ok(Columns {
            time: TIMES.iter().find_map(|name| at(name)).ok_or_else(|| missing("time"))?,
            prices,
            volume: volume.or_else(|| at("vol")),
            pre_close: of_shares("pre_close").or_else(|| of_shares("preclose")),
            st: of_shares("is_st").or_else(|| of_shares("isst")),
            symbol: at("symbol").or_else(|| at("ts_code")),
            // Only tushare's `vol` counts lots of 100.
            lots: volume.is_none(),
        })
    }
}

fn from_csv(bytes: &[u8], file: &str, of: Of) -> Result<Raw, Error> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let broken = |e: csv::Error| {
        let line = e.position().map(csv::Position::line);
        wrong(InputKind::Malformed, file, line, e.to_string())
    };
    let names: Vec<String> = reader.headers().map_err(broken)?.iter().map(str::to_owned).collect();
    let Columns { time, prices, volume, pre_close, st, symbol, lots } = Columns::of(&names, file, of)?;
    let mut raw = Raw {
        symbol: symbol.map(|_| Vec::new()),
        time: Vec::new(),
        prices: Default::default(),
        volume: volume.map(|_| Vec::new()),
        pre_close: pre_close.map(|_| Vec::new()),
        st: st.map(|_| Vec::new()),
        lots,
    };
    for (i, record) in reader.records().enumerate() {
        let record = record.map_err(broken)?;
        let line = i as u64 + 2;
        let cell = |at: usize| record.get(at).unwrap_or_default();
        let number = |at: usize| match cell(at) {
            "" => Ok(None),
            text if Some(at) == st && text.eq_ignore_ascii_case("true") => Ok(Some(1.0)),
            text if Some(at) == st && text.eq_ignore_ascii_case("false") => Ok(Some(0.0)),
            text => text.parse().map(Some).map_err(|_| {
                let what = format!("{} = {text:?} is no number", names[at]);
                wrong(InputKind::Malformed, file, Some(line), what)
            }),
        };
        if let (Some(symbols), Some(at)) = (&mut raw.symbol, symbol) {
            symbols.push(cell(at).to_owned());
        }
        raw.time.push(cell(time).to_owned());
        for (values, at) in raw.prices.iter_mut().zip(prices) {
            values.push(number(at)?);
        }
        let more = [(&mut raw.volume, volume), (&mut raw.pre_close, pre_close), (&mut raw.st, st)];
        for (values, at) in more {
            if let (Some(values), Some(at)) = (values, at) {
                values.push(number(at)?);
            }
        }
    }
    Ok(raw)
}

fn from_parquet(bytes: Vec<u8>, file: &str, of: Of) -> Result<Raw, Error> {
    let broken = |what: String| wrong(InputKind::Malformed, file, None, what);
    let table = Loose::read(bytes).map_err(broken)?;
    let names = table.names();
    let Columns { time, prices, volume, pre_close, st, symbol, lots } = Columns::of(&names, file, of)?;
    let texts = |at: usize| -> Result<Vec<String>, Error> {
        Ok(table.texts(&names[at]).map_err(broken)?.into_iter().map(Option::unwrap_or_default).collect())
    };
    let numbers = |at: usize| table.numbers(&names[at]).map_err(broken);
    let [open, high, low, close] = prices;
    Ok(Raw {
        symbol: symbol.map(texts).transpose()?,
        time: texts(time)?,
        prices: [numbers(open)?, numbers(high)?, numbers(low)?, numbers(close)?],
        volume: volume.map(numbers).transpose()?,
        pre_close: pre_close.map(numbers).transpose()?,
        st: st.map(numbers).transpose()?,
        lots,
    })
}

impl Raw {
    fn bar(&self, i: usize, file: &str, of: Of) -> Result<OwnBar, Error> {
        let bad = |what: String| wrong(InputKind::Malformed, file, Some(i as u64 + 2), what);
        let text = &self.time[i];
        let ts_ms = instant_ms(text, of.zone()).ok_or_else(|| {
            bad(format!("time {text:?} is not understood: write 2024-03-01 09:30:00 or 1709285400000"))
        })?;
        let mut ohlc = [0.0; 4];
        for ((place, prices), name) in ohlc.iter_mut().zip(&self.prices).zip(PRICES) {
            let price = prices[i].ok_or_else(|| bad(format!("{name} is missing")))?;
            *place = of.price(price).map_err(|what| bad(format!("{name} = {price} {what}")))?;
        }
        let [open, high, low, close] = ohlc;
        let cell = |column: &Option<Vec<Option<f64>>>| column.as_ref().and_then(|values| values[i]);
        let unit = if of == Of::Shares && self.lots { 100.0 } else { 1.0 };
        let volume = cell(&self.volume).map(|volume| volume * unit);
        if let Some(volume) = volume.filter(|volume| !(volume.is_finite() && *volume >= 0.0)) {
            return Err(bad(format!("volume = {volume} is no quantity")));
        }
        let (pre_close, st) = (cell(&self.pre_close).filter(|px| *px >= TICK), cell(&self.st) == Some(1.0));
        Ok(OwnBar { ts_ms, open, high, low, close, volume, pre_close, st })
    }
}

/// A time as ms since 1970.
fn instant_ms(text: &str, zone: Zone) -> Option<i64> {
    let text = text.trim().trim_matches('"');
    if text.bytes().all(|b| b.is_ascii_digit()) && text.len() != 8 {
        let number: i64 = text.parse().ok()?;
        return match text.len() {
            9 | 10 => number.checked_mul(1_000),
            12 | 13 => Some(number),
            15 | 16 => Some(number / 1_000),
            18 | 19 => Some(number / 1_000_000),
            _ => None,
        };
    }
    let (date, rest) = match text.len() {
        8 => (text, ""),
        _ => text.split_at_checked(10)?,
    };
    let date: lobstream_backtest::dataset::Date = date.parse().ok()?;
    let (clock, offset_ms) = zoned(rest.trim_start_matches(['T', ' ']), zone)?;
    Some(date.days() * 86_400_000 + clock_ms(clock)? - offset_ms)
}

/// The time of day, and how far its zone is ahead of UTC.
fn zoned(text: &str, zone: Zone) -> Option<(&str, i64)> {
    if let Some(clock) = text.strip_suffix('Z') {
        return Some((clock, 0));
    }
    let Some(at) = text.rfind(['+', '-']) else { return Some((text, zone.offset_ms())) };
    let (clock, offset) = text.split_at(at);
    let (hours, minutes) = offset[1..].split_once(':').unwrap_or((&offset[1..], "0"));
    let ms = hours.parse::<i64>().ok()? * 3_600_000 + minutes.parse::<i64>().ok()? * 60_000;
    Some((clock, if offset.starts_with('-') { -ms } else { ms }))
}

fn clock_ms(clock: &str) -> Option<i64> {
    if clock.is_empty() {
        return Some(0);
    }
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let parts: Vec<i64> = whole.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let (h, m, s) = match parts.as_slice() {
        [h, m] => (*h, *m, 0),
        [h, m, s] => (*h, *m, *s),
        _ => return None,
    };
    let in_range = (0..24).contains(&h) && (0..60).contains(&m) && (0..60).contains(&s);
    let ms: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    in_range.then_some(((h * 60 + m) * 60 + s) * 1_000 + ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_spelling() {
        let ms = 1_709_285_400_000;
        let utc = [
            "2024-03-01 09:30:00",
            "2024-03-01T09:30:00Z",
            "2024-03-01 09:30",
            "2024-03-01T17:30:00+08:00",
            "1709285400",
            "1709285400000",
            "1709285400000000",
            "1709285400000000000",
            "2024-03-01 09:30:00.000",
        ];
        for text in utc {
            assert_eq!(instant_ms(text, Zone::Utc), Some(ms), "{text}");
        }
        assert_eq!(instant_ms("2024-03-01 17:30:00", Zone::Shanghai), Some(ms));
        assert_eq!(instant_ms("20240301", Zone::Utc), instant_ms("2024-03-01", Zone::Utc));
        for text in ["", "soon", "2024-03-01 25:00", "2024-13-01", "12345", "2024-03-01 9h"] {
            assert_eq!(instant_ms(text, Zone::Utc), None, "{text}");
        }
    }

    fn read_text(text: &str) -> Result<Dataset, Error> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("MINE.csv");
        std::fs::write(&path, text).expect("written");
        dataset(&[path], None, Of::Anything)
    }

    #[test]
    fn symbols_of_shares_are_codes_and_their_prices_have_ticks() {
        let dir = tempfile::tempdir().expect("a folder");
        let read = |name: &str, head: &str, rows: &[&str]| {
            let path = dir.path().join(name);
            std::fs::write(&path, format!("{head}\n{}\n", rows.join("\n"))).expect("written");
            path
        };
        let head = "time,open,high,low,close";
        let (first, second) = ("2024-03-01,1,1,1,1", "2024-03-04,1,1,1,1");
        let symbols = |files: &[PathBuf]| -> Result<Vec<String>, String> {
            let data = dataset(files, None, Of::Shares).map_err(|e| {
                assert_eq!(e.exit_code(), 4, "{e}");
                e.to_string()
            })?;
            Ok(data.series().iter().map(|series| series.symbol.clone()).collect())
        };
        for (name, code) in
            [("688001.XSHG.csv", "688001.SH"), ("1.csv", "000001.SZ"), ("bj430047.csv", "430047.BJ")]
        {
            assert_eq!(symbols(&[read(name, head, &[first, second])]).expect(name), [code]);
        }
        for name in ["510300.SH.csv", "MINE.csv", "600000.HK.csv"] {
            let error = symbols(&[read(name, head, &[first, second])]).expect_err(name);
            assert!(error.contains("is no code of an A share") && error.contains(name), "{error}");
        }
        let two = [read("1.csv", head, &[first, second]), read("000001.SZ.csv", head, &[first, second])];
        let error = symbols(&two).expect_err("twice");
        assert!(error.contains("000001.SZ.csv") && error.contains("1.csv too"), "{error}");
        let column = read(
            "all.csv",
            "symbol,time,open,high,low,close",
            &["600000.SH,2024-03-01,1,1,1,1", "X,2024-03-01,1,1,1,1"],
        );
        let error = symbols(&[column]).expect_err("X");
        assert!(error.contains("all.csv") && error.contains('3') && error.contains("\"X\""), "{error}");
        for (price, what) in [("0.004", "below one tick"), ("1e7", "above 1000000"), ("0", "not a positive")]
        {
            let row = format!("2024-03-04,1,1,{price},1");
            let error = symbols(&[read("600000.SH.csv", head, &[first, &row])]).expect_err(price);
            assert!(
                error.contains(what) && error.contains("600000.SH.csv") && error.contains('3'),
                "{error}"
            );
        }
    }

    #[test]
    fn bars_come_by_name_with_their_step() {
        let data = read_text(
            "Close,Open,Low,High,Time,Volume\n10.5,10,9.9,10.6,2024-03-01,5\n10.4,10.5,10.3,10.7,2024-03-04,0\n\
             10.6,10.4,10.4,10.8,2024-03-05,\n",
        )
        .expect("bars");
        let series = &data.series()[0];
        assert_eq!((series.symbol.as_str(), series.step_ms, series.bars.len()), ("MINE", 86_400_000, 3));
        assert_eq!(series.bars.close, [10.5, 10.4, 10.6]);
        assert_eq!(
            [0, 1, 2].map(|i| series.bars.fills(i)),
            [true, false, true],
            "nothing traded in the second"
        );
    }

    #[test]
    fn volumes_of_shares_in_the_columns_of_tushare_are_lots() {
        let dir = tempfile::tempdir().expect("a folder");
        let volume = |name: &str, of| {
            let path = dir.path().join("600000.SH.csv");
            let text =
                format!("trade_date,open,high,low,close,{name}\n20240301,1,1,1,1,12.5\n20240304,1,1,1,1,\n");
            let text = if name == "volume" { text.replace("trade_date", "date") } else { text };
            std::fs::write(&path, text).expect("written");
            dataset(&[path], None, of).expect("bars").series()[0].bars.volume.clone()
        };
        assert_eq!(volume("vol", Of::Shares), [Some(1_250.0), None]);
        assert_eq!(volume("volume", Of::Shares), [Some(12.5), None]);
        assert_eq!(volume("vol", Of::Anything), [Some(12.5), None]);
        let read = |head: &str, row: &str| {
            let path = dir.path().join("600001.SH.csv");
            let next = row.replace("0301", "0304").replace("03-01", "03-04");
            std::fs::write(&path, format!("{head}\n{row}\n{next}\n")).expect("written");
            dataset(&[path], None, Of::Shares).map(|data| data.series()[0].bars.volume[0])
        };
        let both = read("date,open,high,low,close,vol,volume", "2024-03-01,1,1,1,1,10,1000").expect("bars");
        let named = read("trade_date,open,high,low,close,volume", "20240301,1,1,1,1,1000").expect("bars");
        assert_eq!((both, named), (Some(1_000.0), Some(1_000.0)));
        for odd in ["nan", "inf", "-5"] {
            let told = read("date,open,high,low,close,volume", &format!("2024-03-01,1,1,1,1,{odd}"));
            let told = told.expect_err("no quantity").to_string();
            assert!(
                told.contains("600001.SH.csv") && told.contains("2") && told.contains("volume"),
                "{told}"
            );
        }
    }

    #[test]
    fn columns_that_tell_the_limits_are_read_of_shares_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("600000.SH.csv");
        let rows = "2024-03-01,1,1,1,1,0.98,1\n2024-03-04,1,1,1,1,,False\n2024-03-05,1,1,1,1,1.1,TRUE\n";
        std::fs::write(&path, format!("date,open,high,low,close,preclose,isST\n{rows}")).expect("written");
        let bars =
            |of| dataset(std::slice::from_ref(&path), None, of).expect("bars").series()[0].bars.clone();
        let shares = bars(Of::Shares);
        assert_eq!(
            (shares.pre_close, shares.st),
            (vec![Some(0.98), None, Some(1.1)], vec![true, false, true])
        );
        assert_eq!(bars(Of::Anything).pre_close, [None; 3]);
    }

    #[test]
    fn a_column_of_symbols_makes_a_series_of_each() {
        let text = "symbol,time,open,high,low,close\nA,2024-03-01,1,1,1,1\nB,2024-03-01,2,2,2,2\nA,2024-03-04,1,1,1,1\nB,2024-03-04,2,2,2,2\n";
        let data = read_text(text).expect("bars");
        let closes: Vec<_> = data.series().iter().map(|s| (s.symbol.as_str(), s.bars.close[1])).collect();
        assert_eq!(closes, [("A", 1.0), ("B", 2.0)]);
    }

    #[test]
    fn a_row_that_is_no_bar_is_refused_with_its_row() {
        let head = "time,open,high,low,close\n2024-03-01,1,1,1,1\n";
        let cases = [
            ("2024-03-04,1,1,,1", "line 3"),
            ("2024-03-04,1,1,NaN,1", "line 3"),
            ("2024-03-04,1,1,x,1", "line 3"),
            ("2024-03-01,1,1,1,1", "line 3"),
            ("yesterday,1,1,1,1", "line 3"),
            ("2024-03-04,1,1,-1,1", "line 3"),
        ];
        for (row, place) in cases {
            let error = read_text(&format!("{head}{row}\n")).expect_err(row);
            assert_eq!(error.exit_code(), 4, "{error}");
            let text = error.to_string();
            assert!(text.contains(place) || text.contains(":3"), "{row}: {text}");
        }
        let error = read_text("time,open,high,close\n").expect_err("no low");
        assert!(error.to_string().contains("no column low"), "{error}");
        let mixed = format!(
            "{head}2024-03-04,1,1,1,1\n2024-03-05,1,1,1,1\n2024-03-06,1,1,1,1\n2024-03-06 12:00,1,1,1,1\n"
        );
        let error = read_text(&mixed).expect_err("mixed");
        assert!(error.to_string().contains("step"), "{error}");
    }
}
