//! All measures of a run in printed order, each with its unit, its convention and why it may be missing.

use serde::Serialize;

use crate::engine::{Outcome, Trade};
use crate::metrics::{drawdown, returns, sharpe, sortino, trades};

/// One day.
const DAY_MS: i64 = 86_400_000;

/// How returns are cut.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MetricSettings {
    /// Calendar step of the returns, ms: whole seconds that divide a day. Default one day.
    /// Only daily returns are annualised.
    pub step_ms: i64,
    /// Periods a year for annualised ratios. Default 365.
    pub ppy: f64,
}

impl Default for MetricSettings {
    fn default() -> Self {
        MetricSettings { step_ms: DAY_MS, ppy: 365.0 }
    }
}

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

/// Measures a run that began with `start`.
pub fn measure(outcome: &Outcome, start: f64, settings: &MetricSettings) -> Metrics {
    let mut metrics = Metrics::default();
    equity_metrics(&mut metrics, outcome, start, settings);
    ratio_metrics(&mut metrics, outcome, start, settings);
    trade_metrics(&mut metrics, outcome);
    cost_metrics(&mut metrics, outcome, start);
    metrics
}

fn equity_metrics(m: &mut Metrics, outcome: &Outcome, start: f64, settings: &MetricSettings) {
    let end = outcome.equity.last().map_or(start, |point| point.equity);
    m.add(
        ("final_equity", "Final equity", Unit::Money),
        Some(end),
        "cash and holdings at the last close",
        "",
    );
    m.add(("total_return", "Total return", Unit::Fraction), Some(end / start - 1.0), "final / start − 1", "");
    let worst = drawdown::deepest(start, &outcome.equity);
    let convention = "deepest fall from a peak, bar closes, start capital included";
    let depth = worst.map_or(0.0, |worst| worst.depth);
    m.add(("max_drawdown", "Max drawdown", Unit::Fraction), Some(depth), convention, "");
    let recovery = worst.and_then(|w| Some((w.recovery_ms? - w.peak_ms) as f64));
    let note = if worst.is_some() { "not_recovered" } else { "no_drawdown" };
    m.add(("drawdown_ms", "Drawdown, peak to recovery", Unit::Ms), recovery, "of the deepest fall", note);
    let curve = returns::resample(start, &outcome.equity, DAY_MS);
    let cagr = daily(settings).then(|| returns::cagr(&curve, settings.ppy)).flatten();
    let cagr = cagr.filter(|_| curve.len() > 2);
    m.add(
        ("cagr", "CAGR", Unit::Fraction),
        cagr,
        format!("daily, {} days a year", settings.ppy),
        "needs_2_days",
    );
    let calmar = cagr.filter(|_| depth < 0.0).map(|cagr| cagr / -depth);
    let note = if depth < 0.0 { "needs_2_days" } else { "no_drawdown" };
    m.add(("calmar", "Calmar", Unit::Ratio), calmar, "CAGR / −max drawdown", note);
}

fn daily(settings: &MetricSettings) -> bool {
    settings.step_ms == DAY_MS
}

fn ratio_metrics(m: &mut Metrics, outcome: &Outcome, start: f64, settings: &MetricSettings) {
    let r = returns::returns(&returns::resample(start, &outcome.equity, settings.step_ms));
    let step = step_text(settings.step_ms);
    let annual = |value: Option<f64>| value.filter(|_| daily(settings));
    let ppy = settings.ppy;
    let note = if daily(settings) { "needs_2_days" } else { "only_daily_returns_are_annualised" };
    let convention = format!("daily, ddof 1, √{ppy}, rf 0");
    m.add(("sharpe", "Sharpe", Unit::Ratio), annual(sharpe::sharpe(&r, ppy)), convention.clone(), note);
    let enough = annual(sortino::sortino(&r, ppy)).filter(|_| r.len() > 1);
    let no_loss = if daily(settings) && r.len() > 1 { "no_downside" } else { note };
    m.add(("sortino", "Sortino", Unit::Ratio), enough, format!("daily, Σ/n, √{ppy}, mar 0"), no_loss);
    m.add(
        ("volatility", "Volatility", Unit::Fraction),
        annual(sharpe::volatility(&r, ppy)),
        convention,
        note,
    );
    let per_period = sharpe::per_period(&r);
    let convention = format!("mean/sd of {step} returns, ddof 1, not annualised");
    let label = ("sr_period", "Sharpe per step", Unit::Ratio);
    m.add(label, per_period, convention, "fewer_than_2_returns_or_no_spread");
    let convention = format!("P(ratio above 0), {step} returns");
    m.add(("psr", "PSR", Unit::Ratio), sharpe::psr(&r), convention, "fewer_than_2_returns_or_no_spread");
    let moments = returns::skew_kurtosis(&r);
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
