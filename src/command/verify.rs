//! `lobstream verify`: a live run's inputs again, without publishing; the first difference, to the record.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use lobstream_streams::error::{Error as EngineError, LogError};
use lobstream_streams::log::{Log, TopicName};
use lobstream_streams::settings::Settings;
use lobstream_streams::verify::{Show, Verified, VerifyOptions, verify};

use super::progress::spinner;
use super::run::{self, cores};
use super::{interrupted, say};
use crate::cli;
use crate::codec::{binary, topic_name};
use crate::error::Error;
use crate::pipeline::factors::{PipelineOptions, topology};

pub(super) fn execute(args: &cli::Verify) -> Result<(), Error> {
    let (log, pipeline, settings) = open(&args.of)?;
    let options = VerifyOptions {
        from: args.from,
        to: args.to,
        n_threads: args.threads.unwrap_or_else(cores),
        batch: args.batch as usize,
        pure: args.pure,
        shared: args.shared,
    };
    let stop = interrupted()?;
    let mut different = Vec::new();
    for &venue in &pipeline.venues {
        let line = spinner("verify");
        line.set_message(venue.to_string());
        let topology = topology(&pipeline, venue)?;
        let app = topology.name().to_owned();
        let found = verify(topology, &log, &settings, &options, &stop).map_err(|e| untold(&app, e, &stop));
        line.finish_and_clear();
        let found = found?;
        if found.tasks == 0 {
            let what =
                format!("{app} has committed nothing in this range: is the name of the application right?");
            return Err(Error::Unprovable { what });
        }
        show(&app, &found, &topic_name(&pipeline.topic_prefix, "market", venue));
        if !found.is_equal() {
            different.push(app);
        }
    }
    match different.is_empty() {
        true => Ok(()),
        false => {
            Err(Error::Different { what: format!("{} did not come to the same again", different.join(", ")) })
        }
    }
}

/// The log, the pipeline and the settings of a run that is looked at.
pub(super) fn open(of: &cli::AppFacts) -> Result<(Arc<dyn Log>, PipelineOptions, Settings), Error> {
    run::expect_log(of)?;
    let (log, pipeline) = run::open(of)?;
    let mut settings = Settings::default();
    settings.state_dir.clone_from(&of.state);
    Ok((log, pipeline, settings))
}

/// Market records are binary: their words are those of the event. Rows and signals are text as they are.
fn show(app: &str, found: &Verified, market: &TopicName) {
    let decode = |topic: &TopicName, value: &[u8]| {
        let event = (topic == market).then(|| binary::decode_event(value).ok()).flatten();
        event.map(|event| format!("{event:?}"))
    };
    say(format!("{app}: {}", Show { verified: found, decode: &decode }));
}

/// What is missing, or belongs to another program, makes a proof impossible; a broker that is down does not.
fn untold(app: &str, error: EngineError, stop: &AtomicBool) -> Error {
    if stop.load(std::sync::atomic::Ordering::Relaxed) {
        return Error::Interrupted;
    }
    match error {
        EngineError::History { .. }
        | EngineError::Log(
            LogError::HistoryMissing { .. } | LogError::UnknownTopic { .. } | LogError::Corrupt { .. },
        ) => Error::Unprovable { what: format!("{app} cannot be verified: {error}") },
        other => other.into(),
    }
}
