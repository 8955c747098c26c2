//! The records that a live run wrote, found again one by one by their `src` header.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::log::{Answer, Assignment, Consumer, ConsumerOptions, Log, Tp};
use crate::record::{Batch, Header, InRecord, Offset, OutRecord, header};
use crate::runtime::outbox::Src;
use crate::topology::processor::TaskId;
use crate::verify::Sample;

/// Records fetched at a time.
const FETCH: usize = 1_024;
/// A committed record becomes readable when the log has ended its transaction in that partition too: so many
/// pauses are given to it.
const PATIENCE: u32 = 2_000;

/// What the log has in the place of a record that was written again.
pub(super) enum Found {
    /// The same.
    Same,
    /// It is no longer kept.
    Gone,
    /// Another one, or none.
    Other(Option<Sample>),
}

/// Records of the run again less those of the log.
pub(super) type Balance = BTreeMap<(Tp, Sample), i64>;

/// Adds to the balance of a record; those that are level need not be kept.
pub(super) fn shift(balance: &mut Balance, record: (Tp, Sample), by: i64) {
    let now = balance.remove(&record).unwrap_or(0) + by;
    if now != 0 {
        balance.insert(record, now);
    }
}

/// Reads the partitions that a task writes.
pub(super) struct Outputs {
    reader: Box<dyn Consumer>,
    task: TaskId,
    cursors: BTreeMap<Tp, Cursor>,
    /// Records of other writers.
    pub(super) strangers: u64,
}

struct Cursor {
    batch: Batch,
    at: usize,
    /// Only this task writes records here whose cause lies in its partition.
    alone: bool,
    /// Records of this task are passed over until one is met that is compared.
    seeking: bool,
    /// The oldest records are gone, and the first one kept has not been met.
    behind: bool,
    /// Something was read.
    started: bool,
    /// Readable end when this was made.
    end: Offset,
    next: Offset,
    count: u64,
}

impl Outputs {
    /// `alone` tells whether a topic has no other writer for the task's partition.
    pub(super) fn new(log: &dyn Log, task: TaskId) -> Result<Outputs, Error> {
        let reader = log.consumer(&ConsumerOptions { group: None, assignment: Assignment::Manual })?;
        Ok(Outputs { reader, task, cursors: BTreeMap::new(), strangers: 0 })
    }

    /// Follows a partition from its oldest record on, once the task writes there.
    pub(super) fn follow(&mut self, log: &dyn Log, tp: &Tp, alone: bool) -> Result<(), Error> {
        let range = log.range(tp)?;
        let cursor = Cursor {
            batch: Batch::default(),
            at: 0,
            alone,
            seeking: false,
            behind: range.first > Offset(0),
            started: false,
            end: range.stable,
            next: range.first,
            count: 0,
        };
        self.cursors.insert(tp.clone(), cursor);
        Ok(())
    }

    /// Begins somewhere after the first output.
    pub(super) fn seek(&mut self, seeking: bool) {
        self.cursors.values_mut().for_each(|cursor| cursor.seeking = seeking);
    }

    /// Takes the records of this task up to `count` off the balance.
    pub(super) fn balance(&mut self, tp: &Tp, count: u64, balance: &mut Balance) -> Result<(), Error> {
        let Some(cursor) = self.cursors.get_mut(tp) else { return Ok(()) };
        while cursor.count < count && cursor.fetch(&mut *self.reader, tp, true)? {
            let Some(record) = cursor.batch.get(cursor.at) else { continue };
            if Identity::of(record.headers.iter()).is_of(self.task) {
                cursor.count += 1;
                let sample = Sample { offset: None, ..Sample::of(&record) };
                shift(balance, (tp.clone(), sample), -1);
            }
            cursor.pass();
        }
        Ok(())
    }

    /// How many records of this task were met in a partition.
    pub(super) fn count(&self, tp: &Tp) -> u64 {
        self.cursors.get(tp).map_or(0, |cursor| cursor.count)
    }

    /// Compares a record with the one that the log has in its place.
    pub(super) fn compare(&mut self, again: &OutRecord<'_>) -> Result<Found, Error> {
        let wanted = Identity::of(again.headers.iter().copied());
        let Some(cursor) = self.cursors.get_mut(again.tp) else { return Ok(Found::Gone) };
        cursor.count += 1;
        loop {
            if !cursor.fetch(&mut *self.reader, again.tp, true)? {
                return Ok(if cursor.behind { Found::Gone } else { Found::Other(None) });
            }
            let Some(record) = cursor.batch.get(cursor.at) else { continue };
            let identity = Identity::of(record.headers.iter());
            if identity == wanted {
                (cursor.behind, cursor.seeking) = (false, false);
                let found = match is_same(again, &record) {
                    true => Found::Same,
                    false => Found::Other(Some(Sample::of(&record))),
                };
                cursor.pass();
                return Ok(found);
            }
            if !identity.is_of(self.task) || !cursor.alone {
                self.strangers += u64::from(!identity.is_of_another(self.task));
                cursor.pass();
            } else if cursor.seeking {
                cursor.pass();
            } else if cursor.behind {
                return Ok(Found::Gone);
            } else {
                return Ok(Found::Other(Some(Sample::of(&record))));
            }
        }
    }

