//! One sub-topology on one partition: merge → ticks → nodes → outbox, record by record.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::digest::{Chain, StateDigest};
use crate::error::Error;
use crate::log::{Log, TopicName, Tp, topic};
use crate::record::{Batch, InRecord, Offset, Record};
use crate::runtime::below::Below;
use crate::runtime::decision::{Decision, Joint, Position, Program};
use crate::runtime::graph::{FailureKind, Graph, NodeFailure, Reach, Target, store_slots, unpanicked};
use crate::runtime::inputs::{self, Quiet};
use crate::runtime::merge::{Merge, Pick, SharedInput};
use crate::runtime::outbox::{Cause, Outbox};
use crate::runtime::poison::{self, Rate};
use crate::runtime::rebalance::is_exact;
use crate::runtime::state::TaskState;
use crate::runtime::tick::Ticks;
use crate::settings::Settings;
use crate::store::base::Base;
use crate::store::checkpoint::Checkpoint;
use crate::store::sums::Sums;
use crate::store::{Failure, Since, Stores};
use crate::time::{Mono, Ts};
use crate::topology::processor::{Poison, TaskId};
use crate::topology::{NodeId, Topology};
use crate::wire::Writer;

/// What a task is made of.
pub(crate) struct Blueprint<'a, M> {
    pub(crate) topology: &'a Arc<Topology<M>>,
    pub(crate) id: TaskId,
    /// The log keeps state beside its records.
    pub(crate) local: bool,
    pub(crate) settings: &'a Settings,
    pub(crate) log: &'a dyn Log,
}

/// What a task has done since it was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) records: u64,
    pub(crate) beacons: u64,
    pub(crate) poisoned: u64,
}

/// A task. Its outputs wait in `outbox` until the thread sends them.
pub(crate) struct Task<M> {
    pub(crate) id: TaskId,
    pub(crate) state: TaskState,
    pub(crate) merge: Merge,
    pub(crate) stores: Stores,
    pub(crate) sums: Sums,
    /// What stores with many entries read from, after a restart.
    pub(crate) base: Option<Base>,
    pub(crate) outbox: Outbox,
    pub(crate) tally: Tally,
    /// Why it takes nothing any more, once what it has done is committed.
    pub(crate) halted: Option<Error>,
    /// Last committed epoch.
    pub(crate) epoch: u64,
    /// The decision of the last epoch lies here, or after it: none of a later epoch before it.
    pub(crate) decision_at: Offset,
    /// Next offset of each changelog, by store.
    pub(crate) changelog_next: BTreeMap<String, Offset>,
    /// State and positions move together; else a checkpoint may be ahead, and a changelog count twice.
    pub(crate) exact: bool,
    graph: Graph<M>,
    ticks: Ticks,
    time: Option<Ts>,
    n: u64,
    /// Where the open epoch began.
    from: Vec<Offset>,
    /// Where each channel goes over to another log.
    joints: Vec<Option<Offset>>,
    /// Source node of each channel.
    sources: Vec<NodeId>,
    quiet: Quiet,
    below: Below,
    /// Tasks that write what it reads.
    pub(crate) upstream: Vec<TaskId>,
    topology: Arc<Topology<M>>,
    fingerprint: Chain,
    rate: Rate,
    dead_letters: usize,
    decisions: usize,
    changelogs: Vec<usize>,
    catch_up_max: u64,
    poison_percent_max: u64,
}

