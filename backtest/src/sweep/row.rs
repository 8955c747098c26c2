//! What a sweep keeps of each run.

use crate::metrics::Metrics;
use crate::metrics::deflated::SharpeSample;
use crate::strategy::StrategyConfig;

/// Keys of the measures that each row has.
pub const MEASURES: [&str; 17] = [
    "total_return",
    "cagr",
    "volatility",
    "sharpe",
    "sortino",
    "max_drawdown",
    "calmar",
    "n_trades",
    "win_rate",
    "profit_factor",
    "expectancy_pct",
    "sqn",
    "exposure",
    "sr_period",
    "n_returns",
    "skew",
    "kurtosis",
];

/// One combination and what it was worth.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepRow {
    /// Values of the parameters that varied, as text.
    pub params: Vec<String>,
    /// The strategy with all its parameters.
    pub strategy: StrategyConfig,
    /// Values of [`MEASURES`]; `None` where one is not defined.
    pub values: Vec<Option<f64>>,
}

impl SweepRow {
    pub(super) fn new(params: Vec<String>, strategy: StrategyConfig, metrics: &Metrics) -> SweepRow {
        let values = MEASURES.iter().map(|key| metrics.get(key)).collect();
        SweepRow { params, strategy, values }
    }

    /// A measure by key; `None` if it is unknown or not defined.
    pub fn get(&self, key: &str) -> Option<f64> {
        let at = MEASURES.iter().position(|measure| *measure == key)?;
        self.values[at]
    }

    /// What its returns say about its Sharpe ratio.
    pub fn sample(&self) -> Option<SharpeSample> {
        Some(SharpeSample {
            sr: self.get("sr_period")?,
            n: self.get("n_returns")? as usize,
            skew: self.get("skew")?,
            kurtosis: self.get("kurtosis")?,
        })
    }
}
