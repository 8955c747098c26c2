//! Every store gives back what it was given, and nothing twice.

use std::collections::BTreeMap;

use lobstream::sink::results::Results;
use lobstream::sink::row::Rows as Batch;
use lobstream::sink::{Filter, Sink};
use lobstream_market::factor::row::FactorRow;
use lobstream_market::signal::Signal;
use lobstream_streams::log::{TopicName, Tp};
use sha2::{Digest, Sha256};

use super::rows::{Rows, cursor};
use super::{digest, drop_store, stores};
use crate::support::Folder;

const SEED: u64 = 20_240_808;

fn tp(topic: &str) -> Tp {
    Tp::new(&TopicName::new(topic), 0)
}

fn write(sink: &mut dyn Sink, rows: Batch, last: u64) {
    let topic = match rows {
        Batch::Factors(_) => "factors.all",
        Batch::Signals(_) => "signals.all",
    };
    sink.write(&tp(topic), rows, &cursor(last)).expect("written");
}

/// Bits, not values: −0.0 is not 0.0.
fn text<T: serde::Serialize>(row: &T) -> String {
    serde_json::to_string(row).expect("text")
}

/// The rule of every store, in the plainest form: the last row of each key, keys in order.
struct Expected {
    factors: BTreeMap<(String, String, i64), FactorRow>,
    signals: BTreeMap<(String, String, i64, String), Signal>,
}

impl Expected {
    fn of(factors: &[FactorRow], signals: &[Signal]) -> Expected {
        let key = |r: &FactorRow| (r.venue.clone(), r.symbol.clone(), r.ts_ms);
        let signal_key =
            |s: &Signal| (s.head.venue.clone(), s.head.symbol.clone(), s.head.ts_ms, s.head.rule_id.clone());
        Expected {
            factors: factors.iter().map(|r| (key(r), r.clone())).collect(),
            signals: signals.iter().map(|s| (signal_key(s), s.clone())).collect(),
        }
    }

    fn digest(&self) -> Vec<String> {
        let line = |kind: &str, texts: Vec<String>| {
            let all: String = texts.iter().map(|t| format!("{t}\n")).collect();
            let hash: String = Sha256::digest(all).iter().map(|b| format!("{b:02x}")).collect();
            format!("{kind} {} {hash}", texts.len())
        };
        vec![
            line("factors", self.factors.values().map(text).collect()),
            line("signals", self.signals.values().map(text).collect()),
        ]
    }
}

#[test]
fn rows_survive_every_store_bit_for_bit() {
    let test = "rows_survive_every_store_bit_for_bit";
    let (folder, mut draw) = (Folder::new(), Rows::new(SEED));
    let factors: Vec<FactorRow> = (0..400).map(|_| draw.factor()).collect();
    let signals: Vec<Signal> = (0..400).map(|_| draw.signal()).collect();
    let expected = Expected::of(&factors, &signals);
    assert!(expected.factors.len() < factors.len(), "some keys come twice");
    for uri in stores(test, &folder) {
        let mut sink = Results::open_sink(&uri).expect("opens");
        for (i, (f, s)) in factors.chunks(150).zip(signals.chunks(150)).enumerate() {
            write(&mut *sink, Batch::Factors(f.to_vec()), 150 * i as u64 + f.len() as u64 - 1);
            write(&mut *sink, Batch::Signals(s.to_vec()), 150 * i as u64 + s.len() as u64 - 1);
        }
        drop(sink);
        let reader = Results::open_reader(&uri).expect("opens");
        let all = Filter::default();
        let rows: Vec<_> = reader.factors(&all).expect("reads").map(|r| text(&r.expect("row"))).collect();
        assert_eq!(rows, expected.factors.values().map(text).collect::<Vec<_>>(), "{uri}, seed {SEED}");
        let rows: Vec<_> = reader.signals(&all).expect("reads").map(|r| text(&r.expect("row"))).collect();
        assert_eq!(rows, expected.signals.values().map(text).collect::<Vec<_>>(), "{uri}, seed {SEED}");
        drop(reader);
        assert_eq!(digest(&uri), expected.digest(), "{uri}");
        drop_store(&uri);
    }
}

