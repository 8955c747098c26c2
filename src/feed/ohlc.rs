//! A user's own bars: CSV files with time, open, high, low, close.
//!
//! One file is one symbol, named by the file, unless there is a column `symbol`. Times are the begin of the bar:
//! `20240102`, `2024-01-02`, `2024-01-02 09:30:00`, or whole seconds or milliseconds since 1970, all UTC.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lobstream_backtest::{Dataset, Series};

use crate::error::{Error, InputError, InputKind};

const DAY_MS: i64 = 86_400_000;

type Bars = Vec<(i64, [f64; 4])>;

/// Reads files into a dataset. The step is the least distance of two bars, unless it is given.
///
/// # Errors
/// A file that cannot be read; a row that cannot be used, with its line.
pub fn dataset(files: &[PathBuf], step_ms: Option<i64>) -> Result<Dataset, Error> {
    let mut symbols: BTreeMap<String, Bars> = BTreeMap::new();
    for file in files {
        read(file, &mut symbols)?;
    }
    let step_ms = step_ms.or_else(|| least_step(&symbols)).unwrap_or(DAY_MS);
    let series = symbols.into_iter().map(|(symbol, bars)| Series::from_bars("bars", &symbol, step_ms, &bars));
    Ok(Dataset::from_series(series.collect::<Result<Vec<_>, _>>()?)?)
}

fn least_step(symbols: &BTreeMap<String, Bars>) -> Option<i64> {
    let steps = symbols.values().flat_map(|bars| bars.windows(2).map(|pair| pair[1].0 - pair[0].0));
    steps.filter(|step| *step > 0).min().map(|step| step.min(DAY_MS))
}

fn read(file: &Path, symbols: &mut BTreeMap<String, Bars>) -> Result<(), Error> {
    let name = file.display();
    let bad = |line: u64, what: String| {
        let (kind, file, line) = (InputKind::Malformed, name.to_string(), Some(line));
        Error::from(InputError { kind, file, line, what })
    };
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(file)
        .map_err(|e| Error::file("cannot read", file, e))?;
    let head = reader.headers().map_err(|e| bad(1, e.to_string()))?.clone();
    let column = |names: &[&str]| head.iter().position(|h| names.iter().any(|n| h.eq_ignore_ascii_case(n)));
    let need = |names: &[&str]| column(names).ok_or_else(|| bad(1, format!("has no column {}", names[0])));
    let time = need(&["time", "date", "trade_date", "ts", "ts_ms", "datetime"])?;
    let prices = [need(&["open"])?, need(&["high"])?, need(&["low"])?, need(&["close"])?];
    let symbol = column(&["symbol", "ts_code"]);
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    for record in reader.records() {
        let record = record.map_err(|e| bad(e.position().map_or(0, csv::Position::line), e.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |i: usize| record.get(i).unwrap_or_default();
        let ms = instant(cell(time))
            .ok_or_else(|| bad(line, format!("time {:?} is not understood", cell(time))))?;
        let price = |i: usize| {
            let price = cell(i).parse::<f64>().ok().filter(|px| px.is_finite() && *px > 0.0);
            price.ok_or_else(|| bad(line, format!("{} {:?} is not a positive number", &head[i], cell(i))))
        };
        let bar = [price(prices[0])?, price(prices[1])?, price(prices[2])?, price(prices[3])?];
        let name = symbol.map_or(stem.as_str(), cell);
        let bars = symbols.entry(name.to_owned()).or_default();
        if bars.last().is_some_and(|last| last.0 >= ms) {
            return Err(bad(line, "its time is not after that of the row before".to_owned()));
        }
        bars.push((ms, bar));
    }
    Ok(())
}

/// A time, ms since 1970 UTC.
fn instant(text: &str) -> Option<i64> {
    if text.len() > 8 && text.bytes().all(|b| b.is_ascii_digit()) {
        let n: i64 = text.parse().ok()?;
        return Some(if n < 100_000_000_000 { n * 1_000 } else { n });
    }
    let (date, clock) = match text.split_once(['T', ' ']) {
        Some((date, clock)) => (date, clock.trim_end_matches('Z')),
        None => (text, "00:00:00"),
    };
    let digits: String = date.chars().filter(|c| *c != '-').collect();
    if digits.len() != 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let days = lobstream_backtest::dataset::Date::new(digits.parse().ok()?)?.days();
    let mut parts = clock.split(':').map(|part| part.parse::<f64>().ok());
    let (h, m, s) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0.0))?);
    let inside = (0.0..24.0).contains(&h) && (0.0..60.0).contains(&m) && (0.0..60.0).contains(&s);
    let ms = (h * 3_600_000.0 + m * 60_000.0 + s * 1_000.0).round() as i64;
    (inside && parts.next().is_none()).then_some(days * DAY_MS + ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_every_spelling() {
        let same = 1_704_187_800_000;
        let texts = [
            "2024-01-02 09:30:00",
            "2024-01-02T09:30:00Z",
            "2024-01-02 09:30",
            "1704187800",
            "1704187800000",
        ];
        assert_eq!(texts.map(instant), [Some(same); 5]);
        assert_eq!(instant("20240102"), instant("2024-01-02"));
        for bad in ["", "2024", "2024-13-01", "2024-01-02 25:00:00", "yesterday", "2024-01-02 1"] {
            assert_eq!(instant(bad), None, "{bad}");
        }
    }

    fn written(text: &str) -> Result<Dataset, Error> {
        let dir = tempfile::tempdir().expect("folder");
        let file = dir.path().join("600519.csv");
        std::fs::write(&file, text).expect("written");
        dataset(&[file], None)
    }

    #[test]
    fn a_file_is_a_symbol_and_its_step_is_told_by_its_times() {
        let data = written("time,open,high,low,close,volume\n20240102,1,2,1,2,5\n20240103,2,2,1,1,0\n")
            .expect("bars");
        let series = &data.series()[0];
        assert_eq!(
            (series.symbol.as_str(), series.step_ms, series.bars.close.as_slice()),
            ("600519", DAY_MS, &[2.0, 1.0][..])
        );
    }

    #[test]
    fn bad_rows_are_told_with_their_line() {
        let cases = [
            ("time,open,high,low\n", ":1: has no column close"),
            ("time,open,high,low,close\n20240102,1,2,1,2\nx,1,1,1,1\n", ":3: time \"x\" is not understood"),
            ("time,open,high,low,close\n20240102,1,2,1,nan\n", ":2: close \"nan\" is not a positive number"),
            ("time,open,high,low,close\n20240102,1,2,1,2\n20240102,1,2,1,2\n", ":3: its time is not after"),
        ];
        for (text, what) in cases {
            let error = written(text).expect_err(text);
            assert!(
                error.to_string().replace(" malformed:", "").contains(what) && error.exit_code() == 4,
                "{error}"
            );
        }
    }
}
