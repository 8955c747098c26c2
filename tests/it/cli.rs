//! Bad input, bad addresses, full disks: what, where, what to do; an exit code; nothing half-written.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{Done, Folder, Small, lobstream, mongo, skipped};

/// 12 s of a market of our own making.
pub(crate) fn lines() -> Vec<String> {
    Small { snapshot: Some(1), ..Small::default() }.lines()
}

pub(crate) fn written(folder: &Folder, name: &str, lines: &[String]) -> String {
    let path = folder.path(name);
    fs::write(&path, lines.join("\n") + "\n").expect("written");
    path
}

fn replay(folder: &Folder, file: &str) -> Done {
    lobstream(&["replay", file, "--log", &folder.uri("embedded", "log")])
}

#[test]
fn a_small_recording_makes_the_whole_road() {
    let folder = Folder::new();
    let file = written(&folder, "good.jsonl", &lines());
    replay(&folder, &file).ok();
    let (log, results, csv) = (folder.uri("embedded", "log"), folder.uri("lmdb", "r"), folder.path("r.csv"));
    lobstream(&["run", "--log", &log, "--results", &results, "--until-end"]).ok();
    lobstream(&["export", "--to", "factors", "--from", &results, "--out", &csv]).ok();
    let text = fs::read_to_string(csv).expect("exported");
    let header: Vec<&str> = text.lines().next().expect("header").split(',').collect();
    let column = |name: &str| header.iter().position(|h| *h == name).expect("column");
    let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|l| l.split(',').collect()).collect();
    assert_eq!(rows.len(), 11, "the twelfth second is not over");
    assert!(rows.iter().all(|r| r[column("book_state")] == "ok" && r[column("n_trades")] == "4"));
    // Four updates a second replace the best bid by i mod 5 + 1.5: the flow telescopes to last − first.
    assert_eq!(rows[3][column("ofi")], "-1.0", "bid sizes 2.5 before; then 3.5 4.5 5.5 1.5 in second 3");
    assert_eq!(rows[3][column("delta")], "2.0");
}

#[test]
fn bad_recordings_are_refused_by_name_and_line_and_leave_no_topic() {
    let check = |name: &str, bytes: &[u8], code: i32, words: &[&str]| {
        let folder = Folder::new();
        let path = folder.path(name);
        fs::write(&path, bytes).expect("written");
        replay(&folder, &path).fails(code, &[&[name], words].concat());
        let log = folder.uri("embedded", "log");
        lobstream(&["run", "--log", &log, "--until-end"]).fails(3, &["lobstream replay"]);
        assert!(!Path::new(&folder.path("log")).exists(), "{name}: an empty log is left");
    };
    let good = lines().join("\n") + "\n";
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut packer, good.as_bytes()).expect("packed");
    let packed = packer.finish().expect("packed");
    check("cut.gz", &packed[..packed.len() / 2], 4, &["truncated"]);
    check("torn.jsonl", &good.as_bytes()[..good.len() - 20], 4, &["truncated", ":97:"]);
    check(
        "unknown.json",
        b"{\"hello\":1}\n",
        4,
        &["format_unknown", "hello", "raw lines", "Tardis CSV", "gzip"],
    );
    check("empty.gz", b"", 4, &["empty"]);
    let folder = Folder::new();
    replay(&folder, &folder.path("nothing.gz")).fails(4, &["nothing.gz", "missing"]);
}

#[test]
fn a_time_column_that_changes_its_unit_is_an_error_of_its_line() {
    let folder = Folder::new();
    let mut lines = lines();
    lines[40] = lines[40].replacen("000000 {", " {", 1);
    let file = written(&folder, "mixed.jsonl", &lines);
    replay(&folder, &file).fails(4, &["mixed.jsonl:41", "unit_mixed"]);
}

#[test]
fn a_negative_quantity_and_an_off_tick_price_make_the_book_invalid_and_are_told() {
    let folder = Folder::new();
    let mut lines = lines();
    lines[41] = lines[41].replace("\"2.5\"]]", "\"-2.5\"]]");
    assert!(lines[41].contains("-2.5"));
    let file = written(&folder, "negative.jsonl", &lines);
    let done = replay(&folder, &file);
    assert!(done.stderr.contains("1 messages were refused"), "{}", done.stderr);
    done.ok();
    let (log, results, csv) = (folder.uri("embedded", "log"), folder.uri("lmdb", "r"), folder.path("r.csv"));
    lobstream(&["run", "--log", &log, "--results", &results, "--until-end"]).ok();
    lobstream(&["export", "--to", "factors", "--from", &results, "--out", &csv]).ok();
    let text = fs::read_to_string(csv).expect("exported");
    let last = text.lines().last().expect("rows");
    assert!(last.contains("invalid") && last.contains("refused"), "{last}");
}

