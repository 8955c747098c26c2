//! Files that are wrong in every way, and the vectors of rules read from their text.

use std::path::Path;

use lobstream_market::book::validity::BookState;
use lobstream_market::factor::columns::Cell;
use lobstream_market::factor::row::FactorRow;
use lobstream_market::signal::rule::EffectiveRule;
use serde_json::Value;

use super::*;

fn vectors(test: &str) -> Option<Vec<Value>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/spec/vectors/signals.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        skipped(test, &path);
        return None;
    };
    let all: Value = serde_json::from_str(&text).expect("JSON");
    Some(all["cases"].as_array().expect("cases").clone())
}

fn skipped(test: &str, path: &Path) {
    crate::said(&format!("SKIPPED {test}: no {}", path.display()));
}

/// Faults as (code, line, column, field).
fn faults(text: &str) -> Vec<(&'static str, usize, usize, Option<String>)> {
    let (_, diagnostics) = examine("rules.toml", text, &[(Venue::BinanceUsdm, Symbol::new("BTCUSDT"))]);
    diagnostics.list.iter().map(|d| (d.code.as_str(), d.line, d.column, d.field.clone())).collect()
}

/// A file that is right but for what is put into it.
fn file(top: &str, rule: &str, leaf: &str, after: &str) -> String {
    format!(
        "version = 1\n{top}\n[[rule]]\nid = \"a\"\n{rule}\n[[rule.leaf]]\nname = \"x\"\n{leaf}\n{after}\n"
    )
}

const LEAF_OK: &str = "factor = \"obi_5\"\nbuy = 0.3\nsell = -0.3";

#[track_caller]
fn one(text: &str, code: &str, line: usize, column: usize, field: &str) {
    let field = (!field.is_empty()).then(|| field.to_owned());
    let got = faults(text);
    let got: Vec<_> = got.iter().map(|(c, l, k, f)| (*c, *l, *k, f.clone())).collect();
    assert_eq!(got, [(code, line, column, field)], "{text}");
}

#[test]
fn a_good_file_has_no_fault() {
    assert_eq!(faults(&file("", "", LEAF_OK, "")), []);
    let every_key = "symbols = [\"*\"]\ncombine = \"vote\"\nvote_buy = 1\nvote_sell = 0.75\nmin_duration = \"1s\"\n\
        cooldown = \"2m\"\nmax_gap = \"1h\"\nmax_stale = \"3s\"\nbook_valid = false\nflip = \"via_neutral\"";
    let leaf = "factor = \"ofi_w\"\nuse = \"z\"\nside = \"below\"\nbuy = -2\nsell = 2\nexit_buy = -1.0\n\
        exit_sell = 1.0\nweight = 2\nmissing = \"hold\"";
    let over = "[[rule.override]]\nsymbols = [\"BTC*\"]\ncooldown = \"1ms\"\nleaf.x.buy = -3";
    assert_eq!(faults(&file("[defaults]\nmax_gap = \"5s\"", every_key, leaf, over)), []);
}

