//! What a simulated run is fed with, and what goes wrong in it.

use crate::beacon::Beacon;
use crate::log::memory::Faults;
use crate::log::topic;
use crate::runtime::commit::Edge;
use crate::time::Ts;

/// A record of an input, in the order in which it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fed {
    pub(crate) topic: usize,
    pub(crate) partition: u32,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) ts: Ts,
    pub(crate) seq: u64,
}

/// The inputs of an application: topics and their records.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    pub(crate) topics: Vec<(String, u32)>,
    pub(crate) records: Vec<Fed>,
}

impl Feed {
    /// Declares an input topic.
    pub fn topic(mut self, name: &str, partitions: u32) -> Feed {
        self.topics.push((name.to_owned(), partitions.max(1)));
        self
    }

    /// Appends a record; its key decides the partition. `None` is a tombstone.
    ///
    /// # Panics
    /// The topic was not declared.
    pub fn record(&mut self, topic: &str, key: &[u8], value: Option<&[u8]>, ts: Ts, seq: u64) {
        let known = self.topics.iter().position(|(name, _)| name == topic);
        let topic = known.unwrap_or_else(|| panic!("topic {topic} was not declared: call Feed::topic first"));
        let partition = topic::partition(key, self.topics[topic].1);
        let (key, value) = (key.to_vec(), value.map(<[u8]>::to_vec));
        self.records.push(Fed { topic, partition, key, value, ts, seq });
    }

    /// Appends a beacon to every partition of every topic: no older record follows. `bye`: none at all does.
    pub fn beacon(&mut self, bound: Ts, bye: bool) {
        let beacon = Beacon { origin: 0, bound, bye };
        for (topic, (_, partitions)) in self.topics.iter().enumerate() {
            for partition in 0..*partitions {
                let (key, value) = (beacon.key().to_vec(), Some(beacon.value().to_vec()));
                self.records.push(Fed { topic, partition, key, value, ts: bound, seq: 0 });
            }
        }
    }
}

/// What goes wrong, and how often: each number is "one in so many", 0 is never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Length of the time in which things go wrong, in turns of a stream thread. The rest of the input comes
    /// after it, when all is calm.
    pub turns: u64,
    /// Between clients and broker, per request.
    pub network: Faults,
    /// Turns after which the process is killed.
    pub kill: u64,
    /// Turns after which the process is asked to end in order, and started again.
    pub quit: u64,
    /// Edges of the commit protocol at which the process dies.
    pub edge: u64,
    /// If set, it dies at this edge only.
    pub only_edge: Option<Edge>,
    /// Edges at which the process is frozen while another one takes its place; then it goes on.
    pub freeze: u64,
    /// Deaths that are power cuts.
    pub power: u64,
    /// Processes that share the work as members of a group; 1: a single one without a group.
    pub members: u32,
    /// Turns after which a member is put out of its group.
    pub kick: u64,
    /// Turns after which the broker stops for up to 30 s, in order or killed.
    pub stop: u64,
    /// Checkpoints that find the disk full.
    pub disk_full: u64,
    /// Checkpoints in which the process dies.
    pub disk_dies: u64,
    /// The process's clock is this many times slower than the broker's.
    pub slowness: u32,
}

impl Plan {
    /// Nothing goes wrong.
    pub const CALM: Plan = Plan {
        turns: 0,
        network: Faults::NONE,
        kill: 0,
        quit: 0,
        edge: 0,
        only_edge: None,
        freeze: 0,
        power: 0,
        members: 1,
        kick: 0,
        stop: 0,
        disk_full: 0,
        disk_dies: 0,
        slowness: 1,
    };

    /// Everything does.
    pub const ALL: Plan = Plan {
        turns: 400,
        network: Faults::ALL,
        kill: 60,
        quit: 80,
        edge: 80,
        only_edge: None,
        freeze: 200,
        power: 4,
        members: 1,
        kick: 0,
        stop: 150,
        disk_full: 10,
        disk_dies: 40,
        slowness: 1,
    };

    /// Everything does, to a group of three processes.
    pub const GROUP: Plan = Plan { members: 3, kick: 120, kill: 120, quit: 160, ..Plan::ALL };
}
