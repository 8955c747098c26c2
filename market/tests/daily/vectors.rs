//! Every case of `vectors/daily.json`; a part of that file that no test reads fails the last test.

use std::cell::RefCell;
use std::collections::BTreeSet;

use lobstream_market::ashare::{Board, StockCode, TickTime};
use lobstream_market::book::Side;
use lobstream_market::calendar::Day;
use lobstream_market::daily::bands::{BandSettings, Positions, last_row};
use lobstream_market::daily::bar::Bar;
use lobstream_market::daily::candidates::{CandidateSettings, Cuts, KnownLevel, KnownTest, Member, select};
use lobstream_market::daily::levels::{self, Direction, LevelBar, LevelSettings, Role, moves, swings};
use lobstream_market::daily::micro::{self, BigSettings, BigUnit, MicroRow};
use lobstream_market::daily::numbers::{e4, quantile};
use lobstream_market::daily::pool::{PoolBar, PoolReason, PoolSettings, PoolStock, judge};
use lobstream_market::daily::print::Print;
use lobstream_market::daily::quality::{
    self, Flow, FundQuality, FundQualityRow, QualitySettings, WindowKind, WindowMode,
};
use lobstream_market::daily::reaction::{
    LevelTestRow, Session, TestSettings, TestedAs, TestedLevel, tests as level_tests,
};
use lobstream_market::factor::columns::Cell;
use serde_json::Value;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/spec/vectors/daily.json");

/// The parts of the file, or `None` after saying loudly what is skipped.
fn file() -> Option<Value> {
    let Ok(text) = std::fs::read_to_string(FILE) else {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "SKIPPED daily vectors: {FILE} is absent");
        return None;
    };
    Some(serde_json::from_str(&text).expect("JSON"))
}

thread_local! {
    static READ: RefCell<BTreeSet<&'static str>> = const { RefCell::new(BTreeSet::new()) };
}

fn part(file: &Value, name: &'static str) -> Value {
    READ.with_borrow_mut(|read| read.insert(name));
    assert!(!file[name].is_null(), "no part {name}");
    file[name].clone()
}

fn number(v: &Value) -> f64 {
    v.as_f64().unwrap_or_else(|| panic!("no number: {v}"))
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().expect("list").iter().map(number).collect()
}

fn list(v: &Value) -> &[Value] {
    v.as_array().unwrap_or_else(|| panic!("no list: {v}"))
}

fn text(v: &Value) -> &str {
    v.as_str().unwrap_or_else(|| panic!("no text: {v}"))
}

#[track_caller]
fn near(what: &str, got: f64, expected: f64) {
    let tolerance = 1e-9 * expected.abs().max(1.0);
    assert!((got - expected).abs() <= tolerance, "{what}: {got}, expected {expected}");
}

#[track_caller]
fn near_or_null(what: &str, got: Option<f64>, expected: &Value) {
    match (got, expected.as_f64()) {
        (Some(got), Some(expected)) => near(what, got, expected),
        (None, None) => {}
        (got, _) => panic!("{what}: {got:?}, expected {expected}"),
    }
}

/// Every named field of the vector that is a column of the row.
#[track_caller]
fn cells_equal(
    columns: &[lobstream_market::factor::columns::Column],
    cells: Vec<Cell>,
    expected: &Value,
) -> usize {
    let mut compared = 0;
    for (column, cell) in columns.iter().zip(cells) {
        let Some(expected) = expected.get(column.name) else { continue };
        compared += 1;
        match cell {
            Cell::Null => assert!(expected.is_null(), "{}: null, expected {expected}", column.name),
            Cell::Bool(b) => assert_eq!(Some(b), expected.as_bool(), "{}", column.name),
            Cell::Int(i) => near(column.name, i as f64, number(expected)),
            Cell::Float(x) => near(column.name, x, number(expected)),
            Cell::Text(t) => assert_eq!(t, text(expected), "{}", column.name),
            Cell::Date(day) => {
                assert_eq!(
                    i64::from(day.number()),
                    expected.as_i64().expect("the vectors have it"),
                    "{}",
                    column.name
                )
            }
        }
    }
    compared
}

fn code(text: &str) -> StockCode {
    text.parse().expect("a code")
}

fn day(i: usize) -> Day {
    Day::from_number(20_250_101).expect("the vectors have it").plus(i as i32)
}

fn bars(closes: &[f64], volumes: &[f64]) -> Vec<Bar> {
    let bar = |(i, (close, volume)): (usize, (&f64, &f64))| Bar {
        day: day(i),
        open: *close,
        high: *close,
        low: *close,
        close: *close,
        pre_close: None,
        volume: Some(*volume),
        amount: None,
        factor: 1.0,
    };
    closes.iter().zip(volumes).enumerate().map(bar).collect()
}

