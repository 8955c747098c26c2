//! What a node of a topology does: the [`Processor`] contract and the [`Context`] it works in.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::record::{Record, Tombstone};
use crate::store::hot::{Hot, HotState, HotStore};
use crate::store::kv::{Kv, KvStore};
use crate::store::window::{Window, WindowStore};
use crate::store::{StoreId, StoreRef, Stored, Stores};
use crate::time::Ts;
use crate::topology::NodeId;

pub use crate::store::TaskId;

/// A node of a topology. A task has one instance of its own of each.
///
/// Everything that must outlive a crash lies in the declared stores: the engine rebuilds those, not the
/// fields of the node. A node reads no clock, draws no random numbers and does no I/O, because a recovery
/// processes records a second time and must come to the same bytes.
pub trait Processor<M>: Send {
    /// Called once, after the stores are restored and before any record; registers punctuation. It runs
    /// again after every restart, so what it forwards is dropped.
    ///
    /// # Errors
    /// Any error stops the task.
    fn init(&mut self, ctx: &mut Context<'_, M>) -> Result<(), ProcessError> {
        let _ = ctx;
        Ok(())
    }

    /// Sees one record, in merge order. Check the record before changing a typed object: a refused
    /// record must leave it as it was. Key-value changes are undone, forwarded records are dropped.
    ///
    /// # Errors
    /// [`ProcessError::Poison`] makes the record a dead letter; [`ProcessError::Fatal`] stops the task.
    fn process(&mut self, ctx: &mut Context<'_, M>, record: Record<M>) -> Result<(), ProcessError>;

    /// Sees a record without value, in merge order: what the key stood for is gone. A node that does not
    /// say what this means to it refuses the record.
    ///
    /// # Errors
    /// As those of [`Processor::process`].
    fn tombstone(&mut self, ctx: &mut Context<'_, M>, tombstone: Tombstone) -> Result<(), ProcessError> {
        let _ = (ctx, tombstone);
        Err(ProcessError::Poison("record without value".to_owned()))
    }

    /// When the first thing falls due that this node holds in its stores, such as an open window; `None`:
    /// nothing waits. The engine asks again whenever stream time has come to the earliest instant known
    /// to it, and learns of earlier ones by [`Context::wake`].
    fn due(&mut self, ctx: &mut Context<'_, M>) -> Option<Ts> {
        let _ = ctx;
        None
    }

    /// Called when stream time reaches what [`Processor::due`] said, before a tick of the same instant
    /// and before the record that lifted it there. Everything due by then must be settled: `due` then
    /// tells a later instant.
    ///
    /// # Errors
    /// Any error stops the task: no record could be refused instead.
    fn settle(&mut self, ctx: &mut Context<'_, M>, due: Ts) -> Result<(), ProcessError> {
        let _ = (ctx, due);
        Ok(())
    }

    /// Called when stream time reaches a tick, before the record that lifted it there.
    ///
    /// # Errors
    /// Any error stops the task: no record could be refused instead.
    fn punctuate(&mut self, ctx: &mut Context<'_, M>, tick: Tick) -> Result<Next, ProcessError> {
        let _ = (ctx, tick);
        Ok(Next::Stop)
    }

    /// Told of every input that this node will not see. `key` is `None` if it could not be read: then any
    /// key of the partition may be meant.
    ///
    /// # Errors
    /// Any error stops the task.
    fn poisoned(
        &mut self,
        ctx: &mut Context<'_, M>,
        key: Option<&[u8]>,
        why: &Poison,
    ) -> Result<(), ProcessError> {
        let _ = (ctx, key, why);
        Ok(())
    }

    /// Called once when the task ends; what it forwards is dropped.
    ///
    /// # Errors
    /// The task counts as failed.
    fn close(&mut self, ctx: &mut Context<'_, M>) -> Result<(), ProcessError> {
        let _ = ctx;
        Ok(())
    }
}

/// Why a record was not processed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProcessError {
    /// This record cannot be processed; the next one can.
    #[error("poison: {0}")]
    Poison(String),
    /// Nothing can be processed any more.
    #[error("{0}")]
    Fatal(String),
}

/// An input that became a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poison {
    /// The node that refused it; the source, if it could not be decoded.
    pub node: String,
    /// In words.
    pub reason: String,
}

/// One firing of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// When it was due. Every record before it has been processed, none at or after it.
    pub time: Ts,
    /// Which schedule: what [`Context::schedule`] returned.
    pub schedule: u32,
    /// Ticks that were left out just before this one.
    pub missed: u64,
}

/// When a schedule fires next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// At its next instant.
    Tick,
    /// At its first instant at or after this one, never before the next.
    At(Ts),
    /// Never again.
    Stop,
}

/// What fires if stream time jumps over several instants of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatchUp {
    /// Each of them, oldest first.
    Every,
    /// Only the newest.
    Last,
}

/// Instants `align + k·interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Distance of two instants, at least 1 ns.
    pub interval: Duration,
    /// Any one of the instants.
    pub align: Ts,
    /// What fires after a jump.
    pub catch_up: CatchUp,
}

