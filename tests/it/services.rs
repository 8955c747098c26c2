//! The same road on a real Kafka and a real MongoDB: the same rows as the embedded run, bit for bit.

use std::time::Duration;

use crate::recovery::killed_at_random;
use crate::support::{Folder, command, kafka, lobstream, mongo, recording, root, unique};

const FILES: [&str; 2] =
    ["crypto/binance/usdm_btcusdt_20240718.gz", "crypto/binance/spot_btcusdt_20240808.gz"];

/// Topic names are shared on a broker, so every test gets its own by a prefix.
struct Servers {
    log: String,
    mongo: String,
    app: String,
    prefix: String,
}

fn servers(test: &str) -> Option<Servers> {
    let (kafka, mongo) = (kafka(test)?, mongo(test)?);
    let name = unique("it");
    let (host, options) = mongo.split_once("/?").unwrap_or((mongo.trim_end_matches('/'), ""));
    Some(Servers {
        log: format!("kafka://{kafka}"),
        mongo: format!("{host}/{name}?{options}"),
        app: name.clone(),
        prefix: format!("{name}."),
    })
}

fn files(test: &str) -> Option<Vec<String>> {
    FILES.iter().map(|f| recording(test, f)).collect()
}

/// Digest of the embedded run over the same files, and a backtest of its rows.
fn embedded(folder: &Folder, files: &[String], rules: &str) -> (String, String) {
    let (log, results) = (folder.uri("embedded", "log"), folder.uri("lmdb", "results"));
    lobstream(&["replay", &files[0], &files[1], "--log", &log]).ok();
    lobstream(&["run", "--log", &log, "--results", &results, "--rules", rules, "--until-end"]).ok();
    let report = lobstream(&["backtest", "--from", &results, "--out", &folder.path("bt-lmdb")]).ok();
    (lobstream(&["digest", "--from", &results]).ok(), hash(&report))
}

/// The determinism hash in a backtest's summary.
fn hash(report: &str) -> String {
    let line = report.lines().find(|l| l.contains("hash")).unwrap_or_else(|| panic!("no hash in\n{report}"));
    line.split_whitespace().last().expect("hash").to_owned()
}

#[test]
fn kafka_and_mongodb_give_the_rows_of_the_embedded_run() {
    let test = "kafka_and_mongodb_give_the_rows_of_the_embedded_run";
    let (Some(s), Some(files)) = (servers(test), files(test)) else { return };
    let folder = Folder::new();
    let rules = root().join("examples/rules.toml").to_string_lossy().into_owned();
    let (want, want_hash) = embedded(&folder, &files, &rules);
    for threads in ["1", "2"] {
        let app = format!("{}-{threads}", s.app);
        let prefix = format!("{app}.");
        lobstream(&["replay", &files[0], &files[1], "--log", &s.log, "--topic-prefix", &prefix]).ok();
        let (lmdb, state) = (folder.uri("lmdb", &app), folder.path("state"));
        let run = [
            "run",
            "--log",
            &s.log,
            "--topic-prefix",
            &prefix,
            "--app",
            &app,
            "--results",
            &s.mongo,
            "--results",
            &lmdb,
            "--rules",
            &rules,
            "--threads",
            threads,
            "--state",
            &state,
            "--until-end",
        ];
        lobstream(&run).ok();
        assert_eq!(lobstream(&["digest", "--from", &lmdb]).ok(), want, "{threads} threads, Kafka to LMDB");
        assert_eq!(lobstream(&["digest", "--from", &s.mongo]).ok(), want, "{threads} threads, MongoDB");
    }
    let report = lobstream(&["backtest", "--from", &s.mongo, "--out", &folder.path("bt-mongo")]).ok();
    assert_eq!(hash(&report), want_hash, "the same trades from MongoDB");
}

