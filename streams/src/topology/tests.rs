//! Rules of topologies, one by one, and what describe and DOT print.

use super::*;
use crate::record::{CodecError, Record};
use crate::store::hot::{Hot, HotState};
use crate::store::kv::Kv;
use processor::{Context, ProcessError};

type Msg = u8;

struct Byte;

impl Codec<Msg> for Byte {
    fn encode(&self, value: &Msg, into: &mut Vec<u8>) -> Result<(), CodecError> {
        into.push(*value);
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Msg, CodecError> {
        bytes.first().copied().ok_or_else(|| CodecError::new("empty"))
    }
}

struct Pass;

impl Processor<Msg> for Pass {
    fn process(&mut self, ctx: &mut Context<'_, Msg>, record: Record<Msg>) -> Result<(), ProcessError> {
        ctx.forward(record);
        Ok(())
    }
}

struct Books;

impl HotState for Books {
    fn new(_: &[u8]) -> Books {
        Books
    }

    fn encode(&self, _: &mut Vec<u8>) {}

    fn decode(_: &[u8], _: &[u8]) -> Result<Books, CodecError> {
        Ok(Books)
    }
}

fn source(topic: &str) -> Source<Msg> {
    Source::topic(topic, Arc::new(Byte))
}

fn sink(topic: &str) -> Sink<Msg> {
    Sink::topic(topic, Arc::new(Byte))
}

/// The topology of the streams page.
fn lob() -> Topology<Msg> {
    let mut t = Builder::new("lob");
    let book = t.source("book", source("book-delta.okx").rank(0));
    let trade = t.source("trade", source("trade.okx").rank(1));
    let books = t.store(Hot::<Books>::new("books"));
    let factors = t.processor("factors", [book, trade], [books], || Pass);
    t.sink("factors.okx", [factors], sink("factors.okx"));
    t.build().expect("valid")
}

#[test]
fn a_topology_reads_as_on_the_page() {
    let expected = "\
Topology lob
  Sub-topology 0 [book-delta.okx, trade.okx] restore: replay
    Source book (topic book-delta.okx, rank 0, wait) -> factors
    Source trade (topic trade.okx, rank 1, wait) -> factors
    Processor factors (stores: books hot) -> factors.okx
    Sink factors.okx (topic factors.okx)
";
    assert_eq!(lob().describe(), expected);
}

#[test]
fn a_topology_draws_as_on_the_page() {
    let expected = "\
digraph \"lob\" {
  rankdir=LR;
  subgraph cluster_0 {
    label=\"0\";
    \"book\" [shape=box];
    \"trade\" [shape=box];
    \"factors\" [shape=ellipse];
    \"books\" [shape=cylinder];
    \"factors.okx\" [shape=box];
  }
  \"book\" -> \"factors\";
  \"trade\" -> \"factors\";
  \"books\" -> \"factors\" [style=dashed, dir=both];
  \"factors\" -> \"factors.okx\";
}
";
    assert_eq!(lob().to_dot(), expected);
}

#[test]
fn sub_topologies_are_what_hangs_together() {
    let mut t = Builder::new("two");
    let a = t.source("a", source("in.a"));
    let b = t.source("b", source("in.b"));
    let (z, y) = (t.store(Kv::new("z")), t.store(Kv::new("y")));
    let left = t.processor("left", [a], [z, y], || Pass);
    let right = t.processor("right", [b], NO_STORES, || Pass);
    t.sink("out-right", [right], sink("out"));
    t.sink("out-left", [left, a], sink("out"));
    let expected = "\
Topology two
  Sub-topology 0 [in.a] restore: changelog
    Source a (topic in.a, rank 0, wait) -> left, out-left
    Processor left (stores: y kv, z kv) -> out-left
    Sink out-left (topic out)
  Sub-topology 1 [in.b] restore: none
    Source b (topic in.b, rank 0, wait) -> right
    Processor right -> out-right
    Sink out-right (topic out)
";
    assert_eq!(t.build().expect("valid").describe(), expected);
}

/// A topology that is right, changed by `spoil`, must be refused with `expected`.
fn refuses(spoil: impl Fn(&mut Builder<Msg>, NodeId), expected: &TopologyError) {
    let mut t = Builder::new("app");
    let a = t.source("a", source("in.a"));
    let pass = t.processor("pass", [a], NO_STORES, || Pass);
    t.sink("out", [pass], sink("out"));
    spoil(&mut t, a);
    assert_eq!(t.build().err().as_ref(), Some(expected));
}

#[test]
fn names_are_well_formed_and_unique() {
    for name in ["", "A", "a b", "a/b", ".", "..", &"x".repeat(65)] {
        let malformed = TopologyError::MalformedName { name: name.to_owned() };
        refuses(
            |t, a| {
                t.sink(name, [a], sink("more"));
            },
            &malformed,
        );
        refuses(
            |t, _| {
                t.store(Kv::new(name));
            },
            &malformed,
        );
        assert_eq!(Builder::<Msg>::new(name).build().err(), Some(malformed));
    }
    let twice = |name: &str| TopologyError::DuplicateName { name: name.to_owned() };
    refuses(
        |t, a| {
            t.sink("out", [a], sink("more"));
        },
        &twice("out"),
    );
    let two_stores = |t: &mut Builder<Msg>, a| {
        let stores = [t.store(Kv::new("s")), t.store(Kv::new("s"))];
        t.processor("p", [a], stores, || Pass);
    };
    refuses(two_stores, &twice("s"));
}

