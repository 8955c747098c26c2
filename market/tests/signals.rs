//! Every case of `signals.json` that this crate builds, and what holds for every stream of rows.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use lobstream_market::book::validity::BookState;
use lobstream_market::factor::columns::Cell;
use lobstream_market::factor::row::FactorRow;
use lobstream_market::signal::fusion::{FusionSettings, logistic};
use lobstream_market::signal::rule::EffectiveRule;
use lobstream_market::signal::{Signal, SignalEngine};
use serde_json::Value;

/// Kinds without code here: those of later stages, and those that need text or hashes, which the root has.
const LEFT_OUT: &[&str] = &["divergence", "edge", "row_id", "rule_errors", "scenario", "session"];

fn vectors(test: &str) -> Option<Vec<Value>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/spec/vectors/signals.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        let _ = writeln!(std::io::stderr(), "SKIPPED {test}: no {}", path.display());
        return None;
    };
    let all: Value = serde_json::from_str(&text).expect("JSON");
    Some(all["cases"].as_array().expect("cases").clone())
}

#[test]
fn every_case_built_here_gives_the_expected_signals() {
    let Some(cases) = vectors("every_case_built_here_gives_the_expected_signals") else { return };
    let (mut left_out, mut n) = (BTreeSet::new(), 0);
    for case in &cases {
        match case["kind"].as_str().expect("a kind") {
            "fusion" => fusion_case(case),
            "proba" => proba_case(case),
            "rules" => rules_case(case),
            "hash" => canonical_case(case),
            other => {
                left_out.insert(other.to_owned());
                continue;
            }
        }
        n += 1;
    }
    assert_eq!(n, 12, "cases checked");
    assert_eq!(left_out.iter().map(String::as_str).collect::<Vec<_>>(), LEFT_OUT);
    let _ = writeln!(std::io::stderr(), "LEFT OUT kinds: {}", LEFT_OUT.join(" "));
}

/// A row with some columns set by name; times are evaluation times.
fn row<'a>(t_s: &Value, columns: impl IntoIterator<Item = (&'a str, &'a Value)>) -> FactorRow {
    let base = FactorRow {
        ts_ms: t_s.as_i64().expect("seconds") * 1_000 - 1_000,
        book_state: BookState::Ok,
        ..FactorRow::default()
    };
    let mut cells = base.cells();
    for (name, value) in columns {
        let at = FactorRow::COLUMNS.iter().position(|column| column.name == name).expect(name);
        cells[at] = cell(value, cells[at] == Cell::Int(0));
    }
    let mut cells = cells.into_iter();
    let mut row = FactorRow::from_cells(|_| cells.next().expect("as many cells")).expect("fits");
    row.book_valid = row.book_state == BookState::Ok;
    row
}

fn cell(value: &Value, int: bool) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::String(s) if s == "NaN" => Cell::Float(f64::NAN),
        Value::String(s) => Cell::Text(s.clone()),
        Value::Number(x) if int => Cell::Int(x.as_i64().expect("an integer")),
        Value::Number(x) => Cell::Float(x.as_f64().expect("a number")),
        other => panic!("a cell of {other}"),
    }
}

/// A row with ages, which are integers.
fn aged(mut row: FactorRow, stale_ms: &Value, trade_age_ms: &Value) -> FactorRow {
    (row.stale_ms, row.trade_age_ms) = (stale_ms.as_i64(), trade_age_ms.as_i64());
    row
}

fn near(what: &str, got: Option<f64>, want: &Value) {
    let equal = match (got, want.as_f64()) {
        (None, None) => true,
        (Some(got), Some(want)) => (got - want).abs() <= (1e-9 * want.abs()).max(1e-12),
        (Some(_), None) | (None, Some(_)) => false,
    };
    assert!(equal, "{what}: {got:?}, expected {want}");
}

fn same_state(what: &str, signal: &Signal, want: &Value) {
    let head = &signal.head;
    let got = [head.signal.as_str(), head.event.as_str(), head.reason.as_str()];
    let want_text = ["signal", "event", "reason"].map(|key| want[key].as_str().expect("text"));
    assert_eq!(got, want_text, "{what}");
    let dir = match want["signal"].as_str() {
        Some("buy" | "strong_buy") => 1,
        Some("sell" | "strong_sell") => -1,
        _ => 0,
    };
    assert_eq!((head.dir, head.since_ms.is_some()), (dir, dir != 0), "{what}");
    near(&format!("{what} score"), head.score, &want["score"]);
}

