//! Measures of trades and of what they cost.

use crate::engine::{Outcome, Trade};
use crate::metrics::table::{Metrics, Sample, Unit};
use crate::metrics::{returns, trades};

pub(super) fn trades(m: &mut Metrics, outcome: &Outcome) {
    let closed: Vec<&Trade> = outcome.trades.iter().filter(|trade| trade.is_closed()).collect();
    let of = |f: fn(&Trade) -> f64| closed.iter().map(|trade| f(trade)).collect::<Vec<_>>();
    results(m, &of(|trade| trade.pnl), &of(|trade| trade.return_pct));
    let none = "no_trades";
    let held = returns::mean(&of(|trade| (trade.exit_ms - trade.entry_ms) as f64));
    let bars = returns::mean(&of(|trade| trade.bars_held() as f64));
    m.add(
        ("avg_hold_bars", "Average holding time, bars", Unit::Ratio),
        bars,
        "entry and exit bar counted",
        none,
    );
    m.add(("avg_hold_ms", "Average holding time", Unit::Ms), held, "entry to exit", none);
}

/// What can be said of closed trades by their P&L and their returns alone.
pub(super) fn results(m: &mut Metrics, pnl: &[f64], return_pct: &[f64]) {
    let none = "no_trades";
    let money = |key, label| (key, label, Unit::Money);
    m.add(
        ("n_trades", "Trades", Unit::Count),
        Some(pnl.len() as f64),
        "closed; parts of a position sold apart count each",
        "",
    );
    m.add(("win_rate", "Win rate", Unit::Fraction), trades::win_rate(pnl), "P&L above 0", none);
    let note = if pnl.is_empty() { none } else { "no_losses" };
    m.add(
        ("profit_factor", "Profit factor", Unit::Ratio),
        trades::profit_factor(pnl),
        "Σ gains / −Σ losses",
        note,
    );
    m.add(money("expectancy", "Expectancy"), returns::mean(pnl), "mean P&L after fees", none);
    let mean_return = returns::mean(return_pct);
    m.add(("expectancy_pct", "Expectancy", Unit::Fraction), mean_return, "mean P&L / entry notional", none);
    m.add(money("avg_win", "Average win"), trades::avg_win(pnl), "mean of the gains", "no_wins");
    m.add(money("avg_loss", "Average loss"), trades::avg_loss(pnl), "mean of the losses", "no_losses");
    m.add(money("best", "Best trade"), pnl.iter().copied().reduce(f64::max), "P&L", none);
    m.add(money("worst", "Worst trade"), pnl.iter().copied().reduce(f64::min), "P&L", none);
    m.add(("sqn", "SQN", Unit::Ratio), trades::sqn(pnl), "√N·mean/sd of P&L, ddof 1", "fewer_than_2_trades");
}

/// Share of the bars with a position.
pub(super) fn exposure(m: &mut Metrics, bars_in_position: usize, bars: usize) {
    let share = (bars > 0).then(|| bars_in_position as f64 / bars as f64);
    m.add(
        ("exposure", "Exposure", Unit::Fraction),
        share,
        "bars with a position / bars of all symbols",
        "no_bars",
    );
}

pub(super) fn costs(m: &mut Metrics, outcome: &Outcome, start: f64, sample: &Sample) {
    let notional =
        |trade: &Trade| trade.notional + if trade.is_closed() { trade.qty * trade.exit } else { 0.0 };
    let traded: f64 = outcome.trades.iter().map(notional).sum();
    let equity: Vec<f64> = outcome.equity.iter().map(|point| point.equity).collect();
    let mean_equity = returns::mean(&equity).unwrap_or(start);
    let convention = "traded notional, both sides / mean equity";
    m.add(("turnover", "Turnover", Unit::Ratio), Some(traded / mean_equity), convention, "");
    let years = sample.returns.len() as f64 / sample.conventions.ppy;
    let per_year = sample.annual(|_| Some(traded / mean_equity / years));
    let convention = format!("{convention} / years of {} returns", sample.conventions.ppy);
    m.add(
        ("turnover_per_year", "Turnover a year", Unit::Ratio),
        per_year,
        convention,
        sample.note("no_steps"),
    );
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
