//! What the poll thread has to tell the owner of a consumer.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::events::Rebalanced;
use crate::error::LogError;

/// Failures that wait to be noticed; more of them say nothing new.
const FAILURES_MAX: usize = 16;

/// Something that happened to a consumer.
#[derive(Debug)]
pub(super) enum Told {
    /// The group changed. librdkafka tells the next change of partitions that go only when this one has been
    /// answered, so few of them wait.
    Group(Rebalanced),
    /// The client failed.
    Failure(LogError),
    /// The consumer is closed; nothing follows.
    Closed,
}

/// A queue between two threads.
#[derive(Default)]
pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    bell: Condvar,
}

#[derive(Default)]
struct Waiting {
    told: VecDeque<Told>,
    failures: usize,
}

impl Inbox {
    pub(super) fn tell(&self, told: Told) {
        let mut waiting = self.lock();
        if matches!(told, Told::Failure(_)) {
            if waiting.failures == FAILURES_MAX {
                return;
            }
            waiting.failures += 1;
        }
        waiting.told.push_back(told);
        self.bell.notify_all();
    }

    /// The next thing told, waiting at most so long.
    pub(super) fn next(&self, wait: Duration) -> Option<Told> {
        let waiting = self.lock();
        let waited = self.bell.wait_timeout_while(waiting, wait, |waiting| waiting.told.is_empty());
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let told = waiting.told.pop_front()?;
        waiting.failures -= usize::from(matches!(told, Told::Failure(_)));
        Some(told)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> Told {
        Told::Failure(LogError::UnknownTopic { topic: "t".to_owned() })
    }

    #[test]
    fn only_so_many_failures_wait_and_nothing_else_is_dropped() {
        let inbox = Inbox::default();
        (0..3 * FAILURES_MAX).for_each(|_| inbox.tell(failure()));
        inbox.tell(Told::Closed);
        for _ in 0..FAILURES_MAX {
            assert!(matches!(inbox.next(Duration::ZERO), Some(Told::Failure(_))));
        }
        assert!(matches!(inbox.next(Duration::ZERO), Some(Told::Closed)));
        assert!(inbox.next(Duration::from_millis(1)).is_none());
        inbox.tell(failure());
        assert!(inbox.next(Duration::ZERO).is_some(), "room again");
    }

    #[test]
    fn a_waiting_owner_is_woken() {
        let inbox = Inbox::default();
        std::thread::scope(|scope| {
            let owner = scope.spawn(|| inbox.next(Duration::from_secs(60)));
            inbox.tell(Told::Closed);
            assert!(matches!(owner.join().expect("no panic"), Some(Told::Closed)));
        });
    }
}
