//! Random calls, as the engine makes them, and what must hold after each.
//!
//! ```text
//! record   changes, then it is over, refused, or it has panicked
//! commit   changed keys go to the changelog; perhaps a checkpoint, which may fail
//! crash    RAM is lost: checkpoint, then the changelog behind it
//! loss     the disk too: the whole changelog, in which only the newest record of a key is left
//! ```

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::call::{At, Call, Change, Disk, Ends, call, keys};
use super::{Model, Subject};
use crate::digest::{Chain, StateDigest};
use crate::lmdb::{Durability, Env, EnvOptions};
use crate::record::Offset;
use crate::store::base::Base;
use crate::store::checkpoint::{Checkpoint, CheckpointStore, Checkpoints, Guard};
use crate::store::sums::Sums;
use crate::store::{Failure, Origin, Since, Slot, StoreId, Stores, TaskId};
use crate::time::Ts;

/// Its neighbours, 254 and 256, differ from it in the last byte or in the last but one.
const TASK: TaskId = TaskId { sub: 0, partition: 255 };
const ID: StoreId = StoreId(4);
const CASES: u32 = 60;

/// See the head of this file.
pub(crate) fn random_calls_match_the_model<S: Subject>() {
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let crashes = Cell::new(0);
    let outcome = runner.run(&prop::collection::vec(call(), 1..60), |calls| {
        let mut run = Run::<S>::new();
        calls.iter().for_each(|call| run.one(call));
        run.finish();
        crashes.set(crashes.get() + run.crashes);
        Ok(())
    });
    outcome.unwrap_or_else(|e| panic!("{e}"));
    assert!(crashes.get() > 50, "{} crashes prove little", crashes.get());
}

struct Run<S> {
    dir: tempfile::TempDir,
    /// Number of the disk: a lost one is replaced.
    disk: u32,
    /// Open, but in the middle of a crash.
    kept: Option<Checkpoints>,
    stores: Stores,
    sums: Sums,
    base: Option<Base>,
    epoch: u64,
    /// What the store must hold now, what it held at the last commit, and what the checkpoint holds.
    now: Model,
    committed: Model,
    saved: Model,
    saved_epoch: u64,
    changelog: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// How much of it the checkpoint has.
    saved_log: usize,
    crashes: u32,
    subject: PhantomData<S>,
}

impl<S: Subject> Run<S> {
    fn new() -> Run<S> {
        let dir = tempfile::tempdir().expect("a directory");
        let kept = Some(disk(&dir, 0));
        Run {
            dir,
            disk: 0,
            kept,
            stores: empty::<S>(),
            sums: Sums::default(),
            base: None,
            epoch: 0,
            now: Model::new(),
            committed: Model::new(),
            saved: Model::new(),
            saved_epoch: 0,
            changelog: Vec::new(),
            saved_log: 0,
            crashes: 0,
            subject: PhantomData,
        }
    }

    fn store(&mut self) -> &mut S::Store {
        self.stores.get_mut(ID).expect("the kind that was declared")
    }

    fn checkpoints(&self) -> &Checkpoints {
        self.kept.as_ref().expect("opened again at once")
    }

    fn one(&mut self, call: &Call) {
        match call {
            Call::Record(changes, ends) => self.record(changes, *ends),
            Call::Commit(disk) => self.commit(*disk),
            Call::Crash { lean } => self.crash(*lean),
            Call::LoseDisk => {
                self.disk += 1;
                (self.saved, self.saved_epoch, self.saved_log) = (Model::new(), 0, 0);
                self.crash(false);
            }
            Call::Ask => self.ask(),
        }
        if let Some(base) = &self.base {
            base.check().expect("everything was answered");
        }
    }

    fn record(&mut self, changes: &[Change], ends: Ends) {
        if ends == Ends::Badly(Failure::Refused) && !S::UNDOES {
            // Whoever refuses has changed nothing.
            return;
        }
        self.stores.begin();
        let before = self.now.clone();
        let touched: BTreeSet<Vec<u8>> = changes.iter().flat_map(|change| self.change(change)).collect();
        let Ends::Badly(failure) = ends else { return };
        self.stores.undo(failure);
        if S::UNDOES {
            self.now = before;
        } else {
            self.now.retain(|place, _| !touched.contains(place));
        }
    }

