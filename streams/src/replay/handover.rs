//! Back-fill to live: one source, two readers, joined at an offset vector.
//!
//! ```text
//! archive   0 ─────────────── a        partition p is read from the archive through offset a,
//! live               f ────── a+1 ──▶  from a+1 on from the live log; f ≤ a+1, or there is a hole
//! ```
//! A time cannot join two logs: records of one instant lie on both sides of it. An offset can, and it is exact.
//! The joined log is a [`Log`] like any other, so whoever reads it does not know of the joint; tasks write it
//! into the decision of the epoch that crosses it. Everything that is written, and all positions, go to the
//! live log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::error::LogError;
use crate::lmdb::Env;
use crate::log::{
    Answer, Assignment, Commit, Consumer, ConsumerOptions, GroupEvent, GroupMetadata, Log, Producer,
    ProducerOptions, Range, Taken, TopicName, TopicSpec, Tp,
};
use crate::record::{Batch, Offset};
use crate::time::Ts;

/// Offsets before the joint that both logs are compared at, where both have them.
const COMPARED: u64 = 64;
/// How long a reader waits for what has not been fetched yet.
const PAUSE: Duration = Duration::from_millis(5);

/// First offset of each partition that is read from the live log.
type Joints = Arc<BTreeMap<Tp, Offset>>;

/// An archive and the live log that continues it.
pub struct Handover {
    archive: Arc<dyn Log>,
    live: Arc<dyn Log>,
    joints: Joints,
}

impl Handover {
    /// Joins topics where their archive ends now.
    ///
    /// # Errors
    /// [`LogError::Hole`]: records are in neither. [`LogError::Client`]: the live log does not continue the
    /// archive: other numbers of partitions, other records at the same offsets, or it ends before.
    pub fn join(
        archive: Arc<dyn Log>,
        live: Arc<dyn Log>,
        topics: &[TopicName],
    ) -> Result<Handover, LogError> {
        let mut joints = BTreeMap::new();
        for topic in topics {
            let (old, new) = (archive.partitions(topic)?, live.partitions(topic)?);
            if old != new {
                let what = format!("{new} partitions, the archive has {old}");
                return Err(LogError::TopicMismatch { topic: topic.to_string(), what });
            }
            for partition in 0..old {
                let tp = Tp::new(topic, partition);
                let joint = joint(&*archive, &*live, &tp)?;
                joints.insert(tp, joint);
            }
        }
        Ok(Handover { archive, live, joints: Arc::new(joints) })
    }

    /// The hand-over vector: of each partition the first offset that is read from the live log.
    pub fn vector(&self) -> impl Iterator<Item = (&Tp, Offset)> {
        self.joints.iter().map(|(tp, joint)| (tp, *joint))
    }
}

fn joint(archive: &dyn Log, live: &dyn Log, tp: &Tp) -> Result<Offset, LogError> {
    let (old, new) = (archive.range(tp)?, live.range(tp)?);
    let joint = old.stable;
    if new.first > joint {
        return Err(LogError::Hole { tp: tp.to_string(), ends: joint.0, begins: new.first.0 });
    }
    let mismatch =
        |reason: String| LogError::Client { what: format!("joining {tp}"), reason, retriable: false };
    if new.stable < joint {
        return Err(mismatch(format!(
            "the live log ends at offset {}, the archive at {}: it is not its continuation",
            new.stable.0, joint.0
        )));
    }
    let from = Offset(old.first.0.max(new.first.0).max(joint.0.saturating_sub(COMPARED)));
    let (a, b) = (tail(archive, tp, from, joint)?, tail(live, tp, from, joint)?);
    match a.iter().zip(&b).find(|(a, b)| a != b) {
        None if a.len() == b.len() => Ok(joint),
        Some(((offset, ..), _)) => {
            Err(mismatch(format!("offset {} is another record in the archive", offset.0)))
        }
        None => Err(mismatch(format!("before offset {} both logs hold other records", joint.0))),
    }
}

type Bare = (Offset, Ts, Option<Vec<u8>>, Option<Vec<u8>>);

fn tail(log: &dyn Log, tp: &Tp, from: Offset, to: Offset) -> Result<Vec<Bare>, LogError> {
    let mut found = Vec::new();
    if from >= to {
        return Ok(found);
    }
    let mut reader = log.consumer(&ConsumerOptions { group: None, assignment: Assignment::Manual })?;
    reader.answer(Answer::Start(&[(tp.clone(), from)]))?;
    let mut batch = Batch::default();
    loop {
        batch.clear();
        let taken = reader.take(tp, COMPARED as usize, &mut batch)?;
        for r in batch.iter() {
            if r.offset >= to {
                return Ok(found);
            }
            found.push((r.offset, r.ts, r.key.map(<[u8]>::to_vec), r.value.map(<[u8]>::to_vec)));
        }
        if taken.caught_up {
            return Ok(found);
        }
        if taken.n == 0 {
            reader.serve(PAUSE)?;
        }
    }
}

