//! Recordings against a reader that shares nothing with ours.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use lobstream_market::event::{Body, Level};
use lobstream_market::price::Step;
use serde_json::Value;

use super::*;
use crate::feed::instruments::Origin;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/crypto/binance");

fn recordings(test: &str) -> Option<&'static Path> {
    let dir = Path::new(DATA);
    if dir.exists() {
        return Some(dir);
    }
    crate::said(&format!("SKIPPED {test}: {DATA} is absent"));
    None
}

fn open(inputs: &[PathBuf]) -> Result<RecordedFeed, Error> {
    RecordedFeed::open(&RecordedOptions { inputs: inputs.to_vec(), ..RecordedOptions::default() })
}

fn all(feed: &mut RecordedFeed) -> Result<Vec<FeedEvent>, Error> {
    let mut events = Vec::new();
    while let Some(event) = feed.next()? {
        events.push(event);
    }
    Ok(events)
}

fn step(text: &str) -> Step {
    Step::parse(text).expect(text)
}

/// So many lines of a recording are compared, which is a minute and more of it.
const COMPARED: usize = 15_000;

/// The events of a file of raw lines by a reader that shares nothing with ours: generic JSON, texts kept.
fn slowly(path: &Path, event_key: &dyn Fn(&Value) -> Option<i64>) -> Vec<(i64, Option<i64>, Vec<String>)> {
    let lines = BufReader::new(flate2::read::MultiGzDecoder::new(File::open(path).expect("open"))).lines();
    let mut events = Vec::new();
    for line in lines.take(COMPARED) {
        let line = line.expect("line");
        let (recv, json) = line.split_once(' ').expect("receive time");
        let value: Value = serde_json::from_str(json).expect("json");
        let message = value.get("data").unwrap_or(&value);
        let mut numbers = Vec::new();
        for key in ["b", "B", "a", "A", "bids", "asks", "p", "q"] {
            texts(message.get(key), &mut numbers);
        }
        let wanted = ["depthUpdate", "trade", "bookTicker"];
        if message.get("e").is_some_and(|e| !wanted.contains(&e.as_str().expect("text"))) {
            continue;
        }
        let unit = if recv.len() == 16 { 1_000 } else { 1 };
        events.push((recv.parse::<i64>().expect("number") * unit, event_key(message), numbers));
    }
    events
}

fn texts(value: Option<&Value>, into: &mut Vec<String>) {
    match value {
        Some(Value::String(text)) => into.push(trimmed(text)),
        Some(Value::Array(list)) => list.iter().for_each(|v| texts(Some(v), into)),
        _ => {}
    }
}

fn trimmed(text: &str) -> String {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    }
}