#[test]
fn unreachable_servers_and_wrong_passwords_say_so() {
    let test = "unreachable_servers_and_wrong_passwords_say_so";
    let folder = Folder::new();
    let file = written(&folder, "good.jsonl", &lines());
    let kafka = "kafka://127.0.0.1:1";
    lobstream(&["replay", &file, "--log", kafka]).fails(1, &["no broker answers at 127.0.0.1:1"]);
    replay(&folder, &file).ok();
    let log = folder.uri("embedded", "log");
    let run = |results: &str| lobstream(&["run", "--log", &log, "--results", results, "--until-end"]);
    run("mongodb://127.0.0.1:1/x").fails(1, &["cannot reach mongodb://127.0.0.1:1", "check the address"]);
    if let Some(uri) = mongo(test) {
        let said = run(&uri.replacen("mongodb://", "mongodb://user:secret@", 1)).fails(1, &["password"]);
        assert!(!said.contains("secret"), "the password is shown: {said}");
    }
}

#[test]
fn addresses_that_mean_nothing_are_usage_errors_or_missing_steps() {
    let folder = Folder::new();
    let nothing = folder.uri("lmdb", "nothing");
    lobstream(&["digest", "--from", &nothing]).fails(3, &["nothing is stored at", "lobstream run"]);
    assert!(!Path::new(&folder.path("nothing")).exists(), "looking makes no store");
    lobstream(&["digest", "--from", "sql:here"]).fails(2, &["sql:here", "parquet:DIR"]);
    lobstream(&["run", "--log", "ftp:x", "--until-end"]).fails(2, &["ftp:x", "kafka://host:port"]);
    let log = folder.uri("embedded", "no-log");
    lobstream(&["run", "--log", &log, "--until-end"]).fails(3, &["lobstream replay"]);
    assert!(!Path::new(&folder.path("no-log")).exists(), "looking makes no log");
    lobstream(&["replay", "x", "--log", &log, "--speed", "fast"]).fails(2, &["--speed", "x10"]);
    lobstream(&["replay", "x", "--log", &log, "--nonsense"]).fails(2, &["--nonsense"]);
    lobstream(&["backtest", "--from", &nothing, "--strategy", "magic"])
        .fails(2, &["magic", "bollinger_flow"]);
    lobstream(&["backtest", "--from", &nothing, "--set", "k=-1"]).fails(2, &["k = -1"]);
    lobstream(&["backtest", "--from", &nothing, "--bar", "7s"]).fails(2, &["--bar 7s", "5s"]);
}

#[test]
fn a_wrong_rules_file_shows_every_fault_with_line_and_column() {
    let folder = Folder::new();
    let rules = folder.path("rules.toml");
    let text = "version = 1\n[[rule]]\nid = \"a\"\nsymbols = [\"*\"]\n[[rule.leaf]]\nname = \"x\"\nfactor = \"obi_55\"\nbuy = 1\nsell = 2\n";
    fs::write(&rules, text).expect("written");
    let file = written(&folder, "good.jsonl", &lines());
    replay(&folder, &file).ok();
    let log = folder.uri("embedded", "log");
    let run = lobstream(&["run", "--log", &log, "--rules", &rules, "--until-end"]);
    run.fails(2, &["rules.toml:7:1: R007", "obi_5", "rules.toml:9:1: R009"]);
}

