//! Rebuilding a task as of the epoch that the log has committed.
//!
//! ```text
//! checkpoint c ─▶ all stores have changelogs?  yes  changelogs to their end, position from decision k
//!                                              no   inputs of c+1 … k again, muted, following each decision
//!                                                   and compared with it
//! ```
//! The committed note is the truth: k is its epoch. A checkpoint can be behind it, never ahead. (At-least-once
//! it can: everything before it has arrived, so the task goes on from there.) Nothing here writes to the log,
//! so a crash while restoring changes nothing. [`pool`] has the thread that does it.

pub(crate) mod pool;
mod standby;

use crate::digest::StateDigest;
use crate::error::{Error, LogError};
use crate::log::{Answer, Commit, Consumer, Log, Tp, topic};
use crate::record::{Batch, Offset};
use crate::runtime::decision::{Decision, Position};
use crate::runtime::merge::Pick;
use crate::runtime::task::Task;
use crate::runtime::txn::Note;
use crate::store::Origin;
use crate::store::base::Base;
use crate::store::checkpoint::{Checkpoint, Checkpoints};
use crate::wire::Reader;

/// Records taken and processed in one step of a restore.
const STEP: usize = 4_096;
/// A committed decision becomes readable when the log has ended its transaction in that partition too. So
/// many steps, each after a short wait, are given to it.
const PATIENCE: u32 = 4_000;

/// A restore under way. It reads with the reader that it is given, always the same.
pub(crate) struct Restore {
    note: Note,
    stage: Stage,
    decisions: Decisions,
    batch: Batch,
    /// Read from changelogs so far.
    records: u64,
}

enum Stage {
    /// Reading the changelog of this store.
    Changelog { store: usize, started: bool },
    /// Looking for the decision of an epoch.
    Find { epoch: u64 },
    /// Processing the inputs of an epoch.
    Replay(Box<Decision>),
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// There is more to do.
    Again,
    /// Records have not been fetched yet.
    Waiting,
    /// The task is as it was when the epoch was committed.
    Done,
}

