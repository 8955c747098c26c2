//! The states of a transactional producer, and what a failed call means for them.
//!
//! ```text
//! Idle ─▶ Open ─▶ Sealing ─▶ Committing ─▶ Idle
//!           │ ╲       │  ╲__________╱ (no offsets: Open ─▶ Committing)
//!           └──┴──────┴─▶ Aborting ─▶ Idle         any ─▶ Broken: only drop
//! ```
//! A call that failed as retriable is *pending*: nothing but the same call may come next.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::error::{TxnClass, TxnError};

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No transaction.
    Idle,
    /// Takes records.
    Open,
    /// Has been told the consumed offsets.
    Sealing,
    /// The commit is on its way.
    Committing,
    /// The abort is on its way.
    Aborting,
    /// Nothing is known any more.
    Broken,
}

impl State {
    fn may_become(self, next: State) -> bool {
        use State::{Aborting, Broken, Committing, Idle, Open, Sealing};
        match self {
            Idle => matches!(next, Open | Broken),
            Open => matches!(next, Sealing | Committing | Aborting | Broken),
            Sealing => matches!(next, Sealing | Committing | Aborting | Broken),
            Committing | Aborting => matches!(next, Idle | Broken),
            Broken => false,
        }
    }
}

/// Guards the calls of one producer.
#[derive(Debug)]
pub(super) struct Txn {
    state: State,
    pending: Option<&'static str>,
}

impl Txn {
    pub(super) fn new() -> Txn {
        Txn { state: State::Idle, pending: None }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// May `call` be made now, which leads to `next`?
    pub(super) fn enter(&self, call: &'static str, next: State) -> Result<(), TxnError> {
        self.free(call)?;
        if self.pending == Some(call) || self.state.may_become(next) {
            return Ok(());
        }
        Err(misuse(call, format!("the transaction is {:?}", self.state)))
    }

    /// May `call` be made now, which leads nowhere?
    pub(super) fn free(&self, call: &'static str) -> Result<(), TxnError> {
        if self.state == State::Broken {
            return Err(misuse(call, "the producer is broken and can only be dropped".to_owned()));
        }
        match self.pending {
            Some(pending) if pending != call => Err(misuse(call, format!("{pending} is unfinished"))),
            Some(_) | None => Ok(()),
        }
    }

    /// The call is over. `done`: the state if it succeeded.
    pub(super) fn leave(
        &mut self,
        call: &'static str,
        result: Result<(), TxnError>,
        done: State,
    ) -> Result<(), TxnError> {
        self.pending = None;
        match &result {
            Ok(()) => self.state = done,
            Err(error) => match error.class() {
                TxnClass::Retriable => self.pending = Some(call),
                // The transaction waits to be aborted.
                TxnClass::Abort => {}
                TxnClass::Fatal { .. } | TxnClass::Unknown => self.state = State::Broken,
            },
        }
        result
    }

    /// Nothing is known any more.
    pub(super) fn broken(&mut self) {
        self.state = State::Broken;
    }
}

/// The caller broke the order of calls: no state of the broker explains it, so a new producer must.
pub(super) fn misuse(call: &'static str, reason: String) -> TxnError {
    TxnError::new(call, TxnClass::Fatal { fenced: false }, reason)
}

/// What a failed transaction call asks for. The flags decide; without any, nobody knows what happened.
pub(super) fn classify(call: &'static str, error: &KafkaError) -> TxnError {
    let class = match error {
        KafkaError::Transaction(flags) if flags.is_fatal() || is_fenced(flags.code()) => {
            TxnClass::Fatal { fenced: is_fenced(flags.code()) }
        }
        KafkaError::Transaction(flags) if flags.txn_requires_abort() => TxnClass::Abort,
        KafkaError::Transaction(flags) if flags.is_retriable() => TxnClass::Retriable,
        _ => TxnClass::Unknown,
    };
    TxnError::new(call, class, error.to_string())
}

/// Another producer took over the transactional id, or the broker gave up on this one's transaction:
/// the two look the same.
pub(super) fn is_fenced(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{Fenced, FencedInstanceId, InvalidProducerEpoch, ProducerFenced};
    matches!(code, Fenced | FencedInstanceId | InvalidProducerEpoch | ProducerFenced)
}

#[cfg(test)]
mod tests {
    use super::State::{Aborting, Broken, Committing, Idle, Open, Sealing};
    use super::*;

    #[test]
    fn only_the_drawn_moves_are_legal() {
        let all = [Idle, Open, Sealing, Committing, Aborting, Broken];
        let drawn = [
            (Idle, Open),
            (Open, Sealing),
            (Open, Committing),
            (Open, Aborting),
            (Sealing, Sealing),
            (Sealing, Committing),
            (Sealing, Aborting),
            (Committing, Idle),
            (Aborting, Idle),
        ];
        for from in all {
            for to in all {
                let legal = drawn.contains(&(from, to)) || (to == Broken && from != Broken);
                assert_eq!(from.may_become(to), legal, "{from:?} to {to:?}");
            }
        }
    }

    fn failed(class: TxnClass) -> Result<(), TxnError> {
        Err(TxnError::new("commit", class, "test"))
    }

    #[test]
    fn an_unfinished_call_blocks_all_others() {
        let mut txn = Txn { state: Open, pending: None };
        txn.enter("commit", Committing).unwrap();
        txn.leave("commit", failed(TxnClass::Retriable), Idle).unwrap_err();
        assert!(txn.enter("abort", Aborting).is_err());
        assert!(txn.free("send").is_err());
        txn.enter("commit", Committing).unwrap();
        txn.leave("commit", Ok(()), Idle).unwrap();
        assert_eq!(txn.state(), Idle);
        txn.enter("begin", Open).unwrap();
    }

    #[test]
    fn an_abortable_failure_leaves_only_the_abort_useful() {
        let mut txn = Txn { state: Sealing, pending: None };
        txn.leave("commit", failed(TxnClass::Abort), Idle).unwrap_err();
        txn.enter("abort", Aborting).unwrap();
        txn.leave("abort", Ok(()), Idle).unwrap();
        assert_eq!(txn.state(), Idle);
    }

    #[test]
    fn after_an_unknown_outcome_every_call_fails() {
        for class in [TxnClass::Unknown, TxnClass::Fatal { fenced: true }] {
            let mut txn = Txn { state: Sealing, pending: None };
            txn.leave("commit", failed(class), Idle).unwrap_err();
            for (call, next) in [("commit", Committing), ("abort", Aborting), ("begin", Open)] {
                assert!(txn.enter(call, next).is_err(), "{call} after {class:?}");
            }
            assert!(txn.free("send").is_err());
        }
    }
}
