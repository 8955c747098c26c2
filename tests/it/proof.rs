//! Proof and control from the command line: verify, inspect, orders to a replay, archives joined to live logs.

use std::io::Write;
use std::process::Stdio;

use crate::cli::{lines, written};
use crate::support::{Folder, command, lobstream, recording, root};

const FILE: &str = "crypto/binance/usdm_btcusdt_20240808.gz";

/// A log with a run over the little recording: its URI.
fn ran(folder: &Folder) -> String {
    let (file, log) = (written(folder, "good.jsonl", &lines()), folder.uri("embedded", "log"));
    lobstream(&["replay", &file, "--log", &log]).ok();
    lobstream(&["run", "--log", &log, "--until-end"]).ok();
    log
}

#[test]
fn a_run_is_proven_and_what_cannot_be_proven_is_told() {
    let folder = Folder::new();
    let log = ran(&folder);
    let report = lobstream(&["verify", "--log", &log, "--batch", "7", "--threads", "2"]).ok();
    assert!(report.contains("22 outputs and 8 state digests") && report.ends_with("equal\n"), "{report}");
    let pure = lobstream(&["verify", "--log", &log, "--pure"]).ok();
    assert!(pure.ends_with("equal\n"), "{pure}");
    let rules = root().join("examples/rules.toml").to_string_lossy().into_owned();
    let words = ["another configuration", "cannot be verified"];
    lobstream(&["verify", "--log", &log, "--rules", &rules]).fails(4, &words);
    lobstream(&["verify", "--log", &log, "--app", "nobody"]).fails(4, &["nobody"]);
    let absent = folder.uri("embedded", "absent");
    lobstream(&["verify", "--log", &absent]).fails(3, &["no log at"]);
}

#[test]
fn a_recorded_day_is_proven_whatever_the_batches() {
    let test = "a_recorded_day_is_proven_whatever_the_batches";
    let Some(file) = recording(test, FILE) else { return };
    let folder = Folder::new();
    let log = folder.uri("embedded", "log");
    lobstream(&["replay", &file, "--log", &log]).ok();
    let rules = root().join("examples/rules.toml").to_string_lossy().into_owned();
    lobstream(&["run", "--log", &log, "--rules", &rules, "--until-end"]).ok();
    for (batch, threads) in [("33", "2"), ("5000", "1")] {
        let args = ["verify", "--log", &log, "--rules", &rules, "--batch", batch, "--threads", threads];
        let report = lobstream(&args).ok();
        assert!(report.ends_with("equal\n") && !report.contains(" 0 state digests"), "{report}");
    }
}

#[test]
fn stores_and_missing_rows_are_looked_into() {
    let folder = Folder::new();
    let log = ran(&folder);
    let all = lobstream(&["inspect", "store", "--log", &log, "--store", "books"]).ok();
    assert!(all.contains("as of epoch") && all.contains("XYZUSDT"), "{all}");
    let one = lobstream(&["inspect", "store", "--log", &log, "--store", "books", "--key", "XYZUSDT"]).ok();
    assert!(one.lines().count() == 2 && one.contains("XYZUSDT"), "{one}");
    lobstream(&["inspect", "store", "--log", &log, "--store", "books", "--key", "NONE"]).fails(3, &["NONE"]);
    lobstream(&["inspect", "store", "--log", &log, "--store", "odd"]).fails(3, &["books and gates"]);
    let why = |window: &str| {
        let topic = "factors.binance-usdm";
        let args =
            ["inspect", "why", "--log", &log, "--topic", topic, "--key", "XYZUSDT", "--window", window];
        lobstream(&args)
    };
    // The recording lasts from 22:13:20 to 22:13:32; at its end the origin says bye at 32.25 s.
    let first = why("2023-11-14T22:13:20Z").ok();
    assert!(
        first.contains("[22:13:20, 22:13:21) key XYZUSDT") && first.contains("closed and emitted"),
        "{first}"
    );
    let last = why("2023-11-14T22:13:31").ok();
    assert!(last.contains("open. Needs T >= 22:13:32.500 (end + grace 500 ms); T is 22:13:32.250"), "{last}");
    assert!(last.contains("every input is at its end"), "{last}");
    let before = why("2023-11-14T22:13:10Z").ok();
    assert!(before.contains("closed and empty"), "{before}");
    why("2023-11-14T22:13:20.5Z").fails(2, &["whole seconds"]);
    why("yesterday").fails(2, &["--window", "yesterday"]);
}

#[test]
fn a_replay_follows_orders_and_begins_where_it_is_told() {
    let folder = Folder::new();
    let file = written(&folder, "good.jsonl", &lines());
    let log = folder.uri("embedded", "log");
    let args = ["replay", &file, "--log", &log, "--speed", "step"];
    let mut child = command(&args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let orders = b"step 5\nseek 22:13:30\nstep 2\nquit\n";
    child.stdin.take().expect("piped").write_all(orders).expect("written");
    let out = child.wait_with_output().expect("ended");
    let (said, told) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{told}");
    assert!(told.contains("orders: pause") && told.contains("at 2023-11-14T22:13:30.000Z"), "{told}");
    assert!(said.contains("events passed over"), "{said}");

    let from = folder.uri("embedded", "from");
    let said = lobstream(&["replay", &file, "--log", &from, "--from", "2023-11-14T22:13:26Z"]).ok();
    assert!(said.contains("49 events passed over"), "{said}");
    lobstream(&["replay", &file, "--log", &from, "--from", "soon"]).fails(2, &["--from", "soon"]);
}

#[test]
fn an_archive_is_read_before_the_live_log_and_a_hole_is_named() {
    let folder = Folder::new();
    let whole = ran(&folder);
    let digest = |log: &str, name: &str, archive: Option<&str>| {
        let results = folder.uri("lmdb", name);
        let prefix = format!("{name}.");
        let mut args =
            vec!["run", "--log", log, "--output-prefix", &prefix, "--results", &results, "--until-end"];
        args.extend(archive.into_iter().flat_map(|archive| ["--archive", archive]));
        lobstream(&args).ok();
        lobstream(&["digest", "--from", &results]).ok()
    };
    let want = digest(&whole, "calm", None);
    // The same input in another log is the archive of this one: the live log goes on where it ends.
    let (file, archive) = (folder.path("good.jsonl"), folder.uri("embedded", "archive"));
    lobstream(&["replay", &file, "--log", &archive]).ok();
    let copy = folder.uri("embedded", "copy");
    lobstream(&["replay", &file, "--log", &copy]).ok();
    assert_eq!(digest(&copy, "joined", Some(&archive)), want);
    let absent = folder.uri("embedded", "absent");
    lobstream(&["run", "--log", &copy, "--archive", &absent, "--until-end"]).fails(3, &["no archive at"]);
}
