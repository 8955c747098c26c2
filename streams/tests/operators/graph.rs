//! What a topology of operators reads like, and what is refused before anything runs.

use std::time::Duration;

use lobstream_streams::error::{Error, TopologyError};
use lobstream_streams::record::Record;
use lobstream_streams::topology::join::{AsOf, JoinWindow, Missing};
use lobstream_streams::topology::repartition::Repartition;
use lobstream_streams::topology::stream::Stream;
use lobstream_streams::topology::window::Windows;
use lobstream_streams::topology::{Builder, Idle, Sink, Source, Topology};

use crate::bed::Bed;
use crate::words::{Msg, text};

const SECOND: Duration = Duration::from_secs(1);

/// One of every operator.
fn shop() -> Topology<Msg> {
    let mut t = Builder::<Msg>::new("shop");
    let idle = Idle::Skip { after: SECOND * 5 };
    let said = t.stream::<String>("said", Source::topic("said.in", text()).rank(1).origins(4).idle(idle));
    let rows = t.table::<String>("price", Source::topic("price.in", text()));
    let upper = said.map(|word| word.to_uppercase());
    upper.join(&rows, Missing::Drop, |word, _| word).named("priced").to("priced.out", text());
    let how = AsOf { tolerance: SECOND, missing: Missing::Null };
    upper.join_asof(rows.changes(), how, |word, _| word).named("as-of").to("asof.out", text());
    let near = JoinWindow::left(SECOND, SECOND * 2, SECOND);
    let near = upper.join_window(rows.changes(), near, |word: &String, _| word.clone()).named("near");
    near.to("asof.out", text());
    let words = said.key_by(Repartition::new("word", text()), |r: &Record<String>| r.value.as_str().into());
    let counted = words.windowed(Windows::tumbling(SECOND, SECOND)).late_to(text()).count().named("count");
    counted.to("count.out", text());
    t.build().expect("valid")
}

#[test]
fn operators_read_as_what_they_do() {
    let expected = "\
Topology shop
  Sub-topology 0 [said.in, price.in] restore: changelog
    Source said (topic said.in, rank 1, origins 4, skip after 5s) -> map-3, word
    Source price (topic price.in, rank 0, wait) -> price-table
    Processor price-table (stores: price-rows kv) -> priced, as-of, near
    Processor map-3 -> priced, as-of, near
    Processor priced (join, missing drop; stores: price-rows kv) -> priced.out
    Sink priced.out (topic priced.out)
    Processor as-of (as of 1s, missing null; stores: as-of-right kv) -> asof.out
    Sink asof.out (topic asof.out)
    Processor near (left join from -1s to +2s, grace 1s; stores: near-waiting window) -> asof.out-9
    Sink asof.out-9 (topic asof.out)
    Processor word -> word-out
    Sink word-out (topic shop-word-repartition, beacons every 250ms)
  Sub-topology 1 [shop-word-repartition] restore: changelog
    Source word-in (topic shop-word-repartition, rank 0, origins upstream, wait) -> count
    Processor count (tumbling 1s, grace 1s, on close, late aside; stores: count-windows window) -> count-late, count.out
    Sink count-late (topic shop-late)
    Sink count.out (topic count.out)
";
    assert_eq!(shop().describe(), expected);
}

#[test]
fn operators_draw_as_what_they_do() {
    let dot = shop().to_dot();
    for line in [
        "    \"count-windows\" [shape=cylinder];",
        "  \"said\" -> \"word\";",
        "  \"word\" -> \"word-out\";",
        "  \"map-3\" -> \"near\";",
        "  \"price-table\" -> \"near\";",
        "  \"near-waiting\" -> \"near\" [style=dashed, dir=both];",
        "  \"word-in\" -> \"count\";",
        "  \"count\" -> \"count-late\";",
    ] {
        assert!(dot.lines().any(|found| found == line), "{line} is missing from\n{dot}");
    }
    assert_eq!(dot.matches("subgraph").count(), 2, "{dot}");
}

fn refused(spoil: impl FnOnce(&mut Builder<Msg>, &Stream<Msg, String>)) -> TopologyError {
    let mut t = Builder::<Msg>::new("app");
    let words = t.stream::<String>("words", Source::topic("in", text()));
    words.to("out", text());
    spoil(&mut t, &words);
    t.build().map(drop).expect_err("refused")
}

fn operator(node: &str, rule: &str) -> TopologyError {
    TopologyError::Operator { node: node.to_owned(), rule: rule.to_owned() }
}

