//! The poll thread: serves a consumer's main queue and its group, and in the end closes the consumer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message, TopicPartitionList};

use super::events::{Change, Events};
use super::inbox::{Inbox, Told};
use super::log_error;
use crate::error::LogError;

/// Longest turn; a stop is noticed after it.
const TURN: Duration = Duration::from_millis(100);

/// The owner's end of the thread. Dropping it lets the thread end, without waiting.
///
/// The thread drops its reference to the consumer last of all, so it is the one that closes it, however
/// long that takes: the owner drops its own references *before* this value.
pub(super) struct PollThread {
    stop: Arc<AtomicBool>,
    inbox: Arc<Inbox>,
}

impl PollThread {
    pub(super) fn start(consumer: Arc<BaseConsumer<Events>>) -> Result<PollThread, LogError> {
        let (stop, inbox) = (Arc::new(AtomicBool::new(false)), Arc::new(Inbox::default()));
        let (stopped, told) = (Arc::clone(&stop), Arc::clone(&inbox));
        thread::Builder::new()
            .name("kafka-poll".to_owned())
            .spawn(move || run(consumer, &stopped, &told))
            .map_err(|error| failure("start of the poll thread", error.to_string()))?;
        Ok(PollThread { stop, inbox })
    }

    /// The next change of the group or failure of the client, waiting at most so long.
    pub(super) fn next(&self, wait: Duration) -> Option<Told> {
        self.inbox.next(wait)
    }

    /// Stops the thread and waits until it has closed the consumer.
    pub(super) fn finish(self, within: Duration) -> Result<(), LogError> {
        self.stop.store(true, Ordering::Relaxed);
        loop {
            match self.inbox.next(within) {
                Some(Told::Closed) => return Ok(()),
                Some(Told::Group(_) | Told::Failure(_)) => {}
                None => return Err(failure("close of a consumer", format!("not done after {within:?}"))),
            }
        }
    }
}

impl Drop for PollThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Tells that the consumer is gone, even if the thread panics.
struct Farewell<'a>(&'a Inbox);

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        self.0.tell(Told::Closed);
    }
}

fn run(consumer: Arc<BaseConsumer<Events>>, stop: &AtomicBool, inbox: &Inbox) {
    let _farewell = Farewell(inbox);
    while !stop.load(Ordering::Relaxed) {
        let error = match consumer.poll(TURN) {
            None => None,
            Some(Err(error)) if passes_by_itself(&error) => None,
            Some(Err(error)) => Some(membership_error(&error)),
            Some(Ok(message)) => Some(failure(
                "consumer",
                format!(
                    "record {} of {}-{} came outside its queue",
                    message.offset(),
                    message.topic(),
                    message.partition()
                ),
            )),
        };
        pass_on(&consumer, inbox);
        if let Some(error) = error {
            inbox.tell(Told::Failure(error));
        }
    }
    give_back(&consumer);
    drop(consumer);
}

/// Passes changes of the group on. Partitions that come are accepted in the owner's place, all of them still
/// unread: the group does not wait until their state is restored. Partitions that go are the owner's to answer.
fn pass_on(consumer: &BaseConsumer<Events>, inbox: &Inbox) {
    for rebalanced in consumer.context().take_rebalanced() {
        if rebalanced.change == Change::Assign
            && let Err(error) = consumer.incremental_assign(&TopicPartitionList::new())
        {
            inbox.tell(Told::Failure(log_error("answer to the group", None, &error)));
        }
        inbox.tell(Told::Group(rebalanced));
    }
}

/// Nobody will answer the group any more: what it waits for is answered here, or the close would wait for ever.
fn give_back(consumer: &BaseConsumer<Events>) {
    consumer.context().close();
    let given = consumer.assignment().and_then(|all| consumer.incremental_unassign(&all));
    if let Err(error) = given {
        tracing::debug!(%error, "Partitions not given back before closing");
    }
}

/// librdkafka goes on by itself after all but these; what it reports has been logged.
fn passes_by_itself(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{Authentication, ClusterAuthorizationFailed, GroupAuthorizationFailed};
    let denied = [Authentication, ClusterAuthorizationFailed, GroupAuthorizationFailed];
    let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
    !fatal && !error.rdkafka_error_code().is_some_and(|code| denied.contains(&code))
}

fn membership_error(error: &KafkaError) -> LogError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::FencedInstanceId) => LogError::MemberFenced,
        _ => log_error("consumer", None, error),
    }
}

fn failure(what: &str, reason: String) -> LogError {
    LogError::Client { what: what.to_owned(), reason, retriable: false }
}
