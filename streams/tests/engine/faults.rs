//! A log whose transactions fail in every way a broker's can, over the embedded one: the process lives on,
//! and what it writes is still what the oracle says.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lobstream_streams::error::{Error, LogError, SendError, TxnClass, TxnError};
use lobstream_streams::lmdb::Env;
use lobstream_streams::log::{
    Acks, Commit, Consumer, ConsumerOptions, GroupMetadata, Log, Producer, ProducerOptions, Range,
    StateWrites, TopicName, TopicSpec, Tp,
};
use lobstream_streams::record::{Offset, OutRecord};
use lobstream_streams::time::Ts;

use crate::check::check;
use crate::feed::{Bed, Random, Workload, feed};
use crate::fixture::{Protocol, app, run, settings};

const WORKLOAD: Workload =
    Workload { seed: 11, records: 3_000, poison_every: 80, bye: true, start: 1_000_000 };

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// It asks for another try, twice.
    Retry,
    /// It fails and the transaction must be aborted.
    Abort,
    /// It fails and the producer is of no more use.
    Fatal,
    /// It was not done, and nobody knows.
    Lost,
    /// It was done, and nobody knows: only a commit can be that.
    Done,
    /// The buffer is full: only a send can be that.
    Full,
}

/// Which calls fail, how, and how often it happened.
struct Faults {
    random: Mutex<Random>,
    allowed: Vec<Fault>,
    happened: [AtomicU64; 6],
    /// Does this log keep the state of its readers?
    local: bool,
}

impl Faults {
    /// Draws a fault for one call, one in `rarity`.
    fn draw(&self, possible: &[Fault], rarity: u64) -> Option<Fault> {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let possible: Vec<Fault> = possible.iter().filter(|f| self.allowed.contains(f)).copied().collect();
        if possible.is_empty() || random.below(rarity) > 0 {
            return None;
        }
        let fault = possible[random.below(possible.len() as u64) as usize];
        self.happened[fault as usize].fetch_add(1, Ordering::Relaxed);
        Some(fault)
    }

    fn happened(&self, fault: Fault) -> u64 {
        self.happened[fault as usize].load(Ordering::Relaxed)
    }
}

struct Flaky {
    log: Arc<dyn Log>,
    faults: Arc<Faults>,
}

impl Log for Flaky {
    fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), LogError> {
        self.log.ensure_topic(spec)
    }

    fn partitions(&self, topic: &TopicName) -> Result<u32, LogError> {
        self.log.partitions(topic)
    }

    fn topics(&self) -> Result<Vec<TopicName>, LogError> {
        self.log.topics()
    }

    fn range(&self, tp: &Tp) -> Result<Range, LogError> {
        self.log.range(tp)
    }

    fn offset_at(&self, tp: &Tp, ts: Ts) -> Result<Option<Offset>, LogError> {
        self.log.offset_at(tp, ts)
    }

    fn consumer(&self, options: &ConsumerOptions) -> Result<Box<dyn Consumer>, LogError> {
        self.log.consumer(options)
    }

    fn producer(&self, options: &ProducerOptions) -> Result<Box<dyn Producer>, LogError> {
        let producer = self.log.producer(options)?;
        Ok(Box::new(FlakyProducer {
            producer,
            faults: Arc::clone(&self.faults),
            tries: 0,
            dead: false,
            empty: true,
        }))
    }

    fn state(&self) -> Option<Arc<Env>> {
        self.log.state().filter(|_| self.faults.local)
    }
}

struct FlakyProducer {
    producer: Box<dyn Producer>,
    faults: Arc<Faults>,
    /// Tries that a call will still ask for.
    tries: u32,
    /// Only drop is legal.
    dead: bool,
    /// Nothing was put into the transaction.
    empty: bool,
}

impl FlakyProducer {
    fn fail(&mut self, call: &'static str, possible: &[Fault], rarity: u64) -> Result<(), TxnError> {
        assert!(!self.dead, "{call} on a producer that may only be dropped");
        if self.tries > 0 {
            self.tries -= 1;
            let class = if self.tries > 0 { Some(TxnClass::Retriable) } else { None };
            return class.map_or(Ok(()), |class| Err(TxnError::new(call, class, "injected")));
        }
        let class = match self.faults.draw(possible, rarity) {
            None => return Ok(()),
            Some(Fault::Retry) => {
                self.tries = 2;
                TxnClass::Retriable
            }
            Some(Fault::Abort | Fault::Full) => TxnClass::Abort,
            Some(Fault::Fatal) => TxnClass::Fatal { fenced: false },
            Some(Fault::Lost | Fault::Done) => TxnClass::Unknown,
        };
        self.dead = matches!(class, TxnClass::Fatal { .. } | TxnClass::Unknown);
        Err(TxnError::new(call, class, "injected"))
    }
}

