//! Typed streams over a topology: each operator adds nodes, no edge needs a cast.
//!
//! All records of a topology have one type `M`, mostly an enum. A [`Stream<M, V>`] is a view of those that are
//! a `V`; a record that is none is refused, so it becomes a dead letter with the name of the operator.
//! Records without value pass operators that only look at values: what is gone is gone on both sides.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::record::{Codec, Record, Tombstone};
use crate::store::{StoreDefinition, StoreId, StoreRef};
use crate::topology::processor::{Context, ProcessError, Processor};
use crate::topology::window::windowed::{Late, WindowedStream};
use crate::topology::window::{Emit, Windows};
use crate::topology::{Builder, MakeProcessor, Node, NodeId, NodeKind, Parts, Shared, Sink, Source};

/// Records of a topology of `M` that are a `V`. Cheap to clone; operators leave it usable.
pub struct Stream<M, V> {
    pub(in crate::topology) parts: Shared<M>,
    /// The nodes whose records it has.
    pub(in crate::topology) nodes: Vec<NodeId>,
    pub(in crate::topology) values: PhantomData<fn() -> V>,
}

impl<M, V> Clone for Stream<M, V> {
    fn clone(&self) -> Self {
        Stream { parts: Shared::clone(&self.parts), nodes: self.nodes.clone(), values: PhantomData }
    }
}

impl<M: 'static> Builder<M> {
    /// Adds a source whose records are taken as `V`.
    pub fn stream<V>(&mut self, name: &str, source: Source<M>) -> Stream<M, V> {
        let node = self.source(name, source);
        self.view(node)
    }

    /// The records that a node hands on, taken as `V`.
    pub fn view<V>(&self, node: NodeId) -> Stream<M, V> {
        Stream { parts: Shared::clone(&self.parts), nodes: vec![node], values: PhantomData }
    }
}

/// Decides where a record goes.
pub type Predicate<V> = Box<dyn Fn(&Record<V>) -> bool + Send + Sync>;

/// A record with its value taken as `V`.
pub(super) fn view<M, V: TryFrom<M>>(record: Record<M>) -> Result<Record<V>, ProcessError> {
    let Record { key, value, ts, seq } = record;
    let value = V::try_from(value)
        .map_err(|_| ProcessError::Poison("not the kind of record that this operator takes".to_owned()))?;
    Ok(Record { key, value, ts, seq })
}

