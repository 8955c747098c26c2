//! Closes of the day before, from a file of daily bars.

use std::collections::BTreeMap;
use std::path::Path;

use lobstream_market::ashare::{Exchange, StockCode};
use xxhash_rust::xxh3::Xxh3;

use super::meta::InputRow;
use crate::error::Error;

/// Closes of the day before by stock and date `YYYYMMDD`, ticks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PrevCloses(pub(crate) BTreeMap<(StockCode, u32), i64>);

impl PrevCloses {
    /// Reads a CSV file with the columns `ts_code`, `trade_date` and `pre_close`. Rows without one of them are passed
    /// over.
    ///
    /// # Errors
    /// There is no such file; a column is missing; no row has all of them.
    pub(crate) fn read(file: &Path) -> Result<PrevCloses, Error> {
        let failed = |e: csv::Error| Error::file("cannot read", file, e);
        let mut reader = csv::Reader::from_path(file).map_err(failed)?;
        let header = reader.headers().map_err(failed)?.clone();
        let place = |name: &str| {
            let at = header.iter().position(|h| h.trim() == name);
            at.ok_or_else(|| Error::usage(format!("--bars {}: there is no column {name}", file.display())))
        };
        let (code, date, close) = (place("ts_code")?, place("trade_date")?, place("pre_close")?);
        let mut closes = BTreeMap::new();
        for row in reader.records() {
            let row = row.map_err(failed)?;
            let cell = |at: usize| row.get(at).unwrap_or_default().trim();
            let parsed =
                (cell(code).parse::<StockCode>(), cell(date).parse::<u32>(), cell(close).parse::<f64>());
            if let (Ok(code), Ok(date), Ok(close)) = parsed {
                let ticks = (close * 10_f64.powi(code.tick_decimals() as i32)).round();
                // A close of 0 or none at all is how files say that there was none. Beijing has no images.
                if (1.0..1e12).contains(&ticks) && code.exchange() != Exchange::Bj {
                    closes.insert((code, date), ticks as i64);
                }
            }
        }
        if closes.is_empty() {
            let what = "no row has a code such as 600519.SH, a date such as 20230711 and a close";
            return Err(Error::usage(format!("--bars {}: {what}", file.display())));
        }
        Ok(PrevCloses(closes))
    }

    /// That of a stock on a date.
    pub(super) fn of(&self, code: StockCode, date: u32) -> Option<i64> {
        self.0.get(&(code, date)).copied()
    }

    /// Those of a date as an input of its run, so that a day is known by the closes it was made with; bars of other
    /// dates, which come every day, are none of its business. `None` if there are none.
    pub(super) fn identity(&self, date: u32) -> Option<InputRow> {
        let (mut hasher, mut size) = (Xxh3::new(), 0);
        for ((code, _), close) in self.0.iter().filter(|((_, of), _)| *of == date) {
            let line = format!("{code} {close}\n");
            hasher.update(line.as_bytes());
            size += line.len() as u64;
        }
        let name = "closes of the day before".to_owned();
        (size > 0).then(|| InputRow { name, size, hash: format!("{:032x}", hasher.digest128()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closes_are_ticks_and_only_those_of_its_date_identify_a_day() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let read = |text: &str| {
            let path = dir.path().join("bars.csv");
            std::fs::write(&path, text).expect("written");
            PrevCloses::read(&path)
        };
        let head = "ts_code,trade_date,close,pre_close\n";
        let one = format!("{head}600519.SH,20230201,1,1840.11\n510300.SH,20230201,1,4.193\n");
        let closes = read(&one).expect("read");
        let code = |text: &str| text.parse().expect("a code");
        assert_eq!(closes.of(code("600519.SH"), 20_230_201), Some(184_011));
        assert_eq!(closes.of(code("510300.SH"), 20_230_201), Some(4193));
        assert_eq!(closes.of(code("600519.SH"), 20_230_202), None);
        let more = read(&format!("{one}600519.SH,20230202,1,1800\n430047.BJ,20230201,1,2\n")).expect("read");
        assert_eq!(closes.identity(20_230_201), more.identity(20_230_201), "another date, another market");
        assert_ne!(closes.identity(20_230_201), more.identity(20_230_202));
        assert_eq!(closes.identity(20_230_203), None);
        let none =
            format!("{one}600519.SH,20230202,1,NaN\n510300.SH,20230202,1,0\n600000.SH,20230202,1,inf\n");
        assert_eq!(read(&none).expect("read"), closes);
        for bad in ["ts_code,trade_date\n", head] {
            assert_eq!(read(bad).expect_err(bad).exit_code(), 2, "{bad}");
        }
    }
}
