//! Moves rows from the topics of a log into a store, from where the store is to the end or for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use lobstream_streams::beacon;
use lobstream_streams::error::LogError;
use lobstream_streams::log::{Answer, Assignment, Consumer, ConsumerOptions, Log, TopicName, Tp};
use lobstream_streams::record::{Batch, InRecord, Offset};
use lobstream_streams::time::Mono;

use crate::clock::Clock;
use crate::error::{Error, ResultsError};
use crate::sink::cursor::Cursor;
use crate::sink::row::{Kind, Rows};
use crate::sink::{Patience, Sink};

/// Records taken from a partition at a time.
const TAKE: usize = 1024;
/// Rows held in memory over all partitions; beyond it the largest batch is written.
const HELD_ROWS: usize = 1 << 17;
/// How long a runner that has caught up looks away.
const NAP: Duration = Duration::from_millis(20);
/// How long transactions under way are waited for at the end: longer than a broker lets one stay open.
const SETTLED: Duration = Duration::from_secs(15);
/// How long the reader may take to leave.
const CLOSE: Duration = Duration::from_secs(30);

/// One store that follows some topics.
///
/// It keeps no group: where it is stands in the store. Not reading is all the back-pressure there is.
pub struct SinkRunner {
    log: Arc<dyn Log>,
    sink: Box<dyn Sink>,
    consumer: Box<dyn Consumer>,
    clock: Clock,
    inputs: Vec<Input>,
    batch: Batch,
    stored: u64,
}

/// What one look at all partitions brought.
struct Turn {
    /// Records.
    taken: usize,
    /// All were read to their readable ends.
    at_end: bool,
}

/// One partition and what was read of it since the last write.
struct Input {
    tp: Tp,
    kind: Kind,
    rows: Rows,
    /// Next offset to read.
    position: Offset,
    /// After the last record read; `None`: nothing read since the last write.
    cursor: Option<Cursor>,
    /// When the first of them was read.
    since: Mono,
}

impl SinkRunner {
    /// Goes to where the store is in each partition of these topics of rows, see [`Kind::of_topic`].
    ///
    /// # Errors
    /// A topic that is missing or holds no rows; a store that continues another log, or that needs records
    /// which the log no longer keeps.
    pub fn open(
        log: Arc<dyn Log>,
        sink: Box<dyn Sink>,
        topics: &[TopicName],
        clock: Clock,
    ) -> Result<SinkRunner, Error> {
        let options = ConsumerOptions { group: None, assignment: Assignment::Manual };
        let consumer = log.consumer(&options)?;
        let (inputs, batch) = (Vec::new(), Batch::default());
        let mut runner = SinkRunner { log, sink, consumer, clock, inputs, batch, stored: 0 };
        for topic in topics {
            let kind = Kind::of_topic(topic.as_str())
                .ok_or_else(|| Error::usage(format!("topic {topic} holds neither factors nor signals")))?;
            for partition in 0..runner.log.partitions(topic)? {
                runner.start(Tp::new(topic, partition), kind)?;
            }
        }
        Ok(runner)
    }

    /// Reads and stores until every partition's readable end, then leaves. Returns how many rows it stored.
    ///
    /// # Errors
    /// The log cannot be read or the store not written; what was stored before stays and is continued next
    /// time.
    pub fn run_until_end(self) -> Result<u64, Error> {
        self.follow(&AtomicBool::new(true))
    }

    /// Reads and stores until told to finish; then goes to every partition's readable end and leaves.
    ///
    /// # Errors
    /// As for [`SinkRunner::run_until_end`].
    pub fn follow(mut self, finish: &AtomicBool) -> Result<u64, Error> {
        let mut finishing = false;
        loop {
            // Before reading: what was in the log when the flag was set is read in this turn or a later one.
            if !finishing && finish.load(Ordering::Acquire) {
                finishing = true;
                self.look_again()?;
            }
            let turn = self.read()?;
            let done = finishing && turn.at_end;
            self.write_due(done)?;
            if done {
                break;
            }
            self.nap(if turn.taken == 0 { NAP } else { Duration::ZERO })?;
        }
        self.consumer.close(CLOSE)?;
        Ok(self.stored)
    }

