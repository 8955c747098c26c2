//! What every example needs: records in, an application run, records out.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use lobstream_streams::log::{
    Answer, Assignment, ConsumerOptions, Log, ProducerOptions, TopicName, TopicSpec, Tp,
};
use lobstream_streams::record::{Batch, Offset, OutRecord};
use lobstream_streams::runtime::metrics::Progress;
use lobstream_streams::runtime::{App, Clock, Until};
use lobstream_streams::settings::Settings;
use lobstream_streams::text::Text;
use lobstream_streams::time::{Mono, Ts};
use lobstream_streams::topology::Topology;

/// Makes a topic of one partition and fills it: (seconds, key, value). No text: no value.
pub(crate) fn write(
    log: &Arc<dyn Log>,
    topic: &str,
    records: &[(i64, &str, &str)],
) -> Result<(), Box<dyn Error>> {
    let name = TopicName::new(topic);
    log.ensure_topic(&TopicSpec { name: name.clone(), partitions: 1, retention: None, compact: false })?;
    let (tp, mut producer) = (Tp::new(&name, 0), log.producer(&ProducerOptions::default())?);
    for (seconds, key, value) in records {
        let value = Some(value.as_bytes()).filter(|value| !value.is_empty());
        let ts = Ts(seconds * 1_000_000_000);
        producer.send(OutRecord { tp: &tp, key: Some(key.as_bytes()), value, ts, seq: 0, headers: &[] })?;
    }
    producer.drain(Duration::from_secs(10))?;
    Ok(())
}

/// Prints a text.
pub(crate) fn show(text: &str) {
    // Whoever listens may have gone: no reason to fail.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// The engine has no clock: this one stands still, and commits come when the input ends.
struct Stopped;

impl Clock for Stopped {
    fn mono(&self) -> Mono {
        Mono::default()
    }
}

/// Runs a topology until its input is used up.
pub(crate) fn run(topology: Topology<Text>, log: &Arc<dyn Log>) -> Result<(), Box<dyn Error>> {
    let app = App::new(topology, Arc::clone(log), Settings::default(), Arc::new(Stopped));
    Ok(app.run(Until::End, &AtomicBool::new(false), &Progress::default())?)
}

/// Everything in a topic, as text: seconds, key, value.
pub(crate) fn read(log: &Arc<dyn Log>, topic: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let tp = Tp::new(&TopicName::new(topic), 0);
    let mut consumer = log.consumer(&ConsumerOptions { group: None, assignment: Assignment::Manual })?;
    consumer.answer(Answer::Start(&[(tp.clone(), Offset(0))]))?;
    let mut batch = Batch::default();
    while !consumer.take(&tp, 1_000, &mut batch)?.caught_up {}
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or(b"nothing")).into_owned();
    let rows = batch.iter().map(|record| {
        let (s, ms) = (record.ts.as_millis() / 1_000, record.ts.as_millis() % 1_000);
        format!("{s}.{ms:03} {} {}", text(record.key), text(record.value))
    });
    Ok(rows.collect())
}
