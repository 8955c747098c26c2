//! `backtest` on bars of the user's own and on daily tables: what comes out, and what is refused.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::support::{Folder, Table, lobstream, python, root, table};

/// Daily bars that swing, so that bands are crossed.
fn bars(n: usize) -> String {
    let mut text = "time,open,high,low,close,volume\n".to_owned();
    let price = |i: usize| 20.0 + 2.0 * (i as f64 / 9.0).sin() + 0.7 * (i as f64 * 1.7).sin();
    let (mut day, mut i) = (0, 0);
    while i < n {
        // Days of January to December without the last of each month, five of seven.
        let (month, date) = (day / 28 % 12 + 1, day % 28 + 1);
        if day % 7 < 5 {
            let (open, close) = (price(i), price(i + 1));
            let (high, low) = (open.max(close) + 0.1, open.min(close) - 0.1);
            let year = 2020 + day / 336;
            let _ =
                writeln!(text, "{year}-{month:02}-{date:02},{open:.2},{high:.2},{low:.2},{close:.2},1000");
            i += 1;
        }
        day += 1;
    }
    text
}

fn hash(stdout: &str) -> String {
    let line = stdout.lines().find_map(|line| line.strip_prefix("hash "));
    line.expect("the hash is printed").to_owned()
}

#[test]
fn own_bars_are_traded_checked_and_repeat_to_the_bit() {
    let folder = Folder::new();
    let file = folder.path("000001.csv");
    fs::write(&file, bars(300)).expect("written");
    let call = |out: &str, more: &[&str]| {
        let out = folder.path(out);
        let args = ["backtest", "--bars", &file, "--out", &out, "--strategy", "bollinger"];
        let args = if more.contains(&"--strategy") { &args[..5] } else { &args[..] };
        lobstream(&[args, more].concat())
    };
    let first = call("a", &["--check-lookahead"]);
    assert!(first.stderr.contains("no decision looked ahead"), "{}", first.stderr);
    let first = first.ok();
    let trades = fs::read_to_string(Path::new(&folder.path("a")).join("trades.csv")).expect("trades");
    assert!(trades.lines().count() > 5, "{trades}");
    let expected = hash(&first);
    call("b", &["--expect-hash", &expected]).ok();
    // A day later at the earliest, and a tick worse: another result.
    let ashare = call("c", &["--market", "ashare"]).ok();
    assert_ne!(hash(&ashare), expected);
    call("d", &["--market", "ashare", "--expect-hash", &expected]).fails(9, &[&expected]);
    call("e", &["--strategy", "hold"]).ok();
    call("f", &["--strategy", "bollinger_micro"]).fails(2, &["bollinger_micro", "--daily"]);
    call("g", &["--market", "ashare", "--set", "short=true"]).fails(2, &["short"]);
}

#[test]
fn a_bar_that_is_none_is_refused_with_its_row() {
    let folder = Folder::new();
    let file = folder.path("bad.csv");
    fs::write(&file, bars(30).replace("2020-01-10", "2020-01-01")).expect("written");
    lobstream(&["backtest", "--bars", &file, "--out", &folder.path("out")]).fails(4, &["bad.csv", "ascend"]);
    assert!(!Path::new(&folder.path("out")).exists(), "nothing is written");
    lobstream(&["backtest", "--bars", &folder.path("none.csv")]).fails(4, &["none.csv"]);
}

#[test]
fn daily_tables_and_rules_that_are_not_there_are_named() {
    let folder = Folder::new();
    let dir = folder.path("tables");
    fs::create_dir_all(&dir).expect("a folder");
    lobstream(&["backtest", "--daily", &dir]).fails(3, &["lobstream daily run"]);
    let rules = folder.path("rules.toml");
    fs::write(&rules, "[[stamp]]\nfrom = \"2008-09-19\"\nrate = \"much\"\n").expect("written");
    lobstream(&["backtest", "--daily", &dir, "--rules", &rules]).fails(2, &["rules.toml", "line 3"]);
    lobstream(&["backtest", "--daily", &dir, "--set", "sizing=all"]).fails(2, &["sizing", "slot"]);
    lobstream(&["backtest", "--daily", &dir, "--first", "soon"]).fails(2, &["--first"]);
    let of_bars = folder.path("of-bars.toml");
    fs::write(&of_bars, "[data]\nbars = [\"a.csv\"]\n").expect("written");
    lobstream(&["backtest", "--daily", &dir, "-c", &of_bars]).fails(2, &["[data] bars", "--daily"]);
}

