//! Every case of `factors.json` that this crate builds; those it leaves out are named.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use lobstream_market::event::Aggressor;
use lobstream_market::factor::columns::Cell;
use lobstream_market::factor::imbalance::Top;
use lobstream_market::factor::row::FactorRow;
use lobstream_market::factor::technical::{Bands, Bollinger};
use lobstream_market::factor::zscore::{Hybrid, HybridSettings, Wins, WinsSettings};
use lobstream_market::factor::{FactorEngine, FactorSettings, ofi};
use serde_json::Value;

use super::support::{Driver, Event, Side, What, book, instrument, judge};

/// Kinds of case without a factor here.
const KINDS_LEFT_OUT: &[&str] = &[
    "aggressor", // venue spelling stops at the feed
    "amihud",
    "bvc",
    "depletion",
    "hawkes",
    "intensity",
    "iofi_fit",
    "kyle",
    "micro_chain",
    "micro_fit",
    "realised",
    "vpin",
    "z_ewma",
    "z_mad",
    "z_roll",
];
/// Expected values without a column here.
const VALUES_LEFT_OUT: &[&str] = &[
    "buckets",
    "d_a",
    "d_b",
    "depth_ask_5bps",
    "depth_bid_5bps",
    "depth_delta",
    "depth_vwap_bid_3",
    "imb01",
    "iofi_scale",
    "iofi_uniform",
    "lee_ready",
    "macd_ema0",
    "macd_ema0_hist",
    "macd_ema0_signal",
    "macd_sma0",
    "macd_sma0_hist",
    "macd_sma0_signal",
    "obi_d_bps2",
    "obi_d_price",
    "obi_d_tick5",
    "removed_ask",
    "removed_bid",
    "ret_1s",
    "rsi_ema",
    "rsi_wilder",
    "slope_ns_5",
    "slope_ols_ask_5",
    "slope_ols_bid_5",
    "sweep_buy",
    "sweep_sell",
    "tick_rule",
    "vpin",
    "vpin_too_few",
];

/// One case while it is checked: which expected values were looked at.
struct Case<'a> {
    name: String,
    params: &'a Value,
    input: &'a Value,
    expect: &'a Value,
    seen: BTreeSet<String>,
}

impl Case<'_> {
    fn expected(&mut self, key: &str) -> &Value {
        self.seen.insert(key.to_owned());
        self.expect.get(key).unwrap_or_else(|| panic!("{}: no expected {key}", self.name))
    }

    fn check(&mut self, key: &str, got: Option<f64>) {
        let want = self.expected(key).as_f64();
        near(&format!("{} {key}", self.name), got, want);
    }
}

/// Relative 1e-9 or absolute 1e-12, whichever is larger.
fn near(what: &str, got: Option<f64>, want: Option<f64>) {
    let equal = match (got, want) {
        (None, None) => true,
        (Some(got), Some(want)) => (got - want).abs() <= (1e-9 * want.abs()).max(1e-12),
        (Some(_), None) | (None, Some(_)) => false,
    };
    assert!(equal, "{what}: {got:?}, expected {want:?}");
}

fn side(rows: &Value) -> Side {
    let rows = rows.as_array().expect("levels").iter();
    rows.map(|row| (row[0].as_i64().expect("ticks"), row[1].as_i64().expect("lots"))).collect()
}

fn text<'a>(params: &'a Value, key: &str, default: &'a str) -> &'a str {
    params[key].as_str().unwrap_or(default)
}

fn floats(values: &Value) -> Vec<Option<f64>> {
    values.as_array().expect("a list").iter().map(Value::as_f64).collect()
}

