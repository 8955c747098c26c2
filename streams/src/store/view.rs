//! Reading stores from outside while they are at work: what a checkpoint holds, copied out in small pieces.
//!
//! An answer is as of the last checkpoint of its task and says so; an epoch that is not committed is never
//! seen, because none is in a checkpoint. A reader that keeps a view of LMDB open makes the file grow with
//! every commit, so none can: every call copies within limits and closes, and whoever is slow between two
//! pages holds nothing. Their token goes out of date with the next checkpoint ([`ViewError::EpochMoved`]).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use crate::error::StoreError;
use crate::store::TaskId;
use crate::store::checkpoint::{Checkpoint, Checkpoints, Shown};
use crate::time::{Clock, Ts};

/// Rows of a page at most.
pub const ROWS_MAX: usize = 1_000;
/// Bytes of keys and values of a page at most; a page always has room for one row.
pub const BYTES_MAX: usize = 1 << 20;
/// A page that takes longer ends where it is.
pub const DEADLINE: Duration = Duration::from_millis(50);
/// Calls at one time.
pub const READERS_MAX: usize = 16;
/// Rows between two looks at the clock.
const LOOK_EVERY: usize = 32;

/// Read-only queries of the stores of an application in this process. Clones share their limits.
#[derive(Clone)]
pub struct View {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    readers: AtomicUsize,
    tasks: Mutex<BTreeMap<TaskId, Arc<Place>>>,
}

/// Where the checkpoints of a task lie, while it is here.
struct Place(RwLock<Option<Checkpoints>>);

/// A task whose checkpoints can be read. Dropping it waits for those that do, so that the environment is free
/// afterwards.
pub struct Opened {
    view: View,
    task: TaskId,
    place: Arc<Place>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opened({})", self.task)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let mut tasks = self.view.tasks();
        if tasks.get(&self.task).is_some_and(|place| Arc::ptr_eq(place, &self.place)) {
            tasks.remove(&self.task);
        }
        drop(tasks);
        drop(self.place.0.write().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// An answer, and what it is as of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen<T> {
    /// The committed epoch whose state was read.
    pub epoch: u64,
    /// Stream time at the end of it; `None` before any record.
    pub stream_time: Option<Ts>,
    /// The answer.
    pub value: T,
}

/// Rows of a store in order of their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Keys and values.
    pub rows: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where the next page begins; `None`: there is none.
    pub next: Option<PageToken>,
}

/// Where a page begins. Good for the checkpoint of one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageToken {
    epoch: u64,
    after: Vec<u8>,
}

/// A store cannot be read now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// Too many read at once.
    #[error("{READERS_MAX} readers are at work: ask again")]
    Busy,
    /// Another process has the task, or nobody.
    #[error("task {task} is not in this process: ask the one that has it")]
    NotHere {
        /// The task.
        task: TaskId,
    },
    /// Nothing was committed and written yet.
    #[error("task {task} has no checkpoint of store {store} yet")]
    NoCheckpoint {
        /// The task.
        task: TaskId,
        /// The store.
        store: String,
    },
    /// The store went on since the page before.
    #[error("the page is of epoch {asked}, the store is at {now}: begin again")]
    EpochMoved {
        /// Of the token.
        asked: u64,
        /// Of the last checkpoint.
        now: u64,
    },
    /// A text that no page gave.
    #[error("{0:?} is no page token")]
    BadToken(String),
    /// The environment cannot be read.
    #[error("{0}")]
    Store(String),
}

impl From<StoreError> for ViewError {
    fn from(e: StoreError) -> ViewError {
        ViewError::Store(e.to_string())
    }
}

impl View {
    /// A view of nothing yet.
    pub fn new(clock: Arc<dyn Clock>) -> View {
        let tasks = Mutex::default();
        View { shared: Arc::new(Shared { clock, readers: AtomicUsize::new(0), tasks }) }
    }

    /// The checkpoints of a task can be read as long as what this returns is kept.
    #[must_use = "they can be read as long as it is kept"]
    pub fn open(&self, task: TaskId, checkpoints: Checkpoints) -> Opened {
        let place = Arc::new(Place(RwLock::new(Some(checkpoints))));
        self.tasks().insert(task, Arc::clone(&place));
        Opened { view: self.clone(), task, place }
    }

    /// The tasks that can be read here, in order.
    pub fn tasks_here(&self) -> Vec<TaskId> {
        self.tasks().keys().copied().collect()
    }

    /// The value of a key, if the last checkpoint has one.
    ///
    /// # Errors
    /// [`ViewError::Busy`], [`ViewError::NotHere`], [`ViewError::NoCheckpoint`], [`ViewError::Store`].
    pub fn get(&self, task: TaskId, store: &str, key: &[u8]) -> Result<Seen<Option<Vec<u8>>>, ViewError> {
        let mut found = None;
        let head = self.look(
            task,
            store,
            key,
            |_| Ok(()),
            |at, value| {
                found = (at == key).then(|| value.to_vec());
                false
            },
        )?;
        Ok(head.seen(found))
    }

