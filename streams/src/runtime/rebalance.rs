//! Partitions come and go: which tasks that makes, and from where each goes on.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, StoreError};
use crate::lmdb::{Durability, Env, EnvOptions};
use crate::log::{Answer, Commit, Consumer, Log, Tp};
use crate::record::Offset;
use crate::runtime::state::TaskState;
use crate::runtime::task::Task;
use crate::runtime::txn::{Note, Patience, Txn};
use crate::settings::Settings;
use crate::store::checkpoint::{CheckpointStore, Checkpoints};
use crate::topology::Topology;
use crate::topology::processor::TaskId;

/// The tasks whose inputs are all among these partitions.
pub(crate) fn tasks_of<M>(topology: &Topology<M>, partitions: &[Tp]) -> Vec<TaskId> {
    let numbers: BTreeSet<u32> = partitions.iter().map(|tp| tp.partition).collect();
    let mut tasks = Vec::new();
    for (sub, nodes) in (0..).zip(topology.subs.iter().map(|sub| &sub.nodes)) {
        for partition in numbers.iter().copied() {
            let mut topics = nodes.iter().filter_map(|id| Some(&topology.node(*id).source()?.topic));
            if topics.all(|topic| partitions.contains(&Tp::new(topic, partition))) {
                tasks.push(TaskId { sub, partition });
            }
        }
    }
    tasks
}

/// What the group has committed for these partitions. An earlier run with more threads, or with other
/// instance names, may have left a producer behind that is still alive: each one named by a note that is
/// not `ours` is taken over, so that it changes nothing any more, and the notes are read again.
pub(crate) fn committed(
    log: &dyn Log,
    consumer: &mut dyn Consumer,
    patience: &Patience,
    ours: &BTreeSet<String>,
    tps: &[Tp],
) -> Result<Vec<Option<Commit>>, Error> {
    let found = consumer.committed(tps)?;
    let notes = found.iter().flatten().filter_map(|commit| Note::parse(&commit.note));
    let strangers: BTreeSet<String> = notes.map(|note| note.writer).filter(|id| !ours.contains(id)).collect();
    if strangers.is_empty() {
        return Ok(found);
    }
    for id in &strangers {
        tracing::info!(id = id.as_str(), "Earlier producer taken over");
        drop(Txn::new(log, id, patience)?);
    }
    Ok(consumer.committed(tps)?)
}

/// Reads the inputs of a restored task from where it stands; anything fetched before is fetched again.
pub(crate) fn rewind<M: Clone + 'static>(task: &Task<M>, consumer: &mut dyn Consumer) -> Result<(), Error> {
    let channels = task.merge.channels().iter();
    let starts: Vec<(Tp, Offset)> =
        channels.map(|channel| (channel.tp.clone(), channel.progress().next)).collect();
    Ok(consumer.answer(Answer::Start(&starts))?)
}

/// Ends a task in order.
pub(crate) fn close<M: Clone + 'static>(
    task: &mut Task<M>,
    consumer: &mut dyn Consumer,
) -> Result<(), Error> {
    task.state.become_next(TaskState::Closing);
    let tps: Vec<Tp> = task.inputs().cloned().collect();
    consumer.answer(Answer::Stop(&tps))?;
    task.close()?;
    task.state.become_next(TaskState::Closed);
    Ok(())
}

/// Where the checkpoints of a task lie: beside the log, or in an environment of its own. `None` if it has no
/// store: all it must know is in its decisions.
pub(crate) fn checkpoints<M>(
    log: &dyn Log,
    open: &OpenStore,
    topology: &Topology<M>,
    settings: &Settings,
    id: TaskId,
) -> Result<Option<Checkpoints>, Error> {
    let app = topology.name();
    if let Some(env) = log.state() {
        return Ok(Some(Checkpoints::new(env, app)));
    }
    if topology.subs[id.sub as usize].stores.is_empty() {
        return Ok(None);
    }
    let dir = settings.state_dir.join(app).join(id.to_string());
    Ok(Some(Checkpoints::new(open(&dir)?, app)))
}

/// How a folder becomes a place for checkpoints.
pub(crate) type OpenStore = Arc<dyn Fn(&Path) -> Result<Arc<dyn CheckpointStore>, StoreError> + Send + Sync>;

/// The log can replace what the last commit had, so losing it to a power cut costs only time.
pub(crate) fn on_disk(dir: &Path) -> Result<Arc<dyn CheckpointStore>, StoreError> {
    let options = EnvOptions { durability: Durability::Meta, ..EnvOptions::default() };
    Ok(Env::open(dir, &options)?)
}

/// Transactional ids of a run: `<app>-<instance>-<thread>`.
pub(crate) fn transactional_ids(app: &str, settings: &Settings, n_threads: u32) -> Vec<String> {
    (0..n_threads).map(|thread| format!("{app}-{}-{thread}", settings.instance)).collect()
}
