//! Every case of `book_sync.json` that this crate builds; those it leaves out are named.

use std::io::Write;
use std::path::Path;

use lobstream_market::book::{OrderBook, Side};
use lobstream_market::codec;
use lobstream_market::event::{BookDelta, BookSnapshot, Level};
use lobstream_market::instrument::Venue;
use lobstream_market::price::{Decimal, Lots, Step, Ticks};
use lobstream_market::sync::{BookChange, BookSync, SpotJoin, SyncInput, SyncOptions};
use serde_json::Value;

const KEYS_BUILT: [&str; 3] = ["sync", "known_bounds", "text_codec"];
/// Described, not tested: prose and lists that the cases use.
const KEYS_PROSE: [&str; 2] = ["about", "states"];

fn vectors(test: &str) -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/spec/vectors/book_sync.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        let _ = writeln!(std::io::stderr(), "SKIPPED {test}: no {}", path.display());
        return None;
    };
    Some(serde_json::from_str(&text).expect("the vectors are JSON"))
}

fn count(text: &Value, step: &str) -> i64 {
    let number = Decimal::parse(text.as_str().expect("decimal text")).expect("a number");
    Step::parse(step).expect("a step").count(number).expect("a multiple of the step")
}

fn levels(rows: &Value) -> Vec<Level> {
    let rows = rows.as_array().expect("levels").iter();
    rows.map(|row| Level { px: Ticks(count(&row[0], "0.01")), qty: Lots(count(&row[1], "0.001")) }).collect()
}

fn delta(e: &Value) -> BookDelta {
    BookDelta {
        first_id: e["U"].as_i64(),
        last_id: e["u"].as_i64(),
        prev_id: e["pu"].as_i64(),
        bids: levels(&e["b"]),
        asks: levels(&e["a"]),
    }
}

fn snapshot(step: &Value) -> BookSnapshot {
    BookSnapshot {
        last_id: step["s"]["lastUpdateId"].as_i64(),
        limit: step["limit"].as_u64().map(|limit| limit as u32),
        bids: levels(&step["s"]["bids"]),
        asks: levels(&step["s"]["asks"]),
    }
}

/// Every step's outcome, state, validity, reason, id and book, and the counters at the end.
#[test]
fn the_machine_answers_as_the_vectors_say() {
    let Some(all) = vectors("the_machine_answers_as_the_vectors_say") else { return };
    let mut left_out = Vec::new();
    let mut n = 0;
    for case in all["sync"].as_array().expect("cases") {
        let id = case["id"].as_str().expect("an id");
        match case["venue"].as_str().expect("a venue").parse::<Venue>() {
            Ok(venue) => {
                run_case(id, venue, case);
                n += 1;
            }
            Err(_) => left_out.push(id),
        }
    }
    let _ =
        writeln!(std::io::stderr(), "{n} sync cases ran; left out, venue not built: {}", left_out.join(", "));
    assert_eq!(n, 17, "cases for Binance");
}

fn run_case(id: &str, venue: Venue, case: &Value) {
    let spot_join = match case["config"]["spot_join"].as_str() {
        Some("docs_strict") => SpotJoin::DocsStrict,
        Some(other) => panic!("{id}: unknown {other}"),
        None => SpotJoin::Contiguous,
    };
    let mut sync = BookSync::new(venue, SyncOptions { spot_join, ..SyncOptions::default() });
    let mut ofi = Ofi::default();
    for (i, step) in case["steps"].as_array().expect("steps").iter().enumerate() {
        let at = format!("{id} step {i}");
        // Stored and loaded between any two steps, it is the same machine.
        let stored = serde_json::to_string(&sync).expect("stored");
        sync = serde_json::from_str(&stored).expect("loaded");
        let answer = match step["op"].as_str().expect("an op") {
            "connected" => sync.step(SyncInput::Connected),
            "disconnected" => sync.step(SyncInput::Disconnected),
            "resync_started" => sync.step(SyncInput::ResyncStarted),
            "event" => sync.step(SyncInput::Delta(&delta(&step["e"]))),
            "snapshot" => sync.step(SyncInput::Snapshot(&snapshot(step))),
            other => panic!("{at}: unknown op {other}"),
        };
        assert_eq!(answer.outcome.as_str(), step["out"], "{at}");
        check_view(&at, &sync, step);
        let term = ofi.step(answer.change, &sync);
        if let Some(expected) = step.get("ofi_e") {
            assert_eq!(term, expected.as_f64(), "{at} ofi");
        }
    }
    check_final(id, &sync, &case["final"]);
}

fn check_view(at: &str, sync: &BookSync, step: &Value) {
    let view = sync.view();
    assert_eq!(sync.state().as_str(), step["state"], "{at}");
    assert_eq!(view.reason.is_none(), step["valid"].as_bool().expect("valid"), "{at}");
    assert_eq!(view.reason.map(|reason| reason.as_str()), step["reason"].as_str(), "{at}");
    assert_eq!(view.last_update_id, step["id"].as_i64(), "{at}");
    if let Some(book) = step.get("book") {
        for (side, key) in [(Side::Bid, "bids"), (Side::Ask, "asks")] {
            assert_eq!(view.book.iter(side).collect::<Vec<_>>(), levels(&book[key]), "{at} {key}");
        }
    }
}

