//! Questions to the cluster: topics, partitions, ranges, offsets by time.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::metadata::Metadata;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use rdkafka::{Offset as At, TopicPartitionList};

use super::again::Again;
use super::asking::{Admin, Asking, Client, Plain, Reader};
use super::{create_time, log_error, partition};
use crate::error::LogError;
use crate::log::{Range, TopicName, Tp};
use crate::record::Offset;
use crate::time::Ts;

/// How long one question may take.
pub(super) const ANSWER: Duration = Duration::from_secs(10);

/// A partition that was just made, or moves, has no leader for a moment.
const ELECTION: Again = Again { tries: 100, pause: Duration::from_millis(100) };

/// A cluster that has answered once.
pub(super) struct Cluster {
    brokers: String,
    /// Sees committed records only: its "end" is the last stable offset.
    stable: Asking<Reader<true>>,
    /// Sees everything.
    all: Asking<Reader<false>>,
    /// Makes and describes topics.
    admin: Asking<Admin>,
    /// Topics whose records' headers nobody wants.
    without_headers: Mutex<BTreeSet<TopicName>>,
}

impl Cluster {
    pub(super) fn connect(brokers: &str) -> Result<Cluster, LogError> {
        let cluster = Cluster {
            brokers: brokers.to_owned(),
            stable: Asking::new(brokers),
            all: Asking::new(brokers),
            admin: Asking::new(brokers),
            without_headers: Mutex::default(),
        };
        let unreachable = |error: KafkaError, words: Option<String>| LogError::Unreachable {
            brokers: brokers.to_owned(),
            reason: words.unwrap_or_else(|| error.to_string()),
        };
        let mut words = None;
        let asked = cluster.stable.ask(|reader| {
            let answer = reader.fetch_metadata(None, ANSWER).map(|_| ());
            words = if answer.is_err() { reader.words() } else { None };
            answer
        });
        asked.map_err(|error| unreachable(error, words))?;
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
        self.stable.ask(|reader| reader.fetch_metadata(topic, ANSWER))
    }

    /// Asks the client that makes topics and knows their settings.
    pub(super) fn admin<T>(
        &self,
        ask: impl FnOnce(&Admin) -> Result<T, KafkaError>,
    ) -> Result<T, KafkaError> {
        self.admin.ask(ask)
    }

    pub(super) fn partitions(&self, topic: &TopicName) -> Result<u32, LogError> {
        let unknown = || LogError::UnknownTopic { topic: topic.to_string() };
        let found = led(|| {
            let found = self.metadata(Some(topic.as_str()))?;
            match found.topics().first().and_then(|topic| topic.error()) {
                None | Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) => Ok(found),
                Some(error) => Err(KafkaError::MetadataFetch(error.into())),
            }
        })
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
        let (_, end) = self.watermarks(&self.all, tp)?;
        Ok(Range { first, stable, end: end.max(stable) })
    }

    pub(super) fn offset_at(&self, tp: &Tp, ts: Ts) -> Result<Option<Offset>, LogError> {
        self.check(tp)?;
        let failed = |error| log_error(format!("first offset of {tp} at a time"), Some(&tp.topic), &error);
        let mut asked = TopicPartitionList::new();
        asked
            .add_partition_offset(tp.topic.as_str(), partition(tp), At::Offset(create_time(ts)))
            .map_err(failed)?;
        let found = led(|| {
            let found = self.stable.ask(|reader| reader.offsets_for_times(asked.clone(), ANSWER))?;
            let Some(element) = found.elements().first().map(|e| (e.error(), e.offset())) else {
                return Ok(None);
            };
            element.0.map(|()| number(element.1))
        });
        found.map_err(failed)
    }

    pub(super) fn members(&self, group: &str) -> Result<usize, LogError> {
        let found = self.stable.ask(|reader| reader.fetch_group_list(Some(group), ANSWER));
        let found = found.map_err(|error| log_error(format!("members of group {group}"), None, &error))?;
        Ok(found
            .groups()
            .iter()
            .filter(|known| known.name() == group)
            .map(|known| known.members().len())
            .sum())
    }

    /// Watermarks of a partition that does not exist are waited for in vain: asked first.
    fn check(&self, tp: &Tp) -> Result<(), LogError> {
        if tp.partition < self.partitions(&tp.topic)? {
            return Ok(());
        }
        Err(LogError::UnknownTopic { topic: tp.to_string() })
    }

    fn watermarks<C: Client + Deref<Target = Plain>>(
        &self,
        reader: &Asking<C>,
        tp: &Tp,
    ) -> Result<(Offset, Offset), LogError> {
        let (topic, number) = (tp.topic.as_str(), partition(tp));
        let (first, end) = led(|| reader.ask(|reader| reader.fetch_watermarks(topic, number, ANSWER)))
            .map_err(|error| log_error(format!("range of {tp}"), Some(&tp.topic), &error))?;
        Ok((Offset(first.max(0) as u64), Offset(end.max(0) as u64)))
    }
}

/// Asks until the partition has a leader.
fn led<T>(ask: impl FnMut() -> Result<T, KafkaError>) -> Result<T, KafkaError> {
    use RDKafkaErrorCode::{LeaderNotAvailable, NotLeaderForPartition, UnknownTopicOrPartition};
    let no_leader = |error: &KafkaError| {
        let code = error.rdkafka_error_code();
        matches!(code, Some(LeaderNotAvailable | NotLeaderForPartition | UnknownTopicOrPartition))
    };
    ELECTION.ask(ask, |answer| answer.as_ref().is_err_and(no_leader))
}

/// An offset that is a place; the client also knows names such as "end".
pub(super) fn number(offset: At) -> Option<Offset> {
    match offset {
        At::Offset(n) => u64::try_from(n).ok().map(Offset),
        At::Beginning | At::End | At::Stored | At::Invalid | At::OffsetTail(_) => None,
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
