//! Reports of seeded markets, from rows to files.

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use lobstream_backtest::metrics::{Benchmark, Conventions};
use lobstream_backtest::{
    Accounting, Dataset, DatasetOptions, ReportOptions, RunConfig, RunResult, Series, StrategyConfig, report,
    run,
};
use lobstream_market::factor::row::FactorRow;

/// Half an hour before midnight.
const START_MS: i64 = 1_723_075_200_000 - 1_500_000;

fn result(rows: Vec<FactorRow>, step_ms: i64, params: &[(&str, &str)]) -> RunResult {
    let data = Dataset::from_rows(rows, &DatasetOptions { step_ms }).expect("dataset");
    let strategy = StrategyConfig::parse("bollinger_flow", params.iter().copied()).expect("strategy");
    run(&data, &RunConfig { strategy, ..RunConfig::default() }).expect("run")
}

/// Writes a report and reads all of its files. They stay under the target folder, to be looked at.
fn files(name: &str, result: &RunResult) -> BTreeMap<String, Vec<u8>> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&dir);
    let written = report::write(result, &dir, &ReportOptions::default()).expect("written");
    assert_eq!(written[0], dir.join("report.html"));
    let mut files = BTreeMap::new();
    for path in &written {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        files.insert(name, std::fs::read(path).expect("a file"));
    }
    let listed = std::fs::read_dir(&dir).expect("a folder").count();
    assert_eq!(listed, files.len() + 1, "these and the marker: nothing unfinished is left");
    files
}

fn text<'a>(files: &'a BTreeMap<String, Vec<u8>>, name: &str) -> &'a str {
    std::str::from_utf8(&files[name]).expect("UTF-8")
}

/// Width and height in the head of a PNG.
fn png_size(bytes: &[u8]) -> (u32, u32) {
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    (number(16), number(20))
}

#[test]
fn an_hour_of_one_symbol() {
    let rows = support::market("binance-usdm", "BTCUSDT", 7, START_MS, 3_600, 61_700.0);
    let result = result(rows, 1_000, &[("short", "true")]);
    assert!(result.trades.len() > 10);
    let files = files("hour", &result);
    assert_eq!(png_size(&files["price_BTCUSDT.png"]), (1600, 900));
    assert_eq!(png_size(&files["equity.png"]), (1600, 640));
    assert_eq!(png_size(&files["drawdown.png"]), (1600, 460));
    assert!(text(&files, "drawdown.svg").starts_with("<svg width=\"1600\" height=\"460\""));
    assert_eq!(png_size(&files["factors_BTCUSDT.png"]), (1600, 1200));
    assert_eq!(text(&files, "trades.csv").lines().count(), result.trades.len() + 1);
    assert_eq!(text(&files, "equity.csv").lines().count(), result.equity.len() + 1);
    let page = text(&files, "report.html");
    assert!(page.contains(&result.hash) && page.matches("<svg ").count() == 6);
    for foreign in ["<script", "http:", "https:", "<link", "@import"] {
        assert!(!page.contains(foreign), "the page needs {foreign}");
    }
    check_summary(&result, text(&files, "summary.json"));
}

fn check_summary(result: &RunResult, text: &str) {
    let summary: serde_json::Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(summary["hash"], result.hash.as_str());
    assert_eq!(summary["metrics"]["total_return"].as_f64(), result.metrics.get("total_return"));
    assert_eq!(summary["metrics"]["sharpe"], serde_json::Value::Null);
    assert_eq!(summary["metrics"]["sharpe_note"], "needs_2_days");
    assert_eq!(summary["symbols"][0]["invalid_seconds"], 108);
    let reasons = summary["exit_reasons"].as_object().expect("an object").values();
    let trades: i64 = reasons.map(|row| row["trades"].as_i64().expect("a count")).sum();
    assert_eq!(trades, result.trades.len() as i64);
}

/// Each column of the trade list as this test recomputes it from prices.
#[test]
fn the_trade_list_adds_up() {
    let rows = support::market("binance-usdm", "BTCUSDT", 11, START_MS, 3_600, 61_700.0);
    let result = result(rows, 1_000, &[("short", "true")]);
    let files = files("list", &result);
    let mut lines = text(&files, "trades.csv").lines();
    let names: Vec<&str> = lines.next().expect("a head").split(',').collect();
    for line in lines {
        let cells: BTreeMap<&str, &str> = names.iter().copied().zip(line.split(',')).collect();
        let number = |name: &str| cells[name].parse::<f64>().expect(name);
        let sign = if cells["side"] == "long" { 1.0 } else { -1.0 };
        let gross = sign * (number("exit_price") - number("entry_price")) * number("qty");
        let taker = 0.0005 * (number("entry_price") + number("exit_price")) * number("qty");
        if cells["exit_reason"] != "tp" && cells["exit_reason"] != "open" {
            assert!((number("fees") - taker).abs() < 1e-3, "{line}");
            assert!((number("pnl") - (gross - taker)).abs() < 1e-2, "{line}");
        }
        assert!(sign * number("entry_obi_5") > 0.1 && sign * number("entry_z_ofi") > 0.0, "{line}");
        assert!(number("mae") <= 0.0 && number("mfe") >= 0.0, "{line}");
    }
}

#[test]
fn the_same_run_writes_the_same_bytes() {
    let rows = || support::market("binance-usdm", "ETHUSDT", 2, START_MS, 600, 2_500.0);
    assert_eq!(files("same_a", &result(rows(), 1_000, &[])), files("same_b", &result(rows(), 1_000, &[])));
}

