//! A-share images against the slow computation of tests/oracle/images.py, which shares no code with the program, and
//! against a reader that knows nothing but the format.

use crate::images_python::run;
use crate::support::{Folder, lobstream, python, recording, root};

/// Makes the images of a day and compares every cell, cut, threshold, counter and hash.
#[track_caller]
fn check(python: &str, folder: &Folder, date: &str, input: &str) -> String {
    let out = folder.path("out");
    let made =
        ["images", "--date", date, "--in", input, "--out", &out, "--keep-counts", "--no-progress", "--json"];
    let said = lobstream(&made).ok();
    let oracle = root().join("tests/oracle/images.py").to_string_lossy().into_owned();
    let agreed = run(python, &[&oracle, "--date", date, "--against", &out, input]);
    old_readers_agree(python, &out, &said);
    agreed
}

/// Programs that only know the format list, count and read the same images.
#[track_caller]
fn old_readers_agree(python: &str, out: &str, said: &str) {
    let reader = root().join("tests/oracle/ancestor_reader.py").to_string_lossy().into_owned();
    let line = run(python, &[&reader, out]);
    let read: serde_json::Value = serde_json::from_str(&line).expect("one day");
    let told = said.lines().last().expect("the day's own line");
    let hash = read["day_hash"].as_str().expect("a hash");
    assert!(told.contains(hash), "{hash} is not in {told}");
}

fn copied(test: &str, folder: &Folder, names: &[&str]) -> Option<String> {
    let input = folder.path("in");
    std::fs::create_dir(&input).expect("made");
    for name in names {
        let from = recording(test, &format!("ashare/l2/{name}"))?;
        let to = std::path::Path::new(&input).join(std::path::Path::new(name).file_name().expect("a file"));
        std::fs::copy(from, to).expect("copied");
    }
    Some(input)
}

#[test]
fn recorded_stock_days_agree_cell_by_cell() {
    let test = "recorded_stock_days_agree_cell_by_cell";
    let Some(python) = python(test) else { return };
    for (date, names, stocks) in [
        ("20230201", &["sh600519_20230201.zip"][..], 1),
        ("20230711", &["sh5_20230711/SHorders.zip", "sh5_20230711/SHtrans.zip"][..], 5),
    ] {
        let folder = Folder::new();
        let Some(input) = copied(test, &folder, names) else { return };
        assert_eq!(check(&python, &folder, date, &input), format!("{stocks} stocks agree\n"));
    }
}

#[test]
fn made_up_stock_days_of_both_exchanges_agree_cell_by_cell() {
    let Some(python) = python("made_up_stock_days_of_both_exchanges_agree_cell_by_cell") else { return };
    for (seed, format, rows) in [("1", "parquet", "60000"), ("2", "csv", "20000")] {
        let folder = Folder::new();
        let input = folder.path("in");
        let made = ["images", "synth", "--date", "20250102", "--stocks", "100", "--rows", rows];
        let files =
            lobstream(&[&made[..], &["--seed", seed, "--format", format, "--out", &input]].concat()).ok();
        assert_eq!(files.lines().count(), 3, "{files}");
        assert_eq!(check(&python, &folder, "20250102", &input), "100 stocks agree\n", "seed {seed}");
    }
}

#[test]
fn a_made_up_day_has_the_same_bytes_again_and_is_not_written_over() {
    let folder = Folder::new();
    let (a, b) = (folder.path("a"), folder.path("b"));
    let made =
        ["images", "synth", "--date", "20250102", "--stocks", "7", "--rows", "3000", "--seed", "5", "--out"];
    let make = |out: &str, more: &[&str]| lobstream(&[&made[..], &[out], more].concat());
    make(&a, &[]).ok();
    make(&b, &[]).ok();
    let tables = |folder: &str| {
        let mut names: Vec<_> =
            std::fs::read_dir(folder).expect("made").map(|e| e.expect("entry").path()).collect();
        names.sort();
        names
            .into_iter()
            .map(|p| (p.file_name().map(ToOwned::to_owned), std::fs::read(p).expect("read")))
            .collect::<Vec<_>>()
    };
    assert_eq!(tables(&a).len(), 3);
    assert_eq!(tables(&a), tables(&b));
    make(&a, &[]).fails(6, &["mdl_4_24_0_20250102.parquet", "--overwrite"]);
    make(&a, &["--overwrite"]).ok();
    make(&folder.path("c"), &["--format", "xml"]).fails(2, &["parquet"]);
    lobstream(&["images", "synth", "--date", "2025-01-02", "--out", &a]).fails(2, &["20250102"]);
}
