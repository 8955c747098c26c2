//! A client that reads: its positions, and what its group has committed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::Inner;
use super::group::{Heard, MemberId};
use crate::error::LogError;
use crate::log::{
    Answer, Assignment, Commit, Consumer, ConsumerOptions, GroupEvent, GroupMetadata, Range, Taken,
    TopicName, Tp,
};
use crate::record::{Batch, Offset};

/// How long offsets of unfinished transactions are waited for: longer than such a transaction can be open.
const STABLE: Duration = Duration::from_secs(30);
/// Between two looks at them.
const LOOK: Duration = Duration::from_millis(2);

/// The group of a consumer, as [`GroupMetadata`] holds it.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) name: String,
    /// `None`: partitions are owned by number, and no generation fences.
    pub(super) member: Option<MemberId>,
}

#[derive(Debug)]
pub(super) struct MemoryConsumer {
    inner: Arc<Inner>,
    group: Option<Group>,
    assignment: Assignment,
    events: VecDeque<GroupEvent>,
    positions: BTreeMap<Tp, u64>,
    /// What the group has given us.
    held: BTreeSet<Tp>,
    topics: Vec<TopicName>,
}

impl MemoryConsumer {
    pub(super) fn new(inner: Arc<Inner>, options: &ConsumerOptions) -> MemoryConsumer {
        let member = match &options.assignment {
            Assignment::Group(membership) => {
                let holder = inner.lock().next_pid().0;
                Some(MemberId { name: membership.name.clone(), holder, generation: 0 })
            }
            Assignment::Static { .. } | Assignment::Manual => None,
        };
        MemoryConsumer {
            inner,
            group: options.group.clone().map(|name| Group { name, member }),
            assignment: options.assignment.clone(),
            events: VecDeque::new(),
            positions: BTreeMap::new(),
            held: BTreeSet::new(),
            topics: Vec::new(),
        }
    }

    /// Joins the group, or joins it again.
    fn join(&mut self) -> Result<(), LogError> {
        let (Assignment::Group(membership), Some(group)) = (&self.assignment, &self.group) else {
            return Ok(());
        };
        let Some(member) = &group.member else { return Ok(()) };
        let topics = &self.topics;
        self.inner.ask(|broker| {
            let count = |name: &TopicName| {
                let topic = broker.topics.get(name).map(|topic| (name.clone(), topic.spec.partitions));
                topic.ok_or_else(|| LogError::UnknownTopic { topic: name.to_string() })
            };
            let topics = topics.iter().map(count).collect::<Result<Vec<_>, _>>()?;
            let now = broker.now;
            broker.group(&group.name).join(member, membership.session_timeout, now, &topics);
            Ok(())
        })
    }

    /// Tells the group that we are alive, and hears what changed in it.
    fn hear(&mut self) -> Result<Option<GroupEvent>, LogError> {
        let Some(Group { name, member: Some(member) }) = &mut self.group else { return Ok(None) };
        let mut broker = self.inner.lock();
        if broker.is_down() {
            return Ok(None);
        }
        let now = broker.now;
        let group = broker.group(name);
        let heard = group.hear(member, now);
        member.generation = group.generation;
        drop(broker);
        match heard {
            Heard::Event(event) => {
                if let Some(GroupEvent::Assign(tps)) = &event {
                    self.held.extend(tps.iter().cloned());
                }
                Ok(event)
            }
            Heard::Expelled => {
                self.join()?;
                Ok(Some(GroupEvent::Lost(std::mem::take(&mut self.held).into_iter().collect())))
            }
            Heard::Replaced => Err(LogError::MemberFenced),
        }
    }

    fn group_name(&self) -> Result<String, LogError> {
        let named = self.group.as_ref().map(|group| group.name.clone());
        named.ok_or_else(|| failure("committed offsets", "the consumer has no group", false))
    }
}

