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

use crate::beacon::{Beacon, is_reserved};
use crate::log::Tp;
use crate::record::{Batch, InRecord, Offset};
use crate::time::Ts;

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
    /// Offset in the partition.
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

/// What a channel is and how far it has come: all of it that must outlive a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Greatest time so far; `None` before any record.
    pub eff: Option<Eff>,
    /// Next offset to process.
    pub next: Offset,
    /// Its origin said bye and has written nothing since.
    pub left: bool,
}

/// One ordered input of a task.
#[derive(Debug)]
pub struct Channel {
    /// The partition.
    pub tp: Tp,
    rank: u16,
    topic_rank: u16,
    progress: Progress,
    batch: Batch,
    at: usize,
    head: Option<Head>,
    /// The last `take` reached the readable end.
    pub caught_up: bool,
    /// Records from here on are not looked at; a restore stops here.
    limit: Option<Offset>,
}

#[derive(Clone, Copy, Debug)]
struct Head {
    key: CanonicalKey,
    beacon: Option<Beacon>,
    /// It came too late and was lifted to this time.
    lift: Option<Ts>,
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
    last: Option<CanonicalKey>,
    /// An empty channel at its readable end is not waited for.
    pub finite: bool,
    follow: Vec<VirtualBeacon>,
    lifted: Vec<VirtualBeacon>,
}

impl Channel {
    /// A channel that starts at `next`.
    pub fn new(tp: Tp, rank: u16, topic_rank: u16, next: Offset) -> Channel {
        let progress = Progress { eff: None, next, left: false };
        Channel {
            tp,
            rank,
            topic_rank,
            progress,
            batch: Batch::default(),
            at: 0,
            head: None,
            caught_up: false,
            limit: None,
        }
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

    fn is_at_limit(&self) -> bool {
        let next = self.record().map_or(self.progress.next, |record| record.offset);
        self.limit.is_some_and(|limit| next >= limit)
    }

    fn key(&self, eff: Eff, pos: Offset) -> CanonicalKey {
        CanonicalKey {
            ts: eff.ts,
            rank: self.rank,
            seq: eff.seq,
            topic_rank: self.topic_rank,
            partition: self.tp.partition,
            pos,
        }
    }

    fn is_waited_for(&self, finite: bool) -> bool {
        let passed = (self.progress.left || finite) && self.caught_up;
        !passed && !self.is_at_limit()
    }
}

impl Merge {
    /// Channels in the order by which a task numbers them; `last` as [`Merge::last`] told it.
    pub fn new(channels: Vec<Channel>, last: Option<CanonicalKey>) -> Merge {
        Merge { channels, last, ..Merge::default() }
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
    }

    /// Lifts made since this was last asked, that no earlier run made.
    pub fn take_lifted(&mut self) -> Vec<VirtualBeacon> {
        std::mem::take(&mut self.lifted)
    }

    /// Forgets records that were fetched and not processed: they will be fetched again.
    pub fn forget_fetched(&mut self, i: usize) {
        let channel = &mut self.channels[i];
        channel.batch.clear();
        channel.at = 0;
        channel.head = None;
        channel.caught_up = false;
    }

