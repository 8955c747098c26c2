//! The nodes of a task at work: one record goes in at a source, depth first, and comes out at the sinks.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::record::{Record, Tombstone};
use crate::runtime::outbox::Outbox;
use crate::store::{Failure, StoreId, Stores};
use crate::time::Ts;
use crate::topology::processor::{
    Context, Forward, Next, Note, Poison, ProcessError, Processor, Schedule, TaskId, Tick, To,
};
use crate::topology::{Node, NodeId, NodeKind, SubTopology, Topology};

/// Instances of the nodes of one sub-topology, and where their outputs go.
pub(crate) struct Graph<M> {
    topology: Arc<Topology<M>>,
    task: TaskId,
    /// By number of the node in the topology.
    nodes: Vec<Option<Box<dyn Processor<M>>>>,
    /// By number of the node in the topology.
    sinks: BTreeMap<usize, Target>,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    forwarded: Vec<Forward<M>>,
    waiting: Vec<Visit<M>>,
    /// Nothing that a node holds falls due before this. `Some(MIN)`: nobody was asked yet.
    due: Option<Ts>,
}

/// A record on its way into a node.
struct Visit<M> {
    to: NodeId,
    record: Record<Option<M>>,
    by: By,
}

/// Whose record a node is called for.
#[derive(Clone, Copy)]
struct By {
    from: Option<NodeId>,
    note: Option<Note>,
}

/// No record's: a tick, or a word of the engine.
const NOBODY: By = By { from: None, note: None };

/// Partitions of a sink: the outbox knows them as `first`, `first + 1`, …
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) first: usize,
    pub(crate) partitions: u32,
}

/// Everything a node may touch beside itself.
pub(crate) struct Reach<'a> {
    pub(crate) stores: &'a mut Stores,
    pub(crate) outbox: &'a mut Outbox,
    pub(crate) time: Ts,
}

/// A node failed.
#[derive(Debug)]
pub(crate) struct NodeFailure {
    pub(crate) node: String,
    pub(crate) kind: FailureKind,
    pub(crate) reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// The record cannot be processed.
    Poison(Failure),
    /// Nothing can be.
    Fatal,
}

