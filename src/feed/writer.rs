//! Events into the `market.<venue>` topics, with the beacons that tell readers how far time has come.
//!
//! ```text
//! event    key = symbol, ts = event time, else the greatest event time written to the topic, else receive time
//! beacon   to every partition of every topic, on the receive-time grid of 250 ms
//! bye      to every partition at the end: greatest event time of the whole input + disorder
//! ```
//! What is written depends on the events alone, never on how fast they came or in which batches.

use std::collections::BTreeMap;
use std::time::Duration;

use lobstream_market::instrument::{Symbol, Venue};
use lobstream_streams::beacon::{Beacon, EventClock};
use lobstream_streams::error::{LogError, SendError};
use lobstream_streams::log::{Log, Producer, ProducerOptions, TopicSpec, Tp, topic};
use lobstream_streams::record::OutRecord;
use lobstream_streams::time::Ts;

use crate::codec::binary::encode_event;
use crate::codec::topic_name;
use crate::error::Error;
use crate::feed::FeedEvent;

/// Partitions of a topic that is made and for which no number is given.
pub const PARTITIONS: u32 = 8;

/// Options of a writer.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// Put before every topic name. Default: nothing.
    pub topic_prefix: String,
    /// Partitions of topics that are made; an existing topic must have as many. `None`: as many as an
    /// existing topic has, else [`PARTITIONS`].
    pub partitions: Option<u32>,
    /// Step of the beacon grid. Default 250 ms.
    pub beacon_every: Duration,
    /// How much later than the quickest one a record may come. Default 500 ms.
    pub disorder: Duration,
    /// How long the log may take to acknowledge what was sent. Default 60 s.
    pub drain_within: Duration,
}

impl Default for WriterOptions {
    fn default() -> WriterOptions {
        WriterOptions {
            topic_prefix: String::new(),
            partitions: None,
            beacon_every: Duration::from_millis(250),
            disorder: EventClock::DISORDER,
            drain_within: Duration::from_secs(60),
        }
    }
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Events.
    pub events: u64,
    /// Beacons, byes among them.
    pub beacons: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
    /// Events by topic.
    pub topics: BTreeMap<String, u64>,
}

/// Puts events into topics. One feed, one writer.
pub struct TopicWriter<'l> {
    log: &'l dyn Log,
    producer: Box<dyn Producer>,
    options: WriterOptions,
    topics: BTreeMap<Venue, Topic>,
    clock: EventClock,
    /// Greatest receive time so far.
    received: Option<i64>,
    /// Greatest event time so far, of all venues.
    newest: Option<i64>,
    value: Vec<u8>,
    written: Written,
}

impl std::fmt::Debug for TopicWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TopicWriter").field("options", &self.options).field("written", &self.written).finish()
    }
}

#[derive(Debug)]
struct Topic {
    partitions: Vec<Tp>,
    of_symbol: BTreeMap<Symbol, usize>,
    /// Greatest event time written to it.
    newest: Option<i64>,
    events: u64,
}

impl<'l> TopicWriter<'l> {
    /// A writer into this log. Topics are made when the first event of their venue comes.
    ///
    /// # Errors
    /// The log gives no producer.
    pub fn open(log: &'l dyn Log, options: WriterOptions) -> Result<TopicWriter<'l>, Error> {
        let mut producer = log.producer(&ProducerOptions::default())?;
        producer.init()?;
        Ok(TopicWriter {
            log,
            producer,
            clock: EventClock::new(options.disorder),
            options,
            topics: BTreeMap::new(),
            received: None,
            newest: None,
            value: Vec::new(),
            written: Written::default(),
        })
    }

    /// Writes one event, and before it the beacon of the grid point that its receive time crossed.
    ///
    /// # Errors
    /// The topic is not as asked, or the log takes no more.
    pub fn write(&mut self, event: &FeedEvent) -> Result<(), Error> {
        self.ensure_topic(event.venue)?;
        if let Some(ts_recv) = event.event.ts_recv {
            self.beat(ts_recv)?;
        }
        self.put(event)?;
        if let Some(ts_event) = event.event.ts_event {
            self.newest = self.newest.max(Some(ts_event));
            if let Some(ts_recv) = event.event.ts_recv {
                self.clock.observe(Ts(ts_event), Ts(ts_recv));
            }
        }
        Ok(())
    }

    /// Receive time has come to `now`: writes the beacon of the newest grid point that was crossed since the
    /// last call. A live feed calls this while nothing happens.
    ///
    /// # Errors
    /// The log takes no more.
    pub fn beat(&mut self, now: i64) -> Result<(), Error> {
        let step = i64::try_from(self.options.beacon_every.as_nanos()).unwrap_or(i64::MAX).max(1);
        let before = self.received;
        self.received = before.max(Some(now));
        let Some(before) = before else { return Ok(()) };
        let point = now.div_euclid(step);
        if point <= before.div_euclid(step) {
            return Ok(());
        }
        match self.clock.bound(Ts(point * step)) {
            Some(bound) => self.beacon(Beacon { origin: 0, bound, bye: false }),
            None => Ok(()),
        }
    }

    /// Waits until all that was written is durable.
    ///
    /// # Errors
    /// The log did not take a record, or takes too long.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.producer.drain(self.options.drain_within)?;
        Ok(())
    }

