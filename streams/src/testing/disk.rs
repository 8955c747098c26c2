//! A disk for checkpoints that can fail, fill up and lose what was last written to it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::StoreError;
use crate::log::StateWrites;
use crate::log::memory::Died;
use crate::log::memory::random::Random;
use crate::store::checkpoint::{CheckpointStore, Entries, Guard, Place, Shown};

/// Commits that a power cut can reach.
const REACH: usize = 3;

type Tables = BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>;

/// The disk of one machine. A clone is the same disk.
#[derive(Clone)]
pub(crate) struct Disk(Arc<Mutex<Platters>>);

struct Platters {
    folders: BTreeMap<PathBuf, Folder>,
    random: Random,
    /// One write in so many fails for want of room; 0 = none.
    full: u64,
    /// In one write in so many the process dies, before or after it is done; 0 = none.
    dies: u64,
}

/// One store, written atomically.
#[derive(Default)]
struct Folder {
    tables: Tables,
    /// What would take the last commits back, newest last.
    undo: VecDeque<StateWrites>,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Disk with {} folders", self.lock().folders.len())
    }
}

impl Disk {
    pub(crate) fn new(random: Random) -> Disk {
        Disk(Arc::new(Mutex::new(Platters { folders: BTreeMap::new(), random, full: 0, dies: 0 })))
    }

    fn lock(&self) -> MutexGuard<'_, Platters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on writes fail this often.
    pub(crate) fn set_faults(&self, full: u64, dies: u64) {
        let mut platters = self.lock();
        (platters.full, platters.dies) = (full, dies);
    }

    /// The store in a folder.
    pub(crate) fn open(&self, dir: &Path) -> Arc<dyn CheckpointStore> {
        self.lock().folders.entry(dir.to_owned()).or_default();
        Arc::new(Opened { disk: self.clone(), dir: dir.to_owned() })
    }

    /// The power fails. A store that is synced without its last page loses the last commit or none; one that is
    /// not synced at all is found to be of another boot and set aside as a whole.
    pub(crate) fn lose_power(&self) {
        let mut platters = self.lock();
        let Platters { folders, random, .. } = &mut *platters;
        for folder in folders.values_mut() {
            match random.below(4) {
                0 => *folder = Folder::default(),
                1 | 2 => folder.take_back(),
                _ => {}
            }
            folder.undo.clear();
        }
    }

    /// Entries of a database in all folders: keys without the partition before them.
    pub(crate) fn entries(&self, database: &str) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let platters = self.lock();
        let tables = platters.folders.values().filter_map(|folder| folder.tables.get(database));
        let entries = tables.flatten().map(|(key, value)| (key[4.min(key.len())..].to_vec(), value.clone()));
        entries.collect()
    }

    /// Keys of a database in all folders.
    pub(crate) fn keys(&self, database: &str) -> Vec<Vec<u8>> {
        let platters = self.lock();
        let tables = platters.folders.values().filter_map(|folder| folder.tables.get(database));
        tables.flat_map(|table| table.keys().cloned()).collect()
    }

    /// Every value of a key, and the folder it lies in.
    pub(crate) fn find(&self, database: &str, key: &[u8]) -> Vec<Found> {
        let platters = self.lock();
        let found = platters.folders.iter().filter_map(|(dir, folder)| {
            let value = folder.tables.get(database)?.get(key)?.clone();
            Some(Found { value, disk: self.clone(), dir: dir.clone() })
        });
        found.collect()
    }

    fn write(&self, dir: &Path, writes: &StateWrites) -> Result<(), StoreError> {
        let mut platters = self.lock();
        let Platters { folders, random, full, dies } = &mut *platters;
        if random.one_in(*full) {
            let (dir, reason) = (dir.to_owned(), "no room".to_owned());
            return Err(StoreError::Write { dir, reason });
        }
        let die = random.one_in(*dies);
        if !die || random.one_in(2) {
            folders.entry(dir.to_owned()).or_default().commit(writes);
        }
        drop(platters);
        if die {
            std::panic::resume_unwind(Box::new(Died));
        }
        Ok(())
    }
}

impl Folder {
    fn commit(&mut self, writes: &StateWrites) {
        let mut undo = StateWrites::new();
        for write in writes {
            undo.push(apply(&mut self.tables, write));
        }
        self.undo.push_back(undo);
        if self.undo.len() > REACH {
            self.undo.pop_front();
        }
    }

    fn take_back(&mut self) {
        for write in self.undo.pop_back().unwrap_or_default().iter().rev() {
            apply(&mut self.tables, write);
        }
    }
}

/// Makes one change, and gives the one that takes it back.
fn apply(
    tables: &mut Tables,
    (database, key, value): &(String, Vec<u8>, Option<Vec<u8>>),
) -> (String, Vec<u8>, Option<Vec<u8>>) {
    let table = tables.entry(database.clone()).or_default();
    let old = match value {
        Some(value) => table.insert(key.clone(), value.clone()),
        None => table.remove(key),
    };
    (database.clone(), key.clone(), old)
}