/// Every code has a file that yields it and nothing else, with line and column.
#[test]
fn every_code_is_told_where_it_is() {
    let ok = LEAF_OK;
    let over = |text: &str| format!("[[rule.override]]\nsymbols = [\"BTCUSDT\"]\n{text}");
    one("version = 1\n[[rule]\n", "R001", 2, 8, "");
    one("version = 2\n", "R002", 1, 1, "version");
    one("", "R002", 1, 1, "version");
    one(&file("verison = 1", "", ok, ""), "R003", 2, 1, "verison");
    one(&file("[defaults]\nid = \"b\"", "", ok, ""), "R003", 3, 1, "id");
    one(&file("", "  cooldwon = \"2s\"", ok, ""), "R003", 5, 3, "cooldwon");
    one(&file("", "", ok, &over("leaf.x.name = \"y\"")), "R003", 13, 8, "name");
    one(&file("", "book_valid = 1", ok, ""), "R004", 5, 1, "book_valid");
    one(&file("", "symbols = \"*\"", ok, ""), "R004", 5, 1, "symbols");
    one(&file("rule_x = 1", "", ok, "").replace("rule_x", "defaults"), "R004", 2, 1, "defaults");
    one(&file("", "", "buy = 0.3\nsell = -0.3", ""), "R005", 6, 1, "factor");
    one(&file("", "", ok, "[[rule.override]]\ncooldown = \"1s\""), "R005", 11, 1, "symbols");
    one(&file("", "", ok, "").replace("\"a\"", "\"A b\""), "R006", 4, 1, "id");
    one(&file("", "", ok, &format!("[[rule.leaf]]\nname = \"x\"\n{ok}")), "R006", 12, 1, "name");
    one(&file("", "", &ok.replace("obi_5", "obi5"), ""), "R007", 8, 1, "factor");
    one(&file("", "", &format!("{ok}\nuse = \"z\""), ""), "R008", 11, 1, "use");
    one(&file("", "", &ok.replace("-0.3", "0.3"), ""), "R009", 10, 1, "sell");
    one(&file("", "", &format!("{ok}\nside = \"below\""), ""), "R009", 10, 1, "sell");
    one(&file("", "", ok, &over("leaf.x.buy = -0.5")), "R009", 13, 8, "sell");
    one(&file("", "", ok, &over("leaf.x.buy = 0.1\nleaf.x.sell = 0.2")), "R009", 14, 8, "sell");
    one(&file("", "", &format!("{ok}\nexit_buy = 0.4"), ""), "R010", 11, 1, "exit_buy");
    one(&file("", "", &format!("{ok}\nexit_buy = -0.3"), ""), "R010", 11, 1, "exit_buy");
    one(&file("", "", &format!("{ok}\nexit_sell = 0.3"), ""), "R010", 11, 1, "exit_sell");
    one(&file("", "", &format!("{ok}\nexit_sell = -0.4"), ""), "R010", 11, 1, "exit_sell");
    one(
        &file("", "", &format!("{ok}\nexit_buy = 0.2"), &over("leaf.x.buy = 0.1")),
        "R010",
        14,
        8,
        "exit_buy",
    );
    one(&file("", "combine = \"any\"", "factor = \"tfi\"", ""), "R011", 6, 1, "leaf");
    one(&file("", "cooldown = \"2 s\"", ok, ""), "R012", 5, 1, "cooldown");
    one(&file("", "", &format!("{ok}\nweight = 0"), ""), "R013", 11, 1, "weight");
    one(&file("", "", &ok.replace("-0.3", "nan"), ""), "R013", 10, 1, "sell");
    one(&file("", "vote_buy = 1.5", ok, ""), "R013", 5, 1, "vote_buy");
    one(&file("", "combine = \"most\"", ok, ""), "R013", 5, 1, "combine");
    one("version = 1\n[[rule]]\nid = \"a\"\n", "R013", 2, 1, "leaf");
    one(&file("", "", ok, &over("leaf.y.buy = 0.5")), "R014", 13, 6, "leaf.y");
    one(&file("", "symbols = [\"B*C\"]", ok, ""), "R014", 5, 1, "symbols");
    one(&file("", "", "factor = \"obi_5\"\nbuy = 0.3", ""), "W101", 3, 1, "");
    one(&file("", "symbols = [\"*\", \"SOLUSDT\"]", ok, ""), "W102", 5, 1, "symbols");
}

#[test]
fn seventeen_leaves_are_too_many() {
    let leaves: String = (0..16).map(|i| format!("[[rule.leaf]]\nname = \"l{i}\"\n{LEAF_OK}\n")).collect();
    one(&file("", "", LEAF_OK, &leaves), "R013", 3, 1, "leaf");
}