#[test]
fn every_case_built_here_gives_the_expected_numbers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/spec/vectors/factors.json");
    let Ok(json) = std::fs::read_to_string(&path) else {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED every_case_built_here_gives_the_expected_numbers: no {}",
            path.display()
        );
        return;
    };
    let all: Value = serde_json::from_str(&json).expect("JSON");
    let (mut kinds, mut values, mut n) = (BTreeSet::new(), BTreeSet::new(), 0);
    for case in all["cases"].as_array().expect("cases") {
        let kind = case["factor"].as_str().expect("a kind");
        let name = format!("{kind} {}", case["name"].as_str().expect("a name"));
        let (params, input, expect) = (&case["params"], &case["input"], &case["expect"]);
        let mut case = Case { name, params, input, expect, seen: BTreeSet::new() };
        match kind {
            "book" => book_case(&mut case),
            "ofi" => ofi_case(&mut case),
            "ofi_vs_depth_delta" => pairs_case(&mut case),
            "mlofi" => mlofi_case(&mut case),
            "flow" => flow_case(&mut case),
            "z_wins" => wins_case(&mut case),
            "z_hybrid" => hybrid_case(&mut case),
            "technical" => bands_case(&mut case),
            "rows" => values.extend(rows_case(&mut case)),
            other => {
                kinds.insert(other.to_owned());
                continue;
            }
        }
        let keys = case.expect.as_object().into_iter().flatten().map(|(key, _)| key.clone());
        values.extend(keys.filter(|key| !case.seen.contains(key)));
        n += 1;
    }
    assert_eq!(n, 24, "cases checked");
    assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), KINDS_LEFT_OUT);
    assert_eq!(values.iter().map(String::as_str).collect::<Vec<_>>(), VALUES_LEFT_OUT);
    let _ = writeln!(std::io::stderr(), "LEFT OUT kinds: {}", KINDS_LEFT_OUT.join(" "));
    let _ = writeln!(std::io::stderr(), "LEFT OUT values: {}", VALUES_LEFT_OUT.join(" "));
}

/// The columns of a row whose book stood from its start to its end.
fn row_of(bids: Side, asks: Side, tick: &str, lot: &str) -> FactorRow {
    let engine = FactorEngine::new(instrument(tick, lot), FactorSettings::default());
    let what = What::Book { resync: true, bids, asks };
    let events = [Event { ms: 0, what }, Event { ms: 1_000, what: What::Tick }];
    Driver::new(engine).feed_all(&events).remove(0)
}

fn book_case(case: &mut Case<'_>) {
    let (tick, lot) = (text(case.params, "tick", "1"), text(case.params, "lot", "1"));
    let (bids, asks) = (side(&case.input["bids"]), side(&case.input["asks"]));
    let row = row_of(bids.clone(), asks.clone(), tick, lot);
    if case.expect.get("all_book_factors").is_some() {
        assert!(case.expected("all_book_factors").is_null());
        let state = case.expected("book_state").as_str().expect("a state").to_owned();
        assert_eq!(row.book_state.as_str(), state, "{}", case.name);
        assert!(!row.book_valid && !row.depth_known);
        let first = column("best_bid");
        let cells = &row.cells()[first..=column("depth_ask_5")];
        assert!(cells.iter().all(|cell| *cell == Cell::Null), "{}: {cells:?}", case.name);
        return;
    }
    assert_eq!(row.spread_ticks, case.expected("spread_ticks").as_i64(), "{}", case.name);
    for (key, got) in [
        ("best_bid", row.best_bid),
        ("best_ask", row.best_ask),
        ("bid_qty", row.bid_qty),
        ("ask_qty", row.ask_qty),
        ("mid", row.mid),
        ("wmid", row.wmid),
        ("spread_bps", row.spread_bps),
        ("wmid_dev_bps", row.wmid_dev_bps),
        ("obi_1", row.obi_1),
        ("obi_3", top(&bids, &asks).obi(3)),
        ("obi_5", row.obi_5),
        ("obi_10", row.obi_10),
        ("obi_w", row.obi_w),
        ("depth_bid_5", row.depth_bid_5),
        ("depth_ask_5", row.depth_ask_5),
    ] {
        case.check(key, got);
    }
}

fn column(name: &str) -> usize {
    FactorRow::COLUMNS.iter().position(|column| column.name == name).expect("a column")
}

fn top(bids: &Side, asks: &Side) -> Top {
    let book = book(bids, asks);
    let (state, reason) = judge(&book);
    let (epoch, book_seq, last_update_id) = (1, 1, None);
    let view =
        lobstream_market::book::BookView { book: &book, state, reason, epoch, book_seq, last_update_id };
    Top::of(&view).expect("ok")
}

fn ofi_case(case: &mut Case<'_>) {
    let quotes = case.input["quotes"].as_array().expect("quotes").iter();
    let tops: Vec<Top> = quotes
        .map(|quote| {
            let [b, q, a, r] = [0, 1, 2, 3].map(|i| quote[i].as_i64().expect("a number"));
            top(&vec![(b, q)], &vec![(a, r)])
        })
        .collect();
    let e: Vec<i128> = tops.windows(2).map(|pair| ofi::flow(&pair[0], &pair[1])[0]).collect();
    assert_eq!(serde_json::json!(e), *case.expected("e"));
    case.check("sum", Some(e.iter().sum::<i128>() as f64));
}

