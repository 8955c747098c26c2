//! Windows against a recomputation that looks at every pair of record and window.

use std::collections::BTreeMap;
use std::time::Duration;

use lobstream_streams::record::Record;
use lobstream_streams::topology::window::Windows;
use lobstream_streams::topology::{Builder, Source, Topology};

use crate::bed::{Bed, Input, Random};
use crate::words::{Msg, Text, text};

const KEYS: [&str; 3] = ["a", "b", "c"];

/// Records with disorder: (ts, key).
fn records(seed: u64, n: usize) -> Vec<(i64, &'static str)> {
    let mut random = Random(seed);
    let mut now = -60;
    let mut record = || {
        now += random.below(5) as i64;
        if random.below(25) == 0 {
            now += 40;
        }
        (now - random.below(14) as i64, KEYS[random.below(3) as usize])
    };
    (0..n).map(|_| record()).collect()
}

fn ns(n: i64) -> Duration {
    Duration::from_nanos(n as u64)
}

/// The times of the records of each window, in the order they came, on close.
fn listing(windows: Windows) -> Topology<Msg> {
    let mut t = Builder::new("app");
    let words = t.stream::<String>("words", Source::topic("in", text()));
    let add = |list: &mut String, record: &Record<String>| list.push_str(&format!("{},", record.ts.0));
    let merge = |list: &mut String, later: String| list.push_str(&later);
    let lists = words.windowed(windows).late_to(text()).aggregate_merging(String::new, add, merge);
    lists.named("list").to("out", text());
    t.build().expect("valid")
}

/// (start, end, key, sorted times of its records)
type Result = (i64, i64, String, Vec<i64>);

fn results(bed: &Bed, topic: &str) -> Vec<Result> {
    let parse = |row: &crate::bed::Row| {
        let fields: Vec<&str> = row.text().split(' ').collect();
        let mut times: Vec<i64> =
            fields[2].split_terminator(',').map(|ts| ts.parse().expect("a number")).collect();
        times.sort_unstable();
        (fields[0].parse().expect("a start"), fields[1].parse().expect("an end"), row.key.clone(), times)
    };
    bed.read(topic, 0).iter().map(parse).collect()
}

/// Stream time after each record.
fn times(records: &[(i64, &str)]) -> Vec<i64> {
    let mut time = i64::MIN;
    records
        .iter()
        .map(|(ts, _)| {
            time = time.max(*ts);
            time
        })
        .collect()
}

/// What must leave, whatever the order of results: every window with every record that came while it was
/// open, if it is over by the end; and the number of records that no window took.
fn naive_fixed(records: &[(i64, &str)], size: i64, hop: i64, grace: i64) -> (Vec<Result>, usize) {
    let times = times(records);
    let end = *times.last().expect("records");
    assert!(end < 2_900, "the windows below reach as far as the records");
    let (mut results, mut taken) = (Vec::new(), vec![false; records.len()]);
    for start in (-200..3_000i64).filter(|start| start.rem_euclid(hop) == 0) {
        for key in KEYS {
            let mut held = Vec::new();
            for (i, (ts, of)) in records.iter().enumerate() {
                if *of == key && start <= *ts && *ts < start + size && start + size > times[i] - grace {
                    held.push(*ts);
                    taken[i] = true;
                }
            }
            held.sort_unstable();
            if !held.is_empty() && start + size <= end - grace {
                results.push((start, start + size, key.to_owned(), held));
            }
        }
    }
    (results, taken.iter().filter(|taken| !**taken).count())
}

