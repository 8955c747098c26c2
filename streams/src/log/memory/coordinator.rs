//! The transaction coordinator: which producer holds an id, and where its transaction is.
//!
//! ```text
//! Empty ─add─▶ Ongoing ─end─▶ Prepare ─markers─▶ Empty      init: the epoch rises, what is Ongoing is aborted
//! ```
//! As on a broker before KIP-890, the epoch does not rise from one transaction to the next: an end that
//! arrives late ends whatever transaction of the same epoch is open then.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::record::Tp;

/// Number of a producer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pid(pub(super) u64);

/// A producer as its requests name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) pid: Pid,
    pub(super) epoch: u64,
}

/// Why the coordinator does not do what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// A newer producer holds the id.
    Fenced,
    /// The last transaction is still being ended: ask again.
    Concurrent,
    /// There is no such transaction.
    Invalid,
    /// The member does not know its group as it is now.
    Generation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// How the last one ended, if there was one.
    Empty(Option<bool>),
    Ongoing,
    Prepare(bool),
}

/// What the coordinator knows of one transactional id.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) holder: Holder,
    /// How long it may be open before the coordinator aborts it.
    pub(super) timeout: Duration,
    state: State,
    /// Counts transactions.
    pub(super) number: u64,
    pub(super) partitions: BTreeSet<Tp>,
}

impl Transaction {
    pub(super) fn new(pid: Pid) -> Transaction {
        let holder = Holder { pid, epoch: 0 };
        let timeout = Duration::ZERO;
        Transaction { holder, timeout, state: State::Empty(None), number: 0, partitions: BTreeSet::new() }
    }

    /// Hands the id to a new holder, whose transactions may be open for so long. `Concurrent`: what the old one left is being ended first; whether that
    /// has to be begun is told by `true`.
    pub(super) fn init(&mut self, timeout: Duration) -> Result<Holder, (Refused, bool)> {
        match self.state {
            State::Empty(_) => {
                self.holder.epoch += 1;
                self.timeout = timeout;
                Ok(self.holder)
            }
            State::Ongoing => {
                self.fence();
                Err((Refused::Concurrent, true))
            }
            State::Prepare(_) => Err((Refused::Concurrent, false)),
        }
    }

    /// The holder is one no more and its transaction is to be aborted.
    pub(super) fn fence(&mut self) {
        self.holder.epoch += 1;
        self.state = State::Prepare(false);
    }

    pub(super) fn is_ongoing(&self) -> bool {
        self.state == State::Ongoing
    }

    fn check(&self, holder: Holder) -> Result<(), Refused> {
        if holder == self.holder { Ok(()) } else { Err(Refused::Fenced) }
    }

    /// A request that belongs to the transaction of `holder`, which begins with the first one: `true`.
    pub(super) fn touch(&mut self, holder: Holder) -> Result<bool, Refused> {
        self.check(holder)?;
        match self.state {
            State::Ongoing => Ok(false),
            State::Prepare(_) => Err(Refused::Concurrent),
            State::Empty(_) => {
                self.state = State::Ongoing;
                self.number += 1;
                Ok(true)
            }
        }
    }

    /// Records for a partition come only after the partition was added.
    pub(super) fn expects(&self, holder: Holder, tp: &Tp) -> Result<(), Refused> {
        self.check(holder)?;
        let expected = self.is_ongoing() && self.partitions.contains(tp);
        expected.then_some(()).ok_or(Refused::Invalid)
    }

    /// Asks for the end. `true`: the markers have to be written; `false`: it has ended so already.
    pub(super) fn end(&mut self, holder: Holder, commit: bool) -> Result<bool, Refused> {
        self.check(holder)?;
        match self.state {
            State::Ongoing => {
                self.state = State::Prepare(commit);
                Ok(true)
            }
            State::Empty(Some(ended)) | State::Prepare(ended) if ended == commit => Ok(false),
            State::Empty(_) | State::Prepare(_) => Err(Refused::Invalid),
        }
    }

    /// The markers are written. How it ended, and where.
    pub(super) fn complete(&mut self) -> Option<(bool, BTreeSet<Tp>)> {
        let State::Prepare(commit) = self.state else { return None };
        self.state = State::Empty(Some(commit));
        Some((commit, std::mem::take(&mut self.partitions)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    #[test]
    fn a_late_end_hits_the_next_transaction_of_the_same_epoch_and_no_other() {
        let mut t = Transaction::new(Pid(1));
        let holder = t.init(TIMEOUT).expect("empty");
        assert_eq!(t.touch(holder), Ok(true));
        assert_eq!((t.end(holder, true), t.end(holder, true)), (Ok(true), Ok(false)), "repeated");
        assert_eq!(t.complete(), Some((true, BTreeSet::new())));
        assert_eq!(t.end(holder, true), Ok(false), "late, and nothing is open");
        assert_eq!(t.end(holder, false), Err(Refused::Invalid));
        assert_eq!(t.touch(holder), Ok(true));
        assert_eq!(t.end(holder, true), Ok(true), "the flaw");
        t.complete();
        let newer = t.init(TIMEOUT).expect("empty");
        assert_eq!(t.touch(newer), Ok(true));
        assert_eq!(t.end(holder, true), Err(Refused::Fenced));
    }

    #[test]
    fn a_new_holder_waits_until_the_old_transaction_is_aborted() {
        let mut t = Transaction::new(Pid(1));
        let old = t.init(TIMEOUT).expect("empty");
        t.touch(old).expect("ours");
        assert_eq!(t.init(TIMEOUT), Err((Refused::Concurrent, true)));
        assert_eq!(t.init(TIMEOUT), Err((Refused::Concurrent, false)));
        assert_eq!(t.touch(old), Err(Refused::Fenced));
        assert_eq!(t.complete().map(|(commit, _)| commit), Some(false));
        assert!(t.init(TIMEOUT).is_ok_and(|new| new.epoch > old.epoch));
    }
}