    /// Lets `fetch` fill the batch of an empty channel; it tells whether the readable end was reached.
    /// Offsets before the position are skipped: a log may deliver a few after it was moved.
    pub fn refill<E>(
        &mut self,
        i: usize,
        fetch: impl FnOnce(&Tp, &mut Batch) -> Result<bool, E>,
    ) -> Result<usize, E> {
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

    /// Whose turn it is.
    pub fn pick(&self) -> Pick {
        let mut least: Option<(Option<CanonicalKey>, usize)> = None;
        for (i, channel) in self.channels.iter().enumerate() {
            let bound = match channel.head {
                Some(head) => Some(head.key),
                None if !channel.is_waited_for(self.finite) => continue,
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
            self.follow.retain(|beacon| usize::from(beacon.channel) != i || beacon.pos > key.pos);
        }
        self.look_at_head(i);
    }

    /// Computes the head's key, lifting it if it comes too late. A lift counts as made when its record is
    /// processed: until then it decides nothing.
    fn look_at_head(&mut self, i: usize) {
        let channel = &mut self.channels[i];
        channel.head = None;
        let Some(record) = channel.record().filter(|_| !channel.is_at_limit()) else { return };
        let beacon = record.key.filter(|key| is_reserved(key));
        let beacon = beacon.and_then(|key| Beacon::decode(Some(key), record.value));
        let own = match beacon {
            Some(beacon) => Eff { ts: beacon.bound, seq: 0 },
            None => Eff { ts: record.ts, seq: record.seq },
        };
        let pos = record.offset;
        let followed = self.follow.iter().filter(|b| usize::from(b.channel) == i && b.pos == pos);
        let followed = followed.map(|b| Eff { ts: b.ts, seq: 0 }).max();
        let mut eff = own.max(channel.progress.eff.unwrap_or(own)).max(followed.unwrap_or(own));
        let mut lift = None;
        if let Some(last) = self.last.filter(|last| channel.key(eff, pos) < *last) {
            let ts = Ts(last.ts.0.saturating_add(1));
            (eff, lift) = (Eff { ts, seq: 0 }, Some(ts));
        }
        channel.head = Some(Head { key: channel.key(eff, pos), beacon, lift });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::TopicName;

    fn merge() -> Merge {
        let tp = |name| Tp::new(&TopicName::new(name), 0);
        let channels = vec![Channel::new(tp("a"), 0, 0, Offset(0)), Channel::new(tp("b"), 1, 1, Offset(0))];
        Merge::new(channels, None)
    }

    /// Fetches records (offset, ts); a negative offset is a bye.
    fn fetch(merge: &mut Merge, i: usize, records: &[(i64, i64)]) {
        let fetched = merge.refill::<()>(i, |_, batch| {
            for (offset, ts) in records {
                let beacon = Beacon { origin: 0, bound: Ts(*ts), bye: true };
                let (key, value) = (beacon.key(), beacon.value());
                let (key, value) = if *offset < 0 { (&key[..], &value[..]) } else { (&b"k"[..], &b"v"[..]) };
                let pos = Offset(offset.unsigned_abs());
                batch.push(pos, Ts(*ts), 0, Some(key), Some(value), std::iter::empty());
            }
            Ok(true)
        });
        fetched.expect("fetched");
    }

    /// Processes all it can: (channel, time).
    fn drain(merge: &mut Merge) -> Vec<(usize, i64)> {
        let mut done = Vec::new();
        while let Pick::Record(i) | Pick::Beacon(i) = merge.pick() {
            done.push((i, merge.head_key(i).expect("picked").ts.0));
            merge.advance(i);
        }
        done
    }

    #[test]
    fn a_channel_that_left_is_not_waited_for_once_it_is_known_to_be_at_its_end() {
        let mut m = merge();
        fetch(&mut m, 0, &[(0, 10), (-1, 12)]);
        fetch(&mut m, 1, &[(0, 11), (1, 50)]);
        assert_eq!(drain(&mut m), [(0, 10), (1, 11), (0, 12), (1, 50)]);
        assert_eq!(m.pick(), Pick::Wait(1), "the other one is");
        m.forget_fetched(0);
        fetch(&mut m, 1, &[(2, 60)]);
        assert_eq!(m.pick(), Pick::Wait(0), "more of it may be there");
        fetch(&mut m, 0, &[]);
        assert_eq!(drain(&mut m), [(1, 60)]);
    }

    #[test]
    fn what_comes_after_its_time_is_lifted_and_a_second_run_lifts_it_to_the_same_place() {
        let mut first = merge();
        fetch(&mut first, 0, &[(-1, 12)]);
        fetch(&mut first, 1, &[(0, 11), (1, 50)]);
        assert_eq!(drain(&mut first), [(1, 11), (0, 12), (1, 50)]);
        fetch(&mut first, 0, &[(2, 20), (3, 70)]);
        assert_eq!(first.take_lifted(), [], "nothing is decided before it is processed");
        fetch(&mut first, 1, &[(2, 51), (3, 90)]);
        assert_eq!(drain(&mut first), [(0, 51), (1, 51), (0, 70)]);
        let lifted = first.take_lifted();
        assert_eq!(lifted, [VirtualBeacon { channel: 0, pos: Offset(2), ts: Ts(51) }]);

        let mut second = merge();
        second.follow(lifted);
        fetch(&mut second, 0, &[(-1, 12), (2, 20), (3, 70)]);
        fetch(&mut second, 1, &[(0, 11), (1, 50), (2, 51), (3, 90)]);
        assert_eq!(drain(&mut second), [(1, 11), (0, 12), (1, 50), (0, 51), (1, 51), (0, 70)]);
        assert_eq!(second.take_lifted(), [], "it was no decision of this run");
    }

    #[test]
    fn a_limit_ends_a_channel_early() {
        let mut m = merge();
        m.set_limit(0, Some(Offset(1)));
        m.set_limit(1, Some(Offset(0)));
        fetch(&mut m, 0, &[(0, 10), (1, 11)]);
        assert_eq!(drain(&mut m), [(0, 10)]);
        assert_eq!((m.pick(), m.channel(0).is_hungry()), (Pick::End, false));
        m.set_limit(0, Some(Offset(2)));
        assert_eq!(drain(&mut m), [(0, 11)]);
    }

    #[test]
    fn what_was_processed_before_is_skipped_when_it_is_delivered_again() {
        let mut m = merge();
        m.set_progress(0, Progress { eff: None, next: Offset(5), left: false });
        fetch(&mut m, 1, &[(-1, 1)]);
        fetch(&mut m, 0, &[(3, 10), (4, 11), (7, 12)]);
        assert_eq!(drain(&mut m), [(1, 1), (0, 12)]);
        assert_eq!(m.channel(0).progress().next, Offset(8));
    }
}