impl Restore {
    /// Loads the checkpoint of a new task. `None`: that is all there is to it.
    ///
    /// `committed` are the positions of the task's inputs, in order of its channels.
    pub(crate) fn begin<M: Clone + 'static>(
        task: &mut Task<M>,
        log: &dyn Log,
        app: &str,
        committed: &[Option<Commit>],
        checkpoints: Option<&Checkpoints>,
        reader: &mut dyn Consumer,
        load_entries_max: usize,
    ) -> Result<Option<Restore>, Error> {
        let note = common_note(task, committed)?;
        let target = note.as_ref().map_or(0, |note| note.epoch);
        let loaded =
            checkpoints.map(|known| load(task, known, target, load_entries_max)).transpose()?.flatten();
        if loaded.is_none() {
            start_at_first(task, log)?;
        }
        let note = match note {
            Some(note) if task.epoch < note.epoch => note,
            Some(_) | None => {
                task.init()?;
                return Ok(None);
            }
        };
        let by_changelog = task.stores.0.iter().all(|slot| slot.changelog);
        let decisions_tp = Tp::new(&topic::decisions(app), task.id.partition);
        let from = if by_changelog { note.decision } else { task.decision_at };
        let from = from.max(log.range(&decisions_tp)?.first);
        let stage = match by_changelog {
            true => Stage::Changelog { store: 0, started: false },
            false => Stage::Find { epoch: task.epoch + 1 },
        };
        let restore = Restore {
            note,
            stage,
            decisions: Decisions::new(decisions_tp.clone()),
            batch: Batch::default(),
            records: 0,
        };
        reader.answer(Answer::Start(&[(decisions_tp, from)]))?;
        if !by_changelog {
            start_inputs(task, log, reader)?;
            task.init()?;
            task.outbox.muted = true;
        }
        Ok(Some(restore))
    }

    /// Does a bounded part of the work.
    pub(crate) fn step<M: Clone + 'static>(
        &mut self,
        task: &mut Task<M>,
        log: &dyn Log,
        app: &str,
        reader: &mut dyn Consumer,
    ) -> Result<Step, Error> {
        let step = self.step_on(task, log, app, reader)?;
        task.check_base()?;
        if step == Step::Done {
            task.decision_at = task.decision_at.max(self.note.decision);
        }
        Ok(step)
    }

    fn step_on<M: Clone + 'static>(
        &mut self,
        task: &mut Task<M>,
        log: &dyn Log,
        app: &str,
        reader: &mut dyn Consumer,
    ) -> Result<Step, Error> {
        match &mut self.stage {
            Stage::Changelog { store, started } => {
                let (store, started) = (*store, std::mem::replace(started, true));
                self.changelog(task, (log, app, reader), store, started)
            }
            Stage::Find { epoch } => {
                let epoch = *epoch;
                self.find(task, epoch, reader)
            }
            Stage::Replay(decision) => match replay(task, reader, decision)? {
                Step::Done => {
                    task.follow_bye(&decision.position);
                    compare(task, decision)?;
                    Ok(self.next_epoch(task))
                }
                other => Ok(other),
            },
        }
    }

    fn changelog<M: Clone + 'static>(
        &mut self,
        task: &mut Task<M>,
        (log, app, reader): (&dyn Log, &str, &mut dyn Consumer),
        store: usize,
        started: bool,
    ) -> Result<Step, Error> {
        let Some(slot) = task.stores.0.get_mut(store) else {
            self.stage = Stage::Find { epoch: self.note.epoch };
            return Ok(Step::Again);
        };
        let tp = Tp::new(&topic::changelog(app, &slot.name), task.id.partition);
        if !started {
            let first = log.range(&tp)?.first;
            let from = task.changelog_next.get(&slot.name).copied().unwrap_or(first).max(first);
            task.changelog_next.insert(slot.name.clone(), from);
            reader.answer(Answer::Start(&[(tp.clone(), from)]))?;
        }
        self.batch.clear();
        let taken = reader.take(&tp, STEP, &mut self.batch)?;
        self.records += taken.n as u64;
        for record in self.batch.iter() {
            let Some(key) = record.key else { continue };
            let loaded = slot.store.load(key, record.value, Origin::Changelog);
            loaded.map_err(|e| corrupt(&tp, record.offset, &e.to_string()))?;
            task.changelog_next.insert(slot.name.clone(), Offset(record.offset.0 + 1));
        }
        if taken.caught_up {
            self.stage = Stage::Changelog { store: store + 1, started: false };
        }
        Ok(if taken.caught_up || taken.n > 0 { Step::Again } else { Step::Waiting })
    }

    fn find<M: Clone + 'static>(
        &mut self,
        task: &mut Task<M>,
        epoch: u64,
        reader: &mut dyn Consumer,
    ) -> Result<Step, Error> {
        let found = self.decisions.find(reader, &task.id.to_string(), epoch)?;
        let decision = match found {
            Found::Decision(decision) => decision,
            Found::NotYet => return Ok(Step::Waiting),
            Found::End if self.decisions.ends < PATIENCE => return Ok(Step::Waiting),
            Found::End => {
                let what = format!("the decision of epoch {epoch} is missing from {}", self.decisions.tp);
                return Err(Error::History { task: task.id.to_string(), what });
            }
        };
        if task.stores.0.iter().all(|slot| slot.changelog) {
            adopt(task, &decision)?;
            return Ok(Step::Done);
        }
        for (i, (_, progress)) in decision.position.channels.iter().enumerate() {
            task.merge.set_limit(i, Some(progress.next));
        }
        task.merge.follow(decision.virtual_beacons.iter().copied());
        self.stage = Stage::Replay(decision);
        Ok(Step::Again)
    }

    /// An epoch was processed and compared.
    fn next_epoch<M: Clone + 'static>(&mut self, task: &mut Task<M>) -> Step {
        task.epoch_ended();
        if task.epoch < self.note.epoch {
            self.stage = Stage::Find { epoch: task.epoch + 1 };
            return Step::Again;
        }
        for i in 0..task.merge.channels().len() {
            task.merge.set_limit(i, None);
            task.merge.forget_fetched(i);
        }
        // What people are shown was counted when it happened first.
        task.take_counts();
        task.tally = Default::default();
        task.outbox.muted = false;
        Step::Done
    }
}

/// The inputs are needed from where the checkpoint stands.
fn start_inputs<M: Clone + 'static>(
    task: &Task<M>,
    log: &dyn Log,
    reader: &mut dyn Consumer,
) -> Result<(), Error> {
    let mut starts = Vec::new();
    for (tp, need) in task.merge.inputs() {
        let have = log.range(&tp)?.first;
        if need < have {
            let tp = tp.to_string();
            return Err(LogError::HistoryMissing { tp, need: need.0, have: have.0 }.into());
        }
        starts.push((tp, need));
    }
    Ok(reader.answer(Answer::Start(&starts))?)
}

