//! Reports of a seeded market, from rows to files.

mod support;

use std::path::{Path, PathBuf};

use lobstream_backtest::{
    Dataset, DatasetOptions, ReportOptions, RunConfig, RunResult, StrategyConfig, report, run,
};
use lobstream_market::factor::row::FactorRow;

const START_MS: i64 = 1_723_075_200_000 - 1_500_000;

fn result(rows: Vec<FactorRow>, step_ms: i64, strategy: &str, params: &[(&str, &str)]) -> RunResult {
    let data = Dataset::from_rows(rows, &DatasetOptions { step_ms }).expect("dataset");
    let strategy = StrategyConfig::parse(strategy, params.iter().copied()).expect("strategy");
    run(&data, &RunConfig { strategy, ..RunConfig::default() }).expect("run")
}

fn out(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&dir);
    dir
}

#[test]
fn an_hour_of_one_symbol() {
    let rows = support::market("binance-usdm", "BTCUSDT", 7, START_MS, 3_600, 61_700.0);
    let result = result(rows, 1_000, "bollinger_micro", &[("short", "true")]);
    println!("{} trades, {:?}", result.trades.len(), result.metrics.get("total_return"));
    report::write(&result, &out("hour"), &ReportOptions::default()).expect("written");
}
