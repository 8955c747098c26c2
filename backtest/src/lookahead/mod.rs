//! Does the future leak into decisions? The same run without the future, and with a false one, must decide alike.
//!
//! ```text
//! truncation      data up to a cut            every entry, exit, refusal and equity before the cut is the same
//! shuffle         another future after it     likewise
//! availability    rows read before they are known
//! labels          columns that are made of later prices may not be read at all
//! ```
//! Cuts lie at i/21 of the bars, i = 1 … 20. The first difference of each check is reported.

mod labels;
mod trace;

use std::fmt;

pub use labels::{is_label, label_guard};

use crate::dataset::{DailyData, Dataset, Series};
use crate::engine::daily::DailyStrategy;
use crate::error::Error;
use crate::lookahead::trace::{Trace, first_difference};
use crate::rules::AshareRules;
use crate::run::{RunConfig, RunResult, run_daily_with, run_with};
use crate::strategy::{Strategy, StrategyConfig};

const CUTS: usize = 20;

/// A decision that knew the future.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// `truncation`, `shuffle`, `availability` or `labels`.
    pub check: &'static str,
    /// Whose decision; empty for the account as a whole.
    pub symbol: String,
    /// When, ms UTC.
    pub ts_ms: i64,
    /// What differs.
    pub column: String,
    /// With all data.
    pub with_all: String,
    /// Without the future, or with another one.
    pub without: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { check, symbol, ts_ms, column, with_all, without } = self;
        write!(f, "{check}: {symbol} at {ts_ms} ms, {column}: {with_all} with all data, {without} without")
    }
}

/// Checks a built-in strategy over bars.
///
/// # Errors
/// What stops the run itself.
pub fn check(data: &Dataset, config: &RunConfig) -> Result<Vec<Violation>, Error> {
    let wrong = |needs| Err(Error::WrongData { strategy: config.strategy.name(), needs });
    match &config.strategy {
        StrategyConfig::BollingerMicro(_) => wrong("daily tables: --daily DIR"),
        StrategyConfig::Own(_) => wrong("its own rule: call check_with"),
        StrategyConfig::BollingerFlow(params) => check_with(data, config, |_| params.rule()),
        StrategyConfig::Bollinger(params) => check_with(data, config, |_| params.rule()),
        StrategyConfig::Signals(params) => check_with(data, config, |_| params.rule()),
        StrategyConfig::Hold => check_with(data, config, |_| crate::strategy::hold::Hold),
    }
}

/// Checks a rule of one's own over bars.
///
/// # Errors
/// What stops the run itself.
pub fn check_with<S: Strategy>(
    data: &Dataset,
    config: &RunConfig,
    rule: impl Fn(&Series) -> S,
) -> Result<Vec<Violation>, Error> {
    let labels = label_guard(config.strategy.factors());
    let mut ends: Vec<i64> =
        data.series().iter().flat_map(|s| (0..s.bars.len()).map(|i| s.known_ms(i))).collect();
    // Before the period nothing fills.
    ends.retain(|end| config.from_ms.is_none_or(|from| *end >= from));
    ends.sort_unstable();
    ends.dedup();
    let traced = |data: &Dataset| -> Result<Trace, Error> {
        let seen = trace::Intents::default();
        let result = run_with(data, config, |series| trace::Recorder::new(rule(series), series, &seen))?;
        Ok(Trace::of(&result, seen.take()))
    };
    let all = traced(data)?;
    let runs = |cut_ms: i64| Ok((traced(&data.until(cut_ms))?, traced(&data.shuffled_after(cut_ms))?));
    violations(labels, &all, cuts(&ends), runs)
}

/// Checks the configured strategy over daily tables.
///
/// # Errors
/// What stops the run itself.
pub fn check_daily(
    data: &DailyData,
    rules: &AshareRules,
    config: &RunConfig,
) -> Result<Vec<Violation>, Error> {
    match &config.strategy {
        StrategyConfig::BollingerMicro(params) => check_daily_with(data, rules, config, |_| params.rule()),
        other => Err(Error::WrongData { strategy: other.name(), needs: "bars or per-second rows" }),
    }
}

/// Checks a strategy of one's own over daily tables.
///
/// # Errors
/// What stops the run itself.
pub fn check_daily_with<S: DailyStrategy>(
    data: &DailyData,
    rules: &AshareRules,
    config: &RunConfig,
    make: impl Fn(&DailyData) -> S,
) -> Result<Vec<Violation>, Error> {
    let labels = label_guard(config.strategy.factors());
    let run = |data: &DailyData| run_daily_with(data, rules, config, &mut make(data));
    let traced = |data: &DailyData| Ok::<_, Error>(Trace::of(&run(data)?, Vec::new()));
    let whole = run(data)?;
    let ends: Vec<i64> = data.calendar.iter().map(|date| date.close_ms()).collect();
    let day = |ms: i64| data.calendar[data.calendar.partition_point(|date| date.close_ms() < ms)];
    let runs = |cut_ms: i64| {
        let cut = day(cut_ms);
        Ok((traced(&data.until(cut))?, traced(&data.shuffled_after(cut))?))
    };
    let mut found = violations(labels, &Trace::of(&whole, Vec::new()), cuts(&ends), runs)?;
    found.extend(late_reads(&whole));
    Ok(found)
}

fn late_reads(result: &RunResult) -> Option<Violation> {
    let read = result.late_reads.first()?;
    Some(Violation {
        check: "availability",
        symbol: read.symbol.clone(),
        ts_ms: read.ts_ms,
        column: "daily tables".to_owned(),
        with_all: format!("a row known on {}", read.known),
        without: "nothing: it is later than the decision".to_owned(),
    })
}

/// Ends at i/21 of these.
fn cuts(ends: &[i64]) -> Vec<i64> {
    let mut cuts: Vec<i64> =
        (1..=CUTS).filter_map(|i| ends.get((ends.len() * i / (CUTS + 1)).checked_sub(1)?).copied()).collect();
    cuts.dedup();
    cuts
}

/// The first difference of each check over all cuts.
fn violations(
    mut found: Vec<Violation>,
    all: &Trace,
    cuts: Vec<i64>,
    runs: impl Fn(i64) -> Result<(Trace, Trace), Error>,
) -> Result<Vec<Violation>, Error> {
    for cut_ms in cuts {
        let is_new = |found: &[Violation], check| found.iter().all(|v| v.check != check);
        if !is_new(&found, "truncation") && !is_new(&found, "shuffle") {
            break;
        }
        let (truncated, shuffled) = runs(cut_ms)?;
        for (check, other) in [("truncation", truncated), ("shuffle", shuffled)] {
            if is_new(&found, check) {
                found.extend(first_difference(check, all, &other, cut_ms));
            }
        }
    }
    let order = ["labels", "truncation", "shuffle"];
    found.sort_by_key(|violation| order.iter().position(|check| *check == violation.check));
    Ok(found)
}
