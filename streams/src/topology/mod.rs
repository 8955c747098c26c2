//! WHAT runs: a graph of sources, processors, stores and sinks as a value. Built, validated, printed, then run.
//!
//! ```
//! # use lobstream_streams::record::{Codec, CodecError, Record};
//! # use lobstream_streams::store::kv::Kv;
//! # use lobstream_streams::topology::{Builder, Sink, Source};
//! # use lobstream_streams::topology::processor::{Context, ProcessError, Processor};
//! # use lobstream_streams::store::StoreRef;
//! # use std::sync::Arc;
//! /// Text in, text out.
//! struct Text;
//! impl Codec<String> for Text {
//!     fn encode(&self, value: &String, into: &mut Vec<u8>) -> Result<(), CodecError> {
//!         into.extend_from_slice(value.as_bytes());
//!         Ok(())
//!     }
//!     fn decode(&self, bytes: &[u8]) -> Result<String, CodecError> {
//!         String::from_utf8(bytes.to_vec()).map_err(|e| CodecError::new(e.to_string()))
//!     }
//! }
//!
//! /// Numbers the records of each key.
//! struct Count(StoreRef<Kv>);
//! impl Processor<String> for Count {
//!     fn process(&mut self, ctx: &mut Context<'_, String>, mut record: Record<String>) -> Result<(), ProcessError> {
//!         let counts = ctx.kv(self.0);
//!         let n = counts.get(&record.key).map_or(0, |n| n[0]) + 1;
//!         counts.put(&record.key, &[n]);
//!         record.value = format!("{n}: {}", record.value);
//!         ctx.forward(record);
//!         Ok(())
//!     }
//! }
//!
//! let mut t = Builder::new("numbers");
//! let lines = t.source("lines", Source::topic("lines.in", Arc::new(Text)));
//! let counts = t.store(Kv::new("counts"));
//! let count = t.processor("count", [lines], [counts], move || Count(counts));
//! t.sink("numbered", [count], Sink::topic("lines.out", Arc::new(Text)));
//! let topology = t.build()?;
//! assert!(topology.describe().contains("Processor count (stores: counts kv) -> numbered"));
//! # Ok::<(), lobstream_streams::error::TopologyError>(())
//! ```

mod describe;
pub mod join;
pub mod processor;
pub mod repartition;
pub mod stream;
pub mod table;
mod validate;
pub mod window;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::digest::Chain;
use crate::error::TopologyError;
use crate::log::TopicName;
use crate::record::Codec;
use crate::store::{StoreDefinition, StoreId, StoreRef, StoreSpec};
use crate::time::Ts;
use processor::Processor;

/// For processors without a store.
pub const NO_STORES: [StoreId; 0] = [];

/// A node of a topology, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub(crate) usize);

/// Which clock a source's times are read from. All sources of a sub-topology share one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeBasis {
    /// When it happened.
    #[default]
    Event,
    /// When it was captured.
    Receive,
}

/// How many write each partition of a topic, each in an order of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Origins {
    /// Offsets are the order.
    #[default]
    One,
    /// So many, numbered from 0; records carry the headers `origin` and `oseq`.
    Many(u16),
    /// The tasks of this application that write it.
    Upstream,
}

/// What becomes of the others when an input is quiet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Idle {
    /// They wait for a record or a beacon of it.
    #[default]
    Wait,
    /// They wait for so long; then, if it is proved to have nothing to fetch, they go on, and what comes later
    /// is taken as younger than what was processed. A decision, kept in the decision log: which records are
    /// late then depends on when they came. For foreign topics without beacons.
    Skip {
        /// Process time.
        after: Duration,
    },
}

/// Declares what a source reads.
pub struct Source<M> {
    pub(crate) topic: TopicName,
    pub(crate) codec: Arc<dyn Codec<M>>,
    pub(crate) rank: u16,
    pub(crate) sequence_domain: Option<String>,
    pub(crate) basis: TimeBasis,
    pub(crate) origins: Origins,
    pub(crate) idle: Idle,
    pub(crate) headers: bool,
    /// What has been read for good may be deleted.
    pub(crate) purged: bool,
}

impl<M> Source<M> {
    /// Every record of a topic, rank 0.
    pub fn topic(topic: &str, codec: Arc<dyn Codec<M>>) -> Source<M> {
        Source {
            topic: TopicName::new(topic),
            codec,
            rank: 0,
            sequence_domain: None,
            basis: TimeBasis::Event,
            origins: Origins::One,
            idle: Idle::Wait,
            headers: true,
            purged: false,
        }
    }

