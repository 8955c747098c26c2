//! The graph as text and as DOT: what a person reads before it runs.

use std::fmt::Write;
use std::time::Duration;

use crate::store::StoreSpec;
use crate::topology::{Idle, Node, NodeKind, Origins, SubTopology, Topology};

impl<M> Topology<M> {
    /// Sub-topologies and nodes in the order they were declared, stores sorted by name.
    ///
    /// `restore:` tells how a task comes back on a log that keeps no state beside its records:
    /// `changelog` reads topics, `replay` processes inputs again, `none` has nothing to rebuild.
    pub fn describe(&self) -> String {
        let mut text = format!("Topology {}\n", self.name);
        for i in 0..self.subs.len() {
            text.push_str(&self.describe_sub(i));
        }
        text
    }

    /// One sub-topology of [`Topology::describe`].
    pub(crate) fn describe_sub(&self, i: usize) -> String {
        let sub = &self.subs[i];
        let nodes = || sub.nodes.iter().map(|id| self.node(*id));
        let topics: Vec<&str> = nodes().filter_map(|node| Some(node.source()?.topic.as_str())).collect();
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  Sub-topology {i} [{}] restore: {}", topics.join(", "), self.restore(sub));
        for node in nodes() {
            let _ = writeln!(text, "    {}", self.line(node));
        }
        text
    }

    fn restore(&self, sub: &SubTopology) -> &'static str {
        let mut stores = sub.stores.iter().map(|id| self.store(*id)).peekable();
        if stores.peek().is_none() {
            return "none";
        }
        if stores.all(|store| store.has_changelog(false)) { "changelog" } else { "replay" }
    }

    fn line(&self, node: &Node<M>) -> String {
        let name = &node.name;
        let mut line = match &node.kind {
            NodeKind::Source(s) => {
                let origins = match s.origins {
                    Origins::One => String::new(),
                    Origins::Many(n) => format!(", origins {n}"),
                    Origins::Upstream => ", origins upstream".to_owned(),
                };
                let idle = match s.idle {
                    Idle::Wait => "wait".to_owned(),
                    Idle::Skip { after } => format!("skip after {after:?}"),
                };
                let headers = if s.headers { "" } else { ", without headers" };
                format!("Source {name} (topic {}, rank {}{origins}, {idle}{headers})", s.topic, s.rank)
            }
            NodeKind::Processor { .. } => {
                let stores = self.stores_of(node);
                let kinds: Vec<String> = stores.iter().map(|s| format!("{} {}", s.name, s.kind)).collect();
                let stores = (!kinds.is_empty()).then(|| format!("stores: {}", kinds.join(", ")));
                let detail = (!node.detail.is_empty()).then(|| node.detail.clone());
                let about: Vec<String> = detail.into_iter().chain(stores).collect();
                match about.is_empty() {
                    true => format!("Processor {name}"),
                    false => format!("Processor {name} ({})", about.join("; ")),
                }
            }
            NodeKind::Sink(s) if s.repartition => {
                let every = Duration::from_nanos(self.beacon_interval as u64);
                format!("Sink {name} (topic {}, beacons every {every:?})", s.topic)
            }
            NodeKind::Sink(s) => format!("Sink {name} (topic {})", s.topic),
        };
        let children: Vec<&str> = node.children.iter().map(|id| self.node(*id).name.as_str()).collect();
        if !children.is_empty() {
            line.push_str(" -> ");
            line.push_str(&children.join(", "));
        }
        line
    }

    fn stores_of(&self, node: &Node<M>) -> Vec<&StoreSpec> {
        let mut stores: Vec<&StoreSpec> = node.stores().iter().map(|id| self.store(*id)).collect();
        stores.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        stores
    }

    /// The same graph in the language of Graphviz.
    pub fn to_dot(&self) -> String {
        let mut lines = vec![format!("digraph \"{}\" {{", self.name), "  rankdir=LR;".to_owned()];
        for (i, sub) in self.subs.iter().enumerate() {
            lines.push(format!("  subgraph cluster_{i} {{"));
            lines.push(format!("    label=\"{i}\";"));
            self.dot_nodes(sub, &mut lines);
            lines.push("  }".to_owned());
        }
        for node in &self.nodes {
            self.dot_edges(node, &mut lines);
        }
        lines.push("}".to_owned());
        lines.join("\n") + "\n"
    }

    /// Sources and processors, then stores, then sinks: the order of the flow.
    fn dot_nodes(&self, sub: &SubTopology, lines: &mut Vec<String>) {
        let shape = |name: &str, shape: &str| format!("    \"{name}\" [shape={shape}];");
        let nodes = || sub.nodes.iter().map(|id| self.node(*id));
        lines.extend(nodes().filter(|n| n.sink().is_none()).map(|node| match &node.kind {
            NodeKind::Source(_) | NodeKind::Sink(_) => shape(&node.name, "box"),
            NodeKind::Processor { .. } => shape(&node.name, "ellipse"),
        }));
        let mut stores: Vec<&str> = sub.stores.iter().map(|id| self.store(*id).name.as_str()).collect();
        stores.sort_unstable();
        lines.extend(stores.into_iter().map(|name| shape(name, "cylinder")));
        lines.extend(nodes().filter(|n| n.sink().is_some()).map(|node| shape(&node.name, "box")));
    }

    /// What leads to a node: its parents, its stores.
    fn dot_edges(&self, node: &Node<M>, lines: &mut Vec<String>) {
        let name = &node.name;
        for parent in &node.parents {
            lines.push(format!("  \"{}\" -> \"{name}\";", self.node(*parent).name));
        }
        for store in self.stores_of(node) {
            lines.push(format!("  \"{}\" -> \"{name}\" [style=dashed, dir=both];", store.name));
        }
    }
}