fn run(engine: &mut SignalEngine, rows: &[FactorRow]) -> Vec<Signal> {
    let mut out = Vec::new();
    rows.iter().for_each(|row| engine.on_row(row, &mut out));
    out
}

fn fusion_case(case: &Value) {
    let name = case["name"].as_str().expect("a name");
    let settings: FusionSettings = serde_json::from_value(case["params"].clone()).expect("settings");
    assert_eq!(settings.check(), Ok(()));
    let rows: Vec<FactorRow> = case["input"]["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|r| {
            let state = Value::from(if r[5] == true { "ok" } else { "invalid" });
            aged(row(&r[0], [("z_ofi", &r[1]), ("z_cvd", &r[2]), ("book_state", &state)]), &r[3], &r[4])
        })
        .collect();
    let mut engine = SignalEngine::new((settings, "h".into()), Vec::new()).expect("no rules");
    let signals = run(&mut engine, &rows);
    let wanted = case["expect"].as_array().expect("signals");
    assert_eq!(signals.len(), wanted.len(), "{name}");
    for (i, (signal, want)) in signals.iter().zip(wanted).enumerate() {
        let what = format!("{name} row {i}");
        same_state(&what, signal, want);
        near(&format!("{what} consistency"), signal.head.consistency, &want["consistency"]);
        near(&format!("{what} dispersion"), signal.head.dispersion, &want["dispersion"]);
        near(&format!("{what} proba"), signal.head.proba, &want["proba"]);
        assert_eq!(signal.head.lag_ms, want["lag_ms"].as_i64(), "{what}");
        assert_eq!((signal.head.source.as_str(), signal.head.rule_id.as_str()), ("fusion", "fusion"));
        assert_eq!(signal.head.ts_known_ns, (rows[i].ts_ms + 1_000) * 1_000_000);
    }
}

fn proba_case(case: &Value) {
    let (a, b) = (case["params"]["a"].as_f64().expect("a"), case["params"]["b"].as_f64().expect("b"));
    let scores = case["input"]["score"].as_array().expect("scores").iter();
    for (score, want) in scores.zip(case["expect"].as_array().expect("probabilities")) {
        let x = a + b * score.as_f64().expect("a score");
        near(&format!("score {score}"), Some(logistic(x)), want);
    }
}

/// The settings of fusion are canonical as they are written.
fn canonical_case(case: &Value) {
    let text = serde_json::to_string(&FusionSettings::default()).expect("JSON");
    assert_eq!(Some(text.as_str()), case["expect"]["canonical"].as_str());
}

/// Rules come from their canonical form; reading them from TOML is the root's. One leaf reads a column that
/// rows do not have yet: another column takes its place.
fn rules_case(case: &Value) {
    let name = case["name"].as_str().expect("a name");
    let rows: Vec<FactorRow> = case["input"]["rows"].as_array().expect("rows").iter().map(rule_row).collect();
    let mut rules = Vec::new();
    for want in case["expect"].as_array().expect("rules") {
        let canonical = want["canonical"].as_str().expect("canonical").replace("bb_pct_b", "obi_10");
        let rule: EffectiveRule = serde_json::from_str(&canonical).expect("a rule");
        assert_eq!(serde_json::to_string(&rule).expect("JSON"), canonical, "{name}");
        rules.push((rule, want["hash"].as_str().expect("hash").to_owned()));
    }
    let mut engine =
        SignalEngine::new((FusionSettings::default(), "f".into()), rules).expect("known factors");
    let signals = run(&mut engine, &rows);
    let wanted = case["expect"].as_array().expect("rules");
    assert_eq!(signals.len(), rows.len() * (1 + wanted.len()), "fusion first, then rules in their order");
    for (i, said) in signals.chunks(1 + wanted.len()).enumerate() {
        assert_eq!(said[0].head.source, "fusion");
        for (signal, want) in said[1..].iter().zip(wanted) {
            let step = &want["steps"][i];
            let what = format!("{name} {} row {i}", want["id"]);
            same_state(&what, signal, step);
            let votes: Vec<Option<i8>> = signal.values.iter().map(|value| value.vote).collect();
            assert_eq!(serde_json::json!(votes), step["votes"], "{what}");
            assert_eq!(Some(signal.head.rule_id.as_str()), want["id"].as_str());
            assert_eq!(Some(signal.head.rule_hash.as_str()), want["hash"].as_str());
            assert!(signal.head.proba.is_none() && !signal.head.calibrated);
        }
    }
}

