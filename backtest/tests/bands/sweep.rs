//! Sweeps against single runs: the same numbers, whichever engine and however many threads.

use crate::support::Random;
use lobstream_backtest::engine::Fill;
use lobstream_backtest::metrics::deflated::{SharpeSample, dsr};
use lobstream_backtest::metrics::{Conventions, returns};
use lobstream_backtest::model::fee::Fees;
use lobstream_backtest::model::slippage::Slippage;
use lobstream_backtest::sweep::{Axis, Choice, MEASURES, Objective, SweepConfig, SweepResult, sweep};
use lobstream_backtest::{Accounting, Dataset, RunConfig, Series, StrategyConfig, run};

const DAY_MS: i64 = 86_400_000;

fn data() -> Dataset {
    let series = |symbol: &str, seed: u64, n: usize| {
        let mut random = Random::new(seed);
        let mut close: f64 = 50.0;
        let mut bars = Vec::new();
        for _ in 0..n {
            let open = close * (1.0 + 0.005 * random.normal());
            close = open * (1.0 + 0.012 * random.normal()) - (open - 50.0) * 0.02;
            let (top, bottom) = (open.max(close) * 1.003, open.min(close) * 0.997);
            bars.push([open, top, bottom, close]);
        }
        Series::from_ohlc("SSE", symbol, DAY_MS, 0, &bars).expect("series")
    };
    Dataset::from_series(vec![series("A", 5, 900), series("B", 6, 600)]).expect("dataset")
}

fn base(accounting: Accounting) -> RunConfig {
    RunConfig {
        strategy: StrategyConfig::parse("bollinger", []).expect("strategy"),
        fill: Fill::NextOpen,
        accounting,
        fees: Some(Fees::flat(3.0)),
        slippage: Slippage::None,
        conventions: Conventions::ASHARE,
        ..RunConfig::default()
    }
}

fn axis(name: &str, values: &[&str]) -> Axis {
    Axis { name: name.to_owned(), values: values.iter().map(|value| (*value).to_owned()).collect() }
}

fn config(accounting: Accounting) -> SweepConfig {
    SweepConfig {
        base: base(accounting),
        axes: vec![
            axis("n", &["20", "10", "15"]),
            axis("k", &["1", "1.5", "9"]),
            axis("sl", &["none", "0.02"]),
        ],
        choice: Choice::Grid,
        objective: Objective::Sharpe,
        min_trades: 10,
    }
}

fn in_pool(threads: usize, config: &SweepConfig) -> SweepResult {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    pool.install(|| sweep(&data(), config)).expect("sweep")
}

#[test]
fn every_row_is_what_a_single_run_says() {
    for accounting in [Accounting::Unit, Accounting::Cash] {
        let config = config(accounting);
        let swept = in_pool(3, &config);
        assert_eq!(swept.rows.len(), 18);
        assert_eq!(swept.rows[2].params, ["20", "1.5", "none"], "grid order, the last axis fastest");
        for row in &swept.rows {
            let single = run(&data(), &RunConfig { strategy: row.strategy.clone(), ..config.base.clone() })
                .expect("run");
            for (key, value) in MEASURES.iter().zip(&row.values) {
                assert_eq!(single.metrics.get(key), *value, "{key} of {:?}, {accounting:?}", row.params);
            }
        }
        assert!(swept.rows.iter().any(|row| row.get("n_trades") > Some(30.0)));
    }
}

#[test]
fn threads_change_nothing() {
    let config = config(Accounting::Unit);
    let (one, four) = (in_pool(1, &config), in_pool(4, &config));
    assert_eq!((&one.rows, one.best, one.dsr), (&four.rows, four.best, four.dsr));
}

#[test]
fn a_sweep_of_one_is_a_run() {
    let config = SweepConfig { axes: vec![axis("k", &["1.2"])], ..config(Accounting::Unit) };
    let swept = in_pool(2, &config);
    let strategy = StrategyConfig::parse("bollinger", [("k", "1.2")]).expect("strategy");
    let single = run(&data(), &RunConfig { strategy, ..config.base }).expect("run");
    assert_eq!(swept.best_run.expect("the only one").hash, single.hash);
    assert_eq!(swept.dsr, None, "one trial is not deflated");
}

#[test]
fn the_best_has_enough_trades_and_is_deflated_by_all() {
    let swept = in_pool(2, &config(Accounting::Unit));
    let best = &swept.rows[swept.best.expect("one")];
    assert!(best.get("n_trades") >= Some(10.0));
    for row in swept.rows.iter().filter(|row| row.get("n_trades") >= Some(10.0)) {
        assert!(row.get("sharpe") <= best.get("sharpe"), "{:?}", row.params);
    }
    let trials: Vec<f64> = swept.rows.iter().filter_map(|row| row.get("sr_period")).collect();
    assert!(trials.len() < swept.rows.len() && trials.len() == swept.n_trials, "k = 9 never trades");
    let result = swept.best_run.expect("run");
    let equity: Vec<f64> =
        std::iter::once(result.config.cash).chain(result.equity.iter().map(|p| p.equity)).collect();
    let r = returns::returns(&equity);
    let (skew, kurtosis) = returns::skew_kurtosis(&r).expect("spread");
    let sr = returns::mean(&r).expect("returns") / returns::sd(&r).expect("spread");
    let want = dsr(&SharpeSample { sr, n: r.len(), skew, kurtosis }, &trials).expect("trials");
    assert!((swept.dsr.expect("trials") - want).abs() < 1e-12);
    let none = in_pool(2, &SweepConfig { min_trades: 100_000, ..config(Accounting::Unit) });
    assert!(none.best.is_none() && none.best_run.is_none() && none.dsr.is_none());
}

#[test]
fn a_value_out_of_range_is_refused_before_anything_runs() {
    for (name, value) in [("k", "-1"), ("window", "3"), ("n", "2.5")] {
        let config = SweepConfig { axes: vec![axis(name, &[value])], ..config(Accounting::Unit) };
        let error = sweep(&data(), &config).expect_err("refused");
        assert_eq!(error.exit_code(), 2, "{error}");
    }
}
