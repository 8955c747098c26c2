//! Joins and tables, with rows that come, change and go.

use std::time::Duration;

use lobstream_streams::topology::join::{AsOf, JoinWindow, Missing};
use lobstream_streams::topology::{Builder, Source, Topology};

use crate::bed::{Bed, Input, Random};
use crate::words::{Msg, text};

fn pair(left: &str, right: Option<&String>) -> String {
    format!("{left}+{}", right.map_or("null", String::as_str))
}

fn found(bed: &Bed) -> Vec<(i64, String)> {
    bed.read("out", 0).iter().map(|row| (row.ts, format!("{} {}", row.key, row.text()))).collect()
}

fn owned(rows: &[(i64, &str)]) -> Vec<(i64, String)> {
    rows.iter().map(|(ts, text)| (*ts, (*text).to_owned())).collect()
}

const LEFT: [Input<'static>; 7] = [
    (5, "a", Some("l5")),
    (12, "a", Some("l12")),
    (13, "b", Some("l13")),
    (22, "a", Some("l22")),
    (25, "b", None),
    (32, "a", Some("l32")),
    (33, "b", Some("l33")),
];
const RIGHT: [Input<'static>; 6] = [
    (10, "a", Some("r10")),
    (11, "b", Some("r11")),
    (20, "a", Some("r20")),
    (21, "b", None),
    (30, "a", None),
    (31, "b", Some("r31")),
];

#[test]
fn a_table_has_the_latest_value_until_it_is_deleted() {
    for (missing, nulls) in [(Missing::Null, true), (Missing::Drop, false)] {
        let mut t = Builder::<Msg>::new("app");
        let table = t.table::<String>("right", Source::topic("right", text()).rank(0));
        let left = t.stream::<String>("left", Source::topic("left", text()).rank(1));
        left.join(&table, missing, |left, right| pair(&left, right.as_ref())).to("out", text());
        table.changes().to("changes", text());
        let bed = Bed::new();
        bed.feed("left", &LEFT);
        bed.feed("right", &RIGHT);
        bed.run(t.build().expect("valid"));
        let mut expected = owned(&[
            (5, "a l5+null"),
            (12, "a l12+r10"),
            (13, "b l13+r11"),
            (22, "a l22+r20"),
            (25, "b null"),
            (32, "a l32+null"),
            (33, "b l33+r31"),
        ]);
        expected.retain(|(_, text)| nulls || !text.ends_with("+null"));
        assert_eq!(found(&bed), expected);
        let changes: Vec<_> = bed.read("changes", 0).iter().map(|row| row.value.clone()).collect();
        assert_eq!(changes, RIGHT.map(|(_, _, value)| value.map(str::to_owned)), "tombstones reach sinks");
        let rows = bed.entries("app", "right-rows", 0);
        let rows: Vec<_> = rows.iter().map(|(key, row)| (&key[..], &row[8..])).collect();
        assert_eq!(rows, [(&b"b"[..], &b"r31"[..])], "what was deleted is gone from the checkpoint");
    }
}

#[test]
fn an_as_of_join_forgets_what_was_deleted() {
    let mut t = Builder::<Msg>::new("app");
    let left = t.stream::<String>("left", Source::topic("left", text()).rank(1));
    let right = t.stream::<String>("right", Source::topic("right", text()).rank(0));
    let how = AsOf { tolerance: Duration::from_nanos(9), missing: Missing::Drop };
    left.join_asof(&right, how, |left, right| pair(&left, right.as_ref())).named("joined").to("out", text());
    let bed = Bed::memory();
    bed.feed("left", &LEFT);
    bed.feed("right", &RIGHT);
    bed.run(t.build().expect("valid"));
    let expected =
        [(12, "a l12+r10"), (13, "b l13+r11"), (22, "a l22+r20"), (25, "b null"), (33, "b l33+r31")];
    assert_eq!(found(&bed), owned(&expected));
}

fn windowed(window: JoinWindow) -> Topology<Msg> {
    let mut t = Builder::<Msg>::new("app");
    let left = t.stream::<String>("left", Source::topic("left", text()).rank(0));
    let right = t.stream::<String>("right", Source::topic("right", text()).rank(1));
    let joined = left.join_window(&right, window, |left: &String, right: Option<&String>| pair(left, right));
    joined.named("near").to("out", text());
    t.build().expect("valid")
}