fn rule_row(r: &Value) -> FactorRow {
    let columns = r.as_object().expect("columns").iter();
    let columns = columns.filter(|(key, _)| !["t_s", "stale_ms"].contains(&key.as_str()));
    let renamed = columns.map(|(key, value)| (if key == "bb_pct_b" { "obi_10" } else { key }, value));
    aged(row(&r["t_s"], renamed), &r["stale_ms"], &Value::Null)
}

fn golden() -> Option<(Vec<FactorRow>, (EffectiveRule, String))> {
    let cases = vectors("golden rows")?;
    let case = cases.iter().find(|case| case["name"] == "all_hysteresis_cooldown").expect("the case");
    let rows = case["input"]["rows"].as_array().expect("rows").iter().map(rule_row).collect();
    let rule =
        serde_json::from_str(case["expect"][0]["canonical"].as_str().expect("canonical")).expect("a rule");
    Some((rows, (rule, "33f16ebd3ad779a7".into())))
}

fn engine(rule: (EffectiveRule, String)) -> SignalEngine {
    let settings = FusionSettings { warmup_n: 0, ..FusionSettings::default() };
    SignalEngine::new((settings, "f".into()), vec![rule]).expect("known factors")
}

#[test]
fn memory_stored_and_restored_after_every_row_gives_the_same_records() {
    let Some((rows, rule)) = golden() else { return };
    let whole = run(&mut engine(rule.clone()), &rows);
    let (mut memory, mut signals) =
        (serde_json::to_string(engine(rule.clone()).memory()).expect("JSON"), Vec::new());
    for row in &rows {
        let mut fresh = engine(rule.clone());
        fresh.restore(serde_json::from_str(&memory).expect("memory"));
        fresh.on_row(row, &mut signals);
        memory = serde_json::to_string(fresh.memory()).expect("JSON");
    }
    assert_eq!(signals, whole);
}

#[test]
fn memory_of_another_hash_is_not_taken_over() {
    let Some((rows, rule)) = golden() else { return };
    let mut held = engine(rule.clone());
    run(&mut held, &rows[..4]);
    let mut changed = engine((rule.0.clone(), "another".into()));
    changed.restore(held.memory().clone());
    let signals = run(&mut changed, &rows[4..5]);
    assert_eq!(signals[1].head.event.as_str(), "none", "nothing was held");
    let mut same = engine(rule);
    same.restore(held.memory().clone());
    assert_eq!(run(&mut same, &rows[4..5])[1].head.event.as_str(), "exit");
}

#[test]
fn rows_after_a_cut_change_nothing_before_it_and_repeated_rows_say_nothing() {
    let Some((rows, rule)) = golden() else { return };
    let whole = run(&mut engine(rule.clone()), &rows);
    for cut in 0..rows.len() {
        assert_eq!(run(&mut engine(rule.clone()), &rows[..cut]), whole[..2 * cut]);
    }
    let mut twice = engine(rule);
    let rows: Vec<FactorRow> = rows.iter().flat_map(|row| [row.clone(), row.clone()]).collect();
    assert_eq!(run(&mut twice, &rows), whole);
}

#[test]
fn leaves_may_read_the_fusion() {
    let Some((_, (mut rule, hash))) = golden() else { return };
    rule.leaf.truncate(1);
    (rule.leaf[0].factor, rule.leaf[0].buy) = ("score".into(), Some(1.5));
    let two = serde_json::json!(2.0);
    let rows = [row(&Value::from(1), [("z_ofi", &two), ("z_cvd", &two)])];
    let signals = run(&mut engine((rule.clone(), hash)), &rows);
    assert_eq!((signals[1].values[0].value, signals[1].head.signal.as_str()), (Some(2.0), "buy"));
    rule.leaf[0].factor = "mid_price".into();
    assert!(SignalEngine::new((FusionSettings::default(), "f".into()), vec![(rule, "x".into())]).is_err());
}
