//! One task, run again beside what it did live.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, LogError};
use crate::log::{Answer, Assignment, Consumer, ConsumerOptions, Log, Tp, topic};
use crate::record::{Batch, Header, Offset, OutRecord, header};
use crate::runtime::decision::{Decision, Position, Program};
use crate::runtime::merge::Pick;
use crate::runtime::outbox::Src;
use crate::runtime::task::{Blueprint, Task};
use crate::settings::Settings;
use crate::store::Since;
use crate::topology::Topology;
use crate::topology::processor::TaskId;
use crate::verify::outputs::{Balance, Found, Outputs, shift};
use crate::verify::past::Past;
use crate::verify::{Difference, Input, KeyDifference, Sample, Side, Verified, VerifyOptions, What, stores};

/// How long a reader waits for what has not been fetched yet.
pub(super) const PAUSE: Duration = Duration::from_millis(5);
/// Differences that `pure` names.
const COSTS_NAMED: usize = 10;

/// What all threads work with.
pub(super) struct Work<'a, M> {
    pub(super) topology: &'a Arc<Topology<M>>,
    pub(super) log: &'a dyn Log,
    pub(super) settings: &'a Settings,
    pub(super) options: &'a VerifyOptions,
    pub(super) halted: &'a (dyn Fn() -> bool + Sync),
}

/// Verifies one task.
pub(super) fn task<M: Clone + 'static>(work: &Work<'_, M>, id: TaskId) -> Result<Verified, Error> {
    let app = work.topology.name();
    if work.options.pure {
        let (beacons, last) = survey(&mut Past::open(work.log, app, id)?, work.options.to)?;
        if let Some(last) = last.filter(|_| beacons > 0) {
            return cost(work, id, beacons, &last);
        }
    }
    let mut report = Verified::default();
    let (mut again, mut past) = (Again::new(work, id)?, Past::open(work.log, app, id)?);
    loop {
        let block = past.block(work.options.to)?;
        let Some(first) = block.first() else { break };
        if report.tasks == 0 {
            again.begin(first)?;
            report.tasks = 1;
        }
        for (i, decision) in block.iter().enumerate() {
            again.enter(&block[i..]);
            if let Some(found) = again.epoch(decision, &mut report)? {
                let keys = again.keys(decision.epoch, &block[i..], &mut past);
                report.differences.push(found.explained(&again, decision.epoch, keys)?);
                return Ok(again.counted(report));
            }
        }
    }
    if let Some(found) = again.at_checkpoint(&mut report) {
        let (epoch, keys) = (again.task.epoch, found.1);
        report.differences.push(found.0.explained(&again, epoch, Ok(keys))?);
    } else if report.tasks > 0 && work.options.to.is_none() {
        let extra = again.outputs.left_over()?;
        let epoch = again.task.epoch;
        if let Some((tp, index, sample)) = extra {
            let what = What::Output { tp, index, log: Some(sample), again: None };
            report.differences.push(Finding { what, cause: None }.explained(
                &again,
                epoch,
                Ok(Vec::new()),
            )?);
        }
    }
    Ok(again.counted(report))
}

/// A difference whose surroundings are not known yet.
struct Finding {
    what: What,
    cause: Option<Cause>,
}

struct Cause {
    tp: Tp,
    offset: Offset,
    k: u32,
}

impl Finding {
    fn explained<M: Clone + 'static>(
        self,
        again: &Again<'_, M>,
        epoch: u64,
        keys: Result<Vec<KeyDifference>, String>,
    ) -> Result<Difference, Error> {
        let cause = self.cause.map(|cause| input(again.work.log, &cause)).transpose()?.flatten();
        let (task, time) = (again.task.id, again.task.time());
        Ok(Difference { task, epoch, time, what: self.what, cause, keys })
    }
}

/// A task that runs a second time.
struct Again<'a, M> {
    work: &'a Work<'a, M>,
    task: Task<M>,
    reader: Box<dyn Consumer>,
    outputs: Outputs,
    compared: u64,
    unread: u64,
    /// Inputs are open up to the end of this epoch.
    entered: u64,
}

