//! One topology, driven record by record: pipe in, read out.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::disk::Disk;
use super::process::{Process, Site};
use super::sim::Written;
use crate::beacon::Beacon;
use crate::error::{Error, LogError};
use crate::log::memory::MemoryLog;
use crate::log::memory::random::Random;
use crate::log::{
    Answer, Assignment, ConsumerOptions, Log, ProducerOptions, TopicName, TopicSpec, Tp, topic,
};
use crate::record::{Batch, Codec, Key, Offset, OutRecord, Record};
use crate::runtime::thread::Turn;
use crate::settings::{Settings, Sharing};
use crate::time::Ts;
use crate::topology::Topology;

/// Turns in a row that find nothing to do before a driver believes that there is nothing.
const QUIET: u32 = 4;
/// Turns that one call may take.
const TURNS_MAX: u32 = 100_000;
/// Partitions of the inputs.
const PARTITIONS: u32 = 1;

/// Runs a topology on one thread, without a broker, a disk or a clock. Every call returns when all that it
/// leads to is done.
///
/// ```
/// # use std::sync::Arc;
/// # use lobstream_streams::record::{Codec, CodecError};
/// use lobstream_streams::record::Record;
/// use lobstream_streams::testing::TestDriver;
/// use lobstream_streams::time::Ts;
/// use lobstream_streams::topology::{Builder, Sink, Source};
/// # struct Text;
/// # impl Codec<String> for Text {
/// #     fn encode(&self, value: &String, into: &mut Vec<u8>) -> Result<(), CodecError> {
/// #         into.extend_from_slice(value.as_bytes());
/// #         Ok(())
/// #     }
/// #     fn decode(&self, bytes: &[u8]) -> Result<String, CodecError> {
/// #         String::from_utf8(bytes.to_vec()).map_err(|e| CodecError::new(e.to_string()))
/// #     }
/// # }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut t = Builder::new("copy");
/// let lines = t.source("lines", Source::topic("lines.in", Arc::new(Text)));
/// t.sink("copied", [lines], Sink::topic("lines.out", Arc::new(Text)));
///
/// let mut driver = TestDriver::new(t.build()?)?;
/// driver.pipe("lines.in", Record::new("key".into(), "text".to_owned(), Ts(1)))?;
/// assert_eq!(driver.read("lines.out")?, [Record::new("key".into(), "text".to_owned(), Ts(1))]);
/// assert!(driver.read("lines.out")?.is_empty(), "each record is read once");
/// # Ok(())
/// # }
/// ```
pub struct TestDriver<M> {
    site: Site<M>,
    process: Process<M>,
    positions: BTreeMap<Tp, Offset>,
}

impl<M> fmt::Debug for TestDriver<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestDriver of {}", self.site.topology.name())
    }
}

