//! The house rules of ARCHITECTURE.md, enforced: who imports whom, one home per driver, banned calls and
//! words, no dead files. A row of a table that nothing uses any more fails too, so the tables cannot rot.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A crate's modules from the top layer to the bottom one. A module imports itself and what is further
/// down; modules of one layer do not know each other.
struct Layers {
    src: &'static str,
    order: &'static [&'static [&'static str]],
}

const LAYERS: &[Layers] = &[
    Layers {
        src: "streams/src",
        order: &[
            &["testing"],
            &["verify", "why", "replay", "text"],
            &["runtime"],
            &["topology"],
            &["store"],
            &["log"],
            &["lmdb", "lz4", "digest"],
            &["settings", "beacon"],
            &["wire"],
            &["record"],
            &["time"],
            &["error"],
        ],
    },
    Layers {
        src: "market/src",
        order: &[
            &["synthetic", "signal", "images", "daily"],
            &["factor"],
            &["ashare", "sync"],
            &["book"],
            &["event", "calendar"],
            &["instrument"],
            &["codec"],
            &["price"],
            &["error"],
        ],
    },
    Layers {
        src: "backtest/src",
        order: &[
            &["report", "lookahead"],
            &["sweep"],
            &["run"],
            &["band_pass"],
            &["strategy", "metrics"],
            &["engine"],
            &["portfolio"],
            &["rules"],
            &["model"],
            &["dataset"],
            &["error"],
        ],
    },
    Layers {
        src: "src",
        order: &[
            &["main"],
            &["command"],
            &["cli"],
            &["config"],
            &["pipeline"],
            &["images", "daily"],
            &["feed", "sink"],
            &["codec", "mongo", "parquet"],
            &["clock", "error"],
        ],
    },
];

/// Imports that the layers do not allow, each with its reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// A driver crate and the only files (or folders, with a slash) that may name it.
const HOMES: &[(&str, &[&str])] = &[
    ("rdkafka", &["streams/src/log/kafka.rs", "streams/src/log/kafka/"]),
    ("heed", &["streams/src/lmdb/"]),
    ("lz4_flex", &["streams/src/lz4.rs"]),
    ("blake3", &["streams/src/digest.rs"]),
    ("mongodb", &["src/mongo.rs"]),
    ("polars", &["src/parquet.rs", "src/parquet/"]),
    ("plotters", &["backtest/src/report/plot.rs", "backtest/src/report/plot/"]),
    ("minijinja", &["backtest/src/report/html.rs"]),
    ("clap", &["src/cli.rs", "src/cli/"]),
    ("mimalloc", &["src/main.rs"]),
    ("toml_edit", &["src/config/"]),
    ("axum", &["src/feed/fake.rs"]),
    ("tokio_tungstenite", &["src/feed/socket.rs"]),
    ("libm", &["market/src/factor/maths.rs", "market/src/images/norm.rs", "backtest/src/metrics/"]),
    ("rayon", &["backtest/src/sweep/", "src/images/", "src/daily/"]),
    ("xxhash_rust", &["src/images/"]),
];

/// Text that no source file may hold, and where it may stand all the same.
const BANNED: &[(&str, &[&str], &str)] = &[
    ("SystemTime::now", &["src/clock.rs"], "wall time enters by src/clock.rs"),
    ("Instant::now", &["src/clock.rs"], "process time enters by src/clock.rs"),
    ("todo!(", &[], "no stubs"),
    ("unimplemented!(", &[], "no stubs"),
];

/// Words that say nothing. Matched as whole words in comments and names, case ignored.
const WORDS: &[&str] = &["robust", "seamless", "blazing", "todo", "fixme"];

const SOURCES: &[&str] = &["streams/src", "market/src", "backtest/src", "src"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All `.rs` files below a folder, as paths from the repository root, sorted.
fn rust_files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(relative(&path));
            }
        }
    }
    found.sort();
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned()
}

/// The file without its unit tests and comments.
fn code(file: &str) -> String {
    let text = fs::read_to_string(root().join(file)).expect("readable");
    let body = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    body.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Top-level module of a file inside its crate; `lib` and `main` stand for themselves.
fn module(file: &str, src: &str) -> String {
    let inside = file.strip_prefix(src).expect("inside").trim_start_matches('/');
    inside.split(['/', '.']).next().unwrap_or_default().to_owned()
}

/// Every top-level module that a text imports: `crate::a::…` and `crate::{a, b::c}`.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        if let Some(group) = rest.strip_prefix('{') {
            found.extend(group_heads(group));
        } else {
            found.insert(word(rest));
        }
    }
    found.retain(|m| !m.is_empty());
    found
}

