//! The transactional producer: gathers an epoch in memory and hands it to the writer as one submission.
//!
//! ```text
//! New ─init─▶ Idle ─begin─▶ Open ─commit | abort─▶ Idle        a call fails: ─▶ Broken, only drop is legal
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::buffer::{Buffer, Sealed};
use super::consumer::Group;
use super::receipts::Receipts;
use super::writer::{GroupOffset, StateWrite, Submission, epoch};
use crate::error::{LogError, SendError, StoreError, TxnClass, TxnError};
use crate::lmdb::KEY_BYTES_MAX;
use crate::log::{Acks, Commit, GroupMetadata, Producer, StateWrites, Tp};
use crate::record::{Offset, OutRecord};

/// Most bytes of a transaction, after compression. A commit interval never comes near it.
const TRANSACTION_BYTES_MAX: usize = 512 << 20;

#[derive(Debug)]
pub(super) struct TransactionalProducer {
    core: Arc<Core>,
    id: String,
    epoch: u64,
    state: State,
    buffer: Buffer,
    open: Transaction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Idle,
    Open,
    Broken,
}

/// What the open transaction holds, beside the buffer.
#[derive(Debug, Default)]
struct Transaction {
    batches: Vec<Sealed>,
    bytes: usize,
    sent: BTreeMap<Tp, u64>,
    offsets: Vec<GroupOffset>,
    shipped: Vec<StateWrite>,
}

impl TransactionalProducer {
    pub(super) fn new(core: Arc<Core>, id: &str) -> TransactionalProducer {
        let (buffer, open) = (Buffer::default(), Transaction::default());
        TransactionalProducer { core, id: id.to_owned(), epoch: 0, state: State::New, buffer, open }
    }

    fn expect(&self, call: &'static str, state: State) -> Result<(), TxnError> {
        if self.state == state {
            return Ok(());
        }
        Err(fatal(call, format!("the producer is {:?}, not {state:?}", self.state)))
    }

    fn seal_rest(&mut self) -> Result<(), TxnError> {
        for sealed in self.buffer.seal_all()? {
            self.open.keep(sealed);
        }
        Ok(())
    }
}

impl Transaction {
    fn keep(&mut self, sealed: Sealed) {
        self.bytes += sealed.value.len();
        self.batches.push(sealed);
    }

    fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.offsets.is_empty() && self.shipped.is_empty()
    }
}

impl Producer for TransactionalProducer {
    fn init(&mut self) -> Result<(), TxnError> {
        self.expect("init", State::New)?;
        let (core, id) = (&self.core, &self.id);
        let next = core.env.write(|txn| {
            let next = epoch(&txn.view(), core.tables, id)? + 1;
            txn.put(core.tables.producers, id.as_bytes(), &next.to_be_bytes())?;
            Ok::<_, StoreError>(next)
        });
        self.epoch = next.map_err(|e| fatal("init", e.to_string()))?;
        self.state = State::Idle;
        Ok(())
    }

    fn begin(&mut self) -> Result<(), TxnError> {
        self.expect("begin", State::Idle)?;
        self.state = State::Open;
        Ok(())
    }

    fn send(&mut self, record: OutRecord<'_>) -> Result<(), SendError> {
        self.expect("send", State::Open)?;
        if self.open.bytes > TRANSACTION_BYTES_MAX {
            let reason =
                format!("a transaction of more than {TRANSACTION_BYTES_MAX} bytes: commit more often");
            return Err(TxnError::new("send", TxnClass::Abort, reason).into());
        }
        if let Some(sealed) = self.buffer.push(&self.core, &record)? {
            self.open.keep(sealed);
        }
        match self.open.sent.get_mut(record.tp) {
            Some(n) => *n += 1,
            None => drop(self.open.sent.insert(record.tp.clone(), 1)),
        }
        Ok(())
    }

    fn drain(&mut self, _within: Duration) -> Result<Acks, TxnError> {
        let mut partitions = Vec::new();
        for (tp, n) in &self.open.sent {
            let at = self.core.partition(tp).map_err(|e| fatal("drain", e.to_string()))?.1;
            partitions.push((tp, *n, at));
        }
        let core = &self.core;
        let ahead = core.env.read(|view| {
            let last = partitions.iter().map(|&(tp, n, at)| {
                let end = core.extent(view, at)?.end;
                Ok::<_, LogError>((tp.clone(), Offset(end + n - 1)))
            });
            last.collect()
        });
        ahead.map_err(|e| fatal("drain", e.to_string()))
    }

    fn send_offsets(&mut self, group: Option<&GroupMetadata>, offsets: &[Commit]) -> Result<(), TxnError> {
        self.expect("send_offsets", State::Open)?;
        let group = group.and_then(|group| group.0.downcast_ref::<Group>());
        let group = group.ok_or_else(|| fatal("send_offsets", "no group of this log".to_owned()))?;
        for commit in offsets {
            let offset = GroupOffset::of(&self.core, &group.0, commit);
            self.open.offsets.push(offset.map_err(|e| fatal("send_offsets", e.to_string()))?);
        }
        Ok(())
    }

    fn ship(&mut self, writes: &StateWrites) -> Result<bool, TxnError> {
        self.expect("ship", State::Open)?;
        for (database, key, value) in writes {
            if !(1..=KEY_BYTES_MAX).contains(&key.len()) {
                let rule =
                    format!("{database}: a key of {} bytes, 1 to {KEY_BYTES_MAX} are possible", key.len());
                return Err(fatal("ship", rule));
            }
            let db = self.core.env.database(database).map_err(|e| fatal("ship", e.to_string()))?;
            self.open.shipped.push(StateWrite { db, key: key.clone(), value: value.clone() });
        }
        Ok(true)
    }

    fn commit(&mut self) -> Result<(), TxnError> {
        self.expect("commit", State::Open)?;
        self.seal_rest()?;
        let open = std::mem::take(&mut self.open);
        if open.is_empty() {
            self.state = State::Idle;
            return Ok(());
        }
        self.state = State::Broken;
        let receipts = Arc::new(Receipts::default());
        let ticket = receipts.ticket(open.bytes);
        let (batches, offsets, state) = (open.batches, open.offsets, open.shipped);
        let fence = Some((self.id.clone(), self.epoch));
        self.core.submit(Submission { fence, batches, offsets, state, ticket });
        receipts.outcome().map_err(|refusal| refusal.error("commit"))?;
        self.state = State::Idle;
        Ok(())
    }

    fn abort(&mut self) -> Result<(), TxnError> {
        self.expect("abort", State::Open)?;
        self.buffer.clear();
        self.open = Transaction::default();
        self.state = State::Idle;
        Ok(())
    }
}

fn fatal(call: &'static str, reason: String) -> TxnError {
    TxnError::new(call, TxnClass::Fatal { fenced: false }, reason)
}
