//! Reading: one queue per partition, positions, committed offsets.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::again::Again;
use super::cluster::{ANSWER, Cluster, number};
use super::events::Events;
use super::inbox::Told;
use super::member::Topics;
use super::poll::PollThread;
use super::queue::FetchQueue;
use super::reading::{Failure, Reading};
use super::{log_error, offset, partition, settings};
use crate::error::LogError;
use crate::log::{
    Answer, Assignment, Commit, Consumer, ConsumerOptions, GroupEvent, GroupMetadata, Taken, TopicName, Tp,
};
use crate::record::{Batch, Offset};

/// How long one call waits for the offsets of unfinished transactions.
const STABLE_OFFSETS: Duration = Duration::from_secs(2);

/// A partition that has just been assigned cannot be moved at once.
const MOVES: Again = Again { tries: 1_000, pause: Duration::from_millis(10) };

/// While a group changes it refuses positions for a moment, though the partitions stay ours.
const COMMITS: Again = Again { tries: 200, pause: Duration::from_millis(10) };

/// A consumer. The order of its fields is the order in which it lets go: see [`PollThread`].
pub(super) struct KafkaConsumer {
    started: HashMap<Tp, Started>,
    client: Arc<BaseConsumer<Events>>,
    poll: PollThread,
    cluster: Arc<Cluster>,
    options: ConsumerOptions,
    /// Events that no group has to tell.
    events: VecDeque<GroupEvent>,
    /// What a change of the group means.
    topics: Option<Topics>,
    /// The group waits until partitions are given back.
    owes_answer: bool,
    /// The membership by which a transaction is to be judged until the next event, see [`KafkaConsumer::restart`].
    pinned: Option<Arc<ConsumerGroupMetadata>>,
}

/// A partition that is read.
struct Started {
    queue: FetchQueue,
    reading: Reading,
}

impl KafkaConsumer {
    pub(super) fn new(cluster: &Arc<Cluster>, options: &ConsumerOptions) -> Result<KafkaConsumer, LogError> {
        let client: BaseConsumer<Events> = settings::consumer(cluster.brokers(), options)
            .create_with_context(Events::default())
            .map_err(|error| log_error("consumer", None, &error))?;
        let client = Arc::new(client);
        Ok(KafkaConsumer {
            started: HashMap::new(),
            poll: PollThread::start(Arc::clone(&client))?,
            client,
            cluster: Arc::clone(cluster),
            options: options.clone(),
            events: VecDeque::new(),
            topics: None,
            owes_answer: false,
            pinned: None,
        })
    }

    fn join(&mut self, topics: &[TopicName]) -> Result<(), LogError> {
        self.check_group("joining of a group")?;
        let counted = topics.iter().map(|topic| Ok((topic.clone(), self.cluster.partitions(topic)?)));
        let topics = Topics::new(counted.collect::<Result<_, LogError>>()?);
        if let Some(lead) = topics.lead() {
            self.client
                .subscribe(&[lead.as_str()])
                .map_err(|error| log_error(format!("subscription to {lead}"), Some(lead), &error))?;
        }
        self.topics = Some(topics);
        Ok(())
    }

    fn own(&mut self, topics: &[TopicName], index: u32, of: u32) -> Result<(), LogError> {
        let mut ours = Vec::new();
        for topic in topics {
            let count = self.cluster.partitions(topic)?;
            ours.extend((0..count).filter(|p| p % of.max(1) == index).map(|p| Tp::new(topic, p)));
        }
        self.events.push_back(GroupEvent::Assign(ours));
        Ok(())
    }

    fn start(&mut self, positions: &[&(Tp, Offset)]) -> Result<(), LogError> {
        let mut list = TopicPartitionList::new();
        for (tp, at) in positions {
            // Before the assignment, so that no record passes through the main queue.
            let queue = FetchQueue::split(&self.client, tp.topic.as_str(), partition(tp))
                .ok_or_else(|| LogError::UnknownTopic { topic: tp.topic.to_string() })?;
            let reading = Reading::at(*at, self.cluster.reads_headers(&tp.topic));
            self.started.insert(tp.clone(), Started { queue, reading });
            add(&mut list, tp, *at, "")?;
        }
        self.client.incremental_assign(&list).map_err(|error| log_error("start of partitions", None, &error))
    }

    fn move_to(&mut self, positions: &[&(Tp, Offset)]) -> Result<(), LogError> {
        let mut left = positions.to_vec();
        let moved = MOVES.ask(
            || {
                left = self.seek(&left)?;
                Ok::<_, LogError>(left.len())
            },
            |left| matches!(left, Ok(1..)),
        );
        if moved? == 0 {
            return Ok(());
        }
        let reason = "the partition did not start".to_owned();
        Err(LogError::Client { what: "move of partitions".to_owned(), reason, retriable: true })
    }