    /// So many writers share each partition, each in an order of its own; each of them has a number below `n`.
    pub fn origins(self, n: u16) -> Source<M> {
        Source { origins: Origins::Many(n), ..self }
    }

    /// What becomes of the others when this input is quiet. Default [`Idle::Wait`].
    pub fn idle(self, idle: Idle) -> Source<M> {
        Source { idle, ..self }
    }

    /// Of two records of one instant, that of the lower rank comes first.
    pub fn rank(self, rank: u16) -> Source<M> {
        Source { rank, ..self }
    }

    /// Sources of one domain number their records together: they may share a rank.
    pub fn sequence_domain(self, domain: &str) -> Source<M> {
        Source { sequence_domain: Some(domain.to_owned()), ..self }
    }

    /// The topic's writers are no engine of this kind: the headers of its records need not be read. On Kafka
    /// that saves a sixth of the CPU of a light topology; a record's time is then its CreateTime, in whole
    /// milliseconds. Other logs take no notice. To be said of every source of the topic, or of none; not of one
    /// with several origins, which headers tell apart.
    pub fn without_headers(self) -> Source<M> {
        Source { headers: false, ..self }
    }

    /// The clock of the records' times.
    pub fn basis(self, basis: TimeBasis) -> Source<M> {
        Source { basis, ..self }
    }
}

/// Declares what a sink writes.
pub struct Sink<M> {
    pub(crate) topic: TopicName,
    pub(crate) codec: Arc<dyn Codec<M>>,
    pub(crate) partitions: Option<u32>,
    /// The engine named the topic, not the user.
    pub(crate) derived: bool,
    /// It leads to tasks of this application that own other keys.
    pub(crate) repartition: bool,
}

impl<M> Sink<M> {
    /// A topic, partitioned by key. If it is missing it is made with as many partitions as the input.
    pub fn topic(topic: &str, codec: Arc<dyn Codec<M>>) -> Sink<M> {
        Sink { topic: TopicName::new(topic), codec, partitions: None, derived: false, repartition: false }
    }

    /// How many partitions the topic has.
    pub fn partitions(self, partitions: u32) -> Sink<M> {
        Sink { partitions: Some(partitions), ..self }
    }
}

pub(crate) type MakeProcessor<M> = Arc<dyn Fn() -> Box<dyn Processor<M>> + Send + Sync>;

pub(crate) enum NodeKind<M> {
    Source(Source<M>),
    Processor { stores: Vec<StoreId>, make: MakeProcessor<M>, terminal: bool },
    Sink(Sink<M>),
}

pub(crate) struct Node<M> {
    pub(crate) name: String,
    pub(crate) parents: Vec<NodeId>,
    /// In order of declaration.
    pub(crate) children: Vec<NodeId>,
    pub(crate) kind: NodeKind<M>,
    /// What an operator is, for people and for fingerprints.
    pub(crate) detail: String,
    /// It was named by a number, and has a state that a name must stand for.
    pub(crate) nameless: bool,
    /// It is a part of this node and named after it.
    pub(crate) part_of: Option<(NodeId, &'static str)>,
    /// Stores that are named after it.
    pub(crate) own_stores: Vec<(StoreId, &'static str)>,
}

/// Nodes connected without a topic between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubTopology {
    /// In order of declaration.
    pub(crate) nodes: Vec<NodeId>,
    /// In order of declaration.
    pub(crate) stores: Vec<StoreId>,
}

/// Collects nodes. Mistakes are reported by [`Builder::build`].
pub struct Builder<M> {
    parts: Shared<M>,
}

/// What a builder and its streams add to.
type Shared<M> = Rc<RefCell<Parts<M>>>;

struct Parts<M> {
    name: String,
    beacon_interval: Duration,
    nodes: Vec<Node<M>>,
    stores: Vec<StoreSpec>,
    config: Chain,
    /// The first rule that an operator found broken.
    fault: Option<(NodeId, &'static str)>,
    built: bool,
}

impl<M: 'static> Parts<M> {
    fn node(&mut self, name: &str, parents: Vec<NodeId>, kind: NodeKind<M>) -> NodeId {
        assert!(!self.built, "node {name:?} comes after build(): the topology is made already");
        self.nodes.push(Node {
            name: name.to_owned(),
            parents,
            children: Vec::new(),
            kind,
            detail: String::new(),
            nameless: false,
            part_of: None,
            own_stores: Vec::new(),
        });
        NodeId(self.nodes.len() - 1)
    }