    /// [`SinkRunner::follow`] on a thread of its own.
    ///
    /// # Errors
    /// No thread can be had.
    pub fn spawn(self) -> Result<SinkThread, Error> {
        let name = self.sink.name().to_owned();
        let finish = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&finish);
        let thread =
            thread::Builder::new().name("sink".into()).spawn(move || self.follow(&flag)).map_err(|e| {
                ResultsError::Failed { what: "start a thread for", uri: name.clone(), reason: e.to_string() }
            })?;
        Ok(SinkThread { name, finish, thread })
    }

    /// What a reader knows of its readable end is as old as its last fetch, and a broker says that a
    /// transaction is over a moment before its records can be read. So: wait until nothing is under way, and
    /// ask for the ends anew.
    fn look_again(&mut self) -> Result<(), Error> {
        let since = self.clock.mono();
        for i in 0..self.inputs.len() {
            loop {
                let range = self.log.range(&self.inputs[i].tp)?;
                if range.stable == range.end || self.clock.mono().since(since) > SETTLED {
                    break;
                }
                self.nap(NAP)?;
            }
        }
        let starts: Vec<_> = self.inputs.iter().map(|input| (input.tp.clone(), input.position)).collect();
        self.consumer.answer(Answer::Start(&starts))?;
        Ok(())
    }

    fn start(&mut self, tp: Tp, kind: Kind) -> Result<(), Error> {
        let range = self.log.range(&tp)?;
        let cursor = self.sink.cursor(&tp)?;
        let position = cursor.as_ref().map_or(range.first, |cursor| cursor.next);
        match cursor {
            None => self.consumer.answer(Answer::Start(&[(tp.clone(), range.first)]))?,
            Some(cursor) if cursor.next < range.first => {
                let (need, have) = (cursor.next.0, range.first.0);
                return Err(LogError::HistoryMissing { tp: tp.to_string(), need, have }.into());
            }
            Some(cursor) if cursor.last < range.first => {
                self.consumer.answer(Answer::Start(&[(tp.clone(), cursor.next)]))?;
            }
            Some(cursor) if cursor.last >= range.stable => return Err(self.other_log(&tp, &cursor)),
            Some(cursor) => self.resume(&tp, &cursor)?,
        }
        let (rows, since) = (Rows::none(kind), Mono::default());
        self.inputs.push(Input { tp, kind, rows, position, cursor: None, since });
        Ok(())
    }

    /// Reads the last record that the store knows once more, to see that it is still the same one.
    fn resume(&mut self, tp: &Tp, cursor: &Cursor) -> Result<(), Error> {
        self.consumer.answer(Answer::Start(&[(tp.clone(), cursor.last)]))?;
        self.batch.clear();
        loop {
            let taken = self.consumer.take(tp, 1, &mut self.batch)?;
            if taken.n > 0 || taken.caught_up {
                break;
            }
            self.nap(NAP)?;
        }
        match self.batch.get(0) {
            Some(record) if cursor.follows(&record) => Ok(()),
            Some(_) | None => Err(self.other_log(tp, cursor)),
        }
    }

    fn other_log(&self, tp: &Tp, cursor: &Cursor) -> Error {
        let (uri, tp) = (self.sink.name().to_owned(), tp.to_string());
        ResultsError::OtherLog { uri, tp, offset: cursor.last.0 }.into()
    }

    fn read(&mut self) -> Result<Turn, Error> {
        let now = self.clock.mono();
        let mut turn = Turn { taken: 0, at_end: true };
        for input in &mut self.inputs {
            self.batch.clear();
            let taken = self.consumer.take(&input.tp, TAKE, &mut self.batch)?;
            turn.taken += taken.n;
            turn.at_end &= taken.caught_up;
            for record in self.batch.iter() {
                input.push(&record, now)?;
            }
        }
        Ok(turn)
    }

    fn write_due(&mut self, all: bool) -> Result<(), Error> {
        let (now, patience) = (self.clock.mono(), self.sink.patience());
        let held: usize = self.inputs.iter().map(|i| i.rows.len()).sum();
        let largest = self.inputs.iter().map(|i| i.rows.len()).max().unwrap_or(0);
        for input in &mut self.inputs {
            let crowded = held > HELD_ROWS && input.rows.len() == largest;
            if all || crowded || input.is_due(patience, now) {
                self.stored += input.write(&mut *self.sink)?;
            }
        }
        Ok(())
    }

    /// Looks away, and lets the log's client work; its failures surface here.
    fn nap(&mut self, wait: Duration) -> Result<(), Error> {
        self.consumer.serve(wait)?;
        Ok(())
    }
}

impl Input {
    fn push(&mut self, record: &InRecord<'_>, now: Mono) -> Result<(), Error> {
        if self.cursor.is_none() {
            self.since = now;
        }
        let reserved = record.key.is_some_and(beacon::is_reserved);
        if let (Some(text), false) = (record.value, reserved) {
            self.rows.push(text).map_err(|reason| self.unreadable(record.offset, reason))?;
        }
        self.position = Offset(record.offset.0 + 1);
        self.cursor = Some(Cursor::after(record));
        Ok(())
    }

    fn unreadable(&self, offset: Offset, reason: String) -> ResultsError {
        ResultsError::Corrupt { place: format!("record {} of {}", offset.0, self.tp), reason }
    }

    fn is_due(&self, patience: Patience, now: Mono) -> bool {
        self.rows.len() >= patience.rows || (self.cursor.is_some() && now.since(self.since) >= patience.wait)
    }

    fn write(&mut self, sink: &mut dyn Sink) -> Result<u64, Error> {
        let Some(cursor) = self.cursor.take() else { return Ok(0) };
        let rows = std::mem::replace(&mut self.rows, Rows::none(self.kind));
        let n = rows.len() as u64;
        sink.write(&self.tp, rows, &cursor)?;
        Ok(n)
    }
}

/// A runner on its own thread.
pub struct SinkThread {
    name: String,
    finish: Arc<AtomicBool>,
    thread: thread::JoinHandle<Result<u64, Error>>,
}

impl SinkThread {
    /// Address of its store, without secrets.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Has it ended, by a failure? Then [`SinkThread::finish`] tells which.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Tells it to go to the end of its topics and waits until it is there. Returns how many rows it stored.
    ///
    /// # Errors
    /// What stopped it.
    pub fn finish(self) -> Result<u64, Error> {
        self.finish.store(true, Ordering::Release);
        match self.thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}