/// Processes the inputs of one epoch.
fn replay<M: Clone + 'static>(
    task: &mut Task<M>,
    reader: &mut dyn Consumer,
    decision: &Decision,
) -> Result<Step, Error> {
    let mut fetched = 0;
    for i in 0..task.merge.channels().len() {
        if task.merge.channel(i).is_hungry() {
            fetched += task.refill(i, |tp, batch| Ok(reader.take(tp, STEP, batch)?.caught_up))?;
        }
    }
    match task.run(STEP)? {
        Pick::Record(_) | Pick::Beacon(_) => Ok(Step::Again),
        Pick::End => Ok(Step::Done),
        Pick::Wait(i) => {
            let channel = task.merge.channel(i);
            if channel.caught_up && channel.is_empty() {
                let what = format!("{} ends before epoch {} does", channel.tp, decision.epoch);
                return Err(Error::History { task: task.id.to_string(), what });
            }
            Ok(if fetched > 0 { Step::Again } else { Step::Waiting })
        }
    }
}

/// The epoch of all inputs of a task, which are always committed together.
fn common_note<M: Clone + 'static>(
    task: &Task<M>,
    committed: &[Option<Commit>],
) -> Result<Option<Note>, Error> {
    let history = |what: String| Error::History { task: task.id.to_string(), what };
    let mut notes = Vec::new();
    for (tp, commit) in task.inputs().zip(committed) {
        let Some(commit) = commit else { continue };
        let note = Note::parse(&commit.note);
        notes.push(note.ok_or_else(|| history(format!("note {:?} of {tp} is not understood", commit.note)))?);
    }
    match notes.first() {
        None => Ok(None),
        Some(_) if notes.len() < committed.len() => {
            Err(history(
                "some of its inputs have a committed offset and some have none: an input that is new to an application needs a new application name".to_owned(),
            ))
        }
        Some(first) if notes.iter().any(|note| note.epoch != first.epoch) => {
            Err(history("its inputs were committed in different epochs".to_owned()))
        }
        Some(first) => Ok(Some(first.clone())),
    }
}

fn start_at_first<M: Clone + 'static>(task: &mut Task<M>, log: &dyn Log) -> Result<(), Error> {
    let tps: Vec<Tp> = task.inputs().cloned().collect();
    for tp in &tps {
        task.start_at(tp, log.range(tp)?.first);
    }
    Ok(())
}

/// Puts the task where its checkpoint was made, if it has one.
fn load<M: Clone + 'static>(
    task: &mut Task<M>,
    checkpoints: &Checkpoints,
    committed: u64,
    load_entries_max: usize,
) -> Result<Option<()>, Error> {
    let id = task.id;
    let refused = |what: String| Error::CheckpointRefused { task: id.to_string(), what };
    let Some(checkpoint) = checkpoints.load(id)? else { return Ok(None) };
    let checkpoint = checkpoint.map_err(|e| refused(e.to_string()))?;
    check(task, &checkpoint, committed).map_err(refused)?;
    let base = Base::new(checkpoints.clone(), id, checkpoint.epoch);
    let whole = load_stores(task, checkpoints, &base, load_entries_max)?;
    base.check()?;
    if !whole {
        task.sums.begin_at(checkpoint.digest);
        task.base = Some(base);
    } else if task.sums.total() != checkpoint.digest {
        return Err(refused("its entries are not those it was made of".to_owned()));
    }
    let position = Position::decode(&mut Reader(&checkpoint.position)).map_err(|e| refused(e.to_string()))?;
    task.set_position(&position).map_err(refused)?;
    task.epoch = checkpoint.epoch;
    task.decision_at = checkpoint.decisions;
    task.changelog_next = checkpoint.changelogs.into_iter().collect();
    Ok(Some(()))
}

fn check<M: Clone + 'static>(task: &Task<M>, checkpoint: &Checkpoint, committed: u64) -> Result<(), String> {
    if checkpoint.topology != task.fingerprint() {
        return Err("it was made by another topology".to_owned());
    }
    if task.exact && checkpoint.epoch > committed {
        return Err(format!("it is of epoch {}, the log has only {committed}", checkpoint.epoch));
    }
    Ok(())
}

/// Gives the stores their entries. `false`: some have many, and lean on the checkpoint instead.
fn load_stores<M: Clone + 'static>(
    task: &mut Task<M>,
    checkpoints: &Checkpoints,
    base: &Base,
    load_entries_max: usize,
) -> Result<bool, Error> {
    let Task { stores, sums, id, .. } = task;
    let mut whole = true;
    for slot in &mut stores.0 {
        let first = load_entries_max.saturating_add(1);
        let mut entries = checkpoints.first_entries(&slot.name, id.partition, first)?;
        if entries.len() > load_entries_max {
            if slot.store.lean_on(base.of(&slot.name)) {
                sums.lean_on(slot.id, base.of(&slot.name));
                whole = false;
                continue;
            }
            entries = checkpoints.entries(&slot.name, id.partition)?;
        }
        for (key, value) in entries {
            sums.set(slot.id, &slot.name, &key, Some(&value));
            let loaded = slot.store.load(&key, Some(&value), Origin::Checkpoint);
            loaded.map_err(|e| Error::CheckpointRefused {
                task: id.to_string(),
                what: format!("entry {} of store {}: {e}", key.escape_ascii(), slot.name),
            })?;
        }
    }
    Ok(whole)
}

