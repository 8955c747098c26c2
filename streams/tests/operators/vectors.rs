//! The cases of `streams.json`, computed outside this code base, for what the runtime builds.

use std::path::Path;
use std::time::Duration;

use lobstream_streams::beacon::Beacon;
use lobstream_streams::log::{TopicName, Tp};
use lobstream_streams::record::Offset;
use lobstream_streams::runtime::merge::{Channel, Merge, Pick, SharedInput};
use lobstream_streams::runtime::tick::Ticks;
use lobstream_streams::store::window::entry_key;
use lobstream_streams::time::Ts;
use lobstream_streams::topology::join::{AsOf, Missing};
use lobstream_streams::topology::processor::{CatchUp, Next, Schedule};
use lobstream_streams::topology::window::Windows;
use lobstream_streams::topology::{Builder, Source, Topology};
use serde_json::{Value, json};

use crate::bed::{Bed, Input, said};
use crate::words::{Msg, text};

/// Kinds that other tests of this crate run.
const ELSEWHERE: [&str; 5] = ["partition", "chain", "digest", "pacing", "beacon"];

#[test]
fn the_engine_agrees_with_the_vectors() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/spec/vectors/streams.json");
    let Ok(text) = std::fs::read_to_string(&file) else {
        said(&format!("SKIPPED the_engine_agrees_with_the_vectors: {} is absent", file.display()));
        return;
    };
    let vectors: Value = serde_json::from_str(&text).expect("valid JSON");
    let (mut merged, mut ticked, mut windowed, mut joined) = (0, 0, 0, 0);
    for case in vectors["cases"].as_array().expect("cases") {
        match case["kind"].as_str().expect("a kind") {
            "merge" => {
                for arrival in 0..5 {
                    merge(case, arrival);
                }
                merged += 1;
            }
            "ticks" => {
                ticks(case);
                ticked += 1;
            }
            "window" => {
                window(case);
                windowed += 1;
            }
            "window_key" => window_key(case),
            "asof" => {
                as_of(case);
                joined += 1;
            }
            kind if ELSEWHERE.contains(&kind) => {}
            kind => panic!("a kind that no test knows: {kind}"),
        }
    }
    assert_eq!((merged, ticked, windowed, joined), (26, 5, 34, 8));
}

/// Runs a merge case. `arrival` decides in what portions the records become visible: it must not matter.
fn merge(case: &Value, arrival: usize) {
    let name = case["name"].as_str().expect("a name");
    let inputs = case["input"].as_array().expect("channels");
    let channel = |input: &Value| {
        let n = |field: &str| input[field].as_u64().expect("a number");
        let tp = Tp::new(&TopicName::new(input["name"].as_str().expect("a name")), n("partition") as u32);
        Channel::new(tp, n("rank") as u16, n("topic") as u16, Offset(0))
    };
    let mut merge = Merge::new(inputs.iter().map(channel).collect(), None);
    let mut fetched = vec![0; inputs.len()];
    let mut processed = Vec::new();
    let mut idle = 0;
    let waits_for = loop {
        match merge.pick() {
            Pick::Record(i) | Pick::Beacon(i) => {
                let kind = if merge.pick() == Pick::Record(i) { "r" } else { "b" };
                let key = merge.head_key(i).expect("picked");
                processed.push(serde_json::json!([inputs[i]["name"], kind, key.pos.0, key.ts.0]));
                merge.advance(i);
                idle = 0;
            }
            Pick::Wait(i) if idle > 8 => break inputs[i]["name"].clone(),
            Pick::Wait(_) => idle += 1,
            Pick::End => panic!("{name}: a channel was not waited for"),
        }
        for (i, input) in inputs.iter().enumerate() {
            // Channels take turns and portions of different size, by the number of the arrival.
            let turn = (processed.len() + idle + i + arrival).is_multiple_of(1 + arrival % 3);
            if merge.channel(i).is_empty() && turn {
                fetch(&mut merge, i, input, &mut fetched[i], 1 + (arrival * 7) % 4);
            }
        }
    };
    assert_eq!(Value::Array(processed), case["expect"]["processed"], "{name} {arrival}");
    assert_eq!(waits_for, case["expect"]["waits_for"], "{name} {arrival}");
    for (i, input) in inputs.iter().enumerate() {
        let all = input["records"].as_array().expect("records").len() as u64;
        let left = all - merge.channel(i).progress().next.0;
        assert_eq!(case["expect"]["left"][input["name"].as_str().expect("a name")], left, "{name} {arrival}");
    }
}

fn fetch(merge: &mut Merge, i: usize, input: &Value, fetched: &mut usize, max: usize) {
    let records = input["records"].as_array().expect("records");
    let result = merge.refill::<SharedInput>(i, |_, batch| {
        for record in records.iter().skip(*fetched).take(max) {
            let (pos, ts) = (Offset(*fetched as u64), Ts(record["ts"].as_i64().expect("ts")));
            let seq = record["seq"].as_u64().unwrap_or(0);
            let beacon = Beacon { origin: 0, bound: ts, bye: false };
            match record["kind"].as_str() {
                // The time at which a beacon was written is not what it says.
                Some("b") => {
                    let (key, value) = (beacon.key(), beacon.value());
                    batch.push(pos, Ts(1 << 40), 9, Some(&key), Some(&value), std::iter::empty());
                }
                _ => batch.push(pos, ts, seq, Some(b"k"), Some(b"v"), std::iter::empty()),
            }
            *fetched += 1;
        }
        Ok(*fetched == records.len())
    });
    result.expect("fetched");
}

