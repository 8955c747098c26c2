//! Dirty keys ↔ LMDB: the stores of a task as of a committed epoch, with everything needed to go on from it.
//!
//! ```text
//! <app>/tasks        task id            → checkpoint: version u8 · epoch u64 · topology 32 bytes · decisions u64
//!                                         · digest u128 · list{store text · changelog offset u64} · position bytes
//! <app>/s:<store>    partition u32 · key → value
//! ```
//! All of one checkpoint is written in one LMDB transaction: what is found is one epoch, never a mixture.

use std::sync::Arc;

use crate::digest::{Chain, StateDigest};
use crate::error::StoreError;
use crate::lmdb::Env;
use crate::log::StateWrites;
use crate::record::{CodecError, Offset};
use crate::store::TaskId;
use crate::store::sums::Sums;
use crate::store::{Since, Stores};
use crate::time::Ts;
use crate::wire::{Reader, Writer};

const VERSION: u8 = 1;

/// What lies beside the entries of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// The committed epoch that it is the state of.
    pub epoch: u64,
    /// Which sub-topology wrote it: shape, stores, application.
    pub topology: Chain,
    /// No later decision of the task lies before this offset.
    pub decisions: Offset,
    /// Digest of all entries.
    pub digest: StateDigest,
    /// Next offset to read of each changelog, by store.
    pub changelogs: Vec<(String, Offset)>,
    /// Where the task stood, as the engine wrote it.
    pub position: Vec<u8>,
}

impl Checkpoint {
    fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.u8(VERSION);
        w.u64(self.epoch);
        w.raw(&self.topology.0);
        w.u64(self.decisions.0);
        w.u128(self.digest.0);
        w.list(self.changelogs.iter(), |w, (store, offset)| {
            w.bytes(store.as_bytes());
            w.u64(offset.0);
        });
        w.bytes(&self.position);
        w.0
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Checkpoint, CodecError> {
        let mut r = Reader(bytes);
        let version = r.u8()?;
        if version != VERSION {
            return Err(CodecError::new(format!("version {version}; this program reads {VERSION}")));
        }
        let checkpoint = Checkpoint {
            epoch: r.u64()?,
            topology: Chain(r.array()?),
            decisions: Offset(r.u64()?),
            digest: StateDigest(r.u128()?),
            changelogs: r.list(|r| Ok((r.text()?.to_owned(), Offset(r.u64()?))))?,
            position: r.bytes()?.to_vec(),
        };
        r.end()?;
        Ok(checkpoint)
    }
}

impl Checkpoint {
    /// The epoch of an encoded one, which stands at its beginning.
    pub(crate) fn epoch_of(bytes: &[u8]) -> Option<u64> {
        let mut r = Reader(bytes);
        r.u8().ok().filter(|version| *version == VERSION).and_then(|_| r.u64().ok())
    }

    /// Stream time, which stands at the beginning of a position: n u64 · option{T i64}.
    pub(crate) fn stream_time(&self) -> Option<Ts> {
        let mut r = Reader(&self.position);
        r.u64().and_then(|_| r.option(|r| r.i64().map(Ts))).ok().flatten()
    }
}

/// What [`CheckpointStore::look`] shows.
#[derive(Clone, Copy, Debug)]
pub enum Shown<'a> {
    /// The value of the head, first.
    Head(&'a [u8]),
    /// A key without its prefix, and its value.
    Entry(&'a [u8], &'a [u8]),
}

/// Where [`CheckpointStore::look`] looks.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Database and key of the head.
    pub head: (&'a str, &'a [u8]),
    /// Database of the entries.
    pub entries: &'a str,
    /// With which their keys begin.
    pub prefix: &'a [u8],
    /// From which key on, without the prefix.
    pub from: &'a [u8],
}

