//! The turns of one run: who goes next, what goes wrong, who takes over.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::disk::Disk;
use super::plan::{Feed, Plan};
use super::process::{Process, Site};
use super::sim::Counts;
use crate::error::{Error, LogError, SendError};
use crate::log::memory::random::Random;
use crate::log::memory::{Died, Faults, MemoryLog, Sabotage};
use crate::log::{Log, ProducerOptions, TopicName, TopicSpec, Tp};
use crate::record::OutRecord;
use crate::runtime::commit::Edge;
use crate::runtime::thread::Turn;
use crate::settings::{GroupProtocol, Settings, Sharing};
use crate::topology::Topology;

/// Turns in which nothing happens, one after the other, until all is done.
const QUIET: u32 = 80;
/// Turns that the calm phase may take per record of the input, beyond a fixed number.
const CALM_TURNS: u64 = 20_000;
/// Zombies that are kept.
const ZOMBIES_MAX: usize = 3;
/// Longer than any request is under way.
const SETTLE: Duration = Duration::from_secs(60);

/// A run, shared with the hooks of its processes.
pub(crate) type World<M> = Arc<Mutex<Run<M>>>;

pub(crate) struct Run<M> {
    pub(crate) log: MemoryLog,
    pub(crate) counts: Counts,
    app: String,
    slots: Vec<Slot<M>>,
    feed: Arc<Feed>,
    fed: usize,
    plan: Plan,
    random: Random,
    /// Processes that were frozen while others took their place, and the slots they had.
    zombies: Vec<(Process<M>, usize)>,
    /// A process is being kept frozen: no other one is.
    frozen: bool,
    /// Nothing goes wrong any more.
    is_calm: bool,
    /// When the broker comes back, and the commits there were before.
    back_at: Option<(Duration, u64)>,
    /// What went wrong where no error can be returned.
    violation: Option<String>,
}

/// A machine with its disk, and the process that runs on it.
struct Slot<M> {
    site: Site<M>,
    settings: Settings,
    current: Option<Process<M>>,
    /// Number of the current process: an older one is a zombie.
    generation: u64,
    start_at: Duration,
}

/// Who is at work: the process of a slot, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Who {
    slot: usize,
    /// 0: a zombie.
    generation: u64,
}

/// How a step ended.
enum Ended<R> {
    Done(R),
    Died,
    Failed(Error),
}

pub(crate) fn lock<M>(world: &World<M>) -> MutexGuard<'_, Run<M>> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does something in which the process may die.
fn guarded<R>(call: impl FnOnce() -> Result<R, Error>) -> Ended<R> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(result)) => Ended::Done(result),
        Ok(Err(e)) => Ended::Failed(e),
        Err(panic) if panic.is::<Died>() => Ended::Died,
        Err(panic) => resume_unwind(panic),
    }
}

/// Lets time go by, lets something go wrong or not, and gives one thread a turn. `true`: something was done.
pub(crate) fn turn<M: Clone + Send + 'static>(world: &World<M>) -> Result<bool, String> {
    let Some((mut process, who)) = next(world)? else { return Ok(false) };
    if who.generation > 0 && lock(world).is_time_to_quit() {
        return quit(world, process, who).map(|()| true);
    }
    let thread = lock(world).random.below(process.n_threads() as u64) as usize;
    let ended = guarded(|| process.step(thread));
    let worked = matches!(ended, Ended::Done(Turn { worked: true, .. }));
    let mut run = lock(world);
    run.note(who, thread, &ended);
    run.counts.turns += 1;
    match run.violation.take() {
        Some(what) => Err(what),
        None => run.put_back(process, who, ended).map(|()| worked),
    }
}

/// Asks the process to end in order; another one follows it.
fn quit<M: Clone + Send + 'static>(world: &World<M>, process: Process<M>, who: Who) -> Result<(), String> {
    lock(world).count(&process);
    let ended = guarded(|| process.finish());
    let mut run = lock(world);
    run.note(who, 0, &ended);
    match ended {
        _ if run.is_zombie(who) => Ok(()),
        Ended::Done(()) => {
            run.counts.quits += 1;
            run.start_later(who.slot);
            Ok(())
        }
        Ended::Died => {
            run.died(who.slot);
            Ok(())
        }
        Ended::Failed(e) => run.failed(who.slot, &e),
    }
}