    fn store<D: StoreDefinition>(&mut self, definition: D) -> StoreRef<D> {
        self.stores.push(definition.spec());
        StoreRef::new(StoreId(self.stores.len() - 1))
    }
}

impl<M: 'static> Builder<M> {
    /// An empty topology; its name begins the names of the topics that belong to it.
    pub fn new(name: &str) -> Builder<M> {
        let parts = Parts {
            name: name.to_owned(),
            beacon_interval: Duration::from_millis(250),
            nodes: Vec::new(),
            stores: Vec::new(),
            config: Chain::default(),
            fault: None,
            built: false,
        };
        Builder { parts: Rc::new(RefCell::new(parts)) }
    }

    /// Event time between two beacons in topics on which keys change. Default 250 ms, at least 1 ns. Shorter:
    /// results leave sooner, and more is written.
    pub fn beacon_interval(&mut self, interval: Duration) {
        self.parts.borrow_mut().beacon_interval = interval.max(Duration::from_nanos(1));
    }

    /// Everything that decides results beside the graph, as bytes: version, rules, thresholds. Every decision
    /// carries its digest, so that a recovery that does not come to the same results can tell whether it was
    /// given something else.
    pub fn config(&mut self, bytes: &[u8]) {
        self.parts.borrow_mut().config.push(None, Some(bytes), Ts(0));
    }

    /// Adds a source.
    pub fn source(&mut self, name: &str, source: Source<M>) -> NodeId {
        self.node(name, Vec::new(), NodeKind::Source(source))
    }

    /// Adds a store; processors of one sub-topology may share it.
    pub fn store<D: StoreDefinition>(&mut self, definition: D) -> StoreRef<D> {
        self.parts.borrow_mut().store(definition)
    }

    /// Adds a processor. `make` is called once for each task.
    pub fn processor<P: Processor<M> + 'static>(
        &mut self,
        name: &str,
        parents: impl IntoIterator<Item = NodeId>,
        stores: impl IntoIterator<Item = impl Into<StoreId>>,
        make: impl Fn() -> P + Send + Sync + 'static,
    ) -> NodeId {
        let make: MakeProcessor<M> = Arc::new(move || Box::new(make()));
        let stores = stores.into_iter().map(Into::into).collect();
        let kind = NodeKind::Processor { stores, make, terminal: false };
        self.node(name, parents.into_iter().collect(), kind)
    }

    /// Says that a processor is meant to have neither child nor store.
    pub fn terminal(&mut self, processor: NodeId) {
        let nodes = &mut self.parts.borrow_mut().nodes;
        if let Some(Node { kind: NodeKind::Processor { terminal, .. }, .. }) = nodes.get_mut(processor.0) {
            *terminal = true;
        }
    }

    /// Adds a sink.
    pub fn sink(&mut self, name: &str, parents: impl IntoIterator<Item = NodeId>, sink: Sink<M>) -> NodeId {
        self.node(name, parents.into_iter().collect(), NodeKind::Sink(sink))
    }

    /// The finished topology. Streams of this builder take no operators any more.
    ///
    /// # Errors
    /// The first rule that is broken, by name.
    pub fn build(self) -> Result<Topology<M>, TopologyError> {
        let mut parts = self.parts.borrow_mut();
        parts.built = true;
        let (name, stores) = (std::mem::take(&mut parts.name), std::mem::take(&mut parts.stores));
        let mut nodes = std::mem::take(&mut parts.nodes);
        validate::names(&name, &nodes, &stores)?;
        validate::parents(&nodes)?;
        if let Some((node, rule)) = parts.fault {
            let node = nodes[node.0].name.clone();
            return Err(TopologyError::Operator { node, rule: rule.to_owned() });
        }
        link(&mut nodes);
        let subs = sub_topologies(&nodes);
        let beacon_interval = i64::try_from(parts.beacon_interval.as_nanos()).unwrap_or(i64::MAX);
        let topology = Topology { name, beacon_interval, nodes, stores, subs, config: parts.config };
        validate::topology(&topology)?;
        Ok(topology)
    }

    fn node(&mut self, name: &str, parents: Vec<NodeId>, kind: NodeKind<M>) -> NodeId {
        self.parts.borrow_mut().node(name, parents, kind)
    }
}