fn pairs_case(case: &mut Case<'_>) {
    let pairs = case.input["pairs"].as_array().expect("pairs").iter();
    let e: Vec<i128> = pairs
        .map(|pair| {
            let before = top(&side(&pair["b0"]), &side(&pair["a0"]));
            ofi::flow(&before, &top(&side(&pair["b1"]), &side(&pair["a1"])))[0]
        })
        .collect();
    assert_eq!(serde_json::json!(e), *case.expected("e"));
}

/// Each pair, and all of them as one second of an engine.
fn mlofi_case(case: &mut Case<'_>) {
    let books: Vec<(Side, Side)> = case.input["books"]
        .as_array()
        .expect("books")
        .iter()
        .map(|book| (side(&book["bids"]), side(&book["asks"])))
        .collect();
    let tops: Vec<Top> = books.iter().map(|(bids, asks)| top(bids, asks)).collect();
    let e: Vec<_> = tops.windows(2).map(|pair| ofi::flow(&pair[0], &pair[1])).collect();
    assert_eq!(serde_json::json!(e), *case.expected("e"));

    let mut events: Vec<Event> = books
        .into_iter()
        .enumerate()
        .map(|(i, (bids, asks))| Event {
            ms: if i == 0 { 0 } else { 1_000 + i as i64 },
            what: What::Book { resync: i == 0, bids, asks },
        })
        .collect();
    events.push(Event { ms: 2_000, what: What::Tick });
    let engine = FactorEngine::new(instrument("1", "1"), FactorSettings::default());
    let row = Driver::new(engine).feed_all(&events).remove(1);
    let flows = [row.ofi, row.mlofi_2, row.mlofi_3, row.mlofi_4, row.mlofi_5];
    let wanted = floats(case.expected("sum"));
    flows.iter().zip(wanted).for_each(|(got, want)| near("sum", *got, want));
    case.check("ofi_w", row.ofi_w);
}

/// Every trade in a second of its own for the running sum, then all in one for the ratios.
fn flow_case(case: &mut Case<'_>) {
    let column = |key: &str| floats(&case.input[key]).into_iter().map(|x| x.expect("a number") as i64);
    let trades: Vec<What> = column("price_ticks")
        .zip(column("qty_lots"))
        .zip(column("side"))
        .map(|((px, qty), d)| {
            let aggressor = match d.signum() {
                1 => Aggressor::Buyer,
                -1 => Aggressor::Seller,
                _ => Aggressor::Unknown,
            };
            What::Trade { id: None, px, qty, aggressor }
        })
        .collect();
    let rows_with = |step_ms: i64| {
        let engine = FactorEngine::new(instrument("1", "1"), FactorSettings::default());
        let first = Event { ms: 0, what: What::TradeGap };
        let at = |i: usize| 1_000 + i as i64 * step_ms;
        let events = trades.iter().enumerate().map(|(i, what)| Event { ms: at(i), what: what.clone() });
        let last = Event { ms: at(trades.len()) + 1_000, what: What::Tick };
        let events: Vec<Event> = std::iter::once(first).chain(events).chain([last]).collect();
        Driver::new(engine).feed_all(&events)
    };
    let cvd: Vec<Option<f64>> = rows_with(1_000)[1..=trades.len()].iter().map(|row| row.cvd).collect();
    assert_eq!(cvd, floats(case.expected("cvd_lots")));
    let row = rows_with(1).remove(1);
    case.check("tfi", row.tfi);
    case.check("vwap_ticks", row.vwap);
}

fn wins_case(case: &mut Case<'_>) {
    let p = case.params;
    let (n, min_n) = (p["n"].as_u64().expect("n") as usize, p["min_n"].as_u64().expect("min_n") as usize);
    let (k, limit) = (p["k"].as_f64().expect("k"), p["limit"].as_f64().expect("limit"));
    let mut wins = Wins::new(WinsSettings { n, min_n, k, limit });
    let want = floats(case.expected("z"));
    for (i, (x, want)) in floats(&case.input["x"]).into_iter().zip(want).enumerate() {
        near(&format!("{} at {i}", case.name), x.and_then(|x| wins.push(x)), want);
    }
}

