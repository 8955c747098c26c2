//! The reader by hand against the one that knows all of JSON.

use std::fs::File;
use std::io::{BufRead, BufReader};

use flate2::read::MultiGzDecoder;
use proptest::prelude::*;

use super::*;

const USUAL: [&str; 9] = [
    r#"{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","E":1723161256299,"T":1723161256298,"s":"BTCUSDT","U":12,"u":15,"pu":9,"b":[["61496.50","0.010"],["61510.90","0.000"]],"a":[]}}"#,
    r#"{"e":"depthUpdate","E":1723161264879,"T":1723161264872,"s":"BTCUSD_PERP","ps":"BTCUSD","U":1,"u":2,"pu":0,"b":[],"a":[["61800.8","0"]]}"#,
    r#"{"data":{"e":"depthUpdate","E":1723161264012,"s":"BTCUSDT","U":5,"u":9,"b":[["61824.00000000","0.33837000"]],"a":[]},"stream":"btcusdt@depth@100ms"}"#,
    r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161264026,"s":"BTCUSDT","t":37,"p":"61824.01000000","q":"0.00012000","T":1723161264025,"m":false,"M":true}}"#,
    r#"{"e":"trade","E":1723161256322,"T":1723161256322,"s":"BTCUSDT","t":526,"p":"61800.30","q":"0.006","X":"MARKET","m":true}"#,
    r#"{"e":"aggTrade","E":1723161256322,"a":7,"s":"BTCUSDT","p":"61800.30","q":"0.006","f":1,"l":3,"T":1723161256322,"m":true}"#,
    r#"{"stream":"btcusdt@bookTicker","data":{"u":5009,"s":"BTCUSDT","b":"61824.00000000","B":"0.33837000","a":"61824.01000000","A":"4.24149000"}}"#,
    r#"{"e":"bookTicker","u":51,"s":"BTCUSDT","st":1,"b":"61800.20","B":"2.507","a":"61800.30","A":"2.510","T":1723161256313,"E":1723161256313}"#,
    r#"{"e":"markPriceUpdate","E":1680652709000,"s":"BTCUSDT","p":"28144.1","P":"28150.2","i":"28145.3","r":"0.0001","T":1680681600000}"#,
];

fn check(json: &str) -> bool {
    let Some(frame) = read(json) else { return false };
    match Frame::read(json) {
        Ok(expected) => assert_eq!(frame, expected, "{json}"),
        Err(error) => panic!("{json} was read, but {error}"),
    }
    true
}

#[test]
fn usual_texts_are_read_by_hand_and_to_the_same_fields() {
    USUAL.iter().for_each(|json| assert!(check(json), "{json}"));
    let others = ["", "{}", r#"{"e":null}"#, r#"{"E":01}"#, r#"{"E":1.5}"#, r#"{"E":-1}"#, r#"{"e":"a\n"}"#];
    let more = [
        r#"{"e":"x","e":"y"}"#,
        r#"{"b":[["1"]]}"#,
        r#"{"b":[["1","2",[]]]}"#,
        r#"{"E":1} "#,
        r#"{"lastUpdateId":1}"#,
    ];
    others.iter().chain(&more).for_each(|json| assert!(!check(json), "{json} is for the other reader"));
}

#[derive(Clone, Debug)]
enum Harm {
    Put(u8),
    Insert(u8),
    Cut(usize),
    Repeat(usize),
}

fn harmed(text: &str, harms: &[(prop::sample::Index, Harm)]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (at, harm) in harms {
        let at = at.index(bytes.len());
        let until = |n: usize| (at + n).min(bytes.len());
        match harm {
            Harm::Put(byte) => bytes[at] = *byte,
            Harm::Insert(byte) => bytes.insert(at, *byte),
            Harm::Cut(n) if *n < bytes.len() => drop(bytes.drain(at..until(*n))),
            Harm::Cut(_) => {}
            Harm::Repeat(n) => {
                let part = bytes[at..until(*n)].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
    bytes
}

fn harm() -> impl Strategy<Value = Harm> {
    let byte = || prop::sample::select(&b"{}[]\",:0123456789.-+eEtrufalsnbTMd\\ \n\x7f\xc3\xa9"[..]);
    prop_oneof![
        byte().prop_map(Harm::Put),
        byte().prop_map(Harm::Insert),
        (1usize..40).prop_map(Harm::Cut),
        (1usize..40).prop_map(Harm::Repeat)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    #[test]
    fn what_is_read_of_a_harmed_text_is_what_the_other_reader_reads(
        text in prop::sample::select(&USUAL[..]),
        harms in prop::collection::vec((any::<prop::sample::Index>(), harm()), 1..4)
    ) {
        if let Ok(json) = String::from_utf8(harmed(text, &harms)) {
            check(&json);
        }
    }
}

/// Every seventh line as it is, and with one byte in the place of another.
#[test]
fn recordings_are_read_by_hand_and_to_the_same_fields() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/crypto/binance");
    let Ok(files) = std::fs::read_dir(dir) else {
        crate::said(&format!("SKIPPED recordings_are_read_by_hand_and_to_the_same_fields: {dir} is absent"));
        return;
    };
    let (mut n, mut by_hand) = (0usize, 0usize);
    let paths = files.map(|file| file.expect("a file").path());
    for path in paths.filter(|path| path.extension().is_some_and(|e| e == "gz")) {
        let lines = BufReader::new(MultiGzDecoder::new(File::open(path).expect("readable"))).lines();
        for line in lines.step_by(7) {
            let line = line.expect("text");
            let json = line.split_once(' ').expect("a time before it").1;
            n += 1;
            by_hand += usize::from(check(json));
            let (at, put) = (n * 7_919 % json.len(), n * 31 % json.len());
            check(&format!("{}{}{}", &json[..at], &json[put..=put], &json[at + 1..]));
        }
    }
    assert!(n > 50_000 && by_hand + 10 > n, "{by_hand} of {n}");
}
