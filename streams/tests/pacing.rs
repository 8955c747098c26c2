//! Pacing and beacon arithmetic against the vectors, which were made outside this code.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use lobstream_streams::beacon::EventClock;
use lobstream_streams::replay::{Pacer, Speed};
use lobstream_streams::time::{Mono, Ts};
use serde_json::Value;

fn cases(test: &str, kind: &str) -> Vec<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/spec/vectors/streams.json");
    let Ok(text) = std::fs::read_to_string(&file) else {
        let _ = writeln!(std::io::stderr(), "SKIPPED {test}: no vectors at {}", file.display());
        return Vec::new();
    };
    let vectors: Value = serde_json::from_str(&text).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    let cases: Vec<_> = cases.iter().filter(|case| case["kind"] == kind).cloned().collect();
    assert!(!cases.is_empty(), "the vectors have no case of kind {kind}");
    cases
}

fn numbers(list: &Value) -> Vec<i64> {
    list.as_array().unwrap().iter().map(|n| n.as_i64().unwrap()).collect()
}

fn speed(params: &Value) -> Speed {
    match (params["speed"].as_f64(), params["rate"].as_f64()) {
        (Some(times), None) => Speed::Times(times),
        (None, Some(rate)) => Speed::PerSecond(rate),
        other => panic!("not a speed: {other:?}"),
    }
}

/// Walks a clock of whole milliseconds over the recording; the time each record leaves.
fn released(pacer: &mut Pacer, times: &[i64], pauses: &[(u64, u64)]) -> Vec<i64> {
    let mut now = 0_u64;
    let at = |ms: u64| Mono(Duration::from_millis(ms));
    times
        .iter()
        .map(|&ts| {
            pacer.offer(Ts::from_millis(ts), at(now));
            while pacer.wait(at(now)).is_some() {
                now += 1;
                for &(begin, length) in pauses {
                    if now == begin {
                        pacer.pause(at(now));
                    }
                    if now == begin + length {
                        pacer.resume(at(now));
                    }
                }
            }
            pacer.released(at(now));
            now as i64
        })
        .collect()
}

#[test]
fn records_leave_when_the_vectors_say() {
    for case in cases("records_leave_when_the_vectors_say", "pacing") {
        let params = &case["params"];
        let gap_max = params["max_gap_ms"].as_u64().map(Duration::from_millis);
        let mut pacer = Pacer::new(speed(params), gap_max);
        let pauses: Vec<_> = params["pauses_ms"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|pause| (pause[0].as_u64().unwrap(), pause[1].as_u64().unwrap()))
            .collect();
        let left = released(&mut pacer, &numbers(&case["input"]), &pauses);
        assert_eq!(left, numbers(&case["expect"]), "{}", case["name"]);
        assert_eq!(pacer.drift().max(), Duration::ZERO, "{}", case["name"]);
    }
}

#[test]
fn beacons_promise_what_the_vectors_say() {
    for case in cases("beacons_promise_what_the_vectors_say", "beacon") {
        let disorder = case["params"]["disorder_ms"].as_u64().unwrap();
        let ms = |n: &Value| Ts::from_millis(n.as_i64().unwrap());
        let mut clock = EventClock::new(Duration::from_millis(disorder));
        clock.observe(ms(&case["input"]["E"]), ms(&case["input"]["R"]));
        let now = case["input"]["now"].as_array().unwrap();
        let bounds: Vec<_> = now.iter().map(|now| clock.bound(ms(now)).unwrap().as_millis()).collect();
        assert_eq!(bounds, numbers(&case["expect"]), "{}", case["name"]);
    }
}
