//! The producer without transactions: sends full batches by itself, `drain` makes the rest durable.

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::buffer::{Buffer, Sealed};
use super::receipts::Receipts;
use super::writer::Submission;
use crate::error::{SendError, TxnClass, TxnError};
use crate::log::{Acks, Commit, GroupMetadata, Producer, StateWrites};
use crate::record::OutRecord;

/// Bytes under way to the writer, after compression, from which on `send` says `Full`.
const UNDER_WAY_MAX: usize = 8 << 20;

#[derive(Debug)]
pub(super) struct PlainProducer {
    core: Arc<Core>,
    buffer: Buffer,
    receipts: Arc<Receipts>,
}

impl PlainProducer {
    pub(super) fn new(core: Arc<Core>) -> PlainProducer {
        PlainProducer { core, buffer: Buffer::default(), receipts: Arc::default() }
    }

    fn submit(&self, batches: Vec<Sealed>) {
        let ticket = self.receipts.ticket(batches.iter().map(|batch| batch.value.len()).sum());
        self.core.submit(Submission { fence: None, batches, offsets: Vec::new(), state: Vec::new(), ticket });
    }

    fn check(&self, call: &'static str) -> Result<(), TxnError> {
        self.receipts.failure().map_or(Ok(()), |refusal| Err(refusal.error(call)))
    }
}

impl Producer for PlainProducer {
    fn init(&mut self) -> Result<(), TxnError> {
        Ok(())
    }

    fn begin(&mut self) -> Result<(), TxnError> {
        Err(not_transactional("begin"))
    }

    fn send(&mut self, record: OutRecord<'_>) -> Result<(), SendError> {
        self.check("send")?;
        if self.receipts.bytes() > UNDER_WAY_MAX {
            return Err(SendError::Full);
        }
        if let Some(sealed) = self.buffer.push(&self.core, &record)? {
            self.submit(vec![sealed]);
        }
        Ok(())
    }

    fn drain(&mut self, within: Duration) -> Result<Acks, TxnError> {
        let rest = self.buffer.seal_all()?;
        if !rest.is_empty() {
            self.submit(rest);
        }
        match self.receipts.wait(within) {
            Some(outcome) => outcome.map_err(|refusal| refusal.error("drain")),
            None => Err(TxnError::new("drain", TxnClass::Retriable, "the writer has not answered yet")),
        }
    }

    fn send_offsets(&mut self, _: Option<&GroupMetadata>, _: &[Commit]) -> Result<(), TxnError> {
        Err(not_transactional("send_offsets"))
    }

    fn ship(&mut self, _: &StateWrites) -> Result<bool, TxnError> {
        Err(not_transactional("ship"))
    }

    fn commit(&mut self) -> Result<(), TxnError> {
        Err(not_transactional("commit"))
    }

    fn abort(&mut self) -> Result<(), TxnError> {
        Err(not_transactional("abort"))
    }
}

fn not_transactional(call: &'static str) -> TxnError {
    TxnError::new(call, TxnClass::Fatal { fenced: false }, "the producer was made without a transactional id")
}
