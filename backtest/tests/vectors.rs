//! The numbers of the backtest page, computed outside this code base.

use std::io::Write;
use std::path::PathBuf;

use lobstream_backtest::dataset::{Dataset, Date, Series};
use lobstream_backtest::engine::{
    Brackets, EquityPoint, Fill, HashTrade, Intent, Outcome, Rules, Trade, drive, run_hash,
};
use lobstream_backtest::metrics::deflated::{self, SharpeSample};
use lobstream_backtest::metrics::{Days, drawdown, returns, sharpe, sortino, trades};
use lobstream_backtest::model::Side;
use lobstream_backtest::model::ashare_fee::OrderSide;
use lobstream_backtest::model::fee::Fees;
use lobstream_backtest::model::money::Fen;
use lobstream_backtest::model::slippage::Slippage;
use lobstream_backtest::portfolio::UnitAccount;
use lobstream_backtest::rules::{AshareRules, Board, limits};
use lobstream_backtest::strategy::Bollinger;
use lobstream_backtest::{Accounting, RunConfig, StrategyConfig, run};
use serde_json::Value;

/// Vectors of parts that are not built, each with the reason.
const LEFT_OUT: &[(&str, &str)] = &[("queue", "the tick engine")];

const RUN: &[&str] = &[
    "bar_semantics",
    "limits",
    "limit_pct",
    "fees",
    "lot_sizing",
    "strategy",
    "parity_close",
    "parity_next_open",
    "parity_bars",
    "metrics",
    "metrics_no_loss",
    "dsr",
    "run_hash",
    "note",
];

