//! Factor rows of recordings against `tests/oracle/factor_rows.py`: another language, no shared code.

use std::process::Command;

use crate::support::{Table, lobstream, recording, root, skipped, table};

const TOLERANCE: f64 = 1e-12;

/// What the program stores for these files.
fn ours(files: &[String]) -> Table {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let (log, results, out) =
        (format!("embedded:{}", path("log")), format!("lmdb:{}", path("results")), path("rows.csv"));
    let mut replay = vec!["replay".to_owned()];
    replay.extend(files.iter().cloned());
    replay.extend(["--log".to_owned(), log.clone()]);
    lobstream(&replay).ok();
    lobstream(&["run", "--log", &log, "--results", &results, "--until-end"]).ok();
    lobstream(&["export", "--to", "factors", "--from", &results, "--out", &out]).ok();
    table(&std::fs::read_to_string(out).expect("exported"))
}

/// The oracle's rows, and what it reported; `None` if there is no Python.
fn theirs(test: &str, files: &[String], options: &[&str]) -> Option<(Table, String)> {
    let script = root().join("tests/oracle/factor_rows.py");
    let out = match Command::new("python3").arg(script).args(options).args(files).output() {
        Ok(out) => out,
        Err(e) => {
            skipped(test, &format!("python3: {e}"));
            return None;
        }
    };
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "the oracle failed:\n{said}");
    Some((table(&String::from_utf8_lossy(&out.stdout)), said))
}

#[track_caller]
fn assert_equal(ours: &Table, theirs: &Table) {
    let labels = |t: &Table| t.iter().map(|r| r["ts_ms"].clone()).collect::<Vec<_>>();
    assert_eq!(labels(ours), labels(theirs), "the same seconds");
    let mut different = Vec::new();
    for (a, b) in ours.iter().zip(theirs) {
        for (column, want) in b {
            let got = &a[column];
            if !same(got, want) {
                different.push(format!("{} {column}: {got} instead of {want}", b["ts_ms"]));
            }
        }
    }
    let n = different.len();
    different.truncate(20);
    assert!(n == 0, "{n} cells differ, the first of them:\n{}", different.join("\n"));
}

fn same(got: &str, want: &str) -> bool {
    if got == want {
        return true;
    }
    match (got.parse::<f64>(), want.parse::<f64>()) {
        (Ok(g), Ok(w)) => (g - w).abs() <= TOLERANCE * w.abs().max(1.0),
        _ => false,
    }
}

fn check(test: &str, names: &[&str], options: &[&str]) {
    let Some(files) =
        names.iter().map(|n| recording(test, &format!("crypto/binance/{n}"))).collect::<Option<Vec<_>>>()
    else {
        return;
    };
    let Some((want, _)) = theirs(test, &files, options) else { return };
    let got = ours(&files);
    assert!(!want.is_empty());
    assert_equal(&got, &want);
}

#[test]
fn rows_of_usdm_2024_08_08_equal_the_oracle() {
    check("rows_of_usdm_2024_08_08_equal_the_oracle", &["usdm_btcusdt_20240808.gz"], &[]);
}

#[test]
fn rows_of_usdm_2024_07_18_and_19_equal_the_oracle() {
    let names = ["usdm_btcusdt_20240718.gz", "usdm_btcusdt_20240719.gz"];
    check("rows_of_usdm_2024_07_18_and_19_equal_the_oracle", &names, &[]);
}

#[test]
fn rows_of_usdm_2023_with_microsecond_stamps_equal_the_oracle() {
    let names = ["usdm_btcusdt_20230404_us.dat.gz", "usdm_btcusdt_20230405_us.dat.gz"];
    check("rows_of_usdm_2023_with_microsecond_stamps_equal_the_oracle", &names, &[]);
}

#[test]
fn rows_of_spot_equal_the_oracle() {
    check("rows_of_spot_equal_the_oracle", &["spot_btcusdt_20240808.gz", "spot_btcusdt_20240809.gz"], &[]);
}

#[test]
fn rows_of_coinm_equal_the_oracle() {
    let names = ["cm_btcusd_perp_20240808.gz", "cm_btcusd_perp_20240809.gz"];
    check("rows_of_coinm_equal_the_oracle", &names, &["--contracts"]);
}

#[test]
fn a_file_without_a_snapshot_gives_rows_that_say_invalid() {
    let test = "a_file_without_a_snapshot_gives_rows_that_say_invalid";
    check(test, &["spot_btcusdt_20240809.gz"], &[]);
    let Some(file) = recording(test, "crypto/binance/spot_btcusdt_20240809.gz") else { return };
    for row in ours(&[file]) {
        assert_eq!(row["book_valid"], "false", "{row:?}");
        for column in ["mid", "wmid", "obi_1", "ofi", "ofi_w", "z_ofi", "best_bid"] {
            assert_eq!(row[column], "", "{column} is invented in {row:?}");
        }
    }
}

/// Leaves out one depth line of the recording.
fn without_depth_line(file: &str, n: usize, out: &std::path::Path) {
    use std::io::{BufRead, BufReader, Write};
    let lines = BufReader::new(flate2::read::GzDecoder::new(std::fs::File::open(file).expect("recording")));
    let mut to = flate2::write::GzEncoder::new(
        std::fs::File::create(out).expect("temporary file"),
        flate2::Compression::fast(),
    );
    let mut seen = 0;
    for line in lines.lines() {
        let line = line.expect("text");
        seen += usize::from(line.contains("depthUpdate"));
        if seen != n || !line.contains("depthUpdate") {
            writeln!(to, "{line}").expect("written");
        }
    }
    to.finish().expect("written");
}

#[test]
fn one_lost_depth_line_is_one_gap_and_no_flow_across_it() {
    let test = "one_lost_depth_line_is_one_gap_and_no_flow_across_it";
    let Some(file) = recording(test, "crypto/binance/usdm_btcusdt_20240808.gz") else { return };
    let dir = tempfile::tempdir().expect("temporary folder");
    let cut = dir.path().join("cut.gz");
    without_depth_line(&file, 3000, &cut);
    let rows = ours(&[cut.to_string_lossy().into_owned()]);
    let gaps = rows.iter().filter(|r| r["gap_flags"].parse::<u8>().expect("flags") & 1 == 1).count();
    assert_eq!(gaps, 1, "exactly one row has the gap");
    let at = rows.iter().position(|r| r["gap_flags"] == "1").expect("the gap");
    assert!(rows[..at].iter().skip(2).all(|r| r["book_valid"] == "true"), "right before it");
    for row in &rows[at..] {
        assert_eq!((row["book_valid"].as_str(), row["ofi"].as_str()), ("false", ""), "{row:?}");
        assert_eq!(row["invalid_reason"], "gap");
    }
    if let Some((want, said)) = theirs(test, &[file], &["--drop-depth", "3000"]) {
        assert!(said.contains("gaps 1"), "{said}");
        assert_equal(&rows, &want);
    }
}
