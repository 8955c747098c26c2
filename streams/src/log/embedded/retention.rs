//! Old records leave by whole batches from the front of a partition. Old is measured against the newest
//! record of the partition, so what is kept depends on what was written and not on when.

use std::time::Duration;

use super::layout::{Extent, PartitionId, StoredBatch, Tables};
use crate::error::StoreError;
use crate::lmdb::{View, WriteTxn};

/// Batches deleted in one transaction, so that no commit waits long; the next append goes on.
pub(super) const BATCHES_PER_TRANSACTION: usize = 1_000;

/// Deletes batches all of whose records are older than `keep`, never past what a group has committed.
pub(super) fn trim(
    txn: &mut WriteTxn<'_>,
    tables: Tables,
    at: PartitionId,
    extent: &mut Extent,
    keep: Duration,
    budget: &mut usize,
) -> Result<(), StoreError> {
    let keep = i64::try_from(keep.as_nanos()).unwrap_or(i64::MAX);
    let oldest = extent.ts_max.saturating_sub(keep);
    delete(txn, tables, at, extent, &|batch| batch.eff_max < oldest, budget)
}

/// Deletes batches all of whose records lie before an offset, never past what a group has committed; the rest of
/// them another time, if they are many.
pub(super) fn purge(
    txn: &mut WriteTxn<'_>,
    tables: Tables,
    at: PartitionId,
    before: u64,
) -> Result<(), StoreError> {
    let key = at.key();
    let Some(mut extent) = txn.view().get(tables.partitions, &key)?.and_then(Extent::decode) else {
        return Ok(());
    };
    let mut budget = BATCHES_PER_TRANSACTION;
    delete(txn, tables, at, &mut extent, &|batch| batch.end() <= before, &mut budget)?;
    txn.put(tables.partitions, &key, &extent.encode())
}

/// Deletes batches from the front as long as they are `old`.
fn delete(
    txn: &mut WriteTxn<'_>,
    tables: Tables,
    at: PartitionId,
    extent: &mut Extent,
    old: &dyn Fn(&StoredBatch<'_>) -> bool,
    budget: &mut usize,
) -> Result<(), StoreError> {
    let front = |view: View<'_>| -> Result<Option<(Vec<u8>, u64)>, StoreError> {
        let first = view.prefix(tables.batches, &at.key())?.next().transpose()?;
        let batch = first.and_then(|(key, value)| StoredBatch::decode(key, value).map(|b| (key, b)));
        Ok(batch.filter(|(_, b)| old(b)).map(|(key, b)| (key.to_vec(), b.end())))
    };
    let mut needed = None;
    while *budget > 0 {
        let Some((key, end)) = front(txn.view())? else { return Ok(()) };
        let needed = match needed {
            Some(offset) => offset,
            None => *needed.insert(least_committed(txn.view(), tables, at)?),
        };
        if end > needed {
            return Ok(());
        }
        txn.delete(tables.batches, &key)?;
        extent.first = end;
        *budget -= 1;
    }
    Ok(())
}

/// The least offset that a group still needs; without groups, none is needed.
fn least_committed(view: View<'_>, tables: Tables, at: PartitionId) -> Result<u64, StoreError> {
    let mut least = u64::MAX;
    for entry in view.prefix(tables.groups, &at.key())? {
        let (_, value) = entry?;
        let offset = value.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        least = least.min(offset);
    }
    Ok(least)
}
