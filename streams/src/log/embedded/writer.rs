//! The writer thread: puts all submissions that wait into one LMDB transaction, each whole or not at all.

use std::sync::mpsc::Receiver;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::Core;
use super::buffer::Sealed;
use super::layout::{Extent, Tables, put_batch_head};
use super::receipts::{Outcome, Refusal, Ticket};
use super::retention;
use crate::error::{LogError, StoreError};
use crate::lmdb::{Db, Env, View, WriteTxn};
use crate::log::Commit;
use crate::record::Offset;

/// Submissions are gathered into one transaction up to this many bytes; a larger one goes alone.
const GROUP_BYTES_MAX: usize = 16 << 20;

/// What happens together or not at all.
#[derive(Debug)]
pub(super) struct Submission {
    /// Transactional id and epoch of the holder that submits.
    pub(super) fence: Option<(String, u64)>,
    pub(super) batches: Vec<Sealed>,
    pub(super) offsets: Vec<GroupOffset>,
    pub(super) state: Vec<StateWrite>,
    pub(super) ticket: Ticket,
}

/// An entry of `log.groups`.
#[derive(Debug)]
pub(super) struct GroupOffset {
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
}

/// Longest note beside an offset, the same as on every log.
const NOTE_BYTES_MAX: usize = 4 << 10;

impl GroupOffset {
    pub(super) fn of(core: &Core, group: &str, commit: &Commit) -> Result<GroupOffset, LogError> {
        if commit.note.len() >= NOTE_BYTES_MAX {
            return Err(LogError::Client {
                what: format!("commit of {}", commit.tp),
                reason: format!("a note of {} bytes, it must stay under {NOTE_BYTES_MAX}", commit.note.len()),
                retriable: false,
            });
        }
        let (_, at) = core.partition(&commit.tp)?;
        let value = [&commit.offset.0.to_be_bytes()[..], commit.note.as_bytes()].concat();
        Ok(GroupOffset { key: at.group_key(group), value })
    }
}

/// An entry of one of the caller's databases; `None` deletes.
#[derive(Debug)]
pub(super) struct StateWrite {
    pub(super) db: Db,
    pub(super) key: Vec<u8>,
    pub(super) value: Option<Vec<u8>>,
}

/// Wakes readers after each commit of this process.
#[derive(Debug, Default)]
pub(super) struct Signal {
    lock: Mutex<()>,
    raised: Condvar,
}

impl Signal {
    fn raise(&self) {
        self.raised.notify_all();
    }

    /// Waits for the next commit of this process, at most so long.
    pub(super) fn wait(&self, at_most: Duration) {
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.raised.wait_timeout(lock, at_most));
    }
}

/// The loop of the writer thread; ends when every sender is gone and the queue is empty.
pub(super) fn run(env: &Env, tables: Tables, queue: &Receiver<Submission>, signal: &Signal) {
    let mut next = queue.recv().ok();
    while let Some(first) = next.take() {
        let mut bytes = first.ticket.bytes();
        let mut group = vec![first];
        while let Ok(more) = queue.try_recv() {
            bytes += more.ticket.bytes();
            if bytes > GROUP_BYTES_MAX {
                next = Some(more);
                break;
            }
            group.push(more);
        }
        write_group(env, tables, group);
        signal.raise();
        next = next.or_else(|| queue.recv().ok());
    }
}

fn write_group(env: &Env, tables: Tables, mut group: Vec<Submission>) {
    let written = env.write(|txn| {
        let mut to_delete = retention::BATCHES_PER_TRANSACTION;
        group.iter_mut().map(|s| s.apply(txn, tables, &mut to_delete)).collect::<Result<Vec<_>, StoreError>>()
    });
    match written {
        Ok(outcomes) => group.into_iter().zip(outcomes).for_each(|(s, outcome)| s.ticket.settle(outcome)),
        Err(e) => {
            let refusal = Refusal::Store(e.to_string());
            group.into_iter().for_each(|s| s.ticket.settle(Err(refusal.clone())));
        }
    }
}

impl Submission {
    /// Writes it, unless it is refused; then nothing of it is written. May run again for the same
    /// submission when the transaction did not fit.
    fn apply(
        &mut self,
        txn: &mut WriteTxn<'_>,
        tables: Tables,
        to_delete: &mut usize,
    ) -> Result<Outcome, StoreError> {
        if let Some(refusal) = self.refusal(txn, tables)? {
            return Ok(Err(refusal));
        }
        let mut acks = Vec::with_capacity(self.batches.len());
        for batch in &mut self.batches {
            acks.push((batch.tp.clone(), append(txn, tables, batch, to_delete)?));
        }
        for offset in &self.offsets {
            txn.put(tables.groups, &offset.key, &offset.value)?;
        }
        for write in &self.state {
            match &write.value {
                Some(value) => txn.put(write.db, &write.key, value)?,
                None => txn.delete(write.db, &write.key)?,
            }
        }
        Ok(Ok(acks))
    }

    fn refusal(&self, txn: &WriteTxn<'_>, tables: Tables) -> Result<Option<Refusal>, StoreError> {
        let Some((id, ours)) = &self.fence else { return Ok(self.ticket.earlier_failure()) };
        let current = epoch(&txn.view(), tables, id)?;
        let fenced = Refusal::Fenced { id: id.clone(), ours: *ours, current };
        Ok((current != *ours).then_some(fenced).or_else(|| self.ticket.earlier_failure()))
    }
}

/// The epoch of the last holder of a transactional id, 0 if there was none.
pub(super) fn epoch(view: &View<'_>, tables: Tables, id: &str) -> Result<u64, StoreError> {
    let stored = view.get(tables.producers, id.as_bytes())?;
    Ok(stored.and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u64::from_be_bytes(*bytes)))
}

fn append(
    txn: &mut WriteTxn<'_>,
    tables: Tables,
    batch: &mut Sealed,
    to_delete: &mut usize,
) -> Result<Offset, StoreError> {
    let key = batch.at.key();
    let stored = txn.view().get(tables.partitions, &key)?.and_then(Extent::decode);
    let mut extent = stored.unwrap_or(Extent::EMPTY);
    extent.ts_max = extent.ts_max.max(batch.ts_max);
    put_batch_head(&mut batch.value, batch.n, extent.ts_max);
    txn.put(tables.batches, &batch.at.batch_key(extent.end), &batch.value)?;
    extent.end += u64::from(batch.n);
    if let Some(keep) = batch.retention {
        retention::trim(txn, tables, batch.at, &mut extent, keep, to_delete)?;
    }
    txn.put(tables.partitions, &key, &extent.encode())?;
    Ok(Offset(extent.end - 1))
}
