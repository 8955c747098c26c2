//! A broker in memory: the same input and the same seed give the same bytes, faults included.
//!
//! ```text
//! producer ─▶ network ─▶ coordinator ─▶ partitions ◀─ consumer        nothing here waits for a real clock:
//!             │ lost, late, repeated,   │ markers, LSO                 time goes on by `advance` alone
//!             └ unanswered              └ aborted ranges
//! ```
//! It models what a broker of Kafka and its client promise each other, and the ways in which that fails:
//! producer epochs, transactions that are open, prepared and complete, the last stable offset, aborted ranges,
//! offsets inside transactions. It keeps one flaw of theirs on purpose: the end of a transaction that arrives
//! late ends the next one of the same epoch.
//!
//! [`MemoryLog::default`] never fails and may be used from many threads. [`MemoryLog::simulated`] belongs to
//! one thread, draws faults from its seed and moves its clock by itself where a client would wait.

mod broker;
mod consumer;
mod coordinator;
mod group;
mod network;
mod partition;
mod producer;
pub mod random;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::broker::{Broker, Topic};
use self::consumer::MemoryConsumer;
use self::network::{Chance, Fate};
use self::partition::Partition;
use self::producer::MemoryProducer;
use crate::digest::Chain;
use crate::error::LogError;
use crate::lmdb::Env;
use crate::log::{
    Consumer, ConsumerOptions, Log, Producer, ProducerOptions, Range, TopicName, TopicSpec, Tp, topic,
};
use crate::record::Offset;
use crate::time::Ts;

pub use self::network::{Faults, Sabotage};

/// How long a client waits before it sends a request again.
const AGAIN: Duration = Duration::from_millis(20);
/// How long questions about topics are asked again while the broker is down.
const QUESTION: Duration = Duration::from_secs(30);

/// A log in memory, gone with its last clone.
#[derive(Clone, Debug, Default)]
pub struct MemoryLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    broker: Mutex<Broker>,
    changed: Condvar,
    simulated: bool,
}

impl Default for Inner {
    fn default() -> Inner {
        Inner { broker: Mutex::new(Broker::new(0)), changed: Condvar::new(), simulated: false }
    }
}

/// A process died in the middle of a call: what a simulation unwinds with, and catches.
#[derive(Debug)]
pub struct Died;

/// What a client knows after a request.
struct Reply<R> {
    /// `None`: no answer came, and nobody knows whether it was done.
    answer: Option<R>,
    /// The connection broke: an earlier sending of the request may still be under way.
    shaken: bool,
}

impl MemoryLog {
    /// A log whose network draws from `seed`. Nothing fails before [`MemoryLog::set_faults`].
    pub fn simulated(seed: u64) -> MemoryLog {
        let broker = Mutex::new(Broker::new(seed));
        MemoryLog(Arc::new(Inner { broker, changed: Condvar::new(), simulated: true }))
    }

    /// From now on requests fail this often.
    pub fn set_faults(&self, faults: Faults) {
        self.0.lock().network.faults = faults;
    }

    /// The time of this log, since it was made.
    pub fn now(&self) -> Duration {
        self.0.lock().now
    }

    /// Lets time go by: what was under way arrives, transactions that are open for too long are aborted.
    pub fn advance(&self, by: Duration) {
        self.0.lock().advance(by);
    }

    /// The broker does not answer for a while. `killed`: requests under way to it are lost too; what it has
    /// acknowledged stays.
    pub fn stop(&self, down: Duration, killed: bool) {
        self.0.lock().stop(down, killed);
    }

    /// Does the broker not answer now?
    pub fn is_down(&self) -> bool {
        self.0.lock().is_down()
    }

    /// Puts the nth member out of a group, as if it had been silent; it may join again. `false`: there is none.
    pub fn kick(&self, group: &str, nth: usize) -> bool {
        self.0.lock().kick(group, nth)
    }

    /// Sum of everything that has happened: two runs that did the same have the same one.
    pub fn trace(&self) -> Chain {
        self.0.lock().trace()
    }

    /// Adds something to the trace.
    pub fn note(&self, what: &str, detail: &str) {
        self.0.lock().note(what, detail);
    }

