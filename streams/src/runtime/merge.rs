//! The one order of all inputs of a task, whatever order they arrive in.
//!
//! Inside a channel, offset order; between channels, the [`CanonicalKey`]. Each channel has a bound, the
//! least key that its next record can have. The channel with the least bound goes next: if it has a record
//! that is processed, if it is empty the task waits.
//!
//! ```text
//! a (rank 0)   10   12   11           15          processed: a10 b10 a12 a11 b12 beacon b13
//! b (rank 1)   10   12   beacon 14    13          then it waits: the bound of b (14, 1) < a15
//! ```
//! Keys never go back. Where a channel was passed over while it was empty (its origin had left, or the input
//! was taken to be at its end) and it then gets an older record after all, it is lifted just above what has
//! been processed: a [`VirtualBeacon`], kept as a decision, so that a second run finds the same order.

mod channel;
mod reorder;

use crate::log::Tp;
use crate::record::{Batch, Offset};
use crate::time::Ts;
use channel::Head;
use reorder::Reader;

pub use channel::{Channel, Progress};

/// Place of a record among all records of a task. Total: no two records have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CanonicalKey {
    /// Effective time: the greatest (ts, seq) so far in its channel.
    pub ts: Ts,
    /// Of the source.
    pub rank: u16,
    /// Second half of the effective time.
    pub seq: u64,
    /// Index of the topic among the source topics, sorted bytewise.
    pub topic_rank: u16,
    /// Of the topic.
    pub partition: u32,
    /// Writer within the partition.
    pub origin: u16,
    /// Offset in the partition, or the writer's own number where several share it.
    pub pos: Offset,
}

/// Greatest (ts, seq) of a channel so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Eff {
    /// Time.
    pub ts: Ts,
    /// Sequence number that came with it.
    pub seq: u64,
}

/// The engine says in a channel's place: nothing before `ts` follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VirtualBeacon {
    /// Number of the channel.
    pub channel: u16,
    /// It stands just before the record of this offset.
    pub pos: Offset,
    /// New least time.
    pub ts: Ts,
}

/// What a merge does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// Process the head of this channel.
    Record(usize),
    /// The head of this channel only lifts time.
    Beacon(usize),
    /// This channel is empty and must be waited for.
    Wait(usize),
    /// Every channel is empty and none will be waited for.
    End,
}

/// The channels of a task.
#[derive(Debug, Default)]
pub struct Merge {
    channels: Vec<Channel>,
    /// Of the partitions that several channels share.
    readers: Vec<Reader>,
    /// Bytes that may wait in the channels of one shared partition.
    pub reorder_bytes_max: usize,
    last: Option<CanonicalKey>,
    /// An empty channel at its readable end is not waited for, unless tasks of this application write it:
    /// that one when it has left.
    pub finite: bool,
    /// Those tasks write nothing more in this run, or nothing is known of them but their byes.
    pub upstream_ended: bool,
    follow: Vec<VirtualBeacon>,
    lifted: Vec<VirtualBeacon>,
}

impl Merge {
    /// Channels in the order by which a task numbers them; `last` as [`Merge::last`] told it.
    pub fn new(channels: Vec<Channel>, last: Option<CanonicalKey>) -> Merge {
        Merge { channels, last, reorder_bytes_max: usize::MAX, upstream_ended: true, ..Merge::default() }
    }

    /// Adds a channel.
    pub fn push(&mut self, channel: Channel) {
        self.channels.push(channel);
    }

    /// Adds a partition that `origins` writers share, each with a channel like this one.
    pub fn share(&mut self, tp: &Tp, origins: u16, channel: impl Fn() -> Channel) {
        let first = self.channels.len();
        for origin in 0..origins {
            let shared = Some(self.readers.len());
            self.channels.push(Channel { origin, shared, ..channel() });
        }
        let channels = first..self.channels.len();
        self.readers.push(Reader { tp: tp.clone(), channels, next: Offset(0), scratch: Batch::default() });
    }

