//! What a member of a group subscribes to, and what a number of that topic stands for.
//!
//! Assignors of a group spread the partitions of each topic on their own: `a-0` may go to one member and
//! `b-0` to another, while a task needs both. So the group shares out one topic only, the widest, and whoever
//! gets a number of it owns that number of every topic:
//!
//! ```text
//! subscribed  b (4 partitions)      the group assigns  b-0, b-2
//! read        a (2), b (4), c (4)   which means        a-0, b-0, b-2, c-0, c-2
//! ```
//! All members of a group must read the same topics, or they might share out different ones.

use super::events::{Change, Rebalanced};
use crate::log::{GroupEvent, TopicName, Tp};

/// The topics that a member reads, with their numbers of partitions.
pub(super) struct Topics(Vec<(TopicName, u32)>);

impl Topics {
    pub(super) fn new(topics: Vec<(TopicName, u32)>) -> Topics {
        Topics(topics)
    }

    /// The topic that is shared out: the widest, the first by name of equally wide ones.
    pub(super) fn lead(&self) -> Option<&TopicName> {
        let widest = self.0.iter().map(|(_, n)| *n).max()?;
        self.0.iter().filter(|(_, n)| *n == widest).map(|(topic, _)| topic).min()
    }

    /// What a change of the shared topic means.
    pub(super) fn event(&self, rebalanced: &Rebalanced) -> GroupEvent {
        let mut numbers = rebalanced.partitions.clone();
        numbers.sort_unstable();
        let of_topic = |(topic, n): &(TopicName, u32)| {
            let numbers = numbers.iter().filter(|p| *p < n);
            numbers.map(|p| Tp::new(topic, *p)).collect::<Vec<_>>()
        };
        let all = self.0.iter().flat_map(of_topic).collect();
        match rebalanced.change {
            Change::Assign => GroupEvent::Assign(all),
            Change::Revoke => GroupEvent::Revoke(all),
            Change::Lost => GroupEvent::Lost(all),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(topics: &[(&str, u32)]) -> Topics {
        Topics::new(topics.iter().map(|(name, n)| (TopicName::new(name), *n)).collect())
    }

    #[test]
    fn the_widest_topic_is_shared_out_whatever_the_order() {
        let lead = |all: &[(&str, u32)]| topics(all).lead().map(ToString::to_string);
        assert_eq!(lead(&[("c", 4), ("b", 4), ("a", 2)]).as_deref(), Some("b"));
        assert_eq!(lead(&[("a", 2), ("b", 4), ("c", 4)]).as_deref(), Some("b"));
        assert_eq!(lead(&[]), None);
    }

    #[test]
    fn a_number_stands_for_that_partition_of_every_topic_that_has_it() {
        let topics = topics(&[("a", 2), ("b", 4)]);
        let event = topics.event(&Rebalanced { change: Change::Revoke, partitions: vec![3, 1] });
        let tp = |topic: &str, p| Tp::new(&TopicName::new(topic), p);
        assert_eq!(event, GroupEvent::Revoke(vec![tp("a", 1), tp("b", 1), tp("b", 3)]));
        let none = topics.event(&Rebalanced { change: Change::Assign, partitions: vec![] });
        assert_eq!(none, GroupEvent::Assign(vec![]));
    }
}