    /// Rows of a store in order of their keys, from the beginning or from a token on: at most `rows` of them,
    /// [`ROWS_MAX`], [`BYTES_MAX`], and what [`DEADLINE`] allows.
    ///
    /// # Errors
    /// As [`View::get`], and [`ViewError::EpochMoved`]: a checkpoint was written since the page before.
    pub fn page(
        &self,
        task: TaskId,
        store: &str,
        from: Option<&PageToken>,
        rows: usize,
    ) -> Result<Seen<Page>, ViewError> {
        let began = self.shared.clock.mono();
        let after = from.map(|token| token.after.as_slice());
        let (mut found, mut bytes, mut full) = (Vec::<(Vec<u8>, Vec<u8>)>::new(), 0, false);
        let same_epoch = |head: &Head| match from.filter(|token| token.epoch != head.epoch) {
            Some(token) => Err(ViewError::EpochMoved { asked: token.epoch, now: head.epoch }),
            None => Ok(()),
        };
        let head = self.look(task, store, after.unwrap_or_default(), same_epoch, |key, value| {
            if Some(key) == after {
                return true;
            }
            let n = found.len();
            let late = || n.is_multiple_of(LOOK_EVERY) && self.shared.clock.mono().since(began) > DEADLINE;
            let most = rows.clamp(1, ROWS_MAX);
            full = n > 0 && (n >= most || bytes + key.len() + value.len() > BYTES_MAX || late());
            if !full {
                bytes += key.len() + value.len();
                found.push((key.to_vec(), value.to_vec()));
            }
            !full
        })?;
        let last = found.last().filter(|_| full).map(|(key, _)| key.clone());
        let next = last.map(|after| PageToken { epoch: head.epoch, after });
        Ok(head.seen(Page { rows: found, next }))
    }

    /// One look at a checkpoint: head and entries are of the same epoch.
    fn look(
        &self,
        task: TaskId,
        store: &str,
        from: &[u8],
        check: impl Fn(&Head) -> Result<(), ViewError>,
        mut entry: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<Head, ViewError> {
        let _turn = self.turn()?;
        let place = self.tasks().get(&task).cloned().ok_or(ViewError::NotHere { task })?;
        let held = place.0.read().unwrap_or_else(PoisonError::into_inner);
        let checkpoints = held.as_ref().ok_or(ViewError::NotHere { task })?;
        let mut head = Err(ViewError::NoCheckpoint { task, store: store.to_owned() });
        checkpoints.look(task, store, from, &mut |shown| match shown {
            Shown::Head(bytes) => {
                head = Head::of(bytes).and_then(|head| check(&head).map(|()| head));
                head.is_ok()
            }
            Shown::Entry(key, value) => entry(key, value),
        })?;
        head
    }

    fn turn(&self) -> Result<Turn<'_>, ViewError> {
        let readers = &self.shared.readers;
        let turn = Turn(readers);
        if readers.fetch_add(1, Ordering::AcqRel) >= READERS_MAX { Err(ViewError::Busy) } else { Ok(turn) }
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, BTreeMap<TaskId, Arc<Place>>> {
        self.shared.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.tasks_here()).finish()
    }
}

/// What an answer is as of.
struct Head {
    epoch: u64,
    stream_time: Option<Ts>,
}

impl Head {
    fn of(bytes: &[u8]) -> Result<Head, ViewError> {
        let head = Checkpoint::decode(bytes).map_err(|e| ViewError::Store(e.to_string()))?;
        Ok(Head { epoch: head.epoch, stream_time: head.stream_time() })
    }

    fn seen<T>(&self, value: T) -> Seen<T> {
        Seen { epoch: self.epoch, stream_time: self.stream_time, value }
    }
}

/// One of [`READERS_MAX`]; given back when dropped.
struct Turn<'a>(&'a AtomicUsize);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// `<epoch>-<key in hex>`
impl fmt::Display for PageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.epoch)?;
        self.after.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for PageToken {
    type Err = ViewError;

    fn from_str(text: &str) -> Result<PageToken, ViewError> {
        let bad = || ViewError::BadToken(text.to_owned());
        let (epoch, hex) = text.split_once('-').ok_or_else(bad)?;
        let digit = |digit: u8| (digit as char).to_digit(16).map(|digit| digit as u8);
        let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
        let bytes = pairs.iter().map(|[a, b]| Some(digit(*a)? << 4 | digit(*b)?));
        let after = bytes.collect::<Option<Vec<u8>>>().filter(|_| rest.is_empty()).ok_or_else(bad)?;
        Ok(PageToken { epoch: epoch.parse().map_err(|_| bad())?, after })
    }
}

#[cfg(test)]
mod tests;