fn link<M>(nodes: &mut [Node<M>]) {
    for i in 0..nodes.len() {
        for parent in nodes[i].parents.clone() {
            nodes[parent.0].children.push(NodeId(i));
        }
    }
}

/// Groups connected nodes; a node always follows its parents, so one pass finds the least node of each.
fn sub_topologies<M>(nodes: &[Node<M>]) -> Vec<SubTopology> {
    let mut root: Vec<usize> = (0..nodes.len()).collect();
    for (i, node) in nodes.iter().enumerate() {
        for parent in &node.parents {
            let (a, b) = (root[i], root[parent.0]);
            let (least, other) = (a.min(b), a.max(b));
            root.iter_mut().filter(|r| **r == other).for_each(|r| *r = least);
        }
    }
    let mut subs: Vec<SubTopology> = Vec::new();
    for first in (0..nodes.len()).filter(|i| root[*i] == *i) {
        let members: Vec<NodeId> = (0..nodes.len()).filter(|i| root[*i] == first).map(NodeId).collect();
        let mut stores: Vec<StoreId> = members.iter().flat_map(|id| nodes[id.0].stores()).copied().collect();
        stores.sort_unstable();
        stores.dedup();
        subs.push(SubTopology { nodes: members, stores });
    }
    subs
}

impl<M> Node<M> {
    pub(crate) fn stores(&self) -> &[StoreId] {
        match &self.kind {
            NodeKind::Processor { stores, .. } => stores,
            NodeKind::Source(_) | NodeKind::Sink(_) => &[],
        }
    }

    pub(crate) fn source(&self) -> Option<&Source<M>> {
        match &self.kind {
            NodeKind::Source(source) => Some(source),
            NodeKind::Processor { .. } | NodeKind::Sink(_) => None,
        }
    }

    pub(crate) fn sink(&self) -> Option<&Sink<M>> {
        match &self.kind {
            NodeKind::Sink(sink) => Some(sink),
            NodeKind::Source(_) | NodeKind::Processor { .. } => None,
        }
    }
}

/// A validated graph.
pub struct Topology<M> {
    pub(crate) name: String,
    /// Event time between two beacons of a task to those below it, in ns.
    pub(crate) beacon_interval: i64,
    pub(crate) nodes: Vec<Node<M>>,
    pub(crate) stores: Vec<StoreSpec>,
    pub(crate) subs: Vec<SubTopology>,
    pub(crate) config: Chain,
}

impl<M> std::fmt::Debug for Topology<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.describe())
    }
}

impl<M> Topology<M> {
    /// The name of the application.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The topics it reads, sorted.
    pub fn source_topics(&self) -> Vec<TopicName> {
        sorted(self.nodes.iter().filter_map(|node| Some(node.source()?.topic.clone())))
    }

    /// The topics its sinks write, sorted.
    pub fn sink_topics(&self) -> Vec<TopicName> {
        sorted(self.nodes.iter().filter_map(|node| Some(node.sink()?.topic.clone())))
    }

    /// The sub-topology that writes a topic, and a topic that it reads; `None`: none does.
    pub(crate) fn writer(&self, topic: &TopicName) -> Option<(u32, &TopicName)> {
        let writes = |id: &NodeId| self.node(*id).sink().is_some_and(|sink| sink.topic == *topic);
        let (i, sub) = (0..).zip(&self.subs).find(|(_, sub)| sub.nodes.iter().any(writes))?;
        Some((i, sub.nodes.iter().find_map(|id| Some(&self.node(*id).source()?.topic))?))
    }

    /// Those of them that its user has named.
    fn named_sink_topics(&self) -> impl Iterator<Item = &TopicName> {
        self.nodes.iter().filter_map(|node| Some(&node.sink().filter(|sink| !sink.derived)?.topic))
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node<M> {
        &self.nodes[id.0]
    }

    pub(crate) fn store(&self, id: StoreId) -> &StoreSpec {
        &self.stores[id.0]
    }
}

fn sorted(topics: impl Iterator<Item = TopicName>) -> Vec<TopicName> {
    let mut topics: Vec<TopicName> = topics.collect();
    topics.sort_unstable();
    topics.dedup();
    topics
}

#[cfg(test)]
mod tests;
