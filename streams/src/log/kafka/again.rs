//! What a cluster refuses for a moment it takes a moment later.

use std::thread;
use std::time::Duration;

/// How often something is asked for, and how long is waited in between.
pub(super) struct Again {
    pub(super) tries: u32,
    pub(super) pause: Duration,
}

impl Again {
    /// Asks while the answer holds only for now; the last answer, whatever it is.
    pub(super) fn ask<T>(&self, mut ask: impl FnMut() -> T, for_now: impl Fn(&T) -> bool) -> T {
        let mut answer = ask();
        for _ in 1..self.tries {
            if !for_now(&answer) {
                break;
            }
            thread::sleep(self.pause);
            answer = ask();
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_asked_until_the_answer_counts_but_not_without_end() {
        let again = Again { tries: 5, pause: Duration::ZERO };
        let asked = |counts_from: u32| {
            let mut n = 0;
            again.ask(
                || {
                    n += 1;
                    n
                },
                |n| *n < counts_from,
            )
        };
        assert_eq!([1, 3, 5, 9].map(asked), [1, 3, 5, 5]);
    }
}