#[test]
fn a_batch_that_comes_again_changes_nothing() {
    let (folder, mut draw) = (Folder::new(), Rows::new(1));
    let rows: Vec<FactorRow> = (0..50).map(|_| draw.factor()).collect();
    for uri in stores("a_batch_that_comes_again_changes_nothing", &folder) {
        let mut sink = Results::open_sink(&uri).expect("opens");
        write(&mut *sink, Batch::Factors(rows.clone()), 49);
        drop(sink);
        let once = digest(&uri);
        let mut sink = Results::open_sink(&uri).expect("opens again");
        assert_eq!(sink.cursor(&tp("factors.all")).expect("read"), Some(cursor(49)));
        assert_eq!(sink.cursor(&tp("signals.all")).expect("read"), None);
        write(&mut *sink, Batch::Factors(rows.clone()), 99);
        drop(sink);
        assert_eq!(digest(&uri), once, "{uri}");
        drop_store(&uri);
    }
}

#[test]
fn the_highest_revision_stays_in_whatever_order_they_come() {
    let (folder, base) = (Folder::new(), Rows::new(2).factor());
    let row = |ts_ms, rev, n_book| FactorRow { ts_ms, rev, n_book, ..base.clone() };
    let batches = [
        vec![row(1, 1, 10), row(1, 0, 11), row(2, 0, 12)],
        vec![row(1, 0, 13), row(2, 2, 14), row(3, 5, 15)],
        vec![row(1, 1, 16), row(3, 4, 17), row(2, 1, 18)],
    ];
    for uri in stores("the_highest_revision_stays_in_whatever_order_they_come", &folder) {
        let mut sink = Results::open_sink(&uri).expect("opens");
        for (i, batch) in batches.iter().enumerate() {
            write(&mut *sink, Batch::Factors(batch.clone()), 3 * i as u64 + 2);
        }
        drop(sink);
        let reader = Results::open_reader(&uri).expect("opens");
        let rows: Vec<_> =
            reader.factors(&Filter::default()).expect("reads").map(|r| r.expect("row")).collect();
        assert_eq!(rows, [row(1, 1, 16), row(2, 2, 14), row(3, 5, 15)], "{uri}");
        drop(reader);
        drop_store(&uri);
    }
}

#[test]
fn a_filter_reads_the_symbols_it_names_from_more_rows_than_a_page() {
    let (folder, base) = (Folder::new(), Rows::new(3).factor());
    let row = |i: i64| FactorRow {
        ts_ms: i / 3,
        symbol: ["A", "AB", "B"][(i % 3) as usize].into(),
        rev: 0,
        ..base.clone()
    };
    let rows: Vec<FactorRow> = (0..7500).map(row).collect();
    for uri in stores("a_filter_reads_the_symbols_it_names_from_more_rows_than_a_page", &folder) {
        let mut sink = Results::open_sink(&uri).expect("opens");
        write(&mut *sink, Batch::Factors(rows.clone()), 7499);
        drop(sink);
        let reader = Results::open_reader(&uri).expect("opens");
        let filter = Filter { symbols: vec!["B".into(), "A".into()] };
        let read: Vec<_> = reader.factors(&filter).expect("reads").map(|r| r.expect("row")).collect();
        let wanted = |s: &str| rows.iter().filter(|r| r.symbol == s).cloned().collect::<Vec<_>>();
        assert_eq!(read, [wanted("A"), wanted("B")].concat(), "{uri}");
        drop(reader);
        drop_store(&uri);
    }
}

/// Checked with `sha256sum` over the text below.
#[test]
fn the_digest_of_known_rows_is_known() {
    let folder = Folder::new();
    let uri = folder.uri("lmdb", "r");
    let text = concat!(
        r#"{"ts_ms":1723161420000,"ts_known_ns":1723161421000000000,"venue":"binance-usdm","symbol":"BTCUSDT","#,
        r#""source":"rule","rule_id":"obi_micro","rule_hash":"33f16ebd3ad779a7","signal":"buy","dir":1,"#,
        r#""event":"enter","reason":"enter","since_ms":1723161420000,"score":1.0,"proba":null,"#,
        r#""consistency":null,"dispersion":null,"lag_ms":null,"calibrated":false,"book_state":"ok","#,
        r#""book_valid":true,"stale_ms":15,"values":[{"name":"obi","value":0.42,"vote":1}]}"#
    );
    let mut sink = Results::open_sink(&uri).expect("opens");
    write(&mut *sink, Batch::Signals(vec![serde_json::from_str(text).expect("a signal")]), 0);
    drop(sink);
    assert_eq!(
        digest(&uri),
        [
            "factors 0 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "signals 1 cc2836cb76bd3703d272d829478739b690c5859dfc9fbb5e31e106678cfed302"
        ]
    );
}
