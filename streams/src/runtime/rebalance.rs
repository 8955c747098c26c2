//! Partitions come and go: which tasks that makes, and from where each goes on.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, StoreError};
use crate::lmdb::{Durability, Env, EnvOptions};
use crate::log::{Answer, Assignment, Commit, Consumer, Log, Membership, Tp};
use crate::record::Offset;
use crate::runtime::state::TaskState;
use crate::runtime::task::Task;
use crate::runtime::thread::Shared;
use crate::runtime::txn::{Note, Patience, Txn};
use crate::settings::{Guarantee, Settings, Sharing};
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

/// The input partitions of a task, in order of its channels.
pub(crate) fn inputs_of<M>(topology: &Topology<M>, id: TaskId) -> Vec<Tp> {
    let nodes = topology.subs[id.sub as usize].nodes.iter();
    let sources = nodes.filter_map(|node| topology.node(*node).source());
    sources.map(|source| Tp::new(&source.topic, id.partition)).collect()
}

/// How the partitions of this application are shared: a log that keeps its own state has no groups.
pub(crate) fn sharing(log: &dyn Log, settings: &Settings) -> Sharing {
    if log.state().is_some() { Sharing::Static } else { settings.assignment }
}

/// How stream thread `index` of `of` gets its partitions.
pub(crate) fn assignment(log: &dyn Log, app: &str, settings: &Settings, index: u32, of: u32) -> Assignment {
    match sharing(log, settings) {
        Sharing::Static => Assignment::Static { index, of },
        Sharing::Group(protocol) => Assignment::Group(Membership {
            protocol,
            name: format!("{app}-{}-{index}", settings.instance),
            session_timeout: settings.session_timeout,
        }),
    }
}

/// What the group has committed for these partitions. Members of a group are fenced by its generations. Without
/// one, an earlier run with more threads, or with other instance names, may have left a producer behind that
/// is still alive: each one named by a note that is not ours is taken over, so that it changes nothing any
/// more, and the notes are read again.
pub(crate) fn committed<M>(
    shared: &Shared<M>,
    consumer: &mut dyn Consumer,
    tps: &[Tp],
) -> Result<Vec<Option<Commit>>, Error> {
    let found = consumer.committed(tps)?;
    if sharing(&*shared.log, &shared.settings) != Sharing::Static {
        return Ok(found);
    }
    let notes = found.iter().flatten().filter_map(|commit| Note::parse(&commit.note));
    let stranger = |id: &String| !shared.ids.contains(id);
    let strangers: BTreeSet<String> = notes.map(|note| note.writer).filter(stranger).collect();
    if strangers.is_empty() {
        return Ok(found);
    }
    for id in &strangers {
        tracing::info!(id = id.as_str(), "Earlier producer taken over");
        drop(Txn::new(&*shared.log, id, &shared.patience)?);
    }
    Ok(consumer.committed(tps)?)
}

/// Reads the inputs of a restored task from where it stands; anything fetched before is fetched again.
pub(crate) fn rewind<M: Clone + 'static>(task: &Task<M>, consumer: &mut dyn Consumer) -> Result<(), Error> {
    let starts: Vec<(Tp, Offset)> = task.merge.inputs();
    Ok(consumer.answer(Answer::Start(&starts))?)
}

/// Ends a task in order. Its partitions are still to be given back.
pub(crate) fn close<M: Clone + 'static>(task: &mut Task<M>) -> Result<(), Error> {
    task.state.become_next(TaskState::Closing);
    task.close()?;
    task.state.become_next(TaskState::Closed);
    Ok(())
}

/// Where the checkpoints of a task lie: beside the log, or in an environment of its own. `None` if it has no
/// store: all it must know is in its decisions.
pub(crate) fn checkpoints<M>(shared: &Shared<M>, id: TaskId) -> Result<Option<Checkpoints>, Error> {
    let app = shared.topology.name();
    if let Some(env) = shared.log.state() {
        return Ok(Some(Checkpoints::new(env, app)));
    }
    if shared.topology.subs[id.sub as usize].stores.is_empty() {
        return Ok(None);
    }
    let dir = shared.settings.state_dir.join(app).join(id.to_string());
    Ok(Some(Checkpoints::new((shared.open_store)(&dir)?, app)))
}

/// How a folder becomes a place for checkpoints.
pub(crate) type OpenStore = Arc<dyn Fn(&Path) -> Result<Arc<dyn CheckpointStore>, StoreError> + Send + Sync>;

/// The log can replace what the last commit had, so losing it to a power cut costs only time.
pub(crate) fn on_disk(dir: &Path) -> Result<Arc<dyn CheckpointStore>, StoreError> {
    let options = EnvOptions { durability: Durability::Meta, ..EnvOptions::default() };
    Ok(Env::open(dir, &options)?)
}

/// Is what a crash leaves behind exact? A log that keeps its own state knows no other way.
pub(crate) fn is_exact(log: &dyn Log, settings: &Settings) -> bool {
    settings.guarantee == Guarantee::ExactlyOnce || log.state().is_some()
}

/// The producer of a stream thread.
pub(crate) fn producer(
    log: &dyn Log,
    settings: &Settings,
    id: &str,
    patience: &Patience,
) -> Result<Txn, Error> {
    match is_exact(log, settings) {
        true => Txn::new(log, id, patience),
        false => Txn::plain(log, id, patience),
    }
}

/// Transactional ids of a run: `<app>-<instance>-<thread>`.
pub(crate) fn transactional_ids(app: &str, settings: &Settings, n_threads: u32) -> Vec<String> {
    (0..n_threads).map(|thread| format!("{app}-{}-{thread}", settings.instance)).collect()
}