    /// Moves what can be moved now, and gives back the rest.
    fn seek<'a>(&mut self, positions: &[&'a (Tp, Offset)]) -> Result<Vec<&'a (Tp, Offset)>, LogError> {
        let mut list = TopicPartitionList::new();
        for (tp, at) in positions {
            add(&mut list, tp, *at, "")?;
        }
        let failed = |error| log_error("move of partitions", None, &error);
        let moved = self.client.seek_partitions(list, ANSWER).map_err(failed)?;
        let mut left = Vec::new();
        for &position in positions {
            let (tp, at) = position;
            let element = moved.find_partition(tp.topic.as_str(), partition(tp));
            match element.map(|e| e.error()) {
                Some(Err(error)) if not_yet(&error) => left.push(position),
                Some(Err(error)) => return Err(log_error(format!("move of {tp}"), Some(&tp.topic), &error)),
                Some(Ok(())) | None => {
                    if let Some(started) = self.started.get_mut(tp) {
                        started.reading = Reading::at(*at, started.reading.headers);
                    }
                }
            }
        }
        Ok(left)
    }

    /// Starts a partition anew that the client has given up, see [`super::queue`].
    ///
    /// If the group is about to take partitions away and nobody knows it yet, it takes this for the answer and
    /// goes on without waiting for our commit. So that no such commit counts, transactions are judged by the
    /// membership of this moment until the next event: the group refuses it once it has gone on.
    fn restart(&mut self, place: &(Tp, Offset)) -> Result<(), LogError> {
        tracing::warn!(tp = %place.0, offset = place.1.0, "Partition started anew");
        self.pinned = self.client.group_metadata().map(Arc::new);
        let owed = self.owes_answer;
        self.stop(std::slice::from_ref(&place.0))?;
        self.owes_answer = owed;
        self.start(&[place])
    }

    fn stop(&mut self, tps: &[Tp]) -> Result<(), LogError> {
        let mut list = TopicPartitionList::new();
        let ours: Vec<_> = tps.iter().filter(|tp| self.started.contains_key(tp)).collect();
        for tp in &ours {
            list.add_partition(tp.topic.as_str(), partition(tp));
        }
        if ours.is_empty() && !self.owes_answer {
            return Ok(());
        }
        self.client
            .incremental_unassign(&list)
            .map_err(|error| log_error("stop of partitions", None, &error))?;
        self.owes_answer = false;
        for tp in ours {
            self.started.remove(tp);
        }
        Ok(())
    }

    fn check_group(&self, what: &str) -> Result<(), LogError> {
        if self.options.group.is_some() {
            return Ok(());
        }
        let reason = "the consumer has no group".to_owned();
        Err(LogError::Client { what: what.to_owned(), reason, retriable: false })
    }
}

impl Consumer for KafkaConsumer {
    fn subscribe(&mut self, topics: &[TopicName]) -> Result<(), LogError> {
        match self.options.assignment {
            Assignment::Group(_) => self.join(topics),
            Assignment::Static { index, of } => self.own(topics, index, of),
            Assignment::Manual => Ok(()),
        }
    }

    fn serve(&mut self, wait: Duration) -> Result<Option<GroupEvent>, LogError> {
        let wait = if self.events.is_empty() { wait } else { Duration::ZERO };
        let event = match self.poll.next(wait) {
            None => return Ok(self.events.pop_front()),
            Some(Told::Failure(error)) => return Err(error),
            Some(Told::Closed) => {
                let reason = "it has ended".to_owned();
                return Err(LogError::Client { what: "poll thread".to_owned(), reason, retriable: false });
            }
            Some(Told::Group(rebalanced)) => self.topics.as_ref().map(|topics| topics.event(&rebalanced)),
        };
        self.pinned = None;
        self.owes_answer |= matches!(event, Some(GroupEvent::Revoke(_) | GroupEvent::Lost(_)));
        Ok(event)
    }

    fn answer(&mut self, answer: Answer<'_>) -> Result<(), LogError> {
        match answer {
            Answer::Start(positions) => {
                // A partition that has failed no longer listens to a seek: it is started anew.
                let failed = |tp: &&Tp| self.started.get(tp).is_some_and(|s| s.reading.failure.is_some());
                let failed: Vec<Tp> = positions.iter().map(|(tp, _)| tp).filter(failed).cloned().collect();
                self.stop(&failed)?;
                let there = |(tp, at): &&(Tp, Offset)| {
                    self.started.get(tp).is_some_and(|started| started.reading.position == *at)
                };
                let (moved, new): (Vec<_>, Vec<_>) = positions
                    .iter()
                    .filter(|position| !there(position))
                    .partition(|(tp, _)| self.started.contains_key(tp));
                if !new.is_empty() {
                    self.start(&new)?;
                }
                if moved.is_empty() { Ok(()) } else { self.move_to(&moved) }
            }
            Answer::Stop(tps) => self.stop(tps),
        }
    }