fn csv(path: &str) -> Table {
    table(&fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}")))
}

/// The best of a sweep is a run like any other: the same hash by hand.
#[test]
fn a_sweep_says_what_single_runs_say() {
    let folder = Folder::new();
    let (bars_file, out) = (folder.path("000001.csv"), folder.path("sweep"));
    fs::write(&bars_file, bars(400)).expect("written");
    let grid = "[sweep]\nobjective = \"total_return\"\nmin_trades = 3\n[sweep.grid]\nn = [10, 20]\n\
                k = { from = 0.8, to = 1.2, step = 0.2 }\n";
    let rest = |grid: &str| {
        format!(
            "[backtest]\nstrategy = \"bollinger\"\n[backtest.fees]\nmaker_bp = 3\ntaker_bp = 3\n\
             [backtest.portfolio]\naccounting = \"unit\"\n[backtest.slippage]\nmodel = \"none\"\n\
             [data]\nbars = [\"{bars_file}\"]\n{grid}"
        )
    };
    let (file, run_file) = (folder.path("sweep.toml"), folder.path("run.toml"));
    fs::write(&file, rest(grid)).expect("written");
    fs::write(&run_file, rest("")).expect("written");
    let said = lobstream(&["sweep", "-c", &file, "--out", &out]).ok();
    assert!(said.contains("6 combinations") && said.contains("DSR"), "{said}");
    let rows = csv(&format!("{out}/sweep.csv"));
    let params: Vec<String> = rows.iter().map(|row| format!("{} {}", row["n"], row["k"])).collect();
    assert_eq!(
        params,
        ["10 0.8", "10 1", "10 1.2", "20 0.8", "20 1", "20 1.2"],
        "the last axis turns fastest"
    );
    let earned =
        |row: &std::collections::BTreeMap<String, String>| row["total_return"].parse().unwrap_or(f64::NAN);
    let best = rows.iter().max_by(|a, b| earned(a).total_cmp(&earned(b))).expect("rows");
    let (n, k) = (format!("n={}", best["n"]), format!("k={}", best["k"]));
    let single = ["backtest", "-c", &run_file, "--out", &folder.path("single"), "--set", &n, "--set", &k];
    assert_eq!(hash(&lobstream(&single).ok()), hash(&said), "{n}, {k}");
    for made in ["sweep.parquet", "sweep.json", "heatmap.png", "heatmap.svg", "best/report.html"] {
        assert!(Path::new(&out).join(made).exists(), "{made} is missing");
    }
    fs::write(&file, rest("[sweep.grid]\nwindow = [1]\n")).expect("written");
    lobstream(&["sweep", "-c", &file, "--out", &folder.path("no")]).fails(2, &["window"]);
    fs::write(&file, rest("[sweep]\nobjective = \"luck\"\n")).expect("written");
    lobstream(&["sweep", "-c", &file]).fails(2, &["sweep.toml:", "objective"]);
}