#[test]
fn an_exit_may_equal_its_threshold_and_below_turns_the_axis() {
    assert_eq!(faults(&file("", "", &format!("{LEAF_OK}\nexit_buy = 0.3\nexit_sell = -0.3"), "")), []);
    let below = "factor = \"obi_5\"\nside = \"below\"\nbuy = 0.0\nsell = 1.0";
    assert_eq!(faults(&file("", "", &format!("{below}\nexit_buy = 0.5\nexit_sell = 0.5"), "")), []);
    one(&file("", "", &format!("{below}\nexit_buy = -0.1"), ""), "R010", 12, 1, "exit_buy");
    one(&file("", "", &format!("{below}\nexit_buy = 1.0"), ""), "R010", 12, 1, "exit_buy");
    one(&file("", "", &format!("{below}\nexit_sell = 1.1"), ""), "R010", 12, 1, "exit_sell");
}

/// What a person reads: one message of each kind that compares or offers something.
#[test]
fn messages_say_what_is_wrong_and_what_was_meant() {
    let text = "version = 1\n[[rule]]\nid = \"obi_micro\"\ncooldwon = \"4s\"\nmax_gap = \"5\"\n\
        [[rule.leaf]]\nname = \"obi\"\nfactor = \"obi5\"\nbuy = 0.35\nsell = 0.4\n\
        [[rule.leaf]]\nname = \"dev\"\nfactor = \"wmid_dev_bps\"\nbuy = 0.5\nexit_buy = 0.6\nexit_sell = 0\nweight = true\n";
    let (_, diagnostics) = examine("rules.toml", text, &[]);
    assert_eq!(
        diagnostics.to_string(),
        "\
rules.toml:2:1: W101 rule \"obi_micro\": sell can never fire: not every leaf votes for it
rules.toml:4:1: R003 rule \"obi_micro\", field \"cooldwon\": is not known; did you mean \"cooldown\"?
rules.toml:5:1: R012 rule \"obi_micro\", field \"max_gap\": must be a whole number with ms, s, m or h, is \"5\"
rules.toml:8:1: R007 rule \"obi_micro\", leaf \"obi\", field \"factor\": no factor is called \"obi5\"; did you mean \"obi_5\"?
rules.toml:10:1: R009 rule \"obi_micro\", leaf \"obi\", field \"sell\": must be below buy (0.35), is 0.4
rules.toml:15:1: R010 rule \"obi_micro\", leaf \"dev\", field \"exit_buy\": must not be above buy (0.5), is 0.6
rules.toml:16:1: R010 rule \"obi_micro\", leaf \"dev\", field \"exit_sell\": has no sell to go with
rules.toml:17:1: R004 rule \"obi_micro\", leaf \"dev\", field \"weight\": must be a number, is boolean"
    );
    let error = parse("rules.toml", text).expect_err("wrong");
    assert_eq!(error.to_string(), diagnostics.to_string());
}

#[test]
fn inline_tables_are_tables_too() {
    let text = "version = 1\nrule = [{ id = \"a\", leaf = [{ name = \"x\", factor = \"tfi\", buy = 0.5, sell = -0.5 }] }]\n";
    let set = parse("rules.toml", text).expect("good");
    assert_eq!(set.rules_for(Venue::BinanceSpot, &Symbol::new("BTCUSDT"))[0].0.leaf[0].factor, "tfi");
}

#[test]
fn without_a_file_there_is_fusion_alone() {
    assert!(load(None).expect("good").is_empty());
    let error = load(Some(Path::new("no/such/rules.toml"))).expect_err("absent");
    assert!(error.to_string().starts_with("cannot read no/such/rules.toml: "), "{error}");
}

