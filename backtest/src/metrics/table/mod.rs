//! All measures of a run in printed order, each with its unit, its convention and why it may be missing.

mod curve;
mod trade;

use serde::Serialize;

use crate::engine::{EquityPoint, Outcome};
use crate::metrics::benchmark::{self, Comparison};
use crate::metrics::conventions::{Conventions, Days};
use crate::metrics::returns;
use crate::metrics::returns::Step;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

/// Less than this is not stretched to a year.
const ANNUALISED_MIN_MS: i64 = 2 * DAY_MS;

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A fraction, shown in per cent.
    Fraction,
    /// Quote currency.
    Money,
    /// A pure number.
    Ratio,
    /// Whole things.
    Count,
    /// Milliseconds, shown as a duration.
    Ms,
    /// Milliseconds since 1970, shown as a time.
    Time,
}

/// One measure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metric {
    /// Its key in `summary.json`.
    pub key: &'static str,
    /// Its name.
    pub label: &'static str,
    /// Its value; `None` if it is not defined here.
    pub value: Option<f64>,
    /// What it counts.
    pub unit: Unit,
    /// How it is computed.
    pub convention: String,
    /// Why there is no value.
    pub note: Option<&'static str>,
}

/// All measures, in printed order.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Metrics {
    /// In printed order.
    pub list: Vec<Metric>,
}

impl Metrics {
    /// A value by key; `None` if it is unknown or not defined here.
    pub fn get(&self, key: &str) -> Option<f64> {
        self.list.iter().find(|metric| metric.key == key)?.value
    }

    fn add(
        &mut self,
        (key, label, unit): (&'static str, &'static str, Unit),
        value: Option<f64>,
        convention: impl Into<String>,
        note: &'static str,
    ) {
        let value = value.filter(|x| x.is_finite());
        let note = value.is_none().then_some(note);
        self.list.push(Metric { key, label, value, unit, convention: convention.into(), note });
    }
}

/// Measures a run that began with `start`, beside a benchmark if there is one.
///
/// Ratios are of daily returns, annualised. A run shorter than two days has none: its ratios per step are of
/// returns per minute.
pub fn measure(
    outcome: &Outcome,
    start: f64,
    conventions: &Conventions,
    benchmark: Option<&[EquityPoint]>,
) -> Metrics {
    let mut metrics = Metrics::default();
    let sample = Sample::of(&outcome.equity, start, conventions);
    on_curve(&mut metrics, &outcome.equity, start, &sample);
    if let Some(benchmark) = benchmark {
        curve::comparison(&mut metrics, &sample, &Sample::of(benchmark, start, conventions));
    }
    trade::trades(&mut metrics, outcome);
    trade::exposure(&mut metrics, outcome.counts.bars_in_position, outcome.counts.bars);
    trade::costs(&mut metrics, outcome, start, &sample);
    metrics
}

/// The measures of [`measure`] that do not ask for single trades, the same to the bit.
pub fn measure_totals(outcome: &Totals, start: f64, conventions: &Conventions) -> Metrics {
    let mut metrics = Metrics::default();
    let sample = Sample::of(&outcome.equity, start, conventions);
    on_curve(&mut metrics, &outcome.equity, start, &sample);
    trade::results(&mut metrics, &outcome.pnl, &outcome.return_pct);
    trade::exposure(&mut metrics, outcome.bars_in_position, outcome.bars);
    metrics
}

fn on_curve(metrics: &mut Metrics, equity: &[EquityPoint], start: f64, sample: &Sample) {
    curve::equity(metrics, equity, start, &sample.conventions.zone());
    curve::annual(metrics, sample);
    curve::steps(metrics, sample);
}

/// What is left of a run that kept no trades.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// One point per bar time.
    pub equity: Vec<EquityPoint>,
    /// P&L of the closed trades: by exit time, then series.
    pub pnl: Vec<f64>,
    /// The same over what was staked.
    pub return_pct: Vec<f64>,
    /// Bars of all symbols.
    pub bars: usize,
    /// Those in which a position was held at any time.
    pub bars_in_position: usize,
}

