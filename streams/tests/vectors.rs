//! The cases of `streams.json`, computed outside this code base, for what the runtime builds.

use std::path::Path;
use std::time::Duration;

use lobstream_streams::beacon::Beacon;
use lobstream_streams::log::{TopicName, Tp};
use lobstream_streams::record::Offset;
use lobstream_streams::runtime::merge::{Channel, Merge, Pick};
use lobstream_streams::runtime::tick::Ticks;
use lobstream_streams::time::Ts;
use lobstream_streams::topology::processor::{CatchUp, Next, Schedule};
use serde_json::Value;

/// Kinds that other tests of this crate run.
const ELSEWHERE: [&str; 5] = ["partition", "chain", "digest", "pacing", "beacon"];
/// Kinds of operators that are not built yet.
const LEFT_OUT: [&str; 3] = ["window", "asof", "window_key"];

#[test]
fn the_engine_agrees_with_the_vectors() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/spec/vectors/streams.json");
    let Ok(text) = std::fs::read_to_string(&file) else {
        eprintln!("SKIPPED the_engine_agrees_with_the_vectors: {} is absent", file.display());
        return;
    };
    let vectors: Value = serde_json::from_str(&text).expect("valid JSON");
    let (mut merged, mut ticked, mut left_out) = (0, 0, 0);
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
            kind if ELSEWHERE.contains(&kind) => {}
            kind if LEFT_OUT.contains(&kind) => left_out += 1,
            kind => panic!("a kind that no test knows: {kind}"),
        }
    }
    assert_eq!((merged, ticked), (26, 5));
    eprintln!("left out: {left_out} cases of {LEFT_OUT:?}, operators that are not built yet");
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
    let result = merge.refill::<()>(i, |_, batch| {
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
