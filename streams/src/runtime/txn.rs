//! A producer with its transaction, and the note that stands beside every committed offset.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::error::{Error, SendError, TxnClass, TxnError};
use crate::log::{Acks, Commit, GroupMetadata, Log, Producer, ProducerOptions, StateWrites};
use crate::record::{Offset, OutRecord};
use crate::runtime::Clock;
use crate::runtime::state::TxnState;

/// Pause between two tries of a call that may succeed later.
const PAUSE: Duration = Duration::from_millis(5);

/// What stands beside a committed offset: which epoch it belongs to, from where its decision is to be
/// looked for, and which producer committed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) epoch: u64,
    pub(crate) decision: Offset,
    pub(crate) writer: String,
    /// Of a partition that several writers share: the number of each one's next record. For people: the
    /// decision has them too.
    pub(crate) origins: Vec<u64>,
}

/// Origins that a note has room for.
const ORIGINS_MAX: usize = 256;

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e={};d={};w={}", self.epoch, self.decision.0, self.writer)?;
        for (origin, next) in self.origins.iter().take(ORIGINS_MAX).enumerate() {
            write!(f, "{}{origin}:{next}", if origin == 0 { ";o=" } else { "," })?;
        }
        Ok(())
    }
}

impl Note {
    pub(crate) fn parse(text: &str) -> Option<Note> {
        let mut fields = text.split(';').map(|field| field.split_once('='));
        let mut field = |name: &str| match fields.next()?? {
            (found, value) if found == name => Some(value),
            _ => None,
        };
        let (epoch, decision) = (field("e")?.parse().ok()?, field("d")?.parse().ok()?);
        let writer = field("w")?.to_owned();
        let origins = field("o").unwrap_or_default().split(',');
        let origins = origins.filter_map(|origin| origin.split_once(':')?.1.parse().ok()).collect();
        Some(Note { epoch, decision: Offset(decision), writer, origins })
    }
}

/// How long a new producer waits for a cluster that does not answer.
const OUTAGE: Duration = Duration::from_secs(90);

/// A coordinator that moves makes the client give up; as many producers are tried, so long apart.
const INITS: u32 = 20;
const INIT_PAUSE: Duration = Duration::from_secs(1);

/// How often a drained buffer may be full again for one record.
const FULL_MAX: u32 = 100;

/// A producer with its transaction, which begins with the first record; or one without, for at-least-once:
/// what it sends is visible at once.
pub(crate) struct Txn {
    id: String,
    producer: Box<dyn Producer>,
    transactional: bool,
    state: TxnState,
    /// The open transaction is not empty.
    sent: bool,
    patience: Patience,
}

/// How long the log is waited for.
#[derive(Clone)]
pub(crate) struct Patience {
    pub(crate) clock: Arc<dyn Clock>,
    /// How long a call is repeated that says that it may succeed later.
    pub(crate) deadline: Duration,
    /// How long a transaction may be open.
    pub(crate) timeout: Duration,
    /// The run is to end: a cluster that is away is waited for no longer.
    pub(crate) over: Arc<AtomicBool>,
}

impl Txn {
    /// Takes the transactional id over: whoever held it changes nothing any more, and what it left open is
    /// settled.
    pub(crate) fn new(log: &dyn Log, id: &str, patience: &Patience) -> Result<Txn, Error> {
        let transaction_timeout = patience.timeout;
        let options = ProducerOptions { transactional_id: Some(id.to_owned()), transaction_timeout };
        let began = patience.clock.mono();
        let mut n = 0;
        loop {
            n += 1;
            let mut producer = log.producer(&options)?;
            let again = n < INITS && patience.clock.mono().since(began) < patience.outage();
            match patience.outlast(|| producer.init()) {
                // Whatever became of it, another producer does it again.
                Err(Error::Txn(e)) if again && e.class() == TxnClass::Unknown => {
                    patience.clock.pause(INIT_PAUSE);
                }
                result => return result.map(|()| Txn::of(producer, id, true, patience)),
            }
        }
    }

    /// A producer without transactions; the id is a name for messages and notes.
    pub(crate) fn plain(log: &dyn Log, id: &str, patience: &Patience) -> Result<Txn, Error> {
        let mut producer = log.producer(&ProducerOptions::default())?;
        patience.outlast(|| producer.init())?;
        Ok(Txn::of(producer, id, false, patience))
    }