/// Runs the binary with a limit on the size of any file it writes: the disk, as it were, is full.
fn with_full_disk(kib: u32, args: &[&str]) -> Done {
    let script = format!("trap '' XFSZ; ulimit -f {kib}; exec \"$0\" \"$@\"");
    let out = Command::new("bash").args(["-c", &script, env!("CARGO_BIN_EXE_lobstream")]).args(args).output();
    let out = out.expect("bash starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Done { code: out.status.code(), stdout: text(&out.stdout), stderr: text(&out.stderr) }
}

#[test]
fn a_full_disk_is_an_error_that_names_the_folder_and_nothing_is_lost() {
    let test = "a_full_disk_is_an_error_that_names_the_folder_and_nothing_is_lost";
    let folder = Folder::new();
    let Some(file) = crate::support::recording(test, "crypto/binance/usdm_btcusdt_20240718.gz") else {
        return;
    };
    if !Command::new("bash").args(["-c", "ulimit -f 100"]).status().is_ok_and(|s| s.success()) {
        return skipped(test, "bash or ulimit is missing");
    }
    let (full, log) = (folder.uri("embedded", "full"), folder.uri("embedded", "log"));
    let replay = with_full_disk(500, &["replay", &file, "--log", &full]);
    replay.fails(1, &["full", "free space"]);
    lobstream(&["replay", &file, "--log", &log]).ok();
    let results = folder.uri("lmdb", "results");
    let run = ["run", "--log", &log, "--results", &results, "--until-end"];
    with_full_disk(200, &run).fails(1, &["free space"]);
    lobstream(&run).ok();
    let digest = lobstream(&["digest", "--from", &results]).ok();
    assert!(digest.starts_with("factors 178 "), "{digest}");
}

#[test]
fn a_hash_that_was_not_expected_is_exit_code_nine() {
    let folder = Folder::new();
    let file = written(&folder, "good.jsonl", &lines());
    replay(&folder, &file).ok();
    let (log, results) = (folder.uri("embedded", "log"), folder.uri("lmdb", "r"));
    lobstream(&["run", "--log", &log, "--results", &results, "--until-end"]).ok();
    let backtest = ["backtest", "--from", &results, "--out", &folder.path("bt"), "--expect-hash", "0"];
    lobstream(&backtest).fails(9, &["expected 0"]);
}

#[test]
fn a_second_application_on_a_log_is_refused_unless_it_has_topics_of_its_own() {
    let folder = Folder::new();
    let file = written(&folder, "good.jsonl", &lines());
    replay(&folder, &file).ok();
    let log = folder.uri("embedded", "log");
    let run = ["run", "--log", &log, "--until-end", "--app"];
    lobstream(&[&run[..], &["first"]].concat()).ok();
    lobstream(&[&run[..], &["second"]].concat())
        .fails(6, &["factors.binance-usdm", "\"first\"", "--app first", "--output-prefix second."]);
    let (mine, own) = (folder.uri("lmdb", "mine"), folder.uri("lmdb", "own"));
    let more = ["--output-prefix", "second.", "--results", &own];
    lobstream(&[&run[..], &["second"], &more].concat()).ok();
    lobstream(&[&run[..], &["first", "--results", &mine]].concat()).ok();
    let digest = |uri: &str| lobstream(&["digest", "--from", uri]).ok();
    assert_eq!(digest(&own), digest(&mine), "the same input, the same rows, each once");
    assert!(digest(&own).starts_with("factors 11 "));
    lobstream(&[&run[..], &["x", "--output-prefix", "x"]].concat()).fails(2, &["--output-prefix"]);
}

#[test]
fn a_store_given_twice_is_a_usage_error() {
    let folder = Folder::new();
    let file = written(&folder, "good.jsonl", &lines());
    replay(&folder, &file).ok();
    let (log, results) = (folder.uri("embedded", "log"), folder.uri("lmdb", "r"));
    let run =
        ["run", "--log", &log, "--until-end", "--results", &results, "--results", &format!("{results}/")];
    lobstream(&run).fails(2, &["--results", "twice"]);
}

#[test]
fn a_pattern_that_no_symbol_matches_is_told_when_the_symbols_are_known() {
    let folder = Folder::new();
    let rules = folder.path("rules.toml");
    let text = "version = 1\n[[rule]]\nid = \"a\"\nsymbols = [\"*\", \"SOLUSDT\"]\n[[rule.leaf]]\nname = \"x\"\nfactor = \"obi_5\"\nbuy = 0.3\nsell = -0.3\n";
    fs::write(&rules, text).expect("written");
    let file = written(&folder, "good.jsonl", &lines());
    replay(&folder, &file).ok();
    let log = folder.uri("embedded", "log");
    let run = lobstream(&["run", "--log", &log, "--rules", &rules, "--until-end"]);
    assert_eq!(run.stderr.matches("W102").count(), 1, "{}", run.stderr);
    assert!(run.stderr.contains("SOLUSDT"), "{}", run.stderr);
    run.ok();
}

#[test]
fn a_report_never_touches_a_folder_that_is_not_its_own() {
    let folder = Folder::new();
    let file = written(&folder, "good.jsonl", &lines());
    replay(&folder, &file).ok();
    let (log, results, out) = (folder.uri("embedded", "log"), folder.uri("lmdb", "r"), folder.path("out"));
    lobstream(&["run", "--log", &log, "--until-end", "--results", &results]).ok();
    fs::create_dir(&out).expect("folder");
    fs::write(format!("{out}/trades.csv"), "mine").expect("written");
    let backtest = ["backtest", "--from", &results, "--out", &out];
    lobstream(&backtest).fails(6, &["out", "--force"]);
    assert_eq!(fs::read(format!("{out}/trades.csv")).expect("there"), b"mine");
    let done = lobstream(&[&backtest[..], &["--force"]].concat());
    assert!(done.stderr.contains("need 120 bars") && done.stderr.contains("has 11"), "{}", done.stderr);
    done.ok();
    lobstream(&backtest).ok();
}