fn check_bands(case: &Value, closes: &[f64], volumes: &[f64]) {
    let settings = BandSettings {
        window: case["window"].as_u64().expect("the vectors have it") as usize,
        k: number(&case["k"]),
        z_window: case["z_window"].as_u64().expect("the vectors have it") as usize,
    };
    let bars = bars(closes, volumes);
    for expected in list(&case["rows"]) {
        let bar = expected["bar"].as_u64().expect("the vectors have it") as usize;
        let row = last_row(code("600000.SH"), "x", &bars[..=bar], &settings);
        if expected.get("row").is_some_and(Value::is_null) {
            assert_eq!(row, None, "bar {bar}");
            continue;
        }
        let row = row.unwrap_or_else(|| panic!("no row at bar {bar}"));
        assert_eq!(
            cells_equal(lobstream_market::daily::bands::BollingerRow::COLUMNS, row.cells(), expected),
            14
        );
    }
}

fn bollinger(file: &Value) {
    let small = part(file, "bollinger_small");
    check_bands(&small, &numbers(&small["close"]), &numbers(&small["vol"]));
    let default = part(file, "bollinger_default");
    let closes: Vec<f64> =
        (0..145).map(|i| 10.0 + 0.01 * f64::from((i * 37) % 101) + 0.004 * f64::from(i)).collect();
    let mut volumes: Vec<f64> = (0..145).map(|i| 100_000.0 + 1000.0 * f64::from((i * 53) % 89)).collect();
    volumes[144] = 400_000.0;
    check_bands(&default, &closes, &volumes);
}

fn board(v: &Value) -> Board {
    Board::ALL.into_iter().find(|b| b.as_str() == text(v)).expect("a board")
}

fn pool(file: &Value) {
    for case in list(&part(file, "active_pool")["rows"]) {
        let positions = Positions { volume: case["max_vpos"].as_f64(), price: case["max_ppos"].as_f64() };
        let stock = PoolStock {
            // Codes of the Beijing exchange are no StockCode; the board alone decides here.
            code: code("600001.SH"),
            board: board(&case["board"]),
            is_st: case["is_st"].as_bool().expect("the vectors have it"),
            is_delisted: false,
            has_bar_today: case["bar_on_d"].as_bool().expect("the vectors have it"),
        };
        let window = [PoolBar { positions, amount: case["avg_amount"].as_f64() }];
        let got = judge(&stock, day(0), &window, &PoolSettings::default());
        assert_eq!(got.is_ok(), case["in_pool"].as_bool().expect("the vectors have it"), "{case}");
        assert_eq!(
            got.err().map(|r: PoolReason| r.to_string()).as_deref(),
            case["reason"].as_str(),
            "{case}"
        );
    }
    for case in list(&part(file, "active_pool_event")["rows"]) {
        let bar = |price: Option<f64>, volume: Option<f64>| PoolBar {
            positions: Positions { price, volume },
            amount: case["avg_amount"].as_f64(),
        };
        let mut window: Vec<PoolBar> =
            list(&case["ppos_before"]).iter().map(|p| bar(p.as_f64(), Some(300.0))).collect();
        window.push(bar(case["ppos_d"].as_f64(), case["vpos_d"].as_f64()));
        let stock = PoolStock {
            code: code(text(&case["ts_code"])),
            board: Board::Main,
            is_st: false,
            is_delisted: false,
            has_bar_today: true,
        };
        let settings = PoolSettings { event: true, ..PoolSettings::default() };
        let got = judge(&stock, day(0), &window, &settings);
        assert_eq!(got.is_ok(), case["in_pool"].as_bool().expect("the vectors have it"), "{case}: {got:?}");
        if let Ok(row) = got {
            assert_eq!(Some(row.max_vpos), case["vpos_d"].as_f64());
            assert_eq!(Some(row.max_ppos), case["ppos_d"].as_f64());
            assert_eq!(row.remarks, "event");
        }
    }
}

fn prints(v: &Value) -> Vec<Print> {
    let print = |t: &Value| Print {
        time: TickTime(t["HHMMSS"].as_u64().expect("the vectors have it") as u32 * 1000),
        price_e4: e4(number(&t["price"])),
        qty: t["qty"].as_i64().expect("the vectors have it"),
        aggressor: match text(&t["side"]) {
            "B" => Some(Side::Bid),
            "S" => Some(Side::Ask),
            _ => None,
        },
        order_no: 0,
    };
    list(v).iter().map(print).collect()
}