impl Consumer for MemoryConsumer {
    fn subscribe(&mut self, topics: &[TopicName]) -> Result<(), LogError> {
        let (index, of) = match self.assignment {
            Assignment::Static { index, of } => (index, of),
            Assignment::Group(_) => {
                self.topics = topics.to_vec();
                return self.join();
            }
            Assignment::Manual => return Ok(()),
        };
        let mut ours = Vec::new();
        for name in topics {
            let known = self.inner.ask(|broker| {
                let topic = broker.topics.get(name).map(|topic| topic.spec.partitions);
                topic.ok_or_else(|| LogError::UnknownTopic { topic: name.to_string() })
            });
            let owned = (0..known?).filter(|p| p % of.max(1) == index);
            ours.extend(owned.map(|p| Tp::new(name, p)));
        }
        self.events.push_back(GroupEvent::Assign(ours));
        Ok(())
    }

    fn serve(&mut self, wait: Duration) -> Result<Option<GroupEvent>, LogError> {
        if self.events.is_empty() && !wait.is_zero() {
            if self.inner.simulated {
                self.inner.lock().advance(wait);
            } else {
                let broker = self.inner.lock();
                let waited = self.inner.changed.wait_timeout(broker, wait);
                drop(waited.unwrap_or_else(PoisonError::into_inner));
            }
        }
        match self.events.pop_front() {
            None => self.hear(),
            event => Ok(event),
        }
    }

    fn answer(&mut self, answer: Answer<'_>) -> Result<(), LogError> {
        match answer {
            Answer::Start(starts) => {
                for (tp, offset) in starts {
                    self.inner.ask(|broker| broker.partition(tp).map(drop))?;
                    self.positions.insert(tp.clone(), offset.0);
                }
            }
            Answer::Stop(tps) => {
                self.positions.retain(|tp, _| !tps.contains(tp));
                self.held.retain(|tp| !tps.contains(tp));
                if let Some(Group { name, member: Some(member) }) = &self.group {
                    self.inner.lock().group(name).stopped(member, tps);
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, tp: &Tp, max: usize, into: &mut Batch) -> Result<Taken, LogError> {
        let position =
            self.positions.get_mut(tp).ok_or_else(|| failure(tp, "the partition was not started", false))?;
        let mut broker = self.inner.lock();
        if broker.is_down() || broker.network.is_unfetched() {
            return Ok(Taken::default());
        }
        let partition = broker.partition(tp)?;
        let Range { first, stable: Offset(stable), .. } = partition.range();
        if *position < first.0 {
            return Err(LogError::HistoryMissing { tp: tp.to_string(), need: *position, have: first.0 });
        }
        let (next, n) = partition.read(*position, max, into);
        *position = next;
        Ok(Taken { n, caught_up: next >= stable })
    }

    fn committed(&mut self, tps: &[Tp]) -> Result<Vec<Option<Commit>>, LogError> {
        let group = self.group_name()?;
        for _ in 0..STABLE.as_millis() / LOOK.as_millis() {
            let found = self.inner.ask(|broker| Ok(broker.committed(&group, tps)))?;
            if let Some(found) = found {
                return Ok(found);
            }
            self.inner.pause(LOOK);
        }
        let reason = format!("a transaction that holds offsets of {group} does not end");
        Err(failure("committed offsets", reason, true))
    }

    fn commit(&mut self, offsets: &[Commit]) -> Result<(), LogError> {
        let (group, offsets) = (self.group_name()?, offsets.to_vec());
        let reply = self.inner.call("commit offsets", STABLE, move |broker| {
            broker.commit_plainly(&group, &offsets);
        });
        reply.answer.ok_or_else(|| failure("commit", "no answer", true))
    }

    fn group(&self) -> Option<GroupMetadata> {
        self.group.clone().map(|group| GroupMetadata(Box::new(group)))
    }

    fn close(self: Box<Self>, _within: Duration) -> Result<(), LogError> {
        Ok(())
    }
}

fn failure(what: impl ToString, reason: impl Into<String>, retriable: bool) -> LogError {
    LogError::Client { what: what.to_string(), reason: reason.into(), retriable }
}