impl<M: Clone + 'static> Task<M> {
    /// A task that has processed nothing; its nodes are not initialised.
    pub(crate) fn new(plan: &Blueprint<'_, M>) -> Result<Task<M>, Error> {
        let (topology, partition) = (plan.topology, plan.id.partition);
        let sub = &topology.subs[plan.id.sub as usize];
        let mut outbox = Outbox::default();
        let mut sinks = BTreeMap::new();
        for id in &sub.nodes {
            let Some(sink) = topology.node(*id).sink() else { continue };
            let partitions = plan.log.partitions(&sink.topic)?;
            let mut all = (0..partitions).map(|p| outbox.target(Tp::new(&sink.topic, p)));
            let first = all.next().unwrap_or(0);
            all.for_each(drop);
            sinks.insert(id.0, Target { first, partitions });
        }
        let own = |name: TopicName| Tp::new(&name, partition);
        let app = topology.name();
        let stores = store_slots(topology, sub, plan.local);
        let changelogs =
            stores.0.iter().map(|slot| outbox.target(own(topic::changelog(app, &slot.name)))).collect();
        let (mut merge, sources) = inputs::merge(topology, sub, partition, plan.log)?;
        merge.reorder_bytes_max = plan.settings.reorder_bytes_max;
        let below = Below::new(topology, sub, &sinks, &mut outbox, partition);
        let shared: Vec<Tp> = merge.fetched().into_iter().map(|(tp, _)| tp).collect();
        let joint = |tp: &Tp| plan.log.joint(tp).filter(|_| !shared.contains(tp));
        let joints = merge.channels().iter().map(|channel| joint(&channel.tp)).collect();
        Ok(Task {
            id: plan.id,
            state: TaskState::Created,
            quiet: Quiet::new(topology, &sources),
            upstream: inputs::upstream(topology, sub, plan.log)?,
            below,
            merge,
            joints,
            sums: Sums::default(),
            base: None,
            dead_letters: outbox.target(own(topic::dead_letter(app))),
            decisions: outbox.target(own(topic::decisions(app))),
            changelogs,
            outbox,
            tally: Tally::default(),
            halted: None,
            epoch: 0,
            decision_at: Offset(0),
            changelog_next: BTreeMap::new(),
            exact: is_exact(plan.log, plan.settings),
            graph: Graph::new(topology, sub, plan.id, sinks),
            stores,
            ticks: Ticks::default(),
            time: None,
            n: 0,
            from: vec![Offset(0); sources.len()],
            sources,
            topology: Arc::clone(topology),
            fingerprint: fingerprint(topology, plan.id.sub),
            rate: Rate::default(),
            catch_up_max: plan.settings.catch_up_max,
            poison_percent_max: plan.settings.poison_percent_max,
        })
    }

    /// Lets the nodes prepare. Once, when state and position are those to go on from.
    pub(crate) fn init(&mut self) -> Result<(), Error> {
        let (ticks, time) = (&mut self.ticks, self.time);
        let reach =
            Reach { stores: &mut self.stores, outbox: &mut self.outbox, time: time.unwrap_or(Ts::MIN) };
        let registered = self.graph.init(reach, |node, schedules| {
            for (number, schedule) in schedules.into_iter().enumerate() {
                ticks.register(node as u32, number as u32, schedule, time);
            }
        });
        registered.map_err(|failure| self.failed(failure))?;
        self.stores.begin();
        self.outbox.settle();
        self.check_base()
    }

    /// Has everything been read that the nodes asked their stores for?
    pub(crate) fn check_base(&self) -> Result<(), Error> {
        self.base.as_ref().map_or(Ok(()), Base::check)
    }

    /// A checkpoint of this epoch was written.
    pub(crate) fn checkpointed(&mut self, epoch: u64) {
        self.stores.settled(Since::Checkpoint);
        self.sums.settled();
        if let Some(base) = &self.base {
            base.moved_to(epoch);
        }
    }

    /// The head of a checkpoint at the end of an epoch, which is where the task stands.
    pub(crate) fn checkpoint(&self, epoch: u64) -> Checkpoint {
        let mut position = Writer::default();
        self.position().encode(&mut position);
        Checkpoint {
            epoch,
            topology: self.fingerprint,
            decisions: self.decision_at,
            digest: self.sums.total(),
            changelogs: self.changelog_next.iter().map(|(store, next)| (store.clone(), *next)).collect(),
            position: position.0,
        }
    }

    /// Lets the nodes end.
    pub(crate) fn close(&mut self) -> Result<(), Error> {
        let time = self.time.unwrap_or(Ts::MIN);
        let reach = Reach { stores: &mut self.stores, outbox: &mut self.outbox, time };
        self.graph.close(reach).map_err(|failure| self.failed(failure))
    }

    /// Processes up to `max` records and beacons of those fetched; tells why it stopped.
    pub(crate) fn run(&mut self, max: usize) -> Result<Pick, Error> {
        for _ in 0..max {
            let pick = self.merge.pick();
            match pick {
                Pick::Record(channel) | Pick::Beacon(channel) => {
                    self.take_head(channel, pick)?;
                    self.check_base()?;
                }
                Pick::Wait(_) | Pick::End => return Ok(pick),
            }
            if self.halted.is_some() {
                return Ok(Pick::End);
            }
        }
        Ok(self.merge.pick())
    }

    fn take_head(&mut self, channel: usize, pick: Pick) -> Result<(), Error> {
        let Some(key) = self.merge.head_key(channel) else { return Ok(()) };
        let offset = self.merge.channel(channel).record().map_or(key.pos, |record| record.offset);
        self.outbox.begin(Cause { topic_rank: key.topic_rank, partition: key.partition, offset });
        self.below.said_bye = false;
        self.quiet.heard(channel);
        if self.time.is_none_or(|time| key.ts > time) {
            self.lift(key.ts)?;
        }
        match pick {
            Pick::Beacon(_) => self.tally.beacons += 1,
            Pick::Record(_) | Pick::Wait(_) | Pick::End => self.process(channel)?,
        }
        self.merge.advance(channel);
        self.n += 1;
        if matches!(pick, Pick::Beacon(_)) && self.merge.all_left() {
            self.say_bye();
        }
        Ok(())
    }

    /// Tells those below that nothing follows: every input has left, or a finite one is at its end.
    pub(crate) fn say_bye(&mut self) {
        if !self.below.is_empty() && !self.below.said_bye {
            self.below.say_bye(&mut self.outbox, self.time);
            self.outbox.settle();
        }
    }

    /// Says bye where the run that is followed had said it at the end of the epoch.
    pub(crate) fn follow_bye(&mut self, position: &Position) {
        if position.bye {
            self.say_bye();
        }
    }

    /// An empty channel is waited for: goes on without it if its source allows that, or if so much of its
    /// partition waits already that no more can be fetched. `true`: the merge goes on.
    pub(crate) fn pass_over(&mut self, channel: usize, now: Mono) -> bool {
        if self.merge.is_full(channel) {
            *self.graph.counts.entry("order_forced_total").or_default() += 1;
            return self.merge.skip(channel);
        }
        let state = self.merge.channel(channel);
        let passes = self.quiet.is_over(channel, state.caught_up && state.is_empty(), now);
        let passed = passes && self.merge.skip(channel);
        if passed {
            *self.graph.counts.entry("idle_skipped_total").or_default() += 1;
        }
        passed
    }

    /// Stream time rises: everything due until then fires first, then time is there.
    fn lift(&mut self, to: Ts) -> Result<(), Error> {
        if let Some(from) = self.time {
            self.fire(from, to).map_err(|failure| self.failed(failure))?;
        }
        self.below.lift(&mut self.outbox, self.time, to);
        self.time = Some(to);
        self.ticks.begin(to);
        self.outbox.settle();
        Ok(())
    }

    /// Fires what is due after `from` and until `to`: windows before ticks of the same instant.
    fn fire(&mut self, from: Ts, to: Ts) -> Result<(), NodeFailure> {
        let mut time = from;
        loop {
            let Task { graph, stores, outbox, .. } = self;
            let due = graph.first_due(to, Reach { stores, outbox, time })?;
            let tick = self.ticks.next_until(to, self.catch_up_max);
            let Task { graph, stores, outbox, .. } = self;
            match (due, tick) {
                (Some(due), tick) if tick.is_none_or(|fired| due.0 <= fired.tick.time) => {
                    time = due.0;
                    graph.settle(due, Reach { stores, outbox, time })?;
                }
                (_, Some(fired)) => {
                    time = fired.tick.time;
                    let reach = Reach { stores, outbox, time };
                    let next = graph.punctuate(fired.node as usize, fired.tick, reach)?;
                    self.ticks.fired(&fired, next);
                }
                (_, None) => return Ok(()),
            }
        }
    }

    fn process(&mut self, channel: usize) -> Result<(), Error> {
        self.tally.records += 1;
        self.rate.record();
        self.stores.begin();
        let k = self.outbox.k();
        let source = self.sources[channel];
        let decoded = self
            .merge
            .channel(channel)
            .record()
            .map_or_else(|| Err("no record".to_owned()), |record| decode(&self.topology, source, &record));
        let time = self.time.unwrap_or(Ts::MIN);
        let outcome = match decoded {
            Ok(record) => {
                let reach = Reach { stores: &mut self.stores, outbox: &mut self.outbox, time };
                self.graph.process(source, record, reach)
            }
            Err(reason) => Err(NodeFailure {
                node: self.topology.node(source).name.clone(),
                kind: FailureKind::Poison(Failure::Refused),
                reason,
            }),
        };
        match outcome {
            Ok(()) => self.outbox.settle(),
            Err(NodeFailure { node, kind: FailureKind::Poison(failure), reason }) => {
                self.stores.undo(failure);
                self.outbox.undo(k);
                self.refuse(channel, &Poison { node, reason })?;
            }
            Err(failure) => return Err(self.failed(failure)),
        }
        Ok(())
    }

    /// The head of a channel becomes a dead letter and the nodes are told.
    fn refuse(&mut self, channel: usize, why: &Poison) -> Result<(), Error> {
        self.tally.poisoned += 1;
        let channel_ref = self.merge.channel(channel);
        let Some(record) = channel_ref.record() else { return Ok(()) };
        let letter = (&channel_ref.tp, &record);
        poison::dead_letter(&mut self.outbox, self.dead_letters, letter, why, self.epoch + 1);
        self.stores.begin();
        let time = self.time.unwrap_or(Ts::MIN);
        let reach = Reach { stores: &mut self.stores, outbox: &mut self.outbox, time };
        let told = self.graph.poisoned(self.sources[channel], record.key, why, reach);
        told.map_err(|failure| self.failed(failure))?;
        self.outbox.settle();
        if self.rate.refuse(self.poison_percent_max) && !self.outbox.muted {
            self.halted = Some(Error::PoisonRate {
                task: self.id.to_string(),
                poisoned: self.rate.refused,
                of: self.rate.seen,
                node: why.node.clone(),
                reason: why.reason.clone(),
                dead_letters: topic::dead_letter(self.topology.name()).to_string(),
            });
        }
        Ok(())
    }

    fn failed(&self, failure: NodeFailure) -> Error {
        Error::Node { task: self.id.to_string(), node: failure.node, reason: failure.reason }
    }

    /// Fills an empty channel.
    pub(crate) fn refill(
        &mut self,
        channel: usize,
        fetch: impl FnOnce(&Tp, &mut Batch) -> Result<bool, Error>,
    ) -> Result<usize, Error> {
        let refilled = self.merge.refill(channel, |tp, batch| fetch(tp, batch).map_err(Refill::Fetch));
        refilled.map_err(|e| match e {
            Refill::Fetch(e) => e,
            Refill::Shared(SharedInput(what)) => Error::SharedInput { task: self.id.to_string(), what },
        })
    }

    /// Its input partitions, each once.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &Tp> {
        self.merge.channels().iter().filter(|channel| channel.origin == 0).map(|channel| &channel.tp)
    }

    /// The inputs from which what has been read for good may be deleted, and where it stands in them.
    pub(crate) fn purged_inputs(&self) -> Vec<(Tp, Offset)> {
        let sources = || self.sources.iter().filter_map(|id| self.topology.node(*id).source());
        let purged = |tp: &Tp| sources().any(|source| source.purged && source.topic == tp.topic);
        self.position().offsets().into_iter().filter(|(tp, _)| purged(tp)).collect()
    }

    /// Has it processed anything since its last epoch?
    pub(crate) fn has_progress(&self) -> bool {
        let mut channels = self.merge.channels().iter().zip(&self.from);
        self.below.has_news() || channels.any(|(channel, from)| channel.progress().next != *from)
    }

    /// Shape, stores and application: a checkpoint of another fingerprint is not one of this task.
    pub(crate) fn fingerprint(&self) -> Chain {
        self.fingerprint
    }

    /// What it is made of: a decision of another program may say something else about the same input.
    pub(crate) fn program(&self) -> Program {
        Program { topology: self.fingerprint, config: self.topology.config }
    }

    /// Where it stands.
    pub(crate) fn position(&self) -> Position {
        let channels = self.merge.channels().iter();
        Position {
            n: self.n,
            time: self.time,
            last: self.merge.last(),
            channels: channels.map(|channel| (channel.tp.clone(), channel.progress().clone())).collect(),
            ticks: self.ticks.schedules().to_vec(),
            outputs: self.outbox.outputs(),
            fetched: self.merge.fetched(),
            bye: self.below.said_bye,
        }
    }

    /// Goes on from a position; the stores are loaded separately.
    pub(crate) fn set_position(&mut self, position: &Position) -> Result<(), String> {
        let known = self.merge.channels().iter().map(|channel| &channel.tp);
        if position.channels.iter().map(|(tp, _)| tp).ne(known) {
            return Err("it reads other inputs".to_owned());
        }
        for (i, (_, progress)) in position.channels.iter().enumerate() {
            self.merge.set_progress(i, progress.clone());
            self.from[i] = progress.next;
        }
        for (tp, offset) in &position.fetched {
            self.merge.move_to(tp, *offset);
        }
        self.below.restore(position.bye);
        self.merge.set_last(position.last);
        (self.n, self.time) = (position.n, position.time);
        self.ticks = Ticks::restored(position.ticks.to_vec());
        self.outbox
            .restore(&position.outputs)
            .map_err(|tp| format!("it wrote to {tp}, this topology does not"))
    }

    /// Starts an input of a task without history at the oldest record kept.
    pub(crate) fn start_at(&mut self, tp: &Tp, first: Offset) {
        self.merge.move_to(tp, first);
        self.from = self.merge.channels().iter().map(|channel| channel.progress().next).collect();
    }

    /// The record of the epoch that ends here.
    pub(crate) fn decide(&mut self, state: Option<StateDigest>) -> Decision {
        Decision {
            epoch: self.epoch + 1,
            from: self.from.clone(),
            position: self.position(),
            virtual_beacons: self.merge.take_lifted(),
            state,
            program: Some(self.program()),
            joints: self.crossed(),
        }
    }

    /// The joints between where the epoch began and where it stands.
    fn crossed(&self) -> Vec<Joint> {
        let channels = self.joints.iter().zip(&self.from).zip(self.merge.channels()).enumerate();
        let crossed = channels.filter_map(|(i, ((joint, from), channel))| {
            let joint = joint.filter(|joint| from < joint && *joint <= channel.progress().next)?;
            Some(Joint { channel: i as u16, last: Offset(joint.0 - 1) })
        });
        crossed.collect()
    }

    /// Puts changed keys into the outbox for their changelogs.
    pub(crate) fn send_changelogs(&mut self) {
        let ts = self.time.unwrap_or(Ts(0));
        let Task { stores, outbox, changelogs, .. } = self;
        for (slot, to) in stores.0.iter().zip(changelogs.iter()).filter(|(slot, _)| slot.changelog) {
            slot.store.changed(Since::Epoch, &mut |key, value| outbox.push_own(*to, key, value, ts));
        }
    }

    /// Puts the record of the epoch into the outbox.
    pub(crate) fn send_decision(&mut self, decision: &Decision) {
        let ts = self.time.unwrap_or(Ts(0));
        let key = self.id.to_string();
        self.outbox.push_own(self.decisions, key.as_bytes(), Some(&decision.encode()), ts);
    }

    /// The open epoch is committed: what follows belongs to the next.
    pub(crate) fn epoch_ended(&mut self) {
        self.epoch += 1;
        self.below.committed();
        self.from = self.merge.channels().iter().map(|channel| channel.progress().next).collect();
        self.stores.settled(Since::Epoch);
    }

    /// Counts of the nodes since this was last asked.
    pub(crate) fn take_counts(&mut self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut self.graph.counts)
    }

    /// Records and beacons processed since the first epoch.
    pub(crate) fn n(&self) -> u64 {
        self.n
    }

    /// Stream time.
    pub(crate) fn time(&self) -> Option<Ts> {
        self.time
    }
}

