//! Questions to the cluster: topics, partitions, ranges, offsets by time.

use std::collections::BTreeSet;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::metadata::Metadata;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset as At, TopicPartitionList};

use super::events::Events;
use super::{create_time, log_error, partition, settings};
use crate::error::LogError;
use crate::log::{Range, TopicName, Tp};
use crate::record::Offset;
use crate::time::Ts;

/// How long one question may take.
pub(super) const ANSWER: Duration = Duration::from_secs(10);

/// A partition that was just made, or moves, has no leader for a moment: it is asked again so often, after
/// such a pause.
const ELECTION_TRIES: u32 = 100;
const ELECTION_PAUSE: Duration = Duration::from_millis(100);

/// Error events that wait in a client, at most: they are served before each question.
const EVENTS: usize = 32;

type Reader = BaseConsumer<Events>;

/// A cluster that has answered once.
pub(super) struct Cluster {
    brokers: String,
    /// Sees committed records only: its "end" is the last stable offset.
    stable: Reader,
    /// Sees everything. Made when first needed.
    all: OnceLock<Reader>,
    /// Topics whose records' headers nobody wants.
    without_headers: Mutex<BTreeSet<TopicName>>,
}

impl Cluster {
    pub(super) fn connect(brokers: &str) -> Result<Cluster, LogError> {
        let cluster = Cluster {
            brokers: brokers.to_owned(),
            stable: reader(brokers, "read_committed")?,
            all: OnceLock::new(),
            without_headers: Mutex::default(),
        };
        cluster.metadata(None).map_err(|error| cluster.unreachable(&error))?;
        Ok(cluster)
    }

    pub(super) fn skip_headers(&self, topic: &TopicName) {
        self.without_headers.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.clone());
    }

    pub(super) fn reads_headers(&self, topic: &TopicName) -> bool {
        !self.without_headers.lock().unwrap_or_else(PoisonError::into_inner).contains(topic)
    }

    pub(super) fn brokers(&self) -> &str {
        &self.brokers
    }

    /// What the brokers say about one topic or all.
    pub(super) fn metadata(&self, topic: Option<&str>) -> Result<Metadata, KafkaError> {
        serve(&self.stable);
        self.stable.fetch_metadata(topic, ANSWER)
    }

    pub(super) fn partitions(&self, topic: &TopicName) -> Result<u32, LogError> {
        let unknown = || LogError::UnknownTopic { topic: topic.to_string() };
        let found = self
            .metadata(Some(topic.as_str()))
            .map_err(|error| log_error(format!("metadata of topic {topic}"), Some(topic), &error))?;
        let count = found.topics().first().map_or(0, |t| t.partitions().len());
        if count == 0 { Err(unknown()) } else { u32::try_from(count).map_err(|_| unknown()) }
    }

    pub(super) fn topics(&self) -> Result<Vec<TopicName>, LogError> {
        let found = self.metadata(None).map_err(|error| log_error("list of topics", None, &error))?;
        let names = found.topics().iter().map(|t| t.name());
        let mut names: Vec<_> = names.filter(|name| !name.starts_with("__")).map(TopicName::new).collect();
        names.sort();
        Ok(names)
    }

    pub(super) fn range(&self, tp: &Tp) -> Result<Range, LogError> {
        self.check(tp)?;
        // In this order, so that the end is not older than the stable offset.
        let (first, stable) = self.watermarks(&self.stable, tp)?;
        let (_, end) = self.watermarks(self.all()?, tp)?;
        Ok(Range { first, stable, end: end.max(stable) })
    }

    pub(super) fn offset_at(&self, tp: &Tp, ts: Ts) -> Result<Option<Offset>, LogError> {
        self.check(tp)?;
        let failed = |error| log_error(format!("first offset of {tp} at a time"), Some(&tp.topic), &error);
        let mut asked = TopicPartitionList::new();
        asked
            .add_partition_offset(tp.topic.as_str(), partition(tp), At::Offset(create_time(ts)))
            .map_err(failed)?;
        serve(&self.stable);
        let found = led(|| {
            let found = self.stable.offsets_for_times(asked.clone(), ANSWER)?;
            let Some(element) = found.elements().first().map(|e| (e.error(), e.offset())) else {
                return Ok(None);
            };
            element.0.map(|()| number(element.1))
        });
        found.map_err(failed)
    }

    /// Watermarks of a partition that does not exist are waited for in vain: asked first.
    fn check(&self, tp: &Tp) -> Result<(), LogError> {
        if tp.partition < self.partitions(&tp.topic)? {
            return Ok(());
        }
        Err(LogError::UnknownTopic { topic: tp.to_string() })
    }

    fn watermarks(&self, reader: &Reader, tp: &Tp) -> Result<(Offset, Offset), LogError> {
        serve(reader);
        let (first, end) = led(|| reader.fetch_watermarks(tp.topic.as_str(), partition(tp), ANSWER))
            .map_err(|error| log_error(format!("range of {tp}"), Some(&tp.topic), &error))?;
        Ok((Offset(first.max(0) as u64), Offset(end.max(0) as u64)))
    }

    fn all(&self) -> Result<&Reader, LogError> {
        if let Some(reader) = self.all.get() {
            return Ok(reader);
        }
        let made = reader(&self.brokers, "read_uncommitted")?;
        Ok(self.all.get_or_init(|| made))
    }

    fn unreachable(&self, error: &KafkaError) -> LogError {
        serve(&self.stable);
        let reason = self.stable.context().last_error().unwrap_or_else(|| error.to_string());
        LogError::Unreachable { brokers: self.brokers.clone(), reason }
    }
}