    fn of(producer: Box<dyn Producer>, id: &str, transactional: bool, patience: &Patience) -> Txn {
        let (id, patience) = (id.to_owned(), patience.clone());
        Txn { id, producer, transactional, state: TxnState::Idle, sent: false, patience }
    }

    /// Does it have transactions?
    pub(crate) fn is_transactional(&self) -> bool {
        self.transactional
    }

    /// The transactional id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Sends one record; a full buffer is waited for, while nothing is taken from the inputs.
    pub(crate) fn send(&mut self, record: OutRecord<'_>) -> Result<(), SendError> {
        self.begin()?;
        let mut sent = self.producer.send(record);
        for _ in 0..FULL_MAX {
            match sent {
                Err(SendError::Full) => {
                    self.drain()?;
                    sent = self.producer.send(record);
                }
                _ => break,
            }
        }
        if let Err(SendError::Txn(e)) = &sent {
            self.note_failure(e.class());
        }
        self.sent |= sent.is_ok();
        sent
    }

    fn begin(&mut self) -> Result<(), TxnError> {
        if self.transactional && self.state == TxnState::Idle {
            self.guard(|producer| producer.begin())?;
            self.state.become_next(TxnState::Open);
        }
        Ok(())
    }

    /// Waits until everything sent has arrived.
    pub(crate) fn drain(&mut self) -> Result<Acks, TxnError> {
        let deadline = self.patience.deadline;
        self.guard(|producer| producer.drain(deadline))
    }

    /// Adds offsets and notes.
    pub(crate) fn send_offsets(
        &mut self,
        group: Option<&GroupMetadata>,
        offsets: &[Commit],
    ) -> Result<(), TxnError> {
        self.begin()?;
        self.guard(|producer| producer.send_offsets(group, offsets))?;
        self.sent = true;
        Ok(())
    }

    /// Adds state writes.
    pub(crate) fn ship(&mut self, writes: &StateWrites) -> Result<bool, TxnError> {
        self.begin()?;
        let shipped = self.guard(|producer| producer.ship(writes))?;
        self.sent = true;
        Ok(shipped)
    }

    /// Makes all of it visible.
    pub(crate) fn commit(&mut self) -> Result<(), TxnError> {
        if !self.transactional {
            self.sent = false;
            return Ok(());
        }
        self.state.become_next(TxnState::Sealing);
        self.state.become_next(TxnState::Committing);
        self.guard(|producer| producer.commit())?;
        self.state.become_next(TxnState::Idle);
        self.sent = false;
        Ok(())
    }

    /// Does the open transaction hold anything? An empty one must not be aborted.
    pub(crate) fn has_content(&self) -> bool {
        self.sent
    }

    /// Gives the open transaction up. Without transactions, what was sent stays.
    pub(crate) fn abort(&mut self) -> Result<(), TxnError> {
        if !self.transactional {
            self.sent = false;
            return Ok(());
        }
        self.state.become_next(TxnState::Aborting);
        self.guard(|producer| producer.abort())?;
        self.state.become_next(TxnState::Idle);
        self.sent = false;
        Ok(())
    }

    /// One call, repeated while the log asks for it. A failure that ends the producer is remembered.
    fn guard<R>(
        &mut self,
        mut call: impl FnMut(&mut dyn Producer) -> Result<R, TxnError>,
    ) -> Result<R, TxnError> {
        let producer = &mut *self.producer;
        let result = self.patience.retry(|| call(producer));
        if let Err(e) = &result {
            self.note_failure(e.class());
        }
        result
    }

    fn note_failure(&mut self, class: TxnClass) {
        match class {
            TxnClass::Abort => {}
            TxnClass::Retriable | TxnClass::Fatal { .. } | TxnClass::Unknown => {
                self.state.become_next(TxnState::Broken);
            }
        }
    }
}

impl Patience {
    /// How long a call may take that loses nothing by waiting: a cluster may be away for longer than a transaction
    /// may take.
    fn outage(&self) -> Duration {
        self.deadline.max(OUTAGE)
    }

    /// Is the run to end?
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Such a call, unless the run is to end.
    fn outlast<R>(&self, call: impl FnMut() -> Result<R, TxnError>) -> Result<R, Error> {
        match self.repeat(self.outage(), || self.is_over(), call) {
            Err(e) if self.is_over() && matches!(e.class(), TxnClass::Retriable | TxnClass::Unknown) => {
                Err(Error::Outage { reason: e.to_string() })
            }
            result => Ok(result?),
        }
    }