#[test]
fn an_operator_with_state_needs_a_name() {
    let nameless =
        refused(|_, words| words.windowed(Windows::tumbling(SECOND, SECOND)).count().to("more", text()));
    assert_eq!(nameless, TopologyError::Nameless { node: "count-2".to_owned() });
    assert!(nameless.to_string().contains(".named("), "{nameless}");
    let how = AsOf { tolerance: SECOND, missing: Missing::Null };
    let nameless = refused(|_, words| {
        let other = words.map(|word| word);
        words.join_asof(&other, how, |word, _| word).to("more", text());
    });
    assert_eq!(nameless, TopologyError::Nameless { node: "join-asof-3".to_owned() });
    let twice = refused(|_, words| {
        words.windowed(Windows::tumbling(SECOND, SECOND)).count().named("words").to("more", text());
    });
    assert_eq!(twice, TopologyError::DuplicateName { name: "words".to_owned() });
}

#[test]
fn windows_that_cannot_be_are_refused_by_name() {
    let zero = Duration::ZERO;
    for (windows, rule) in [
        (Windows::tumbling(zero, zero), "the size must be more than 0"),
        (Windows::hopping(SECOND, zero, zero), "the hop must be more than 0 and at most the size"),
        (Windows::hopping(SECOND, SECOND * 2, zero), "the hop must be more than 0 and at most the size"),
        (Windows::session(zero, zero), "the gap must be more than 0"),
        (Windows::tumbling(SECOND, Duration::MAX), "size, gap, grace and offset end at 36 years"),
    ] {
        let found = refused(|_, words| words.windowed(windows).count().named("bad").to("more", text()));
        assert_eq!(found, operator("bad", rule));
    }
    let session = Windows::session(SECOND, zero);
    let revised =
        refused(|_, words| words.windowed(session).revise(SECOND).count().named("s").to("more", text()));
    assert_eq!(revised, operator("s", "results of sessions cannot be revised"));
    let alone = refused(|_, words| {
        let list = words
            .windowed(session)
            .aggregate(String::new, |all, one: &Record<String>| all.push_str(&one.value));
        list.named("s").to("more", text());
    });
    let rule = "sessions grow together: say how their aggregates do, with aggregate_merging";
    assert_eq!(alone, operator("s", rule));
}

#[test]
fn a_join_has_two_sides_and_an_origin_a_number() {
    let how = AsOf { tolerance: SECOND, missing: Missing::Null };
    let found =
        refused(|_, words| words.join_asof(words, how, |word, _| word).named("self").to("more", text()));
    assert_eq!(found, operator("self", "a node is on both sides of the join: put a map between"));
    let found = refused(|t, _| {
        t.stream::<String>("none", Source::topic("in.none", text()).origins(0)).to("more", text());
    });
    assert_eq!(found, operator("none", "a topic has at least one origin"));
}

#[test]
fn topics_that_operators_make_are_not_named_by_users() {
    let late = refused(|t, _| t.stream::<String>("l", Source::topic("app-late", text())).to("more", text()));
    assert_eq!(late, TopologyError::DerivedTopic { topic: "app-late".to_owned() });
    let taken = refused(|_, words| {
        let keyed = words.key_by(Repartition::new("k", text()), |r: &Record<String>| r.key.clone());
        keyed.to("more", text());
        words.to_sink(Sink::topic("app-k-repartition", text()));
    });
    assert_eq!(taken, TopologyError::DerivedTopic { topic: "app-k-repartition".to_owned() });
}

#[test]
fn inputs_that_are_merged_have_equally_many_partitions() {
    let bed = Bed::memory();
    bed.topic("a", 2);
    bed.topic("b", 3);
    let mut t = Builder::<Msg>::new("app");
    let a = t.stream::<String>("a", Source::topic("a", text()).rank(0));
    let b = t.stream::<String>("b", Source::topic("b", text()).rank(1));
    a.merge(&b).to("out", text());
    let outcome = bed.run_with(t.build().expect("valid"), bed.settings());
    assert!(matches!(outcome, Err(Error::Partitions { n_a: 2, n_b: 3, .. })), "{outcome:?}");
}

#[test]
#[should_panic(expected = "comes after build()")]
fn a_stream_takes_no_operators_once_the_topology_is_built() {
    let mut t = Builder::<Msg>::new("app");
    let words = t.stream::<String>("words", Source::topic("in", text()));
    words.to("out", text());
    t.build().expect("valid");
    words.map(|word| word).to("more", text());
}