    /// Every partition that is read, once, and the first offset that is not processed.
    pub fn inputs(&self) -> Vec<(Tp, Offset)> {
        let mut inputs = Vec::new();
        for (i, channel) in self.channels.iter().enumerate() {
            match channel.shared.map(|reader| &self.readers[reader]) {
                None => inputs.push((channel.tp.clone(), channel.progress.next)),
                Some(reader) if reader.channels.start == i => {
                    inputs.push((reader.tp.clone(), reader.unprocessed(&self.channels)));
                }
                Some(_) => {}
            }
        }
        inputs
    }

    /// First unprocessed offset of each shared partition: with the progress of all channels, where it stands.
    pub fn fetched(&self) -> Vec<(Tp, Offset)> {
        let at = |reader: &Reader| (reader.tp.clone(), reader.unprocessed(&self.channels));
        self.readers.iter().map(at).collect()
    }

    /// Moves a partition to this offset, forgetting what was fetched of it; a shared one goes on dropping what
    /// its channels have processed. `false`: it is not read here.
    pub fn move_to(&mut self, tp: &Tp, offset: Offset) -> bool {
        let Some(i) = self.channels.iter().position(|channel| channel.tp == *tp) else { return false };
        match self.channels[i].shared {
            None => {
                let progress = Progress { next: offset, ..self.channels[i].progress.clone() };
                self.set_progress(i, progress);
            }
            Some(reader) => {
                self.forget_fetched(i);
                self.readers[reader].next = offset;
            }
        }
        true
    }

    /// The channels.
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// One channel.
    pub fn channel(&self, i: usize) -> &Channel {
        &self.channels[i]
    }

    /// Key of the record processed last.
    pub fn last(&self) -> Option<CanonicalKey> {
        self.last
    }

    /// Moves a channel, forgetting what was fetched.
    pub fn set_progress(&mut self, i: usize, progress: Progress) {
        let channel = &mut self.channels[i];
        channel.progress = progress;
        self.forget_fetched(i);
    }

    /// Key of the record processed last, from a checkpoint.
    pub fn set_last(&mut self, last: Option<CanonicalKey>) {
        self.last = last;
    }

    /// Records from this offset on are not processed.
    pub fn set_limit(&mut self, i: usize, limit: Option<Offset>) {
        self.channels[i].limit = limit;
        self.look_at_head(i);
    }

    /// Lifts that an earlier run made and this one repeats.
    pub fn follow(&mut self, beacons: impl IntoIterator<Item = VirtualBeacon>) {
        self.follow.extend(beacons);
        for i in 0..self.channels.len() {
            self.apply_followed(i);
            self.look_at_head(i);
        }
    }

    /// A lift stands just before the record of its place: it is made as soon as that is the next one.
    fn apply_followed(&mut self, i: usize) {
        if self.follow.is_empty() {
            return;
        }
        let channel = &mut self.channels[i];
        let next = channel.progress.next;
        self.follow.retain(|beacon| {
            let due = usize::from(beacon.channel) == i && beacon.pos <= next;
            if due {
                channel.lift(beacon.ts);
            }
            !due
        });
    }

    /// Lifts made since this was last asked, that no earlier run made.
    pub fn take_lifted(&mut self) -> Vec<VirtualBeacon> {
        std::mem::take(&mut self.lifted)
    }

    /// Stops waiting for an empty channel: it is lifted to where the first waiting record can be processed.
    /// `false`: none waits.
    pub fn skip(&mut self, i: usize) -> bool {
        let Some(head) = self.channels.iter().filter_map(|channel| Some(channel.head?.key)).min() else {
            return false;
        };
        let channel = &mut self.channels[i];
        let pos = channel.progress.next;
        let passes = |ts: Ts| channel.key(Eff { ts, seq: 0 }, pos) > head;
        let ts = if passes(head.ts) { head.ts } else { Ts(head.ts.0.saturating_add(1)) };
        channel.lift(ts);
        self.lifted.push(VirtualBeacon { channel: i as u16, pos, ts });
        true
    }

    /// Does the partition of a channel hold so much that it must not be fetched from?
    pub fn is_full(&self, i: usize) -> bool {
        let reader = self.channels[i].shared.map(|reader| &self.readers[reader]);
        reader.is_some_and(|reader| reader.bytes(&self.channels) >= self.reorder_bytes_max)
    }

