//! `lobstream demo`: the first command a newcomer types.

use std::path::Path;

use crate::support::{Folder, lobstream, recording};

fn demo(out: &str, options: &[&str]) -> String {
    lobstream(&[&["demo", "--minutes", "8", "--out", out], options].concat()).ok()
}

/// The lines that say what was computed.
fn digests(said: &str) -> Vec<String> {
    let wanted = |l: &&str| ["factors ", "signals ", "hash "].iter().any(|w| l.starts_with(w));
    said.lines().filter(wanted).map(str::to_owned).collect()
}

#[test]
fn a_demo_leaves_charts_page_and_lists_and_repeats_itself() {
    let folder = Folder::new();
    let (a, b) = (folder.path("a"), folder.path("b"));
    let first = digests(&demo(&a, &["--threads", "1"]));
    assert_eq!(first.len(), 3, "{first:?}");
    assert_eq!(digests(&demo(&b, &["--threads", "2"])), first, "the same seed");
    assert_ne!(digests(&demo(&b, &["--seed", "43"])), first, "another seed, into the same folder");
    for name in ["price_SIMBTCUSDT.png", "factors_SIMBTCUSDT.png", "equity.png", "trades.csv", "report.html"]
    {
        let size = Path::new(&a).join(name).metadata().unwrap_or_else(|e| panic!("{name}: {e}")).len();
        assert!(size > 0, "{name} is empty");
    }
    let page = std::fs::read_to_string(Path::new(&a).join("report.html")).expect("page");
    assert!(!page.contains("http://") && !page.contains("https://"), "the page needs a network");
}

#[test]
fn a_demo_never_touches_a_folder_that_is_not_its_own() {
    let folder = Folder::new();
    let out = folder.path("mine");
    std::fs::create_dir(&out).expect("folder");
    std::fs::write(Path::new(&out).join("thesis.txt"), "years of work").expect("file");
    lobstream(&["demo", "--minutes", "1", "--out", &out]).fails(6, &["not empty", "--out"]);
    assert_eq!(std::fs::read_dir(&out).expect("folder").count(), 1);
}

#[test]
fn a_demo_runs_on_recorded_files() {
    let test = "a_demo_runs_on_recorded_files";
    let Some(file) = recording(test, "crypto/binance/usdm_btcusdt_20240718.gz") else { return };
    let folder = Folder::new();
    let said = lobstream(&["demo", "--input", &file, "--out", &folder.path("out")]).ok();
    assert!(said.contains("factors 178 "), "{said}");
}