impl<'a, M: Clone + 'static> Again<'a, M> {
    fn new(work: &'a Work<'a, M>, id: TaskId) -> Result<Again<'a, M>, Error> {
        let mut settings = work.settings.clone();
        // Poison stops a live task, not its proof.
        settings.poison_percent_max = 100;
        let (topology, log, local) = (work.topology, work.log, work.log.state().is_some());
        let task = Task::new(&Blueprint { topology, id, local, settings: &settings, log })?;
        let reader = log.consumer(&ConsumerOptions { group: None, assignment: Assignment::Manual })?;
        let mut outputs = Outputs::new(log, id)?;
        for (tp, alone) in written(work, id)? {
            outputs.follow(log, &tp, alone && !work.options.shared)?;
        }
        Ok(Again { work, task, reader, outputs, compared: 0, unread: 0, entered: 0 })
    }

    /// Starts the inputs where the first epoch began.
    fn begin(&mut self, first: &Decision) -> Result<(), Error> {
        self.same_program(first)?;
        let shared: Vec<Tp> = self.task.merge.fetched().into_iter().map(|(tp, _)| tp).collect();
        let channels = self.task.merge.channels().iter().zip(&first.from);
        let began: Vec<(Tp, Offset)> = channels.map(|(channel, from)| (channel.tp.clone(), *from)).collect();
        let mut starts = BTreeMap::new();
        for (tp, from) in began {
            let have = self.work.log.range(&tp)?.first;
            // Of a partition with several writers an epoch tells how far each of them was: all begin at 0.
            let from = if shared.contains(&tp) { Offset(0) } else { from };
            if have > from {
                return Err(
                    LogError::HistoryMissing { tp: tp.to_string(), need: from.0, have: have.0 }.into()
                );
            }
            self.task.start_at(&tp, from);
            starts.insert(tp, from);
        }
        let starts: Vec<(Tp, Offset)> = starts.into_iter().collect();
        self.reader.answer(Answer::Start(&starts))?;
        self.task.outbox.muted = self.work.options.from > 1;
        self.outputs.seek(self.work.options.from > 1);
        self.task.init()
    }

    /// Inputs go as far as the epochs do that lifted nothing: between two lifts the order is that of the
    /// records alone. An epoch that lifted channels is followed by itself, each lift where it was.
    fn enter(&mut self, block: &[Decision]) {
        let Some(first) = block.first() else { return };
        if self.task.epoch < self.entered {
            return;
        }
        let free = block.iter().take_while(|decision| decision.virtual_beacons.is_empty()).last();
        let last = free.unwrap_or(first);
        self.entered = last.epoch;
        for (i, (_, progress)) in last.position.channels.iter().enumerate() {
            self.task.merge.set_limit(i, Some(progress.next));
        }
        self.task.merge.follow(first.virtual_beacons.iter().copied());
    }

    /// Processes the inputs of one epoch and compares; `Some` at the first difference.
    fn epoch(&mut self, decision: &Decision, report: &mut Verified) -> Result<Option<Finding>, Error> {
        self.same_program(decision)?;
        report.decisions += decision.virtual_beacons.len() as u64;
        let compared = decision.epoch >= self.work.options.from;
        let mut found = self.run_to(decision)?;
        if found.is_none() {
            self.task.follow_bye(&decision.position);
            found = self.compare()?;
        }
        if found.is_some() && compared {
            return Ok(found);
        }
        let task = &mut self.task;
        task.epoch_ended();
        if compared {
            let differs = position(&task.position(), &decision.position);
            if let Some(what) = differs {
                return Ok(Some(Finding { what: What::Position(what), cause: None }));
            }
            report.epochs += 1;
        } else if decision.epoch + 1 == self.work.options.from {
            let known = task.outbox.restore(&decision.position.outputs);
            known.map_err(|tp| self.history(format!("it wrote to {tp}, this topology does not")))?;
            self.task.outbox.muted = false;
        }
        self.state(decision, compared, report)
    }

    fn state(
        &mut self,
        decision: &Decision,
        compared: bool,
        report: &mut Verified,
    ) -> Result<Option<Finding>, Error> {
        let Some(logged) = decision.state else { return Ok(None) };
        let again = self.task.sums.absorb(&self.task.stores);
        self.task.stores.settled(Since::Checkpoint);
        report.digests += u64::from(compared);
        let differs = compared && again != logged;
        Ok(differs.then_some(Finding { what: What::State { logged, again }, cause: None }))
    }

    /// State as of the last epoch, if the last checkpoint is of it: a run that ends writes one without an epoch
    /// of its own.
    fn at_checkpoint(&mut self, report: &mut Verified) -> Option<(Finding, Vec<KeyDifference>)> {
        let saved = stores::Saved::load(self.work, self.task.id).ok()?;
        if saved.epoch != self.task.epoch || self.task.epoch < self.work.options.from {
            return None;
        }
        let again = self.task.sums.absorb(&self.task.stores);
        report.digests += 1;
        let what = What::State { logged: saved.digest, again };
        (again != saved.digest).then(|| (Finding { what, cause: None }, saved.compare(&self.task)))
    }

    /// Runs until as many records were processed as the live task had at the end of this epoch.
    fn run_to(&mut self, decision: &Decision) -> Result<Option<Finding>, Error> {
        loop {
            let left = decision.position.n.saturating_sub(self.task.n());
            if left == 0 {
                return Ok(None);
            }
            let (pick, fetched) = match self.turn(left) {
                // A node that gives up now did not do so then.
                Err(e @ Error::Node { .. }) => {
                    return Ok(Some(Finding { what: What::Position(e.to_string()), cause: None }));
                }
                turn => turn?,
            };
            if let Some(found) = self.compare()? {
                return Ok(Some(found));
            }
            match pick {
                Pick::Record(_) | Pick::Beacon(_) => {}
                Pick::End if self.task.n() == decision.position.n => {}
                Pick::End => {
                    let (n, then) = (self.task.n(), decision.position.n);
                    let what = format!("the inputs up to here are {n} records and beacons, they were {then}");
                    return Ok(Some(Finding { what: What::Position(what), cause: None }));
                }
                Pick::Wait(i) => self.wait(i, fetched, decision.epoch)?,
            }
        }
    }

    fn turn(&mut self, left: u64) -> Result<(Pick, usize), Error> {
        if (self.work.halted)() {
            return Err(Error::Interrupted);
        }
        let (reader, batch) = (&mut self.reader, self.work.options.batch);
        let mut fetched = 0;
        for i in 0..self.task.merge.channels().len() {
            if self.task.merge.channel(i).is_hungry() {
                fetched += self.task.refill(i, |tp, into| Ok(reader.take(tp, batch, into)?.caught_up))?;
            }
        }
        Ok((self.task.run(batch.min(usize::try_from(left).unwrap_or(usize::MAX)))?, fetched))
    }

    fn wait(&mut self, channel: usize, fetched: usize, epoch: u64) -> Result<(), Error> {
        let channel = self.task.merge.channel(channel);
        if channel.caught_up && channel.is_empty() && channel.is_hungry() && fetched == 0 {
            return Err(self.history(format!("{} ends before epoch {epoch} does", channel.tp)));
        }
        if fetched == 0 {
            self.reader.serve(PAUSE)?;
        }
        Ok(())
    }

    /// Holds what was written now against the log.
    fn compare(&mut self) -> Result<Option<Finding>, Error> {
        let Again { task, outputs, compared, unread, .. } = self;
        let channels: Vec<(u16, Tp)> =
            task.merge.channels().iter().map(|channel| (channel.topic_rank(), channel.tp.clone())).collect();
        let outcome = task.outbox.flush(|record| match outputs.compare(&record) {
            Ok(Found::Same) => {
                *compared += 1;
                Ok(())
            }
            Ok(Found::Gone) => {
                *unread += 1;
                Ok(())
            }
            Ok(Found::Other(log)) => {
                let (tp, index) = (record.tp.clone(), outputs.count(record.tp).saturating_sub(1));
                let again = Some(Sample::of_output(&record));
                let cause = cause(&record, &channels);
                Err(Box::new(Ok(Finding { what: What::Output { tp, index, log, again }, cause })))
            }
            Err(e) => Err(Box::new(Err(e))),
        });
        match outcome {
            Ok(()) => Ok(None),
            Err(stopped) => stopped.map(Some),
        }
    }

    fn same_program(&self, decision: &Decision) -> Result<(), Error> {
        let Program { topology, config } = self.task.program();
        let Some(then) = &decision.program else { return Ok(()) };
        let what = match (then.topology == topology, then.config == config) {
            (true, true) => return Ok(()),
            (false, _) => "by another topology",
            (true, false) => "under another configuration (rules, version)",
        };
        let epoch = decision.epoch;
        Err(self
            .history(format!("epoch {epoch} was written {what}: verify with that one, or an earlier range")))
    }

    fn history(&self, what: String) -> Error {
        Error::History { task: self.task.id.to_string(), what }
    }

    /// The store keys that differ. Values are kept only at checkpoints, so the run goes on to the last one.
    fn keys(&mut self, epoch: u64, rest: &[Decision], past: &mut Past) -> Result<Vec<KeyDifference>, String> {
        let saved = stores::Saved::load(self.work, self.task.id)?;
        if saved.epoch < epoch {
            return Err(format!("the last checkpoint is of epoch {}", saved.epoch));
        }
        self.task.outbox.muted = true;
        let failed = |e: Error| e.to_string();
        let mut block = rest.to_vec();
        loop {
            for (i, decision) in block.iter().enumerate().filter(|(_, one)| one.epoch <= saved.epoch) {
                self.task.epoch = decision.epoch - 1;
                self.enter(&block[i..]);
                // Outputs are known to differ; what was written before is forgotten.
                let forgotten = self.task.outbox.flush(|_| Ok::<_, ()>(()));
                forgotten.map_err(|()| "outputs cannot be forgotten".to_owned())?;
                if let Some(found) = self.run_to(decision).map_err(failed)? {
                    return Err(match found.what {
                        What::Position(why) => why,
                        _ => "it went on differing".to_owned(),
                    });
                }
                self.task.follow_bye(&decision.position);
                self.task.epoch_ended();
                if decision.epoch == saved.epoch {
                    self.task.sums.absorb(&self.task.stores);
                    return Ok(saved.compare(&self.task));
                }
            }
            block = past.block(Some(saved.epoch)).map_err(failed)?;
            if block.is_empty() {
                return Err(format!("epoch {} of the checkpoint has no decision", saved.epoch));
            }
        }
    }

    fn counted(&self, report: Verified) -> Verified {
        Verified {
            records: self.task.n(),
            outputs: self.compared,
            unread: self.unread,
            strangers: self.outputs.strangers,
            ..report
        }
    }
}

