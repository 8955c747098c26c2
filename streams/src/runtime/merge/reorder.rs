//! Partitions that several writers share: one reader, a channel for each writer.
//!
//! Each record names its writer and the number that this one gave it, in the headers `origin` and `oseq`.
//! Numbers of a writer rise, so what was processed already is known when it is read again, and dropped.

use std::ops::Range;

use crate::log::Tp;
use crate::record::{Batch, InRecord, Offset, header};
use crate::runtime::merge::Channel;

/// Records taken out of a batch before it is packed anew.
const PACK_MIN: usize = 512;

/// Reads one partition for all its channels.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) tp: Tp,
    /// Which channels, by origin.
    pub(super) channels: Range<usize>,
    /// Next offset to fetch.
    pub(super) next: Offset,
    pub(super) scratch: Batch,
}

impl Reader {
    /// Gives each record of the scratch batch to its channel, skipping what is known. `Err` tells what is
    /// wrong with a record.
    pub(super) fn distribute(&mut self, all: &mut [Channel], caught_up: bool) -> Result<usize, String> {
        let channels = &mut all[self.channels.clone()];
        let mut n = 0;
        for record in self.scratch.iter().filter(|record| record.offset >= self.next) {
            let (origin, number) = identity(&record)
                .ok_or_else(|| format!("{} offset {}: no origin and oseq", self.tp, record.offset.0))?;
            let n_channels = channels.len();
            let channel = channels.get_mut(usize::from(origin)).ok_or_else(|| {
                let place = format!("{} offset {}", self.tp, record.offset.0);
                format!("{place}: origin {origin}, but the source declares origins({n_channels})")
            })?;
            let known = channel.numbers.last().map_or(channel.progress.next.0, |last| last + 1);
            if number >= known.max(channel.progress.next.0) {
                channel.hold(&record, number);
                n += 1;
            }
        }
        if let Some(last) = self.scratch.iter().last() {
            self.next = self.next.max(Offset(last.offset.0 + 1));
        }
        for channel in channels {
            channel.caught_up = caught_up;
        }
        Ok(n)
    }

    /// First offset that is not processed yet: a restart reads from here.
    pub(super) fn unprocessed(&self, all: &[Channel]) -> Offset {
        let heads = all[self.channels.clone()].iter().filter_map(|channel| Some(channel.record()?.offset));
        heads.min().unwrap_or(self.next)
    }

    /// Bytes that wait in its channels.
    pub(super) fn bytes(&self, all: &[Channel]) -> usize {
        all[self.channels.clone()].iter().map(|channel| channel.batch.bytes()).sum()
    }
}

impl Channel {
    /// Keeps a record until its turn comes.
    fn hold(&mut self, record: &InRecord<'_>, number: u64) {
        if self.is_empty() {
            self.batch.clear();
            self.numbers.clear();
            self.at = 0;
        } else if self.at >= PACK_MIN && self.at * 2 > self.batch.len() {
            let mut packed = Batch::default();
            self.batch.iter().skip(self.at).for_each(|record| push(&mut packed, &record));
            self.numbers.drain(..self.at);
            (self.batch, self.at) = (packed, 0);
        }
        push(&mut self.batch, record);
        self.numbers.push(number);
    }
}

fn push(batch: &mut Batch, record: &InRecord<'_>) {
    let InRecord { offset, ts, seq, key, value, headers } = *record;
    batch.push(offset, ts, seq, key, value, headers.iter());
}

/// Who wrote a record, and which number it gave it.
fn identity(record: &InRecord<'_>) -> Option<(u16, u64)> {
    let origin = u16::from_be_bytes(record.headers.get(header::ORIGIN)?.try_into().ok()?);
    let number = u64::from_be_bytes(record.headers.get(header::OSEQ)?.try_into().ok()?);
    Some((origin, number))
}