fn check_final(id: &str, sync: &BookSync, expected: &Value) {
    let view = sync.view();
    assert_eq!(sync.state().as_str(), expected["state"], "{id}");
    assert_eq!(u64::from(view.epoch), expected["epoch"].as_u64().expect("epoch"), "{id}");
    let Value::Object(counters) = serde_json::to_value(sync.counters()).expect("counters") else {
        panic!("counters are a struct");
    };
    for (name, value) in &counters {
        let expected = expected["counters"].get(name).and_then(Value::as_u64).unwrap_or(0);
        assert_eq!(value.as_u64(), Some(expected), "{id} {name}");
    }
    let named = expected["counters"].as_object().expect("counters");
    assert!(named.keys().all(|name| counters.contains_key(name)), "{id}: a counter is missing");
    for (side, key) in [(Side::Bid, "known_bid_low"), (Side::Ask, "known_ask_high")] {
        if let Some(price) = expected.get(key) {
            assert_eq!(view.book.known_bound(side), Some(Ticks(count(price, "0.01"))), "{id}");
        }
    }
}

/// A slow order-flow imbalance, which sees the book only as a factor does.
#[derive(Default)]
struct Ofi {
    last: Option<(Level, Level)>,
}

impl Ofi {
    fn step(&mut self, change: BookChange, sync: &BookSync) -> Option<f64> {
        match change {
            BookChange::None => return None,
            BookChange::Delta => {}
            BookChange::Joined | BookChange::Rejoined(_) | BookChange::Lost(_) | BookChange::Waiting(_) => {
                self.last = None;
            }
        }
        let view = sync.view();
        let usable = view.is_ok().then_some(view.book);
        let now = usable.and_then(|book| Some((book.best(Side::Bid)?, book.best(Side::Ask)?)));
        let before = std::mem::replace(&mut self.last, now);
        let ((b, a), (b0, a0)) = (now?, before?);
        let mut lots = 0;
        lots += if b.px >= b0.px { b.qty.0 } else { 0 };
        lots -= if b.px <= b0.px { b0.qty.0 } else { 0 };
        lots -= if a.px <= a0.px { a.qty.0 } else { 0 };
        lots += if a.px >= a0.px { a0.qty.0 } else { 0 };
        Some(lots as f64 / 1000.0)
    }
}

#[test]
fn the_known_range_is_what_the_snapshot_told() {
    let Some(all) = vectors("the_known_range_is_what_the_snapshot_told") else { return };
    let case = &all["known_bounds"];
    let plain = |rows: &Value| -> Vec<Level> {
        let rows = rows.as_array().expect("levels").iter();
        let int = |cell: &Value| cell.as_i64().expect("an integer");
        rows.map(|row| Level { px: Ticks(int(&row[0])), qty: Lots(int(&row[1])) }).collect()
    };
    let (told, update) = (&case["snapshot"], &case["update"]);
    let mut book = OrderBook::new(usize::MAX);
    let limit = told["limit"].as_u64().map(|limit| limit as u32);
    let (bids, asks) = (plain(&told["bids"]), plain(&told["asks"]));
    book.load(&BookSnapshot { last_id: None, limit, bids, asks });
    let (bids, asks) = (plain(&update["bids"]), plain(&update["asks"]));
    book.apply(&BookDelta { first_id: None, last_id: None, prev_id: None, bids, asks });

    assert_eq!(book.known_bound(Side::Bid).map(|px| px.0), case["known_bid_low"].as_i64());
    assert_eq!(book.known_bound(Side::Ask).map(|px| px.0), case["known_ask_high"].as_i64());
    for query in case["queries"].as_array().expect("queries") {
        let side = if query["side"] == "bid" { Side::Bid } else { Side::Ask };
        if let Some(n) = query["top"].as_u64() {
            let n = n as usize;
            let mut top = vec![Level { px: Ticks(0), qty: Lots(0) }; n];
            let len = book.top(side, &mut top);
            assert_eq!(top[..len], plain(&query["value"]), "{query}");
            assert_eq!(Some(book.known_levels(side, n) as u64), query["known_levels"].as_u64(), "{query}");
        } else {
            let depth = book.cum_depth(side, Ticks(query["cum_depth_to"].as_i64().expect("a price")));
            assert_eq!(depth.lots, i128::from(query["value"].as_i64().expect("lots")), "{query}");
            assert_eq!(Some(depth.complete), query["complete"].as_bool(), "{query}");
        }
    }
}

#[test]
fn text_of_numbers_is_a_pair_or_an_exception() {
    let Some(all) = vectors("text_of_numbers_is_a_pair_or_an_exception") else { return };
    for case in all["text_codec"].as_array().expect("cases") {
        let text = case["text"].as_str().expect("text");
        let number = codec::exact(text);
        assert_eq!(number.is_none(), case["exception"].as_bool().expect("exception"), "{text:?}");
        assert_eq!(number.map(|n| n.mantissa), case["mantissa"].as_i64(), "{text:?}");
        assert_eq!(number.map(|n| u64::from(n.decimals)), case["decimals"].as_u64(), "{text:?}");
        assert!(number.is_none_or(|n| n.to_string() == text), "{text:?} is rebuilt");
    }
}

/// A key added to the vectors is either tested here or named.
#[test]
fn what_is_left_out_is_named() {
    let Some(all) = vectors("what_is_left_out_is_named") else { return };
    let keys = all.as_object().expect("an object").keys().map(String::as_str);
    let left_out: Vec<_> =
        keys.filter(|key| !KEYS_BUILT.contains(key) && !KEYS_PROSE.contains(key)).collect();
    let _ = writeln!(std::io::stderr(), "left out of book_sync.json: {}", left_out.join(", "));
    let known = [
        "okx_checksum",
        "depth_request",
        "sse_restore",
        "sse_book",
        "szse_book",
        "reorder",
        "bitstamp",
        "unit_detect",
        "heatmap",
        "level_image",
        "book_features",
        "delta_flow",
        "delta_trend",
        "routing",
        "alerts",
        "quantile",
        "backoff",
    ];
    assert_eq!(left_out.iter().find(|key| !known.contains(key)), None);
}
