//! One partition as a broker keeps it: records, the markers that end transactions, and what is readable.

use std::collections::BTreeMap;

use super::coordinator::Pid;
use crate::log::Range;
use crate::record::{Batch, Header, Offset, OutRecord};
use crate::time::Ts;

/// Batches of a producer that the broker recognises when they come again.
const REMEMBERED: usize = 5;

/// A record as it lies in the log.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    ts: Ts,
    seq: u64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
}

impl Stored {
    pub(super) fn of(record: &OutRecord<'_>) -> Stored {
        Stored {
            ts: record.ts,
            seq: record.seq,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record.headers.iter().map(|h| (h.name.to_owned(), h.value.to_vec())).collect(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len) + headers
    }
}

#[derive(Debug)]
struct Entry {
    /// `None`: a marker that ends a transaction.
    record: Option<Stored>,
    /// Whose transaction it belongs to, if any.
    transaction: Option<Pid>,
}

/// Records of one producer that arrive together.
#[derive(Clone, Debug)]
pub(super) struct Produced {
    pub(super) pid: Pid,
    pub(super) epoch: u64,
    /// Number of the first one among those that this producer has sent here.
    pub(super) sequence: u64,
    pub(super) transactional: bool,
    pub(super) records: Vec<Stored>,
}

/// Why a batch is not appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unappended {
    /// A newer producer of the same id has been here.
    OldEpoch,
    /// Records before these are missing.
    OutOfOrder,
}

/// What a partition knows of a producer.
#[derive(Debug, Default)]
struct Sequence {
    epoch: u64,
    next: u64,
    /// First sequence number and offset of the last few batches.
    batches: Vec<(u64, u64)>,
}

#[derive(Debug, Default)]
pub(super) struct Partition {
    /// What lies before has been deleted.
    first: u64,
    entries: Vec<Entry>,
    /// First offset of each open transaction.
    open: BTreeMap<Pid, u64>,
    /// First and last offsets of aborted transactions.
    aborted: BTreeMap<Pid, Vec<(u64, u64)>>,
    sequences: BTreeMap<Pid, Sequence>,
}

impl Partition {
    pub(super) fn range(&self) -> Range {
        let end = self.entries.len() as u64;
        let stable = self.open.values().copied().min().unwrap_or(end);
        Range { first: Offset(self.first), stable: Offset(stable), end: Offset(end) }
    }

    /// Deletes what lies before an offset, but nothing that is not readable yet.
    pub(super) fn purge(&mut self, before: Offset) {
        let before = before.0.min(self.range().stable.0).max(self.first);
        for entry in &mut self.entries[self.first as usize..before as usize] {
            entry.record = None;
        }
        self.first = before;
    }

    /// Number of the next record of a producer.
    pub(super) fn next_sequence(&self, pid: Pid, epoch: u64) -> u64 {
        self.sequences.get(&pid).filter(|known| known.epoch == epoch).map_or(0, |known| known.next)
    }

    /// Appends a batch and tells the offset of its first record: of one that is here already, where it lies.
    pub(super) fn append(&mut self, batch: &Produced) -> Result<u64, Unappended> {
        let known = self.sequences.entry(batch.pid).or_default();
        if batch.epoch < known.epoch {
            return Err(Unappended::OldEpoch);
        }
        if batch.epoch > known.epoch {
            *known = Sequence { epoch: batch.epoch, ..Sequence::default() };
        }
        if let Some((_, offset)) = known.batches.iter().find(|(first, _)| *first == batch.sequence) {
            return Ok(*offset);
        }
        if batch.sequence != known.next {
            return Err(Unappended::OutOfOrder);
        }
        let offset = self.entries.len() as u64;
        known.next += batch.records.len() as u64;
        known.batches.push((batch.sequence, offset));
        if known.batches.len() > REMEMBERED {
            known.batches.remove(0);
        }
        let transaction = batch.transactional.then_some(batch.pid);
        if let Some(pid) = transaction {
            self.open.entry(pid).or_insert(offset);
        }
        let entry = |record: &Stored| Entry { record: Some(record.clone()), transaction };
        self.entries.extend(batch.records.iter().map(entry));
        Ok(offset)
    }