    /// Makes a change on both sides; the places that it touched.
    fn change(&mut self, change: &Change) -> Vec<Vec<u8>> {
        let place = |at: At| S::place(at.window, &keys()[at.key]);
        match change {
            Change::Put { at, n, in_place } => {
                let (place, value) = (place(*at), S::value(*n));
                S::put(self.store(), &place, &value, *in_place);
                self.now.insert(place.clone(), value);
                vec![place]
            }
            Change::Delete(at) => {
                let place = place(*at);
                S::delete(self.store(), &place);
                self.now.remove(&place);
                vec![place]
            }
            Change::Get(at) => {
                let place = place(*at);
                assert_eq!(S::get(self.store(), &place), self.now.get(&place).cloned(), "{place:?}");
                Vec::new()
            }
            Change::Expire(at) => {
                let Some(before) = S::start(&place(*at)) else { return Vec::new() };
                S::expire(self.store(), before);
                self.drop_windows(|start| start < before).into_iter().map(|(place, _)| place).collect()
            }
            Change::Take(at) => {
                let Some(start) = S::start(&place(*at)) else { return Vec::new() };
                let taken = S::take(self.store(), start);
                assert_eq!(taken, self.drop_windows(|other| other == start), "taken in order of its keys");
                Vec::new()
            }
        }
    }

    fn drop_windows(&mut self, gone: impl Fn(Ts) -> bool) -> Vec<(Vec<u8>, Vec<u8>)> {
        let is_gone = |place: &[u8]| S::start(place).is_some_and(&gone);
        let (dropped, kept) =
            std::mem::take(&mut self.now).into_iter().partition(|(place, _)| is_gone(place));
        self.now = kept;
        Model::into_iter(dropped).collect()
    }

    fn commit(&mut self, disk: Disk) {
        self.epoch += 1;
        let told = self.told(Since::Epoch, &self.committed);
        self.changelog.extend(told);
        let writes = (disk != Disk::NotDue).then(|| {
            self.told(Since::Checkpoint, &self.saved);
            let kept = self.kept.as_ref().expect("opened again at once");
            kept.changes(TASK, &self.stores, &mut self.sums)
        });
        self.stores.settled(Since::Epoch);
        self.committed = self.now.clone();
        assert_eq!(self.told(Since::Epoch, &self.committed), [], "the epoch is over");
        let Some(mut writes) = writes else { return };
        assert_eq!(self.sums.total(), digest(&self.now), "the digest is that of what it holds");
        if disk == Disk::Full {
            return;
        }
        writes.push(self.checkpoints().head(TASK, &self.head()));
        assert!(self.checkpoints().write(TASK, self.saved_epoch, &writes).expect("room"));
        if let Some(base) = &self.base {
            base.moved_to(self.epoch);
        }
        self.stores.settled(Since::Checkpoint);
        self.sums.settled();
        assert_eq!(self.stores.dirty_bytes(), 0);
        (self.saved, self.saved_epoch, self.saved_log) = (self.now.clone(), self.epoch, self.changelog.len());
        assert_eq!(self.told(Since::Checkpoint, &self.saved), []);
        self.look_at_disk();
    }