/// The numbers of one of our events as text, in the order of the oracle's keys.
fn told(body: &Body, tick: Step, lot: Step) -> Vec<String> {
    let level = |l: &Level| [trimmed(&tick.text(l.px.0)), trimmed(&lot.text(l.qty.0))];
    match body {
        Body::Snapshot(s) => s.bids.iter().chain(&s.asks).flat_map(level).collect(),
        Body::Delta(d) => d.bids.iter().chain(&d.asks).flat_map(level).collect(),
        Body::Quote(q) => [level(&q.bid), level(&q.ask)].concat(),
        Body::Trade(t) => vec![trimmed(&tick.text(t.px.0)), trimmed(&lot.text(t.qty.0))],
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_number_and_time_of_the_recordings_survives() {
    let Some(dir) = recordings("every_number_and_time_of_the_recordings_survives") else { return };
    let transaction = |m: &Value| m.get("T").and_then(Value::as_i64).map(|t| t * 1_000_000);
    let sent = |m: &Value| match m.get("e").and_then(Value::as_str) {
        Some("depthUpdate") => m.get("E").and_then(Value::as_i64).map(|t| t * 1_000_000),
        _ => transaction(m),
    };
    let check = |file: &str, venue, tick, lot, key: &dyn Fn(&Value) -> Option<i64>| {
        let mut feed = open(&[dir.join(file)]).expect(file);
        let events = all(&mut feed).expect(file);
        let expected = slowly(&dir.join(file), key);
        assert!(events.len() > expected.len() && expected.len() > 10_000, "{file}");
        let Body::Instrument(instrument) = &events[0].event.body else { panic!("{:?}", events[0]) };
        assert_eq!(
            (instrument.venue, instrument.tick_size, instrument.lot_size),
            (venue, step(tick), step(lot)),
            "{file}"
        );
        for (i, (got, (recv, event, numbers))) in events[1..].iter().zip(&expected).enumerate() {
            let at = format!("{file}, event {i}");
            assert_eq!((got.event.ts_recv, got.event.ts_event), (Some(*recv), *event), "{at}");
            assert_eq!(told(&got.event.body, step(tick), step(lot)), *numbers, "{at}");
        }
        let report = feed.report();
        assert_eq!((report.malformed, report.events.get("refused")), (0, None), "{file}");
    };
    check("usdm_btcusdt_20230404_us.dat.gz", Venue::BinanceUsdm, "0.1", "0.001", &transaction);
    check("usdm_btcusdt_20240718.gz", Venue::BinanceUsdm, "0.1", "0.001", &transaction);
    check("spot_btcusdt_20240808.gz", Venue::BinanceSpot, "0.01", "0.000001", &sent);
    check("cm_btcusd_perp_20240808.gz", Venue::BinanceCoinm, "0.1", "1", &transaction);
}

#[test]
fn counts_are_those_of_the_recordings() {
    let Some(dir) = recordings("counts_are_those_of_the_recordings") else { return };
    let check = |files: &[&str], kinds: &[(&'static str, u64)], left_out: &[(&str, u64)]| {
        let inputs: Vec<PathBuf> = files.iter().map(|f| dir.join(f)).collect();
        let mut feed = open(&inputs).expect("open");
        while feed.next().expect("next").is_some() {}
        let report = feed.report();
        assert_eq!(report.events.into_iter().collect::<Vec<_>>(), kinds, "{files:?}");
        let left: Vec<_> = report.left_out.iter().map(|(k, n)| (k.as_str(), *n)).collect();
        assert_eq!(left, left_out, "{files:?}");
        let (read, bytes) = (feed.done(), feed.bytes());
        assert_eq!(read, bytes, "{files:?}");
    };
    check(
        &["usdm_btcusdt_20240808.gz"],
        &[("delta", 6_551), ("instrument", 1), ("quote", 66_089), ("snapshot", 1), ("trade", 21_313)],
        &[],
    );
    check(
        &["usdm_btcusdt_20230404_us.dat.gz", "usdm_btcusdt_20230405_us.dat.gz"],
        &[("delta", 16_110), ("instrument", 1), ("quote", 44_205), ("snapshot", 1), ("trade", 12_935)],
        &[("markPriceUpdate", 514)],
    );
    check(
        &["BINANCE.jsonl.zst"],
        &[("delta", 177), ("instrument", 4), ("quote", 84), ("snapshot", 4), ("trade", 2)],
        &[("connection", 1), ("header", 1), ("http reply", 1), ("kline", 2)],
    );
    check(
        &["BINANCE_FUTURES.jsonl.zst"],
        &[("delta", 764), ("instrument", 4), ("quote", 613), ("snapshot", 4), ("trade", 91)],
        &[("connection", 1), ("header", 1), ("http reply", 1), ("kline", 67)],
    );
}

#[test]
fn published_steps_are_used_where_they_fit() {
    let Some(dir) = recordings("published_steps_are_used_where_they_fit") else { return };
    let feed = open(&[dir.join("BINANCE.jsonl.zst")]).expect("open");
    let steps: BTreeMap<&str, _> = feed
        .instruments()
        .map(|k| (k.instrument.symbol.as_str(), (k.instrument.tick_size, k.instrument.lot_size, k.tick_from)))
        .collect();
    assert_eq!(steps.len(), 4);
    assert_eq!(steps["BLZETH"], (step("0.00000001"), step("1"), Origin::Published));
    assert_eq!(steps["RUNEEUR"].0, step("0.001"));
}

#[test]
fn files_of_one_day_and_the_next_are_one_stream() {
    let Some(dir) = recordings("files_of_one_day_and_the_next_are_one_stream") else { return };
    let files = ["usdm_btcusdt_20240718.gz", "usdm_btcusdt_20240719.gz"].map(|f| dir.join(f));
    // The number of a recorder is that of its file in the order given.
    let events = |files: &[PathBuf]| {
        let read = all(&mut open(files).expect("open")).expect("read").into_iter();
        read.map(|event| FeedEvent { source: 0, ..event }).collect::<Vec<_>>()
    };
    let [first, second] = &files;
    let merged = events(&files);
    // Given the other way round they still come in the order of their times, the snapshot first.
    assert!(merged == events(&[second.clone(), first.clone()]), "another order");
    assert_eq!(merged.len(), events(&files[..1]).len() + events(&files[1..]).len() - 1, "one instrument");
}

fn written(dir: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).expect("write");
    path
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).expect("pack");
    packed.finish().expect("pack")
}

fn trade(i: u64, px: &str, qty: &str) -> String {
    format!(
        "{} {{\"e\":\"trade\",\"E\":{t},\"T\":{t},\"s\":\"BTCUSDT\",\"t\":{i},\"p\":\"{px}\",\"q\":\"{qty}\",\"M\":true,\"m\":true}}\n",
        1_700_000_000_000_000_000 + i,
        t = 1_700_000_000_000 + i
    )
}

fn trades(n: u64) -> String {
    (0..n).map(|i| trade(i, "100.5", "0.25")).collect()
}

fn input_error(result: Result<Vec<FeedEvent>, Error>) -> InputError {
    match result {
        Err(Error::Input(error)) => error,
        other => panic!("{:?}", other.map(|e| e.len())),
    }
}

#[test]
fn bad_input_is_told_by_kind_file_and_line() {
    let dir = tempfile::tempdir().expect("dir");
    let check = |name: &str, bytes: &[u8], kind: InputKind, line: Option<u64>, words: &str| {
        let path = written(&dir, name, bytes);
        let error = input_error(open(&[path]).and_then(|mut feed| all(&mut feed)));
        assert_eq!((error.kind, error.line), (kind, line), "{error}");
        assert!(error.file.ends_with(name) && error.to_string().contains(words), "{error}");
    };
    let good = trades(50_000);
    let packed = gz(good.as_bytes());
    let cut = written(&dir, "cut.gz", &packed[..packed.len() / 2]);
    let error = input_error(open(&[cut]).and_then(|mut feed| all(&mut feed)));
    assert_eq!(error.kind, InputKind::Truncated);
    assert!(error.line.is_some_and(|n| n > 10_000 && n < 50_000), "{error}");
    check("torn", &good.as_bytes()[..good.len() - 9], InputKind::Truncated, Some(50_000), "cut off");
    check("empty", b"", InputKind::FormatUnknown, None, "empty");
    check("noise", b"\x00\x01\x02 noise\n", InputKind::FormatUnknown, None, "begins with");
    check("other", b"1700000000000000000 {\"x\":1}\n", InputKind::FormatUnknown, None, "no message is known");
    let mixed = trades(10) + &trade(10, "100.5", "1").replace("1700000000000000010 ", "1700000000000010 ");
    check("mixed", mixed.as_bytes(), InputKind::UnitMixed, Some(11), "receive time");
    let bad_lines = trades(500) + "1700000000000000500 {broken\n" + &trades(400);
    check("share", bad_lines.as_bytes(), InputKind::Malformed, Some(901), "1 of 901");
    let in_a_row = trades(110_000) + &"1700000000000000500 {broken\n".repeat(100);
    check("row", in_a_row.as_bytes(), InputKind::Malformed, Some(110_100), "100 of 110100");
    let missing = input_error(open(&[dir.path().join("none")]).and_then(|mut feed| all(&mut feed)));
    assert_eq!(missing.kind, InputKind::Missing);
}

#[test]
fn a_finer_price_late_in_a_file_decides_its_tick() {
    let dir = tempfile::tempdir().expect("dir");
    let text = trades(20_000) + &trade(20_000, "100.525", "1");
    let mut feed = open(&[written(&dir, "finer", text.as_bytes())]).expect("open");
    assert_eq!(all(&mut feed).expect("read").len(), 20_002);
    let tick = feed.instruments().next().expect("one symbol").instrument.tick_size;
    assert_eq!(tick.to_string(), "0.001");
}

#[test]
fn few_bad_lines_are_borne_counted_and_quoted() {
    let dir = tempfile::tempdir().expect("dir");
    let text = trades(1_500) + "1700000000000000500 {broken\n" + &trades(1_500);
    let mut feed = open(&[written(&dir, "few", text.as_bytes())]).expect("open");
    assert_eq!(all(&mut feed).expect("read").len(), 3_001);
    let report = feed.report();
    assert_eq!((report.malformed, report.malformed_first.len()), (1, 1));
    assert!(report.malformed_first[0].contains(":1501: ") && report.malformed_first[0].contains("{broken"));
}

#[test]
fn a_negative_quantity_is_refused_for_its_symbol() {
    let dir = tempfile::tempdir().expect("dir");
    let text = trades(10) + &trade(10, "100.5", "-1") + &trades(10);
    let mut feed = open(&[written(&dir, "negative", text.as_bytes())]).expect("open");
    let refused = all(&mut feed).expect("read").into_iter().filter_map(|e| match e.event.body {
        Body::Refused(refused) => Some(refused),
        _ => None,
    });
    let refused: Vec<_> = refused.collect();
    assert_eq!(refused.len(), 1);
    assert!(refused[0].detail.starts_with("negative:11: field q"), "{}", refused[0].detail);
}

#[test]
fn a_recording_that_falls_silent_says_so_before_it_goes_on() {
    let dir = tempfile::tempdir().expect("dir");
    let text =
        trade(0, "1", "1") + &trade(1, "1", "1").replacen("1700000000000000001", "1700000031000000001", 1);
    let mut feed = open(&[written(&dir, "silent", text.as_bytes())]).expect("open");
    let kinds: Vec<_> =
        all(&mut feed).expect("read").iter().map(|e| crate::feed::kind(&e.event.body)).collect();
    assert_eq!(kinds, ["instrument", "trade", "control", "trade"]);
    assert_eq!(feed.report().events_total(), 4);
}

#[test]
fn folders_stand_for_their_files_by_name() {
    let dir = tempfile::tempdir().expect("dir");
    written(&dir, "b", trade(2, "1", "1").as_bytes());
    written(&dir, "a", trade(1, "1", "1").as_bytes());
    let mut feed = open(&[dir.path().to_owned()]).expect("open");
    let events = all(&mut feed).expect("read");
    let ids = events.iter().filter_map(|e| match &e.event.body {
        Body::Trade(trade) => trade.id,
        _ => None,
    });
    assert_eq!(ids.collect::<Vec<_>>(), [1, 2]);
    assert!(matches!(open(&[]), Err(Error::Usage { .. })));
}
