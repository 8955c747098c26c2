//! A client that asks questions only, replaced by a new one when it does not find the cluster.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use super::events::Events;
use super::settings;

/// Error events that wait in a client, at most: they are served before each question.
const EVENTS: usize = 32;

pub(super) type Plain = BaseConsumer<Events>;
pub(super) type Admin = AdminClient<DefaultClientContext>;

/// A client that can be asked.
pub(super) trait Client: Sized {
    /// One for these brokers.
    fn new(brokers: &str) -> Result<Self, KafkaError>;

    /// Hands the events that wait to whoever keeps them.
    fn serve(&self) {}
}

/// A consumer that gets no records. It sees committed records only, or all.
pub(super) struct Reader<const COMMITTED: bool>(Plain);

impl<const COMMITTED: bool> Client for Reader<COMMITTED> {
    fn new(brokers: &str) -> Result<Self, KafkaError> {
        let isolation = if COMMITTED { "read_committed" } else { "read_uncommitted" };
        settings::reader(brokers, isolation).create_with_context(Events::default()).map(Reader)
    }

    /// A reader has no poll thread.
    fn serve(&self) {
        for _ in 0..EVENTS {
            // Without a subscription nothing but events can come, and those have been handled inside.
            drop(self.0.poll(Duration::ZERO));
        }
    }
}

impl<const COMMITTED: bool> Reader<COMMITTED> {
    /// The client's own words for its last failure.
    pub(super) fn words(&self) -> Option<String> {
        self.serve();
        self.context().last_error()
    }
}

impl<const COMMITTED: bool> Deref for Reader<COMMITTED> {
    type Target = Plain;

    fn deref(&self) -> &Plain {
        &self.0
    }
}

/// It serves itself, on a thread of its own. That thread takes a tenth of a second to end.
impl Client for Admin {
    fn new(brokers: &str) -> Result<Self, KafkaError> {
        settings::with(brokers, &[]).create()
    }
}

/// The client, made when it is first needed.
///
/// librdkafka 2.12 gives up brokers that an answer leaves out. One that comes back from a long pause leaves out
/// itself, and the client may then never find it again: every later question fails with a broken transport. So
/// whoever did not find the cluster is not asked a second time.
pub(super) struct Asking<C> {
    brokers: String,
    client: Mutex<Option<Arc<C>>>,
}

impl<C: Client> Asking<C> {
    pub(super) fn new(brokers: &str) -> Asking<C> {
        Asking { brokers: brokers.to_owned(), client: Mutex::default() }
    }

    pub(super) fn ask<T>(&self, question: impl FnOnce(&C) -> Result<T, KafkaError>) -> Result<T, KafkaError> {
        let client = self.client()?;
        client.serve();
        let answer = question(&client);
        if answer.as_ref().is_err_and(lost) {
            tracing::info!(brokers = self.brokers, "Client replaced that does not find the cluster");
            // Another thread may have replaced it already.
            self.lock().take_if(|now| Arc::ptr_eq(now, &client));
        }
        answer
    }

    fn client(&self) -> Result<Arc<C>, KafkaError> {
        let mut client = self.lock();
        if let Some(client) = &*client {
            return Ok(Arc::clone(client));
        }
        Ok(Arc::clone(client.insert(Arc::new(C::new(&self.brokers)?))))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<C>>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lost(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, OperationTimedOut};
    let code = error.rdkafka_error_code();
    matches!(code, Some(AllBrokersDown | BrokerTransportFailure | OperationTimedOut))
}
