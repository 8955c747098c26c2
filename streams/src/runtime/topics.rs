//! The topics of an application: what it reads must match, what it writes is made.

use std::collections::BTreeMap;

use crate::error::{Error, LogError};
use crate::log::{Log, TopicName, TopicSpec, topic};
use crate::topology::Topology;

/// Makes every topic that the application writes, with as many partitions as the input it comes from, and
/// returns the number of partitions of each sub-topology.
pub(crate) fn ensure<M>(log: &dyn Log, topology: &Topology<M>) -> Result<Vec<u32>, Error> {
    let mut counts = vec![0; topology.subs.len()];
    let mut missing: Vec<usize> = (0..topology.subs.len()).collect();
    while !missing.is_empty() {
        let before = missing.len();
        let mut waiting = Vec::new();
        let mut unknown = None;
        for sub in missing {
            match input_partitions(log, topology, sub) {
                Ok(n) => {
                    counts[sub] = n;
                    outputs(log, topology, sub, n)?;
                }
                // Another sub-topology may be about to make it.
                Err(Error::Log(e @ LogError::UnknownTopic { .. })) => {
                    waiting.push(sub);
                    unknown.get_or_insert(e);
                }
                Err(e) => return Err(e),
            }
        }
        missing = waiting;
        if let Some(e) = unknown.filter(|_| missing.len() == before) {
            return Err(e.into());
        }
    }
    own(log, topology, &counts)?;
    Ok(counts)
}

/// The number of partitions of each sub-topology; makes nothing.
pub(crate) fn counts<M>(log: &dyn Log, topology: &Topology<M>) -> Result<Vec<u32>, Error> {
    (0..topology.subs.len()).map(|sub| input_partitions(log, topology, sub)).collect()
}

/// Partitions of the source topics of a sub-topology, which must be equally many.
pub(crate) fn input_partitions<M>(log: &dyn Log, topology: &Topology<M>, sub: usize) -> Result<u32, Error> {
    let mut topics = BTreeMap::new();
    for id in &topology.subs[sub].nodes {
        if let Some(source) = topology.node(*id).source() {
            if !source.headers {
                log.skip_headers(&source.topic);
            }
            topics.insert(source.topic.clone(), log.partitions(&source.topic)?);
        }
    }
    let mut counts = topics.iter();
    let Some((a, n_a)) = counts.next() else { return Ok(0) };
    match counts.find(|(_, n)| *n != n_a) {
        None => Ok(*n_a),
        Some((b, n_b)) => Err(Error::Partitions { a: a.to_string(), n_a: *n_a, b: b.to_string(), n_b: *n_b }),
    }
}

fn outputs<M>(log: &dyn Log, topology: &Topology<M>, sub: usize, n: u32) -> Result<(), Error> {
    for id in &topology.subs[sub].nodes {
        let Some(sink) = topology.node(*id).sink() else { continue };
        let partitions = match (sink.partitions, log.partitions(&sink.topic)) {
            (Some(n), _) | (None, Ok(n)) => n,
            (None, Err(LogError::UnknownTopic { .. })) => n,
            (None, Err(e)) => return Err(e.into()),
        };
        make(log, sink.topic.clone(), partitions, false)?;
    }
    for id in &topology.subs[sub].stores {
        let store = topology.store(*id);
        if store.has_changelog(log.state().is_some()) {
            make(log, topic::changelog(topology.name(), &store.name), n, true)?;
        }
    }
    Ok(())
}

fn own<M>(log: &dyn Log, topology: &Topology<M>, counts: &[u32]) -> Result<(), Error> {
    let widest = counts.iter().copied().max().unwrap_or(0);
    for name in [topic::decisions(topology.name()), topic::dead_letter(topology.name())] {
        make(log, name, widest, false)?;
    }
    Ok(())
}

fn make(log: &dyn Log, name: TopicName, partitions: u32, compact: bool) -> Result<(), LogError> {
    log.ensure_topic(&TopicSpec { name, partitions, retention: None, compact })
}
