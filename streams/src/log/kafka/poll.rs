//! The poll thread: serves a consumer's main queue, and in the end closes the consumer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use rdkafka::Message;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::events::Events;
use super::log_error;
use crate::error::LogError;

/// Longest turn; a stop is noticed after it.
const TURN: Duration = Duration::from_millis(100);

/// Failures that wait to be noticed; more of them say nothing new.
const WAITING: usize = 16;

/// The owner's end of the thread. Dropping it lets the thread end, without waiting.
///
/// The thread drops its reference to the consumer last of all, so it is the one that closes it, however
/// long that takes: the owner drops its own references *before* this value.
pub(super) struct PollThread {
    stop: Arc<AtomicBool>,
    failures: Receiver<LogError>,
}

impl PollThread {
    pub(super) fn start(consumer: Arc<BaseConsumer<Events>>) -> Result<PollThread, LogError> {
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, failures) = sync_channel(WAITING);
        let stopped = Arc::clone(&stop);
        thread::Builder::new()
            .name("kafka-poll".to_owned())
            .spawn(move || run(consumer, &stopped, sender))
            .map_err(|error| failure("start of the poll thread", error.to_string()))?;
        Ok(PollThread { stop, failures })
    }

    /// The next failure of the client, waiting at most so long.
    pub(super) fn failure(&self, wait: Duration) -> Option<LogError> {
        let gone = || failure("poll thread", "it has ended".to_owned());
        if wait.is_zero() {
            return match self.failures.try_recv() {
                Ok(error) => Some(error),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => Some(gone()),
            };
        }
        match self.failures.recv_timeout(wait) {
            Ok(error) => Some(error),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(gone()),
        }
    }

    /// Stops the thread and waits until it has closed the consumer.
    pub(super) fn finish(self, within: Duration) -> Result<(), LogError> {
        self.stop.store(true, Ordering::Relaxed);
        loop {
            match self.failures.recv_timeout(within) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(failure("close of a consumer", format!("not done after {within:?}")));
                }
            }
        }
    }
}

impl Drop for PollThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn run(consumer: Arc<BaseConsumer<Events>>, stop: &AtomicBool, failures: SyncSender<LogError>) {
    while !stop.load(Ordering::Relaxed) {
        let error = match consumer.poll(TURN) {
            None => continue,
            Some(Err(error)) if passes_by_itself(&error) => continue,
            Some(Err(error)) => log_error("consumer", None, &error),
            Some(Ok(message)) => failure(
                "consumer",
                format!(
                    "record {} of {}-{} came outside its queue",
                    message.offset(),
                    message.topic(),
                    message.partition()
                ),
            ),
        };
        // A full channel: the owner has not even read the first failure.
        drop(failures.try_send(error));
    }
    drop(consumer);
    // Only now does the owner see the channel end.
    drop(failures);
}

/// librdkafka goes on by itself after all but these; what it reports has been logged.
fn passes_by_itself(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{Authentication, ClusterAuthorizationFailed, GroupAuthorizationFailed};
    let denied = [Authentication, ClusterAuthorizationFailed, GroupAuthorizationFailed];
    let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
    !fatal && !error.rdkafka_error_code().is_some_and(|code| denied.contains(&code))
}

fn failure(what: &str, reason: String) -> LogError {
    LogError::Client { what: what.to_owned(), reason, retriable: false }
}
