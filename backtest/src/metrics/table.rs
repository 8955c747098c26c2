//! All measures of a run in printed order, each with its unit, its convention and why it may be missing.

use serde::Serialize;

use crate::engine::{Outcome, Trade};
use crate::metrics::{drawdown, returns, sharpe, sortino, trades};

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

/// Measures a run that began with `start`; a year has `ppy` days.
///
/// Ratios are of daily returns, annualised. A run shorter than two days has none: its ratios per step are of
/// returns per minute.
pub fn measure(outcome: &Outcome, start: f64, ppy: f64) -> Metrics {
    let mut metrics = Metrics::default();
    let sample = Sample::of(outcome, start, ppy);
    equity_metrics(&mut metrics, outcome, start);
    annual_metrics(&mut metrics, &sample);
    step_metrics(&mut metrics, &sample);
    trade_metrics(&mut metrics, outcome);
    cost_metrics(&mut metrics, outcome, start);
    metrics
}

/// Returns per step, and whether they may be annualised.
struct Sample {
    curve: Vec<f64>,
    returns: Vec<f64>,
    step_ms: i64,
    is_annual: bool,
    ppy: f64,
    depth: f64,
}

impl Sample {
    fn of(outcome: &Outcome, start: f64, ppy: f64) -> Sample {
        let equity = &outcome.equity;
        let span_ms = equity.first().zip(equity.last()).map_or(0, |(a, b)| b.ts_ms - a.ts_ms);
        let is_annual = span_ms >= ANNUALISED_MIN_MS;
        let step_ms = if is_annual { DAY_MS } else { MINUTE_MS };
        let curve = returns::resample(start, equity, step_ms);
        let depth = drawdown::deepest(start, equity).map_or(0.0, |worst| worst.depth);
        Sample { returns: returns::returns(&curve), curve, step_ms, is_annual, ppy, depth }
    }

    /// A value per year; `None` if the run is too short for one.
    fn annual(&self, value: impl FnOnce(&Sample) -> Option<f64>) -> Option<f64> {
        if self.is_annual { value(self) } else { None }
    }