impl<M, V> Stream<M, V>
where
    M: From<V> + 'static,
    V: TryFrom<M> + 'static,
{
    /// Another value for each record; key, time and sequence number stay.
    pub fn map<W>(&self, f: impl Fn(V) -> W + Send + Sync + 'static) -> Stream<M, W>
    where
        M: From<W>,
    {
        self.step("map", move |ctx, record: Record<V>| {
            let Record { key, value, ts, seq } = record;
            ctx.forward(Record { key, value: M::from(f(value)), ts, seq });
        })
    }

    /// Only the records for which `f` holds.
    pub fn filter(&self, f: impl Fn(&Record<V>) -> bool + Send + Sync + 'static) -> Stream<M, V> {
        self.step("filter", move |ctx, record: Record<V>| {
            if f(&record) {
                ctx.forward(back(record));
            }
        })
    }

    /// Any number of values for each record; key, time and sequence number stay.
    pub fn flat_map<W, I>(&self, f: impl Fn(V) -> I + Send + Sync + 'static) -> Stream<M, W>
    where
        M: From<W>,
        I: IntoIterator<Item = W>,
    {
        self.step("flat-map", move |ctx, record: Record<V>| {
            let Record { key, value, ts, seq } = record;
            for value in f(value) {
                ctx.forward(Record { key: key.clone(), value: M::from(value), ts, seq });
            }
        })
    }

    /// Looks at every record and passes it on. A recovery looks at some of them again.
    pub fn peek(&self, f: impl Fn(&Record<V>) + Send + Sync + 'static) -> Stream<M, V> {
        self.step("peek", move |ctx, record: Record<V>| {
            f(&record);
            ctx.forward(back(record));
        })
    }

    /// One stream for each predicate, named, and one for the rest: a record goes where the first predicate
    /// holds. One without value goes everywhere: its key may have been in any of them.
    pub fn branch<const N: usize>(
        &self,
        branches: [(&str, Predicate<V>); N],
        rest: &str,
    ) -> ([Stream<M, V>; N], Stream<M, V>) {
        let names = branches.each_ref().map(|(name, _)| (*name).to_owned());
        let predicates: Arc<[Predicate<V>]> = branches.into_iter().map(|(_, predicate)| predicate).collect();
        let split = self.step("branch", move |ctx, record: Record<V>| {
            let to = predicates.iter().position(|holds| holds(&record)).unwrap_or(predicates.len());
            ctx.forward_to(to, back(record));
        });
        let arm = |name: &str| {
            let arm = split.step("arm", |ctx, record: Record<V>| ctx.forward(back(record)));
            arm.named(name)
        };
        (names.map(|name| arm(&name)), arm(rest))
    }

    /// The records of both, in merge order.
    pub fn merge(&self, other: &Stream<M, V>) -> Stream<M, V> {
        let new = other.nodes.iter().filter(|node| !self.nodes.contains(node));
        let nodes = self.nodes.iter().chain(new).copied().collect();
        Stream { nodes, ..self.clone() }
    }

    /// Cuts the records of each key into windows.
    pub fn windowed(&self, windows: Windows) -> WindowedStream<M, V> {
        WindowedStream { stream: self.clone(), windows, emit: Emit::OnClose, late: Late::Count }
    }

    /// Refuses every record: it becomes a dead letter with this reason, and what it did is undone.
    pub fn dead_letter(&self, reason: &str) {
        let reason: Arc<str> = reason.into();
        let make: MakeProcessor<M> = Arc::new(move || Box::new(Refuse(Arc::clone(&reason))));
        self.parts.borrow_mut().operator("dead-letter", &self.nodes, make, true);
    }

    fn step<W, F>(&self, what: &str, f: F) -> Stream<M, W>
    where
        F: Fn(&mut Context<'_, M>, Record<V>) + Send + Sync + 'static,
    {
        let f = Arc::new(f);
        let make: MakeProcessor<M> =
            Arc::new(move || Box::new(Step { f: Arc::clone(&f), values: PhantomData }));
        let node = self.parts.borrow_mut().operator(what, &self.nodes, make, false);
        self.at(node)
    }
}

impl<M: 'static, V> Stream<M, V> {
    /// Your own processor, with the stores that it uses; what it forwards is taken as `W`.
    pub fn process<W, P: Processor<M> + 'static>(
        &self,
        name: &str,
        stores: impl IntoIterator<Item = impl Into<StoreId>>,
        make: impl Fn() -> P + Send + Sync + 'static,
    ) -> Stream<M, W> {
        let make: MakeProcessor<M> = Arc::new(move || Box::new(make()));
        let stores = stores.into_iter().map(Into::into).collect();
        let kind = NodeKind::Processor { stores, make, terminal: false };
        let node = self.parts.borrow_mut().node(name, self.nodes.clone(), kind);
        self.at(node)
    }

    /// Writes the records to a topic.
    pub fn to(&self, topic: &str, codec: Arc<dyn Codec<M>>) {
        self.to_sink(Sink::topic(topic, codec));
    }

    /// Writes the records to a topic of which more is said.
    pub fn to_sink(&self, sink: Sink<M>) {
        let mut parts = self.parts.borrow_mut();
        let topic = sink.topic.as_str().to_owned();
        let taken = parts.nodes.iter().any(|node| node.name == topic);
        let name = if taken { format!("{topic}-{}", parts.nodes.len()) } else { topic };
        parts.node(&name, self.nodes.clone(), NodeKind::Sink(sink));
    }

    /// Names the operator that made this stream, its stores and its parts. An operator that keeps state
    /// needs a name; others have a number. A merged stream was made by none, so nothing happens.
    pub fn named(self, name: &str) -> Stream<M, V> {
        if let [node] = self.nodes[..] {
            self.parts.borrow_mut().rename(node, name);
        }
        self
    }

    /// The node at the end, for [`Builder::processor`]; of a merged stream the first one.
    pub fn node(&self) -> NodeId {
        self.nodes[0]
    }

    pub(in crate::topology) fn at<W>(&self, node: NodeId) -> Stream<M, W> {
        Stream { parts: Shared::clone(&self.parts), nodes: vec![node], values: PhantomData }
    }

    pub(in crate::topology) fn store<D: StoreDefinition>(&self, definition: D) -> StoreRef<D> {
        self.parts.borrow_mut().store(definition)
    }

    /// An operator with a store that is named after it.
    pub(in crate::topology) fn stateful<W>(
        &self,
        what: &str,
        detail: String,
        store: (StoreId, &'static str),
        make: MakeProcessor<M>,
    ) -> Stream<M, W> {
        let mut parts = self.parts.borrow_mut();
        let id = parts.operator(what, &self.nodes, make, false);
        let name = parts.nodes[id.0].name.clone();
        let node = &mut parts.nodes[id.0];
        (node.detail, node.nameless) = (detail, true);
        node.own_stores.push(store);
        if let NodeKind::Processor { stores, .. } = &mut node.kind {
            stores.push(store.0);
        }
        parts.stores[store.0.0].name = format!("{name}-{}", store.1);
        drop(parts);
        self.at(id)
    }

    /// A further node of the operator that made this stream, named after it.
    pub(in crate::topology) fn part(
        &self,
        suffix: &'static str,
        make: impl FnOnce(&str, NodeId) -> (Vec<NodeId>, NodeKind<M>),
    ) {
        let (mut parts, owner) = (self.parts.borrow_mut(), self.node());
        let (parents, kind) = make(&parts.name, owner);
        let name = format!("{}-{suffix}", parts.nodes[owner.0].name);
        let part = parts.node(&name, parents, kind);
        parts.nodes[part.0].part_of = Some((owner, suffix));
    }

    /// Remembers a rule that the operator which made this stream breaks.
    pub(in crate::topology) fn fault(&self, rule: &'static str) {
        let node = self.node();
        self.parts.borrow_mut().fault.get_or_insert((node, rule));
    }
}

impl<M: 'static> Parts<M> {
    /// A processor that is named by its kind and number.
    fn operator(&mut self, what: &str, parents: &[NodeId], make: MakeProcessor<M>, terminal: bool) -> NodeId {
        let name = format!("{what}-{}", self.nodes.len());
        let kind = NodeKind::Processor { stores: Vec::new(), make, terminal };
        self.node(&name, parents.to_vec(), kind)
    }

    fn rename(&mut self, id: NodeId, name: &str) {
        let Parts { nodes, stores, .. } = self;
        for node in nodes.iter_mut() {
            if let Some((_, suffix)) = node.part_of.filter(|(owner, _)| *owner == id) {
                node.name = format!("{name}-{suffix}");
            }
        }
        let Node { name: old, nameless, own_stores, .. } = &mut nodes[id.0];
        for (store, suffix) in own_stores {
            stores[store.0].name = format!("{name}-{suffix}");
        }
        (*old, *nameless) = (name.to_owned(), false);
    }
}

fn back<M: From<V>, V>(record: Record<V>) -> Record<M> {
    let Record { key, value, ts, seq } = record;
    Record { key, value: M::from(value), ts, seq }
}

/// A node that keeps nothing.
struct Step<V, F> {
    f: Arc<F>,
    values: PhantomData<fn() -> V>,
}

impl<M, V, F> Processor<M> for Step<V, F>
where
    V: TryFrom<M>,
    F: Fn(&mut Context<'_, M>, Record<V>) + Send + Sync,
{
    fn process(&mut self, ctx: &mut Context<'_, M>, record: Record<M>) -> Result<(), ProcessError> {
        (self.f)(ctx, view(record)?);
        Ok(())
    }

    fn tombstone(&mut self, ctx: &mut Context<'_, M>, tombstone: Tombstone) -> Result<(), ProcessError> {
        ctx.forward_tombstone(tombstone);
        Ok(())
    }
}

/// Refuses what it gets.
struct Refuse(Arc<str>);

impl<M> Processor<M> for Refuse {
    fn process(&mut self, _: &mut Context<'_, M>, _: Record<M>) -> Result<(), ProcessError> {
        Err(ProcessError::Poison(self.0.to_string()))
    }

    fn tombstone(&mut self, _: &mut Context<'_, M>, _: Tombstone) -> Result<(), ProcessError> {
        Err(ProcessError::Poison(self.0.to_string()))
    }
}
