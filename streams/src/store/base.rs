//! `Base`: the checkpoint that a task was restored from, read key by key when somebody first asks for one.
//!
//! ```text
//! a store with a base     RAM: what was touched since the restore   else: what the checkpoint says
//! ```
//! A restart costs the same whatever the state holds. Only the task itself writes its checkpoint, so what was
//! not touched is still true; each look checks that by the epoch which lies there. A base cannot answer with an
//! error, because a processor could do nothing about it: it remembers what failed, and the engine asks
//! ([`Base::check`]) before anything that was processed is committed.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Error;
use crate::store::TaskId;
use crate::store::checkpoint::{Checkpoint, Checkpoints, Entries, Shown};

/// The checkpoint of one task.
#[derive(Clone)]
pub(crate) struct Base(Arc<Shared>);

struct Shared {
    checkpoints: Checkpoints,
    task: TaskId,
    /// Of the checkpoint that is true.
    epoch: AtomicU64,
    failed: AtomicBool,
    why: Mutex<Option<Error>>,
}

/// The entries of one store in it.
#[derive(Clone)]
pub(crate) struct StoreBase {
    base: Base,
    store: String,
}

impl Base {
    /// That of a task, written at the end of this epoch.
    pub(crate) fn new(checkpoints: Checkpoints, task: TaskId, epoch: u64) -> Base {
        let (epoch, failed) = (AtomicU64::new(epoch), AtomicBool::new(false));
        Base(Arc::new(Shared { checkpoints, task, epoch, failed, why: Mutex::default() }))
    }

    /// The entries of a store.
    pub(crate) fn of(&self, store: &str) -> StoreBase {
        StoreBase { base: self.clone(), store: store.to_owned() }
    }

    /// The task has written a checkpoint.
    pub(crate) fn moved_to(&self, epoch: u64) {
        self.0.epoch.store(epoch, Ordering::Release);
    }

    /// Was everything answered?
    ///
    /// # Errors
    /// What could not be read, or that another process has written the checkpoint meanwhile. Told once; the
    /// task cannot go on.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if !self.0.failed.load(Ordering::Acquire) {
            return Ok(());
        }
        let why = self.0.why.lock().unwrap_or_else(PoisonError::into_inner).take();
        Err(why.unwrap_or_else(|| Error::CheckpointTaken { task: self.0.task.to_string() }))
    }

    fn fail(&self, why: Error) {
        self.0.why.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        self.0.failed.store(true, Ordering::Release);
    }
}

impl StoreBase {
    /// The value of a key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let mut found = None;
        self.look(key, &mut |at, value| {
            found = (at == key).then(|| value.to_vec());
            false
        });
        found
    }

    /// Up to so many entries from a key on.
    pub(crate) fn page(&self, from: &[u8], most: usize) -> Entries {
        let mut found = Entries::new();
        self.look(from, &mut |key, value| {
            found.push((key.to_vec(), value.to_vec()));
            found.len() < most
        });
        found
    }

    /// Entries whose keys begin so.
    pub(crate) fn prefix(&self, prefix: &[u8]) -> Entries {
        let mut found = Entries::new();
        self.look(prefix, &mut |key, value| {
            let wanted = key.starts_with(prefix);
            if wanted {
                found.push((key.to_vec(), value.to_vec()));
            }
            wanted
        });
        found
    }

    /// The bytes of an entry are not understood.
    pub(crate) fn refuse(&self, key: &[u8], why: &dyn fmt::Display) {
        let what = format!("entry {} of store {}: {why}", key.escape_ascii(), self.store);
        self.base.fail(Error::CheckpointRefused { task: self.base.0.task.to_string(), what });
    }

    fn look(&self, from: &[u8], entry: &mut dyn FnMut(&[u8], &[u8]) -> bool) {
        let Shared { checkpoints, task, epoch, .. } = &*self.base.0;
        let (expected, mut same) = (epoch.load(Ordering::Acquire), false);
        let looked = checkpoints.look(*task, &self.store, from, &mut |shown| match shown {
            Shown::Head(head) => {
                same = Checkpoint::epoch_of(head) == Some(expected);
                same
            }
            Shown::Entry(key, value) => entry(key, value),
        });
        match looked {
            Ok(()) if same => {}
            Ok(()) => self.base.fail(Error::CheckpointTaken { task: task.to_string() }),
            Err(e) => self.base.fail(e.into()),
        }
    }
}

