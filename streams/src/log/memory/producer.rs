//! A client that writes: gathers records, sends them in numbered batches, and knows when it must not go on.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::broker::Broker;
use super::consumer::Group;
use super::coordinator::{Holder, Refused};
use super::network::Sabotage;
use super::partition::{Produced, Stored};
use super::{Inner, Reply};
use crate::error::{SendError, TxnClass, TxnError};
use crate::log::{Acks, Commit, GroupMetadata, Producer, ProducerOptions, StateWrites, Tp};
use crate::record::{Offset, OutRecord};

/// Largest record: key, value and headers.
const RECORD_BYTES_MAX: usize = 1_000_000;
/// Records of a partition that are sent together at the latest.
const BATCH_MAX: usize = 200;
/// Longest call.
const CALL: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Idle,
    Open,
    /// Only drop is legal.
    Broken(TxnClass),
}

#[derive(Debug)]
pub(super) struct MemoryProducer {
    inner: Arc<Inner>,
    id: Option<String>,
    /// How long a transaction may be open.
    timeout: Duration,
    holder: Holder,
    state: State,
    waiting: BTreeMap<Tp, Vec<Stored>>,
    /// Number of the next record of each partition.
    sequences: BTreeMap<Tp, u64>,
    /// Partitions that the coordinator knows to be part of the transaction.
    added: BTreeSet<Tp>,
    /// The coordinator knows of the transaction.
    begun: bool,
    acks: Acks,
    /// Something was sent twice since the transaction began to end: its end may come again, later.
    shaken: bool,
}

impl MemoryProducer {
    pub(super) fn new(inner: Arc<Inner>, options: &ProducerOptions) -> MemoryProducer {
        let id = options.transactional_id.clone();
        let plain = id.is_none();
        let pid = inner.lock().next_pid();
        MemoryProducer {
            inner,
            id,
            timeout: options.transaction_timeout,
            holder: Holder { pid, epoch: 0 },
            state: if plain { State::Idle } else { State::New },
            waiting: BTreeMap::new(),
            sequences: BTreeMap::new(),
            added: BTreeSet::new(),
            begun: false,
            acks: Acks::new(),
            shaken: false,
        }
    }

    fn expect(&self, call: &'static str, state: State) -> Result<&str, TxnError> {
        let id = self.id.as_deref();
        let id = id.ok_or_else(|| fatal(call, "the producer was made without a transactional id"))?;
        match self.state {
            State::Broken(class) => Err(TxnError::new(call, class, "the producer is broken")),
            known if known == state => Ok(id),
            known => Err(fatal(call, format!("the producer is {known:?}, not {state:?}"))),
        }
    }

    /// After this only drop is legal.
    fn broken(&mut self, call: &'static str, class: TxnClass, reason: &str) -> TxnError {
        self.state = State::Broken(class);
        TxnError::new(call, class, reason)
    }

    fn refused(&mut self, call: &'static str, refused: Refused) -> TxnError {
        match refused {
            Refused::Fenced => self.broken(call, TxnClass::Fatal { fenced: true }, "fenced"),
            Refused::Invalid => self.broken(call, TxnClass::Fatal { fenced: false }, "no such transaction"),
            Refused::Generation => TxnError::new(call, TxnClass::Abort, "the group has moved on"),
            Refused::Concurrent => TxnError::new(call, TxnClass::Retriable, "the last one is being ended"),
        }
    }

    fn send_waiting(&mut self, call: &'static str) -> Result<(), TxnError> {
        for (tp, records) in mem::take(&mut self.waiting) {
            self.send_batch(call, &tp, records)?;
        }
        Ok(())
    }

    fn send_batch(&mut self, call: &'static str, tp: &Tp, records: Vec<Stored>) -> Result<(), TxnError> {
        let n = records.len() as u64;
        let Holder { pid, epoch } = self.holder;
        let sequence = match self.sequences.get(tp) {
            Some(next) => *next,
            None => self.inner.lock().next_sequence(tp, self.holder),
        };
        let transactional = self.id.is_some();
        let batch = Arc::new(Produced { pid, epoch, sequence, transactional, records });
        let (id, to, holder) = (self.id.clone(), tp.clone(), self.holder);
        let add = transactional && !self.added.contains(tp);
        let reply = self.inner.call(call, self.timeout * 4 / 5, move |broker: &mut Broker| {
            if let Some(id) = id.as_deref().filter(|_| add) {
                broker.add_partition(id, holder, &to).map_err(Ok)?;
            }
            broker.produce(id.as_deref(), &to, &batch)
        });
        match reply.answer {
            Some(Ok(offset)) => {
                self.begun |= transactional;
                self.added.insert(tp.clone());
                self.sequences.insert(tp.clone(), sequence + n);
                self.acks.insert(tp.clone(), Offset(offset + n - 1));
                Ok(())
            }
            Some(Err(Ok(Refused::Fenced))) => Err(self.refused(call, Refused::Fenced)),
            Some(Err(Ok(refused))) => {
                let reason = format!("a batch was refused: {refused:?}");
                Err(self.broken(call, TxnClass::Fatal { fenced: false }, &reason))
            }
            Some(Err(Err(e))) => Err(self.broken(call, TxnClass::Fatal { fenced: false }, &e.to_string())),
            None => Err(self.broken(call, TxnClass::Fatal { fenced: false }, "not acknowledged in time")),
        }
    }

