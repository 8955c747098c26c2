//! What a task tells those that read what it writes under new keys: how far its time has come.
//!
//! A repartition topic has one writer per task. Each one writes a beacon into all its partitions when its stream
//! time enters another interval, so a task below waits for no writer that has nothing for it. All of it follows
//! from the input, so a second run writes the same beacons at the same places.

use std::collections::BTreeMap;

use crate::runtime::graph::Target;
use crate::runtime::outbox::Outbox;
use crate::time::Ts;
use crate::topology::{SubTopology, Topology};

/// The repartition topics that a task writes.
pub(crate) struct Below {
    /// Partitions, by their number in the outbox.
    targets: Vec<usize>,
    /// Event time between two beacons, in ns.
    interval: i64,
    /// It was said that nothing follows, and nothing has followed.
    pub(crate) said_bye: bool,
    /// The same, as of the last commit.
    committed_bye: bool,
}

impl Below {
    pub(crate) fn new<M>(
        topology: &Topology<M>,
        sub: &SubTopology,
        sinks: &BTreeMap<usize, Target>,
        outbox: &mut Outbox,
        partition: u32,
    ) -> Below {
        let repartition = |id: &&usize| topology.nodes[**id].sink().is_some_and(|sink| sink.repartition);
        let known = sub.nodes.iter().map(|id| &id.0).filter(repartition).filter_map(|id| sinks.get(id));
        let mut targets: Vec<usize> =
            known.flat_map(|sink| sink.first..sink.first + sink.partitions as usize).collect();
        targets.sort_unstable();
        targets.iter().for_each(|to| outbox.share(*to, partition as u16));
        Below { targets, interval: topology.beacon_interval, said_bye: false, committed_bye: false }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Stream time rises.
    pub(crate) fn lift(&mut self, outbox: &mut Outbox, from: Option<Ts>, to: Ts) {
        let grid = |ts: Ts| ts.0.div_euclid(self.interval);
        if !self.targets.is_empty() && from.is_none_or(|from| grid(from) < grid(to)) {
            self.beacon(outbox, to, false);
        }
    }

    pub(crate) fn say_bye(&mut self, outbox: &mut Outbox, time: Option<Ts>) {
        self.beacon(outbox, time.unwrap_or(Ts::MIN), true);
        self.said_bye = true;
    }

    fn beacon(&self, outbox: &mut Outbox, bound: Ts, bye: bool) {
        self.targets.iter().for_each(|to| outbox.push_beacon(*to, bound, bye));
    }

    /// Is there something to commit that no record caused?
    pub(crate) fn has_news(&self) -> bool {
        self.said_bye && !self.committed_bye
    }

    pub(crate) fn committed(&mut self) {
        self.committed_bye = self.said_bye;
    }

    pub(crate) fn restore(&mut self, bye: bool) {
        (self.said_bye, self.committed_bye) = (bye, bye);
    }
}