/// The process whose turn it is, taken out of the run so that its hooks can reach the run meanwhile.
fn next<M: Clone + Send + 'static>(world: &World<M>) -> Result<Option<(Process<M>, Who)>, String> {
    let mut run = lock(world);
    run.let_time_go_by();
    run.feed_some();
    if !run.zombies.is_empty() && run.random.one_in(4) {
        let zombie = run.zombies.pop();
        return Ok(zombie.map(|(process, slot)| (process, Who { slot, generation: 0 })));
    }
    let (n_slots, kill) = (run.slots.len() as u64, run.plan.kill);
    let slot = run.random.below(n_slots) as usize;
    if run.slots[slot].current.is_some() && run.random.one_in(kill) {
        run.slots[slot].current = None;
        run.died(slot);
    }
    if run.slots[slot].current.is_none() && run.log.now() >= run.slots[slot].start_at {
        run.start(slot, world)?;
    }
    let Slot { current, generation, .. } = &mut run.slots[slot];
    Ok(current.take().map(|process| (process, Who { slot, generation: *generation })))
}

/// Everything works from now on: all input must be processed, and the end must be an orderly one.
pub(crate) fn calm_down<M: Clone + Send + 'static>(world: &World<M>) -> Result<(), String> {
    lock(world).calm();
    let most = CALM_TURNS + 20 * lock(world).feed.records.len() as u64;
    let mut quiet = 0;
    for _ in 0..most {
        let worked = turn(world)?;
        let waits = lock(world).is_waiting();
        quiet = if worked || waits { 0 } else { quiet + 1 };
        if quiet >= QUIET * lock(world).slots.len() as u32 {
            return finish_all(world);
        }
    }
    Err(format!("not at its end after {most} calm turns"))
}

fn finish_all<M: Clone + Send + 'static>(world: &World<M>) -> Result<(), String> {
    let n_slots = lock(world).slots.len();
    for slot in 0..n_slots {
        let process = lock(world).slots[slot].current.take();
        let Some(process) = process else { continue };
        lock(world).count(&process);
        match guarded(|| process.finish()) {
            Ended::Done(()) => {}
            Ended::Died => return Err("a process died although all was calm".to_owned()),
            Ended::Failed(e) => return Err(format!("it did not end in order: {e}")),
        }
    }
    Ok(())
}

/// Called by a process at each edge of its commits.
fn at_edge<M: Clone + Send + 'static>(world: &World<M>, who: Who, edge: Edge) {
    let freeze = {
        let mut run = lock(world);
        if run.is_zombie(who) {
            return;
        }
        let Plan { edge: dies, only_edge, freeze, .. } = run.plan;
        if only_edge.is_none_or(|only| only == edge) && run.random.one_in(dies) {
            *run.counts.edges.entry(edge as u8).or_default() += 1;
            drop(run);
            resume_unwind(Box::new(Died));
        }
        !run.frozen && run.random.one_in(freeze)
    };
    if freeze {
        freeze_here(world, who.slot);
    }
}

/// Keeps the process that called where it is; others take its place and work for a while.
fn freeze_here<M: Clone + Send + 'static>(world: &World<M>, slot: usize) {
    let turns = {
        let mut run = lock(world);
        run.frozen = true;
        run.counts.freezes += 1;
        let sleep = Duration::from_millis(run.random.below(20_000));
        run.log.advance(sleep);
        let now = run.log.now();
        run.slots[slot].generation += 1;
        run.slots[slot].start_at = now;
        5 + run.random.below(60)
    };
    for _ in 0..turns {
        if let Err(what) = turn(world) {
            lock(world).violation = Some(what);
            break;
        }
    }
    lock(world).frozen = false;
}

