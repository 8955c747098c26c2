//! Cases of `streams.json` that were computed outside this code: partitioner, output chains, state digests.

use std::io::Write;
use std::path::Path;

use lobstream_streams::digest::{Chain, StateDigest};
use lobstream_streams::log::topic;
use lobstream_streams::time::Ts;
use serde_json::Value;

fn cases(kind: &str) -> Option<Vec<Value>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/spec/vectors/streams.json");
    let text = std::fs::read_to_string(&path).ok()?;
    let file: Value = serde_json::from_str(&text).expect("the vectors are JSON");
    let of_kind = |case: &&Value| case["kind"] == kind;
    Some(file["cases"].as_array().expect("cases").iter().filter(of_kind).cloned().collect())
}

fn run(kind: &str, check: impl Fn(&Value)) {
    let Some(cases) = cases(kind) else {
        let _ = writeln!(std::io::stderr(), "SKIPPED log_vectors {kind}: streams.json is not there");
        return;
    };
    assert!(!cases.is_empty(), "no case of kind {kind}");
    cases.iter().for_each(check);
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    let digits = value.as_str()?.as_bytes();
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).expect("hex"));
    Some(pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hex")).collect())
}

#[test]
fn keys_go_to_the_partitions_that_kafka_gives_them() {
    run("partition", |case| {
        for (key, expect) in list(&case["input"]).iter().zip(list(&case["expect"])) {
            for (n, partition) in list(&case["params"]["n"]).iter().zip(list(&expect[1])) {
                let n = n.as_u64().expect("a count") as u32;
                let got = topic::partition(text(key).as_bytes(), n);
                assert_eq!(u64::from(got), partition.as_u64().expect("a number"), "{key} of {n}");
            }
        }
    });
}

#[test]
fn chains_are_those_of_the_page() {
    run("chain", |case| {
        let mut chain = Chain::default();
        for (record, expect) in list(&case["input"]).iter().zip(list(&case["expect"])) {
            let ts = Ts(record["ts"].as_i64().expect("ns"));
            chain.push(bytes(&record["key"]).as_deref(), bytes(&record["value"]).as_deref(), ts);
            assert_eq!(chain.to_string(), text(expect));
        }
    });
}

#[test]
fn digests_are_those_of_the_page() {
    run("digest", |case| {
        let mut digest = StateDigest::default();
        let mut entries = std::collections::BTreeMap::new();
        for (op, expect) in list(&case["input"]).iter().zip(list(&case["expect"])) {
            let entry = (text(&op[1]), text(&op[2]));
            let value = bytes(&op[3]);
            let old = match (text(&op[0]), value.clone()) {
                ("put", Some(value)) => entries.insert(entry, value),
                ("delete", None) => entries.remove(&entry),
                other => panic!("unknown operation {other:?}"),
            };
            if let Some(old) = old {
                digest.remove(entry.0, entry.1.as_bytes(), &old);
            }
            if let Some(value) = value {
                digest.add(entry.0, entry.1.as_bytes(), &value);
            }
            assert_eq!(digest.to_string(), text(expect));
        }
    });
}