#[test]
fn parents_come_first_and_have_children() {
    let unknown = TopologyError::UnknownParent { node: "p".to_owned() };
    refuses(
        |t, _| {
            t.processor("p", [NodeId(3)], NO_STORES, || Pass);
        },
        &unknown,
    );
    refuses(
        |t, _| {
            t.processor("p", [NodeId(99)], NO_STORES, || Pass);
        },
        &unknown,
    );
    refuses(
        |t, _| {
            t.processor("p", [], NO_STORES, || Pass);
        },
        &unknown,
    );
    refuses(
        |t, _| {
            t.sink("p", [NodeId(2)], sink("more"));
        },
        &unknown,
    );
}

#[test]
fn a_processor_without_effect_must_say_so() {
    let no_effect = TopologyError::NoEffect { node: "p".to_owned() };
    refuses(
        |t, a| {
            t.processor("p", [a], NO_STORES, || Pass);
        },
        &no_effect,
    );
    let mut t = Builder::new("app");
    let a = t.source("a", source("in.a"));
    let p = t.processor("p", [a], NO_STORES, || Pass);
    t.terminal(p);
    assert!(t.build().is_ok());
}

#[test]
fn a_store_has_one_home() {
    let unused = TopologyError::UnusedStore { store: "s".to_owned() };
    refuses(
        |t, _| {
            t.store(Kv::new("s"));
        },
        &unused,
    );
    let shared = TopologyError::SharedStore { store: "s".to_owned() };
    let two_homes = |t: &mut Builder<Msg>, a| {
        let s = t.store(Kv::new("s"));
        t.processor("p", [a], [s], || Pass);
        let b = t.source("b", source("in.b"));
        t.processor("q", [b], [s], || Pass);
    };
    refuses(two_homes, &shared);
    let foreign = TopologyError::UnknownStore { node: "p".to_owned() };
    refuses(
        |t, a| {
            t.processor("p", [a], [StoreId(7)], || Pass);
        },
        &foreign,
    );
}

#[test]
fn the_order_of_inputs_is_never_open() {
    let merged = |b: Source<Msg>| {
        let mut t = Builder::new("app");
        let a = t.source("a", source("in.a").sequence_domain("venue"));
        let b = t.source("b", b);
        let p = t.processor("p", [a, b], NO_STORES, || Pass);
        t.sink("out", [p], sink("out"));
        t.build().map(drop)
    };
    let names = || ("a".to_owned(), "b".to_owned());
    let (a, b) = names();
    assert_eq!(merged(source("in.b")), Err(TopologyError::EqualRanks { rank: 0, a, b }));
    assert!(merged(source("in.b").sequence_domain("other")).is_err());
    assert_eq!(merged(source("in.b").sequence_domain("venue")), Ok(()));
    assert_eq!(merged(source("in.b").rank(1)), Ok(()));
    let (a, b) = names();
    let twice = TopologyError::TopicReadTwice { topic: "in.a".to_owned(), a, b };
    assert_eq!(merged(source("in.a").rank(1)), Err(twice));
    let (a, b) = names();
    let clocks = merged(source("in.b").rank(1).basis(TimeBasis::Receive));
    assert_eq!(clocks, Err(TopologyError::TwoClocks { a, b }));
}

#[test]
fn outputs_do_not_come_back_by_surprise() {
    let (sink_name, topic) = ("again".to_owned(), "in.a".to_owned());
    refuses(
        |t, a| {
            t.sink("again", [a], sink("in.a"));
        },
        &TopologyError::Loop { sink: sink_name, topic },
    );
    let merged = |t: &mut Builder<Msg>, _| {
        let b = t.source("b", source("in.b"));
        let out = t.source("o", source("out").rank(1));
        t.sink("more", [b, out], sink("more"));
    };
    refuses(merged, &TopologyError::InternalInput { source_node: "o".to_owned() });
}

#[test]
fn topics_of_the_engine_are_not_named_by_users() {
    for topic in ["app-decisions", "app-dead-letter"] {
        let derived = TopologyError::DerivedTopic { topic: topic.to_owned() };
        refuses(
            |t, a| {
                t.sink("more", [a], sink(topic));
            },
            &derived,
        );
    }
    let changelog = |t: &mut Builder<Msg>, a| {
        let s = t.store(Kv::new("s"));
        t.processor("p", [a], [s], || Pass);
        t.sink("more", [a], sink("app-s-changelog"));
    };
    refuses(changelog, &TopologyError::DerivedTopic { topic: "app-s-changelog".to_owned() });
}

#[test]
fn origins_are_told_apart_by_headers() {
    let node = "many".to_owned();
    let rule = "origins are told apart by headers, which are left unread".to_owned();
    let spoil = |t: &mut Builder<Msg>, _| {
        t.source("many", source("many.okx").origins(2).without_headers());
    };
    refuses(spoil, &TopologyError::Operator { node, rule });
}
