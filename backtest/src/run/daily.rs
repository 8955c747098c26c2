//! One run over daily tables: the portfolio of a strategy, measured and reported like any other run.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::dataset::{DailyData, PriceBasis, Series, TICK_E4};
use crate::engine::daily::{DailyOutcome, DailyRules, DailyStrategy, DailyTrade, run_days};
use crate::engine::{
    Counts, EquityPoint, ExitReason, HashTrade, Outcome, Rejection, ResolvedBy, Trade, run_hash,
};
use crate::error::Error;
use crate::metrics::benchmark::hold;
use crate::metrics::{Benchmark, measure};
use crate::model::Side;
use crate::rules::AshareRules;
use crate::run::{RunConfig, RunResult, extrapolated, whole_fen};
use crate::strategy::StrategyConfig;

/// Length of a daily bar, ms.
const DAY_MS: i64 = 86_400_000;

/// Runs the configured strategy over daily tables. No trades is a valid result.
///
/// # Errors
/// A strategy that needs bars instead, settings out of range, a day without rules.
pub fn run_daily(data: &DailyData, rules: &AshareRules, config: &RunConfig) -> Result<RunResult, Error> {
    match &config.strategy {
        StrategyConfig::BollingerMicro(params) => {
            config.strategy.check()?;
            run_daily_with(data, rules, config, &mut params.rule())
        }
        other => Err(Error::WrongData { strategy: other.name(), needs: "bars or per-second rows" }),
    }
}

/// The same with a strategy of one's own; `config.strategy` then only names what the report shows.
///
/// # Errors
/// Settings out of range, a day without rules.
pub fn run_daily_with<S: DailyStrategy>(
    data: &DailyData,
    rules: &AshareRules,
    config: &RunConfig,
    strategy: &mut S,
) -> Result<RunResult, Error> {
    let portfolio = config.portfolio.unwrap_or_default();
    if !(config.cash > 0.0 && config.cash <= 1e12) {
        let expected = "an amount above 0 and at most 1e12".to_owned();
        return Err(Error::Parameter { name: "cash", value: config.cash.to_string(), expected });
    }
    whole_fen(config.cash)?;
    let trading = DailyRules { market: rules.clone(), portfolio };
    let outcome = run_days(data, &trading, config.cash, strategy)?;
    let config = RunConfig { portfolio: Some(portfolio), rules: Some(rules.hash()), ..config.clone() };
    Ok(result(data, rules, config, outcome))
}

fn result(data: &DailyData, rules: &AshareRules, config: RunConfig, done: DailyOutcome) -> RunResult {
    let place = traded(&done);
    let series = place.keys().map(|stock| Arc::new(Series::from_daily(&data.stocks[*stock]))).collect();
    let warnings = warnings(data, rules, &done);
    let hash = hash(data, &done);
    let outcome = Outcome {
        trades: done.trades.iter().map(|trade| row(trade, place[&trade.stock])).collect(),
        rejections: done.rejections.iter().map(|r| Rejection { series: place[&r.series], ..*r }).collect(),
        counts: Counts {
            bars: data.calendar.len(),
            bars_in_position: done.days_held,
            exits_by_bar: done.trades.iter().filter(|t| t.reason != ExitReason::Open).count(),
            ..Counts::default()
        },
        equity: done.equity,
    };
    let benchmark = benchmark(data, &config, &outcome.equity);
    RunResult {
        series,
        step_ms: DAY_MS,
        metrics: measure(&outcome, config.cash, &config.conventions, benchmark.as_deref()),
        benchmark,
        config,
        hash,
        warnings,
        trades: outcome.trades,
        rejections: outcome.rejections,
        equity: outcome.equity,
        counts: outcome.counts,
        tally: done.tally,
        late_reads: done.late_reads,
    }
}