    /// Repeats a call as long as it says that it may succeed later, until the deadline.
    pub(crate) fn retry<R>(&self, call: impl FnMut() -> Result<R, TxnError>) -> Result<R, TxnError> {
        self.repeat(self.deadline, || false, call)
    }

    /// By a clock that stands still, the pauses alone count.
    fn repeat<R>(
        &self,
        deadline: Duration,
        ends: impl Fn() -> bool,
        mut call: impl FnMut() -> Result<R, TxnError>,
    ) -> Result<R, TxnError> {
        let started = self.clock.mono();
        let mut paused = Duration::ZERO;
        loop {
            let late = paused.max(self.clock.mono().since(started)) >= deadline;
            match call() {
                Err(e) if e.class() == TxnClass::Retriable && !late && !ends() => self.clock.pause(PAUSE),
                result => return result,
            }
            paused += PAUSE;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::log::memory::MemoryLog;
    use crate::time::Mono;

    #[test]
    fn a_note_survives_its_text() {
        let note = Note { epoch: 7, decision: Offset(19), writer: "lob-0-1".to_owned(), origins: Vec::new() };
        assert_eq!(note.to_string(), "e=7;d=19;w=lob-0-1");
        assert_eq!(Note::parse("e=7;d=19;w=lob-0-1"), Some(note.clone()));
        let shared = Note { origins: vec![4, 0, 19], ..note };
        assert_eq!(shared.to_string(), "e=7;d=19;w=lob-0-1;o=0:4,1:0,2:19");
        assert_eq!(Note::parse(&shared.to_string()), Some(shared));
        for bad in ["", "e=7", "d=19;e=7;w=a", "e=x;d=19;w=a", "e=7;d=19"] {
            assert_eq!(Note::parse(bad), None, "{bad}");
        }
    }

    /// A clock that goes forward when it is read: each call takes that long.
    struct Slow(Mutex<Duration>, Duration);

    impl Clock for Slow {
        fn mono(&self) -> Mono {
            let mut now = self.0.lock().expect("not poisoned");
            *now += self.1;
            Mono(*now)
        }

        fn pause(&self, _: Duration) {}
    }

    fn patience(clock: Arc<dyn Clock>) -> Patience {
        let (deadline, timeout) = (Duration::from_millis(20), Duration::from_secs(10));
        Patience { clock, deadline, timeout, over: Arc::default() }
    }

    fn tries(class: TxnClass, call_takes: Duration) -> u32 {
        let clock = Arc::new(Slow(Mutex::default(), call_takes));
        let patience = patience(clock);
        let mut n = 0;
        let failed = patience.retry(|| {
            n += 1;
            Err::<(), _>(TxnError::new("commit", class, "test"))
        });
        assert_eq!(failed.expect_err("it always fails").class(), class);
        n
    }

    #[test]
    fn a_call_is_repeated_only_if_it_asks_for_it() {
        assert_eq!(tries(TxnClass::Retriable, Duration::ZERO), 5);
        assert_eq!(tries(TxnClass::Abort, Duration::ZERO), 1);
        assert_eq!(tries(TxnClass::Unknown, Duration::ZERO), 1);
    }

    /// The clock of a log in memory.
    struct OfLog(MemoryLog);

    impl Clock for OfLog {
        fn mono(&self) -> Mono {
            Mono(self.0.now())
        }

        fn pause(&self, time: Duration) {
            self.0.advance(time);
        }
    }

    #[test]
    fn a_cluster_that_is_away_is_waited_for_until_the_run_is_to_end() {
        let log = MemoryLog::simulated(1);
        let patience = patience(Arc::new(OfLog(log.clone())));
        log.stop(Duration::from_secs(60), false);
        assert!(Txn::new(&log, "id", &patience).is_ok(), "longer than any deadline of a transaction");
        assert!(log.now() >= Duration::from_secs(60));
        log.stop(Duration::from_secs(60), false);
        patience.over.store(true, Ordering::Release);
        let began = log.now();
        let ended = Txn::new(&log, "id", &patience).err().expect("nobody answers");
        assert!(matches!(ended, Error::Outage { .. }), "{ended}");
        assert!(log.now() - began < Duration::from_secs(10), "{:?}", log.now() - began);
    }

    #[test]
    fn calls_that_take_long_are_repeated_less_often() {
        assert_eq!(tries(TxnClass::Retriable, Duration::from_millis(10)), 2);
        assert_eq!(tries(TxnClass::Retriable, Duration::from_millis(100)), 1);
    }
}