    fn note(&self, other: &'static str) -> &'static str {
        if self.is_annual { other } else { "needs_2_days" }
    }
}

fn equity_metrics(m: &mut Metrics, outcome: &Outcome, start: f64) {
    let end = outcome.equity.last().map_or(start, |point| point.equity);
    let convention = "cash and holdings at the last close";
    m.add(("final_equity", "Final equity", Unit::Money), Some(end), convention, "");
    let total = Some(end / start - 1.0);
    m.add(("total_return", "Total return", Unit::Fraction), total, "final / start − 1", "");
    let worst = drawdown::deepest(start, &outcome.equity);
    let convention = "deepest fall from a peak, bar closes, start capital included";
    let depth = Some(worst.map_or(0.0, |worst| worst.depth));
    m.add(("max_drawdown", "Max drawdown", Unit::Fraction), depth, convention, "");
    let recovery = worst.and_then(|w| Some((w.recovery_ms? - w.peak_ms) as f64));
    let note = if worst.is_some() { "not_recovered" } else { "no_drawdown" };
    m.add(("drawdown_ms", "Drawdown, peak to recovery", Unit::Ms), recovery, "of the deepest fall", note);
}

fn annual_metrics(m: &mut Metrics, sample: &Sample) {
    let ppy = sample.ppy;
    let cagr = sample.annual(|s| returns::cagr(&s.curve, ppy));
    let convention = format!("daily, {ppy} days a year");
    m.add(("cagr", "CAGR", Unit::Fraction), cagr, convention, sample.note("nothing_left"));
    let calmar = cagr.filter(|_| sample.depth < 0.0).map(|cagr| cagr / -sample.depth);
    let note = sample.note("no_drawdown");
    m.add(("calmar", "Calmar", Unit::Ratio), calmar, "CAGR / −max drawdown", note);
    let convention = format!("daily, ddof 1, √{ppy}, rf 0");
    let sharpe = sample.annual(|s| sharpe::sharpe(&s.returns, ppy));
    m.add(("sharpe", "Sharpe", Unit::Ratio), sharpe, convention.clone(), sample.note("no_spread"));
    let sortino = sample.annual(|s| sortino::sortino(&s.returns, ppy));
    let downside = format!("daily, Σ min(r, 0)²/n, √{ppy}, mar 0");
    m.add(("sortino", "Sortino", Unit::Ratio), sortino, downside, sample.note("no_downside"));
    let volatility = sample.annual(|s| sharpe::volatility(&s.returns, ppy));
    let convention = format!("daily, ddof 1, √{ppy}");
    m.add(("volatility", "Volatility", Unit::Fraction), volatility, convention, sample.note("no_spread"));
}

fn step_metrics(m: &mut Metrics, sample: &Sample) {
    let (r, step) = (&sample.returns, step_text(sample.step_ms));
    let note = "fewer_than_2_returns_or_no_spread";
    let convention = format!("mean/sd of {step} returns, ddof 1, not annualised");
    m.add(("sr_period", "Sharpe per step", Unit::Ratio), sharpe::per_period(r), convention, note);
    let convention = format!("P(true ratio above 0), {step} returns");
    m.add(("psr", "PSR", Unit::Ratio), sharpe::psr(r), convention, note);
    let moments = returns::skew_kurtosis(r);
    let convention = format!("{step} returns, population");
    m.add(("skew", "Skew", Unit::Ratio), moments.map(|m| m.0), convention.clone(), "no_spread");
    let convention = format!("{convention}, not excess");
    m.add(("kurtosis", "Kurtosis", Unit::Ratio), moments.map(|m| m.1), convention, "no_spread");
}

/// `1 d`, `1 h`, `5 min`, `10 s`.
pub(crate) fn step_text(step_ms: i64) -> String {
    let units = [(DAY_MS, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    let fits = units.into_iter().find(|(ms, _)| step_ms % ms == 0);
    fits.map_or_else(|| format!("{step_ms} ms"), |(ms, unit)| format!("{} {unit}", step_ms / ms))
}

fn trade_metrics(m: &mut Metrics, outcome: &Outcome) {
    let closed: Vec<&Trade> = outcome.trades.iter().filter(|trade| trade.is_closed()).collect();
    let pnl: Vec<f64> = closed.iter().map(|trade| trade.pnl).collect();
    let of = |f: fn(&Trade) -> f64| closed.iter().map(|trade| f(trade)).collect::<Vec<_>>();
    let none = "no_trades";
    let money = |key, label| (key, label, Unit::Money);
    m.add(("n_trades", "Trades", Unit::Count), Some(closed.len() as f64), "closed", "");
    m.add(("win_rate", "Win rate", Unit::Fraction), trades::win_rate(&pnl), "P&L above 0", none);
    let note = if pnl.is_empty() { none } else { "no_losses" };
    m.add(
        ("profit_factor", "Profit factor", Unit::Ratio),
        trades::profit_factor(&pnl),
        "Σ gains / −Σ losses",
        note,
    );
    m.add(money("expectancy", "Expectancy"), returns::mean(&pnl), "mean P&L after fees", none);
    let mean_return = returns::mean(&of(|trade| trade.return_pct));
    m.add(("expectancy_pct", "Expectancy", Unit::Fraction), mean_return, "mean P&L / entry notional", none);
    m.add(money("avg_win", "Average win"), trades::avg_win(&pnl), "mean of the gains", "no_wins");
    m.add(money("avg_loss", "Average loss"), trades::avg_loss(&pnl), "mean of the losses", "no_losses");
    m.add(money("best", "Best trade"), pnl.iter().copied().reduce(f64::max), "P&L", none);
    m.add(money("worst", "Worst trade"), pnl.iter().copied().reduce(f64::min), "P&L", none);
    m.add(("sqn", "SQN", Unit::Ratio), trades::sqn(&pnl), "√N·mean/sd of P&L, ddof 1", "fewer_than_2_trades");
    let held = returns::mean(&of(|trade| (trade.exit_ms - trade.entry_ms) as f64));
    m.add(("avg_hold_ms", "Average holding time", Unit::Ms), held, "entry to exit", none);
}

fn cost_metrics(m: &mut Metrics, outcome: &Outcome, start: f64) {
    let counts = &outcome.counts;
    let share = (counts.bars > 0).then(|| counts.bars_in_position as f64 / counts.bars as f64);
    m.add(
        ("exposure", "Exposure", Unit::Fraction),
        share,
        "bars with a position / bars of all symbols",
        "no_bars",
    );
    let notional =
        |trade: &Trade| trade.notional + if trade.is_closed() { trade.qty * trade.exit } else { 0.0 };
    let traded: f64 = outcome.trades.iter().map(notional).sum();
    let equity: Vec<f64> = outcome.equity.iter().map(|point| point.equity).collect();
    let mean_equity = returns::mean(&equity).unwrap_or(start);
    let convention = "traded notional, both sides / mean equity";
    m.add(("turnover", "Turnover", Unit::Ratio), Some(traded / mean_equity), convention, "");
    let sum = |f: fn(&Trade) -> f64| Some(outcome.trades.iter().map(f).fold(0.0, |a, b| a + b));
    m.add(("fees", "Fees", Unit::Money), sum(|trade| trade.fees), "all fills", "");
    let slipped = sum(|trade| trade.slippage);
    m.add(("slippage_cost", "Slippage cost", Unit::Money), slipped, "fill against the bar's price", "");
    let open: f64 = outcome.trades.iter().filter(|t| !t.is_closed()).map(|t| t.pnl).fold(0.0, |a, b| a + b);
    m.add(
        ("open_pnl", "Open P&L", Unit::Money),
        Some(open),
        "positions left at the end, at the last close",
        "",
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Counts, EquityPoint};

    fn flat_run(step_ms: i64, equity: &[f64]) -> Metrics {
        let points = equity.iter().zip(1..).map(|(&equity, i)| EquityPoint { ts_ms: i * step_ms, equity });
        let (trades, rejections, counts) = (Vec::new(), Vec::new(), Counts::default());
        measure(&Outcome { trades, rejections, equity: points.collect(), counts }, 100.0, 365.0)
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
