//! A client that asks questions only, replaced by a new one when it does not find the cluster.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use super::events::Events;
use super::settings;

/// Error events that wait in a client, at most: they are served before each question.
const EVENTS: usize = 32;

pub(super) type Reader = BaseConsumer<Events>;

/// The client, made when it is first needed.
///
/// librdkafka 2.12 gives up brokers that an answer leaves out. One that comes back from a long pause leaves out
/// itself, and the client may then never find it again: every later question fails with a broken transport. So
/// whoever did not find the cluster is not asked a second time.
pub(super) struct Asking {
    brokers: String,
    isolation: &'static str,
    client: Mutex<Option<Arc<Reader>>>,
}

impl Asking {
    pub(super) fn new(brokers: &str, isolation: &'static str) -> Asking {
        Asking { brokers: brokers.to_owned(), isolation, client: Mutex::default() }
    }

    pub(super) fn ask<T>(
        &self,
        question: impl FnOnce(&Reader) -> Result<T, KafkaError>,
    ) -> Result<T, KafkaError> {
        let client = self.client()?;
        serve(&client);
        let answer = question(&client);
        if answer.as_ref().is_err_and(lost) {
            tracing::info!(brokers = self.brokers, "Client replaced that does not find the cluster");
            // Another thread may have replaced it already.
            self.lock().take_if(|now| Arc::ptr_eq(now, &client));
        }
        answer
    }

    /// The client's own words for its last failure.
    pub(super) fn words(reader: &Reader) -> Option<String> {
        serve(reader);
        reader.context().last_error()
    }

    fn client(&self) -> Result<Arc<Reader>, KafkaError> {
        let mut client = self.lock();
        if let Some(client) = &*client {
            return Ok(Arc::clone(client));
        }
        let made = settings::reader(&self.brokers, self.isolation).create_with_context(Events::default())?;
        Ok(Arc::clone(client.insert(Arc::new(made))))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Reader>>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lost(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, OperationTimedOut};
    let code = error.rdkafka_error_code();
    matches!(code, Some(AllBrokersDown | BrokerTransportFailure | OperationTimedOut))
}

/// Hands the events that wait to [`Events`]. A reader has no poll thread and gets no records.
fn serve(reader: &Reader) {
    for _ in 0..EVENTS {
        // Without a subscription nothing but events can come, and those have been handled inside.
        drop(reader.poll(Duration::ZERO));
    }
}