impl Producer for FlakyProducer {
    fn init(&mut self) -> Result<(), TxnError> {
        self.producer.init()
    }

    fn begin(&mut self) -> Result<(), TxnError> {
        self.producer.begin()
    }

    fn send(&mut self, record: OutRecord<'_>) -> Result<(), SendError> {
        if self.faults.draw(&[Fault::Full], 50).is_some() {
            return Err(SendError::Full);
        }
        self.fail("send", &[Fault::Abort, Fault::Fatal], if self.empty { 8 } else { 3_000 })?;
        self.producer.send(record)?;
        self.empty = false;
        Ok(())
    }

    fn drain(&mut self, within: Duration) -> Result<Acks, TxnError> {
        self.fail("drain", &[Fault::Retry, Fault::Abort, Fault::Fatal, Fault::Lost], 40)?;
        self.producer.drain(within)
    }

    fn send_offsets(&mut self, group: Option<&GroupMetadata>, offsets: &[Commit]) -> Result<(), TxnError> {
        self.fail("send_offsets", &[Fault::Retry, Fault::Abort, Fault::Fatal, Fault::Lost], 20)?;
        self.producer.send_offsets(group, offsets)?;
        self.empty = false;
        Ok(())
    }

    fn ship(&mut self, writes: &StateWrites) -> Result<bool, TxnError> {
        self.empty &= !self.faults.local;
        if self.faults.local { self.producer.ship(writes) } else { Ok(false) }
    }

    fn commit(&mut self) -> Result<(), TxnError> {
        let all = [Fault::Retry, Fault::Abort, Fault::Fatal, Fault::Lost, Fault::Done];
        let done = self.faults.happened(Fault::Done);
        let failed = self.fail("commit", &all, 4);
        if self.faults.happened(Fault::Done) > done {
            self.producer.commit().expect("the embedded log commits");
        }
        failed?;
        self.empty = true;
        self.producer.commit()
    }

    fn abort(&mut self) -> Result<(), TxnError> {
        assert!(!self.dead, "abort on a producer that may only be dropped");
        assert!(!self.empty, "abort of an empty transaction");
        self.empty = true;
        self.producer.abort()
    }
}

/// Runs the application over a flaky log, again after each time it gave up, and asks the oracle.
fn survives(allowed: &[Fault], local: bool, protocol: Protocol) -> u64 {
    let bed = Bed::embedded();
    let log = bed.open();
    feed(&bed, &log, WORKLOAD);
    let faults = Arc::new(Faults {
        random: Mutex::new(Random(0x5eed)),
        allowed: allowed.to_vec(),
        happened: Default::default(),
        local,
    });
    let flaky: Arc<dyn Log> = Arc::new(Flaky { log: Arc::clone(&log), faults: Arc::clone(&faults) });
    let mut settings = settings(&bed.dir.path().join("state"));
    settings.take_max = 20;
    let mut runs = 0;
    while let Err(e) = run(&app(&bed.app, protocol, &flaky, &settings)) {
        assert!(matches!(e, Error::Txn(_)), "{e}");
        runs += 1;
        assert!(runs < 50, "it gives up too often");
    }
    let kept = if local { Arc::clone(&log) } else { flaky };
    check(&bed, &kept);
    for fault in allowed {
        assert!(faults.happened(*fault) > 0, "{fault:?} never happened");
    }
    allowed.iter().map(|fault| faults.happened(*fault)).sum()
}

const ALL: [Fault; 6] = [Fault::Retry, Fault::Abort, Fault::Fatal, Fault::Lost, Fault::Done, Fault::Full];

#[test]
fn every_kind_of_failure_leaves_the_outputs_as_they_must_be() {
    for fault in ALL {
        survives(&[fault], false, Protocol::B);
    }
}

#[test]
fn all_failures_together_leave_the_outputs_as_they_must_be() {
    for (local, protocol) in [(true, Protocol::B), (false, Protocol::A), (false, Protocol::B)] {
        let n = survives(&ALL, local, protocol);
        assert!(n > 20, "only {n} failures");
    }
}