/// The exported bars with their booleans, traded here by hand: stop, target, then the signal, at the close.
#[test]
fn a_run_written_for_vectorbt_holds_the_trades_of_its_own_bars() {
    let folder = Folder::new();
    let (file, out) = (folder.path("000001.csv"), folder.path("out"));
    fs::write(&file, bars(400)).expect("written");
    let args =
        ["backtest", "--bars", &file, "--out", &out, "--strategy", "bollinger", "--export", "vectorbt"];
    let rule = ["--set", "n=10", "--set", "k=0.9", "--set", "sl=0.03", "--set", "tp=0.06"];
    lobstream(&[&args[..], &rule, &["--set", "fill=close", "--set", "slippage_bp=0"]].concat()).ok();
    let (bars, trades) =
        (csv(&format!("{out}/vectorbt_000001.csv")), csv(&format!("{out}/vectorbt_000001_trades.csv")));
    let mut held: Option<(usize, f64)> = None;
    let mut expected: Vec<(usize, usize, f64)> = Vec::new();
    for (i, bar) in bars.iter().enumerate() {
        let px = |name: &str| bar[name].parse::<f64>().expect("a price");
        let (open, close) = (px("open"), px("close"));
        let Some((i0, entry)) = held else {
            held = (bar["entries"] == "1").then_some((i, close));
            continue;
        };
        let (sl, tp) = (entry * 0.97, entry * 1.06);
        let exit = if open <= sl || open >= tp {
            Some(open)
        } else if px("low") <= sl {
            Some(sl)
        } else if px("high") >= tp {
            Some(tp)
        } else {
            (bar["exits"] == "1").then_some(close)
        };
        if let Some(exit) = exit {
            expected.push((i0, i, exit));
            held = None;
        }
    }
    let got: Vec<(usize, usize, f64)> = trades
        .iter()
        .map(|t| {
            let whole = |name: &str| t[name].parse().expect("an index");
            (whole("entry_idx"), whole("exit_idx"), t["exit_price"].parse().expect("a price"))
        })
        .collect();
    assert!(expected.len() > 5, "{} trades", expected.len());
    assert_eq!(got.len(), expected.len(), "{got:?}\n{expected:?}");
    for (got, want) in got.iter().zip(&expected) {
        assert!(
            (got.0, got.1) == (want.0, want.1) && (got.2 - want.2).abs() < 1e-6,
            "{got:?}, expected {want:?}"
        );
    }
    let open = ["backtest", "--bars", &file, "--out", &folder.path("b"), "--strategy", "bollinger"];
    lobstream(&[&open[..], &["--export", "vectorbt"]].concat()).fails(2, &["fill", "vectorbt"]);
}

/// The fixture that limits are compared with is what its script makes.
#[test]
fn limits_of_marina_rules_are_those_of_the_fixture() {
    let Some(python) = python("limits_of_marina_rules_are_those_of_the_fixture") else { return };
    let script = root().join("tests/oracle/ashare_limits.py");
    let done = std::process::Command::new(python).arg(script).output().expect("python starts");
    let fixture = fs::read_to_string(root().join("backtest/tests/data/ashare_limits.json")).expect("fixture");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said == fixture, "{}", String::from_utf8_lossy(&done.stderr));
}

