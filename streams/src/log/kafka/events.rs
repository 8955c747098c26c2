//! What librdkafka tells by itself: its log lines, errors and statistics.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// The listener of a client. Errors are kept, so that a call that fails later can say why.
#[derive(Default)]
pub(super) struct Events {
    last_error: Mutex<Option<String>>,
    connection_lost: AtomicBool,
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
}

impl ClientContext for Events {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
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

impl ConsumerContext for Events {}