/// Returns per step, and whether they may be annualised.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Equity per step.
    pub steps: Vec<Step>,
    /// Its returns, the first over the start capital.
    pub returns: Vec<f64>,
    /// Length of a step, ms: a day, or a minute for runs of less than two days.
    pub step_ms: i64,
    /// Long enough for measures per year.
    pub is_annual: bool,
    curve: Vec<f64>,
    conventions: Conventions,
}

impl Sample {
    /// The sample of an equity curve.
    pub fn of(equity: &[EquityPoint], start: f64, conventions: &Conventions) -> Sample {
        let span_ms = equity.first().zip(equity.last()).map_or(0, |(a, b)| b.ts_ms - a.ts_ms);
        let is_annual = span_ms >= ANNUALISED_MIN_MS;
        let step_ms = if is_annual { DAY_MS } else { MINUTE_MS };
        let days = if is_annual { conventions.days } else { Days::Every };
        let steps = returns::steps(equity, step_ms, conventions.utc_offset_ms, days);
        let curve = returns::curve(start, &steps);
        let returns = returns::returns(&curve);
        Sample { steps, returns, step_ms, is_annual, curve, conventions: *conventions }
    }

    /// A value per year; `None` if the run is too short for one.
    fn annual(&self, value: impl FnOnce(&Sample) -> Option<f64>) -> Option<f64> {
        if self.is_annual { value(self) } else { None }
    }

    fn note(&self, other: &'static str) -> &'static str {
        if self.is_annual { other } else { "needs_2_days" }
    }

    fn compare(&self, benchmark: &Sample) -> Option<Comparison> {
        let Conventions { ppy, rf, .. } = self.conventions;
        benchmark::compare(&self.returns, &benchmark.returns, ppy, rf)
    }
}

/// `1 d`, `1 h`, `5 min`, `10 s`.
pub(crate) fn step_text(step_ms: i64) -> String {
    let units = [(DAY_MS, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    let fits = units.into_iter().find(|(ms, _)| step_ms % ms == 0);
    fits.map_or_else(|| format!("{step_ms} ms"), |(ms, unit)| format!("{} {unit}", step_ms / ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Counts, EquityPoint};

    fn flat_run(step_ms: i64, equity: &[f64]) -> Metrics {
        let points = equity.iter().zip(1..).map(|(&equity, i)| EquityPoint { ts_ms: i * step_ms, equity });
        let (trades, rejections, counts) = (Vec::new(), Vec::new(), Counts::default());
        let outcome = Outcome { trades, rejections, equity: points.collect(), counts };
        measure(&outcome, 100.0, &Conventions::default(), None)
    }

    #[test]
    fn an_hour_is_not_stretched_to_a_year() {
        let metrics = flat_run(MINUTE_MS, &[100.0, 101.0, 100.5, 102.0]);
        assert_eq!(metrics.get("sharpe"), None);
        assert!(metrics.get("sr_period").is_some_and(|sr| sr > 0.0));
        let sharpe = metrics.list.iter().find(|metric| metric.key == "sharpe").expect("listed");
        assert_eq!(sharpe.note, Some("needs_2_days"));
    }

    #[test]
    fn days_are() {
        let metrics = flat_run(DAY_MS, &[101.0, 100.5, 102.0]);
        let (sharpe, per_day) =
            (metrics.get("sharpe").expect("value"), metrics.get("sr_period").expect("value"));
        assert!((sharpe - per_day * 365f64.sqrt()).abs() < 1e-12);
        assert_eq!(metrics.get("profit_factor"), None);
    }

    #[test]
    fn keys_are_unique() {
        let metrics = flat_run(DAY_MS, &[101.0]);
        let keys: std::collections::BTreeSet<_> = metrics.list.iter().map(|metric| metric.key).collect();
        assert_eq!(keys.len(), metrics.list.len());
    }
}