/// The same for sessions: the sessions of a key are found anew from all its records at every step.
fn naive_session(records: &[(i64, &str)], gap: i64, grace: i64) -> (Vec<Result>, usize) {
    let times = times(records);
    let (mut results, mut late) = (Vec::new(), 0);
    let mut open: Vec<(String, Vec<i64>)> = Vec::new();
    for (i, (ts, key)) in records.iter().enumerate() {
        let over = |held: &[i64]| held.iter().max().expect("a record") + gap + grace < times[i];
        let closed = open.iter().filter(|(_, held)| over(held)).cloned().collect::<Vec<_>>();
        open.retain(|(_, held)| !over(held));
        results.extend(closed.into_iter().map(|(key, held)| session(key, held)));
        let near = |held: &[i64]| {
            let (first, last) = (held.iter().min().expect("one"), held.iter().max().expect("one"));
            first - gap <= *ts && *ts <= last + gap
        };
        let (met, rest): (Vec<_>, Vec<_>) = open.into_iter().partition(|(of, held)| of == key && near(held));
        open = rest;
        if met.is_empty() && ts + gap + grace < times[i] {
            late += 1;
            continue;
        }
        let mut all: Vec<i64> = met.into_iter().flat_map(|(_, held)| held).collect();
        all.push(*ts);
        open.push(((*key).to_owned(), all));
    }
    (results, late)
}

fn session(key: String, mut held: Vec<i64>) -> Result {
    held.sort_unstable();
    (held[0], *held.last().expect("a record"), key, held)
}