    /// Asks the coordinator for the end of the transaction.
    fn end(&mut self, call: &'static str, id: String, commit: bool) -> Reply<Result<(), Refused>> {
        let holder = self.holder;
        let reply = self.inner.call(call, CALL, move |broker: &mut Broker| broker.end(&id, holder, commit));
        self.shaken |= reply.shaken;
        reply
    }

    fn ended(&mut self) {
        (self.state, self.begun) = (State::Idle, false);
        self.added.clear();
        self.waiting.clear();
    }
}

impl Producer for MemoryProducer {
    fn init(&mut self) -> Result<(), TxnError> {
        let Some(id) = self.id.clone() else { return Ok(()) };
        self.expect("init", State::New)?;
        let timeout = self.timeout;
        let reply = self.inner.call("init", CALL, move |broker: &mut Broker| broker.init(&id, timeout));
        match reply.answer {
            Some(Ok(holder)) => {
                (self.holder, self.state) = (holder, State::Idle);
                Ok(())
            }
            Some(Err(refused)) => Err(self.refused("init", refused)),
            None => Err(TxnError::new("init", TxnClass::Retriable, "no answer")),
        }
    }

    fn begin(&mut self) -> Result<(), TxnError> {
        self.expect("begin", State::Idle)?;
        let careless = self.inner.lock().sabotage == Some(Sabotage::AcceptsLateEnds);
        if self.shaken && !careless {
            let reason = "the end of the last transaction may be repeated; a new producer must take over";
            return Err(self.broken("begin", TxnClass::Fatal { fenced: false }, reason));
        }
        self.state = State::Open;
        Ok(())
    }

    fn send(&mut self, record: OutRecord<'_>) -> Result<(), SendError> {
        if self.id.is_some() {
            self.expect("send", State::Open)?;
        }
        let stored = Stored::of(&record);
        let bytes = stored.bytes();
        if bytes > RECORD_BYTES_MAX {
            let topic = record.tp.topic.to_string();
            return Err(SendError::TooLarge { topic, bytes, max: RECORD_BYTES_MAX });
        }
        self.inner.lock().partition(record.tp).map_err(|e| fatal("send", e.to_string()))?;
        if self.inner.lock().network.is_full() {
            return Err(SendError::Full);
        }
        let waiting = self.waiting.entry(record.tp.clone()).or_default();
        waiting.push(stored);
        if waiting.len() >= BATCH_MAX {
            let records = mem::take(waiting);
            self.waiting.remove(record.tp);
            self.send_batch("send", record.tp, records)?;
        }
        Ok(())
    }

    fn drain(&mut self, _within: Duration) -> Result<Acks, TxnError> {
        if let State::Broken(class) = self.state {
            return Err(TxnError::new("drain", class, "the producer is broken"));
        }
        self.send_waiting("drain")?;
        self.shaken = false;
        Ok(mem::take(&mut self.acks))
    }

    fn send_offsets(&mut self, group: Option<&GroupMetadata>, offsets: &[Commit]) -> Result<(), TxnError> {
        const CALL_NAME: &str = "send_offsets";
        let id = self.expect(CALL_NAME, State::Open)?.to_owned();
        let group = group.and_then(|group| group.0.downcast_ref::<Group>()).cloned();
        let group = group.ok_or_else(|| fatal(CALL_NAME, "no group of this log"))?;
        let (holder, offsets) = (self.holder, offsets.to_vec());
        let reply = self.inner.call(CALL_NAME, CALL, move |broker: &mut Broker| {
            broker.add_offsets(&id, holder, (&group.name, group.member.as_ref()), &offsets)
        });
        self.shaken |= reply.shaken;
        match reply.answer {
            Some(Ok(())) => {
                self.begun = true;
                Ok(())
            }
            Some(Err(refused)) => Err(self.refused(CALL_NAME, refused)),
            None => Err(self.broken(CALL_NAME, TxnClass::Unknown, "no answer")),
        }
    }

    fn ship(&mut self, _: &StateWrites) -> Result<bool, TxnError> {
        self.expect("ship", State::Open)?;
        Ok(false)
    }

    fn commit(&mut self) -> Result<(), TxnError> {
        let id = self.expect("commit", State::Open)?.to_owned();
        self.send_waiting("commit")?;
        if self.begun {
            match self.end("commit", id, true).answer {
                Some(Ok(())) => {}
                Some(Err(refused)) => return Err(self.refused("commit", refused)),
                None => return Err(self.broken("commit", TxnClass::Unknown, "no answer")),
            }
        }
        self.ended();
        Ok(())
    }

    fn abort(&mut self) -> Result<(), TxnError> {
        let id = self.expect("abort", State::Open)?.to_owned();
        self.waiting.clear();
        if self.begun {
            match self.end("abort", id, false).answer {
                Some(Ok(())) => {}
                Some(Err(refused)) => return Err(self.refused("abort", refused)),
                None => return Err(TxnError::new("abort", TxnClass::Retriable, "no answer")),
            }
        }
        self.acks.clear();
        self.ended();
        Ok(())
    }
}

fn fatal(call: &'static str, reason: impl Into<String>) -> TxnError {
    TxnError::new(call, TxnClass::Fatal { fenced: false }, reason)
}
