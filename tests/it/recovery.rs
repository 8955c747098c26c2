//! `kill -9` in the middle of everything: after restart the rows are complete, none is doubled, and they
//! equal those of a run that nobody disturbed.

use std::time::Duration;

use crate::support::{Folder, Rng, command, lobstream, recording, root, said, wait_for};

const FILES: [&str; 2] =
    ["crypto/binance/usdm_btcusdt_20240808.gz", "crypto/binance/spot_btcusdt_20240808.gz"];
const KILLS: usize = 10;

/// Starts `args` again and again and kills it after a random while, until it was killed `KILLS` times or
/// came to its end; then lets it finish.
pub(crate) fn killed_at_random(test: &str, args: &[&str], longest: Duration) -> usize {
    let seed = u64::from(std::process::id());
    said(&format!("{test}: seed {seed}"));
    let mut rng = Rng::new(seed);
    let mut kills = 0;
    for _ in 0..KILLS {
        let mut child = command(args).spawn().expect("starts");
        std::thread::sleep(longest.mul_f64(0.05 + 0.95 * rng.fraction()));
        if child.try_wait().expect("status").is_some() {
            break;
        }
        child.kill().expect("killed");
        child.wait().expect("ended");
        kills += 1;
    }
    lobstream(args).ok();
    kills
}

#[test]
fn run_killed_ten_times_on_the_embedded_log_stores_what_an_undisturbed_run_stores() {
    let test = "run_killed_ten_times_on_the_embedded_log_stores_what_an_undisturbed_run_stores";
    let Some(files) = FILES.iter().map(|f| recording(test, f)).collect::<Option<Vec<_>>>() else { return };
    let folder = Folder::new();
    let rules = root().join("examples/rules.toml").to_string_lossy().into_owned();
    let run = |app: &str| {
        let log = folder.uri("embedded", &format!("{app}-log"));
        lobstream(&["replay", &files[0], &files[1], "--log", &log]).ok();
        let (lmdb, parquet) =
            (folder.uri("lmdb", &format!("{app}-l")), folder.uri("parquet", &format!("{app}-p")));
        let args = ["run", "--log", &log, "--app", app, "--rules", &rules, "--until-end"];
        let args: Vec<String> = args
            .iter()
            .map(|a| (*a).to_owned())
            .chain(["--results".to_owned(), lmdb.clone(), "--results".to_owned(), parquet.clone()])
            .collect();
        (args, lmdb, parquet)
    };
    let digest = |uri: &str| lobstream(&["digest", "--from", uri]).ok();

    let (calm, calm_lmdb, _) = run("calm");
    lobstream(&calm).ok();
    let (stormy, lmdb, parquet) = run("stormy");
    let args: Vec<&str> = stormy.iter().map(String::as_str).collect();
    let kills = killed_at_random(test, &args, Duration::from_millis(900));
    assert!(kills >= 3, "only {kills} kills met a running process: the input is too short for this machine");
    let want = digest(&calm_lmdb);
    assert_eq!(digest(&lmdb), want);
    assert_eq!(digest(&parquet), want);
}

#[test]
fn rules_that_change_after_a_kill_are_told_and_the_old_ones_go_on() {
    let test = "rules_that_change_after_a_kill_are_told_and_the_old_ones_go_on";
    let Some(file) = recording(test, FILES[0]) else { return };
    let folder = Folder::new();
    let (log, results) = (folder.uri("embedded", "log"), folder.uri("lmdb", "results"));
    lobstream(&["replay", &file, "--log", &log]).ok();
    let rules = root().join("examples/rules.toml").to_string_lossy().into_owned();
    let run = ["run", "--log", &log, "--results", &results, "--until-end"];
    let mut killed = command(&run).spawn().expect("starts");
    let begun = wait_for(Duration::from_secs(30), || {
        let now = lobstream(&["digest", "--from", &results]);
        now.code == Some(0) && !now.stdout.starts_with("factors 0 ")
    });
    killed.kill().expect("killed");
    killed.wait().expect("ended");
    assert!(begun, "some rows were stored before the kill");
    lobstream(&[&run[..], &["--rules", &rules]].concat()).fails(6, &["rules file", "--output-prefix"]);
    lobstream(&run).ok();
    lobstream(&[&run[..], &["--rules", &rules]].concat()).ok();
}
