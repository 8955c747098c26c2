//! A run that dies at every edge of the commit protocol, again and again, writes what one that lives does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use lobstream_streams::record::Record;
use lobstream_streams::runtime::commit::Edge;
use lobstream_streams::topology::join::{AsOf, JoinWindow, Missing};
use lobstream_streams::topology::repartition::Repartition;
use lobstream_streams::topology::window::Windows;
use lobstream_streams::topology::{Builder, Source, Topology};
use lobstream_streams::verify::{VerifyOptions, verify};

use crate::bed::{Bed, run};
use crate::keys::{PARTITIONS, say, speech};
use crate::words::{Msg, text};

/// Everything that keeps state: windows of each kind, joins of each kind, a new key between.
fn everything() -> Topology<Msg> {
    let ns = Duration::from_nanos;
    let mut t = Builder::<Msg>::new("app");
    t.beacon_interval(ns(20));
    let said = t.stream::<String>("said", Source::topic("in", text()));
    let short = said.filter(|record| record.value.len() < 5);
    let long = said.filter(|record| record.value.len() >= 5);
    let how = AsOf { tolerance: ns(200), missing: Missing::Null };
    let asof = short.join_asof(&long, how, |left, right| format!("{left} after {right:?}"));
    asof.named("asof").to("asof", text());
    let near = JoinWindow::left(ns(5), ns(9), ns(30));
    let pairs = short
        .join_window(&long, near, |left: &String, right: Option<&String>| format!("{left} near {right:?}"));
    pairs.named("pairs").to("pairs", text());
    let through = Repartition::new("word", text());
    let words = said.key_by(through, |record: &Record<String>| record.value.as_str().into());
    let hopping = words.windowed(Windows::hopping(ns(50), ns(20), ns(40))).revise(ns(60));
    hopping.count().named("hopping").to("hopping", text());
    let sessions = words.windowed(Windows::session(ns(6), ns(40))).late_to(text());
    sessions.reduce(|a, b| a.push_str(&b[..1])).named("sessions").to("sessions", text());
    t.build().expect("valid")
}

type Written = Vec<Vec<(i64, String, String, Option<i64>)>>;

fn written(bed: &Bed) -> Written {
    let topics = ["asof", "pairs", "hopping", "sessions", "app-late", "app-dead-letter"];
    let all = topics.iter().flat_map(|topic| (0..PARTITIONS).map(move |p| bed.read(topic, p)));
    let row =
        |row: &crate::bed::Row| (row.ts, row.key.clone(), row.text().to_owned(), row.number("revision"));
    all.map(|rows| rows.iter().map(row).collect()).collect()
}

/// Dies at the n-th visit of an edge, then goes on until it lives. Returns how often it died.
fn run_dying(bed: &Bed, edge: Edge, nth: u32) -> u32 {
    let mut died = 0;
    loop {
        let visits = Arc::new(AtomicU32::new(0));
        let mut settings = bed.settings();
        // An epoch for every few records, so that there are many.
        (settings.commit_records_max, settings.take_max) = (90, 40);
        settings.checkpoint_interval = Some(Duration::from_millis(2));
        let app = bed.app(everything(), settings).on_edge(move |at| {
            let visit = at == edge && visits.fetch_add(1, Ordering::Relaxed) + 1 == nth;
            assert!(!visit, "died at {at:?}");
        });
        match run(app) {
            Ok(_) => return died,
            Err(_) if died < 4 => died += 1,
            Err(e) if e.to_string().contains("died at") => {
                bed.run(everything());
                return died;
            }
            Err(e) => panic!("{edge:?} {nth}: {e}"),
        }
    }
}

fn dies_everywhere(bed: impl Fn() -> Bed, edges: &[Edge]) {
    let said = speech(8, 0, 600);
    let living = bed();
    say(&living, &said);
    living.run(everything());
    let expected = written(&living);
    assert!(expected.iter().map(Vec::len).sum::<usize>() > 1_000);
    let mut died = 0;
    for edge in edges {
        for nth in [1, 3] {
            let bed = bed();
            say(&bed, &said);
            died += run_dying(&bed, *edge, nth);
            let found = written(&bed);
            for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert_eq!(found, expected, "{edge:?} {nth}, partition {i}");
            }
        }
    }
    assert!(died as usize >= edges.len(), "{died} deaths prove nothing");
}

/// A run that died is run again by `verify`, which must come to every record of it, beacons between its
/// sub-topologies and late records included.
fn is_proven(bed: &Bed) {
    say(bed, &speech(8, 0, 600));
    assert!(run_dying(bed, Edge::Committed, 2) > 0);
    let topics =
        ["asof", "pairs", "hopping", "sessions", "app-late", "app-dead-letter", "app-word-repartition"];
    let all = topics.iter().flat_map(|topic| (0..PARTITIONS).map(move |p| (topic, p)));
    let n: u64 = all.map(|(topic, p)| bed.everything(topic, p)).sum();
    for (batch, n_threads) in [(3, 2), (500, 1)] {
        let options = VerifyOptions { batch, n_threads, ..VerifyOptions::default() };
        let stop = AtomicBool::new(false);
        let found = verify(everything(), &bed.log, &bed.settings(), &options, &stop).expect("it can be told");
        assert!(found.is_equal(), "{:?}", found.differences);
        assert_eq!((found.outputs, found.unread), (n, 0), "{found:?}");
        assert!(found.digests > 0 && found.epochs > 6, "{found:?}");
    }
}

#[test]
fn windows_joins_and_new_keys_are_proven_on_disk() {
    is_proven(&Bed::new());
}

#[test]
fn windows_joins_and_new_keys_are_proven_in_memory() {
    is_proven(&Bed::memory());
}

#[test]
fn windows_and_joins_survive_a_death_at_every_edge_with_changelogs() {
    dies_everywhere(Bed::memory, &Edge::ALL);
}

#[test]
fn windows_and_joins_survive_a_death_at_every_edge_where_the_log_keeps_the_state() {
    let edges = [Edge::Sent, Edge::BeforeDrain, Edge::OffsetsSent, Edge::BeforeCommit, Edge::Committed];
    dies_everywhere(Bed::new, &edges);
}