#[test]
fn several_symbols_get_a_price_and_a_factor_chart_each() {
    let mut rows = support::market("binance-usdm", "BTCUSDT", 5, START_MS, 2_400, 61_700.0);
    rows.extend(support::market("binance-spot", "BTCUSDT", 6, START_MS, 2_400, 61_690.0));
    rows.extend(support::market("binance-usdm", "ETHUSDT", 8, START_MS + 600_000, 2_400, 2_480.0));
    let result = result(rows, 5_000, &[("n", "40")]);
    let files = files("several", &result);
    for name in ["binance-usdm_BTCUSDT", "binance-spot_BTCUSDT", "ETHUSDT"] {
        assert!(files.contains_key(&format!("price_{name}.png")), "{name}");
        assert!(files.contains_key(&format!("factors_{name}.png")), "{name}");
    }
}

#[test]
fn no_trades_is_a_result() {
    let rows = support::market("binance-usdm", "BTCUSDT", 7, START_MS, 900, 61_700.0);
    let result = result(rows, 1_000, &[("k", "10")]);
    assert_eq!((result.trades.len(), result.metrics.get("win_rate")), (0, None));
    let files = files("no_trades", &result);
    assert!(text(&files, "report.html").contains("No trades"));
    assert_eq!(text(&files, "trades.csv").lines().count(), 1);
}

#[test]
fn too_few_bars_for_the_bands_are_told() {
    let rows = support::market("binance-usdm", "BTCUSDT", 7, START_MS, 100, 61_700.0);
    let result = result(rows, 1_000, &[]);
    assert!(result.trades.is_empty());
    let told = result.warnings.iter().find(|warning| warning.contains("need 120 bars")).expect("told");
    assert!(told.starts_with("BTCUSDT: no trade is possible") && told.contains("--set n"), "{told}");
    let enough = support::market("binance-usdm", "BTCUSDT", 7, START_MS, 900, 61_700.0);
    let quiet = self::result(enough, 1_000, &[("k", "10")]);
    assert!(quiet.trades.is_empty() && quiet.warnings.is_empty(), "{:?}", quiet.warnings);
}

#[test]
fn no_valid_row_is_a_result_too() {
    let rows = (0..120).map(|i| support::blank("binance-usdm", "BTCUSDT", START_MS + i * 1_000)).collect();
    let result = result(rows, 1_000, &[]);
    assert_eq!((result.equity.len(), result.warnings.len()), (0, 1));
    let files = files("no_book", &result);
    assert!(text(&files, "report.html").contains("no row has a valid book"));
}

#[test]
fn one_row_is_enough_for_a_report() {
    let rows = support::market("binance-usdm", "BTCUSDT", 7, START_MS, 1, 61_700.0);
    files("one_row", &result(rows, 1_000, &[]));
}

#[test]
fn names_from_outside_cannot_leave_the_folder_or_enter_the_page() {
    let symbol = "../<b>X</b>,USDT";
    let rows = support::market("binance-usdm", symbol, 7, START_MS, 300, 100.0);
    let files = files("names", &result(rows, 1_000, &[("n", "10"), ("k", "0.5"), ("obi_min", "-1")]));
    assert!(files.contains_key("price_----b-X--b--USDT.png"), "{:?}", files.keys());
    assert!(!text(&files, "report.html").contains("<b>X</b>"));
    assert!(text(&files, "trades.csv").contains(",\"../<b>X</b>,USDT\","));
}

/// Two years of daily bars of two stocks: the charts that need days.
#[test]
fn years_of_days_have_months_a_rolling_ratio_and_a_benchmark() {
    let bars = |seed: u64| {
        let mut random = support::Random::new(seed);
        let mut close: f64 = 20.0;
        let bar = |_| {
            let open = close * (1.0 + 0.004 * random.normal());
            close = open * (1.0 + 0.014 * random.normal()) - (open - 20.0) * 0.015;
            [open, open.max(close) * 1.004, open.min(close) * 0.996, close]
        };
        (0..500).map(bar).collect::<Vec<[f64; 4]>>()
    };
    let series = |symbol: &str, seed| {
        Series::from_ohlc("SSE", symbol, 86_400_000, START_MS, &bars(seed)).expect("series")
    };
    let data = Dataset::from_series(vec![series("600010.SH", 3), series("600519.SH", 4)]).expect("dataset");
    let strategy =
        StrategyConfig::parse("bollinger", [("n", "10"), ("k", "1.2"), ("sl", "0.05"), ("tp", "0.08")]);
    let config = RunConfig {
        strategy: strategy.expect("strategy"),
        conventions: Conventions::ASHARE,
        benchmark: Benchmark::Hold,
        accounting: Accounting::Unit,
        ..RunConfig::default()
    };
    let result = run(&data, &config).expect("run");
    let files = files("years", &result);
    let page = text(&files, "report.html");
    // Equity, drawdown, months, histogram, rolling ratio, two prices, exits; no factors, for there are none.
    assert_eq!(page.matches("<svg ").count(), 8);
    for title in ["Returns of months and years", "Rolling Sharpe ratio", "Histogram of returns"] {
        assert!(page.contains(&format!("aria-label=\"{title}\"")), "{title}");
    }
    let order = [
        "<h2>Measures",
        "Equity and benchmark",
        "\"Drawdown\"",
        "P&amp;L by exit reason",
        "<h2>Trades",
        "<h2>Assumptions",
    ];
    let places: Vec<usize> =
        order.iter().map(|what| page.find(what).unwrap_or_else(|| panic!("{what}"))).collect();
    assert!(places.is_sorted(), "{places:?}");
    assert!(text(&files, "equity.csv").starts_with("time,ts_ms,equity,drawdown,benchmark\n"));
    for key in ["sharpe", "alpha", "beta", "information_ratio", "turnover_per_year", "drawdown_longest_days"]
    {
        assert!(result.metrics.get(key).is_some(), "{key}");
    }
}
