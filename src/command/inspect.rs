//! `lobstream inspect`: what an application holds, and why something is not there.

use std::sync::Arc;
use std::time::Duration;

use lobstream_streams::lmdb::{Durability, Env, EnvOptions};
use lobstream_streams::log::{Log, TopicName, topic};
use lobstream_streams::settings::Settings;
use lobstream_streams::store::TaskId;
use lobstream_streams::store::checkpoint::Checkpoints;
use lobstream_streams::store::view::{Opened, Seen, View, ViewError};
use lobstream_streams::time::Ts;
use lobstream_streams::why::{Question, why};

use super::say;
use super::verify::open;
use crate::cli;
use crate::clock::Clock;
use crate::codec::topic_name;
use crate::config::flags;
use crate::error::Error;
use crate::pipeline::factors::topology;

/// What a row describes.
const ROW: Duration = Duration::from_secs(1);
/// Bytes of a value that are shown of each row of a page.
const SHOWN_MAX: usize = 32;

pub(super) fn execute(args: &cli::Inspect) -> Result<(), Error> {
    match args {
        cli::Inspect::Why(args) => explain(args),
        cli::Inspect::Store(args) => store(args),
    }
}

/// A row is due when its second is over and the disorder that is allowed has passed.
fn explain(args: &cli::InspectWhy) -> Result<(), Error> {
    let start = flags::instant("--window", &args.window)?;
    let end = Ts(start.0.saturating_add(ROW.as_nanos() as i64));
    if start.0.rem_euclid(ROW.as_nanos() as i64) != 0 {
        return Err(Error::usage(format!("--window {}: rows begin at whole seconds", args.window)));
    }
    let (log, pipeline, _) = open(&args.of)?;
    let topic = TopicName::new(&args.topic);
    for &venue in &pipeline.venues {
        let topology = topology(&pipeline, venue)?;
        if topology.sink_topics().contains(&topic) {
            let question = Question {
                topic,
                key: args.key.clone().into_bytes(),
                start,
                end,
                grace: pipeline.disorder,
                now: Some(Ts(Clock::start().wall_ns())),
                states: None,
            };
            say(why(&topology, &*log, &question)?);
            return Ok(());
        }
    }
    let what =
        format!("--topic {topic}: no application here writes it; write factors.VENUE or signals.VENUE");
    Err(Error::usage(what))
}

fn store(args: &cli::InspectStore) -> Result<(), Error> {
    let (log, pipeline, settings) = open(&args.of)?;
    let mut found = 0;
    for &venue in &pipeline.venues {
        let app = topology(&pipeline, venue)?.name().to_owned();
        let n = log.partitions(&topic_name(&pipeline.topic_prefix, "market", venue))?;
        let view = View::new(Arc::new(Clock::start()));
        let wanted = |p: &u32| args.key.as_ref().is_none_or(|key| topic::partition(key.as_bytes(), n) == *p);
        for partition in (0..n).filter(wanted) {
            let task = TaskId { sub: 0, partition };
            let Some(_opened) = open_task(&*log, &settings, &app, &view, task)? else { continue };
            found += match &args.key {
                Some(key) => one(&view, task, &args.store, key)?,
                None => all(&view, task, &args.store)?,
            };
        }
    }
    if found == 0 {
        let what = match &args.key {
            Some(key) => format!("no checkpoint holds key {key} in store {}", args.store),
            None => format!(
                "no checkpoint holds anything in store {}: the stores are books and gates",
                args.store
            ),
        };
        return Err(Error::Missing { what });
    }
    Ok(())
}

/// `None`: the task has no checkpoint here.
fn open_task(
    log: &dyn Log,
    settings: &Settings,
    app: &str,
    view: &View,
    task: TaskId,
) -> Result<Option<Opened>, Error> {
    let env = match log.state() {
        Some(env) => env,
        None => {
            let dir = settings.state_dir.join(app).join(task.to_string());
            if !Env::exists(&dir) {
                return Ok(None);
            }
            Env::open(&dir, &EnvOptions { durability: Durability::Meta, ..EnvOptions::default() })?
        }
    };
    Ok(Some(view.open(task, Checkpoints::new(env, app))))
}

fn one(view: &View, task: TaskId, store: &str, key: &str) -> Result<usize, Error> {
    match view.get(task, store, key.as_bytes()) {
        Ok(Seen { value: Some(value), epoch, stream_time }) => {
            say(as_of(task, epoch, stream_time.map(|ts| ts.0)));
            say(format!("{key} {} bytes {}", value.len(), hex(&value)));
            Ok(1)
        }
        Ok(Seen { value: None, .. }) | Err(ViewError::NoCheckpoint { .. }) => Ok(0),
        Err(e) => Err(Error::Missing { what: e.to_string() }),
    }
}

/// All rows, page by page; from the beginning again if a checkpoint comes between two of them.
fn all(view: &View, task: TaskId, store: &str) -> Result<usize, Error> {
    let (mut token, mut rows) = (None, Vec::new());
    loop {
        match view.page(task, store, token.as_ref(), usize::MAX) {
            Ok(Seen { epoch, stream_time, value: page }) => {
                rows.extend(page.rows);
                token = page.next;
                if token.is_none() {
                    if !rows.is_empty() {
                        say(as_of(task, epoch, stream_time.map(|ts| ts.0)));
                    }
                    for (key, value) in &rows {
                        let shown = &value[..value.len().min(SHOWN_MAX)];
                        let more = if shown.len() < value.len() { "…" } else { "" };
                        say(format!("{} {} bytes {}{more}", key.escape_ascii(), value.len(), hex(shown)));
                    }
                    return Ok(rows.len());
                }
            }
            Err(ViewError::EpochMoved { .. }) => (token, rows) = (None, Vec::new()),
            Err(ViewError::NoCheckpoint { .. }) => return Ok(0),
            Err(e) => return Err(Error::Missing { what: e.to_string() }),
        }
    }
}

fn as_of(task: TaskId, epoch: u64, stream_time: Option<i64>) -> String {
    let time = stream_time.map_or("before any record".to_owned(), |ts| format!("stream time {ts} ns"));
    format!("task {task} as of epoch {epoch}, {time}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
