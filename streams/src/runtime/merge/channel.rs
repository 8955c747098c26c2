//! One ordered input of a task: a partition, or what one of its writers put there.

use crate::beacon::{Beacon, is_reserved};
use crate::log::Tp;
use crate::record::{Batch, InRecord, Offset};
use crate::runtime::merge::{CanonicalKey, Eff};
use crate::time::Ts;

/// What a channel is and how far it has come: all of it that must outlive a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Greatest time so far; `None` before any record.
    pub eff: Option<Eff>,
    /// Next place to process: an offset, or the number that its writer gave the record where several share
    /// the partition.
    pub next: Offset,
    /// Its origin said bye and has written nothing since.
    pub left: bool,
}

/// One ordered input of a task.
#[derive(Debug)]
pub struct Channel {
    /// The partition.
    pub tp: Tp,
    /// Its writer; 0 if the partition has only one.
    pub origin: u16,
    pub(super) rank: u16,
    pub(super) topic_rank: u16,
    /// Tasks of this application write it: it ends when they say so, not where it ends now.
    pub(super) internal: bool,
    /// Where it shares its partition: index of the reader of that partition.
    pub(super) shared: Option<usize>,
    pub(super) progress: Progress,
    pub(super) batch: Batch,
    pub(super) at: usize,
    /// Numbers given by the writer, one for each record of the batch; empty if the partition is not shared.
    pub(super) numbers: Vec<u64>,
    pub(super) head: Option<Head>,
    /// The last `take` reached the readable end.
    pub caught_up: bool,
    /// Records from here on are not looked at; a restore stops here.
    pub(super) limit: Option<Offset>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) key: CanonicalKey,
    pub(super) beacon: Option<Beacon>,
    /// It came too late and was lifted to this time.
    pub(super) lift: Option<Ts>,
}

impl Channel {
    /// A channel that starts at `next`.
    pub fn new(tp: Tp, rank: u16, topic_rank: u16, next: Offset) -> Channel {
        let progress = Progress { eff: None, next, left: false };
        Channel {
            tp,
            origin: 0,
            rank,
            topic_rank,
            internal: false,
            shared: None,
            progress,
            batch: Batch::default(),
            at: 0,
            numbers: Vec::new(),
            head: None,
            caught_up: false,
            limit: None,
        }
    }

    /// Tasks of this application write it.
    pub fn internal(self) -> Channel {
        Channel { internal: true, ..self }
    }

    /// How far it has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Index of its topic among the source topics, sorted bytewise.
    pub fn topic_rank(&self) -> u16 {
        self.topic_rank
    }

    /// Has every fetched record been processed?
    pub fn is_empty(&self) -> bool {
        self.at == self.batch.len()
    }

    /// Does it need records before the merge can go on?
    pub fn is_hungry(&self) -> bool {
        self.is_empty() && !self.is_at_limit()
    }

    /// The record that is its head.
    pub fn record(&self) -> Option<InRecord<'_>> {
        self.batch.get(self.at)
    }

    /// Place of its head among the records of the channel.
    pub(super) fn pos(&self) -> Option<Offset> {
        let record = self.record()?;
        Some(self.numbers.get(self.at).map_or(record.offset, |number| Offset(*number)))
    }

    pub(super) fn is_at_limit(&self) -> bool {
        let next = self.pos().unwrap_or(self.progress.next);
        self.limit.is_some_and(|limit| next >= limit)
    }

    pub(super) fn key(&self, eff: Eff, pos: Offset) -> CanonicalKey {
        CanonicalKey {
            ts: eff.ts,
            rank: self.rank,
            seq: eff.seq,
            topic_rank: self.topic_rank,
            partition: self.tp.partition,
            origin: self.origin,
            pos,
        }
    }

    pub(super) fn is_waited_for(&self, finite: bool, upstream_ended: bool) -> bool {
        let ended = match self.internal {
            true => self.progress.left && upstream_ended,
            false => self.progress.left || finite,
        };
        let passed = ended && self.caught_up;
        !passed && !self.is_at_limit()
    }

    pub(super) fn forget(&mut self) {
        self.batch.clear();
        self.numbers.clear();
        self.at = 0;
        self.head = None;
        self.caught_up = false;
    }

    pub(super) fn lift(&mut self, ts: Ts) {
        let lifted = Eff { ts, seq: 0 };
        self.progress.eff = Some(self.progress.eff.map_or(lifted, |eff| eff.max(lifted)));
    }

    /// Computes the head's key. One that would come before `last` is lifted just above it; the lift counts as
    /// made when the record is processed: until then it decides nothing.
    pub(super) fn look_at_head(&mut self, last: Option<CanonicalKey>) {
        self.head = None;
        if self.is_at_limit() {
            return;
        }
        let (Some(record), Some(pos)) = (self.record(), self.pos()) else { return };
        let beacon = record.key.filter(|key| is_reserved(key));
        let beacon = beacon.and_then(|key| Beacon::decode(Some(key), record.value));
        let own = match beacon {
            Some(beacon) => Eff { ts: beacon.bound, seq: 0 },
            None => Eff { ts: record.ts, seq: record.seq },
        };
        let mut eff = own.max(self.progress.eff.unwrap_or(own));
        let mut lift = None;
        if let Some(last) = last.filter(|last| self.key(eff, pos) < *last) {
            let ts = Ts(last.ts.0.saturating_add(1));
            (eff, lift) = (Eff { ts, seq: 0 }, Some(ts));
        }
        self.head = Some(Head { key: self.key(eff, pos), beacon, lift });
    }
}