/// Partitions that a task writes: of each, is it the only writer for its own partition number?
fn written<M>(work: &Work<'_, M>, id: TaskId) -> Result<Vec<(Tp, bool)>, Error> {
    let topology = work.topology;
    let writers = |name: &crate::log::TopicName| {
        let writes = |sub: &&crate::topology::SubTopology| {
            sub.nodes.iter().any(|node| topology.node(*node).sink().is_some_and(|sink| sink.topic == *name))
        };
        topology.subs.iter().filter(writes).count()
    };
    let mut all = Vec::new();
    for node in &topology.subs[id.sub as usize].nodes {
        let Some(sink) = topology.node(*node).sink() else { continue };
        for partition in 0..work.log.partitions(&sink.topic)? {
            all.push((Tp::new(&sink.topic, partition), writers(&sink.topic) == 1));
        }
    }
    let letters = topic::dead_letter(topology.name());
    all.push((Tp::new(&letters, id.partition), topology.subs.len() == 1));
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// Which input a record was made of.
fn cause(record: &OutRecord<'_>, channels: &[(u16, Tp)]) -> Option<Cause> {
    let value = |name| record.headers.iter().find(|h: &&Header<'_>| h.name == name).map(|h| h.value);
    if let Some(place) = value(header::DLQ_SRC) {
        let text = String::from_utf8_lossy(place).into_owned();
        let mut parts = text.rsplitn(3, '/');
        let (offset, _, topic) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
        let tp = channels.iter().find(|(_, tp)| tp.topic.as_str() == topic)?.1.clone();
        return Some(Cause { tp, offset: Offset(offset), k: 0 });
    }
    let src = Src::decode(value(header::SRC)?)?;
    let (_, tp) = channels.iter().find(|(rank, _)| *rank == src.cause.topic_rank)?;
    Some(Cause { tp: tp.clone(), offset: src.cause.offset, k: src.k })
}

fn input(log: &dyn Log, cause: &Cause) -> Result<Option<Input>, Error> {
    let mut reader = log.consumer(&ConsumerOptions { group: None, assignment: Assignment::Manual })?;
    reader.answer(Answer::Start(&[(cause.tp.clone(), cause.offset)]))?;
    let mut batch = Batch::default();
    loop {
        let taken = reader.take(&cause.tp, 1, &mut batch)?;
        let record = batch.get(0).filter(|record| record.offset == cause.offset);
        if let Some(record) = record {
            return Ok(Some(Input { tp: cause.tp.clone(), record: Sample::of(&record), k: cause.k }));
        }
        if taken.n > 0 || taken.caught_up {
            return Ok(None);
        }
        reader.serve(PAUSE)?;
    }
}

/// What of two positions is not the same.
fn position(again: &Position, live: &Position) -> Option<String> {
    let chain = || {
        let other = again.outputs.iter().zip(&live.outputs).find(|(again, live)| again != live);
        other.map_or_else(
            || "partitions were written to that were not, or the other way round".to_owned(),
            |(again, live)| {
                let (tp, n) = (&live.tp, live.count);
                format!("the chain of {n} outputs to {tp} is {}, it was {}", again.chain, live.chain)
            },
        )
    };
    if again.channels != live.channels || again.last != live.last {
        return Some("the inputs were taken in another order".to_owned());
    }
    if again.time != live.time {
        return Some(format!("stream time is {:?}, it was {:?}", again.time, live.time));
    }
    if again.outputs != live.outputs {
        return Some(chain());
    }
    (again.ticks != live.ticks).then(|| "the next ticks are others".to_owned())
}

/// How many lifts a task decided, and its last epoch.
fn survey(past: &mut Past, to: Option<u64>) -> Result<(u64, Option<Decision>), Error> {
    let (mut beacons, mut last) = (0, None);
    loop {
        let block = past.block(to)?;
        beacons += block.iter().map(|decision| decision.virtual_beacons.len() as u64).sum::<u64>();
        match block.into_iter().next_back() {
            Some(newest) => last = Some(newest),
            None => return Ok((beacons, last)),
        }
    }
}

/// Runs without the decisions and tells which outputs are others for it.
fn cost<M: Clone + 'static>(
    work: &Work<'_, M>,
    id: TaskId,
    beacons: u64,
    last: &Decision,
) -> Result<Verified, Error> {
    let mut again = Again::new(work, id)?;
    let mut past = Past::open(work.log, work.topology.name(), id)?;
    let first = past.block(Some(1))?;
    first.first().map_or(Ok(()), |first| again.begin(first))?;
    (again.task.outbox.muted, again.compared) = (false, 0);
    for (i, (_, progress)) in last.position.channels.iter().enumerate() {
        again.task.merge.set_limit(i, Some(progress.next));
    }
    let mut balance = Balance::new();
    loop {
        let (pick, fetched) = again.turn(u64::MAX)?;
        let count = |record: OutRecord<'_>| {
            shift(&mut balance, (record.tp.clone(), Sample::of_output(&record)), 1);
            Ok::<_, Error>(())
        };
        again.task.outbox.flush(count)?;
        for output in again.task.position().outputs {
            again.outputs.balance(&output.tp, output.count, &mut balance)?;
        }
        match pick {
            Pick::Record(_) | Pick::Beacon(_) => {}
            Pick::End => break,
            Pick::Wait(i) => again.wait(i, fetched, last.epoch)?,
        }
    }
    for output in &last.position.outputs {
        again.outputs.balance(&output.tp, output.count, &mut balance)?;
    }
    let mut others: Vec<(Tp, Sample, Side)> = balance
        .into_iter()
        .map(|((tp, sample), n)| (tp, sample, if n < 0 { Side::Log } else { Side::Again }))
        .collect();
    others.sort_by(|(_, a, _), (_, b, _)| a.cmp(b));
    let n = others.len() as u64;
    others.truncate(COSTS_NAMED);
    let epochs = last.epoch;
    let mut report = Verified { tasks: 1, epochs, decisions: beacons, ..Verified::default() };
    if n > 0 {
        let what = What::Cost { n, first: others };
        report.differences.push(Finding { what, cause: None }.explained(&again, epochs, Ok(Vec::new()))?);
    }
    again.compared = last.position.outputs.iter().map(|output| output.count).sum();
    Ok(again.counted(report))
}