/// Bars of a main-board stock that opens at its limit twice: up when it is wanted, down when it must go.
#[test]
fn bars_of_a_shares_know_limits_lots_and_fees() {
    let folder = Folder::new();
    let file = folder.path("600000.SH.csv");
    let rows = [
        "2023-08-21,10,10,10,10",
        "2023-08-22,10,10.1,9.9,10",
        "2023-08-23,9.5,9.6,9.4,9.5",
        // Wanted at the limit of 9.5: 10.45.
        "2023-08-24,10.45,10.45,10.45,10.45",
        "2023-08-25,9.5,9.7,9.41,9.5",
        "2023-08-28,9.6,9.8,9.5,9.5",
        "2023-08-29,10.2,10.3,10,10.2",
        // Must go at the limit of 10.2: 9.18, all day long; and fills on the day after, half a stamp later.
        "2023-08-30,9.18,9.18,9.18,9.18",
        "2023-08-31,9,9.2,8.9,9.1",
    ];
    fs::write(&file, format!("time,open,high,low,close\n{}\n", rows.join("\n"))).expect("written");
    let out = folder.path("out");
    let args = ["backtest", "--bars", &file, "--market", "ashare", "--out", &out, "--strategy", "bollinger"];
    let set = ["--set", "n=2", "--set", "k=0.5", "--set", "sl=none", "--set", "tp=none"];
    let account = ["--set", "slippage_ticks=0", "--set", "max_positions=1", "--set", "cash=100000"];
    lobstream(&[&args[..], &set, &account].concat()).ok();
    let refused = csv(&format!("{out}/rejections.csv"));
    let causes: Vec<(&str, &str)> = refused.iter().map(|r| (&r["time"][..10], r["cause"].as_str())).collect();
    // Lists are in UTC, where midnight of Shanghai is the evening before.
    assert_eq!(causes, [("2023-08-23", "limit_up"), ("2023-08-29", "limit_down")], "{refused:?}");
    let trades = csv(&format!("{out}/trades.csv"));
    let t = &trades[0];
    assert_eq!((t["entry_price"].as_str(), t["qty"].as_str()), ("9.6", "10400"), "{t:?}");
    assert_eq!((t["exit_price"].as_str(), t["carried_days"].as_str()), ("9", "1"), "{t:?}");
    // In: 99840 at 0.025 %, 24.96, and 0.001 %, 1.00. Out: 93600: 23.40, 0.94 and 0.05 % stamp, 46.80.
    assert_eq!(t["fees"], "97.1", "{t:?}");
    let report = fs::read_to_string(format!("{out}/report.html")).expect("page");
    assert!(report.contains("Shanghai") && !report.contains("Entry, UTC"), "times are those of the exchange");
    let two = lobstream(&[&args[..], &["--force", "--set", "sizing=all"]].concat());
    two.fails(2, &["sizing", "slot"]);
    let early = folder.path("600001.SH.csv");
    fs::write(&early, "time,open,high,low,close\n2001-08-21,1,1,1,1\n2001-08-22,1,1,1,1\n").expect("written");
    let args = ["backtest", "--bars", &early, "--market", "ashare", "--out", &folder.path("early")];
    lobstream(&[&args[..], &["--strategy", "hold"]].concat()).fails(4, &["2001-08-21"]);
}

/// What a user says of a run on bars is done or refused by its name.
#[test]
fn settings_on_bars_are_heard_or_refused() {
    let folder = Folder::new();
    let file = folder.path("000001.SZ.csv");
    fs::write(&file, bars(120)).expect("written");
    let out = folder.path("out");
    let call = |text: &str, more: &[&str]| {
        let run = folder.path("run.toml");
        fs::write(&run, format!("{text}\n[data]\nbars = [\"{file}\"]\n")).expect("written");
        lobstream(&[&["backtest", "-c", &run, "--out", &out, "--strategy", "hold"], more].concat())
    };
    let config = |text: &str, more: &[&str]| -> serde_json::Value {
        call(text, more).ok();
        let summary = fs::read_to_string(format!("{out}/summary.json")).expect("summary");
        serde_json::from_str::<serde_json::Value>(&summary).expect("JSON")["config"].clone()
    };
    let ashare = "[backtest]\nmarket = \"ashare\"\n";
    let said = format!(
        "{ashare}[backtest.metrics]\nppy = 240\n[backtest.slippage]\nmodel = \"bp\"\nvalue = 20\n[backtest.fees]\n\
         commission = 0.0002\n"
    );
    let heard = config(&said, &[]);
    assert_eq!(
        (&heard["conventions"]["ppy"], &heard["slippage"]["bp"]),
        (&240.0.into(), &20.0.into()),
        "{heard}"
    );
    assert!(heard["rules"].as_str().expect("rules").contains("commission=0.0002"), "{heard}");
    let flag = config(&said, &["--set", "slippage_bp=5", "--set", "extrapolate=true"]);
    assert_eq!(flag["slippage"]["bp"], 5.0);
    let summary = fs::read_to_string(format!("{out}/summary.json")).expect("summary");
    assert!(summary.contains("(extrapolate)"), "{summary}");
    let plain = config(ashare, &[]);
    assert_eq!((&plain["conventions"]["ppy"], &plain["slippage"]["ticks"]["n"]), (&252.0.into(), &1.into()));
    assert_eq!(config(ashare, &["--market", "crypto"])["conventions"]["ppy"], 365.0, "the flag wins");
    for set in ["fraction=0.5", "fee_bp=3", "actions=true"] {
        call(ashare, &["--set", set]).fails(2, &[&format!("--set {set}")]);
    }
    call(ashare, &["--set", "cash=100000.005"]).fails(2, &["cash", "two decimals"]);
    let fees = "[backtest.fees]\nmaker_bp = 1\ntaker_bp = 2\n";
    call(&format!("{ashare}{fees}"), &[]).fails(2, &["run.toml:4", "maker_bp", "commission"]);
    call(&format!("{fees}commission = 0.0002\n"), &[]).fails(2, &["run.toml:4", "commission", "A shares"]);
    call(&format!("{ashare}[backtest.slippage]\nmodel = \"half_spread\"\n"), &[]).fails(2, &["half_spread"]);
    call("", &["--venue", "binance-spot"]).fails(2, &["--venue", "signals"]);
    call(ashare, &["--symbols", "MINE"]).fails(2, &["--symbols", "MINE", "600000.SH"]);
    call(ashare, &["--symbols", "sz000001"]).ok();
    let days = format!("{ashare}from = \"20200203\"\nto = \"2020-04-10\"\n");
    let from_ms = config(&days, &[])["from_ms"].as_i64().expect("an instant");
    assert_eq!(from_ms, 1_580_659_200_000, "midnight of Shanghai");
    let equity = csv(&format!("{out}/equity.csv"));
    let ends = (equity[0]["time"].as_str(), equity[equity.len() - 1]["time"].as_str());
    assert_eq!(ends.0.get(..10).zip(ends.1.get(..10)), Some(("2020-02-03", "2020-04-10")), "closes, in UTC");
    call(&days, &["--first", "2020-04-20"]).fails(2, &["period is empty", "2020-04-20"]);
    call(ashare, &["--first", "2030-01-01"]).fails(2, &["no bar lies in the period", "2020-01-01"]);
}