impl Log for Handover {
    fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), LogError> {
        self.live.ensure_topic(spec)
    }

    fn partitions(&self, topic: &TopicName) -> Result<u32, LogError> {
        self.live.partitions(topic)
    }

    fn topics(&self) -> Result<Vec<TopicName>, LogError> {
        self.live.topics()
    }

    fn range(&self, tp: &Tp) -> Result<Range, LogError> {
        let live = self.live.range(tp)?;
        match self.joints.get(tp) {
            None => Ok(live),
            Some(joint) => {
                let archive = self.archive.range(tp)?.first;
                Ok(if archive < *joint { Range { first: archive, ..live } } else { live })
            }
        }
    }

    fn offset_at(&self, tp: &Tp, ts: Ts) -> Result<Option<Offset>, LogError> {
        if let Some(joint) = self.joints.get(tp)
            && let Some(found) = self.archive.offset_at(tp, ts)?.filter(|found| found < joint)
        {
            return Ok(Some(found));
        }
        self.live.offset_at(tp, ts)
    }

    fn consumer(&self, options: &ConsumerOptions) -> Result<Box<dyn Consumer>, LogError> {
        let manual = ConsumerOptions { group: None, assignment: Assignment::Manual };
        Ok(Box::new(Reader {
            archive: self.archive.consumer(&manual)?,
            live: self.live.consumer(options)?,
            joints: Arc::clone(&self.joints),
            behind: BTreeMap::new(),
            batch: Batch::default(),
        }))
    }

    fn producer(&self, options: &ProducerOptions) -> Result<Box<dyn Producer>, LogError> {
        self.live.producer(options)
    }

    fn purge(&self, before: &[(Tp, Offset)]) -> Result<(), LogError> {
        self.live.purge(before)
    }

    fn members(&self, group: &str) -> Result<usize, LogError> {
        self.live.members(group)
    }

    fn state(&self) -> Option<Arc<Env>> {
        self.live.state()
    }

    fn skip_headers(&self, topic: &TopicName) {
        self.archive.skip_headers(topic);
        self.live.skip_headers(topic);
    }

    fn joint(&self, tp: &Tp) -> Option<Offset> {
        self.joints.get(tp).copied()
    }
}

/// Reads each partition from the archive up to its joint, then from the live log.
struct Reader {
    archive: Box<dyn Consumer>,
    live: Box<dyn Consumer>,
    joints: Joints,
    /// Partitions that are still read from the archive, with their joints.
    behind: BTreeMap<Tp, Offset>,
    batch: Batch,
}

impl Reader {
    /// The live log is told of every partition, because the group waits for that; of those that begin in the
    /// archive it is asked nothing before the joint.
    fn start(&mut self, starts: &[(Tp, Offset)]) -> Result<(), LogError> {
        let (mut old, mut new) = (Vec::new(), Vec::new());
        for (tp, from) in starts {
            match self.joints.get(tp).filter(|joint| from < joint) {
                Some(joint) => {
                    old.push((tp.clone(), *from));
                    new.push((tp.clone(), *joint));
                    self.behind.insert(tp.clone(), *joint);
                }
                None => {
                    new.push((tp.clone(), *from));
                    if self.behind.remove(tp).is_some() {
                        self.archive.answer(Answer::Stop(std::slice::from_ref(tp)))?;
                    }
                }
            }
        }
        if !old.is_empty() {
            self.archive.answer(Answer::Start(&old))?;
        }
        self.live.answer(Answer::Start(&new))
    }

    fn stop(&mut self, tps: &[Tp]) -> Result<(), LogError> {
        let old: Vec<Tp> = tps.iter().filter(|tp| self.behind.remove(*tp).is_some()).cloned().collect();
        if !old.is_empty() {
            self.archive.answer(Answer::Stop(&old))?;
        }
        self.live.answer(Answer::Stop(tps))
    }
}

impl Consumer for Reader {
    fn subscribe(&mut self, topics: &[TopicName]) -> Result<(), LogError> {
        self.live.subscribe(topics)
    }

    fn serve(&mut self, wait: Duration) -> Result<Option<GroupEvent>, LogError> {
        self.live.serve(wait)
    }

    fn answer(&mut self, answer: Answer<'_>) -> Result<(), LogError> {
        match answer {
            Answer::Start(starts) => self.start(starts),
            Answer::Stop(tps) => self.stop(tps),
        }
    }

    fn take(&mut self, tp: &Tp, max: usize, into: &mut Batch) -> Result<Taken, LogError> {
        let Some(joint) = self.behind.get(tp).copied() else { return self.live.take(tp, max, into) };
        self.batch.clear();
        let taken = self.archive.take(tp, max, &mut self.batch)?;
        let (mut n, mut next) = (0, Offset(0));
        // The archive may have grown since it was joined.
        for r in self.batch.iter().take_while(|r| r.offset < joint) {
            into.push(r.offset, r.ts, r.seq, r.key, r.value, r.headers.iter());
            (n, next) = (n + 1, Offset(r.offset.0 + 1));
        }
        if n < self.batch.len() || next >= joint || taken.caught_up {
            self.behind.remove(tp);
            self.archive.answer(Answer::Stop(std::slice::from_ref(tp)))?;
        }
        Ok(Taken { n, caught_up: false })
    }

    fn committed(&mut self, tps: &[Tp]) -> Result<Vec<Option<Commit>>, LogError> {
        self.live.committed(tps)
    }

    fn commit(&mut self, offsets: &[Commit]) -> Result<(), LogError> {
        self.live.commit(offsets)
    }

    fn group(&self) -> Option<GroupMetadata> {
        self.live.group()
    }

    fn close(self: Box<Self>, within: Duration) -> Result<(), LogError> {
        self.live.close(within)
    }
}