/// Changelogs have brought the stores to the epoch of a decision: the rest of the state is in it.
fn adopt<M: Clone + 'static>(task: &mut Task<M>, decision: &Decision) -> Result<(), Error> {
    check_program(task, decision)?;
    let now = task.sums.absorb(&task.stores);
    if task.exact {
        compare_state(now, decision.state).map_err(|what| diverged(task, decision, what))?;
    }
    let id = task.id;
    let adopted = task.set_position(&decision.position);
    adopted.map_err(|what| Error::History { task: id.to_string(), what })?;
    task.epoch = decision.epoch;
    task.init()
}

/// Changelogs cannot have what the topology that wrote them did not keep.
fn check_program<M: Clone + 'static>(task: &Task<M>, decision: &Decision) -> Result<(), Error> {
    let keeps = !task.stores.0.is_empty() || !decision.position.ticks.is_empty();
    let other = decision.program.is_some_and(|program| program.topology != task.fingerprint());
    if keeps && other {
        let what = format!(
            "epoch {} was written by another topology, which did not keep the state of this one: run the earlier one, or give this one an application name of its own",
            decision.epoch
        );
        return Err(Error::History { task: task.id.to_string(), what });
    }
    Ok(())
}

/// What was processed a second time is what was written the first time.
fn compare<M: Clone + 'static>(task: &mut Task<M>, decision: &Decision) -> Result<(), Error> {
    let (again, first) = (task.position(), &decision.position);
    let differs = [
        ("the number of records", again.n == first.n),
        ("the end of its inputs", again.channels == first.channels && again.last == first.last),
        ("stream time", again.time == first.time),
        ("its outputs", again.outputs == first.outputs),
        ("its schedules", again.ticks == first.ticks),
    ];
    let what = differs.iter().find(|(_, equal)| !equal).map(|(what, _)| format!("{what} differ"));
    let state = || {
        let now = decision.state.map(|_| task.sums.absorb(&task.stores));
        now.map_or(Ok(()), |now| compare_state(now, decision.state))
    };
    what.map_or_else(state, Err).map_err(|what| diverged(task, decision, what))
}

fn diverged<M: Clone + 'static>(task: &Task<M>, decision: &Decision, what: String) -> Error {
    let changed = decision.program != Some(task.program());
    Error::StateDiverged { task: task.id.to_string(), epoch: decision.epoch, what, changed }
}

fn compare_state(now: StateDigest, logged: Option<StateDigest>) -> Result<(), String> {
    match logged {
        Some(logged) if logged != now => Err(format!("state digest {now} instead of {logged}")),
        Some(_) | None => Ok(()),
    }
}

fn corrupt(tp: &Tp, offset: Offset, reason: &str) -> Error {
    LogError::Corrupt { place: format!("{tp} offset {}", offset.0), reason: reason.to_owned() }.into()
}

/// Reads the decisions of one task from a partition it may share with others.
struct Decisions {
    tp: Tp,
    batch: Batch,
    at: usize,
    /// How often the readable end was reached in vain.
    ends: u32,
}

enum Found {
    Decision(Box<Decision>),
    NotYet,
    End,
}

impl Decisions {
    fn new(tp: Tp) -> Decisions {
        Decisions { tp, batch: Batch::default(), at: 0, ends: 0 }
    }

    /// The next decision of this epoch, if it has been fetched.
    fn find(&mut self, reader: &mut dyn Consumer, task: &str, epoch: u64) -> Result<Found, Error> {
        loop {
            while let Some(record) = self.batch.get(self.at) {
                self.at += 1;
                if record.key != Some(task.as_bytes()) {
                    continue;
                }
                let decision = Decision::decode(record.value.unwrap_or_default());
                let decision = decision.map_err(|e| corrupt(&self.tp, record.offset, &e.to_string()))?;
                if decision.epoch == epoch {
                    return Ok(Found::Decision(Box::new(decision)));
                }
            }
            self.batch.clear();
            self.at = 0;
            let taken = reader.take(&self.tp, STEP, &mut self.batch)?;
            if taken.n == 0 {
                self.ends += u32::from(taken.caught_up);
                return Ok(if taken.caught_up { Found::End } else { Found::NotYet });
            }
        }
    }
}
