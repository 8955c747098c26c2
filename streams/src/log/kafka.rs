//! The log on Kafka: the only place that knows rdkafka (0.39, librdkafka 2.12).
//!
//! ```text
//! stream thread ── take ──▶ one queue per partition ◀─┐
//!       │ serve, answer                               │ librdkafka's threads ⇄ broker
//!       └──────▶ poll thread ── main queue ◀──────────┘
//! ```
//! A poll thread per consumer serves the main queue, so the client lives on while a stream thread
//! processes, restores or commits. Records never pass through it: each partition has a queue of its own.
//! Changes of the group do: the thread passes them on, and what is taken away waits for the owner's answer.
//!
//! A record on Kafka: value and key as given; headers `ts` (i64 BE ns), `seq` (u64 BE, if not 0), then the
//! writer's own. CreateTime is `ts` in whole milliseconds, at least 1, because the client takes 0 for
//! "now" and the broker takes a negative time for "none".

mod admin;
mod again;
mod asking;
mod cluster;
mod consumer;
mod events;
mod inbox;
mod member;
mod poll;
mod producer;
mod queue;
mod reading;
mod settings;
#[cfg(test)]
mod tests;
mod txn;

use std::sync::Arc;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use self::cluster::Cluster;
use super::{Consumer, ConsumerOptions, Log, Producer, ProducerOptions, Range, TopicName, TopicSpec, Tp};
use crate::error::LogError;
use crate::lmdb::Env;
use crate::record::Offset;
use crate::time::Ts;

/// A Kafka cluster as a log.
pub struct KafkaLog {
    cluster: Arc<Cluster>,
}

impl KafkaLog {
    /// Connects to `host:port[,host:port]`.
    ///
    /// # Errors
    /// No broker answers within about ten seconds.
    pub fn connect(brokers: &str) -> Result<KafkaLog, LogError> {
        Ok(KafkaLog { cluster: Arc::new(Cluster::connect(brokers)?) })
    }
}

impl Log for KafkaLog {
    fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), LogError> {
        admin::ensure_topic(&self.cluster, spec)
    }

    fn partitions(&self, topic: &TopicName) -> Result<u32, LogError> {
        self.cluster.partitions(topic)
    }

    fn topics(&self) -> Result<Vec<TopicName>, LogError> {
        self.cluster.topics()
    }

    fn range(&self, tp: &Tp) -> Result<Range, LogError> {
        self.cluster.range(tp)
    }

    fn offset_at(&self, tp: &Tp, ts: Ts) -> Result<Option<Offset>, LogError> {
        self.cluster.offset_at(tp, ts)
    }

    fn consumer(&self, options: &ConsumerOptions) -> Result<Box<dyn Consumer>, LogError> {
        Ok(Box::new(consumer::KafkaConsumer::new(&self.cluster, options)?))
    }

    fn producer(&self, options: &ProducerOptions) -> Result<Box<dyn Producer>, LogError> {
        let client = settings::producer(self.cluster.brokers(), options);
        Ok(Box::new(producer::KafkaProducer::new(&client, options)?))
    }

    fn bulk_producer(&self) -> Result<Box<dyn Producer>, LogError> {
        let client = settings::bulk_producer(self.cluster.brokers());
        Ok(Box::new(producer::KafkaProducer::new(&client, &ProducerOptions::default())?))
    }

    fn state(&self) -> Option<Arc<Env>> {
        None
    }

    fn purge(&self, before: &[(Tp, Offset)]) -> Result<(), LogError> {
        admin::purge(&self.cluster, before)
    }

    fn members(&self, group: &str) -> Result<usize, LogError> {
        self.cluster.members(group)
    }

    fn skip_headers(&self, topic: &TopicName) {
        self.cluster.skip_headers(topic);
    }
}

/// CreateTime of a record.
fn create_time(ts: Ts) -> i64 {
    ts.as_millis().max(1)
}

/// Kafka numbers partitions and offsets with signed integers.
fn partition(tp: &Tp) -> i32 {
    i32::try_from(tp.partition).unwrap_or(i32::MAX)
}

fn offset(offset: Offset) -> rdkafka::Offset {
    rdkafka::Offset::Offset(i64::try_from(offset.0).unwrap_or(i64::MAX))
}

/// A failure as the callers of a log know it. `topic`: the one that was asked about.
fn log_error(what: impl Into<String>, topic: Option<&TopicName>, error: &KafkaError) -> LogError {
    use RDKafkaErrorCode::{UnknownPartition, UnknownTopic, UnknownTopicOrPartition};
    let code = error.rdkafka_error_code();
    match (topic, code) {
        (Some(topic), Some(UnknownTopic | UnknownPartition | UnknownTopicOrPartition)) => {
            LogError::UnknownTopic { topic: topic.to_string() }
        }
        _ => LogError::Client {
            what: what.into(),
            reason: error.to_string(),
            retriable: code.is_some_and(passes),
        },
    }
}

/// Errors that go away by themselves: a broker is restarting, a leader or coordinator is moving, a group changes.
fn passes(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{
        AllBrokersDown, BrokerNotAvailable, BrokerTransportFailure, CoordinatorLoadInProgress,
        CoordinatorNotAvailable, IllegalGeneration, LeaderNotAvailable, NotCoordinator, NotEnoughReplicas,
        NotEnoughReplicasAfterAppend, NotLeaderForPartition, OperationTimedOut, RebalanceInProgress,
        RequestTimedOut, Resolve, StaleMemberEpoch, UnknownMemberId, UnstableOffsetCommit,
        WaitingForCoordinator,
    };
    matches!(
        code,
        AllBrokersDown
            | BrokerNotAvailable
            | BrokerTransportFailure
            | CoordinatorLoadInProgress
            | CoordinatorNotAvailable
            | IllegalGeneration
            | LeaderNotAvailable
            | NotCoordinator
            | NotEnoughReplicas
            | NotEnoughReplicasAfterAppend
            | NotLeaderForPartition
            | OperationTimedOut
            | RebalanceInProgress
            | RequestTimedOut
            | Resolve
            | StaleMemberEpoch
            | UnknownMemberId
            | UnstableOffsetCommit
            | WaitingForCoordinator
    )
}