/// Thresholds judged on stored rows are the signals that a run with them stored.
#[test]
fn rules_on_stored_rows_say_what_stored_signals_say() {
    let folder = Folder::new();
    let (demo, rules) =
        (folder.path("demo"), root().join("examples/rules.toml").to_string_lossy().into_owned());
    lobstream(&["demo", "--minutes", "8", "--out", &demo, "--rules", &rules]).ok();
    let from = format!("lmdb:{demo}/results");
    let call = |out: &str, more: &[&str]| {
        let out = folder.path(out);
        let args = ["backtest", "--from", &from, "--strategy", "signals", "--out", &out];
        lobstream(&[&args[..], more].concat())
    };
    let stored = call("stored", &[]).ok();
    let trades = csv(&format!("{}/trades.csv", folder.path("stored")));
    assert!(trades.len() > 3, "{} trades", trades.len());
    call("judged", &["--rules", &rules, "--expect-hash", &hash(&stored)]).ok();
    call("ids", &["--rules", &folder.path("none.toml")]).fails(2, &["none.toml"]);
    let plain = ["backtest", "--from", &from, "--rules", &rules, "--out", &folder.path("no")];
    lobstream(&plain).fails(2, &["--rules", "signals"]);
}

/// `export TABLE` writes what `daily table --out` does.
#[test]
fn a_daily_table_is_exported_by_its_name() {
    let folder = Folder::new();
    let (dir, out) = (folder.path("daily"), folder.path("bands.csv"));
    let market = crate::daily::Market::new(60);
    market.import(&folder, "bars", &dir);
    let (from, to) = (market.day(50), market.day(52));
    lobstream(&["daily", "run", "--dir", &dir, "--from", &from, "--to", &to]).ok();
    let said = lobstream(&["export", "stock_bollinger_data", "--dir", &dir, "--out", &out]).ok();
    assert!(said.contains("18 rows"), "{said}");
    let rows = csv(&out);
    assert_eq!(
        (rows.len(), rows[0]["ts_code"].as_str(), rows[17]["trade_date"].as_str()),
        (18, "000001.SZ", to.as_str())
    );
    lobstream(&["export", "stock_moons", "--dir", &dir, "--out", &out])
        .fails(2, &["stock_moons", "stock_daily"]);
    lobstream(&["export", "--out", &out]).fails(2, &["--from"]);
}
