//! Measures of seeded equity curves against quantstats, empyrical and scipy (tests/oracle/metrics.py).

use lobstream_backtest::engine::{Counts, EquityPoint, Outcome};
use lobstream_backtest::metrics::{Conventions, Sample, measure, periods, returns, sharpe, trades};
use serde_json::Value;

const DAY_MS: i64 = 86_400_000;
/// 2020-01-01.
const FIRST_MS: i64 = 18_262 * DAY_MS;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}

fn points(value: &Value) -> Vec<EquityPoint> {
    let day = |(i, equity)| EquityPoint { ts_ms: FIRST_MS + (i as i64 + 1) * DAY_MS, equity };
    numbers(value).into_iter().enumerate().map(day).collect()
}

fn near(what: &str, got: f64, want: f64) {
    assert!((got - want).abs() <= 1e-9 * want.abs().max(1e-3), "{what}: {got}, expected {want}");
}

fn all_near(what: &str, got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{what}");
    got.iter().zip(want).for_each(|(got, want)| near(what, *got, *want));
}

fn check(case: &Value) {
    let name = case["name"].as_str().expect("a name");
    let number = |value: &Value| value.as_f64().expect("a number");
    let (start, ppy, rf) = (number(&case["start"]), number(&case["ppy"]), number(&case["rf"]));
    let conventions = Conventions { ppy, rf, ..Conventions::default() };
    let (equity, benchmark) = (points(&case["curve"]), points(&case["benchmark"]));
    let sample = Sample::of(&equity, start, &conventions);
    let outcome = Outcome { trades: Vec::new(), rejections: Vec::new(), equity, counts: Counts::default() };
    let metrics = measure(&outcome, start, &conventions, Some(&benchmark));
    let want = &case["want"];
    let measured = [
        "total_return",
        "cagr",
        "volatility",
        "sharpe",
        "sortino",
        "max_drawdown",
        "calmar",
        "beta",
        "alpha",
        "information_ratio",
        "skew",
        "kurtosis",
        "psr",
    ];
    for key in measured {
        let got = metrics.get(key).unwrap_or_else(|| panic!("{name}: {key} has a value"));
        near(&format!("{name}: {key}"), got, number(&want[key]));
    }
    let pnl = numbers(&case["pnl"]);
    let of_trades = [
        ("profit_factor", trades::profit_factor(&pnl)),
        ("win_rate", trades::win_rate(&pnl)),
        ("expectancy", returns::mean(&pnl)),
        ("sqn", trades::sqn(&pnl)),
    ];
    for (key, got) in of_trades {
        near(key, got.expect("a value"), number(&want[key]));
    }
    let monthly: Vec<f64> = periods::monthly(start, &sample.steps).iter().map(|m| m.value).collect();
    all_near("monthly", &monthly, &numbers(&want["monthly"]));
    let yearly: Vec<f64> = periods::yearly(start, &sample.steps).iter().map(|y| y.value).collect();
    all_near("yearly", &yearly, &numbers(&want["yearly"]));
    let rolling: Vec<f64> = sharpe::rolling(&sample.returns, 63, ppy, 0.0).into_iter().flatten().collect();
    all_near("rolling sharpe", &rolling, &numbers(&want["rolling_sharpe_63"]));
}

#[test]
fn equal_to_quantstats_and_empyrical() {
    let fixture: Value = serde_json::from_str(include_str!("data/metrics_oracle.json")).expect("JSON");
    let cases = fixture["cases"].as_array().expect("a list");
    assert_eq!(cases.len(), 3);
    cases.iter().for_each(check);
}
