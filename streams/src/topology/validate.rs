//! The rules a topology keeps, each with a sentence that says how to mend it.

use std::collections::BTreeMap;

use crate::error::TopologyError;
use crate::log::TopicName;
use crate::store::{StoreId, StoreSpec};
use crate::topology::{Node, NodeKind, Origins, Source, SubTopology, Topology};

const NAME_MAX: usize = 64;

/// Names are well formed and each stands for one thing.
pub(super) fn names<M>(app: &str, nodes: &[Node<M>], stores: &[StoreSpec]) -> Result<(), TopologyError> {
    let nodes = nodes.iter().map(|node| node.name.as_str());
    let stores = stores.iter().map(|store| store.name.as_str());
    name(app)?;
    unique(nodes)?;
    unique(stores)
}

fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), TopologyError> {
    let mut seen: Vec<&str> = Vec::new();
    for each in names {
        name(each)?;
        if seen.contains(&each) {
            return Err(TopologyError::DuplicateName { name: each.to_owned() });
        }
        seen.push(each);
    }
    Ok(())
}

fn name(name: &str) -> Result<(), TopologyError> {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.-".contains(&b);
    // An application's name is also that of a folder.
    let is_path = name == "." || name == "..";
    if (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(legal) && !is_path {
        return Ok(());
    }
    Err(TopologyError::MalformedName { name: name.to_owned() })
}

/// Parents are declared before their children, so there are no cycles.
pub(super) fn parents<M>(nodes: &[Node<M>]) -> Result<(), TopologyError> {
    for (i, node) in nodes.iter().enumerate() {
        let sinkless = |p: usize| !matches!(nodes[p].kind, NodeKind::Sink(_));
        let known = node.parents.iter().all(|p| p.0 < i && sinkless(p.0));
        let needed = node.source().is_none();
        if !known || (needed && node.parents.is_empty()) {
            return Err(TopologyError::UnknownParent { node: node.name.clone() });
        }
    }
    Ok(())
}

/// Everything that needs the finished graph.
pub(super) fn topology<M>(t: &Topology<M>) -> Result<(), TopologyError> {
    for node in &t.nodes {
        origins_are_counted(node)?;
        state_has_a_name(node)?;
        processor_has_effect(node)?;
        stores_exist(node, t.stores.len())?;
    }
    for (i, store) in t.stores.iter().enumerate() {
        store_has_one_home(t, StoreId(i), store)?;
    }
    for sub in &t.subs {
        sources_can_be_merged(t, sub)?;
        no_loop(t, sub)?;
    }
    derived_topics_are_free(t)
}

fn origins_are_counted<M>(node: &Node<M>) -> Result<(), TopologyError> {
    let refused =
        |rule: &str| Err(TopologyError::Operator { node: node.name.clone(), rule: rule.to_owned() });
    match node.source().map(|source| (source.origins, source.headers)) {
        Some((Origins::Many(0), _)) => refused("a topic has at least one origin"),
        Some((Origins::Many(_), false)) => {
            refused("origins are told apart by headers, which are left unread")
        }
        Some((Origins::Many(_) | Origins::One | Origins::Upstream, _)) | None => Ok(()),
    }
}

fn state_has_a_name<M>(node: &Node<M>) -> Result<(), TopologyError> {
    match node.nameless {
        true => Err(TopologyError::Nameless { node: node.name.clone() }),
        false => Ok(()),
    }
}

fn processor_has_effect<M>(node: &Node<M>) -> Result<(), TopologyError> {
    match &node.kind {
        NodeKind::Processor { stores, terminal, .. }
            if !terminal && stores.is_empty() && node.children.is_empty() =>
        {
            Err(TopologyError::NoEffect { node: node.name.clone() })
        }
        NodeKind::Processor { .. } | NodeKind::Source(_) | NodeKind::Sink(_) => Ok(()),
    }
}

fn stores_exist<M>(node: &Node<M>, n_stores: usize) -> Result<(), TopologyError> {
    match node.stores().iter().all(|id| id.0 < n_stores) {
        true => Ok(()),
        false => Err(TopologyError::UnknownStore { node: node.name.clone() }),
    }
}

fn store_has_one_home<M>(t: &Topology<M>, id: StoreId, store: &StoreSpec) -> Result<(), TopologyError> {
    match t.subs.iter().filter(|sub| sub.stores.contains(&id)).count() {
        0 => Err(TopologyError::UnusedStore { store: store.name.clone() }),
        1 => Ok(()),
        _ => Err(TopologyError::SharedStore { store: store.name.clone() }),
    }
}

fn sources_can_be_merged<M>(t: &Topology<M>, sub: &SubTopology) -> Result<(), TopologyError> {
    let sources: Vec<(&str, &Source<M>)> =
        sub.nodes.iter().filter_map(|id| Some((t.node(*id).name.as_str(), t.node(*id).source()?))).collect();
    for (i, (b_name, b)) in sources.iter().enumerate() {
        for (a_name, a) in &sources[..i] {
            mergeable((a_name, a), (b_name, b))?;
        }
        let internal = b.origins != Origins::Upstream && t.sink_topics().contains(&b.topic);
        if internal && sources.len() > 1 {
            return Err(TopologyError::InternalInput { source_node: (*b_name).to_owned() });
        }
    }
    Ok(())
}

fn mergeable<M>(a: (&str, &Source<M>), b: (&str, &Source<M>)) -> Result<(), TopologyError> {
    let names = || (a.0.to_owned(), b.0.to_owned());
    let ((a_name, b_name), (a, b)) = (names(), (a.1, b.1));
    if a.topic == b.topic {
        return Err(TopologyError::TopicReadTwice { topic: a.topic.to_string(), a: a_name, b: b_name });
    }
    if a.basis != b.basis {
        return Err(TopologyError::TwoClocks { a: a_name, b: b_name });
    }
    let one_domain = a.sequence_domain.is_some() && a.sequence_domain == b.sequence_domain;
    if a.rank == b.rank && !one_domain {
        return Err(TopologyError::EqualRanks { rank: a.rank, a: a_name, b: b_name });
    }
    Ok(())
}

fn no_loop<M>(t: &Topology<M>, sub: &SubTopology) -> Result<(), TopologyError> {
    let read: Vec<&TopicName> =
        sub.nodes.iter().filter_map(|id| Some(&t.node(*id).source()?.topic)).collect();
    for node in sub.nodes.iter().map(|id| t.node(*id)) {
        if let Some(sink) = node.sink().filter(|sink| read.contains(&&sink.topic)) {
            return Err(TopologyError::Loop { sink: node.name.clone(), topic: sink.topic.to_string() });
        }
    }
    Ok(())
}

/// The topics an application makes for itself are not topics its user names.
fn derived_topics_are_free<M>(t: &Topology<M>) -> Result<(), TopologyError> {
    let mut derived: BTreeMap<TopicName, ()> = BTreeMap::new();
    derived.insert(crate::log::topic::decisions(&t.name), ());
    derived.insert(crate::log::topic::dead_letter(&t.name), ());
    derived.insert(crate::log::topic::late(&t.name), ());
    let repartition = t.nodes.iter().filter_map(|node| node.sink()).filter(|sink| sink.repartition);
    derived.extend(repartition.map(|sink| (sink.topic.clone(), ())));
    derived.extend(t.stores.iter().map(|store| (crate::log::topic::changelog(&t.name, &store.name), ())));
    let sources = t.nodes.iter().filter_map(|node| node.source());
    let named = sources.filter(|source| source.origins != Origins::Upstream).map(|source| &source.topic);
    match named.chain(t.named_sink_topics()).find(|topic| derived.contains_key(topic)) {
        Some(topic) => Err(TopologyError::DerivedTopic { topic: topic.to_string() }),
        None => Ok(()),
    }
}