impl<M: Clone + Send + 'static> Run<M> {
    pub(crate) fn new(
        topology: Arc<Topology<M>>,
        feed: Arc<Feed>,
        plan: Plan,
        seed: u64,
        sabotage: Option<Sabotage>,
    ) -> Run<M> {
        let mut random = Random::new(seed);
        let log = MemoryLog::simulated(random.number());
        for (name, partitions) in &feed.topics {
            let (name, partitions) = (TopicName::new(name), *partitions);
            let spec = TopicSpec { name, partitions, retention: None, compact: false };
            log.ensure_topic(&spec).expect("a new log takes every topic");
        }
        sabotage.into_iter().for_each(|rule| log.sabotage(rule));
        log.set_faults(plan.network.clone());
        let mut slots = Vec::new();
        for number in 0..plan.members.max(1) {
            let disk = Disk::new(random.branch());
            disk.set_faults(plan.disk_full, plan.disk_dies);
            let (topology, log) = (Arc::clone(&topology), log.clone());
            slots.push(Slot {
                site: Site { topology, log, disk, sabotage },
                settings: settings(&mut random, number, plan.members > 1),
                current: None,
                generation: 0,
                start_at: Duration::ZERO,
            });
        }
        Run {
            log,
            counts: Counts::default(),
            app: topology.name().to_owned(),
            slots,
            feed,
            fed: 0,
            plan,
            random,
            zombies: Vec::new(),
            frozen: false,
            is_calm: false,
            back_at: None,
            violation: None,
        }
    }

    /// The disks of all machines.
    pub(crate) fn disks(&self) -> Vec<Disk> {
        self.slots.iter().map(|slot| slot.site.disk.clone()).collect()
    }

    fn is_zombie(&self, who: Who) -> bool {
        self.slots[who.slot].generation != who.generation
    }

    fn note<R>(&self, who: Who, thread: usize, ended: &Ended<R>) {
        let how = match ended {
            Ended::Done(_) => "done".to_owned(),
            Ended::Died => "died".to_owned(),
            Ended::Failed(e) => e.to_string(),
        };
        self.log.note("turn", &format!("{who:?} {thread} {how}"));
    }

    fn let_time_go_by(&mut self) {
        // A slow clock must see time go by in the calm phase too: its commits wait for that.
        let pace = if self.is_calm { self.plan.slowness } else { 1 };
        let time = Duration::from_micros(self.random.below(10_000)) * pace;
        self.log.advance(time);
        let Plan { stop, kick, members, .. } = self.plan;
        if self.random.one_in(stop) {
            let down = Duration::from_millis(1_000 + self.random.below(29_000));
            let killed = self.random.one_in(2);
            self.log.stop(down, killed);
            self.counts.stops += 1;
            let back_at = self.back_at.map_or(Duration::ZERO, |(earlier, _)| earlier);
            self.back_at = Some((back_at.max(self.log.now() + down), self.commits()));
        }
        if self.random.one_in(kick) {
            let nth = self.random.below(3 * u64::from(members)) as usize;
            self.counts.kicks += u64::from(self.log.kick(&self.app, nth));
        }
    }

    /// Commits of the processes that are up.
    fn commits(&self) -> u64 {
        let up = self.slots.iter().filter_map(|slot| slot.current.as_ref());
        up.map(|process| process.progress.snapshot().commits).sum()
    }

    /// Writes the next part of the input. Who feeds has no part in the faults.
    fn feed_some(&mut self) {
        let all = self.feed.records.len();
        let share = (2 * all as u64 / self.plan.turns.max(50)).max(1);
        let until = all.min(self.fed + self.random.below(share + 1) as usize);
        if until == self.fed || self.log.is_down() {
            return;
        }
        let log = &self.log;
        log.set_faults(Faults::NONE);
        let mut producer = log.producer(&ProducerOptions::default()).expect("a producer");
        for fed in &self.feed.records[self.fed..until] {
            let tp = Tp::new(&TopicName::new(&self.feed.topics[fed.topic].0), fed.partition);
            let (key, value) = (Some(&*fed.key), fed.value.as_deref());
            let record = OutRecord { tp: &tp, key, value, ts: fed.ts, seq: fed.seq, headers: &[] };
            producer.send(record).expect("it has room");
        }
        producer.drain(Duration::ZERO).expect("nothing fails meanwhile");
        log.set_faults(self.plan.network.clone());
        self.fed = until;
    }

    fn start(&mut self, number: usize, world: &World<M>) -> Result<(), String> {
        self.counts.starts += 1;
        let (hook, slowness) = (Arc::downgrade(world), self.plan.slowness);
        let slot = &mut self.slots[number];
        slot.generation += 1;
        slot.settings.n_threads = 1 + self.random.below(3) as u32;
        let who = Who { slot: number, generation: slot.generation };
        let on_edge = move |edge| {
            if let Some(world) = hook.upgrade() {
                at_edge(&world, who, edge);
            }
        };
        match guarded(|| Process::start(&slot.site, &slot.settings, slowness, on_edge)) {
            Ended::Done(process) => {
                slot.current = Some(process);
                Ok(())
            }
            Ended::Died => {
                self.died(number);
                Ok(())
            }
            Ended::Failed(e) => self.failed(number, &e),
        }
    }

    fn died(&mut self, slot: usize) {
        self.counts.deaths += 1;
        if self.random.one_in(self.plan.power) {
            self.counts.power_cuts += 1;
            self.slots[slot].site.disk.lose_power();
        }
        self.start_later(slot);
    }

    fn start_later(&mut self, slot: usize) {
        let pause = Duration::from_millis(self.random.below(2_000));
        self.slots[slot].start_at = self.log.now() + pause;
    }

    /// A process ended with an error: some are what a fault leads to, others nothing excuses.
    fn failed(&mut self, slot: usize, e: &Error) -> Result<(), String> {
        self.counts.errors += 1;
        self.start_later(slot);
        if is_excused(e) { Ok(()) } else { Err(e.to_string()) }
    }

    fn put_back(&mut self, process: Process<M>, who: Who, ended: Ended<Turn>) -> Result<(), String> {
        if self.is_zombie(who) {
            return self.put_zombie_back(process, who.slot, ended);
        }
        match ended {
            Ended::Done(_) => {
                self.slots[who.slot].current = Some(process);
                self.watch_recovery();
                Ok(())
            }
            Ended::Died => {
                self.count(&process);
                self.died(who.slot);
                Ok(())
            }
            Ended::Failed(e) => {
                self.count(&process);
                self.failed(who.slot, &e)
            }
        }
    }

    fn put_zombie_back(
        &mut self,
        process: Process<M>,
        slot: usize,
        ended: Ended<Turn>,
    ) -> Result<(), String> {
        match ended {
            Ended::Done(_) if self.zombies.len() < ZOMBIES_MAX => self.zombies.insert(0, (process, slot)),
            Ended::Done(_) | Ended::Died => {}
            Ended::Failed(e) => {
                self.counts.errors += 1;
                // What it reads is written by another one meanwhile: it may take that for a broken history.
                let excused = is_excused(&e)
                    || matches!(
                        e,
                        Error::StateDiverged { .. } | Error::History { .. } | Error::CheckpointRefused { .. }
                    );
                return if excused { Ok(()) } else { Err(format!("a zombie: {e}")) };
            }
        }
        Ok(())
    }

    /// After the broker came back, how long was it until something was committed?
    fn watch_recovery(&mut self) {
        let Some((back_at, before)) = self.back_at else { return };
        let commits = self.commits();
        if commits < before {
            // A process of its own counts anew.
            self.back_at = Some((back_at, 0));
        } else if commits > before {
            let waited = self.log.now().saturating_sub(back_at).as_millis() as u64;
            self.counts.recovery_ms_max = self.counts.recovery_ms_max.max(waited);
            self.back_at = None;
        }
    }

    fn is_time_to_quit(&mut self) -> bool {
        let quit = self.plan.quit;
        self.random.one_in(quit)
    }

    fn count(&mut self, process: &Process<M>) {
        let done = process.progress.snapshot();
        self.counts.commits += done.commits;
        self.counts.replaced += done.producers_replaced;
        self.counts.checkpoints_failed += done.checkpoints_failed;
    }

    fn calm(&mut self) {
        self.plan = Plan { turns: self.plan.turns, slowness: self.plan.slowness, ..Plan::CALM };
        self.is_calm = true;
        self.back_at = None;
        self.log.set_faults(Faults::NONE);
        self.slots.iter().for_each(|slot| slot.site.disk.set_faults(0, 0));
        self.log.advance(SETTLE);
    }

    /// There is more to come: input that was not fed, or a process that is not up yet.
    fn is_waiting(&self) -> bool {
        self.fed < self.feed.records.len() || self.slots.iter().any(|slot| slot.current.is_none())
    }
}

fn is_excused(e: &Error) -> bool {
    matches!(
        e,
        Error::Fenced { .. }
            | Error::Txn(_)
            | Error::Store(_)
            | Error::CheckpointTaken { .. }
            | Error::Send(SendError::Txn(_))
            | Error::Log(LogError::Client { retriable: true, .. })
    ) || is_replaced(e)
}

/// Another process has taken its name in the group.
fn is_replaced(e: &Error) -> bool {
    matches!(e, Error::Log(LogError::MemberFenced))
}

/// Short epochs, of a length that the seed decides.
fn settings(random: &mut Random, instance: u32, in_group: bool) -> Settings {
    let assignment = if in_group { Sharing::Group(GroupProtocol::Classic) } else { Sharing::Static };
    Settings {
        instance: instance.to_string(),
        assignment,
        commit_interval: Duration::from_millis(5 + random.below(60)),
        checkpoint_interval: Some(Duration::from_millis(20 + random.below(200))),
        load_entries_max: [0, 5, 4_096][random.below(3) as usize],
        take_max: [1, 7, 50, 256][random.below(4) as usize],
        commit_records_max: 1 + random.below(500),
        poison_percent_max: 100,
        ..Settings::default()
    }
}
