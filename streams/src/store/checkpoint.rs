//! Dirty keys ↔ LMDB: the stores of a task as of a committed epoch, with everything needed to go on from it.
//!
//! ```text
//! <app>/tasks        task id            → checkpoint: version u8 · epoch u64 · topology 32 bytes · decisions u64
//!                                         · digest u128 · list{store text · changelog offset u64} · position bytes
//! <app>/s:<store>    partition u32 · key → value
//! ```
//! All of one checkpoint is written in one LMDB transaction: what is found is one epoch, never a mixture.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::digest::{Chain, StateDigest};
use crate::error::StoreError;
use crate::lmdb::Env;
use crate::log::StateWrites;
use crate::record::{CodecError, Key, Offset};
use crate::store::TaskId;
use crate::store::{Since, StoreId, Stores};
use crate::wire::{Reader, Writer};

const VERSION: u8 = 1;

/// What lies beside the entries of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
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

    fn decode(bytes: &[u8]) -> Result<Checkpoint, CodecError> {
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

/// Keys and their values.
pub type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// The checkpoints of an application in one environment.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    env: Arc<Env>,
    app: String,
}

impl Checkpoints {
    /// Those of `app`.
    pub fn new(env: Arc<Env>, app: &str) -> Checkpoints {
        Checkpoints { env, app: app.to_owned() }
    }

    /// The checkpoint of a task, if it has one: `Err` inside if its bytes are not understood.
    ///
    /// # Errors
    /// The environment cannot be read.
    pub fn load(&self, task: TaskId) -> Result<Option<Result<Checkpoint, CodecError>>, StoreError> {
        let db = self.env.database(&self.tasks())?;
        let bytes = self.env.read(|view| {
            Ok::<_, StoreError>(view.get(db, task.to_string().as_bytes())?.map(<[u8]>::to_vec))
        })?;
        Ok(bytes.map(|bytes| Checkpoint::decode(&bytes)))
    }

    /// All entries of a store in a partition.
    ///
    /// # Errors
    /// The environment cannot be read.
    pub fn entries(&self, store: &str, partition: u32) -> Result<Entries, StoreError> {
        let db = self.env.database(&self.store(store))?;
        let prefix = partition.to_be_bytes();
        self.env.read(|view| {
            let entries = view.prefix(db, &prefix)?;
            entries.map(|e| e.map(|(key, value)| (key[prefix.len()..].to_vec(), value.to_vec()))).collect()
        })
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

    /// Writes them in one transaction.
    ///
    /// # Errors
    /// [`StoreError::Write`]: nothing has changed.
    pub fn write(&self, writes: &StateWrites) -> Result<(), StoreError> {
        let mut dbs = Vec::with_capacity(writes.len());
        for (name, _, _) in writes {
            dbs.push(self.env.database(name)?);
        }
        self.env.write(|txn| {
            for (db, (_, key, value)) in dbs.iter().zip(writes) {
                match value {
                    Some(value) => txn.put(*db, key, value)?,
                    None => txn.delete(*db, key)?,
                }
            }
            Ok(())
        })
    }

    fn tasks(&self) -> String {
        format!("{}/tasks", self.app)
    }

    fn store(&self, store: &str) -> String {
        format!("{}/s:{store}", self.app)
    }
}

/// The digest of a task's stores, kept up to date key by key.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    entries: BTreeMap<(StoreId, Key), u128>,
    total: StateDigest,
}

impl Sums {
    /// A key has this value now.
    pub(crate) fn set(&mut self, id: StoreId, store: &str, key: &[u8], value: Option<&[u8]>) {
        let place = (id, Key::new(key));
        let old = match value {
            Some(value) => {
                let mut one = StateDigest::default();
                one.add(store, key, value);
                self.total.0 = self.total.0.wrapping_add(one.0);
                self.entries.insert(place, one.0)
            }
            None => self.entries.remove(&place),
        };
        self.total.0 = self.total.0.wrapping_sub(old.unwrap_or(0));
    }

    /// Learns of everything that changed since the last checkpoint.
    pub(crate) fn absorb(&mut self, stores: &Stores) -> StateDigest {
        for slot in &stores.0 {
            slot.store
                .changed(Since::Checkpoint, &mut |key, value| self.set(slot.id, &slot.name, key, value));
        }
        self.total
    }

    /// The digest of all entries.
    pub(crate) fn total(&self) -> StateDigest {
        self.total
    }
}