fn micro_daily(file: &Value) {
    let case = part(file, "micro_daily");
    let past: Vec<i64> = list(&case["past_values"])
        .iter()
        .map(|v| v.as_i64().expect("the vectors have it") * 10_000)
        .collect();
    let settings = BigSettings { q: number(&case["q"]), min_days: 1, ..BigSettings::default() };
    let threshold = micro::threshold(&[&past], &[], &settings);
    near("threshold", threshold.value.expect("the vectors have it"), number(&case["big_threshold"]));
    let prints = prints(&case["trades"]);
    let amount = Some(1_423_801.0);
    let row = micro::row(code("600000.SH"), day(0), &prints, &threshold, amount, BigUnit::Trade)
        .expect("the vectors have it");
    let expected = &case["row"];
    let compared = cells_equal(MicroRow::COLUMNS, row.cells(), expected);
    assert_eq!(compared, expected.as_object().expect("the vectors have it").len());
    let buckets = [row.big_net_auction, row.big_net_open, row.big_net_mid, row.big_net_close];
    near("buckets", buckets.into_iter().flatten().sum(), row.big_net_value.expect("the vectors have it"));
    assert_eq!((row.coverage, row.quality.as_str()), (Some(1.0), "ok"));
    let partial = micro::row(code("600000.SH"), day(0), &prints, &threshold, Some(2e6), BigUnit::Trade)
        .expect("the vectors have it");
    assert_eq!(partial.quality.as_str(), "partial");
}

fn quantiles(file: &Value) {
    for case in list(&part(file, "quantile")) {
        let got = quantile(&mut numbers(&case["values"]), number(&case["q"]));
        near_or_null("quantile", got, &case["result"]);
    }
}

fn fund_quality(file: &Value) {
    for case in list(&part(file, "rise_window")) {
        let closes: Vec<i64> = numbers(&case["close"]).into_iter().map(e4).collect();
        let (start, kind) = quality::window(&closes, &QualitySettings::default());
        assert_eq!(
            (start as u64, kind.as_str()),
            (case["start_index"].as_u64().expect("the vectors have it"), text(&case["kind"]))
        );
        let min_close = QualitySettings { window: WindowMode::MinClose, ..QualitySettings::default() };
        assert_eq!(
            quality::window(&closes, &min_close).0 as u64,
            case["min_close_start"].as_u64().expect("the vectors have it")
        );
    }
    let case = part(file, "fund_metrics");
    let closes = numbers(&case["close"]);
    let flows: Vec<Option<Flow>> = list(&case["micro"])
        .iter()
        .map(|m| {
            (!m.is_null()).then(|| Flow {
                total_value: number(&m["total"]),
                big_net_value: number(&m["big_net"]),
                big_buy_value: number(&m["bb_val"]),
                big_buy_volume: number(&m["bb_vol"]),
            })
        })
        .collect();
    let bars = bars(&closes, &[1.0; 8]);
    let flow_of = |bar: &Bar, _: f64| flows[(bar.day.since_1970() - day(0).since_1970()) as usize];
    let float = case["free_float_value"].as_f64();
    let row = quality::unscored(code("600000.SH"), &bars, flow_of, float, &QualitySettings::default())
        .expect("the vectors have it");
    assert_eq!((row.window_start, row.window_kind), (day(0), WindowKind::Rise));
    let compared = cells_equal(FundQualityRow::COLUMNS, row.cells(), &case["result"]);
    assert_eq!(compared, case["result"].as_object().expect("the vectors have it").len());
    let closes_e4: Vec<i64> = closes.iter().copied().map(e4).collect();
    let runs: Vec<(usize, usize)> =
        serde_json::from_value(case["pullback_runs"].clone()).expect("the vectors have it");
    assert_eq!(quality::pullbacks(&closes_e4, 200), runs);
    scores(file);
}

fn scores(file: &Value) {
    let case = part(file, "fund_scores");
    let mut rows: Vec<FundQualityRow> = list(&case["rows"])
        .iter()
        .zip(0..)
        .map(|(r, i)| FundQualityRow {
            ts_code: code(&format!("60000{i}.SH")),
            window_end: day(9),
            window_start: day(0),
            window_days: 10,
            micro_days: 10,
            window_kind: WindowKind::Rise,
            price_return: number(&r["price_return"]),
            big_net_sum: r["big_net_share"].as_f64(),
            big_net_share: r["big_net_share"].as_f64(),
            turnover_ratio: None,
            pos_days_ratio: r["pos_days_ratio"].as_f64(),
            trend_corr: r["trend_corr"].as_f64(),
            big_cost_gain: r["big_cost_gain"].as_f64(),
            support_ratio: r["support_ratio"].as_f64(),
            fund_quality_z: None,
            fund_quality_score: None,
            quality: FundQuality::Ok,
        })
        .collect();
    let mut few = rows[1..].to_vec();
    quality::score(&mut few, &QualitySettings::default());
    assert!(few.iter().all(|r| r.fund_quality_score.is_none()), "four rows with flow are too few");
    quality::score(&mut rows, &QualitySettings::default());
    for (i, row) in rows.iter().enumerate() {
        near_or_null("z", row.fund_quality_z, &case["z"][i]);
        near_or_null("score", row.fund_quality_score, &case["score"][i]);
    }
}