fn ticks(case: &Value) {
    let (params, input) = (&case["params"], &case["input"]);
    let n = |value: &Value| value.as_i64().expect("a number");
    let schedule = Schedule {
        interval: Duration::from_nanos(n(&params["interval"]) as u64),
        align: Ts(n(&params["align"])),
        catch_up: CatchUp::Every,
    };
    let mut ticks = Ticks::default();
    ticks.register(0, 0, schedule, None);
    ticks.begin(Ts(n(&input["from_T"])));
    let mut fired = Vec::new();
    while let Some(one) = ticks.next_until(Ts(n(&input["to_T"])), 100_000) {
        fired.push(Value::from(one.tick.time.0));
        ticks.fired(&one, Next::Tick);
    }
    assert_eq!(Value::Array(fired), case["expect"], "{}", case["name"]);
}

fn window_key(case: &Value) {
    let entries = case["input"].as_array().expect("entries");
    let hex = entries.iter().map(|entry| {
        let start = Ts(entry[0].as_i64().expect("a start"));
        let key = entry_key(start, entry[1].as_str().expect("a key").as_bytes());
        Value::from(key.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    });
    assert_eq!(Value::Array(hex.collect()), case["expect"]);
}

/// Counts in windows, results on close, late records aside.
fn counting(params: &Value) -> Topology<Msg> {
    let ns = |name: &str| Duration::from_nanos(params[name].as_u64().unwrap_or(0));
    let grace = ns("grace");
    let windows = match params["type"].as_str().expect("a type") {
        "tumbling" => Windows::tumbling(ns("size"), grace),
        "hopping" => Windows::hopping(ns("size"), ns("hop"), grace),
        "session" => Windows::session(ns("gap"), grace),
        other => panic!("windows that no test knows: {other}"),
    };
    let mut t = Builder::new("app");
    let words = t.stream::<String>("words", Source::topic("in", text()));
    let counts = words.windowed(windows.offset(ns("offset"))).late_to(text()).count().named("count");
    counts.to("out", text());
    t.build().expect("valid")
}

fn window(case: &Value) {
    let bed = Bed::new();
    let input = case["input"].as_array().expect("records");
    let record = |r: &'_ Value| (r[0].as_i64().expect("ts"), r[1].as_str().expect("a key").to_owned());
    let records: Vec<(i64, String)> = input.iter().map(record).collect();
    bed.feed("in", &records.iter().map(|(ts, key)| (*ts, &**key, Some("x"))).collect::<Vec<Input<'_>>>());
    let snapshot = bed.run(counting(&case["params"]));
    let rows = bed.read("out", 0);
    let emitted = rows.iter().map(|row| {
        let numbers: Vec<i64> = row.text().split(' ').map(|n| n.parse().expect("a number")).collect();
        json!([row.cause(), numbers[0], numbers[1], row.key, numbers[2], row.ts])
    });
    assert_eq!(Value::Array(emitted.collect()), case["expect"]["emitted"], "{}", case["name"]);
    let rows = bed.read("app-late", 0);
    let late: Vec<Value> = rows.iter().map(|row| json!([row.cause(), row.number("late_by")])).collect();
    let counted = snapshot.counts.get("late_total").copied().unwrap_or(0);
    assert_eq!(counted, late.len() as u64, "{}", case["name"]);
    assert_eq!(Value::Array(late), case["expect"]["late"], "{}", case["name"]);
    assert_eq!(Value::Array(open_windows(&bed, &case["params"])), case["expect"]["open"], "{}", case["name"]);
}

/// What the last checkpoint holds: start, end (of a session its last instant), key, n.
fn open_windows(bed: &Bed, params: &Value) -> Vec<Value> {
    let entries = bed.entries("app", "count-windows", 0);
    let number = |bytes: &[u8]| i64::from_be_bytes(bytes.try_into().expect("eight bytes"));
    let entry = |(key, value): &(Vec<u8>, Vec<u8>)| {
        let start = number(&key[..8]) ^ i64::MIN;
        let end = params["size"].as_i64().map_or(number(&value[..8]), |size| start + size);
        json!([start, end, String::from_utf8_lossy(&key[8..]), number(&value[12..])])
    };
    entries.iter().map(entry).collect()
}

fn as_of(case: &Value) {
    let (params, input) = (&case["params"], &case["input"]);
    let rank = |name: &str| params[name].as_u64().expect("a rank") as u16;
    let mut t = Builder::new("app");
    let left = t.stream::<String>("left", Source::topic("left", text()).rank(rank("left_rank")));
    let right = t.stream::<String>("right", Source::topic("right", text()).rank(rank("right_rank")));
    let tolerance = Duration::from_nanos(params["tolerance"].as_u64().expect("a tolerance"));
    let how = AsOf { tolerance, missing: Missing::Null };
    let joined = left.join_asof(&right, how, |_, found: Option<String>| found.unwrap_or("null".to_owned()));
    joined.named("joined").to("out", text());
    let bed = Bed::new();
    let ts = |value: &Value| value.as_i64().expect("ts");
    let lefts = input["left"].as_array().expect("records").iter();
    bed.feed("left", &lefts.map(|at| (ts(at), "k", Some("x"))).collect::<Vec<Input<'_>>>());
    let rights = input["right"].as_array().expect("records").iter();
    let rights = rights.map(|r| (ts(&r[0]), "k", r[1].as_str()));
    bed.feed("right", &rights.collect::<Vec<Input<'_>>>());
    bed.run(t.build().expect("valid"));
    let rows = bed.read("out", 0);
    let found = rows.iter().map(|row| match row.text() {
        "null" => json!([row.ts, null]),
        value => json!([row.ts, value]),
    });
    assert_eq!(Value::Array(found.collect()), case["expect"], "{}", case["name"]);
}