impl<M: Clone + 'static> Graph<M> {
    pub(crate) fn new(
        topology: &Arc<Topology<M>>,
        sub: &SubTopology,
        task: TaskId,
        sinks: BTreeMap<usize, Target>,
    ) -> Graph<M> {
        let make = |(i, node): (usize, &Node<M>)| match &node.kind {
            NodeKind::Processor { make, .. } => sub.nodes.contains(&NodeId(i)).then(|| make()),
            NodeKind::Source(_) | NodeKind::Sink(_) => None,
        };
        Graph {
            topology: Arc::clone(topology),
            task,
            nodes: topology.nodes.iter().enumerate().map(make).collect(),
            sinks,
            counts: BTreeMap::new(),
            forwarded: Vec::new(),
            waiting: Vec::new(),
            due: Some(Ts::MIN),
        }
    }

    /// Lets every node prepare; `schedules` is told what each one asks for, what it forwards is dropped.
    pub(crate) fn init(
        &mut self,
        mut reach: Reach<'_>,
        mut schedules: impl FnMut(usize, Vec<Schedule>),
    ) -> Result<(), NodeFailure> {
        for id in self.ids() {
            let mut scheduled = Vec::new();
            self.call(id, &mut reach, NOBODY, Some(&mut scheduled), |node, ctx| node.init(ctx))?;
            schedules(id, scheduled);
            self.forwarded.clear();
        }
        Ok(())
    }

    /// Sends a record of a source through its children.
    pub(crate) fn process(
        &mut self,
        source: NodeId,
        record: Record<Option<M>>,
        mut reach: Reach<'_>,
    ) -> Result<(), NodeFailure> {
        // The common case, without a detour over the stack.
        if let [only] = self.topology.node(source).children[..] {
            let by = By { from: Some(source), note: None };
            return self.visit_all(Some(Visit { to: only, record, by }), &mut reach);
        }
        self.forwarded.push(Forward { to: To::Each, record, note: None });
        self.pass_on(source, &mut reach)
    }

    /// Fires a tick of a node.
    pub(crate) fn punctuate(
        &mut self,
        node: usize,
        tick: Tick,
        mut reach: Reach<'_>,
    ) -> Result<Next, NodeFailure> {
        let next = self.call(node, &mut reach, NOBODY, None, |node, ctx| node.punctuate(ctx, tick))?;
        self.pass_on(NodeId(node), &mut reach)?;
        Ok(next)
    }

    /// The node, if any, that holds what falls due first until `to`: it is to be settled.
    pub(crate) fn first_due(
        &mut self,
        to: Ts,
        mut reach: Reach<'_>,
    ) -> Result<Option<(Ts, usize)>, NodeFailure> {
        if self.due.is_none_or(|due| due > to) {
            return Ok(None);
        }
        let mut first: Option<(Ts, usize)> = None;
        for id in self.ids() {
            let due = self.call(id, &mut reach, NOBODY, None, |node, ctx| Ok(node.due(ctx)))?;
            first = due.map(|due| (due, id)).into_iter().chain(first).min();
        }
        self.due = first.map(|(due, _)| due);
        Ok(first.filter(|(due, _)| *due <= to))
    }

    /// Settles what fell due in a node.
    pub(crate) fn settle(
        &mut self,
        (due, node): (Ts, usize),
        mut reach: Reach<'_>,
    ) -> Result<(), NodeFailure> {
        self.call(node, &mut reach, NOBODY, None, |node, ctx| node.settle(ctx, due))?;
        self.pass_on(NodeId(node), &mut reach)
    }

    /// Tells every node below a source of an input that it will not see, parents first.
    pub(crate) fn poisoned(
        &mut self,
        source: NodeId,
        key: Option<&[u8]>,
        why: &Poison,
        mut reach: Reach<'_>,
    ) -> Result<(), NodeFailure> {
        for id in self.below(source) {
            self.call(id, &mut reach, NOBODY, None, |node, ctx| node.poisoned(ctx, key, why))?;
            self.pass_on(NodeId(id), &mut reach)?;
        }
        Ok(())
    }

    /// Lets every node end; what it forwards is dropped.
    pub(crate) fn close(&mut self, mut reach: Reach<'_>) -> Result<(), NodeFailure> {
        for id in self.ids() {
            self.call(id, &mut reach, NOBODY, None, |node, ctx| node.close(ctx))?;
            self.forwarded.clear();
        }
        Ok(())
    }

    fn ids(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|id| self.nodes[*id].is_some()).collect()
    }

    /// Processors that a record of this node can reach, in order of declaration.
    fn below(&self, source: NodeId) -> Vec<usize> {
        let mut reached = vec![source];
        let mut i = 0;
        while let Some(id) = reached.get(i).copied() {
            let children = self.topology.node(id).children.iter();
            let new: Vec<NodeId> = children.filter(|child| !reached.contains(child)).copied().collect();
            reached.extend(new);
            i += 1;
        }
        reached.sort_unstable();
        reached.into_iter().map(|id| id.0).filter(|id| self.nodes[*id].is_some()).collect()
    }

    /// Sends on what `from` has forwarded: every record, and whatever comes of it, before the next one. Once
    /// a node has seen the record, typed objects may be changed, so a refusal further down is no clean one.
    fn pass_on(&mut self, from: NodeId, reach: &mut Reach<'_>) -> Result<(), NodeFailure> {
        if self.forwarded.is_empty() {
            return Ok(());
        }
        self.queue_forwarded(from);
        self.visit_all(None, reach)
    }

    /// Makes a visit, then those on the stack, which is empty again in the end.
    fn visit_all(&mut self, first: Option<Visit<M>>, reach: &mut Reach<'_>) -> Result<(), NodeFailure> {
        let (mut next, mut seen) = (first, false);
        while let Some(visit) = next.take().or_else(|| self.waiting.pop()) {
            let id = visit.to;
            if let Err(mut failure) = self.visit(visit, reach) {
                self.forwarded.clear();
                self.waiting.clear();
                if seen && failure.kind == FailureKind::Poison(Failure::Refused) {
                    failure.kind = FailureKind::Poison(Failure::Panicked);
                }
                return Err(failure);
            }
            seen |= self.nodes[id.0].is_some();
            if !self.forwarded.is_empty() {
                self.queue_forwarded(id);
            }
        }
        Ok(())
    }

    fn visit(&mut self, visit: Visit<M>, reach: &mut Reach<'_>) -> Result<(), NodeFailure> {
        let Visit { to, record, by } = visit;
        if self.nodes[to.0].is_none() {
            return self.write(to, record, by.note, reach.outbox);
        }
        let Record { key, value, ts, seq } = record;
        match value {
            Some(value) => {
                let record = Record { key, value, ts, seq };
                self.call(to.0, reach, by, None, |node, ctx| node.process(ctx, record))
            }
            None => {
                let tombstone = Tombstone { key, ts, seq };
                self.call(to.0, reach, by, None, |node, ctx| node.tombstone(ctx, tombstone))
            }
        }
    }

    /// Puts the children's records on the stack, the first one on top.
    fn queue_forwarded(&mut self, from: NodeId) {
        let children = &self.topology.node(from).children;
        while let Some(Forward { to, record, note }) = self.forwarded.pop() {
            let by = By { from: Some(from), note };
            let children = match to {
                To::Each => &children[..],
                To::From(first) => children.get(first..).unwrap_or_default(),
                To::One(child) => children.get(child..=child).unwrap_or_default(),
            };
            let Some((first, others)) = children.split_first() else { continue };
            let copies = others.iter().rev().map(|to| Visit { to: *to, record: record.clone(), by });
            self.waiting.extend(copies);
            self.waiting.push(Visit { to: *first, record, by });
        }
    }

    fn write(
        &self,
        id: NodeId,
        record: Record<Option<M>>,
        note: Option<Note>,
        outbox: &mut Outbox,
    ) -> Result<(), NodeFailure> {
        let node = self.topology.node(id);
        let (Some(sink), Some(target)) = (node.sink(), self.sinks.get(&id.0)) else { return Ok(()) };
        let partition = crate::log::topic::partition(&record.key, target.partitions);
        let Record { key, value, ts, seq } = record;
        let encode = value.map(|value| {
            move |into: &mut Vec<u8>| {
                unpanicked(|| sink.codec.encode(&value, into).map_err(|e| e.to_string()))
            }
        });
        let to = target.first + partition as usize;
        outbox.push(to, (key, ts, seq), note, encode).map_err(|reason| NodeFailure {
            node: node.name.clone(),
            kind: FailureKind::Poison(Failure::Refused),
            reason,
        })
    }

    /// Runs one call of a node, turning its errors and panics into a failure.
    fn call<R>(
        &mut self,
        id: usize,
        reach: &mut Reach<'_>,
        by: By,
        scheduled: Option<&mut Vec<Schedule>>,
        call: impl FnOnce(&mut dyn Processor<M>, &mut Context<'_, M>) -> Result<R, ProcessError>,
    ) -> Result<R, NodeFailure> {
        let declared = self.topology.nodes[id].stores();
        let n_children = self.topology.nodes[id].children.len();
        let parents = &self.topology.nodes[id].parents[..];
        let node = self.nodes[id].as_mut().expect("only processors are called, and each has an instance");
        let mut ctx = Context {
            task: self.task,
            time: reach.time,
            n_children,
            parents,
            from: by.from,
            note: by.note,
            due: &mut self.due,
            declared,
            stores: reach.stores,
            forwarded: &mut self.forwarded,
            scheduled,
            counts: &mut self.counts,
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| call(&mut **node, &mut ctx)));
        let (kind, reason) = match outcome {
            Ok(Ok(result)) => return Ok(result),
            Ok(Err(ProcessError::Poison(reason))) => (FailureKind::Poison(Failure::Refused), reason),
            Ok(Err(ProcessError::Fatal(reason))) => (FailureKind::Fatal, reason),
            Err(panic) => (FailureKind::Poison(Failure::Panicked), panicked(&*panic)),
        };
        self.forwarded.clear();
        Err(NodeFailure { node: self.topology.nodes[id].name.clone(), kind, reason })
    }
}

/// Runs a codec; a panic in it is an error.
pub(crate) fn unpanicked<T>(call: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Err(panicked(&*panic)))
}

/// What a panic said.
pub(crate) fn panicked(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("with something that is no text"))
}

/// The store numbers of a sub-topology, for looking up slots.
pub(crate) fn store_slots<M>(topology: &Topology<M>, sub: &SubTopology, local: bool) -> Stores {
    let slot = |id: &StoreId| {
        let spec = topology.store(*id);
        let (name, changelog) = (spec.name.clone(), spec.has_changelog(local));
        crate::store::Slot { id: *id, name, changelog, store: (spec.make)() }
    };
    Stores(sub.stores.iter().map(slot).collect())
}