/// A value and where it lies.
pub(crate) struct Found {
    pub(crate) value: Vec<u8>,
    disk: Disk,
    dir: PathBuf,
}

impl Found {
    /// Entries of a database in the same folder: keys without the partition before them.
    pub(crate) fn entries(&self, database: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
        let platters = self.disk.lock();
        let table = platters.folders.get(&self.dir).and_then(|folder| folder.tables.get(database));
        let entries = table.into_iter().flatten();
        entries.map(|(key, value)| (key[4.min(key.len())..].to_vec(), value.clone())).collect()
    }
}

struct Opened {
    disk: Disk,
    dir: PathBuf,
}

impl CheckpointStore for Opened {
    fn get(&self, database: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let platters = self.disk.lock();
        let table = platters.folders.get(&self.dir).and_then(|folder| folder.tables.get(database));
        Ok(table.and_then(|table| table.get(key)).cloned())
    }

    fn prefix(&self, database: &str, prefix: &[u8], most: usize) -> Result<Entries, StoreError> {
        let platters = self.disk.lock();
        let table = platters.folders.get(&self.dir).and_then(|folder| folder.tables.get(database));
        let from = table.into_iter().flat_map(|table| table.range(prefix.to_vec()..));
        let found = from.take_while(|(key, _)| key.starts_with(prefix)).take(most);
        Ok(found.map(|(key, value)| (key[prefix.len()..].to_vec(), value.clone())).collect())
    }

    fn look(&self, place: Place<'_>, show: &mut dyn FnMut(Shown<'_>) -> bool) -> Result<(), StoreError> {
        let Some(head) = self.get(place.head.0, place.head.1)? else { return Ok(()) };
        if show(Shown::Head(&head)) {
            let platters = self.disk.lock();
            let table = platters.folders.get(&self.dir).and_then(|folder| folder.tables.get(place.entries));
            let from = [place.prefix, place.from].concat();
            let mut entries = table.into_iter().flat_map(|table| table.range(from.clone()..));
            entries.all(|(key, value)| {
                key.strip_prefix(place.prefix).is_some_and(|key| show(Shown::Entry(key, value)))
            });
        }
        Ok(())
    }

    fn write_if(&self, guard: &Guard<'_>, writes: &StateWrites) -> Result<bool, StoreError> {
        let known = self.get(guard.database, guard.key)?;
        if !(guard.approves)(known.as_deref()) {
            return Ok(false);
        }
        self.disk.write(&self.dir, writes).map(|()| true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::kept::a_place_for_checkpoints_is_a_map;

    #[test]
    fn a_disk_that_does_not_fail_is_a_place_for_checkpoints() {
        a_place_for_checkpoints_is_a_map(|| {
            let disk = Disk::new(Random::new(1));
            let opened = disk.open(Path::new("a"));
            (disk, opened)
        });
    }

    fn write(store: &dyn CheckpointStore, key: &[u8], value: Option<&[u8]>) -> Result<(), StoreError> {
        let guard = Guard { database: "db", key, approves: &|_| true };
        store.write_if(&guard, &vec![("db".to_owned(), key.to_vec(), value.map(<[u8]>::to_vec))]).map(drop)
    }

    #[test]
    fn a_power_cut_takes_back_one_commit_or_all_or_none() {
        let mut seen = [0; 3];
        for seed in 0..40 {
            let disk = Disk::new(Random::new(seed));
            let store = disk.open(Path::new("a"));
            write(&*store, b"pp00a", Some(b"1")).expect("room");
            write(&*store, b"pp00a", None).expect("room");
            disk.lose_power();
            let left = disk.open(Path::new("a")).get("db", b"pp00a").expect("readable");
            let all_gone = disk.lock().folders[Path::new("a")].tables.is_empty();
            seen[if all_gone { 0 } else { 1 + usize::from(left.is_some()) }] += 1;
        }
        assert!(seen.iter().all(|n| *n > 0), "{seen:?}");
    }

    #[test]
    fn a_full_disk_changes_nothing_and_entries_are_those_of_all_folders() {
        let disk = Disk::new(Random::new(1));
        let (a, b) = (disk.open(Path::new("a")), disk.open(Path::new("b")));
        write(&*a, b"0000x", Some(b"1")).expect("room");
        write(&*b, b"0001y", Some(b"2")).expect("room");
        disk.set_faults(1, 0);
        assert!(write(&*a, b"0000x", Some(b"3")).is_err());
        let expected = [(b"x".to_vec(), b"1".to_vec()), (b"y".to_vec(), b"2".to_vec())];
        assert_eq!(disk.entries("db").into_iter().collect::<Vec<_>>(), expected);
        assert_eq!(a.prefix("db", b"000", 9).expect("readable"), [(b"0x".to_vec(), b"1".to_vec())]);
    }
}
