//! What a backtest reads: bars and factor columns of each symbol, and the spells without a book.

mod bars;
mod cut;
mod daily;
mod date;
mod factors;
mod rows;
#[cfg(test)]
pub(crate) mod testing;

use std::sync::Arc;

pub use bars::{Bars, Basis, Detail, OwnBar, Series, Spell, SpellKind, StoredSignal};
pub use daily::{
    Action, Candidate, DailyBar, DailyData, DayFacts, DayFlow, LevelTest, PriceBasis, Stock, TICK_E4,
};
pub use date::{Date, shanghai_day};
pub use factors::{FACTORS, FactorColumn, FactorId, Factors, Merge};
use lobstream_market::factor::row::FactorRow;

use crate::error::Error;

/// How rows become bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatasetOptions {
    /// Length of a bar, ms: whole seconds that divide a day. Default 1000.
    pub step_ms: i64,
}

impl Default for DatasetOptions {
    fn default() -> Self {
        DatasetOptions { step_ms: 1_000 }
    }
}

/// Bars of one step, one series per (venue, symbol), in that order.
#[derive(Clone, Debug)]
pub struct Dataset {
    step_ms: i64,
    series: Vec<Arc<Series>>,
}

impl Dataset {
    /// Mid bars from per-second rows, given in any order. Of rows with one label the highest `rev` counts.
    ///
    /// # Errors
    /// No rows, or a step that does not divide a day.
    pub fn from_rows(rows: Vec<FactorRow>, options: &DatasetOptions) -> Result<Dataset, Error> {
        check_step(options.step_ms)?;
        let series = rows::group(rows).into_iter().map(|rows| rows::series(&rows, options.step_ms)).collect();
        Dataset::from_series(series)
    }

    /// Series that were made elsewhere, all of one step.
    ///
    /// # Errors
    /// No series, or steps that differ.
    pub fn from_series(mut series: Vec<Series>) -> Result<Dataset, Error> {
        let step_ms = series.first().ok_or(Error::NoRows)?.step_ms;
        if let Some(other) = series.iter().find(|s| s.step_ms != step_ms) {
            let symbol = other.symbol.clone();
            return Err(Error::BadData { symbol, row: 0, what: "its bar step differs from the others" });
        }
        series.sort_by(|a, b| (&a.venue, &a.symbol).cmp(&(&b.venue, &b.symbol)));
        Ok(Dataset { step_ms, series: series.into_iter().map(Arc::new).collect() })
    }

    /// The same with every series replaced by another one of its symbol.
    pub(crate) fn map(&self, other: impl Fn(&Series) -> Series) -> Dataset {
        let series = self.series.iter().map(|series| Arc::new(other(series))).collect();
        Dataset { step_ms: self.step_ms, series }
    }

    /// Length of a bar, ms.
    pub fn step_ms(&self) -> i64 {
        self.step_ms
    }

    /// All series, ordered by venue and symbol.
    pub fn series(&self) -> &[Arc<Series>] {
        &self.series
    }
}

fn check_step(step_ms: i64) -> Result<(), Error> {
    if step_ms > 0 && step_ms % 1_000 == 0 && 86_400_000 % step_ms == 0 {
        return Ok(());
    }
    Err(Error::Parameter {
        name: "step_ms",
        value: step_ms.to_string(),
        expected: "whole seconds that divide a day, such as 1000, 60000 or 3600000".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_do_not_divide_a_day_are_refused() {
        for step in [0, -1_000, 500, 7_000, 86_400_001] {
            let error = check_step(step).expect_err("refused");
            assert_eq!(error.exit_code(), 2, "{step}");
        }
        for step in [1_000, 5_000, 60_000, 86_400_000] {
            assert!(check_step(step).is_ok(), "{step}");
        }
    }

    #[test]
    fn no_rows_is_a_data_error() {
        let error = Dataset::from_rows(Vec::new(), &DatasetOptions::default()).expect_err("refused");
        assert_eq!(error.exit_code(), 4);
    }
}