impl<M: Clone + Send + 'static> TestDriver<M> {
    /// Starts a topology; its inputs have one partition.
    ///
    /// # Errors
    /// That of the application.
    pub fn new(topology: Topology<M>) -> Result<TestDriver<M>, Error> {
        let log = MemoryLog::simulated(0);
        let written = topology.sink_topics();
        for name in topology.source_topics().into_iter().filter(|name| !written.contains(name)) {
            let spec = TopicSpec { name, partitions: PARTITIONS, retention: None, compact: false };
            log.ensure_topic(&spec)?;
        }
        let disk = Disk::new(Random::new(0));
        let site = Site { topology: Arc::new(topology), log, disk, sabotage: None };
        let settings = Settings {
            commit_interval: Duration::ZERO,
            checkpoint_interval: Some(Duration::ZERO),
            poison_percent_max: 100,
            assignment: Sharing::Static,
            ..Settings::default()
        };
        let process = Process::start(&site, &settings, 1, |_| ())?;
        let mut driver = TestDriver { site, process, positions: BTreeMap::new() };
        driver.settle()?;
        Ok(driver)
    }

    /// Writes a record to an input and processes what can be processed: with several inputs, records wait until
    /// every input has shown that nothing older follows; see [`TestDriver::advance`].
    ///
    /// # Errors
    /// Nothing reads that topic, its codec refuses the value, or the application stopped.
    pub fn pipe(&mut self, topic: &str, record: Record<M>) -> Result<(), Error> {
        let codec = self.codec_of_source(topic)?;
        let mut value = Vec::new();
        codec.encode(&record.value, &mut value).map_err(|e| refused(topic, &e.to_string()))?;
        self.pipe_bytes(topic, &record.key, Some(&value), record.ts, record.seq)
    }

    /// The same with bytes, such as a value that no codec would write or, with `None`, a tombstone. Any topic of the
    /// topology is taken, also one that it writes.
    ///
    /// # Errors
    /// There is no such topic, or the application stopped.
    pub fn pipe_bytes(
        &mut self,
        topic: &str,
        key: &[u8],
        value: Option<&[u8]>,
        ts: Ts,
        seq: u64,
    ) -> Result<(), Error> {
        let name = TopicName::new(topic);
        let tp = Tp::new(&name, topic::partition(key, self.site.log.partitions(&name)?));
        let mut producer = self.site.log.producer(&ProducerOptions::default())?;
        producer.send(OutRecord { tp: &tp, key: Some(key), value, ts, seq, headers: &[] })?;
        producer.drain(Duration::ZERO)?;
        self.settle()
    }

    /// Lets stream time reach `to`: every input says that nothing older follows. Ticks fire, windows close.
    ///
    /// # Errors
    /// The application stopped.
    pub fn advance(&mut self, to: Ts) -> Result<(), Error> {
        self.beacon(Beacon { origin: 0, bound: to, bye: false })
    }

    /// Ends every input at this time.
    ///
    /// # Errors
    /// The application stopped.
    pub fn end(&mut self, at: Ts) -> Result<(), Error> {
        self.beacon(Beacon { origin: 0, bound: at, bye: true })
    }

    fn beacon(&mut self, beacon: Beacon) -> Result<(), Error> {
        let mut producer = self.site.log.producer(&ProducerOptions::default())?;
        let written = self.site.topology.sink_topics();
        for name in self.site.topology.source_topics().iter().filter(|name| !written.contains(name)) {
            for partition in 0..self.site.log.partitions(name)? {
                let (tp, key, value) = (Tp::new(name, partition), beacon.key(), beacon.value());
                let (key, value) = (Some(&key[..]), Some(&value[..]));
                producer.send(OutRecord { tp: &tp, key, value, ts: beacon.bound, seq: 0, headers: &[] })?;
            }
        }
        producer.drain(Duration::ZERO)?;
        self.settle()
    }

    /// Records of an output that were not read before, partition by partition. A record without value is read
    /// as one with an empty value: [`TestDriver::read_bytes`] tells them apart.
    ///
    /// # Errors
    /// There is no such output, or its codec does not understand what is there.
    pub fn read(&mut self, topic: &str) -> Result<Vec<Record<M>>, Error> {
        let codec = self.codec_of_sink(topic)?;
        let mut records = Vec::new();
        for Written { key, value, ts, seq, .. } in self.read_bytes(topic)? {
            let value = codec.decode(&value.unwrap_or_default());
            let value = value.map_err(|e| refused(topic, &e.to_string()))?;
            records.push(Record { key: Key::new(&key), value, ts, seq });
        }
        Ok(records)
    }

    /// The same as bytes; works for every topic, such as that of the dead letters.
    ///
    /// # Errors
    /// There is no such topic.
    pub fn read_bytes(&mut self, topic: &str) -> Result<Vec<Written>, Error> {
        let name = TopicName::new(topic);
        let options = ConsumerOptions { group: None, assignment: Assignment::Manual };
        let mut consumer = self.site.log.consumer(&options)?;
        let mut records = Vec::new();
        for partition in 0..self.site.log.partitions(&name)? {
            let tp = Tp::new(&name, partition);
            let from = self.positions.get(&tp).copied().unwrap_or_default();
            consumer.answer(Answer::Start(&[(tp.clone(), from)]))?;
            let mut batch = Batch::default();
            consumer.take(&tp, usize::MAX, &mut batch)?;
            records.extend(batch.iter().map(|record| Written::of(&record)));
            let stable = self.site.log.range(&tp)?.stable;
            self.positions.insert(tp, stable);
        }
        Ok(records)
    }

    /// What a store holds now: its keys and their encoded values, all partitions together. Nothing if there is
    /// no such store. Stores of operators are `<name>-windows`, `<name>-rows`, `<name>-right`, `<name>-waiting`:
    /// [`Topology::describe`] shows them. The key of a window begins with its start, eight bytes.
    pub fn store(&self, name: &str) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.site.disk.entries(&format!("{}/s:{name}", self.site.topology.name()))
    }

    /// Stream time; `None` before the first record.
    pub fn time(&self) -> Option<Ts> {
        self.process.progress.snapshot().stream_time
    }

    /// How often a metric of the nodes was counted.
    pub fn count(&self, metric: &str) -> u64 {
        self.process.progress.snapshot().counts.get(metric).copied().unwrap_or(0)
    }

    fn settle(&mut self) -> Result<(), Error> {
        let mut quiet = 0;
        for _ in 0..TURNS_MAX {
            self.site.log.advance(Duration::from_millis(1));
            let Turn { worked, .. } = self.process.step(0)?;
            quiet = if worked { 0 } else { quiet + 1 };
            if quiet == QUIET {
                return Ok(());
            }
        }
        let reason = format!("it still works after {TURNS_MAX} turns");
        Err(refused(self.site.topology.name(), &reason))
    }

    fn codec_of_source(&self, topic: &str) -> Result<Arc<dyn Codec<M>>, Error> {
        let mut sources = self.site.topology.nodes.iter().filter_map(|node| node.source());
        let found = sources.find(|source| source.topic.as_str() == topic);
        Ok(Arc::clone(&found.ok_or_else(|| unknown(topic))?.codec))
    }

    fn codec_of_sink(&self, topic: &str) -> Result<Arc<dyn Codec<M>>, Error> {
        let mut sinks = self.site.topology.nodes.iter().filter_map(|node| node.sink());
        let found = sinks.find(|sink| sink.topic.as_str() == topic);
        Ok(Arc::clone(&found.ok_or_else(|| unknown(topic))?.codec))
    }
}

fn unknown(topic: &str) -> Error {
    LogError::UnknownTopic { topic: topic.to_owned() }.into()
}

fn refused(what: &str, reason: &str) -> Error {
    LogError::Client { what: what.to_owned(), reason: reason.to_owned(), retriable: false }.into()
}
