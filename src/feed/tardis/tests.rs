//! CSV files as their vendor describes them, and damaged ones.

use std::path::Path;

use lobstream_market::event::RefusedReason;
use lobstream_market::price::Step;
use proptest::prelude::*;

use super::*;
use crate::error::{Error, InputKind};
use crate::feed::Feed;
use crate::feed::recorded::{RecordedFeed, RecordedOptions};

fn read(text: &str, options: RecordedOptions) -> Result<Vec<FeedEvent>, Error> {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("rows.csv");
    std::fs::write(&path, text).expect("write");
    let mut feed = RecordedFeed::open(&RecordedOptions { inputs: vec![path], ..options })?;
    let mut events = Vec::new();
    while let Some(event) = feed.next()? {
        events.push(event);
    }
    Ok(events)
}

const BOOK_HEADER: &str = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n";

fn book(rows: &[&str]) -> String {
    let rows = rows.iter().map(|row| format!("x,BTC,{row}\n")).collect::<String>();
    format!("{BOOK_HEADER}{rows}")
}

const T: &str = "1585699200245000,1585699200355684";

#[test]
fn rows_of_one_message_share_time_and_kind() {
    let text = book(&[
        &format!("{T},true,bid,100.5,3"),
        &format!("{T},true,ask,101,2"),
        &format!("{T},false,ask,101,0"),
        "1585699200400000,1585699200500000,false,bid,100.5,1",
        "1585699200500001,1585699200500001,false,bid,100.5,4",
    ]);
    let events = read(&text, RecordedOptions::default()).expect("read");
    let kinds: Vec<&str> = events.iter().map(|e| crate::feed::kind(&e.event.body)).collect();
    assert_eq!(kinds, ["instrument", "snapshot", "delta", "delta", "delta"]);
    assert_eq!(events[1].event.ts_event, Some(1_585_699_200_245_000_000));
    assert_eq!(events[1].event.ts_recv, Some(1_585_699_200_355_684_000));
    assert_eq!(events[4].event.ts_event, None, "equal times: the venue gave none");
    let Body::Snapshot(snapshot) = &events[1].event.body else { panic!("{events:?}") };
    assert_eq!((snapshot.bids[0].px.0, snapshot.asks[0].px.0, snapshot.limit), (1005, 1010, None));
}

#[test]
fn a_snapshot_in_two_parts_clears_the_book_once() {
    let text = book(&[
        &format!("{T},true,bid,100,3"),
        "1585699200245000,1585699200355700,true,bid,99,3",
        "1585699200245000,1585699200355800,false,bid,98,3",
        "1585699200245000,1585699200355900,true,bid,97,3",
    ]);
    let events = read(&text, RecordedOptions::default()).expect("read");
    let kinds: Vec<&str> = events.iter().map(|e| crate::feed::kind(&e.event.body)).collect();
    assert_eq!(kinds, ["instrument", "snapshot", "delta", "delta", "snapshot"]);
}

#[test]
fn a_refused_row_refuses_its_message() {
    let text = book(&[&format!("{T},true,bid,100,3"), &format!("{T},true,bid,99,-3")]);
    let events = read(&text, RecordedOptions::default()).expect("read");
    let Body::Refused(refused) = &events[1].event.body else { panic!("{events:?}") };
    assert_eq!((refused.reason, refused.book), (RefusedReason::BadQty, true));
    assert!(refused.detail.starts_with("rows.csv:3: "), "{}", refused.detail);
}

#[test]
fn quotes_have_their_columns_in_the_venues_order() {
    let text = "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount\n\
                x,BTC,1585699200245000,1585699200355684,2,101,100,3\n\
                x,BTC,1585699200245000,1585699200355685,,,100,3\n";
    let events = read(text, RecordedOptions::default()).expect("read");
    assert_eq!(events.len(), 2, "a quote without two sides is left out");
    let Body::Quote(quote) = &events[1].event.body else { panic!("{events:?}") };
    assert_eq!((quote.bid.px.0, quote.bid.qty.0, quote.ask.px.0, quote.ask.qty.0), (100, 3, 101, 2));
}

#[test]
fn errors_name_file_line_and_rule() {
    let check = |text: &str, kind: InputKind| {
        let error = read(text, RecordedOptions::default()).expect_err("an error");
        let Error::Input(error) = error else { panic!("{error}") };
        assert_eq!(error.kind, kind, "{error}");
    };
    let torn = book(&[&format!("{T},true,bid,100,3")]);
    check(torn.trim_end(), InputKind::Truncated);
    check(&book(&[&format!("{T},maybe,bid,100,3")]), InputKind::Malformed);
    check(
        &book(&[&format!("{T},true,bid,100,3"), "1585699200245,1585699200355,false,bid,1,1"]),
        InputKind::UnitMixed,
    );
    let header = "exchange,symbol,timestamp,local_timestamp,open_interest\nx,y,1,1,1\n";
    check(header, InputKind::FormatUnknown);
}

#[test]
fn given_steps_are_used_and_finer_ones_refused() {
    let step = |text| Step::parse(text).expect(text);
    let mut options = RecordedOptions::default();
    options.steps.tick = Some(step("0.5"));
    let text =
        book(&[&format!("{T},true,bid,100.5,3"), "1585699200245000,1585699200355700,false,bid,99.1,3"]);
    let events = read(&text, options).expect("read");
    let Body::Snapshot(snapshot) = &events[1].event.body else { panic!("{events:?}") };
    assert_eq!(snapshot.bids[0].px.0, 201);
    assert!(matches!(&events[2].event.body, Body::Refused(r) if r.reason == RefusedReason::BadPrice));
}

#[test]
fn recorded_heads_are_read() {
    let dir =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/crypto/other/tardis_bybit_small"));
    if !dir.exists() {
        crate::said(&format!("SKIPPED recorded_heads_are_read: {} is absent", dir.display()));
        return;
    }
    let check = |file: &str, kinds: &[(&'static str, u64)], tick: &str| {
        let inputs = vec![dir.join(file)];
        let mut feed =
            RecordedFeed::open(&RecordedOptions { inputs, ..RecordedOptions::default() }).expect(file);
        while feed.next().expect(file).is_some() {}
        assert_eq!(feed.report().events.into_iter().collect::<Vec<_>>(), kinds, "{file}");
        let known = feed.instruments().next().expect("one");
        assert_eq!(known.instrument.tick_size, Step::parse(tick).expect(tick), "{file}");
    };
    check("bitmex_trades_XBTUSD.csv", &[("instrument", 1), ("trade", 10)], "0.1");
    check("deribit_incremental_book_L2_BTC-PERPETUAL.csv", &[("instrument", 1), ("snapshot", 1)], "0.1");
    check("binance-futures_book_snapshot_25_BTCUSDT.csv", &[("instrument", 1), ("snapshot", 10)], "0.01");
}

proptest! {
    #[test]
    fn mangled_rows_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let text = book(&[&format!("{T},true,bid,100.5,3"), &format!("{T},false,ask,101,2")]);
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let header = Header::Book;
        let mut scan = Scan::new(&header);
        let mut reader = Reader::new("x".into(), header, []);
        let mut out = VecDeque::new();
        for (i, row) in bytes.split(|b| *b == b'\n').enumerate() {
            scan.row(row);
            let line = Line { number: i as u64 + 2, bytes: row, ended: true };
            let _ = reader.line(&line, &mut out);
        }
        let _ = reader.end(&mut out);
    }
}
