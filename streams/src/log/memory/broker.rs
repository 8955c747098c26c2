//! The broker: topics, coordinator and group offsets, and a clock that moves only when it is told to.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::coordinator::{Holder, Pid, Refused, Transaction};
use super::group::{Group, MemberId};
use super::network::{Faults, Network, Sabotage};
use super::partition::{Partition, Produced, Unappended};
use super::random::Random;
use crate::digest::Chain;
use crate::error::LogError;
use crate::log::{Commit, TopicName, TopicSpec, Tp};
use crate::time::Ts;

/// Something that is done later.
type Deed = Box<dyn FnOnce(&mut Broker) + Send>;

pub(super) struct Topic {
    pub(super) spec: TopicSpec,
    pub(super) partitions: Vec<Partition>,
}

pub(super) struct Broker {
    pub(super) now: Duration,
    /// Until then nothing answers.
    pub(super) up_at: Duration,
    pub(super) network: Network,
    pub(super) topics: BTreeMap<TopicName, Topic>,
    transactions: BTreeMap<String, Transaction>,
    committed: BTreeMap<(String, Tp), Commit>,
    /// Offsets inside transactions that have not ended.
    pending: BTreeMap<Pid, Vec<(String, Commit)>>,
    groups: BTreeMap<String, Group>,
    /// What is under way, by its time and the order in which it was sent.
    under_way: BTreeMap<(Duration, u64), UnderWay>,
    sent: u64,
    pids: u64,
    trace: Chain,
    pub(super) sabotage: Option<Sabotage>,
}

struct UnderWay {
    deed: Deed,
    /// A request of a client: lost if the broker is killed.
    request: bool,
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Broker at {:?} with {} topics", self.now, self.topics.len())
    }
}

impl Broker {
    pub(super) fn new(seed: u64) -> Broker {
        Broker {
            now: Duration::ZERO,
            up_at: Duration::ZERO,
            network: Network { faults: Faults::NONE, random: Random::new(seed) },
            topics: BTreeMap::new(),
            transactions: BTreeMap::new(),
            committed: BTreeMap::new(),
            pending: BTreeMap::new(),
            groups: BTreeMap::new(),
            under_way: BTreeMap::new(),
            sent: 0,
            pids: 0,
            trace: Chain::default(),
            sabotage: None,
        }
    }

    /// Lets time go by, and does what falls due on the way.
    pub(super) fn advance(&mut self, by: Duration) {
        let until = self.now + by;
        while let Some(((at, _), _)) = self.under_way.first_key_value()
            && *at <= until
        {
            let Some(((at, _), next)) = self.under_way.pop_first() else { break };
            self.now = self.now.max(at);
            if self.is_down() {
                // A request that meets nobody is gone; the broker's own work waits.
                if !next.request {
                    self.later(self.up_at - self.now, false, next.deed);
                }
                continue;
            }
            (next.deed)(self);
        }
        self.now = until;
    }

    pub(super) fn is_down(&self) -> bool {
        self.now < self.up_at
    }

    /// Stops answering. `killed`: what is under way to it is lost as well.
    pub(super) fn stop(&mut self, down: Duration, killed: bool) {
        self.up_at = self.up_at.max(self.now + down);
        // Nobody is blamed for silence while there was nobody to hear.
        self.groups.values_mut().for_each(|group| group.wait_until(self.up_at));
        if killed {
            self.under_way.retain(|_, one| !one.request);
        }
    }

    pub(super) fn later(&mut self, after: Duration, request: bool, deed: Deed) {
        self.sent += 1;
        self.under_way.insert((self.now + after, self.sent), UnderWay { deed, request });
    }

    /// Everything that happens leaves its mark: two runs of one seed have the same.
    pub(super) fn note(&mut self, what: &str, detail: &str) {
        let at = Ts(self.now.as_nanos() as i64);
        self.trace.push(Some(what.as_bytes()), Some(detail.as_bytes()), at);
    }

    pub(super) fn trace(&self) -> Chain {
        self.trace
    }

    pub(super) fn partition(&mut self, tp: &Tp) -> Result<&mut Partition, LogError> {
        let topic = self.topics.get_mut(&tp.topic);
        let partition = topic.and_then(|topic| topic.partitions.get_mut(tp.partition as usize));
        partition.ok_or_else(|| LogError::UnknownTopic { topic: tp.to_string() })
    }

    pub(super) fn next_pid(&mut self) -> Pid {
        self.pids += 1;
        Pid(self.pids)
    }

    /// A producer takes an id over; its transactions may be open for so long.
    pub(super) fn init(&mut self, id: &str, timeout: Duration) -> Result<Holder, Refused> {
        if !self.transactions.contains_key(id) {
            let pid = self.next_pid();
            self.transactions.insert(id.to_owned(), Transaction::new(pid));
        }
        let transaction = self.transactions.get_mut(id).expect("it was put there if it was missing");
        if self.sabotage == Some(Sabotage::NeverFences) && transaction.holder.epoch > 0 {
            return Ok(transaction.holder);
        }
        transaction.init(timeout).map_err(|(refused, ends)| {
            if ends {
                self.complete_soon(id);
            }
            refused
        })
    }

