//! The days that count: flags win over a file.

use lobstream_backtest::Dataset;
use lobstream_backtest::dataset::Date;

use crate::cli;
use crate::config::run_file::RunFile;
use crate::error::Error;

const DAY_MS: i64 = 86_400_000;

/// First and last day of a run; `None`: all there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Days {
    pub(super) first: Option<Date>,
    pub(super) last: Option<Date>,
}

impl Days {
    pub(super) fn of(args: &cli::Backtest, file: Option<&RunFile>) -> Result<Days, Error> {
        let told = |flag: &Option<String>, key: fn(&RunFile) -> Option<&String>| {
            flag.clone().or_else(|| file.and_then(key).cloned())
        };
        let days = Days {
            first: day("--first", told(&args.first, |file| file.first.as_ref()).as_deref())?,
            last: day("--last", told(&args.last, |file| file.last.as_ref()).as_deref())?,
        };
        match (days.first, days.last) {
            (Some(first), Some(last)) if last < first => {
                Err(Error::usage(format!("the period is empty: {last} is before {first}")))
            }
            _ => Ok(days),
        }
    }

    /// The data without what comes after the last day, and the instant at which the first one begins. What lies before
    /// stays: rules warm up on it. Days begin `utc_offset_ms` before those of UTC.
    ///
    /// # Errors
    /// No bar lies in the period.
    pub(super) fn cut(self, data: Dataset, utc_offset_ms: i64) -> Result<(Dataset, Option<i64>), Error> {
        let midnight_ms = |day: Date| day.days() * DAY_MS - utc_offset_ms;
        let from_ms = self.first.map(midnight_ms);
        let cut = match self.last {
            Some(last) => data.until(midnight_ms(last) + DAY_MS),
            None => data.clone(),
        };
        let newest = |data: &Dataset| data.series().iter().filter_map(|s| s.bars.ts_ms.last().copied()).max();
        if (self.first, self.last) == (None, None)
            || newest(&cut).is_some_and(|ms| from_ms.is_none_or(|f| ms >= f))
        {
            return Ok((cut, from_ms));
        }
        let oldest = data.series().iter().filter_map(|s| s.bars.ts_ms.first().copied()).min();
        // Midnight of Shanghai is what a date is told by.
        let day = |ms: Option<i64>| Date::of(ms.unwrap_or(0) + utc_offset_ms - 8 * 3_600_000);
        Err(Error::usage(format!(
            "no bar lies in the period; there are bars of {} to {}",
            day(oldest),
            day(newest(&data))
        )))
    }
}

fn day(flag: &str, text: Option<&str>) -> Result<Option<Date>, Error> {
    let parse = |text: &str| text.parse().map_err(|e| Error::usage(format!("{flag}: {e}")));
    text.map(parse).transpose()
}
