//! The inputs of a task: its channels, and how long a quiet one is waited for.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::log::{Log, TopicName, Tp};
use crate::record::Offset;
use crate::runtime::merge::{Channel, Merge};
use crate::time::Mono;
use crate::topology::processor::TaskId;
use crate::topology::{Idle, NodeId, Origins, SubTopology, Topology};

/// The channels of a sub-topology in a partition, and the source node of each one.
pub(crate) fn merge<M>(
    topology: &Arc<Topology<M>>,
    sub: &SubTopology,
    partition: u32,
    log: &dyn Log,
) -> Result<(Merge, Vec<NodeId>), Error> {
    let nodes = sub.nodes.iter().filter_map(|id| Some((*id, topology.node(*id).source()?)));
    let declared: Vec<_> = nodes.collect();
    let mut topics: Vec<&TopicName> = declared.iter().map(|(_, source)| &source.topic).collect();
    topics.sort_unstable();
    let (mut merge, mut sources) = (Merge::new(Vec::new(), None), Vec::new());
    for (node, source) in declared {
        let tp = Tp::new(&source.topic, partition);
        let topic_rank = topics.partition_point(|known| **known < source.topic) as u16;
        let channel = || Channel::new(tp.clone(), source.rank, topic_rank, Offset(0));
        match source.origins {
            Origins::One => merge.push(channel()),
            Origins::Many(n) => merge.share(&tp, n, channel),
            Origins::Upstream => {
                let n = upstream_partitions(topology, &source.topic, log)?;
                merge.share(&tp, n, || channel().internal());
            }
        }
        sources.resize(merge.channels().len(), node);
    }
    Ok((merge, sources))
}

/// How many tasks write a repartition topic: one for each partition of the sub-topology that does.
fn upstream_partitions<M>(topology: &Topology<M>, topic: &TopicName, log: &dyn Log) -> Result<u16, Error> {
    let Some((_, input)) = topology.writer(topic) else { return Ok(0) };
    let n = log.partitions(input)?;
    u16::try_from(n).map_err(|_| Error::Setting {
        name: "partitions",
        value: n.to_string(),
        rule: "at most 65 535 where keys change",
    })
}

/// The tasks that write the repartition topics which a sub-topology reads.
pub(crate) fn upstream<M>(
    topology: &Topology<M>,
    sub: &SubTopology,
    log: &dyn Log,
) -> Result<Vec<TaskId>, Error> {
    let mut tasks = Vec::new();
    let sources = sub.nodes.iter().filter_map(|id| topology.node(*id).source());
    for source in sources.filter(|source| source.origins == Origins::Upstream) {
        let Some((sub, _)) = topology.writer(&source.topic) else { continue };
        let n = u32::from(upstream_partitions(topology, &source.topic, log)?);
        tasks.extend((0..n).map(|partition| TaskId { sub, partition }));
    }
    Ok(tasks)
}

/// Which channels may be passed over, and since when each has said nothing.
pub(crate) struct Quiet {
    after: Vec<Option<Duration>>,
    since: Vec<Option<Mono>>,
}

impl Quiet {
    pub(crate) fn new<M>(topology: &Topology<M>, sources: &[NodeId]) -> Quiet {
        let after = |id: &NodeId| match topology.node(*id).source().map(|source| source.idle) {
            Some(Idle::Skip { after }) => Some(after),
            Some(Idle::Wait) | None => None,
        };
        Quiet { after: sources.iter().map(after).collect(), since: vec![None; sources.len()] }
    }

    /// A record of this channel was processed.
    pub(crate) fn heard(&mut self, channel: usize) {
        self.since[channel] = None;
    }

    /// Has the channel been quiet so long that it may be passed over? Only one that is `proved` to have
    /// nothing to fetch is quiet.
    pub(crate) fn is_over(&mut self, channel: usize, proved: bool, now: Mono) -> bool {
        let Some(after) = self.after[channel] else { return false };
        if !proved {
            self.since[channel] = None;
            return false;
        }
        now.since(*self.since[channel].get_or_insert(now)) >= after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_is_only_who_is_proved_to_be() {
        let mut quiet = Quiet { after: vec![Some(Duration::from_secs(5)), None], since: vec![None; 2] };
        let at = |s| Mono(Duration::from_secs(s));
        assert!(!quiet.is_over(0, true, at(1)) && !quiet.is_over(0, true, at(5)));
        assert!(!quiet.is_over(0, false, at(6)), "records may be on their way");
        assert!(!quiet.is_over(0, true, at(7)) && quiet.is_over(0, true, at(12)));
        quiet.heard(0);
        assert!(!quiet.is_over(0, true, at(13)));
        assert!(!quiet.is_over(1, true, at(99)), "its source waits");
    }
}