/// Keys and their values.
pub type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// Where checkpoints are kept: named databases of keys in ascending order. An [`Env`] is one; a simulation
/// has another, which can crash.
pub trait CheckpointStore: Send + Sync {
    /// The value of a key.
    ///
    /// # Errors
    /// It cannot be read.
    fn get(&self, database: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// Entries whose keys begin with `prefix`, which is cut off; the first `most` of them.
    ///
    /// # Errors
    /// They cannot be read.
    fn prefix(&self, database: &str, prefix: &[u8], most: usize) -> Result<Entries, StoreError>;
    /// Shows a head and then entries, as long as `show` wants more, both of one moment. Nothing is shown without a
    /// head.
    ///
    /// # Errors
    /// They cannot be read.
    fn look(&self, place: Place<'_>, show: &mut dyn FnMut(Shown<'_>) -> bool) -> Result<(), StoreError>;
    /// Writes all of them in one transaction, if `guard` approves of what lies there in that transaction.
    /// `false`: it does not, and nothing has changed.
    ///
    /// # Errors
    /// [`StoreError::Write`]: nothing has changed.
    fn write_if(&self, guard: &Guard<'_>, writes: &StateWrites) -> Result<bool, StoreError>;
}

/// Approves of the value of a key.
pub struct Guard<'a> {
    /// The database.
    pub database: &'a str,
    /// The key.
    pub key: &'a [u8],
    /// May be written over what lies there?
    pub approves: &'a dyn Fn(Option<&[u8]>) -> bool,
}

impl CheckpointStore for Env {
    fn get(&self, database: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let db = self.database(database)?;
        self.read(|view| Ok(view.get(db, key)?.map(<[u8]>::to_vec)))
    }

    fn prefix(&self, database: &str, prefix: &[u8], most: usize) -> Result<Entries, StoreError> {
        let db = self.database(database)?;
        self.read(|view| {
            let entries = view.prefix(db, prefix)?.take(most);
            entries.map(|e| e.map(|(key, value)| (key[prefix.len()..].to_vec(), value.to_vec()))).collect()
        })
    }

    /// One view, and no database is made.
    fn look(&self, place: Place<'_>, show: &mut dyn FnMut(Shown<'_>) -> bool) -> Result<(), StoreError> {
        let (Some(heads), Some(entries)) = (self.find(place.head.0)?, self.find(place.entries)?) else {
            return Ok(());
        };
        self.read(|view| {
            let Some(head) = view.get(heads, place.head.1)? else { return Ok(()) };
            if !show(Shown::Head(head)) {
                return Ok(());
            }
            for entry in view.from(entries, &[place.prefix, place.from].concat())? {
                let (key, value) = entry?;
                let Some(key) = key.strip_prefix(place.prefix) else { break };
                if !show(Shown::Entry(key, value)) {
                    break;
                }
            }
            Ok(())
        })
    }

    fn write_if(&self, guard: &Guard<'_>, writes: &StateWrites) -> Result<bool, StoreError> {
        let guarded = self.database(guard.database)?;
        let mut dbs = Vec::with_capacity(writes.len());
        for (name, _, _) in writes {
            dbs.push(self.database(name)?);
        }
        Env::write(self, |txn| {
            if !(guard.approves)(txn.view().get(guarded, guard.key)?) {
                return Ok(false);
            }
            for (db, (_, key, value)) in dbs.iter().zip(writes) {
                match value {
                    Some(value) => txn.put(*db, key, value)?,
                    None => txn.delete(*db, key)?,
                }
            }
            Ok(true)
        })
    }
}

/// The checkpoints of an application in one store.
#[derive(Clone)]
pub struct Checkpoints {
    kept: Arc<dyn CheckpointStore>,
    app: String,
}

impl Checkpoints {
    /// Those of `app`.
    pub fn new(kept: Arc<dyn CheckpointStore>, app: &str) -> Checkpoints {
        Checkpoints { kept, app: app.to_owned() }
    }