    /// A record of this task that no output accounts for: it was written twice, or by somebody else.
    pub(super) fn left_over(&mut self) -> Result<Option<(Tp, u64, Sample)>, Error> {
        for (tp, cursor) in self.cursors.iter_mut().filter(|(_, cursor)| cursor.started) {
            while (cursor.at < cursor.batch.len() || cursor.next < cursor.end)
                && cursor.fetch(&mut *self.reader, tp, false)?
            {
                let Some(record) = cursor.batch.get(cursor.at) else { continue };
                if record.offset >= cursor.end {
                    break;
                }
                let identity = Identity::of(record.headers.iter());
                if cursor.alone && !cursor.behind && identity.is_of(self.task) {
                    return Ok(Some((tp.clone(), cursor.count, Sample::of(&record))));
                }
                self.strangers += u64::from(!identity.is_of_another(self.task));
                cursor.pass();
            }
        }
        Ok(None)
    }
}

impl Cursor {
    /// Makes sure that there is a record to look at; `false` at the end.
    fn fetch(&mut self, reader: &mut dyn Consumer, tp: &Tp, patient: bool) -> Result<bool, Error> {
        if !std::mem::replace(&mut self.started, true) {
            reader.answer(Answer::Start(&[(tp.clone(), self.next)]))?;
        }
        let mut pauses = 0;
        while self.at == self.batch.len() {
            self.batch.clear();
            self.at = 0;
            let taken = reader.take(tp, FETCH, &mut self.batch)?;
            if taken.n > 0 {
                continue;
            }
            if taken.caught_up {
                pauses += 1;
                if !patient || pauses > PATIENCE || self.end <= self.next && self.alone && pauses > 200 {
                    return Ok(false);
                }
            }
            reader.serve(super::again::PAUSE)?;
        }
        Ok(true)
    }

    fn pass(&mut self) {
        if let Some(record) = self.batch.get(self.at) {
            self.next = Offset(record.offset.0 + 1);
        }
        self.at += 1;
    }
}

/// By what an output is known: never by its place, because other tasks write between.
#[derive(PartialEq, Eq)]
enum Identity<'a> {
    Src(&'a [u8]),
    /// In a partition with several writers: which one, and the how manieth record of it.
    Numbered(&'a [u8], &'a [u8]),
    /// A dead letter: which input was refused by which node.
    Letter(&'a [u8], &'a [u8]),
    Unknown,
}

impl<'a> Identity<'a> {
    fn of(headers: impl Iterator<Item = Header<'a>>) -> Identity<'a> {
        let (mut src, mut letter, mut node, mut origin, mut number) = (None, None, None, None, None);
        for h in headers {
            match h.name {
                header::SRC => src = Some(h.value),
                header::DLQ_SRC => letter = Some(h.value),
                header::DLQ_NODE => node = Some(h.value),
                header::ORIGIN => origin = Some(h.value),
                header::OSEQ => number = Some(h.value),
                _ => {}
            }
        }
        match (letter, origin.zip(number), src) {
            (Some(letter), ..) => Identity::Letter(letter, node.unwrap_or_default()),
            (None, Some((origin, number)), _) => Identity::Numbered(origin, number),
            (None, None, Some(src)) => Identity::Src(src),
            (None, None, None) => Identity::Unknown,
        }
    }

    fn is_of(&self, task: TaskId) -> bool {
        match self {
            Identity::Src(src) => Src::decode(src).is_some_and(|src| src.cause.partition == task.partition),
            Identity::Numbered(origin, _) => writer(origin) == Some(task.partition),
            Identity::Letter(..) => true,
            Identity::Unknown => false,
        }
    }

    /// Did a task of another partition write it, as many do to one topic?
    fn is_of_another(&self, task: TaskId) -> bool {
        match self {
            Identity::Src(src) => Src::decode(src).is_some_and(|src| src.cause.partition != task.partition),
            Identity::Numbered(origin, _) => writer(origin) != Some(task.partition),
            Identity::Letter(..) | Identity::Unknown => false,
        }
    }
}

/// Writers of a repartition topic are numbered like the partitions that they read.
fn writer(origin: &[u8]) -> Option<u32> {
    origin.try_into().ok().map(|origin| u32::from(u16::from_be_bytes(origin)))
}

fn is_same(again: &OutRecord<'_>, log: &InRecord<'_>) -> bool {
    (again.key, again.value, again.ts, again.seq) == (log.key, log.value, log.ts, log.seq)
}

impl Sample {
    pub(super) fn of(record: &InRecord<'_>) -> Sample {
        Sample {
            ts: record.ts,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            offset: Some(record.offset),
        }
    }

    pub(super) fn of_output(record: &OutRecord<'_>) -> Sample {
        Sample {
            ts: record.ts,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            offset: None,
        }
    }
}
