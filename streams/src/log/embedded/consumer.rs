//! Reads partitions of the embedded log batch by batch, each copied out of a view that is closed at once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::layout::{PartitionId, Reader};
use super::receipts::Receipts;
use super::writer::{GroupOffset, Submission};
use super::{Core, corrupt};
use crate::error::LogError;
use crate::log::{
    Answer, Assignment, Commit, Consumer, ConsumerOptions, GroupEvent, GroupMetadata, Taken, TopicName, Tp,
};
use crate::record::{Batch, Offset};

/// How often commits of other processes are looked for.
const POLL: Duration = Duration::from_millis(5);

/// The group of a consumer, as [`GroupMetadata`] holds it.
#[derive(Clone, Debug)]
pub(super) struct Group(pub(super) String);

#[derive(Debug)]
pub(super) struct EmbeddedConsumer {
    core: Arc<Core>,
    group: Option<Group>,
    assignment: Assignment,
    events: VecDeque<GroupEvent>,
    positions: BTreeMap<Tp, Position>,
    /// The log's last commit before the first `take` since the last `serve`.
    seen: Option<u64>,
}

/// Where a started partition is read.
#[derive(Debug)]
struct Position {
    at: PartitionId,
    next: u64,
    block: Block,
}

/// The rest of a batch.
#[derive(Debug, Default)]
struct Block {
    plain: Vec<u8>,
    read: usize,
    left: u32,
}

impl EmbeddedConsumer {
    pub(super) fn new(core: Arc<Core>, options: &ConsumerOptions) -> EmbeddedConsumer {
        EmbeddedConsumer {
            core,
            group: options.group.clone().map(Group),
            assignment: options.assignment.clone(),
            events: VecDeque::new(),
            positions: BTreeMap::new(),
            seen: None,
        }
    }

    fn group_name(&self) -> Result<&str, LogError> {
        let named = self.group.as_ref().map(|group| group.0.as_str());
        named.ok_or_else(|| failure("committed offsets", "the consumer has no group"))
    }
}

impl Consumer for EmbeddedConsumer {
    fn subscribe(&mut self, topics: &[TopicName]) -> Result<(), LogError> {
        let (index, of) = match self.assignment {
            Assignment::Static { index, of } => (index, of.max(1)),
            // Of a group without other members, all partitions are ours.
            Assignment::Group(_) => (0, 1),
            Assignment::Manual => return Ok(()),
        };
        let mut ours = Vec::new();
        for name in topics {
            let partitions = self.core.topic(name)?.partitions;
            ours.extend((0..partitions).filter(|p| p % of == index).map(|p| Tp::new(name, p)));
        }
        self.events.push_back(GroupEvent::Assign(ours));
        Ok(())
    }

    fn serve(&mut self, wait: Duration) -> Result<Option<GroupEvent>, LogError> {
        let seen = match self.seen.take() {
            Some(seen) => seen,
            None => self.core.env.last_commit()?,
        };
        let mut left = wait;
        while self.events.is_empty() && !left.is_zero() && self.core.env.last_commit()? == seen {
            let slice = left.min(POLL);
            self.core.signal.wait(slice);
            left -= slice;
        }
        Ok(self.events.pop_front())
    }

    fn answer(&mut self, answer: Answer<'_>) -> Result<(), LogError> {
        match answer {
            Answer::Start(starts) => {
                for (tp, offset) in starts {
                    let (_, at) = self.core.partition(tp)?;
                    let position = Position { at, next: offset.0, block: Block::default() };
                    self.positions.insert(tp.clone(), position);
                }
            }
            Answer::Stop(tps) => self.positions.retain(|tp, _| !tps.contains(tp)),
        }
        Ok(())
    }

    fn take(&mut self, tp: &Tp, max: usize, into: &mut Batch) -> Result<Taken, LogError> {
        if self.seen.is_none() {
            self.seen = Some(self.core.env.last_commit()?);
        }
        let position =
            self.positions.get_mut(tp).ok_or_else(|| failure(tp, "the partition was not started"))?;
        let mut n = 0;
        loop {
            n += position.copy(tp, max - n, into)?;
            if position.block.left > 0 {
                return Ok(Taken { n, caught_up: false });
            }
            if !position.fetch(&self.core, tp)? {
                return Ok(Taken { n, caught_up: true });
            }
        }
    }