#[test]
fn wrong_files_of_the_vectors_yield_their_faults() {
    let Some(cases) = vectors("wrong_files_of_the_vectors_yield_their_faults") else { return };
    let cases: Vec<&Value> = cases.iter().filter(|case| case["kind"] == "rule_errors").collect();
    assert_eq!(cases.len(), 6);
    for case in cases {
        let (_, diagnostics) = examine("rules.toml", case["input"]["toml"].as_str().expect("TOML"), &[]);
        let errors = diagnostics.list.iter().filter(|d| d.code.is_error());
        let got: Vec<Value> = errors
            .map(|d| serde_json::json!({ "code": d.code.as_str(), "line": d.line, "field": d.field }))
            .collect();
        assert_eq!(Value::from(got), case["expect"]["errors"], "{}", case["name"]);
    }
}

/// From TOML to records. One leaf reads a column that rows do not have yet: another one takes its place, and
/// the hash is taken with the name put back.
#[test]
fn rules_of_the_vectors_have_their_hashes_and_give_their_signals() {
    let Some(cases) = vectors("rules_of_the_vectors_have_their_hashes_and_give_their_signals") else {
        return;
    };
    let cases: Vec<&Value> = cases.iter().filter(|case| case["kind"] == "rules").collect();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let toml = case["input"]["toml"].as_str().expect("TOML").replace("bb_pct_b", "obi_10");
        let set = parse("rules.toml", &toml).expect("good");
        let venue: Venue = case["params"]["venue"].as_str().expect("venue").parse().expect("known");
        let symbol = Symbol::new(case["params"]["symbol"].as_str().expect("symbol"));
        let wanted = case["expect"].as_array().expect("rules");
        let rules = set.rules_for(venue, &symbol);
        assert_eq!(rules.len(), wanted.len());
        for ((rule, hash), want) in rules.iter().zip(wanted) {
            let mut named: EffectiveRule = rule.clone();
            for leaf in named.leaf.iter_mut().filter(|leaf| leaf.factor == "obi_10") {
                leaf.factor = "bb_pct_b".to_owned();
            }
            assert_eq!(Some(rule_hash(&named).as_str()), want["hash"].as_str());
            assert_eq!(*hash, rule_hash(rule));
        }
        let (mut engine, mut signals) = (set.engine(venue, &symbol), Vec::new());
        let rows = case["input"]["rows"].as_array().expect("rows");
        rows.iter().for_each(|r| engine.on_row(&row(r), &mut signals));
        for (i, said) in signals.chunks(1 + wanted.len()).enumerate() {
            for (signal, want) in said[1..].iter().zip(wanted) {
                let (head, step) = (&signal.head, &want["steps"][i]);
                let got = [head.signal.as_str(), head.event.as_str(), head.reason.as_str()];
                let want = ["signal", "event", "reason"].map(|key| step[key].as_str().expect("text"));
                assert_eq!(got, want, "{} row {i}", case["name"]);
                assert_eq!(head.score, step["score"].as_f64());
            }
        }
        assert_eq!(signals.len(), rows.len() * (1 + wanted.len()));
    }
}

fn row(r: &Value) -> FactorRow {
    let mut row = FactorRow::from_cells(|name| {
        let name = if name == "obi_10" && r.get("bb_pct_b").is_some() { "bb_pct_b" } else { name };
        match (name, r.get(name)) {
            ("ts_ms", _) => Cell::Int(r["t_s"].as_i64().expect("seconds") * 1_000 - 1_000),
            ("book_state", state) => Cell::Text(state.and_then(Value::as_str).unwrap_or("ok").to_owned()),
            ("stale_ms", Some(ms)) => ms.as_i64().map_or(Cell::Null, Cell::Int),
            (_, Some(x)) => x.as_f64().map_or(Cell::Null, Cell::Float),
            (_, None) => default_cell(name),
        }
    })
    .expect("fits");
    row.book_valid = row.book_state == BookState::Ok;
    row
}

fn default_cell(name: &str) -> Cell {
    let at = FactorRow::COLUMNS.iter().position(|column| column.name == name);
    at.map_or(Cell::Null, |at| FactorRow::default().cells()[at].clone())
}
