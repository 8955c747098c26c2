//! Many parameters over one dataset: every combination is a run, all cores work, and the best is deflated.
//!
//! The order of the results is that of the grid, whatever the threads did. Rules that one pass can run are run so,
//! with bands that combinations of one window share; everything else goes through the general engine.

mod grid;
mod row;
mod spread;

use rayon::prelude::*;
use serde::Serialize;

pub use grid::{Axis, Choice, combinations};
pub use row::{MEASURES, SweepRow};

use crate::dataset::Dataset;
use crate::error::Error;
use crate::metrics::deflated;
use crate::run::{RunConfig, RunResult, run};
use crate::strategy::StrategyConfig;
use crate::sweep::spread::{Job, Spread};

/// By what the best is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// Sharpe ratio, annualised.
    #[default]
    Sharpe,
    /// CAGR over the deepest drawdown.
    Calmar,
    /// Return of the whole period.
    TotalReturn,
    /// System quality of the trades.
    Sqn,
}

impl Objective {
    /// All of them.
    pub const ALL: [Objective; 4] =
        [Objective::Sharpe, Objective::Calmar, Objective::TotalReturn, Objective::Sqn];

    /// Its key among the measures.
    pub fn key(self) -> &'static str {
        match self {
            Objective::Sharpe => "sharpe",
            Objective::Calmar => "calmar",
            Objective::TotalReturn => "total_return",
            Objective::Sqn => "sqn",
        }
    }
}

/// What is tried.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepConfig {
    /// Everything that does not vary.
    pub base: RunConfig,
    /// What varies.
    pub axes: Vec<Axis>,
    /// All combinations, or some.
    pub choice: Choice,
    /// By what the best is chosen. Default Sharpe; of equals the first in grid order.
    pub objective: Objective,
    /// A combination with fewer closed trades is never the best. Default 10.
    pub min_trades: usize,
}

/// At most so many combinations: more is a typing error, or no sweep but a search.
pub const COMBINATIONS_MAX: usize = 1_000_000;

/// What came of a sweep.
#[derive(Clone, Debug)]
pub struct SweepResult {
    /// Names of the parameters that varied.
    pub names: Vec<String>,
    /// One row per combination, in grid order.
    pub rows: Vec<SweepRow>,
    /// Index of the best eligible row; `None` if there is none.
    pub best: Option<usize>,
    /// Its run by the general engine; `None` without a best.
    pub best_run: Option<RunResult>,
    /// Combinations with a Sharpe ratio: the trials that the best is deflated by.
    pub n_trials: usize,
    /// Deflated Sharpe ratio of the best; `None` for fewer than two trials.
    pub dsr: Option<f64>,
}

/// Runs all combinations on as many threads as there are cores.
///
/// # Errors
/// An unknown parameter or a value out of range, before anything runs; whatever a run refuses.
pub fn sweep(data: &Dataset, config: &SweepConfig) -> Result<SweepResult, Error> {
    let combinations = combinations(&config.axes, &config.choice)?;
    let name = config.base.strategy.name();
    let fixed = config.base.strategy.params();
    let strategy = |values: &Vec<String>| {
        let own = config.axes.iter().map(|axis| axis.name.as_str()).zip(values.iter().map(String::as_str));
        StrategyConfig::parse(name, fixed.iter().map(|(name, value, _)| (*name, value.as_str())).chain(own))
    };
    let strategies = combinations.iter().map(strategy).collect::<Result<Vec<_>, _>>()?;
    let rows = measured(data, config, combinations, strategies)?;
    let best = best(&rows, config);
    let best_run = best.map(|i| again(data, config, &rows[i])).transpose()?;
    let trials: Vec<f64> = rows.iter().filter_map(|row| row.get("sr_period")).collect();
    let dsr = best.and_then(|i| deflated::dsr(&rows[i].sample()?, &trials));
    let names = config.axes.iter().map(|axis| axis.name.clone()).collect();
    Ok(SweepResult { names, rows, best, best_run, n_trials: trials.len(), dsr })
}

/// One row per combination. Combinations that share a window stay on one thread, a few at a time.
fn measured(
    data: &Dataset,
    config: &SweepConfig,
    combinations: Vec<Vec<String>>,
    strategies: Vec<StrategyConfig>,
) -> Result<Vec<SweepRow>, Error> {
    let spread = Spread::new(data, &config.base)?;
    let numbered = combinations.into_iter().zip(strategies).enumerate();
    let mut jobs: Vec<Job> =
        numbered.map(|(index, (params, strategy))| Job { index, params, strategy }).collect();
    jobs.sort_by_key(|job| (job.strategy.warm_up(), job.index));
    let batch = jobs.len().div_ceil(rayon::current_num_threads() * 4).clamp(1, 64);
    let done: Result<Vec<Vec<(usize, SweepRow)>>, Error> =
        jobs.par_chunks(batch).map(|jobs| spread.run(jobs)).collect();
    let mut rows: Vec<(usize, SweepRow)> = done?.into_iter().flatten().collect();
    rows.sort_by_key(|(i, _)| *i);
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// The greatest objective of rows with enough trades; of equals the first.
fn best(rows: &[SweepRow], config: &SweepConfig) -> Option<usize> {
    let enough = |row: &&SweepRow| row.get("n_trades").is_some_and(|n| n >= config.min_trades as f64);
    let value = |row: &SweepRow| row.get(config.objective.key());
    let mut best: Option<(usize, f64)> = None;
    for (i, row) in rows.iter().enumerate() {
        if let Some(value) = value(row).filter(|_| enough(&row))
            && best.is_none_or(|(_, greatest)| value > greatest)
        {
            best = Some((i, value));
        }
    }
    best.map(|(i, _)| i)
}

/// The best once more, by the general engine. It must say what the sweep said.
fn again(data: &Dataset, config: &SweepConfig, row: &SweepRow) -> Result<RunResult, Error> {
    let result = run(data, &RunConfig { strategy: row.strategy.clone(), ..config.base.clone() })?;
    for (key, value) in MEASURES.iter().zip(&row.values) {
        if result.metrics.get(key).map(f64::to_bits) != value.map(f64::to_bits) {
            let what = format!("{key} is {value:?} in the sweep, {:?} in a run", result.metrics.get(key));
            return Err(Error::Invariant { what });
        }
    }
    Ok(result)
}
