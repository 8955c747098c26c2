//! A log without a place for state beside its records: tasks keep environments of their own, as on Kafka.

use std::sync::Arc;

use lobstream_streams::error::LogError;
use lobstream_streams::lmdb::Env;
use lobstream_streams::log::{
    Consumer, ConsumerOptions, Log, Producer, ProducerOptions, Range, TopicName, TopicSpec, Tp,
};
use lobstream_streams::record::Offset;
use lobstream_streams::time::Ts;

struct Stateless(Arc<dyn Log>);

/// This log, but for the state.
pub(crate) fn without_state(log: &Arc<dyn Log>) -> Arc<dyn Log> {
    Arc::new(Stateless(Arc::clone(log)))
}

impl Log for Stateless {
    fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), LogError> {
        self.0.ensure_topic(spec)
    }

    fn partitions(&self, topic: &TopicName) -> Result<u32, LogError> {
        self.0.partitions(topic)
    }

    fn topics(&self) -> Result<Vec<TopicName>, LogError> {
        self.0.topics()
    }

    fn range(&self, tp: &Tp) -> Result<Range, LogError> {
        self.0.range(tp)
    }

    fn offset_at(&self, tp: &Tp, ts: Ts) -> Result<Option<Offset>, LogError> {
        self.0.offset_at(tp, ts)
    }

    fn consumer(&self, options: &ConsumerOptions) -> Result<Box<dyn Consumer>, LogError> {
        self.0.consumer(options)
    }

    fn producer(&self, options: &ProducerOptions) -> Result<Box<dyn Producer>, LogError> {
        self.0.producer(options)
    }

    fn state(&self) -> Option<Arc<Env>> {
        None
    }
}