fn hybrid_case(case: &mut Case<'_>) {
    let f = |key: &str| case.params[key].as_f64().expect("a number");
    let mut hybrid = Hybrid::new(HybridSettings {
        hl_fast_s: f("hl_fast_s"),
        hl_slow_s: f("hl_slow_s"),
        w_fast: f("w_fast"),
        mad_mult: f("mad_mult"),
        mad_n: f("mad_n") as usize,
        freeze_min: f("freeze_min") as u32,
        limit: f("limit"),
        gap_s: f("gap_s"),
        gap_n: f("gap_n") as u32,
    });
    let want = floats(case.expected("z"));
    let times = floats(&case.input["t_s"]);
    for (i, ((x, t), want)) in floats(&case.input["delta"]).into_iter().zip(times).zip(want).enumerate() {
        let got = x.zip(t).and_then(|(x, t)| hybrid.push(x, t));
        near(&format!("{} at {i}", case.name), got, want);
    }
}

fn bands_case(case: &mut Case<'_>) {
    let (n, k) = (&case.params["bb_n"], &case.params["bb_k"]);
    let mut bollinger = Bollinger::new(n.as_u64().expect("n") as usize, k.as_f64().expect("k"));
    let want = case.expected("bb").as_array().expect("bands").clone();
    for (i, (x, want)) in floats(&case.input["close"]).into_iter().zip(want).enumerate() {
        let bands = bollinger.push(x.expect("a close"));
        assert_eq!(bands.is_none(), want.is_null(), "{} at {i}", case.name);
        let Some(Bands { mid, up, lo, pct_b, width }) = bands else { continue };
        let all =
            [("mid", Some(mid)), ("up", Some(up)), ("lo", Some(lo)), ("pct_b", pct_b), ("width", width)];
        for (key, got) in all {
            near(&format!("{} at {i} {key}", case.name), got, want[key].as_f64());
        }
    }
}

/// Ten seconds of everything that can happen; the expected values without a column.
fn rows_case(case: &mut Case<'_>) -> BTreeSet<String> {
    let (tick, lot) = (text(case.params, "tick", "1"), text(case.params, "lot", "1"));
    let mut events: Vec<Event> = case.input["events"].as_array().expect("events").iter().map(event).collect();
    let end = case.params["final_watermark_ms"].as_i64().expect("the last tick");
    events.push(Event { ms: end, what: What::Tick });
    let engine = FactorEngine::new(instrument(tick, lot), FactorSettings::default());
    let rows = Driver::new(engine).feed_all(&events);
    let wanted = case.expected("rows").as_array().expect("rows");
    assert_eq!(rows.len(), wanted.len());
    let mut absent = BTreeSet::new();
    for (i, (row, want)) in rows.iter().zip(wanted).enumerate() {
        let cells = row.cells();
        for (key, want) in want.as_object().expect("columns") {
            match FactorRow::COLUMNS.iter().position(|column| column.name == key) {
                Some(at) => same_cell(&format!("row {i} {key}"), &cells[at], want),
                None => {
                    absent.insert(key.clone());
                }
            }
        }
    }
    absent
}

fn event(e: &Value) -> Event {
    let n = |key: &str| e[key].as_i64().expect("a number");
    let what = match (e["k"].as_str(), e["what"].as_str()) {
        (Some("book"), _) => {
            What::Book { resync: e["cont"] == "resync", bids: side(&e["bids"]), asks: side(&e["asks"]) }
        }
        (Some("trade"), _) => {
            let aggressor = match n("side") {
                1 => Aggressor::Buyer,
                -1 => Aggressor::Seller,
                0 => Aggressor::Unknown,
                other => panic!("side {other}"),
            };
            What::Trade { id: None, px: n("px"), qty: n("qty"), aggressor }
        }
        (Some("gap"), Some("book")) => What::BookGap,
        (Some("gap"), Some("trade")) => What::TradeGap,
        other => panic!("event {other:?}"),
    };
    Event { ms: n("ts_ms"), what }
}

fn same_cell(what: &str, got: &Cell, want: &Value) {
    match got {
        Cell::Date(day) => panic!("{what}: a date {day}"),
        Cell::Null => assert!(want.is_null(), "{what}: missing, expected {want}"),
        Cell::Float(x) => near(what, Some(*x), want.as_f64()),
        Cell::Int(i) => assert_eq!(Some(*i), want.as_i64(), "{what}"),
        Cell::Bool(b) => assert_eq!(Some(*b), want.as_bool(), "{what}"),
        Cell::Text(t) => assert_eq!(Some(t.as_str()), want.as_str(), "{what}"),
    }
}