/// What a node works with during one call.
pub struct Context<'a, M> {
    pub(crate) task: TaskId,
    pub(crate) time: Ts,
    pub(crate) n_children: usize,
    pub(crate) parents: &'a [NodeId],
    /// The parent whose record is in hand.
    pub(crate) from: Option<NodeId>,
    /// What is to be said about the record in hand, beside it.
    pub(crate) note: Option<Note>,
    /// Nothing falls due before this, as far as is known.
    pub(crate) due: &'a mut Option<Ts>,
    /// The stores this node declared.
    pub(crate) declared: &'a [StoreId],
    pub(crate) stores: &'a mut Stores,
    pub(crate) forwarded: &'a mut Vec<Forward<M>>,
    /// Only in `init`.
    pub(crate) scheduled: Option<&'a mut Vec<Schedule>>,
    pub(crate) counts: &'a mut BTreeMap<&'static str, u64>,
}

/// A record on its way to the children of the node that made it; without value it is a tombstone.
#[derive(Debug)]
pub(crate) struct Forward<M> {
    pub(crate) to: To,
    pub(crate) record: Record<Option<M>>,
    pub(crate) note: Option<Note>,
}

/// Which children of a node, counted in order of declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    Each,
    One(usize),
    /// This one and those after it.
    From(usize),
}

/// What stands beside a record, for whoever reads the topic that it ends in. It stays with everything that
/// is made of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// It corrects an earlier result, for the how manieth time.
    Revision(u32),
    /// It came so many ns too late.
    LateBy(i64),
}

impl<M> Context<'_, M> {
    /// Hands a record to every child, in the order they were declared.
    pub fn forward(&mut self, record: Record<M>) {
        self.forward_noted(To::Each, some(record), self.note);
    }

    /// Hands a record to one child, counted from 0 in the order they were declared.
    ///
    /// # Panics
    /// If there is no such child.
    pub fn forward_to(&mut self, child: usize, record: Record<M>) {
        assert!(child < self.n_children, "node has {} children, not a child {child}", self.n_children);
        self.forward_noted(To::One(child), some(record), self.note);
    }

    /// Hands a record without value to every child: what its key stood for is gone.
    pub fn forward_tombstone(&mut self, tombstone: Tombstone) {
        let Tombstone { key, ts, seq } = tombstone;
        self.forward_noted(To::Each, Record { key, value: None, ts, seq }, self.note);
    }

    pub(crate) fn forward_noted(&mut self, to: To, record: Record<Option<M>>, note: Option<Note>) {
        self.forwarded.push(Forward { to, record, note });
    }

    /// From which parent the record in hand comes, counted from 0 in the order they were given; 0 if there
    /// is none, as in `punctuate`.
    pub fn parent(&self) -> usize {
        self.from.and_then(|from| self.parents.iter().position(|parent| *parent == from)).unwrap_or(0)
    }

    /// Says that something falls due at this instant: stream time does not pass it before
    /// [`Processor::due`] was asked.
    pub fn wake(&mut self, at: Ts) {
        *self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// The objects of a store.
    ///
    /// # Panics
    /// If the node did not declare it.
    pub fn hot<S: HotState>(&mut self, store: StoreRef<Hot<S>>) -> &mut HotStore<S> {
        self.store(store.id)
    }

    /// The entries of a store.
    ///
    /// # Panics
    /// If the node did not declare it.
    pub fn kv(&mut self, store: StoreRef<Kv>) -> &mut KvStore {
        self.store(store.id)
    }

    /// The entries of a store, by window and key.
    ///
    /// # Panics
    /// If the node did not declare it.
    pub fn window<S: Stored>(&mut self, store: StoreRef<Window<S>>) -> &mut WindowStore<S> {
        self.store(store.id)
    }

    fn store<T: 'static>(&mut self, id: StoreId) -> &mut T {
        assert!(self.declared.contains(&id), "this node did not declare store {id:?}");
        self.stores.get_mut(id).expect("a declared store exists and has the type of its reference")
    }

    /// Stream time: the greatest event time this task has seen, [`Ts::MIN`] before any; in `punctuate`
    /// the instant of the tick.
    pub fn time(&self) -> Ts {
        self.time
    }

    /// The task this node belongs to.
    pub fn task(&self) -> TaskId {
        self.task
    }

    /// Asks for ticks; the first one comes strictly after stream time (after the first record, if there
    /// was none). Returns the number by which [`Tick`] names this schedule: 0, 1, … for each node. Next
    /// instants are state: a restarted node that registers the same schedule goes on where it was.
    ///
    /// # Panics
    /// Outside of [`Processor::init`].
    pub fn schedule(&mut self, interval: Duration, align: Ts, catch_up: CatchUp) -> u32 {
        let scheduled = self.scheduled.as_deref_mut().expect("schedules are registered in init");
        scheduled.push(Schedule { interval, align, catch_up });
        scheduled.len() as u32 - 1
    }

    /// Adds to a counter of this application. Counts are for people: what a recovery repeats is not
    /// counted again.
    pub fn count(&mut self, metric: &'static str, n: u64) {
        *self.counts.entry(metric).or_default() += n;
    }
}

/// A record with its value, as the engine passes it on.
pub(crate) fn some<M>(record: Record<M>) -> Record<Option<M>> {
    Record { key: record.key, value: Some(record.value), ts: record.ts, seq: record.seq }
}
