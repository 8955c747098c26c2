//! The tables of the daily chain that need trades: against pandas, against a file's own sums, and cut off.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use crate::daily::{Market, parts};
use crate::support::{Folder, Rng, lobstream, python, recording, root};

/// Days before the first one with trades: bands and levels need them.
const BARS_BEFORE: usize = 120;

/// `trades_YYYYMMDD.csv` of the days from `BARS_BEFORE` on: an opening auction, both sessions, a print after
/// hours. One stock lacks trades on some days.
fn trades(folder: &Folder, name: &str, market: &Market) -> String {
    let dir = folder.path(name);
    fs::create_dir_all(&dir).expect("a folder");
    let mut days: BTreeMap<&str, String> = BTreeMap::new();
    for (i, stock) in market.stocks.iter().enumerate() {
        for (n, bar) in stock.bars.iter().enumerate().skip(BARS_BEFORE) {
            if i == 4 && n % 7 == 0 {
                continue;
            }
            let rows = days.entry(&bar.day).or_insert_with(|| "ts_code,time,price,qty,side\n".to_owned());
            for (time, price, qty, side) in day(bar.prices, 1_000 * i as u64 + n as u64) {
                writeln!(rows, "{},{time},{price:.2},{qty},{side}", stock.code).expect("a text");
            }
        }
    }
    for (day, rows) in days {
        fs::write(format!("{dir}/trades_{day}.csv"), rows).expect("written");
    }
    dir
}

/// A walk between the low and the high of a day: time, price, shares, side.
fn day([open, high, low, close]: [f64; 4], seed: u64) -> Vec<(String, f64, i64, char)> {
    let mut rng = Rng::new(seed);
    let mut rows = vec![("09:25:00.000".to_owned(), open, 1_000, 'N')];
    let (mut at, mut place) = (34_200, 0.5);
    loop {
        at += [1, 3, 7, 30, 80, 120][(6.0 * rng.fraction()) as usize];
        if (41_420..46_800).contains(&at) {
            at = 46_800;
        }
        if at > 54_000 {
            break;
        }
        place = (place + 0.12 * rng.fraction() - 0.06f64).clamp(0.0, 1.0);
        let price = ((low + (high - low) * place) * 100.0).round() / 100.0;
        let qty = 100 * (1.0 + 40.0 * rng.fraction().powi(4)) as i64;
        let time = format!("{:02}:{:02}:{:02}.000", at / 3_600, at / 60 % 60, at % 60);
        rows.push((time, price, qty, ['B', 'S', 'B', 'S', 'N'][(5.0 * rng.fraction()) as usize]));
    }
    rows.push(("15:00:00.120".to_owned(), close, 2_000, 'N'));
    rows.push(("15:05:01.000".to_owned(), close, 300, 'B'));
    rows
}

/// So wide that some stocks get through.
const CONFIG: &str =
    "[daily.candidates]\nquality_top = 0.9\nmin_strength = 55\nmax_ppos = 90.0\nsupport_quantile = 0.3\n";

/// Runs the chain over all days with trades.
fn run(folder: &Folder, name: &str, market: &Market, ticks: &str) -> [String; 3] {
    let (dir, config) = (folder.path(name), folder.path("daily.toml"));
    fs::write(&config, CONFIG).expect("written");
    market.import(folder, &format!("{name}-bars"), &dir);
    let (from, to) = (market.day(BARS_BEFORE), market.day(market.stocks[0].bars.len() - 1));
    let args = ["daily", "run", "--dir", &dir, "--from", &from, "--to", &to, "--universe", "all"];
    lobstream(&[&args[..], &["--ticks", ticks, "--config", &config]].concat()).ok();
    [dir, from, to]
}

#[test]
fn tables_of_flow_and_candidates_are_those_of_a_slow_computation_with_pandas() {
    let test = "tables_of_flow_and_candidates_are_those_of_a_slow_computation_with_pandas";
    let Some(python) = python(test) else { return };
    let (folder, market) = (Folder::new(), Market::new(BARS_BEFORE + 24));
    let ticks = trades(&folder, "ticks", &market);
    let [dir, from, to] = run(&folder, "daily", &market, &ticks);
    let done = std::process::Command::new(python)
        .arg(root().join("tests/oracle/daily_flow.py"))
        .args([folder.path("daily-bars"), dir, from, to, ticks, folder.path("daily.toml")])
        .output()
        .expect("python starts");
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains(", 0 differ"), "{said}");
    for table in ["stock_microstructure_daily", "stock_level_microstructure", "strategy_candidates"] {
        assert!(!said.contains(&format!(" 0 rows of {table}")), "{said}");
    }
}

/// Only the label of the last day, which the day after it adds, may differ.
#[test]
fn what_comes_later_changes_no_table_of_flow() {
    let folder = Folder::new();
    let (short, long) = (Market::new(BARS_BEFORE + 18), Market::new(BARS_BEFORE + 24));
    let ticks = [trades(&folder, "ticks-cut", &short), trades(&folder, "ticks-all", &long)];
    let [cut, _, last] = run(&folder, "cut", &short, &ticks[0]);
    let [all, ..] = run(&folder, "all", &long, &ticks[1]);
    let (of_cut, of_all) = (parts(&cut), parts(&all));
    let known = |table: &str| of_cut.keys().filter(|name| name.contains(table)).count();
    for table in ["stock_microstructure_daily", "stock_level_microstructure", "stock_fund_quality"] {
        assert!(known(table) > 10, "{table}: {} parts", known(table));
    }
    assert!(known("strategy_candidates") > 3, "{} parts of candidates", known("strategy_candidates"));
    let labels = format!("stock_level_microstructure/trade_date={last}");
    let next_day = format!("strategy_candidates/trade_date={last}");
    let differ: Vec<&String> = of_cut.keys().filter(|name| of_cut.get(*name) != of_all.get(*name)).collect();
    // The calendar of the shorter run ends with its last day, so its candidates are valid for no day.
    let unexpected = differ.iter().filter(|n| !n.contains(&labels) && !n.contains(&next_day));
    assert_eq!(unexpected.count(), 0, "{differ:?}");
}

/// SZSE 000001 on 2023-02-01: every trade of the exchange's file, summed here in integers.
#[test]
fn a_day_of_the_exchange_adds_up_to_its_own_file() {
    let test = "a_day_of_the_exchange_adds_up_to_its_own_file";
    let Some(zip) = recording(test, "ashare/l2/sz000001_sh600000_trades_20230201.zip") else { return };
    let Some(python) = python(test) else { return };
    let folder = Folder::new();
    let dir = folder.path("daily");
    let (bars, names) = (folder.path("000001.SZ.csv"), folder.path("names.csv"));
    // Only that it traded matters here; the sums come from the trades.
    let head = "ts_code,trade_date,open,high,low,close,pre_close,change,pct_chg,vol,amount";
    fs::write(
        &bars,
        format!("{head}\n000001.SZ,20230201,14.99,15.1,14.6,14.7,14.99,0,0,1653421.48,2449000\n"),
    )
    .expect("written");
    fs::write(&names, "ts_code,name,list_date\n000001.SZ,A Bank,19910403\n").expect("written");
    lobstream(&["daily", "import", "bars", "--basis", "qfq", "--dir", &dir, &bars, &names]).ok();
    let run = ["daily", "run", "--dir", &dir, "--date", "20230201", "--universe", "all", "--ticks", &zip];
    lobstream(&run).ok();
    let script = root().join("tests/oracle/daily_sums.py");
    let done =
        std::process::Command::new(python).arg(script).args([zip, dir]).output().expect("python starts");
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("165342148 shares"), "{said}");
}