/// All stocks of the data held, whether traded or not.
fn benchmark(data: &DailyData, config: &RunConfig, equity: &[EquityPoint]) -> Option<Vec<EquityPoint>> {
    match config.benchmark {
        Benchmark::None => None,
        Benchmark::Hold => {
            let stocks = data.stocks.iter().filter(|stock| !stock.bars.is_empty());
            let all: Vec<Arc<Series>> = stocks.map(|stock| Arc::new(Series::from_daily(stock))).collect();
            Some(hold(&all, None, config.cash, equity))
        }
    }
}

/// Stocks that were traded or refused, with their place among them: others change nothing.
fn traded(done: &DailyOutcome) -> BTreeMap<usize, usize> {
    let trades = done.trades.iter().map(|trade| trade.stock);
    let all = trades.chain(done.rejections.iter().map(|r| r.series));
    let mut place: BTreeMap<usize, usize> = all.map(|stock| (stock, 0)).collect();
    place.values_mut().zip(0..).for_each(|(place, k)| *place = k);
    place
}

fn row(trade: &DailyTrade, series: usize) -> Trade {
    let price = |e4: i64| e4 as f64 / 1e4;
    Trade {
        series,
        side: Side::Long,
        i0: trade.i0,
        i1: trade.i1,
        decided_in: trade.decided_in,
        decided_out: trade.decided_out,
        entry_ms: trade.entry_ms,
        exit_ms: trade.exit_ms,
        entry: price(trade.entry_e4),
        exit: price(trade.exit_e4),
        qty: trade.qty as f64,
        notional: trade.cost.cny(),
        sl: trade.stop_e4.map(price),
        tp: trade.resistance_e4.map(price),
        pnl: trade.pnl.cny(),
        return_pct: trade.pnl.cny() / trade.cost.cny(),
        fees: trade.fees.cny(),
        slippage: trade.slippage.cny(),
        mae: trade.mae,
        mfe: trade.mfe,
        reason: trade.reason,
        resolved_by: ResolvedBy::Bar,
        position: trade.position,
        entry_reason: trade.entry_reason,
        carried_days: trade.carried_days,
    }
}

/// Quantities in shares; prices in ticks, adjusted ones in 10⁻⁴ CNY.
fn hash(data: &DailyData, done: &DailyOutcome) -> String {
    let unit = match data.basis {
        PriceBasis::Traded => TICK_E4,
        PriceBasis::Adjusted => 1,
    };
    let line = |trade: &DailyTrade| HashTrade {
        symbol: &data.stocks[trade.stock].code,
        entry_ns: trade.entry_ms * 1_000_000,
        exit_ns: trade.exit_ms * 1_000_000,
        qty: trade.qty,
        entry_ticks: trade.entry_e4 / unit,
        exit_ticks: trade.exit_e4 / unit,
        pnl: trade.pnl.cny(),
        reason: trade.reason.as_str(),
    };
    run_hash(&done.trades.iter().map(line).collect::<Vec<_>>(), &done.equity)
}

fn warnings(data: &DailyData, rules: &AshareRules, done: &DailyOutcome) -> Vec<String> {
    let mut warnings = Vec::new();
    if data.basis == PriceBasis::Adjusted {
        warnings.push(
            "limits_approx: prices are adjusted, so limits come from adjusted reference prices, one tick narrower; \
             nothing is booked on ex-dates"
                .to_owned(),
        );
    }
    warnings.extend(extrapolated(rules));
    let count = |name: &str| done.tally.iter().find(|(key, _)| *key == name).map_or(0, |(_, n)| *n);
    let mut note = |name, text: &str| {
        if count(name) > 0 {
            warnings.push(format!("{}: {text}", count(name)));
        }
    };
    note("actions_as_cash", "ex-dates without a row of the table of actions, taken as cash altogether");
    note(
        "stop_unevaluated",
        "closes below the broken support that no flow could judge: held (stop_unevaluated)",
    );
    note("entries_without_quality", "entries without a fund-quality score, which had no data");
    note(
        "entries_without_support_test",
        "entries whose support was never tested on trades, which had no data",
    );
    warnings
}
