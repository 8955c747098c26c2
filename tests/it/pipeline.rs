//! The road from recorded lines to stored rows: the same digest at any speed, thread count and partition
//! count, into any store, and while the log is being followed.

use std::time::Duration;

use crate::support::{Folder, command, lobstream, recording, root, wait_for};

const FILE: &str = "crypto/binance/usdm_btcusdt_20240718.gz";

/// Replays a file into a fresh embedded log; the log's URI.
fn replayed(folder: &Folder, name: &str, file: &str, options: &[&str]) -> String {
    let log = folder.uri("embedded", name);
    lobstream(&[&["replay", file, "--log", &log], options].concat()).ok();
    log
}

/// Runs over a log to its end; the digest of what was stored.
fn digest(folder: &Folder, name: &str, log: &str, options: &[&str]) -> String {
    let results = folder.uri("lmdb", name);
    let rules = root().join("examples/rules.toml").to_string_lossy().into_owned();
    let run = ["run", "--log", log, "--results", &results, "--until-end", "--rules", &rules];
    lobstream(&[&run, options].concat()).ok();
    lobstream(&["digest", "--from", &results]).ok()
}

#[test]
fn speed_threads_and_partitions_change_no_byte() {
    let test = "speed_threads_and_partitions_change_no_byte";
    let Some(file) = recording(test, FILE) else { return };
    let folder = Folder::new();
    let max = replayed(&folder, "max", &file, &[]);
    let want = digest(&folder, "r1", &max, &["--threads", "1"]);
    assert!(want.contains("factors ") && want.contains("signals "), "{want}");
    let again = replayed(&folder, "again", &file, &[]);
    assert_eq!(digest(&folder, "r2", &again, &["--threads", "2"]), want, "two threads");
    let paced = replayed(&folder, "x50", &file, &["--speed", "x50"]);
    assert_eq!(digest(&folder, "r3", &paced, &[]), want, "paced at 50 times real time");
    let narrow = replayed(&folder, "p1", &file, &["--partitions", "1"]);
    assert_eq!(digest(&folder, "r4", &narrow, &[]), want, "one partition");
}

#[test]
fn every_store_holds_the_same_rows() {
    let test = "every_store_holds_the_same_rows";
    let Some(file) = recording(test, FILE) else { return };
    let folder = Folder::new();
    let log = replayed(&folder, "log", &file, &[]);
    let (lmdb, parquet) = (folder.uri("lmdb", "lmdb"), folder.uri("parquet", "parquet"));
    lobstream(&["run", "--log", &log, "--results", &lmdb, "--results", &parquet, "--until-end"]).ok();
    let digest = |uri: &str| lobstream(&["digest", "--from", uri]).ok();
    assert_eq!(digest(&lmdb), digest(&parquet));
    let export = |uri: &str, name: &str| {
        let out = folder.path(name);
        lobstream(&["export", "--to", "factors", "--from", uri, "--out", &out]).ok();
        std::fs::read(out).expect("exported")
    };
    assert_eq!(export(&lmdb, "a.csv"), export(&parquet, "b.csv"));
    assert_eq!(export(&lmdb, "a.parquet"), export(&parquet, "b.parquet"));
}

#[test]
fn a_second_run_over_the_same_log_adds_nothing() {
    let test = "a_second_run_over_the_same_log_adds_nothing";
    let Some(file) = recording(test, FILE) else { return };
    let folder = Folder::new();
    let log = replayed(&folder, "log", &file, &[]);
    let first = digest(&folder, "results", &log, &[]);
    assert_eq!(digest(&folder, "results", &log, &[]), first);
}

#[test]
fn run_follows_a_log_that_another_process_fills_and_drains_on_ctrl_c() {
    let test = "run_follows_a_log_that_another_process_fills_and_drains_on_ctrl_c";
    let Some(file) = recording(test, FILE) else { return };
    let folder = Folder::new();
    let (log, results) = (folder.uri("embedded", "log"), folder.uri("lmdb", "results"));
    let undisturbed = replayed(&folder, "other", &file, &[]);
    let want = digest(&folder, "want", &undisturbed, &[]);
    let rules = root().join("examples/rules.toml").to_string_lossy().into_owned();
    let run = ["run", "--log", &log, "--results", &results, "--venues", "binance-usdm", "--rules", &rules];
    let mut running = command(&run).spawn().expect("run starts");
    lobstream(&["replay", &file, "--log", &log]).ok();
    let complete = wait_for(Duration::from_secs(60), || {
        let now = lobstream(&["digest", "--from", &results]);
        now.code == Some(0) && now.stdout == want
    });
    let interrupted =
        std::process::Command::new("kill").args(["-INT", &running.id().to_string()]).status().expect("kill");
    assert!(interrupted.success());
    let status = running.wait().expect("run ends");
    assert!(complete, "all rows are there while run still follows");
    assert_eq!(status.code(), Some(0), "Ctrl-C drains and ends well");
    assert_eq!(lobstream(&["digest", "--from", &results]).ok(), want);
}
