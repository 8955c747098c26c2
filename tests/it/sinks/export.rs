//! Exports: what other programs read.

use std::fs;

use lobstream::command::export::{ExportOptions, export};
use lobstream::sink::results::Results;
use lobstream::sink::row::{Kind, Rows as Batch};
use lobstream_market::factor::row::FactorRow;
use lobstream_market::signal::SignalHead;
use lobstream_streams::log::{TopicName, Tp};

use super::rows::{Rows, cursor};
use super::{drop_store, stores};
use crate::support::Folder;

fn options(kind: Kind, from: &str, out: &str) -> ExportOptions {
    ExportOptions { kind, from: from.to_owned(), out: out.into() }
}

fn fill(uri: &str) -> Vec<FactorRow> {
    let mut draw = Rows::new(30);
    let mut rows: Vec<FactorRow> = (0..60).map(|_| draw.factor()).collect();
    let signals = (0..60).map(|_| draw.signal()).collect();
    let mut sink = Results::open_sink(uri).expect("opens");
    let tp = |kind: &str| Tp::new(&TopicName::new(&format!("{kind}.all")), 0);
    sink.write(&tp("factors"), Batch::Factors(rows.clone()), &cursor(59)).expect("written");
    sink.write(&tp("signals"), Batch::Signals(signals), &cursor(59)).expect("written");
    rows.sort_by(|a, b| (&a.venue, &a.symbol, a.ts_ms).cmp(&(&b.venue, &b.symbol, b.ts_ms)));
    rows.dedup_by(|later, earlier| {
        let same =
            (&later.venue, &later.symbol, later.ts_ms) == (&earlier.venue, &earlier.symbol, earlier.ts_ms);
        if same {
            std::mem::swap(later, earlier);
        }
        same
    });
    rows
}

#[test]
fn every_store_exports_the_same_bytes() {
    let folder = Folder::new();
    let mut first: Option<Vec<Vec<u8>>> = None;
    for uri in stores("every_store_exports_the_same_bytes", &folder) {
        fill(&uri);
        let mut files = Vec::new();
        for (kind, name) in [(Kind::Factors, "f.csv"), (Kind::Factors, "f.parquet"), (Kind::Signals, "s.csv")]
        {
            let out = folder.path(name);
            export(&options(kind, &uri, &out)).expect("exported");
            files.push(fs::read(out).expect("there"));
        }
        match &first {
            None => first = Some(files),
            Some(first) => assert!(*first == files, "{uri}"),
        }
        drop_store(&uri);
    }
}

#[test]
fn a_csv_has_a_header_blanks_for_null_and_text_that_parses_back() {
    let folder = Folder::new();
    let uri = folder.uri("lmdb", "r");
    let rows = fill(&uri);
    let out = folder.path("f.csv");
    assert_eq!(export(&options(Kind::Factors, &uri, &out)).expect("exported"), rows.len() as u64);
    assert!(!fs::read_to_string(&out).expect("text").contains('\r'), "LF only");
    let mut csv = csv::Reader::from_path(&out).expect("opens");
    let header: Vec<String> = csv.headers().expect("header").iter().map(str::to_owned).collect();
    assert_eq!(header, FactorRow::COLUMNS.iter().map(|c| c.name).collect::<Vec<_>>());
    let (mid, seq) = (at(&header, "mid"), at(&header, "book_seq"));
    let (mut nulls, mut n) = (0, 0);
    for (line, row) in csv.records().map(|r| r.expect("line")).zip(&rows) {
        let parsed = |i: usize| Some(&line[i]).filter(|t| !t.is_empty());
        assert_eq!(
            parsed(mid).map(|t| t.parse::<f64>().expect("float").to_bits()),
            row.mid.map(f64::to_bits)
        );
        assert_eq!(parsed(seq).map(|t| t.parse::<u64>().expect("int")), row.book_seq);
        assert_eq!(line[at(&header, "symbol")], row.symbol);
        assert_eq!(line[at(&header, "book_valid")], row.book_valid.to_string());
        nulls += usize::from(row.mid.is_none());
        n += 1;
    }
    assert_eq!(n, rows.len());
    assert!(nulls > 0, "some are null");
}

#[test]
fn a_signal_keeps_its_values_as_one_column() {
    let folder = Folder::new();
    let uri = folder.uri("lmdb", "r");
    fill(&uri);
    let out = folder.path("s.csv");
    export(&options(Kind::Signals, &uri, &out)).expect("exported");
    let mut csv = csv::Reader::from_path(&out).expect("opens");
    let header: Vec<String> = csv.headers().expect("header").iter().map(str::to_owned).collect();
    let columns = SignalHead::COLUMNS.iter().map(|c| c.name).chain(["values"]);
    assert_eq!(header, columns.collect::<Vec<_>>());
    for line in csv.records() {
        let values: serde_json::Value =
            serde_json::from_str(&line.expect("line")[header.len() - 1]).expect("JSON");
        assert!(values.is_array());
    }
}

#[test]
fn a_store_without_rows_gives_a_header() {
    let folder = Folder::new();
    let uri = folder.uri("parquet", "r");
    drop(Results::open_sink(&uri).expect("opens"));
    let out = folder.path("f.csv");
    assert_eq!(export(&options(Kind::Factors, &uri, &out)).expect("exported"), 0);
    assert_eq!(fs::read_to_string(&out).expect("text").lines().count(), 1);
    export(&options(Kind::Signals, &uri, &folder.path("s.parquet"))).expect("exported");
}

#[test]
fn a_named_file_is_replaced_at_the_very_end() {
    let folder = Folder::new();
    let (uri, out) = (folder.uri("parquet", "r"), folder.path("f.csv"));
    fs::write(&out, "old").expect("written");
    fill(&uri);
    let part =
        fs::read_dir(folder.path("r/factors")).expect("dir").next().expect("one").expect("entry").path();
    let whole = fs::read(&part).expect("part");
    fs::write(&part, &whole[..whole.len() / 2]).expect("cut");
    let error = export(&options(Kind::Factors, &uri, &out)).expect_err("cut");
    assert_eq!(error.exit_code(), 4, "{error}");
    assert_eq!(fs::read_to_string(&out).expect("still there"), "old");
    fs::write(&part, whole).expect("whole again");
    export(&options(Kind::Factors, &uri, &out)).expect("exported");
    assert!(fs::read_to_string(&out).expect("text").starts_with("ts_ms,venue,symbol"));
}

#[test]
fn an_extension_that_is_no_format_is_a_usage_error() {
    for out in ["x", "x.json", "x.csv.gz", ".csv"] {
        let error = export(&options(Kind::Factors, "lmdb:nowhere", out)).expect_err(out);
        assert_eq!(error.exit_code(), 2, "{out}: {error}");
    }
}

fn at(header: &[String], name: &str) -> usize {
    header.iter().position(|h| h == name).expect("a column")
}