fn group_heads(group: &str) -> Vec<String> {
    let (mut depth, mut heads, mut fresh) = (0, Vec::new(), true);
    for (i, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            c if fresh && c.is_alphabetic() => {
                heads.push(word(&group[i..]));
                fresh = false;
            }
            _ => {}
        }
    }
    heads
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn modules_import_only_what_lies_below_them() {
    let mut wrong = Vec::new();
    let (mut seen, mut used) = (BTreeSet::new(), BTreeSet::new());
    for layers in LAYERS {
        let rank = |m: &str| layers.order.iter().position(|layer| layer.contains(&m));
        for file in rust_files(layers.src) {
            let own = module(&file, layers.src);
            if own == "lib" {
                continue;
            }
            let Some(own_rank) = rank(&own) else {
                wrong.push(format!("{file}: module {own} has no layer"));
                continue;
            };
            seen.insert((layers.src, own.clone()));
            for import in imports(&code(&file)) {
                let Some(their_rank) = rank(&import) else { continue };
                let exception = EXCEPTIONS.iter().position(|(f, m, _)| *f == file && *m == import);
                used.extend(exception);
                if import != own && their_rank <= own_rank && exception.is_none() {
                    wrong.push(format!("{file}: {own} must not import {import}"));
                }
            }
        }
        for module in layers.order.iter().flat_map(|layer| layer.iter()) {
            if !seen.contains(&(layers.src, (*module).to_owned())) {
                wrong.push(format!("{}: the layer table names {module}, which does not exist", layers.src));
            }
        }
    }
    for (i, (file, import, _)) in EXCEPTIONS.iter().enumerate() {
        if !used.contains(&i) {
            wrong.push(format!("exception {file} -> {import} is not needed"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_driver_has_one_home() {
    let mut wrong = Vec::new();
    for (driver, homes) in HOMES {
        let mut at_home = false;
        for file in SOURCES.iter().flat_map(|s| rust_files(s)) {
            let code = code(&file);
            let named = [format!("{driver}::"), format!("use {driver};")]
                .iter()
                .any(|n| code.match_indices(n).any(|(i, _)| !ends_in_word(&code[..i])));
            let home = homes.iter().any(|h| file == *h || (h.ends_with('/') && file.starts_with(h)));
            at_home |= named && home;
            if named && !home {
                wrong.push(format!("{file}: {driver} lives in {}", homes.join(" and ")));
            }
        }
        if !at_home {
            wrong.push(format!("nobody uses {driver}: drop its row"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn ends_in_word(text: &str) -> bool {
    text.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
}

#[test]
fn streams_and_market_stay_pure() {
    let bans: &[(&str, &[&str])] = &[
        ("streams/src", &["lobstream_market", "lobstream_backtest", "tokio::", "serde_json"]),
        (
            "market/src",
            &["lobstream_streams", "std::fs", "std::net", "std::thread", "std::time", "HashMap", "HashSet"],
        ),
        ("backtest/src", &["lobstream_streams", "tokio::", "HashMap", "HashSet"]),
    ];
    let mut wrong = Vec::new();
    for (src, words) in bans {
        for file in rust_files(src) {
            let code = code(&file);
            for word in words.iter().filter(|w| code.contains(**w)) {
                wrong.push(format!("{file}: {word}"));
            }
        }
    }
    let market_words = ["order book", "trade", "bid", "ask price", "candle", "ticker"];
    for file in rust_files("streams/src").into_iter().filter(|f| !f.ends_with("/tests.rs")) {
        let text = fs::read_to_string(root().join(&file)).expect("readable").to_lowercase();
        for word in market_words.iter().filter(|w| has_word(&text, w)) {
            wrong.push(format!("{file}: the engine knows no market, but says {word:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn banned_calls_and_words_stay_out() {
    let mut wrong = Vec::new();
    for file in SOURCES.iter().flat_map(|s| rust_files(s)) {
        let code = code(&file);
        for (call, allowed, why) in BANNED {
            if code.contains(call) && !allowed.contains(&file.as_str()) {
                wrong.push(format!("{file}: {call} ({why})"));
            }
        }
        let text = fs::read_to_string(root().join(&file)).expect("readable").to_lowercase();
        wrong.extend(WORDS.iter().filter(|w| has_word(&text, w)).map(|w| format!("{file}: the word {w:?}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(i, _)| {
        let edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
        edge(text[..i].chars().next_back()) && edge(text[i + word.len()..].chars().next())
    })
}

#[test]
fn every_file_says_what_it_is_for_and_none_is_a_giant() {
    let mut wrong = Vec::new();
    for file in SOURCES.iter().flat_map(|s| rust_files(s)) {
        let text = fs::read_to_string(root().join(&file)).expect("readable");
        if !text.starts_with("//!") {
            wrong.push(format!("{file}: begins without a //! sentence"));
        }
        if text.lines().filter(|l| !l.trim().is_empty()).count() < 3 {
            wrong.push(format!("{file}: holds nothing"));
        }
        if text.lines().count() > 600 {
            wrong.push(format!("{file}: {} lines; look for the second noun", text.lines().count()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_readers_of_this_test_see_what_they_should() {
    assert_eq!(
        imports("use crate::{a, b::{c, d}, e};\nlet x = crate::f::g;").into_iter().collect::<Vec<_>>(),
        ["a", "b", "e", "f"]
    );
    assert!(has_word("a robust thing", "robust") && !has_word("robustness", "robust"));
    assert_eq!(module("src/feed/binance.rs", "src"), "feed");
}