impl fmt::Debug for StoreBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Base of {} in task {}", self.store, self.base.0.task)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::lmdb::{Env, EnvOptions};
    use crate::store::StoreKind;

    pub(crate) const TASK: TaskId = TaskId { sub: 0, partition: 1 };

    /// A checkpoint of epoch 1 of a store `s` with these entries.
    pub(crate) struct Bed {
        pub(crate) checkpoints: Checkpoints,
        pub(crate) base: Base,
        _dir: tempfile::TempDir,
    }

    impl Bed {
        pub(crate) fn new(entries: &[(Vec<u8>, Vec<u8>)]) -> Bed {
            let dir = tempfile::tempdir().expect("a directory");
            let env = Env::open(dir.path(), &EnvOptions::default()).expect("an environment");
            let checkpoints = Checkpoints::new(env, "app");
            let base = Base::new(checkpoints.clone(), TASK, 1);
            let bed = Bed { checkpoints, base, _dir: dir };
            let entries = entries.iter().map(|(key, value)| (key.clone(), Some(value.clone())));
            bed.write(1, entries);
            bed
        }

        /// Writes the checkpoint of an epoch.
        pub(crate) fn write(&self, epoch: u64, entries: impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>) {
            let head = Checkpoint { epoch, ..Checkpoint::default() };
            let place = |key: Vec<u8>| [&TASK.partition.to_be_bytes()[..], &key].concat();
            let mut writes = vec![self.checkpoints.head(TASK, &head)];
            writes.extend(entries.map(|(key, value)| ("app/s:s".to_owned(), place(key), value)));
            assert!(self.checkpoints.write(TASK, epoch - 1, &writes).expect("written"));
        }
    }

    fn entries(keys: &[&str]) -> Vec<(Vec<u8>, Vec<u8>)> {
        keys.iter().map(|key| (key.as_bytes().to_vec(), format!("v{key}").into_bytes())).collect()
    }

    #[test]
    fn entries_are_found_by_key_page_and_prefix() {
        let bed = Bed::new(&entries(&["a", "ab", "b"]));
        let store = bed.base.of("s");
        assert_eq!((store.get(b"ab"), store.get(b"aa")), (Some(b"vab".to_vec()), None));
        assert_eq!(store.page(b"aa", 1), entries(&["ab"]));
        assert_eq!(store.page(b"", 9), entries(&["a", "ab", "b"]));
        assert_eq!(store.prefix(b"a"), entries(&["a", "ab"]));
        bed.base.check().expect("all was answered");
    }

    #[test]
    fn a_checkpoint_that_somebody_else_has_written_is_an_error_and_not_an_answer() {
        let bed = Bed::new(&entries(&["a"]));
        bed.write(2, entries(&["a"]).into_iter().map(|(key, _)| (key, Some(b"theirs".to_vec()))));
        assert_eq!(bed.base.of("s").get(b"a"), None);
        assert!(matches!(bed.base.check(), Err(Error::CheckpointTaken { .. })));
        assert!(bed.base.check().is_err(), "for ever");
        let ours = Base::new(bed.checkpoints.clone(), TASK, 1);
        ours.moved_to(2);
        assert_eq!(ours.of("s").get(b"a"), Some(b"theirs".to_vec()));
        ours.check().expect("it is known");
    }

    #[test]
    fn odd_bytes_are_told_by_their_key() {
        let bed = Bed::new(&[]);
        bed.base.of("s").refuse(b"\x01k", &StoreKind::Window);
        let told = bed.base.check().expect_err("refused").to_string();
        assert!(told.contains(r"entry \x01k of store s: window"), "{told}");
    }
}
