//! The cases of the backtest page for `bollinger_micro`.

use std::io::Write;
use std::path::PathBuf;

use lobstream_backtest::dataset::{Candidate, DailyBar, DailyData, DayFacts, LevelTest, PriceBasis, Stock};
use lobstream_backtest::engine::daily::PortfolioConfig;
use lobstream_backtest::metrics::Conventions;
use lobstream_backtest::rules::AshareRules;
use lobstream_backtest::strategy::BollingerMicro;
use lobstream_backtest::{RunConfig, RunResult, StrategyConfig, run_daily};
use serde_json::Value;

fn cases() -> Option<Vec<Value>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/spec/vectors/backtest.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        let _ = writeln!(std::io::stderr(), "SKIPPED strategy_of_the_page: no vectors");
        return None;
    };
    let all: Value = serde_json::from_str(&text).expect("the vectors are JSON");
    Some(all["strategy"].as_array().expect("a list").clone())
}

fn e4(value: &Value) -> i64 {
    (value.as_f64().expect("a price") * 1e4).round() as i64
}

fn bar(day: &Value) -> DailyBar {
    DailyBar {
        date: day["date"].as_str().expect("text").parse().expect("a day"),
        open: e4(&day["o"]),
        high: e4(&day["h"]),
        low: e4(&day["l"]),
        close: e4(&day["c"]),
        pre_close: e4(&day["prev_close"]),
        volume: None,
        st: false,
    }
}

fn facts(day: &Value, support: i64) -> DayFacts {
    let test = day["lv"].as_array().map(|lv| LevelTest {
        level_e4: support,
        value: 1.0,
        big_net: lv[0].as_f64(),
        signed: lv[1].as_f64().expect("a number"),
    });
    DayFacts {
        price_position: day["pp"].as_f64(),
        middle_band: day["mid"].as_f64(),
        flow: None,
        tests: test.into_iter().collect(),
        known: None,
    }
}

fn data(case: &Value) -> DailyData {
    let days = case["days"].as_array().expect("a list");
    let support = e4(&case["support"]);
    let bars: Vec<DailyBar> = days.iter().map(bar).collect();
    let candidate = Candidate {
        known: bars[0].date,
        valid_for: bars[1].date,
        stock: 0,
        rank: 1,
        support_e4: support,
        resistance_e4: case["resistance"].as_f64().map(|_| e4(&case["resistance"])),
        quality_missing: false,
        support_missing: false,
    };
    let calendar = bars.iter().map(|bar| bar.date).collect();
    let facts = days.iter().map(|day| facts(day, support)).collect();
    let stock = Stock { code: "600010.SH".to_owned(), bars, facts, ..Stock::default() };
    DailyData::new(PriceBasis::Traded, calendar, vec![stock], vec![candidate]).expect("data")
}

fn config(cash: f64, portfolio: PortfolioConfig) -> RunConfig {
    RunConfig {
        strategy: StrategyConfig::BollingerMicro(BollingerMicro::default()),
        cash,
        conventions: Conventions::ASHARE,
        portfolio: Some(portfolio),
        ..RunConfig::default()
    }
}

fn play(case: &Value) -> RunResult {
    let portfolio = PortfolioConfig { max_positions: 1, slippage_ticks: 0, ..PortfolioConfig::default() };
    run_daily(&data(case), &AshareRules::built_in(), &config(100_000.0, portfolio)).expect("run")
}

/// The day in Shanghai of an instant, as text.
fn day_of(ms: i64, case: &Value) -> String {
    let days = case["days"].as_array().expect("a list");
    let dates = days.iter().map(|day| bar(day).date);
    let on =
        dates.into_iter().find(|date| (date.midnight_ms()..date.midnight_ms() + 86_400_000).contains(&ms));
    on.expect("a day of the case").to_string()
}

#[test]
fn strategy_of_the_page() {
    let Some(cases) = cases() else { return };
    assert_eq!(cases.len(), 11);
    for case in &cases {
        let (name, result) = (&case["name"], play(case));
        let (closed, open): (Vec<_>, Vec<_>) = result.trades.iter().partition(|trade| trade.is_closed());
        let want = case["trades"].as_array().expect("a list");
        assert_eq!(closed.len(), want.len(), "{name}: {closed:?}");
        for (got, want) in closed.iter().zip(want) {
            let price = |key: &str| want[key].as_f64().expect("a number");
            assert_eq!(day_of(got.entry_ms, case), want["entry_date"].as_str().expect("text"), "{name}");
            assert_eq!(day_of(got.exit_ms, case), want["exit_date"].as_str().expect("text"), "{name}");
            assert_eq!(got.reason.as_str(), want["reason"].as_str().expect("text"), "{name}");
            let numbers = [got.qty, got.entry, got.exit, got.fees, got.pnl];
            assert_eq!(numbers, ["qty", "entry", "exit", "fees", "pnl"].map(price), "{name}");
        }
        let left: f64 = open.iter().map(|trade| trade.qty).sum();
        assert_eq!(Some(left), case["open_qty"].as_f64(), "{name}");
        let worth: f64 = open.iter().map(|trade| trade.qty * trade.exit).sum();
        let cash = result.equity.last().expect("a day").equity - worth;
        assert!((cash - case["cash"].as_f64().expect("cash")).abs() < 1e-6, "{name}: cash {cash}");
        let refused: Vec<_> =
            result.rejections.iter().map(|r| (day_of(r.ts_ms, case), r.what, r.cause)).collect();
        let text = |r: &Value, key: &str| r[key].as_str().expect("text").to_owned();
        let want: Vec<_> = case["rejections"].as_array().expect("a list").iter().collect();
        assert_eq!(refused.len(), want.len(), "{name}: {refused:?}");
        for (got, want) in refused.iter().zip(want) {
            let want = (text(want, "date"), text(want, "what"), text(want, "cause"));
            assert_eq!((got.0.as_str(), got.1, got.2), (&*want.0, &*want.1, &*want.2), "{name}");
        }
    }
}