fn run(windows: Windows, records: &[(i64, &str)], batch: usize) -> (Vec<Result>, usize) {
    let bed = Bed::memory();
    bed.feed("in", &records.iter().map(|(ts, key)| (*ts, *key, Some("x"))).collect::<Vec<Input<'_>>>());
    let mut settings = bed.settings();
    settings.take_max = batch;
    bed.run_with(listing(windows), settings).expect("a run");
    (results(&bed, "out"), bed.read("app-late", 0).len())
}

/// Results leave in the order (due, start, end, key).
fn in_order(results: &[Result], due: impl Fn(&Result) -> i64) {
    let place = |r: &Result| (due(r), r.0, r.1, r.2.clone());
    assert!(results.is_sorted_by_key(place), "{results:?}");
}

#[test]
fn tumbling_and_hopping_windows_are_those_of_a_naive_recomputation() {
    for (seed, size, hop, grace) in
        [(1, 10, 10, 0), (2, 10, 10, 7), (3, 12, 5, 3), (4, 9, 1, 0), (5, 16, 16, 30), (6, 7, 3, 12)]
    {
        let records = records(seed, 300);
        let windows = Windows::hopping(ns(size), ns(hop), ns(grace));
        let (found, late) = run(windows, &records, 7);
        in_order(&found, |r| r.1 + grace);
        let (mut expected, expected_late) = naive_fixed(&records, size, hop, grace);
        assert!(expected.len() > 20, "too few to prove anything");
        let mut sorted = found;
        sorted.sort();
        expected.sort();
        assert_eq!((sorted, late), (expected, expected_late), "seed {seed}");
    }
}

#[test]
fn sessions_are_those_of_a_naive_recomputation() {
    for (seed, gap, grace) in [(1, 3, 0), (2, 5, 4), (3, 1, 9), (4, 8, 0), (5, 2, 20)] {
        let records = records(seed, 300);
        let (found, late) = run(Windows::session(ns(gap), ns(grace)), &records, 256);
        in_order(&found, |r| r.1 + gap + grace + 1);
        let (mut expected, expected_late) = naive_session(&records, gap, grace);
        assert!(expected.len() > 10, "too few to prove anything");
        let mut sorted = found;
        sorted.sort();
        expected.sort();
        assert_eq!((sorted, late), (expected, expected_late), "seed {seed}");
    }
}

#[test]
fn results_do_not_depend_on_the_size_of_batches() {
    let records = records(11, 400);
    for windows in [
        Windows::tumbling(ns(10), ns(5)),
        Windows::hopping(ns(10), ns(4), ns(5)),
        Windows::session(ns(4), ns(5)),
    ] {
        let first = run(windows, &records, 1);
        assert!(first.0.len() > 20);
        for batch in [7, 1_000] {
            assert_eq!(run(windows, &records, batch), first, "{windows} batch {batch}");
        }
    }
}

#[test]
fn more_grace_never_counts_fewer() {
    let records = records(21, 400);
    let per_window = |found: Vec<Result>| -> BTreeMap<(i64, String), usize> {
        found.into_iter().map(|(start, _, key, held)| ((start, key), held.len())).collect()
    };
    let mut fewer = per_window(run(Windows::tumbling(ns(10), ns(0)), &records, 100).0);
    let mut grew = 0;
    for grace in [2, 5, 9, 30] {
        let (found, _) = run(Windows::tumbling(ns(10), ns(grace)), &records, 100);
        let more = per_window(found);
        for (window, n) in &fewer {
            // A window that is not over yet with more grace counts later, not less.
            let Some(m) = more.get(window) else { continue };
            assert!(m >= n, "grace {grace} {window:?}: {m} < {n}");
            grew += m - n;
        }
        fewer = more;
    }
    assert!(grew > 10, "grace has made a difference");
}

fn counting(windows: Windows, change: impl FnOnce(Counted) -> Counted) -> Topology<Msg> {
    let mut t = Builder::new("app");
    let words = t.stream::<String>("words", Source::topic("in", text()));
    change(words.windowed(windows)).count().named("count").to("out", text());
    t.build().expect("valid")
}

type Counted = lobstream_streams::topology::window::WindowedStream<Msg, String>;

fn rows(bed: &Bed) -> Vec<(String, i64, Option<i64>)> {
    let row = |row: &crate::bed::Row| (row.text().to_owned(), row.ts, row.number("revision"));
    bed.read("out", 0).iter().map(row).collect()
}

fn plain(text: &str, ts: i64) -> (String, i64, Option<i64>) {
    (text.to_owned(), ts, None)
}

#[test]
fn updates_leave_at_once_with_the_greatest_time_in_the_window() {
    let bed = Bed::memory();
    bed.feed("in", &[1, 7, 4, 12].map(|ts| (ts, "k", Some("x"))));
    bed.run(counting(Windows::tumbling(ns(10), ns(5)), Counted::on_update));
    let expected = [("0 10 1", 1), ("0 10 2", 7), ("0 10 3", 7), ("10 20 1", 12)];
    assert_eq!(rows(&bed), expected.map(|(text, ts)| plain(text, ts)));
    let bed = Bed::memory();
    bed.feed("in", &[0, 8, 4].map(|ts| (ts, "k", Some("x"))));
    bed.run(counting(Windows::session(ns(5), ns(10)), Counted::on_update));
    let expected = [("0 0 1", 0), ("8 8 1", 8), ("0 8 3", 8)];
    assert_eq!(rows(&bed), expected.map(|(text, ts)| plain(text, ts)));
}

#[test]
fn a_late_record_corrects_a_result_as_long_as_its_window_is_kept() {
    let bed = Bed::memory();
    // [0, 10) is over at 10 and kept until 30; [10, 20) is over at 20 and kept until 40.
    let times = [5, 12, 3, 4, 22, 11, 29, 9, 30, 8, 41];
    bed.feed("in", &times.map(|ts| (ts, "k", Some("x"))));
    let snapshot = bed.run(counting(Windows::tumbling(ns(10), ns(0)), |w| w.revise(ns(20))));
    let revised = |text: &str, ts, n| (text.to_owned(), ts, Some(n));
    let expected = [
        plain("0 10 1", 9),
        revised("0 10 2", 9, 1),
        revised("0 10 3", 9, 2),
        plain("10 20 1", 19),
        revised("10 20 2", 19, 1),
        revised("0 10 4", 9, 3),
        plain("20 30 2", 29),
        plain("30 40 1", 39),
    ];
    assert_eq!(rows(&bed), expected);
    assert_eq!(snapshot.counts["late_total"], 5, "3, 4, 11, 9 and 8, which came too late even for that");
    let kept = |p: &(Vec<u8>, Vec<u8>)| i64::from_be_bytes(p.0[..8].try_into().expect("eight")) ^ i64::MIN;
    let bed = Bed::new();
    bed.feed("in", &times.map(|ts| (ts, "k", Some("x"))));
    bed.run(counting(Windows::tumbling(ns(10), ns(0)), |w| w.revise(ns(20))));
    let starts: Vec<i64> = bed.entries("app", "count-windows", 0).iter().map(kept).collect();
    assert_eq!(starts, [20, 30, 40], "what is not kept any more is gone");
}

#[test]
fn a_refused_record_has_entered_no_window() {
    let mut t = Builder::new("app");
    let words = t.stream::<String>("words", Source::topic("in", text()));
    words.windowed(Windows::tumbling(ns(10), ns(0))).count().named("count").to("out", text());
    words.filter(|record| record.value == "bad").dead_letter("it says so");
    let bed = Bed::memory();
    bed.feed(
        "in",
        &[
            (1, "k", Some("x")),
            (2, "k", Some("bad")),
            (3, "k", Some("x")),
            (4, "l", Some("bad")),
            (15, "k", Some("x")),
        ],
    );
    let snapshot = bed.run(t.build().expect("valid"));
    assert_eq!(rows(&bed), [plain("0 10 2", 9)]);
    assert_eq!(snapshot.poisoned, 2);
    let letters = bed.read("app-dead-letter", 0);
    assert_eq!(letters.iter().map(|row| row.text()).collect::<Vec<_>>(), ["bad", "bad"]);
    assert_eq!(letters[0].headers["dlq.reason"], b"it says so");
}

#[test]
fn windows_of_windows_take_results_into_their_own_time() {
    let mut t = Builder::new("app");
    let words = t.stream::<String>("words", Source::topic("in", text()));
    let small = words.windowed(Windows::tumbling(ns(10), ns(0))).count().named("small");
    let texts = small.map(|w| format!("{}-{}", w.start.0, w.value));
    let join = |all: &mut String, one: &Record<String>| {
        all.push_str(&one.value);
        all.push('+');
    };
    let large = texts.windowed(Windows::tumbling(ns(30), ns(1))).aggregate(String::new, join);
    large.named("large").to("out", text());
    let bed = Bed::memory();
    bed.feed("in", &[1, 2, 11, 29, 31, 64].map(|ts| (ts, "k", Some("x"))));
    let snapshot = bed.run(t.build().expect("valid"));
    let found: Vec<_> = bed.read("out", 0).iter().map(|row| (row.text().to_owned(), row.ts)).collect();
    let expected = [("0 30 0-2+10-1+20-1+", 29), ("30 60 30-1+", 59)];
    assert_eq!(found, expected.map(|(text, ts)| (text.to_owned(), ts)));
    assert_eq!(snapshot.counts.get("late_total"), None);
}

#[test]
fn windows_close_before_a_tick_of_the_same_instant() {
    use lobstream_streams::time::Ts;
    use lobstream_streams::topology::processor::{CatchUp, Context, Next, ProcessError, Processor, Tick};

    struct Ticking;
    impl Processor<Msg> for Ticking {
        fn init(&mut self, ctx: &mut Context<'_, Msg>) -> std::result::Result<(), ProcessError> {
            ctx.schedule(ns(5), Ts(0), CatchUp::Every);
            Ok(())
        }
        fn process(
            &mut self,
            ctx: &mut Context<'_, Msg>,
            r: Record<Msg>,
        ) -> std::result::Result<(), ProcessError> {
            ctx.forward(r);
            Ok(())
        }
        fn punctuate(
            &mut self,
            ctx: &mut Context<'_, Msg>,
            tick: Tick,
        ) -> std::result::Result<Next, ProcessError> {
            let word = Msg::Word(format!("tick {}", tick.time.0));
            ctx.forward(Record::new("t".into(), word, ctx.time()));
            Ok(Next::Tick)
        }
    }
    let mut t = Builder::new("app");
    let words = t.stream::<String>("words", Source::topic("in", text()));
    // The ticking node is declared first and would come first if only nodes counted.
    let ticks = words.process::<String, _>("ticks", lobstream_streams::topology::NO_STORES, || Ticking);
    ticks.filter(|record| record.value.starts_with("tick")).to("out", text());
    words
        .windowed(Windows::tumbling(ns(10), ns(0)))
        .count()
        .named("count")
        .to_sink(lobstream_streams::topology::Sink::topic("out", std::sync::Arc::new(Text)));
    let bed = Bed::memory();
    bed.feed("in", &[1, 3, 21].map(|ts| (ts, "k", Some("x"))));
    bed.run(t.build().expect("valid"));
    let found: Vec<String> = bed.read("out", 0).iter().map(|row| row.text().to_owned()).collect();
    assert_eq!(found, ["tick 5", "0 10 2", "tick 10", "tick 15", "tick 20"]);
}