    /// The checkpoint of a task, if it has one: `Err` inside if its bytes are not understood.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn load(&self, task: TaskId) -> Result<Option<Result<Checkpoint, CodecError>>, StoreError> {
        let bytes = self.kept.get(&self.tasks(), task.to_string().as_bytes())?;
        Ok(bytes.map(|bytes| Checkpoint::decode(&bytes)))
    }

    /// All entries of a store in a partition.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn entries(&self, store: &str, partition: u32) -> Result<Entries, StoreError> {
        self.first_entries(store, partition, usize::MAX)
    }

    /// The first `most` of them.
    pub(crate) fn first_entries(
        &self,
        store: &str,
        partition: u32,
        most: usize,
    ) -> Result<Entries, StoreError> {
        self.kept.prefix(&self.store(store), &partition.to_be_bytes(), most)
    }

    /// Shows the head of a task's checkpoint, then entries of a store from a key on, all of one moment, as long
    /// as `show` wants more. Nothing is shown without a checkpoint.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) fn look(
        &self,
        task: TaskId,
        store: &str,
        from: &[u8],
        show: &mut dyn FnMut(Shown<'_>) -> bool,
    ) -> Result<(), StoreError> {
        let (tasks, entries, id) = (self.tasks(), self.store(store), task.to_string());
        let prefix = &task.partition.to_be_bytes();
        let place = Place { head: (&tasks, id.as_bytes()), entries: &entries, prefix, from };
        self.kept.look(place, show)
    }

    /// What has to be written so that the stores are found as they are now. `sums` learns of it too.
    pub(crate) fn changes(&self, task: TaskId, stores: &Stores, sums: &mut Sums) -> StateWrites {
        let mut writes = StateWrites::new();
        for slot in &stores.0 {
            let db = self.store(&slot.name);
            slot.store.changed(Since::Checkpoint, &mut |key, value| {
                sums.set(slot.id, &slot.name, key, value);
                let place = [&task.partition.to_be_bytes()[..], key].concat();
                writes.push((db.clone(), place, value.map(<[u8]>::to_vec)));
            });
        }
        writes
    }

    /// What has to be written beside the changes.
    pub(crate) fn head(&self, task: TaskId, checkpoint: &Checkpoint) -> (String, Vec<u8>, Option<Vec<u8>>) {
        (self.tasks(), task.to_string().into_bytes(), Some(checkpoint.encode()))
    }

    /// Writes them in one transaction over the checkpoint of epoch `last` (0: over none). `false`: another one
    /// lies there, so another process has gone on with this task, and nothing has changed.
    ///
    /// # Errors
    /// [`StoreError::Write`]: nothing has changed.
    pub fn write(&self, task: TaskId, last: u64, writes: &StateWrites) -> Result<bool, StoreError> {
        let approves = |head: Option<&[u8]>| match head {
            Some(head) => Checkpoint::decode(head).is_ok_and(|known| known.epoch == last),
            None => last == 0,
        };
        let (database, task) = (self.tasks(), task.to_string());
        let guard = Guard { database: &database, key: task.as_bytes(), approves: &approves };
        self.kept.write_if(&guard, writes)
    }

    fn tasks(&self) -> String {
        format!("{}/tasks", self.app)
    }

    fn store(&self, store: &str) -> String {
        format!("{}/s:{store}", self.app)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lmdb::{Durability, EnvOptions};
    use crate::store::Slot;
    use crate::store::conformance::kept::a_place_for_checkpoints_is_a_map;
    use crate::store::kv::{Kv, KvStore};
    use crate::store::{Origin, StoreDefinition, StoreId};

    #[test]
    fn an_environment_is_a_place_for_checkpoints() {
        a_place_for_checkpoints_is_a_map(|| {
            let dir = tempfile::tempdir().expect("a directory");
            let options = EnvOptions { durability: Durability::Fast, ..EnvOptions::default() };
            let env = Env::open(dir.path(), &options).expect("an environment");
            (dir, env as Arc<dyn CheckpointStore>)
        });
    }

    fn stores() -> Stores {
        let spec = Kv::new("counts").spec();
        Stores(vec![Slot { id: StoreId(3), name: spec.name.clone(), changelog: false, store: (spec.make)() }])
    }

    fn kv(stores: &mut Stores) -> &mut KvStore {
        stores.get_mut(StoreId(3)).expect("declared")
    }

    fn checkpoint(epoch: u64, digest: StateDigest) -> Checkpoint {
        Checkpoint {
            epoch,
            topology: Chain([9; 32]),
            decisions: Offset(12),
            digest,
            changelogs: vec![("counts".to_owned(), Offset(5))],
            position: vec![1, 2, 3],
        }
    }

    #[test]
    fn what_was_written_is_found_by_its_task_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let env = Env::open(dir.path(), &EnvOptions::default()).expect("an environment");
        let checkpoints = Checkpoints::new(env, "app");
        let (task, neighbour) = (TaskId { sub: 0, partition: 1 }, TaskId { sub: 0, partition: 2 });
        let (mut stores, mut sums) = (stores(), Sums::default());
        for (epoch, puts, delete) in
            [(1, [(&b"a"[..], &b"1"[..]), (b"b", b"2")], None), (2, [(b"a", b"9"), (b"c", b"3")], Some(b"b"))]
        {
            puts.iter().for_each(|(key, value)| kv(&mut stores).put(key, value));
            delete.into_iter().for_each(|key| kv(&mut stores).delete(key));
            let mut writes = checkpoints.changes(task, &stores, &mut sums);
            writes.push(checkpoints.head(task, &checkpoint(epoch, sums.total())));
            assert!(checkpoints.write(task, epoch - 1, &writes).expect("writable"));
            assert!(!checkpoints.write(task, epoch - 1, &writes).expect("writable"), "not over another one");
            stores.settled(Since::Checkpoint);
        }
        let found = checkpoints.load(task).expect("readable").expect("written").expect("understood");
        assert_eq!(found, checkpoint(2, sums.total()));
        let entries = checkpoints.entries("counts", 1).expect("readable");
        assert_eq!(entries, [(b"a".to_vec(), b"9".to_vec()), (b"c".to_vec(), b"3".to_vec())]);
        assert!(checkpoints.load(neighbour).expect("readable").is_none());
        assert!(checkpoints.entries("counts", 2).expect("readable").is_empty());
    }

    #[test]
    fn the_digest_is_that_of_the_entries_whatever_came_before() {
        let mut expected = StateDigest::default();
        expected.add("counts", b"a", b"2");
        let (mut stores, mut sums) = (stores(), Sums::default());
        kv(&mut stores).put(b"a", b"1");
        kv(&mut stores).put(b"b", b"1");
        sums.absorb(&stores);
        stores.settled(Since::Checkpoint);
        kv(&mut stores).put(b"a", b"2");
        kv(&mut stores).delete(b"b");
        assert_eq!(sums.absorb(&stores), expected);
        assert_eq!(sums.absorb(&stores), expected, "absorbing twice changes nothing");
        let mut loaded = Sums::default();
        loaded.set(StoreId(3), "counts", b"a", Some(b"2"));
        stores.0[0].store.load(b"a", Some(b"2"), Origin::Checkpoint).expect("bytes");
        assert_eq!(loaded.total(), expected);
    }

    #[test]
    fn damaged_heads_are_refused() {
        let bytes = checkpoint(7, StateDigest(1 << 90)).encode();
        assert_eq!(Checkpoint::decode(&bytes), Ok(checkpoint(7, StateDigest(1 << 90))));
        for cut in 0..bytes.len() {
            assert!(Checkpoint::decode(&bytes[..cut]).is_err(), "cut to {cut}");
        }
        let newer = [&[VERSION + 1], &bytes[1..]].concat();
        let refused = Checkpoint::decode(&newer).expect_err("a newer version");
        assert_eq!(refused.to_string(), "version 2; this program reads 1");
    }
}