    fn take(&mut self, tp: &Tp, max: usize, into: &mut Batch) -> Result<Taken, LogError> {
        let Some(Started { queue, reading }) = self.started.get_mut(tp) else {
            let reason = "the partition is not started".to_owned();
            return Err(LogError::Client { what: format!("take from {tp}"), reason, retriable: false });
        };
        let full = into.len() + max;
        let before = into.len();
        while into.len() < full && queue.take(full - into.len(), |message| reading.see(message, into)) > 0 {}
        let n = into.len() - before;
        let back = (tp.clone(), reading.position);
        if reading.astray {
            self.move_to(&[&back])?;
            return Ok(Taken { n, caught_up: false });
        }
        match &reading.failure {
            Some(failure) if n == 0 => match explain(&self.cluster, tp, back.1, failure) {
                Some(error) => Err(error),
                None => {
                    self.restart(&back)?;
                    Ok(Taken::default())
                }
            },
            Some(_) | None => Ok(Taken { n, caught_up: reading.at_end }),
        }
    }

    fn committed(&mut self, tps: &[Tp]) -> Result<Vec<Option<Commit>>, LogError> {
        self.check_group("committed offsets")?;
        if tps.is_empty() {
            return Ok(Vec::new());
        }
        let mut list = TopicPartitionList::new();
        for tp in tps {
            list.add_partition(tp.topic.as_str(), partition(tp));
        }
        let failed = |topic, error| log_error("committed offsets", topic, &error);
        let found =
            self.client.committed_offsets(list, STABLE_OFFSETS).map_err(|error| failed(None, error))?;
        tps.iter()
            .map(|tp| {
                let Some(element) = found.find_partition(tp.topic.as_str(), partition(tp)) else {
                    return Ok(None);
                };
                element.error().map_err(|error| failed(Some(&tp.topic), error))?;
                let note = element.metadata().to_owned();
                Ok(number(element.offset()).map(|offset| Commit { tp: tp.clone(), offset, note }))
            })
            .collect()
    }

    fn commit(&mut self, offsets: &[Commit]) -> Result<(), LogError> {
        self.check_group("commit of offsets")?;
        if offsets.is_empty() {
            return Ok(());
        }
        let list = commits(offsets)?;
        let committed = COMMITS.ask(
            || self.client.commit(&list, CommitMode::Sync),
            |result| result.as_ref().is_err_and(group_changes),
        );
        committed.map_err(|error| log_error("commit of offsets", None, &error))
    }

    fn group(&self) -> Option<GroupMetadata> {
        self.options.group.as_ref()?;
        let metadata = self.pinned.clone().or_else(|| self.client.group_metadata().map(Arc::new))?;
        Some(GroupMetadata(Box::new(metadata)))
    }

    fn close(self: Box<Self>, within: Duration) -> Result<(), LogError> {
        let KafkaConsumer { started, client, poll, .. } = *self;
        drop(started);
        drop(client);
        poll.finish(within)
    }
}

/// The failure of one partition in full: what is asked for, and what there is. `None`: all is there, the client
/// was looking in the wrong place.
fn explain(cluster: &Cluster, tp: &Tp, position: Offset, failure: &Failure) -> Option<LogError> {
    let what = format!("read of {tp} at offset {}", position.0);
    if failure.code == RDKafkaErrorCode::AutoOffsetReset {
        return Some(match cluster.range(tp) {
            Ok(range) if (range.first..=range.end).contains(&position) => return None,
            Ok(range) if position < range.first => {
                LogError::HistoryMissing { tp: tp.to_string(), need: position.0, have: range.first.0 }
            }
            Ok(range) => {
                let (end, words) = (range.end.0, &failure.words);
                let reason = format!("the partition ends at {end} ({words}); was the topic made anew?");
                LogError::Client { what, reason, retriable: false }
            }
            Err(error) => error,
        });
    }
    Some(match log_error(what, Some(&tp.topic), &KafkaError::MessageConsumption(failure.code)) {
        LogError::Client { what, retriable, .. } if !failure.words.is_empty() => {
            LogError::Client { what, reason: failure.words.clone(), retriable }
        }
        other => other,
    })
}

/// A list for the client, with the notes as commit metadata.
pub(super) fn commits(offsets: &[Commit]) -> Result<TopicPartitionList, LogError> {
    let mut list = TopicPartitionList::new();
    for commit in offsets {
        add(&mut list, &commit.tp, commit.offset, &commit.note)?;
    }
    Ok(list)
}

fn add(list: &mut TopicPartitionList, tp: &Tp, at: Offset, note: &str) -> Result<(), LogError> {
    let mut element = list.add_partition(tp.topic.as_str(), partition(tp));
    element.set_offset(offset(at)).map_err(|error| log_error(format!("offset of {tp}"), None, &error))?;
    if !note.is_empty() {
        element.set_metadata(note);
    }
    Ok(())
}

/// The group is about to go on, or has just done so: this member is counted again in a moment.
fn group_changes(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{IllegalGeneration, RebalanceInProgress, StaleMemberEpoch};
    matches!(error.rdkafka_error_code(), Some(IllegalGeneration | RebalanceInProgress | StaleMemberEpoch))
}

/// A seek that comes before the partition has started, or while it stops.
fn not_yet(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{PreviousInProgress, State};
    matches!(error.rdkafka_error_code(), Some(State | PreviousInProgress))
}