/// Asks until the partition has a leader.
fn led<T>(mut ask: impl FnMut() -> Result<T, KafkaError>) -> Result<T, KafkaError> {
    use RDKafkaErrorCode::{LeaderNotAvailable, NotLeaderForPartition, UnknownTopicOrPartition};
    for _ in 0..ELECTION_TRIES {
        match ask() {
            Err(error)
                if matches!(
                    error.rdkafka_error_code(),
                    Some(LeaderNotAvailable | NotLeaderForPartition | UnknownTopicOrPartition)
                ) =>
            {
                thread::sleep(ELECTION_PAUSE);
            }
            answer => return answer,
        }
    }
    ask()
}

/// An offset that is a place; the client also knows names such as "end".
pub(super) fn number(offset: At) -> Option<Offset> {
    match offset {
        At::Offset(n) => u64::try_from(n).ok().map(Offset),
        At::Beginning | At::End | At::Stored | At::Invalid | At::OffsetTail(_) => None,
    }
}

fn reader(brokers: &str, isolation: &str) -> Result<Reader, LogError> {
    settings::reader(brokers, isolation)
        .create_with_context(Events::default())
        .map_err(|error| log_error(format!("client for {brokers}"), None, &error))
}

/// Hands the events that wait to [`Events`]. A reader has no poll thread and gets no records.
fn serve(reader: &Reader) {
    for _ in 0..EVENTS {
        // Without a subscription nothing but events can come, and those have been handled inside.
        drop(reader.poll(Duration::ZERO));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_without_leader_is_asked_again_and_other_answers_count() {
        let mut answers = vec![
            Ok(7),
            Err(KafkaError::MetadataFetch(RDKafkaErrorCode::NotLeaderForPartition)),
            Err(KafkaError::MetadataFetch(RDKafkaErrorCode::LeaderNotAvailable)),
        ];
        assert_eq!(led(|| answers.pop().expect("asked three times")), Ok(7));
        let refused = KafkaError::MetadataFetch(RDKafkaErrorCode::TopicAuthorizationFailed);
        let mut asked = 0;
        let answer: Result<(), _> = led(|| {
            asked += 1;
            Err(refused.clone())
        });
        assert_eq!((answer, asked), (Err(refused), 1));
    }
}
