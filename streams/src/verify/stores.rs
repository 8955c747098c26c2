//! Which store keys a difference has touched: the run again against the last checkpoint of the live one.

use crate::digest::StateDigest;
use crate::error::Error;
use crate::lmdb::{Durability, Env, EnvOptions};
use crate::runtime::task::Task;
use crate::store::checkpoint::{Checkpoints, Entries};
use crate::topology::processor::TaskId;
use crate::verify::again::Work;
use crate::verify::{KeyDifference, Side};

/// Everything that a checkpoint holds.
pub(super) struct Saved {
    pub(super) epoch: u64,
    pub(super) digest: StateDigest,
    /// By store.
    entries: Vec<(String, Entries)>,
}

impl Saved {
    /// Reads the last checkpoint of a task. `Err` says in words why that cannot be done.
    pub(super) fn load<M>(work: &Work<'_, M>, id: TaskId) -> Result<Saved, String> {
        let failed = |e: Error| e.to_string();
        let app = work.topology.name();
        let env = match work.log.state() {
            Some(env) => env,
            None => {
                let dir = work.settings.state_dir.join(app).join(id.to_string());
                if !Env::exists(&dir) {
                    return Err(format!("there is no checkpoint in {}", dir.display()));
                }
                let options = EnvOptions { durability: Durability::Meta, ..EnvOptions::default() };
                Env::open(&dir, &options).map_err(|e| failed(e.into()))?
            }
        };
        let checkpoints = Checkpoints::new(env, app);
        let head = || -> Result<Option<(u64, StateDigest)>, String> {
            let head = checkpoints.load(id).map_err(|e| failed(e.into()))?;
            Ok(head.transpose().map_err(|e| e.to_string())?.map(|head| (head.epoch, head.digest)))
        };
        let before = head()?.ok_or("no checkpoint was written")?;
        let mut entries = Vec::new();
        for store in &work.topology.subs[id.sub as usize].stores {
            let name = work.topology.store(*store).name.clone();
            let found = checkpoints.entries(&name, id.partition).map_err(|e| failed(e.into()))?;
            entries.push((name, found));
        }
        match head()? {
            Some(after) if after == before => Ok(Saved { epoch: before.0, digest: before.1, entries }),
            Some(_) | None => Err("the application is running and wrote a checkpoint meanwhile".to_owned()),
        }
    }

    /// Keys that have another value, in order of stores and keys.
    pub(super) fn compare<M>(&self, task: &Task<M>) -> Vec<KeyDifference> {
        let mut found = Vec::new();
        for (slot, (store, entries)) in task.stores.0.iter().zip(&self.entries) {
            let mut differs = |key: &[u8], only| {
                found.push(KeyDifference { store: store.clone(), key: key.to_vec(), only });
            };
            for (key, value) in entries {
                let mut live = StateDigest::default();
                live.add(store, key, value);
                match task.sums.entry(slot.id, key) {
                    Some(again) if again == live => {}
                    Some(_) => differs(key, None),
                    None => differs(key, Some(Side::Log)),
                }
            }
            let known = |key: &[u8]| entries.binary_search_by(|(k, _)| k.as_slice().cmp(key)).is_ok();
            task.sums.keys(slot.id).filter(|key| !known(key)).for_each(|key| differs(key, Some(Side::Again)));
        }
        found.sort_by(|a, b| (&a.store, &a.key).cmp(&(&b.store, &b.key)));
        found
    }
}