fn price_levels(file: &Value) {
    let case = part(file, "levels");
    let settings = LevelSettings::default();
    let bar = |c: f64| LevelBar { high_e4: e4(c + 0.12), low_e4: e4(c - 0.12), close_e4: e4(c) };
    let bars: Vec<LevelBar> = numbers(&case["close"]).into_iter().map(bar).collect();
    let turn = |t: swings::Turn| if t == swings::Turn::High { "H" } else { "L" };
    let swing = |s: &swings::Swing| serde_json::json!([s.bar, turn(s.turn), s.price_e4]);
    let all = swings::swings(&bars, settings.swing_window);
    assert_eq!(Value::from_iter(all.iter().map(swing)), case["swings"]);
    let ranges = swings::ranges(&all, &settings);
    let range = |r: &swings::Range| {
        serde_json::json!([r.start, r.end, r.high_e4, r.low_e4, r.tests_high, r.tests_low])
    };
    assert_eq!(Value::from_iter(ranges.iter().map(range)), case["ranges"]);
    let majors = swings::majors(&all, &ranges, settings.major_bp);
    assert_eq!(Value::from_iter(majors.iter().map(swing)), case["majors"]);
    let way = |w: moves::Way| if w == moves::Way::Up { "up" } else { "down" };
    let gap = |g: &moves::GapEdges| serde_json::json!([g.bar, way(g.way), g.low_e4, g.high_e4]);
    assert_eq!(Value::from_iter(moves::gaps(&bars).iter().map(gap)), case["gaps"]);
    let mark = |m: &moves::Mark| serde_json::json!([m.bar, way(m.way), m.price_e4]);
    assert_eq!(Value::from_iter(moves::breakouts(&bars, &ranges).iter().map(mark)), case["breakouts"]);
    assert_eq!(Value::from_iter(moves::measured(&majors).iter().map(mark)), case["measured"]);
    let level = |l: &levels::Level| {
        serde_json::json!({
            "level_e4": l.level_e4, "level_type": l.level_type, "direction": l.direction.as_str(),
            "strength": l.strength, "strength_raw": l.strength_raw, "src_index": l.src_index,
        })
    };
    assert_eq!(Value::from_iter(levels::levels(&bars, &settings).iter().map(level)), case["levels"]);
    for case in list(&part(file, "flip")) {
        let direction = Direction::ALL
            .into_iter()
            .find(|d| d.as_str() == text(&case["direction"]))
            .expect("the vectors have it");
        let closes: Vec<i64> = numbers(&case["closes"]).into_iter().map(e4).collect();
        let src = case["src_index"].as_u64().expect("the vectors have it") as usize;
        let role = levels::role(direction, e4(number(&case["level"])), closes[src + 1..].iter().copied(), 50);
        assert_eq!(role.as_str(), text(&case["role"]), "{case}");
    }
}

