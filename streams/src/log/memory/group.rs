//! A group as its coordinator sees it: members that come, fall silent and go, and who has which partitions.
//!
//! Partitions of one number belong together over all topics. A number that moves is taken from its owner
//! first, and given on when the owner has answered; all others go on meanwhile. Every change makes a new
//! generation, and whoever has not heard of it commits nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::log::{GroupEvent, TopicName, Tp};

/// A member as its requests name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MemberId {
    /// Its name, which a later holder can take over.
    pub(super) name: String,
    /// Which holder of the name.
    pub(super) holder: u64,
    /// The generation that it has heard of.
    pub(super) generation: u64,
}

#[derive(Debug)]
struct Member {
    holder: u64,
    session: Duration,
    seen: Duration,
    events: VecDeque<GroupEvent>,
    /// Numbers it was given and has not given back.
    owns: BTreeSet<u32>,
    /// Those of them that it was asked to give back.
    asked: BTreeSet<u32>,
}

/// What a member hears.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The next event, if any.
    Event(Option<GroupEvent>),
    /// It is a member no more and must join again: these numbers are lost.
    Expelled,
    /// Another one has its name.
    Replaced,
}

#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) generation: u64,
    members: BTreeMap<String, Member>,
    /// Partitions of each number, over all topics that are subscribed to.
    partitions: BTreeMap<u32, Vec<Tp>>,
}

impl Group {
    /// A member joins, or the next holder of its name takes its place and finds its partitions.
    pub(super) fn join(
        &mut self,
        id: &MemberId,
        session: Duration,
        now: Duration,
        topics: &[(TopicName, u32)],
    ) {
        let partitions = &mut self.partitions;
        partitions.clear();
        for (topic, n) in topics {
            for p in 0..*n {
                partitions.entry(p).or_default().push(Tp::new(topic, p));
            }
        }
        let known = self.members.remove(&id.name);
        let owns = known.map(|known| &known.owns - &known.asked).unwrap_or_default();
        let events = VecDeque::from([GroupEvent::Assign(self.tps(&owns))]);
        let asked = BTreeSet::new();
        let member = Member { holder: id.holder, session, seen: now, events, owns, asked };
        self.members.insert(id.name.clone(), member);
        self.rebalance();
    }

    /// A member is alive; what it has to know.
    pub(super) fn hear(&mut self, id: &MemberId, now: Duration) -> Heard {
        self.expire(now);
        match self.members.get_mut(&id.name) {
            None => Heard::Expelled,
            Some(member) if member.holder != id.holder => Heard::Replaced,
            Some(member) => {
                member.seen = now;
                Heard::Event(member.events.pop_front())
            }
        }
    }

    /// A member has given partitions back.
    pub(super) fn stopped(&mut self, id: &MemberId, tps: &[Tp]) {
        let Some(member) = self.members.get_mut(&id.name).filter(|member| member.holder == id.holder) else {
            return;
        };
        let numbers: BTreeSet<u32> = tps.iter().map(|tp| tp.partition).collect();
        let given: BTreeSet<u32> = &member.asked & &numbers;
        member.asked.retain(|number| !given.contains(number));
        member.owns.retain(|number| !given.contains(number));
        if !given.is_empty() {
            self.rebalance();
        }
    }

    /// May this member commit?
    pub(super) fn knows(&mut self, id: &MemberId, now: Duration) -> bool {
        self.expire(now);
        let member = self.members.get(&id.name);
        member.is_some_and(|member| member.holder == id.holder) && id.generation == self.generation
    }

    /// How many members there are.
    pub(super) fn count(&mut self, now: Duration) -> usize {
        self.expire(now);
        self.members.len()
    }

    /// Nobody counts as silent before then.
    pub(super) fn wait_until(&mut self, at: Duration) {
        self.members.values_mut().for_each(|member| member.seen = member.seen.max(at));
    }

    /// Puts a member out. `false`: there is none of this number.
    pub(super) fn kick(&mut self, nth: usize) -> bool {
        let name = self.members.keys().nth(nth).cloned();
        let kicked = name.is_some_and(|name| self.members.remove(&name).is_some());
        if kicked {
            self.rebalance();
        }
        kicked
    }

    fn expire(&mut self, now: Duration) {
        let before = self.members.len();
        self.members.retain(|_, member| now <= member.seen + member.session);
        if self.members.len() < before {
            self.rebalance();
        }
    }

