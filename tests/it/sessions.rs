//! Sessions of a feed: between two of them nobody listened, and no row may say otherwise.

use crate::support::{Folder, Small, Table, lobstream, rows};

const TEN_HOURS_MS: i64 = 36_000_000;

fn replay(folder: &Folder, log: &str, files: &[&str]) -> String {
    let log = folder.uri("embedded", log);
    lobstream(&[&["replay"], files, &["--log", &log]].concat()).ok();
    log
}

fn of<'t>(rows: &'t Table, symbol: &str) -> Vec<&'t std::collections::BTreeMap<String, String>> {
    rows.iter().filter(|row| row["symbol"] == symbol).collect()
}

fn ms(row: &std::collections::BTreeMap<String, String>) -> i64 {
    row["ts_ms"].parse().expect("number")
}

/// Two days of one symbol, and a second symbol that only the first day has.
#[test]
fn between_two_replays_no_row_shows_the_old_book() {
    let folder = Folder::new();
    let day1 = Small { snapshot: Some(1), ..Small::default() };
    let gone = Small { snapshot: Some(1), symbol: "GONEUSDT", ..day1 };
    let day2 = Small { start_ms: day1.start_ms + TEN_HOURS_MS, first: 5_000, snapshot: Some(5_001), ..day1 };
    let [a, b, c] = [(day1, "a"), (gone, "b"), (day2, "c")].map(|(s, name)| s.file(&folder, name));
    replay(&folder, "log", &[&a, &b]);
    let log = replay(&folder, "log", &[&c]);
    let all = rows(&folder, &log, "two");

    let hole = |row: &&&std::collections::BTreeMap<String, String>| {
        (day1.start_ms + 12_000..day2.start_ms).contains(&ms(row))
    };
    for symbol in ["XYZUSDT", "GONEUSDT"] {
        let inside: Vec<_> = of(&all, symbol).into_iter().filter(|row| hole(&row)).collect();
        assert_eq!(inside.len() as i64, (TEN_HOURS_MS - 12_000) / 1_000, "{symbol}: a row for every second");
        for row in inside {
            assert_eq!((row["book_valid"].as_str(), row["invalid_reason"].as_str()), ("false", "stale"));
            for column in ["mid", "wmid", "obi_1", "ofi", "best_bid", "delta", "buy_qty", "tfi"] {
                assert_eq!(row[column], "", "{column} is invented in {row:?}");
            }
        }
    }

    // Outside the hole: as if each day had a log of its own, but for the numbers that count on.
    let alone = |name: &str, files: &[&str]| {
        let log = replay(&folder, name, files);
        rows(&folder, &log, &format!("{name}-rows"))
    };
    let (first, second) = (alone("first", &[&a, &b]), alone("second", &[&c]));
    let continued = ["book_epoch", "book_seq", "cvd", "cvd_epoch", "gap_flags", "z_cvd", "n_trades", "z_ofi"];
    for (want, from) in [(&first, day1.start_ms), (&second, day2.start_ms + 1_000)] {
        for want in of(want, "XYZUSDT").into_iter().filter(|row| ms(row) >= from) {
            let got =
                of(&all, "XYZUSDT").into_iter().find(|row| ms(row) == ms(want)).expect("the same seconds");
            for (column, text) in want.iter().filter(|(column, _)| !continued.contains(&column.as_str())) {
                assert_eq!(&got[column], text, "{column} of {}", want["ts_ms"]);
            }
        }
    }
}

/// Where ids prove that nothing is missing, the book is right again with the first change.
#[test]
fn a_recording_replayed_in_two_parts_goes_on_where_it_was() {
    let folder = Folder::new();
    let one = Small { snapshot: Some(1), ..Small::default() };
    let two = Small { start_ms: one.start_ms + 12_000, first: 48, ..one };
    let two = Small { snapshot: None, ..two };
    let [a, b] = [(one, "a"), (two, "b")].map(|(s, name)| s.file(&folder, name));
    replay(&folder, "parts", &[&a]);
    let parts = rows(&folder, &replay(&folder, "parts", &[&b]), "parts-rows");
    let whole = rows(&folder, &replay(&folder, "whole", &[&a, &b]), "whole-rows");
    assert_eq!(parts.len(), whole.len());
    // The last second before the break and the first after it are not told as whole ones.
    for (got, want) in parts
        .iter()
        .zip(&whole)
        .filter(|(row, _)| !(one.start_ms + 11_000..=one.start_ms + 12_000).contains(&ms(row)))
    {
        assert_eq!((&got["book_valid"], &got["ofi"]), (&want["book_valid"], &want["ofi"]), "{got:?}");
        assert_eq!((&got["delta"], &got["obi_1"]), (&want["delta"], &want["obi_1"]), "{got:?}");
    }
    assert_eq!(parts.last().expect("rows")["book_epoch"], "1", "no new snapshot was needed");
}

/// The same files once more: nothing that is written changes, and the log says that they were late.
#[test]
fn the_same_replay_twice_changes_no_row() {
    let folder = Folder::new();
    let file = Small { snapshot: Some(1), ..Small::default() }.file(&folder, "a");
    let once = rows(&folder, &replay(&folder, "once", &[&file]), "once-rows");
    let log = replay(&folder, "twice", &[&file]);
    let again = lobstream(&["replay", &file, "--log", &log]);
    assert!(
        again.stderr.contains("market.binance-usdm held records of these times before"),
        "{}",
        again.stderr
    );
    again.ok();
    let run = lobstream(&["run", "--log", &log, "--until-end"]);
    assert!(run.stderr.contains("records came after their second was closed"), "{}", run.stderr);
    assert!(run.stderr.contains("replayed into this log twice"), "{}", run.stderr);
    run.ok();
    assert_eq!(once, rows(&folder, &log, "twice-rows"));
}