    /// Breaks a rule from now on.
    pub fn sabotage(&self, rule: Sabotage) {
        self.0.lock().sabotage = Some(rule);
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Broker> {
        self.broker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request until it is answered, at most for `patience`.
    ///
    /// # Panics
    /// With [`Died`] if the process that sends it is to die.
    fn call<R>(
        &self,
        what: &str,
        patience: Duration,
        request: impl Fn(&mut Broker) -> R + Clone + Send + 'static,
    ) -> Reply<R> {
        let mut broker = self.lock();
        let give_up = broker.now + patience;
        let mut shaken = false;
        loop {
            let fate = if broker.is_down() { Fate::RequestLost } else { broker.network.draw() };
            broker.note(what, &format!("{fate:?}"));
            match fate {
                Fate::Done => {
                    let answer = Some(request(&mut broker));
                    self.changed.notify_all();
                    return Reply { answer, shaken };
                }
                Fate::RequestLost => {}
                Fate::ReplyLost => drop(request(&mut broker)),
                Fate::Late(after) => send_late(&mut broker, after, &request),
                Fate::Unanswered(chance) => {
                    take_chance(&mut broker, chance, &request);
                    let left = give_up.saturating_sub(broker.now);
                    broker.advance(left);
                    return Reply { answer: None, shaken: true };
                }
                Fate::Dies(chance) => {
                    take_chance(&mut broker, chance, &request);
                    drop(broker);
                    std::panic::resume_unwind(Box::new(Died));
                }
            }
            shaken = true;
            broker.advance(AGAIN);
            if broker.now >= give_up {
                return Reply { answer: None, shaken };
            }
        }
    }

    /// Lets a client wait: by its own clock, or by that of the machine.
    fn pause(&self, time: Duration) {
        if self.simulated {
            self.lock().advance(time);
        } else {
            std::thread::sleep(time);
        }
    }

    /// A question that is asked until the broker is up.
    fn ask<R>(&self, ask: impl FnOnce(&mut Broker) -> Result<R, LogError>) -> Result<R, LogError> {
        let mut broker = self.lock();
        let wait = broker.up_at.saturating_sub(broker.now);
        broker.advance(wait.min(QUESTION));
        if broker.is_down() {
            let (what, reason) = ("question".to_owned(), "the broker is down".to_owned());
            return Err(LogError::Client { what, reason, retriable: true });
        }
        ask(&mut broker)
    }
}

fn send_late<R>(
    broker: &mut Broker,
    after: Duration,
    request: &(impl Fn(&mut Broker) -> R + Clone + Send + 'static),
) {
    let request = request.clone();
    broker.later(after, true, Box::new(move |broker| drop(request(broker))));
}

fn take_chance<R>(
    broker: &mut Broker,
    chance: Chance,
    request: &(impl Fn(&mut Broker) -> R + Clone + Send + 'static),
) {
    match chance {
        Chance::Never => {}
        Chance::Now => drop(request(broker)),
        Chance::Later(after) => send_late(broker, after, request),
    }
}

impl Log for MemoryLog {
    fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), LogError> {
        topic::check(spec)?;
        self.0.ask(|broker| match broker.topics.get(&spec.name) {
            Some(known) => check_same(&known.spec, spec),
            None => {
                let partitions = (0..spec.partitions).map(|_| Partition::default()).collect();
                broker.topics.insert(spec.name.clone(), Topic { spec: spec.clone(), partitions });
                Ok(())
            }
        })
    }

    fn partitions(&self, topic: &TopicName) -> Result<u32, LogError> {
        self.0.ask(|broker| {
            let known = broker.topics.get(topic).map(|known| known.spec.partitions);
            known.ok_or_else(|| LogError::UnknownTopic { topic: topic.to_string() })
        })
    }

    fn topics(&self) -> Result<Vec<TopicName>, LogError> {
        self.0.ask(|broker| Ok(broker.topics.keys().cloned().collect()))
    }

    fn range(&self, tp: &Tp) -> Result<Range, LogError> {
        self.0.ask(|broker| Ok(broker.partition(tp)?.range()))
    }

    fn offset_at(&self, tp: &Tp, ts: Ts) -> Result<Option<Offset>, LogError> {
        self.0.ask(|broker| Ok(broker.partition(tp)?.offset_at(ts)))
    }

    fn consumer(&self, options: &ConsumerOptions) -> Result<Box<dyn Consumer>, LogError> {
        Ok(Box::new(MemoryConsumer::new(Arc::clone(&self.0), options)))
    }

    fn producer(&self, options: &ProducerOptions) -> Result<Box<dyn Producer>, LogError> {
        Ok(Box::new(MemoryProducer::new(Arc::clone(&self.0), options)))
    }

    fn state(&self) -> Option<Arc<Env>> {
        None
    }

    fn purge(&self, before: &[(Tp, Offset)]) -> Result<(), LogError> {
        self.0.ask(|broker| before.iter().try_for_each(|(tp, at)| broker.partition(tp).map(|p| p.purge(*at))))
    }

    fn members(&self, group: &str) -> Result<usize, LogError> {
        self.0.ask(|broker| {
            let now = broker.now;
            Ok(broker.group(group).count(now))
        })
    }
}

fn check_same(known: &TopicSpec, asked: &TopicSpec) -> Result<(), LogError> {
    let what = if known.partitions != asked.partitions {
        format!("{} partitions, not {}", known.partitions, asked.partitions)
    } else if known.retention.is_some_and(|kept| asked.retention.is_none_or(|wanted| kept < wanted)) {
        format!("a retention of {:?}, which would lose records; make it anew", known.retention)
    } else {
        return Ok(());
    };
    Err(LogError::TopicMismatch { topic: asked.name.to_string(), what })
}
