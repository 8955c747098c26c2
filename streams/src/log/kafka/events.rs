//! What librdkafka tells by itself: its log lines, errors, statistics, and changes of the group.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};

/// A change of the group as librdkafka told it. Nothing has been done about it yet.
#[derive(Debug)]
pub(super) struct Rebalanced {
    pub(super) change: Change,
    /// The partitions that come or go, by number: the group shares out one topic.
    pub(super) partitions: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Assign,
    Revoke,
    Lost,
}

/// How librdkafka marks the line that says that a connection has broken. It is the only sign of it that is never
/// left out: errors are told only if no broker is left, and repeated ones only every 30 s.
const BROKEN: &str = "FAIL";
/// Signs that nothing was under way: there was no connection yet, or the client gave up one that it needs no more.
const IDLE: [&str; 5] =
    ["in state INIT", "in state DOWN", "in state TRY_CONNECT", "in state CONNECT)", "_DESTROY_BROKER"];

/// How it marks the line that says that it has not got its producer id and will ask again.
const NO_ID: &str = "GETPID";
/// The reason, where the coordinator has answered. After any other the request may still arrive.
const NOT_YET: &str = "another concurrent operation on the same transaction";

/// The listener of a client. Errors are kept, so that a call that fails later can say why.
#[derive(Default)]
pub(super) struct Events {
    last_error: Mutex<Option<String>>,
    connection_lost: AtomicBool,
    id_refused: AtomicBool,
    rebalanced: Mutex<Vec<Rebalanced>>,
    closing: AtomicBool,
}

impl Events {
    /// The newest error in librdkafka's words, such as "Connect to … failed: Connection refused".
    pub(super) fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has a connection broken since the last call?
    pub(super) fn connection_was_lost(&self) -> bool {
        self.connection_lost.swap(false, Ordering::Relaxed)
    }

    /// Has the coordinator refused a producer id since the last call, because it settles what another left open?
    pub(super) fn id_was_refused(&self) -> bool {
        self.id_refused.swap(false, Ordering::Relaxed)
    }

    /// Changes of the group since the last call, in order.
    pub(super) fn take_rebalanced(&self) -> Vec<Rebalanced> {
        mem::take(&mut *self.rebalanced.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on every change is answered at once: nobody is there any more who would.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }
}

impl ClientContext for Events {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
        if facility == BROKEN && !IDLE.iter().any(|sign| line.contains(sign)) {
            self.connection_lost.store(true, Ordering::Relaxed);
        }
        if facility == NO_ID && matches!(level, Warning) && line.contains(NOT_YET) {
            self.id_refused.store(true, Ordering::Relaxed);
        }
        match level {
            // Nobody must act on a line of the client's: what matters comes back as an error of a call.
            Emerg | Alert | Critical | Error | Warning => tracing::warn!(facility, "{line}"),
            Notice | Info => tracing::info!(facility, "{line}"),
            Debug => tracing::debug!(facility, "{line}"),
        }
    }

    fn stats_raw(&self, statistics: &[u8]) {
        tracing::trace!(statistics = %String::from_utf8_lossy(statistics), "Client statistics");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure};
        if matches!(error.rdkafka_error_code(), Some(AllBrokersDown | BrokerTransportFailure)) {
            self.connection_lost.store(true, Ordering::Relaxed);
        }
        tracing::warn!(%error, reason, "Kafka client reports an error");
        let mut last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        // "All brokers are down" follows the failure that says why and must not hide it.
        if last.is_none() || error.rdkafka_error_code() != Some(AllBrokersDown) {
            *last = Some(reason.to_owned());
        }
    }
}

impl ConsumerContext for Events {
    /// Stores the change; the poll thread passes it on after the call that brought it.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        if self.closing.load(Ordering::Acquire) {
            if let Err(error) = consumer.incremental_unassign(partitions) {
                tracing::debug!(%error, "Partitions not given back while closing");
            }
            return;
        }
        let change = match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Change::Assign,
            _ if consumer.assignment_lost() => Change::Lost,
            _ => Change::Revoke,
        };
        let elements = partitions.elements();
        let numbers = elements.iter().filter_map(|element| u32::try_from(element.partition()).ok());
        let rebalanced = Rebalanced { change, partitions: numbers.collect() };
        tracing::info!(?rebalanced, "Group rebalances");
        self.rebalanced.lock().unwrap_or_else(PoisonError::into_inner).push(rebalanced);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_of_the_coordinator_counts_as_a_refused_id() {
        let told = |code: RDKafkaErrorCode| {
            let events = Events::default();
            let line = format!("Failed to acquire transactional PID from broker b: {code}: retrying");
            events.log(RDKafkaLogLevel::Warning, NO_ID, &line);
            (events.id_was_refused(), events.id_was_refused())
        };
        assert_eq!(told(RDKafkaErrorCode::ConcurrentTransactions), (true, false), "told once");
        for lost in [RDKafkaErrorCode::BrokerTransportFailure, RDKafkaErrorCode::RequestTimedOut] {
            assert_eq!(told(lost), (false, false), "{lost}: the request may still arrive");
        }
    }
}
