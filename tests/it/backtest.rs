//! `backtest` on bars of the user's own and on daily tables: what comes out, and what is refused.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::support::{Folder, lobstream};

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
}
