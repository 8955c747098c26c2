//! What a processor remembers: named stores of one task, changed in RAM, written to LMDB at checkpoints.

pub(crate) mod base;
pub(crate) mod by_key;
pub mod checkpoint;
#[cfg(test)]
pub(crate) mod conformance;
pub mod hot;
pub mod kv;
mod stored;
pub(crate) mod sums;
pub mod view;
pub mod window;

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use self::base::StoreBase;
use crate::record::CodecError;

pub use stored::Stored;

/// Longest key of a store, in bytes: what LMDB can hold beside the partition.
pub const KEY_MAX: usize = 480;

/// One sub-topology on one partition: the unit of order, state and recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    /// Number of the sub-topology.
    pub sub: u32,
    /// Number of the partition.
    pub partition: u32,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.sub, self.partition)
    }
}

/// Does a topic keep a copy of the store?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Changelog {
    /// The kind of store and the log decide: on for `Kv` and `Window` on a log that keeps no state beside its
    /// records.
    #[default]
    Auto,
    /// Every changed key of an epoch is written to `<app>-<store>-changelog`.
    On,
    /// None: after a loss the inputs are processed again.
    Off,
}

/// Which kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// Bytes → bytes, see [`kv::Kv`].
    Kv,
    /// (window, key) → value, see [`window::Window`].
    Window,
    /// Typed objects changed in place, see [`hot::Hot`].
    Hot,
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StoreKind::Kv => "kv",
            StoreKind::Window => "window",
            StoreKind::Hot => "hot",
        })
    }
}

/// A declared store: its name, its kind and how a task makes an empty one.
#[derive(Clone)]
pub struct StoreSpec {
    /// Unique in the topology.
    pub name: String,
    /// Which kind.
    pub kind: StoreKind,
    /// As declared.
    pub changelog: Changelog,
    pub(crate) make: Arc<dyn Fn() -> Box<dyn Store> + Send + Sync>,
}

impl fmt::Debug for StoreSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} changelog {:?}", self.name, self.kind, self.changelog)
    }
}

impl StoreSpec {
    /// Can the store be rebuilt from a topic? `local`: the log keeps state beside its records.
    pub(crate) fn has_changelog(&self, local: bool) -> bool {
        match (self.changelog, self.kind) {
            (Changelog::On, _) => true,
            (Changelog::Auto, StoreKind::Kv | StoreKind::Window) => !local,
            (Changelog::Auto, StoreKind::Hot) | (Changelog::Off, _) => false,
        }
    }
}

/// Something that declares a store; `Self` is what [`StoreRef`] then stands for.
pub trait StoreDefinition {
    /// What a task makes of it.
    fn spec(self) -> StoreSpec;
}

/// A store of a topology, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreId(pub(crate) usize);

/// A store of a topology, with the type by which a processor reaches it.
pub struct StoreRef<T> {
    pub(crate) id: StoreId,
    kind: PhantomData<fn() -> T>,
}

impl<T> StoreRef<T> {
    pub(crate) fn new(id: StoreId) -> StoreRef<T> {
        StoreRef { id, kind: PhantomData }
    }
}

impl<T> Clone for StoreRef<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for StoreRef<T> {}

impl<T> fmt::Debug for StoreRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

impl<T> From<StoreRef<T>> for StoreId {
    fn from(store: StoreRef<T>) -> StoreId {
        store.id
    }
}

/// Since when a key counts as changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// The last commit.
    Epoch,
    /// The last checkpoint that was written.
    Checkpoint,
}

/// Where an entry that is put back comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The checkpoint has it.
    Checkpoint,
    /// Only the changelog has it.
    Changelog,
}

/// How a record failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A node refused it; typed objects are as they were.
    Refused,
    /// A node panicked, or one below another that had done its part refused: typed objects may be half
    /// changed.
    Panicked,
}

/// One key's new value, `None` if it is gone.
pub(crate) type OnChange<'a> = dyn FnMut(&[u8], Option<&[u8]>) + 'a;

/// What the engine asks of a store. Keys come out in ascending order.
pub(crate) trait Store: Send {
    fn as_any_mut(&mut self) -> &mut dyn Any;
    /// A record begins: what follows can be undone.
    fn begin(&mut self);
    /// The record failed: undo its changes as far as this kind of store can.
    fn undo(&mut self, failure: Failure);
    /// Puts an entry back; `None` removes it. `origin` tells whether the next checkpoint must hold it.
    fn load(&mut self, key: &[u8], value: Option<&[u8]>, origin: Origin) -> Result<(), CodecError>;
    /// From now on what it does not hold is in the checkpoint. `false`: it must be given all entries instead.
    fn lean_on(&mut self, base: StoreBase) -> bool;
    /// Tells every key changed since then.
    fn changed(&self, since: Since, tell: &mut OnChange<'_>);
    /// What [`Store::changed`] told is safe now.
    fn settled(&mut self, since: Since);
    /// Bytes that changed since the last checkpoint, roughly; bounds what a failing disk may cost.
    fn dirty_bytes(&self) -> usize;
}

/// A store of a task.
pub(crate) struct Slot {
    pub(crate) id: StoreId,
    pub(crate) name: String,
    /// A topic keeps a copy.
    pub(crate) changelog: bool,
    pub(crate) store: Box<dyn Store>,
}

/// The stores of one task.
pub(crate) struct Stores(pub(crate) Vec<Slot>);

impl Stores {
    pub(crate) fn get_mut<T: 'static>(&mut self, id: StoreId) -> Option<&mut T> {
        let slot = self.0.iter_mut().find(|slot| slot.id == id)?;
        slot.store.as_any_mut().downcast_mut()
    }

    pub(crate) fn begin(&mut self) {
        self.0.iter_mut().for_each(|slot| slot.store.begin());
    }

    pub(crate) fn undo(&mut self, failure: Failure) {
        self.0.iter_mut().for_each(|slot| slot.store.undo(failure));
    }

    pub(crate) fn settled(&mut self, since: Since) {
        self.0.iter_mut().for_each(|slot| slot.store.settled(since));
    }

    pub(crate) fn dirty_bytes(&self) -> usize {
        self.0.iter().map(|slot| slot.store.dirty_bytes()).sum()
    }
}
