//! What an operator may turn: plain data with defaults, units and limits.

use std::path::PathBuf;
use std::time::Duration;

/// By which protocol the members of a group agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupProtocol {
    /// Members agree among themselves, cooperatively: a partition that stays is not interrupted. Members have
    /// fixed names, so a restart within the session timeout moves nothing.
    #[default]
    Classic,
    /// The broker decides (KIP-848; Kafka 4). Members have no fixed names there, because a name is not given
    /// out again until the session of a killed holder has lapsed; how long that takes is set at the broker.
    Consumer,
}

/// How the threads and processes of an application share the partitions of its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// As members of a group named after the application. Processes come and go as they like.
    Group(GroupProtocol),
    /// Thread i of n owns the partitions p with `p mod n = i`. One process; a second one ends the first.
    Static,
}

impl Default for Sharing {
    fn default() -> Sharing {
        Sharing::Group(GroupProtocol::Classic)
    }
}

/// What a crash may leave behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guarantee {
    /// Outputs, positions and state move together or not at all.
    #[default]
    ExactlyOnce,
    /// Nothing is lost, but what came after the last commit is processed again: its outputs may stand in the
    /// log twice, and state that is rebuilt from a changelog may count it twice. Without transactions: outputs
    /// arrive, then a checkpoint is written if one is due, then positions are committed. A log that keeps
    /// state beside its records is exactly-once all the same, because there it costs nothing.
    AtLeastOnce,
}

/// Which tasks of other processes this one keeps warm: as instance `index` of `of` it copies the partitions `p`
/// with `p mod of = index + 1`, and for two copies those with `index + 2` too, unless it has them itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standby {
    /// Number of this instance, from 0.
    pub index: u32,
    /// How many there are, at least 2.
    pub of: u32,
    /// Copies of each task, 1 or 2.
    pub copies: u32,
}

impl Standby {
    /// Is a task of this partition copied here?
    pub(crate) fn copies(&self, partition: u32) -> bool {
        let of = self.of.max(1);
        (1..=self.copies.min(of - 1)).any(|next| partition % of == (self.index + next) % of)
    }
}

/// Settings of an application. Without a crash none of them changes a result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Tells processes of one application apart; part of the transactional id and of the name in the group.
    /// Default `0`.
    pub instance: String,
    /// What a crash may leave behind. Default exactly-once.
    pub guarantee: Guarantee,
    /// How partitions are shared. A log that keeps its own state has no groups and one process: always
    /// `Static` there. Default a group by the classic protocol.
    pub assignment: Sharing,
    /// How long a member of a group may be silent before others take over its partitions; brokers take 6 s
    /// to 30 min. Default 10 s. With [`GroupProtocol::Consumer`] the broker decides.
    pub session_timeout: Duration,
    /// Stream threads, at least 1. Default 1.
    pub n_threads: u32,
    /// Longest epoch. Default 100 ms.
    pub commit_interval: Duration,
    /// An epoch ends when its outputs reach this size. Default 64 MiB.
    pub commit_bytes_max: usize,
    /// An epoch ends after this many records. Default 100 000.
    pub commit_records_max: u64,
    /// Time between two checkpoints. Default `None`: 1 s, or 5 s where the log keeps the state.
    pub checkpoint_interval: Option<Duration>,
    /// A store with more entries than this is not loaded when its task starts: keys are read from the checkpoint
    /// when they are first touched, so that a restart takes the same time whatever the state holds. `Hot`
    /// stores, and windows with an index by key, are always loaded. Default 4 096.
    pub load_entries_max: usize,
    /// Standby copies: every checkpoint interval (1 s if none is set) they are brought up to what is committed, so
    /// that taking one over costs the rest. Each process needs a `state_dir` of its own. Not for a log that keeps
    /// its own state. Default none.
    pub standby: Option<Standby>,
    /// Time between two deletions in topics that are [`purged`](crate::topology::repartition::Repartition::purged).
    /// Default 30 s.
    pub purge_interval: Duration,
    /// Records taken from a partition at a time. Default 256, at least 1.
    pub take_max: usize,
    /// How long a transaction call is tried again, and how long `drain` may take. Default 15 s. A new producer waits
    /// longer for a cluster that does not answer, because that loses nothing: 90 s, or until the run is told to stop.
    pub txn_deadline: Duration,
    /// How long a transaction may be open; commits are asked for every `commit_interval`. A process that dies leaves one
    /// behind, which hides what others write until this time is over, or until the process is back under its name.
    /// Default 10 s, at least 1 s.
    pub txn_timeout: Duration,
    /// How long a task whose checkpoints fail waits for room on disk in a run that ends with its input. A run
    /// without end waits on. Default 60 s.
    pub suspended_max: Duration,
    /// Bytes of a partition with several writers that may wait for one of them, per task. Then the one that
    /// lags is waited for no longer. Default 256 MiB.
    pub reorder_bytes_max: usize,
    /// Ticks that `CatchUp::Every` fires one by one; beyond it only the newest fires. Default 100 000.
    pub catch_up_max: u64,
    /// Share of poisoned records, in percent over 10 000 records, that stops a task. Default 5.
    pub poison_percent_max: u64,
    /// Where tasks keep their checkpoints if the log does not: `DIR/<app>/<task>/`. Each process has its own.
    /// Default `state`.
    pub state_dir: PathBuf,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            instance: "0".to_owned(),
            guarantee: Guarantee::default(),
            assignment: Sharing::default(),
            session_timeout: Duration::from_secs(10),
            n_threads: 1,
            commit_interval: Duration::from_millis(100),
            commit_bytes_max: 64 << 20,
            commit_records_max: 100_000,
            checkpoint_interval: None,
            load_entries_max: 4_096,
            standby: None,
            purge_interval: Duration::from_secs(30),
            take_max: 256,
            txn_deadline: Duration::from_secs(15),
            txn_timeout: Duration::from_secs(10),
            suspended_max: Duration::from_secs(60),
            reorder_bytes_max: 256 << 20,
            catch_up_max: 100_000,
            poison_percent_max: 5,
            state_dir: PathBuf::from("state"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_has_its_copies_on_other_instances() {
        for (of, copies) in [(2, 1), (3, 1), (3, 2), (5, 2), (1, 1), (2, 2)] {
            for partition in 0..20 {
                let owner = partition % of;
                let holds = |index: &u32| Standby { index: *index, of, copies }.copies(partition);
                let holders: Vec<u32> = (0..of).filter(holds).collect();
                assert_eq!(holders.len() as u32, copies.min(of - 1), "{partition} of {of}, {copies} copies");
                assert!(!holders.contains(&owner), "{partition} of {of}");
            }
        }
    }
}