    /// Writes the byes, waits until everything is durable, and tells what was written.
    ///
    /// # Errors
    /// The log did not take a record, or takes too long.
    pub fn finish(mut self) -> Result<Written, Error> {
        self.byes()?;
        self.leave()
    }

    /// As [`TopicWriter::finish`], but without byes: the input goes on, only not here and now.
    ///
    /// # Errors
    /// The log did not take a record, or takes too long.
    pub fn leave(mut self) -> Result<Written, Error> {
        self.flush()?;
        let named = |(venue, topic): (&Venue, &Topic)| {
            (topic_name(&self.options.topic_prefix, "market", *venue).to_string(), topic.events)
        };
        self.written.topics = self.topics.iter().map(named).collect();
        Ok(self.written)
    }

    fn byes(&mut self) -> Result<(), Error> {
        let disorder = i64::try_from(self.options.disorder.as_nanos()).unwrap_or(i64::MAX);
        if let Some(last) = self.newest.or(self.received) {
            let promised = self.clock.bound(Ts(i64::MIN)).map_or(i64::MIN, |b| b.0);
            let bound = Ts(last.saturating_add(disorder).max(promised));
            self.beacon(Beacon { origin: 0, bound, bye: true })?;
        }
        Ok(())
    }

    fn put(&mut self, event: &FeedEvent) -> Result<(), Error> {
        self.value.clear();
        encode_event(&event.event, &mut self.value);
        let Some(topic) = self.topics.get_mut(&event.venue) else { return Ok(()) };
        let times = &event.event;
        topic.newest = topic.newest.max(times.ts_event);
        let ts = Ts(times.ts_event.or(topic.newest).or(times.ts_recv).unwrap_or(0));
        let key = event.symbol.as_str().as_bytes();
        let partition = match topic.of_symbol.get(&event.symbol) {
            Some(partition) => *partition,
            None => topic.place(&event.symbol),
        };
        let tp = &topic.partitions[partition];
        let record = OutRecord { tp, key: Some(key), value: Some(&self.value), ts, seq: 0, headers: &[] };
        topic.events += 1;
        self.written.events += 1;
        self.written.bytes += (key.len() + self.value.len()) as u64;
        send(self.producer.as_mut(), record, self.options.drain_within)
    }

    fn beacon(&mut self, beacon: Beacon) -> Result<(), Error> {
        let (key, value) = (beacon.key(), beacon.value());
        for tp in self.topics.values().flat_map(|topic| &topic.partitions) {
            let record = OutRecord {
                tp,
                key: Some(&key),
                value: Some(&value),
                ts: beacon.bound,
                seq: 0,
                headers: &[],
            };
            self.written.beacons += 1;
            self.written.bytes += (key.len() + value.len()) as u64;
            send(self.producer.as_mut(), record, self.options.drain_within)?;
        }
        Ok(())
    }

    fn ensure_topic(&mut self, venue: Venue) -> Result<(), Error> {
        if self.topics.contains_key(&venue) {
            return Ok(());
        }
        let name = topic_name(&self.options.topic_prefix, "market", venue);
        let partitions = match self.options.partitions {
            Some(partitions) => partitions,
            None => match self.log.partitions(&name) {
                Ok(existing) => existing,
                Err(LogError::UnknownTopic { .. }) => PARTITIONS,
                Err(error) => return Err(error.into()),
            },
        };
        self.log.ensure_topic(&TopicSpec {
            name: name.clone(),
            partitions,
            retention: None,
            compact: false,
        })?;
        let partitions = (0..partitions).map(|p| Tp::new(&name, p)).collect();
        let topic = Topic { partitions, of_symbol: BTreeMap::new(), newest: None, events: 0 };
        self.topics.insert(venue, topic);
        Ok(())
    }
}

impl Topic {
    fn place(&mut self, symbol: &Symbol) -> usize {
        let n = u32::try_from(self.partitions.len()).unwrap_or(u32::MAX);
        let partition = topic::partition(symbol.as_str().as_bytes(), n) as usize;
        self.of_symbol.insert(symbol.clone(), partition);
        partition
    }
}

/// A full buffer means that the log is slower than the feed: wait until it has caught up.
fn send(producer: &mut dyn Producer, record: OutRecord<'_>, within: Duration) -> Result<(), Error> {
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err(SendError::Full) => {
                producer.drain(within)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests;