    /// What it tells as changed: each key once, in order, as it is now, and none is forgotten.
    fn told(&self, since: Since, before: &Model) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let mut told = Vec::new();
        let store = &self.stores.0[0].store;
        store.changed(since, &mut |key, value| told.push((key.to_vec(), value.map(<[u8]>::to_vec))));
        assert!(told.is_sorted_by(|a, b| a.0 < b.0), "{since:?}: not in order, or twice");
        for (place, value) in &told {
            assert_eq!(value.as_ref(), self.now.get(place), "{since:?}: {place:?} is not as it is told");
        }
        let changed = self.now.keys().chain(before.keys()).filter(|k| self.now.get(*k) != before.get(*k));
        for place in changed {
            assert!(told.iter().any(|(key, _)| key == place), "{since:?}: {place:?} is not told");
        }
        told
    }

    fn head(&self) -> Checkpoint {
        Checkpoint {
            epoch: self.epoch,
            topology: Chain([3; 32]),
            decisions: Offset(self.epoch),
            digest: self.sums.total(),
            changelogs: vec![("s".to_owned(), Offset(self.changelog.len() as u64))],
            position: vec![1; 20],
        }
    }

    /// The process ends in the middle of an epoch and comes back to the last commit.
    fn crash(&mut self, lean: bool) {
        self.crashes += 1;
        (self.stores, self.sums, self.base) = (empty::<S>(), Sums::default(), None);
        self.kept = None;
        self.kept = Some(disk(&self.dir, self.disk));
        self.look_at_disk();
        self.now = self.committed.clone();
        if self.saved_epoch > 0 {
            self.load(lean);
        }
        for (place, value) in newest(&self.changelog[self.saved_log..]) {
            let loaded = self.stores.0[0].store.load(&place, value.as_deref(), Origin::Changelog);
            loaded.expect("its own bytes");
        }
        assert_eq!(self.told(Since::Epoch, &self.committed), [], "nothing has changed in this epoch");
        self.told(Since::Checkpoint, &self.saved);
        assert_eq!(self.sums.absorb(&self.stores), digest(&self.committed), "restored is what it was");
        if !lean {
            self.ask();
        }
    }

    fn load(&mut self, lean: bool) {
        let base = Base::new(self.checkpoints().clone(), TASK, self.saved_epoch);
        let entries = self.checkpoints().entries("s", TASK.partition).expect("readable");
        let slot = &mut self.stores.0[0];
        if lean && slot.store.lean_on(base.of("s")) {
            self.sums.lean_on(ID, base.of("s"));
            self.sums.begin_at(digest(&self.saved));
            self.base = Some(base);
            return;
        }
        for (key, value) in entries {
            self.sums.set(ID, "s", &key, Some(&value));
            slot.store.load(&key, Some(&value), Origin::Checkpoint).expect("its own bytes");
        }
    }

    fn ask(&mut self) {
        let model = self.now.clone();
        let all: Vec<_> = model.iter().map(|(place, value)| (place.clone(), value.clone())).collect();
        S::ask(self.store(), &model);
        assert_eq!(S::all(self.store()), all, "everything, in order");
        for (place, value) in all {
            assert_eq!(S::get(self.store(), &place), Some(value));
        }
    }

    /// Whoever looks from outside sees the last checkpoint, whole, and nothing of the neighbours.
    fn look_at_disk(&self) {
        let entries = self.checkpoints().entries("s", TASK.partition).expect("readable");
        assert_eq!(entries.into_iter().collect::<Model>(), self.saved);
        let found = self.checkpoints().load(TASK).expect("readable").map(|found| found.expect("understood"));
        let expected = (self.saved_epoch > 0).then_some((self.saved_epoch, digest(&self.saved)));
        assert_eq!(found.map(|found| (found.epoch, found.digest)), expected);
        for neighbour in [TASK.partition - 1, TASK.partition + 1] {
            let theirs = self.checkpoints().entries("s", neighbour).expect("readable");
            assert_eq!(theirs, [(b"a".to_vec(), b"theirs".to_vec())]);
        }
    }

    fn finish(&mut self) {
        self.commit(Disk::Writes);
        self.ask();
        self.crash(false);
    }
}

fn empty<S: Subject>() -> Stores {
    let spec = S::spec();
    Stores(vec![Slot { id: ID, name: spec.name.clone(), changelog: true, store: (spec.make)() }])
}

/// An environment of its own for each disk, in which neighbours of the task have an entry.
fn disk(dir: &tempfile::TempDir, number: u32) -> Checkpoints {
    let options = EnvOptions { durability: Durability::Fast, ..EnvOptions::default() };
    let env = Env::open(&dir.path().join(number.to_string()), &options).expect("an environment");
    let theirs = [TASK.partition - 1, TASK.partition + 1].map(|partition| {
        let key = [&partition.to_be_bytes()[..], b"a"].concat();
        ("app/s:s".to_owned(), key, Some(b"theirs".to_vec()))
    });
    let guard = Guard { database: "app/tasks", key: b"none", approves: &|_| true };
    assert!(CheckpointStore::write_if(&*env, &guard, &theirs.to_vec()).expect("room"));
    Checkpoints::new(env, "app")
}

/// What compaction leaves of a changelog.
fn newest(changelog: &[(Vec<u8>, Option<Vec<u8>>)]) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let last: BTreeMap<&Vec<u8>, usize> =
        changelog.iter().enumerate().map(|(i, (place, _))| (place, i)).collect();
    let kept = changelog.iter().enumerate().filter(|(i, (place, _))| last[place] == *i);
    kept.map(|(_, record)| record.clone()).collect()
}

fn digest(model: &Model) -> StateDigest {
    let mut sum = StateDigest::default();
    model.iter().for_each(|(place, value)| sum.add("s", place, value));
    sum
}