/// Why a channel was not filled.
enum Refill {
    Fetch(Error),
    Shared(SharedInput),
}

impl From<SharedInput> for Refill {
    fn from(e: SharedInput) -> Refill {
        Refill::Shared(e)
    }
}

/// The record that the nodes see.
fn decode<M>(
    topology: &Topology<M>,
    source: NodeId,
    record: &InRecord<'_>,
) -> Result<Record<Option<M>>, String> {
    let Some(source) = topology.node(source).source() else { return Err("not a source".to_owned()) };
    let Some(key) = record.key else { return Err("record without key".to_owned()) };
    if crate::beacon::is_reserved(key) {
        return Err("reserved key that is no beacon".to_owned());
    }
    let decode = |value| unpanicked(|| source.codec.decode(value).map_err(|e| e.to_string()));
    let value = record.value.map(decode);
    Ok(Record { key: key.into(), value: value.transpose()?, ts: record.ts, seq: record.seq })
}

/// Digest of all that a checkpoint or a decision of this sub-topology depends on.
fn fingerprint<M>(topology: &Topology<M>, sub: u32) -> Chain {
    let mut chain = Chain::default();
    chain.push(Some(topology.name().as_bytes()), Some(topology.describe_sub(sub as usize).as_bytes()), Ts(0));
    chain
}