    /// Shares all numbers out evenly; who has one keeps it as long as that is fair.
    fn rebalance(&mut self) {
        self.generation += 1;
        let n = self.members.len().max(1);
        let fair = self.partitions.len().div_ceil(n);
        for member in self.members.values_mut() {
            let keeps: Vec<u32> = (&member.owns - &member.asked).into_iter().collect();
            let too_many: BTreeSet<u32> = keeps.into_iter().skip(fair).collect();
            if !too_many.is_empty() {
                member.asked.extend(&too_many);
                member.events.push_back(GroupEvent::Revoke(tps(&self.partitions, &too_many)));
            }
        }
        let taken: BTreeSet<u32> = self.members.values().flat_map(|member| member.owns.clone()).collect();
        let mut free: VecDeque<u32> =
            self.partitions.keys().copied().filter(|number| !taken.contains(number)).collect();
        for member in self.members.values_mut() {
            let room = fair.saturating_sub(member.owns.len() - member.asked.len());
            let new: BTreeSet<u32> = free.drain(..room.min(free.len())).collect();
            if !new.is_empty() {
                member.owns.extend(&new);
                member.events.push_back(GroupEvent::Assign(tps(&self.partitions, &new)));
            }
        }
    }

    fn tps(&self, numbers: &BTreeSet<u32>) -> Vec<Tp> {
        tps(&self.partitions, numbers)
    }
}

fn tps(partitions: &BTreeMap<u32, Vec<Tp>>, numbers: &BTreeSet<u32>) -> Vec<Tp> {
    numbers.iter().filter_map(|number| partitions.get(number)).flatten().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: Duration = Duration::from_secs(10);

    fn id(name: &str, holder: u64, generation: u64) -> MemberId {
        MemberId { name: name.to_owned(), holder, generation }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn numbers(event: &GroupEvent) -> Vec<u32> {
        let (GroupEvent::Assign(tps) | GroupEvent::Revoke(tps) | GroupEvent::Lost(tps)) = event;
        tps.iter().map(|tp| tp.partition).collect()
    }

    fn join(group: &mut Group, name: &str, holder: u64, now: Duration) {
        group.join(&id(name, holder, 0), SESSION, now, &[(TopicName::new("in"), 4)]);
    }

    /// Everything a member hears, until nothing is left.
    fn hear(group: &mut Group, name: &str, holder: u64, now: Duration) -> Vec<GroupEvent> {
        let mut heard = Vec::new();
        while let Heard::Event(Some(event)) = group.hear(&id(name, holder, 0), now) {
            heard.push(event);
        }
        heard
    }

    #[test]
    fn a_partition_moves_only_when_its_owner_has_given_it_back() {
        let mut group = Group::default();
        join(&mut group, "a", 1, at(0));
        let first = hear(&mut group, "a", 1, at(0));
        assert_eq!(first.iter().flat_map(numbers).collect::<Vec<_>>(), [0, 1, 2, 3]);
        join(&mut group, "b", 2, at(1));
        assert_eq!(hear(&mut group, "b", 2, at(1)), [GroupEvent::Assign(Vec::new())]);
        let asked = hear(&mut group, "a", 1, at(1));
        assert!(matches!(&asked[..], [GroupEvent::Revoke(_)]) && numbers(&asked[0]) == [2, 3], "{asked:?}");
        group.stopped(&id("a", 1, 0), &[2, 3].map(|p| Tp::new(&TopicName::new("in"), p)));
        let given = hear(&mut group, "b", 2, at(2));
        assert!(matches!(&given[..], [GroupEvent::Assign(_)]) && numbers(&given[0]) == [2, 3], "{given:?}");
    }

    #[test]
    fn a_silent_member_loses_its_partitions_and_commits_nothing() {
        let mut group = Group::default();
        join(&mut group, "a", 1, at(0));
        join(&mut group, "b", 2, at(0));
        let generation = group.generation;
        assert!(group.knows(&id("a", 1, generation), at(9)));
        hear(&mut group, "b", 2, at(9));
        assert!(!group.knows(&id("a", 1, generation), at(11)), "it was silent for too long");
        assert_eq!(group.hear(&id("a", 1, generation), at(11)), Heard::Expelled);
        assert!(!group.knows(&id("b", 2, generation), at(11)), "it has not heard of the new generation");
        assert!(group.knows(&id("b", 2, group.generation), at(11)));
    }

    #[test]
    fn the_next_holder_of_a_name_finds_its_partitions_and_ends_the_first() {
        let mut group = Group::default();
        join(&mut group, "a", 1, at(0));
        hear(&mut group, "a", 1, at(0));
        join(&mut group, "a", 2, at(1));
        assert_eq!(group.hear(&id("a", 1, group.generation), at(1)), Heard::Replaced);
        let found = hear(&mut group, "a", 2, at(1));
        assert_eq!(found.iter().flat_map(numbers).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert!(group.kick(0) && !group.kick(0));
    }
}