fn vectors(test: &str) -> Option<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/spec/vectors/backtest.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        let _ =
            writeln!(std::io::stderr(), "SKIPPED {test}: no vectors at ../shared/spec/vectors/backtest.json");
        return None;
    };
    Some(serde_json::from_str(&text).expect("the vectors are JSON"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is a number"))
}

fn index(value: &Value) -> usize {
    value.as_u64().expect("an index") as usize
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn ohlc(value: &Value) -> Vec<[f64; 4]> {
    list(value).iter().map(|bar| std::array::from_fn(|i| number(&bar[i]))).collect()
}

fn side(value: &Value) -> Option<Side> {
    match value.as_i64().expect("-1, 0 or 1") {
        1 => Some(Side::Long),
        -1 => Some(Side::Short),
        _ => None,
    }
}

fn close_to(got: f64, want: f64, what: &str) {
    assert!((got - want).abs() <= 1e-9 * want.abs().max(1e-3), "{what}: {got}, expected {want}");
}

#[test]
fn every_vector_is_run_or_left_out_for_a_reason() {
    let Some(vectors) = vectors("every_vector_is_run_or_left_out_for_a_reason") else { return };
    for key in vectors.as_object().expect("an object").keys() {
        let out = LEFT_OUT.iter().find(|(name, _)| name == key);
        assert!(out.is_some() != RUN.contains(&key.as_str()), "{key} is neither run nor left out");
        if let Some((name, reason)) = out {
            println!("left out: {name} ({reason})");
        }
    }
}

/// One case of `bar_semantics`: intents as given, all in, no fees.
fn play(case: &Value) -> Outcome {
    let params = &case["params"];
    let mut series =
        Series::from_ohlc("binance-usdm", "X", 86_400_000, 0, &ohlc(&case["bars"])).expect("series");
    for i in 0..series.bars.len() {
        let px = params["detail"][i.to_string()].as_array();
        series.detail.push_bar(px.into_iter().flatten().map(number));
    }
    let brackets = Brackets {
        sl: params["sl"].as_f64(),
        tp: params["tp"].as_f64(),
        max_hold: params["max_hold"].as_u64().map(|n| n as usize),
    };
    let fill = if params["fill"] == "close" { Fill::Close } else { Fill::NextOpen };
    let detail = !params["detail"].is_null();
    let rules = Rules {
        fill,
        brackets,
        slippage: Slippage::None,
        detail,
        t1: params["t1"] == true,
        tick: None,
        volume_cap: None,
    };
    let (enter, exit) = (list(&case["enter"]), list(&case["exit"]));
    let mut account = UnitAccount::new(1.0, Fees::NONE);
    let data = Dataset::from_series(vec![series]).expect("dataset");
    drive(data.series(), &rules, &mut account, |_, now| {
        let i = (now.now_ms() / 86_400_000 - 1) as usize;
        let exit = exit[i].as_bool().expect("a flag");
        Intent { enter: side(&enter[i]), exit_long: exit, exit_short: exit }
    })
    .expect("run")
}

fn same_trade(name: &str, got: &Trade, want: &Value) {
    assert_eq!((got.i0, got.i1), (index(&want["i0"]), index(&want["i1"])), "{name}: {got:?}");
    assert_eq!(Some(got.side), side(&want["side"]), "{name}");
    assert_eq!(got.reason.as_str(), want["reason"].as_str().expect("a reason"), "{name}");
    close_to(got.entry, number(&want["entry"]), name);
    close_to(got.exit, number(&want["exit"]), name);
}

#[test]
fn bar_semantics() {
    let Some(vectors) = vectors("bar_semantics") else { return };
    let cases = list(&vectors["bar_semantics"]);
    assert_eq!(cases.len(), 19);
    for case in cases {
        let name = case["name"].as_str().expect("a name");
        let outcome = play(case);
        let want = list(&case["trades"]);
        assert_eq!(outcome.trades.len(), want.len(), "{name}: {:?}", outcome.trades);
        for (got, want) in outcome.trades.iter().zip(want) {
            same_trade(name, got, want);
        }
    }
}

#[test]
fn limits_of_the_page() {
    let Some(vectors) = vectors("limits_of_the_page") else { return };
    let int = |value: &Value| value.as_i64().expect("an integer");
    for case in list(&vectors["limits"]) {
        let got = limits(int(&case["prev_close_ticks"]), int(&case["pct"]), true);
        assert_eq!((got.up, got.down), (int(&case["up"]), int(&case["down"])), "{case}");
    }
}

fn day(value: &Value) -> Date {
    value.as_str().expect("a day").parse().expect("a day")
}

#[test]
fn limit_percents_of_the_page() {
    let Some(vectors) = vectors("limit_percents_of_the_page") else { return };
    let rules = AshareRules::built_in();
    for case in list(&vectors["limit_pct"]) {
        let board: Board = case["board"].as_str().expect("text").parse().expect("a board");
        let got = rules.limit_percent(board, case["st"] == true, day(&case["date"])).expect("covered");
        assert_eq!(Some(got), case["pct"].as_i64(), "{case}");
    }
}

#[test]
fn fees_of_the_page() {
    let Some(vectors) = vectors("fees_of_the_page") else { return };
    let (rules, fen) = (AshareRules::built_in(), |value: &Value| Fen::of_cny(number(value)));
    for case in list(&vectors["fees"]) {
        let side = if case["side"] == "sell" { OrderSide::Sell } else { OrderSide::Buy };
        let price_e4 = (number(&case["price"]) * 1e4).round() as i64;
        let amount = Fen::amount(price_e4, case["qty"].as_i64().expect("shares"));
        let got = rules.fees(side, amount, day(&case["date"])).expect("covered");
        let want = [&case["commission"], &case["stamp"], &case["transfer"], &case["total"]].map(fen);
        assert_eq!([got.commission, got.stamp, got.transfer, got.total()], want, "{case}");
    }
}

#[test]
fn lot_sizing_of_the_page() {
    let Some(vectors) = vectors("lot_sizing_of_the_page") else { return };
    let (rules, date) = (AshareRules::built_in(), "2025-06-03".parse().expect("a day"));
    for case in list(&vectors["lot_sizing"]) {
        let board: Board = case["board"].as_str().expect("text").parse().expect("a board");
        let price_e4 = (number(&case["price"]) * 1e4).round() as i64;
        let fees = |amount| rules.fees(OrderSide::Buy, amount, date).map(|fees| fees.total());
        let budget = Fen::of_cny(number(&case["cash"]));
        let qty = rules.lot(board).affordable(budget, price_e4, fees).expect("covered");
        assert_eq!(Some(qty), case["qty"].as_i64(), "{case}");
        let amount = Fen::amount(price_e4, qty);
        let cost = if qty == 0 { Fen::ZERO } else { amount + fees(amount).expect("covered") };
        assert_eq!(cost, Fen::of_cny(number(&case["cost"])), "{case}");
    }
}

fn parity(key: &str, fill: Fill) {
    let Some(vectors) = vectors(key) else { return };
    let (bars, want) = (ohlc(&vectors["parity_bars"]), &vectors[key]);
    let series = Series::from_ohlc("binance-usdm", "X", 86_400_000, 0, &bars).expect("series");
    let strategy = Bollinger {
        n: index(&want["window"]),
        k: number(&want["k"]),
        sl: want["sl"].as_f64(),
        tp: want["tp"].as_f64(),
        ..Bollinger::default()
    };
    let config = RunConfig {
        strategy: StrategyConfig::Bollinger(strategy),
        fill,
        cash: 1.0,
        accounting: Accounting::Unit,
        fees: Some(Fees::flat(number(&want["fee"]) * 1e4)),
        slippage: Slippage::None,
        ..RunConfig::default()
    };
    let result = run(&Dataset::from_series(vec![series]).expect("dataset"), &config).expect("run");
    let trades = list(&want["trades"]);
    assert_eq!(result.trades.len(), trades.len(), "{:?}", result.trades);
    let mut equity = 1.0;
    for (got, want) in result.trades.iter().zip(trades) {
        same_trade(key, got, want);
        close_to(got.return_pct, number(&want["return_pct"]), "return_pct");
        close_to(1.0 + got.pnl / equity, number(&want["equity_mult"]), "equity_mult");
        equity += got.pnl;
    }
}

#[test]
fn parity_close() {
    parity("parity_close", Fill::Close);
}

#[test]
fn parity_next_open() {
    parity("parity_next_open", Fill::NextOpen);
}

fn numbers(value: &Value) -> Vec<f64> {
    list(value).iter().map(number).collect()
}

/// The curve as one point per day, resampled the way a run is.
fn daily_curve(want: &Value) -> (f64, Vec<EquityPoint>, Vec<f64>) {
    let start = number(&want["start"]);
    let day = |i: usize| (i as i64 + 1) * 86_400_000;
    let points: Vec<EquityPoint> = numbers(&want["curve"])
        .into_iter()
        .enumerate()
        .map(|(i, equity)| EquityPoint { ts_ms: day(i), equity })
        .collect();
    let curve = returns::curve(start, &returns::steps(&points, 86_400_000, 0, Days::Every));
    assert_eq!(curve.len(), points.len() + 1);
    (start, points, curve)
}

#[test]
fn metrics() {
    let Some(vectors) = vectors("metrics") else { return };
    let want = &vectors["metrics"];
    let (start, points, curve) = daily_curve(want);
    let (ppy, r) = (number(&want["ppy"]), returns::returns(&curve));
    for (got, want) in r.iter().zip(numbers(&want["returns"])) {
        close_to(*got, want, "returns");
    }
    let pnl = numbers(&want["pnl"]);
    let depth = drawdown::deepest(start, &points).map(|worst| worst.depth);
    let calmar = returns::cagr(&curve, ppy).zip(depth).map(|(cagr, depth)| cagr / -depth);
    let moments = returns::skew_kurtosis(&r);
    let checks = [
        ("total_return", returns::total(&curve)),
        ("cagr", returns::cagr(&curve, ppy)),
        ("volatility", sharpe::volatility(&r, ppy)),
        ("sharpe", sharpe::sharpe(&r, ppy, 0.0)),
        ("sharpe_365", sharpe::sharpe(&r, 365.0, 0.0)),
        ("sortino", sortino::sortino(&r, ppy, 0.0)),
        ("max_drawdown", depth),
        ("calmar", calmar),
        ("skew", moments.map(|m| m.0)),
        ("kurtosis", moments.map(|m| m.1)),
        ("sr_period", sharpe::per_period(&r)),
        ("psr0", deflated::sample(&r).and_then(|sample| deflated::psr(&sample, 0.0))),
        ("n_trades", Some(pnl.len() as f64)),
        ("win_rate", trades::win_rate(&pnl)),
        ("profit_factor", trades::profit_factor(&pnl)),
        ("expectancy", returns::mean(&pnl)),
        ("avg_win", trades::avg_win(&pnl)),
        ("avg_loss", trades::avg_loss(&pnl)),
        ("sqn", trades::sqn(&pnl)),
    ];
    for (key, got) in checks {
        close_to(got.unwrap_or_else(|| panic!("{key} has a value")), number(&want[key]), key);
    }
}

#[test]
fn metrics_no_loss() {
    let Some(vectors) = vectors("metrics_no_loss") else { return };
    let want = &vectors["metrics_no_loss"];
    let (start, points, curve) = daily_curve(want);
    let r = returns::returns(&curve);
    close_to(sharpe::sharpe(&r, 252.0, 0.0).expect("spread"), number(&want["sharpe"]), "sharpe");
    assert_eq!(sortino::sortino(&r, 252.0, 0.0), None);
    assert_eq!(drawdown::deepest(start, &points), None);
    assert_eq!(trades::profit_factor(&[1.0, 2.0]), None);
}

#[test]
fn dsr() {
    let Some(vectors) = vectors("dsr") else { return };
    let want = &vectors["dsr"];
    let trials = numbers(&want["trial_sr"]);
    let best = SharpeSample {
        sr: number(&want["best_sr"]),
        n: index(&want["n"]),
        skew: number(&want["skew"]),
        kurtosis: number(&want["kurt"]),
    };
    let value = |got: Option<f64>, key: &str| close_to(got.expect("defined"), number(&want[key]), key);
    value(returns::sd(&trials).map(|sd| sd * sd), "var_ddof1");
    value(deflated::expected_best(&trials), "sr0");
    value(deflated::psr(&best, 0.0), "psr0");
    value(deflated::dsr(&best, &trials), "dsr");
}

#[test]
fn run_hash_of_the_page() {
    let Some(vectors) = vectors("run_hash_of_the_page") else { return };
    let want = &vectors["run_hash"];
    let int = |value: &Value| value.as_i64().expect("an integer");
    let trades: Vec<HashTrade<'_>> = list(&want["trades"])
        .iter()
        .map(|t| HashTrade {
            symbol: t["symbol"].as_str().expect("text"),
            entry_ns: int(&t["entry_ns"]),
            exit_ns: int(&t["exit_ns"]),
            qty: int(&t["qty"]),
            entry_ticks: int(&t["entry_ticks"]),
            exit_ticks: int(&t["exit_ticks"]),
            pnl: number(&t["pnl"]),
            reason: t["reason"].as_str().expect("text"),
        })
        .rev()
        .collect();
    let point = |p: &Value| EquityPoint { ts_ms: int(&p[0]) / 1_000_000, equity: number(&p[1]) };
    let equity: Vec<EquityPoint> = list(&want["equity"]).iter().map(point).collect();
    assert_eq!(run_hash(&trades, &equity), want["sha256"].as_str().expect("text"));
}