    /// A transaction touches a partition.
    pub(super) fn add_partition(&mut self, id: &str, holder: Holder, tp: &Tp) -> Result<(), Refused> {
        self.touch(id, holder)?.partitions.insert(tp.clone());
        Ok(())
    }

    /// Offsets become part of a transaction, if the member that sends them knows its group as it is.
    pub(super) fn add_offsets(
        &mut self,
        id: &str,
        holder: Holder,
        (group, member): (&str, Option<&MemberId>),
        commits: &[Commit],
    ) -> Result<(), Refused> {
        let now = self.now;
        if member.is_some_and(|member| !self.group(group).knows(member, now)) {
            return Err(Refused::Generation);
        }
        self.touch(id, holder)?;
        let pending = self.pending.entry(holder.pid).or_default();
        pending.extend(commits.iter().map(|commit| (group.to_owned(), commit.clone())));
        Ok(())
    }

    /// A group, which begins with the first member.
    pub(super) fn group(&mut self, name: &str) -> &mut Group {
        self.groups.entry(name.to_owned()).or_default()
    }

    /// Puts the nth member of a group out; `false` if there is none.
    pub(super) fn kick(&mut self, name: &str, nth: usize) -> bool {
        self.groups.get_mut(name).is_some_and(|group| group.kick(nth))
    }

    fn touch(&mut self, id: &str, holder: Holder) -> Result<&mut Transaction, Refused> {
        let began = self.known(id)?.touch(holder)?;
        if began {
            let (name, transaction) = (id.to_owned(), self.known(id)?);
            let (number, timeout) = (transaction.number, transaction.timeout);
            self.later(timeout, false, Box::new(move |broker| broker.expire(&name, number)));
        }
        self.known(id)
    }

    fn known(&mut self, id: &str) -> Result<&mut Transaction, Refused> {
        self.transactions.get_mut(id).ok_or(Refused::Invalid)
    }

    /// A transaction that is open for too long is aborted, and its producer fenced.
    fn expire(&mut self, id: &str, number: u64) {
        let Ok(transaction) = self.known(id) else { return };
        if transaction.is_ongoing() && transaction.number == number {
            transaction.fence();
            self.note("expire", id);
            self.complete_soon(id);
        }
    }

    /// Where a producer goes on that has written to a partition before, in the same epoch.
    pub(super) fn next_sequence(&mut self, tp: &Tp, holder: Holder) -> u64 {
        self.partition(tp).map_or(0, |partition| partition.next_sequence(holder.pid, holder.epoch))
    }

    pub(super) fn produce(
        &mut self,
        id: Option<&str>,
        tp: &Tp,
        batch: &Produced,
    ) -> Result<u64, Result<Refused, LogError>> {
        if let Some(id) = id {
            let holder = Holder { pid: batch.pid, epoch: batch.epoch };
            self.known(id).and_then(|known| known.expects(holder, tp)).map_err(Ok)?;
        }
        self.partition(tp).map_err(Err)?.append(batch).map_err(|e| {
            Ok(match e {
                Unappended::OldEpoch => Refused::Fenced,
                Unappended::OutOfOrder => Refused::Invalid,
            })
        })
    }

    /// Ends a transaction.
    pub(super) fn end(&mut self, id: &str, holder: Holder, commit: bool) -> Result<(), Refused> {
        if self.known(id)?.end(holder, commit)? {
            self.complete_soon(id);
        }
        Ok(())
    }

    /// The outcome is certain; the partitions and groups learn of it after a while.
    fn complete_soon(&mut self, id: &str) {
        let delay = self.network.marker_delay();
        if delay.is_zero() {
            return self.complete(id);
        }
        let id = id.to_owned();
        self.later(delay, false, Box::new(move |broker| broker.complete(&id)));
    }

    fn complete(&mut self, id: &str) {
        let Some(transaction) = self.transactions.get_mut(id) else { return };
        let Holder { pid, epoch } = transaction.holder;
        let Some((commit, partitions)) = transaction.complete() else { return };
        for tp in partitions {
            if let Ok(partition) = self.partition(&tp) {
                partition.mark(pid, epoch, commit);
            }
        }
        let offsets = self.pending.remove(&pid).unwrap_or_default();
        if commit {
            for (group, commit) in offsets {
                self.committed.insert((group, commit.tp.clone()), commit);
            }
        }
        self.note("complete", id);
    }

    /// Commits outside a transaction.
    pub(super) fn commit_plainly(&mut self, group: &str, commits: &[Commit]) {
        for commit in commits {
            self.committed.insert((group.to_owned(), commit.tp.clone()), commit.clone());
        }
    }

    /// What a group has committed; `None` while a transaction has offsets of it.
    pub(super) fn committed(&self, group: &str, tps: &[Tp]) -> Option<Vec<Option<Commit>>> {
        let mut open = self.pending.values().flatten();
        if open.any(|(of, commit)| of == group && tps.contains(&commit.tp)) {
            return None;
        }
        let find = |tp: &Tp| self.committed.get(&(group.to_owned(), tp.clone())).cloned();
        Some(tps.iter().map(find).collect())
    }
}