    /// Forgets records that were fetched and not processed: they will be fetched again. What shares its
    /// partition is forgotten too.
    pub fn forget_fetched(&mut self, i: usize) {
        let Some(reader) = self.channels[i].shared else { return self.channels[i].forget() };
        let reader = &mut self.readers[reader];
        reader.next = reader.unprocessed(&self.channels);
        self.channels[reader.channels.clone()].iter_mut().for_each(Channel::forget);
    }

    /// Lets `fetch` fill the batch of an empty channel; it tells whether the readable end was reached.
    /// Offsets before the position are skipped: a log may deliver a few after it was moved. Of a shared
    /// partition every channel gets its part.
    ///
    /// # Errors
    /// That of `fetch`, or what is wrong with a record of a shared partition.
    pub fn refill<E: From<SharedInput>>(
        &mut self,
        i: usize,
        fetch: impl FnOnce(&Tp, &mut Batch) -> Result<bool, E>,
    ) -> Result<usize, E> {
        if let Some(reader) = self.channels[i].shared {
            return self.refill_shared(reader, fetch);
        }
        let channel = &mut self.channels[i];
        channel.batch.clear();
        channel.at = 0;
        channel.caught_up = fetch(&channel.tp, &mut channel.batch)?;
        let next = channel.progress.next;
        while channel.record().is_some_and(|record| record.offset < next) {
            channel.at += 1;
        }
        let n = channel.batch.len() - channel.at;
        self.look_at_head(i);
        Ok(n)
    }

    fn refill_shared<E: From<SharedInput>>(
        &mut self,
        reader: usize,
        fetch: impl FnOnce(&Tp, &mut Batch) -> Result<bool, E>,
    ) -> Result<usize, E> {
        let reader = &mut self.readers[reader];
        reader.scratch.clear();
        let caught_up = fetch(&reader.tp, &mut reader.scratch)?;
        let n = reader.distribute(&mut self.channels, caught_up).map_err(SharedInput)?;
        for i in reader.channels.clone() {
            if self.channels[i].head.is_none() {
                self.look_at_head(i);
            }
        }
        Ok(n)
    }

    /// Whose turn it is.
    pub fn pick(&self) -> Pick {
        let mut least: Option<(Option<CanonicalKey>, usize)> = None;
        for (i, channel) in self.channels.iter().enumerate() {
            let bound = match channel.head {
                Some(head) => Some(head.key),
                None if !channel.is_waited_for(self.finite, self.upstream_ended) => continue,
                // `None` sorts before every key: nothing is known of a channel that never had a record.
                None => channel.progress.eff.map(|eff| channel.key(eff, channel.progress.next)),
            };
            if least.is_none_or(|(known, _)| bound < known) {
                least = Some((bound, i));
            }
        }
        match least {
            None => Pick::End,
            Some((_, i)) => match self.channels[i].head {
                None => Pick::Wait(i),
                Some(Head { beacon: Some(_), .. }) => Pick::Beacon(i),
                Some(Head { beacon: None, .. }) => Pick::Record(i),
            },
        }
    }

    /// Key of the head of a channel that was picked.
    pub fn head_key(&self, i: usize) -> Option<CanonicalKey> {
        self.channels[i].head.map(|head| head.key)
    }

    /// The head of channel `i` has been processed.
    pub fn advance(&mut self, i: usize) {
        let channel = &mut self.channels[i];
        if let Some(Head { key, beacon, lift }) = channel.head.take() {
            debug_assert!(self.last.is_none_or(|last| last < key), "keys never go back");
            self.last = Some(key);
            channel.progress = Progress {
                eff: Some(Eff { ts: key.ts, seq: key.seq }),
                next: Offset(key.pos.0 + 1),
                left: beacon.is_some_and(|beacon| beacon.bye),
            };
            channel.at += 1;
            self.lifted.extend(lift.map(|ts| VirtualBeacon { channel: i as u16, pos: key.pos, ts }));
            self.apply_followed(i);
        }
        self.look_at_head(i);
    }

    /// Has every origin of every input said bye?
    pub fn all_left(&self) -> bool {
        self.channels.iter().all(|channel| channel.progress.left && channel.is_empty())
    }

    fn look_at_head(&mut self, i: usize) {
        let last = self.last;
        self.channels[i].look_at_head(last);
    }
}

/// A record of a partition that several writers share does not say whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedInput(pub String);

#[cfg(test)]
mod tests;