    /// Ends a transaction here; producers of an older epoch are refused from now on.
    pub(super) fn mark(&mut self, pid: Pid, epoch: u64, commit: bool) {
        let known = self.sequences.entry(pid).or_default();
        if epoch > known.epoch {
            *known = Sequence { epoch, ..Sequence::default() };
        }
        let Some(first) = self.open.remove(&pid) else { return };
        let last = self.entries.len() as u64;
        self.entries.push(Entry { record: None, transaction: Some(pid) });
        if !commit {
            self.aborted.entry(pid).or_default().push((first, last));
        }
    }

    /// Appends readable records from `next` on; where to go on, and how many there were.
    pub(super) fn read(&self, mut next: u64, max: usize, into: &mut Batch) -> (u64, usize) {
        let stable = self.range().stable.0;
        let mut n = 0;
        while next < stable {
            let entry = &self.entries[next as usize];
            if let Some(record) = entry.record.as_ref().filter(|_| !self.is_aborted(entry, next)) {
                if n == max {
                    break;
                }
                let headers = record.headers.iter().map(|(name, value)| Header { name, value });
                let (key, value) = (record.key.as_deref(), record.value.as_deref());
                into.push(Offset(next), record.ts, record.seq, key, value, headers);
                n += 1;
            }
            next += 1;
        }
        (next, n)
    }

    /// First record at or after an instant, readable or not.
    pub(super) fn offset_at(&self, ts: Ts) -> Option<Offset> {
        let found = self.entries.iter().position(|e| e.record.as_ref().is_some_and(|r| r.ts >= ts));
        found.map(|offset| Offset(offset as u64))
    }

    fn is_aborted(&self, entry: &Entry, offset: u64) -> bool {
        let ranges = entry.transaction.and_then(|pid| self.aborted.get(&pid));
        ranges.is_some_and(|ranges| ranges.iter().any(|(first, last)| (*first..=*last).contains(&offset)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(epoch: u64, sequence: u64, values: &[&str]) -> Produced {
        let record = |value: &&str| Stored {
            ts: Ts(0),
            seq: 0,
            key: None,
            value: Some(value.as_bytes().to_vec()),
            headers: Vec::new(),
        };
        let records = values.iter().map(record).collect();
        Produced { pid: Pid(1), epoch, sequence, transactional: true, records }
    }

    fn values(partition: &Partition) -> String {
        let mut batch = Batch::default();
        partition.read(0, usize::MAX, &mut batch);
        batch.iter().map(|r| String::from_utf8_lossy(r.value.unwrap_or_default()).into_owned()).collect()
    }

    #[test]
    fn a_batch_that_comes_again_is_recognised_and_a_hole_is_refused() {
        let mut p = Partition::default();
        assert_eq!(p.append(&batch(0, 0, &["a", "b"])), Ok(0));
        assert_eq!(p.append(&batch(0, 0, &["a", "b"])), Ok(0));
        assert_eq!(p.append(&batch(0, 3, &["d"])), Err(Unappended::OutOfOrder));
        assert_eq!(p.append(&batch(0, 2, &["c"])), Ok(2));
        p.mark(Pid(1), 0, true);
        assert_eq!(values(&p), "abc");
    }

    #[test]
    fn only_what_is_committed_below_open_transactions_is_read() {
        let mut p = Partition::default();
        p.append(&batch(0, 0, &["lost"])).expect("appended");
        assert_eq!(p.range().stable, Offset(0));
        p.mark(Pid(1), 1, false);
        assert_eq!(p.append(&batch(0, 1, &["late"])), Err(Unappended::OldEpoch), "the marker fences");
        p.append(&batch(1, 0, &["a"])).expect("appended");
        assert_eq!((values(&p), p.range().stable, p.range().end), (String::new(), Offset(2), Offset(3)));
        p.mark(Pid(1), 1, true);
        assert_eq!((values(&p), p.range().stable), ("a".to_owned(), Offset(4)));
        p.mark(Pid(1), 1, true);
        assert_eq!(p.range().end, Offset(4), "a marker ends what is open, and nothing else");
    }
}