fn tested_levels(file: &Value) {
    let session = Session::new(&prints(&part(file, "level_ticks")));
    for (name, role, as_what) in [
        ("level_tests_support", Role::Support, TestedAs::Support),
        ("level_tests_support", Role::FlipSupport, TestedAs::Flip),
        ("level_tests_resistance", Role::Resistance, TestedAs::Resistance),
        ("level_tests_resistance", Role::FlipResistance, TestedAs::Resistance),
    ] {
        let case = part(file, name);
        let level = TestedLevel {
            code: code("600000.SH"),
            day: day(0),
            level_e4: e4(number(&case["level"])),
            role,
            big_threshold: case["big_threshold"].as_f64(),
        };
        let (mut rows, short) = level_tests(&level, &session, &TestSettings::default());
        assert_eq!(
            (rows.len(), short as u64),
            (list(&case["tests"]).len(), case["short_runs"].as_u64().expect("the vectors have it"))
        );
        for (row, expected) in rows.iter_mut().zip(list(&case["tests"])) {
            row.future_return_1d = Some(row.return_to(number(&case["next_close"])));
            assert_eq!((row.level_type, row.band_pct), (as_what, number(&case["band"])));
            assert_eq!(
                u64::from(row.t_start / 1000),
                expected["first"].as_u64().expect("the vectors have it")
            );
            assert_eq!(u64::from(row.t_end / 1000), expected["last"].as_u64().expect("the vectors have it"));
            near_or_null("live", row.score_live(), &expected["score_live"]);
            near_or_null("test", row.score_test(), &expected["score_test"]);
            // All but first, last and the two scores, which have other names.
            let compared = cells_equal(LevelTestRow::COLUMNS, row.cells(), expected);
            assert_eq!(compared, expected.as_object().expect("the vectors have it").len() - 4);
        }
    }
    let blind = TestedLevel {
        code: code("600000.SH"),
        day: day(0),
        level_e4: e4(10.0),
        role: Role::Support,
        big_threshold: None,
    };
    let (rows, _) = level_tests(&blind, &session, &TestSettings::default());
    assert!(rows.iter().all(|r| r.big_net_value.is_none() && r.score().is_none() && r.n_ticks >= 5));
    let none = TestedLevel { role: Role::Neutral, ..blind };
    assert_eq!(level_tests(&none, &session, &TestSettings::default()).0, []);
}

fn candidates(file: &Value) {
    let case = part(file, "candidates");
    let settings = CandidateSettings::default();
    let cuts = Cuts::of(numbers(&case["support_history"]), numbers(&case["resistance_history"]), &settings);
    near("support cut", cuts.support, number(&case["support_cut"]));
    near("resistance cut", cuts.resistance, number(&case["resistance_cut"]));
    let members: Vec<Member> = list(&case["rows"]).iter().map(member).collect();
    let selection = select(day(0), Some(day(1)), &members, &cuts, &settings);
    let rejected: Vec<Value> =
        selection.rejected.iter().map(|(c, why)| serde_json::json!([c.to_string(), why.as_str()])).collect();
    assert_eq!(Value::from(rejected), case["rejected"]);
    assert_eq!(selection.candidates.len(), list(&case["candidates"]).len());
    for (row, expected) in selection.candidates.iter().zip(list(&case["candidates"])) {
        let columns = lobstream_market::daily::candidates::CandidateRow::COLUMNS;
        assert_eq!(
            cells_equal(columns, row.cells(), expected),
            expected.as_object().expect("the vectors have it").len()
        );
        assert_eq!((row.valid_for, row.flow_missing.as_str()), (Some(day(1)), ""));
    }
    let mut kept: Vec<&str> = list(&case["kept_by_quality"]).iter().map(text).collect();
    kept.sort_unstable();
    let out: BTreeSet<String> = selection
        .rejected
        .iter()
        .filter(|(_, why)| matches!(why.as_str(), "no_quality" | "quality_rank"))
        .map(|(c, _)| c.to_string())
        .collect();
    let mut ours: Vec<String> =
        members.iter().map(|m| m.code.to_string()).filter(|c| !out.contains(c)).collect();
    ours.sort_unstable();
    assert_eq!(ours, kept);
}

fn member(v: &Value) -> Member {
    let (mut known, mut tests) = (Vec::new(), Vec::new());
    for level in list(&v["levels"]) {
        let role =
            Role::ALL.into_iter().find(|r| r.as_str() == text(&level[1])).expect("the vectors have it");
        let level_e4 = e4(number(&level[0]));
        known.push(KnownLevel {
            level_e4,
            role,
            strength: level[3].as_u64().expect("the vectors have it") as u8,
        });
        let as_what = TestedAs::of(role).expect("the vectors have it");
        tests.extend(numbers(&level[2]).into_iter().map(|score| KnownTest { level_e4, as_what, score }));
    }
    Member {
        code: code(text(&v["ts_code"])),
        close: number(&v["close"]),
        price_position: v["price_position"].as_f64(),
        fund_quality_score: v["fund_quality_score"].as_f64(),
        levels: known,
        tests,
    }
}

#[test]
fn every_part_of_the_vectors_is_met() {
    let Some(file) = file() else { return };
    bollinger(&file);
    pool(&file);
    micro_daily(&file);
    quantiles(&file);
    fund_quality(&file);
    price_levels(&file);
    tested_levels(&file);
    candidates(&file);
    let all: BTreeSet<&str> =
        file.as_object().expect("the vectors have it").keys().map(String::as_str).collect();
    let left = READ.with_borrow(|read| all.iter().filter(|n| **n != "note" && !read.contains(**n)).count());
    assert_eq!(left, 0, "parts of the vectors that no test reads");
}