#[test]
fn records_near_in_time_meet_whichever_comes_first() {
    let ns = Duration::from_nanos;
    let bed = Bed::memory();
    bed.feed("left", &[(10, "a", Some("l10")), (20, "a", Some("l20")), (50, "a", Some("l50"))]);
    bed.feed("right", &[(8, "a", Some("r8")), (13, "a", Some("r13")), (60, "a", Some("r60"))]);
    // A left record meets those from 2 earlier to 3 later.
    bed.run(windowed(JoinWindow::left(ns(2), ns(3), ns(0))));
    let expected = [(10, "a l10+r8"), (13, "a l10+r13"), (23, "a l20+null"), (53, "a l50+null")];
    assert_eq!(found(&bed), owned(&expected));
}

/// A record of a side: time, key, name.
type Side = Vec<(i64, &'static str, String)>;

fn side(random: &mut Random, n: usize, name: &str) -> Side {
    let mut now = 0;
    let mut one = |i| {
        now += random.below(9) as i64;
        let key = ["a", "b"][random.below(2) as usize];
        (now - random.below(12) as i64, key, format!("{name}{i}"))
    };
    (0..n).map(&mut one).collect()
}

/// Every pair by looking at every pair: both must count when they are merged, and be near.
fn naive(left: &Side, right: &Side, [before, after, grace]: [i64; 3], alone: bool) -> Vec<(i64, String)> {
    let mut placed: Vec<(i64, u8, usize)> = Vec::new();
    for (rank, side) in [left, right].into_iter().enumerate() {
        let mut eff = i64::MIN;
        for (i, (ts, ..)) in side.iter().enumerate() {
            eff = eff.max(*ts);
            placed.push((eff, rank as u8, i));
        }
    }
    placed.sort_unstable();
    let end = placed.last().expect("records").0;
    let counts = |rank: u8, i: usize, ts: i64| {
        let (eff, ..) = placed.iter().find(|place| (place.1, place.2) == (rank, i)).expect("placed");
        ts >= eff - grace
    };
    let mut rows = Vec::new();
    for (i, (l, key, name)) in left.iter().enumerate().filter(|(i, (l, ..))| counts(0, *i, *l)) {
        let meets = |(j, (r, of, _)): &(usize, &(i64, &str, String))| {
            of == key && counts(1, *j, *r) && l - before <= *r && *r <= l + after
        };
        let met: Vec<_> = right.iter().enumerate().filter(meets).collect();
        rows.extend(met.iter().map(|(_, (r, _, other))| (*l.max(r), format!("{key} {name}+{other}"))));
        if alone && met.is_empty() && l + after + grace < end {
            rows.push((l + after, format!("{key} {name}+null")));
        }
        let _ = i;
    }
    rows.sort();
    rows
}

#[test]
fn a_windowed_join_is_that_of_all_pairs() {
    for (seed, before, after, grace) in
        [(1, 0, 0, 0), (2, 5, 0, 3), (3, 0, 7, 20), (4, 6, 4, 6), (5, 30, 30, 9)]
    {
        let mut random = Random(seed);
        let (left, right) = (side(&mut random, 150, "l"), side(&mut random, 150, "r"));
        for alone in [true, false] {
            let [b, a, g] = [before, after, grace].map(|n: i64| Duration::from_nanos(n as u64));
            let window = if alone { JoinWindow::left(b, a, g) } else { JoinWindow::inner(b, a, g) };
            let bed = Bed::memory();
            for (topic, side) in [("left", &left), ("right", &right)] {
                let records = side.iter().map(|(ts, key, name)| (*ts, *key, Some(name.as_str())));
                bed.feed(topic, &records.collect::<Vec<Input<'_>>>());
            }
            let mut settings = bed.settings();
            settings.take_max = 13;
            bed.run_with(windowed(window), settings).expect("a run");
            let mut rows = found(&bed);
            rows.sort();
            let expected = naive(&left, &right, [before, after, grace], alone);
            assert!(expected.len() > 15, "seed {seed}: {} are too few to prove anything", expected.len());
            assert_eq!(rows, expected, "seed {seed} {window:?}");
        }
    }
}