    fn committed(&mut self, tps: &[Tp]) -> Result<Vec<Option<Commit>>, LogError> {
        let group = self.group_name()?;
        let mut keys = Vec::with_capacity(tps.len());
        for tp in tps {
            keys.push(self.core.partition(tp)?.1.group_key(group));
        }
        self.core.env.read(|view| {
            let stored = keys.iter().map(|key| view.get(self.core.tables.groups, key));
            let decoded = stored.zip(tps).map(|(value, tp)| Ok(value?.and_then(|value| commit(tp, value))));
            decoded.collect()
        })
    }

    fn commit(&mut self, offsets: &[Commit]) -> Result<(), LogError> {
        let group = self.group_name()?;
        let offsets = offsets.iter().map(|commit| GroupOffset::of(&self.core, group, commit));
        let offsets = offsets.collect::<Result<Vec<_>, _>>()?;
        let receipts = Arc::new(Receipts::default());
        let ticket = receipts.ticket(0);
        self.core.submit(Submission { fence: None, batches: Vec::new(), offsets, state: Vec::new(), ticket });
        let written = receipts.outcome();
        written.map(drop).map_err(|refusal| failure("commit", refusal.error("commit").reason))
    }

    fn group(&self) -> Option<GroupMetadata> {
        self.group.clone().map(|group| GroupMetadata(Box::new(group)))
    }

    fn close(self: Box<Self>, _within: Duration) -> Result<(), LogError> {
        Ok(())
    }
}

impl Position {
    /// Copies records of the block, at most `max`.
    fn copy(&mut self, tp: &Tp, max: usize, into: &mut Batch) -> Result<usize, LogError> {
        let n = self.block.left.min(u32::try_from(max).unwrap_or(u32::MAX));
        let plain = &self.block.plain;
        let mut reader = Reader(&plain[self.block.read..]);
        for _ in 0..n {
            let copied = reader.copy_record(Offset(self.next), into);
            copied.ok_or_else(|| corrupt(tp, self.next, "not a record"))?;
            self.next += 1;
        }
        self.block.read = plain.len() - reader.0.len();
        self.block.left -= n;
        Ok(n as usize)
    }

    /// Loads the batch that holds the next record; `false`: there is none yet.
    fn fetch(&mut self, core: &Core, tp: &Tp) -> Result<bool, LogError> {
        let next = self.next;
        let found = core.env.read(|view| {
            let extent = core.extent(view, self.at)?;
            if next < extent.first {
                return Err(LogError::HistoryMissing { tp: tp.to_string(), need: next, have: extent.first });
            }
            if next > extent.end {
                return Err(failure(tp, format!("offset {next} is past the end, {}", extent.end)));
            }
            if next == extent.end {
                return Ok(None);
            }
            let batch = core.batch_of(view, tp, self.at, next)?;
            let plain = core.unpack(&batch).map_err(|e| corrupt(tp, batch.base, &e.to_string()))?;
            Ok(Some((plain, batch.base, batch.n)))
        })?;
        let Some((plain, base, n)) = found else { return Ok(false) };
        self.block = Block { plain, read: 0, left: n };
        self.skip(tp, next - base)?;
        Ok(true)
    }

    fn skip(&mut self, tp: &Tp, n: u64) -> Result<(), LogError> {
        let mut reader = Reader(&self.block.plain);
        for _ in 0..n {
            reader.skip_record().ok_or_else(|| corrupt(tp, self.next, "not a record"))?;
        }
        self.block.read = self.block.plain.len() - reader.0.len();
        self.block.left -= n as u32;
        Ok(())
    }
}

fn commit(tp: &Tp, value: &[u8]) -> Option<Commit> {
    let (offset, note) = value.split_first_chunk()?;
    let note = String::from_utf8_lossy(note).into_owned();
    Some(Commit { tp: tp.clone(), offset: Offset(u64::from_be_bytes(*offset)), note })
}

fn failure(what: impl ToString, reason: impl Into<String>) -> LogError {
    LogError::Client { what: what.to_string(), reason: reason.into(), retriable: false }
}
