//! What a live run of a task has decided, block by block: a day of epochs need not fit into memory.

use crate::error::{Error, LogError};
use crate::log::{Answer, Assignment, Consumer, ConsumerOptions, Log, Tp, topic};
use crate::record::{Batch, Offset};
use crate::runtime::decision::Decision;
use crate::topology::processor::TaskId;

/// Epochs held at a time.
const BLOCK: usize = 512;
/// Records fetched at a time.
const FETCH: usize = 1_024;

/// Reads the decisions of one task, oldest first, up to where their topic ended when this was made.
pub(super) struct Past {
    reader: Box<dyn Consumer>,
    tp: Tp,
    task: TaskId,
    batch: Batch,
    at: usize,
    /// Readable end when it began.
    end: Offset,
    next: Offset,
    /// Epoch read last.
    epoch: u64,
}

impl Past {
    pub(super) fn open(log: &dyn Log, app: &str, task: TaskId) -> Result<Past, Error> {
        let tp = Tp::new(&topic::decisions(app), task.partition);
        let range = log.range(&tp)?;
        let mut reader = log.consumer(&ConsumerOptions { group: None, assignment: Assignment::Manual })?;
        reader.answer(Answer::Start(&[(tp.clone(), range.first)]))?;
        let (batch, at, end, next) = (Batch::default(), 0, range.stable, range.first);
        Ok(Past { reader, tp, task, batch, at, end, next, epoch: 0 })
    }

    /// The next epochs, at most a block; empty at the end.
    pub(super) fn block(&mut self, to: Option<u64>) -> Result<Vec<Decision>, Error> {
        let mut block = Vec::new();
        while block.len() < BLOCK && to.is_none_or(|to| self.epoch < to) {
            let Some(decision) = self.next()? else { break };
            block.push(decision);
        }
        Ok(block)
    }

    fn next(&mut self) -> Result<Option<Decision>, Error> {
        loop {
            while let Some(record) = self.batch.get(self.at) {
                self.at += 1;
                self.next = Offset(record.offset.0 + 1);
                if record.offset >= self.end {
                    return Ok(None);
                }
                if record.key != Some(self.task.to_string().as_bytes()) {
                    continue;
                }
                let place = format!("{} offset {}", self.tp, record.offset.0);
                let decision = Decision::decode(record.value.unwrap_or_default())
                    .map_err(|e| LogError::Corrupt { place, reason: e.to_string() })?;
                return self.in_order(decision).map(Some);
            }
            if self.next >= self.end {
                return Ok(None);
            }
            self.batch.clear();
            self.at = 0;
            let taken = self.reader.take(&self.tp, FETCH, &mut self.batch)?;
            if taken.n == 0 {
                if taken.caught_up {
                    return Ok(None);
                }
                self.reader.serve(super::again::PAUSE)?;
            }
        }
    }

    /// Epochs are numbered without a gap, from 1.
    fn in_order(&mut self, decision: Decision) -> Result<Decision, Error> {
        if decision.epoch != self.epoch + 1 {
            let what = format!(
                "{} holds epoch {} after {}: what came between is gone",
                self.tp, decision.epoch, self.epoch
            );
            return Err(Error::History { task: self.task.to_string(), what });
        }
        self.epoch = decision.epoch;
        Ok(decision)
    }
}
