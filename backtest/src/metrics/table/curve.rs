//! Measures of the equity curve.

use crate::engine::EquityPoint;
use crate::metrics::conventions::{Conventions, Days};
use crate::metrics::table::{DAY_MS, Metrics, Sample, Unit, step_text};
use crate::metrics::{deflated, drawdown, returns, sharpe, sortino};

/// Where it ended and how deep it fell.
pub(super) fn equity(m: &mut Metrics, curve: &[EquityPoint], start: f64, zone: &str) {
    let end = curve.last().map_or(start, |point| point.equity);
    let convention = "cash and holdings at the last close";
    m.add(("final_equity", "Final equity", Unit::Money), Some(end), convention, "");
    let total = Some(end / start - 1.0);
    m.add(("total_return", "Total return", Unit::Fraction), total, "final / start − 1", "");
    falls(m, curve, start, zone);
}

fn falls(m: &mut Metrics, curve: &[EquityPoint], start: f64, zone: &str) {
    let worst = drawdown::deepest(start, curve);
    let convention = "deepest fall from a peak, bar closes, start capital included";
    let depth = Some(worst.map_or(0.0, |worst| worst.depth));
    m.add(("max_drawdown", "Max drawdown", Unit::Fraction), depth, convention, "");
    let none = "no_drawdown";
    let time = |ms: Option<i64>| ms.map(|ms| ms as f64);
    let of = &format!("of the deepest fall, {zone}")[..];
    m.add(("drawdown_start", "Drawdown start", Unit::Time), time(worst.map(|w| w.peak_ms)), of, none);
    m.add(("drawdown_trough", "Drawdown trough", Unit::Time), time(worst.map(|w| w.trough_ms)), of, none);
    let recovery = worst.and_then(|w| w.recovery_ms);
    let note = if worst.is_some() { "not_recovered" } else { none };
    m.add(("drawdown_recovery", "Drawdown recovery", Unit::Time), time(recovery), of, note);
    let took = worst.and_then(|w| Some((w.recovery_ms? - w.peak_ms) as f64));
    m.add(("drawdown_ms", "Drawdown, peak to recovery", Unit::Ms), took, "of the deepest fall", note);
    let longest = drawdown::longest_ms(start, curve).map(|ms| ms as f64 / DAY_MS as f64);
    let convention = "calendar days from a peak until it was reached again, or to the end";
    m.add(("drawdown_longest_days", "Longest drawdown, days", Unit::Ratio), longest, convention, none);
}

/// Measures per year.
pub(super) fn annual(m: &mut Metrics, sample: &Sample) {
    let Conventions { ppy, rf, mar, .. } = sample.conventions;
    let daily = match sample.conventions.days {
        Days::Every => "daily",
        Days::Traded => "trading days",
    };
    let cagr = sample.annual(|s| returns::cagr(&s.curve, ppy));
    let convention = format!("{daily}, {ppy} a year");
    m.add(("cagr", "CAGR", Unit::Fraction), cagr, convention, sample.note("nothing_left"));
    let depth = m.get("max_drawdown").filter(|depth| *depth < 0.0);
    let calmar = cagr.zip(depth).map(|(cagr, depth)| cagr / -depth);
    m.add(("calmar", "Calmar", Unit::Ratio), calmar, "CAGR / −max drawdown", sample.note("no_drawdown"));
    let value = sample.annual(|s| sharpe::sharpe(&s.returns, ppy, rf));
    let convention = format!("{daily}, ddof 1, √{ppy}, rf {rf}");
    m.add(("sharpe", "Sharpe", Unit::Ratio), value, convention, sample.note("no_spread"));
    let value = sample.annual(|s| sortino::sortino(&s.returns, ppy, mar));
    let convention = format!("{daily}, Σ min(r − mar, 0)²/n, √{ppy}, mar {mar}");
    m.add(("sortino", "Sortino", Unit::Ratio), value, convention, sample.note("no_downside"));
    let value = sample.annual(|s| sharpe::volatility(&s.returns, ppy));
    let convention = format!("{daily}, ddof 1, √{ppy}");
    m.add(("volatility", "Volatility", Unit::Fraction), value, convention, sample.note("no_spread"));
}

/// Measures per step.
pub(super) fn steps(m: &mut Metrics, sample: &Sample) {
    let (r, step) = (&sample.returns, step_text(sample.step_ms));
    let note = "fewer_than_2_returns_or_no_spread";
    m.add(("n_returns", "Returns", Unit::Count), Some(r.len() as f64), format!("of {step}"), "");
    let convention = format!("mean/sd of {step} returns, ddof 1, not annualised");
    m.add(("sr_period", "Sharpe per step", Unit::Ratio), sharpe::per_period(r), convention, note);
    let convention = format!("P(true ratio above 0), {step} returns");
    let psr = deflated::sample(r).and_then(|sample| deflated::psr(&sample, 0.0));
    m.add(("psr", "PSR", Unit::Ratio), psr, convention, note);
    let moments = returns::skew_kurtosis(r);
    let convention = format!("{step} returns, population");
    m.add(("skew", "Skew", Unit::Ratio), moments.map(|m| m.0), convention.clone(), "no_spread");
    let convention = format!("{convention}, not excess");
    m.add(("kurtosis", "Kurtosis", Unit::Ratio), moments.map(|m| m.1), convention, "no_spread");
}

/// Against the benchmark.
pub(super) fn comparison(m: &mut Metrics, sample: &Sample, benchmark: &Sample) {
    let ppy = sample.conventions.ppy;
    let total = returns::total(&benchmark.curve);
    let convention = "equal shares of all symbols, bought at the first open and kept, no costs";
    m.add(("benchmark_return", "Benchmark return", Unit::Fraction), total, convention, "");
    let compared = if sample.is_annual { sample.compare(benchmark) } else { None };
    let note = sample.note("benchmark_does_not_move");
    let beta = compared.map(|c| c.beta);
    m.add(("beta", "Beta", Unit::Ratio), beta, "cov(r, b)/var(b), daily", note);
    let convention = format!("mean(r − rf) − beta·mean(b − rf), daily, ×{ppy}");
    m.add(("alpha", "Alpha", Unit::Fraction), compared.map(|c| c.alpha), convention, note);
    let ratio = compared.and_then(|c| c.information_ratio);
    let convention = format!("mean(r − b)/sd(r − b), ddof 1, daily, √{ppy}");
    m.add(("information_ratio", "Information ratio", Unit::Ratio), ratio, convention, note);
}