/// Two processes of one application, exactly-once and at-least-once; nobody dies, so both are exact.
#[test]
fn two_processes_share_an_application() {
    let test = "two_processes_share_an_application";
    let (Some(s), Some(files)) = (servers(test), files(test)) else { return };
    let folder = Folder::new();
    let rules = root().join("examples/rules.toml").to_string_lossy().into_owned();
    let (want, _) = embedded(&folder, &files, &rules);
    for guarantee in ["exactly-once", "at-least-once"] {
        let (app, state) = (format!("{}-{guarantee}", s.app), folder.path(guarantee));
        let prefix = format!("{app}.");
        lobstream(&["replay", &files[0], &files[1], "--log", &s.log, "--topic-prefix", &prefix]).ok();
        let run = ["run", "--log", &s.log, "--topic-prefix", &prefix, "--app", &app, "--rules", &rules];
        let more = ["--state", &state, "--guarantee", guarantee, "--until-end"];
        // Each keeps copies of the other's state, which changes nothing.
        let start = |(instance, place)| {
            let own = ["--instance", instance, "--standby", place];
            let args: Vec<&str> = run.iter().chain(&more).copied().chain(own).collect();
            command(&args).spawn().expect("start")
        };
        for mut process in [("a", "0/2"), ("b", "1/2")].map(start) {
            assert!(process.wait().expect("wait").success(), "{guarantee}");
        }
        // Nothing is left to do but to store what those two wrote.
        let stored = folder.uri("lmdb", &app);
        let args: Vec<&str> = run.iter().chain(&more).copied().chain(["--results", &stored]).collect();
        lobstream(&args).ok();
        assert_eq!(lobstream(&["digest", "--from", &stored]).ok(), want, "{guarantee}");
    }
}

#[test]
fn run_killed_ten_times_on_kafka_and_mongodb_stores_what_an_undisturbed_run_stores() {
    let test = "run_killed_ten_times_on_kafka_and_mongodb_stores_what_an_undisturbed_run_stores";
    let (Some(s), Some(files)) = (servers(test), files(test)) else { return };
    let folder = Folder::new();
    let rules = root().join("examples/rules.toml").to_string_lossy().into_owned();
    let (want, _) = embedded(&folder, &files, &rules);
    let state = folder.path("state");
    lobstream(&["replay", &files[0], &files[1], "--log", &s.log, "--topic-prefix", &s.prefix]).ok();
    let run = [
        "run",
        "--log",
        &s.log,
        "--app",
        &s.app,
        "--results",
        &s.mongo,
        "--rules",
        &rules,
        "--state",
        &state,
        "--topic-prefix",
        &s.prefix,
        "--until-end",
    ];
    let kills = killed_at_random(test, &run, Duration::from_millis(2500));
    assert!(kills >= 3, "only {kills} kills met a running process: the input is too short for this machine");
    assert_eq!(lobstream(&["digest", "--from", &s.mongo]).ok(), want);
}

#[test]
fn two_environments_on_one_broker_share_nothing() {
    let test = "two_environments_on_one_broker_share_nothing";
    let (Some(s), Some(files)) = (servers(test), files(test)) else { return };
    let folder = Folder::new();
    let mut digests = Vec::new();
    for name in ["a", "b"] {
        let prefix = format!("{}{name}.", s.prefix);
        let (results, state) = (folder.uri("lmdb", name), folder.path(&format!("state-{name}")));
        lobstream(&["replay", &files[0], "--log", &s.log, "--topic-prefix", &prefix]).ok();
        // The same application name in both.
        let run = [
            "run",
            "--log",
            &s.log,
            "--topic-prefix",
            &prefix,
            "--app",
            "lob",
            "--results",
            &results,
            "--state",
            &state,
            "--until-end",
        ];
        lobstream(&run).ok();
        digests.push(lobstream(&["digest", "--from", &results]).ok());
    }
    assert!(digests[0].starts_with("factors 178 "), "{}", digests[0]);
    assert_eq!(digests[0], digests[1]);
}
