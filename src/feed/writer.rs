//! Events into the `market.<venue>` topics, with the beacons that tell readers how far time has come.
//!
//! ```text
//! event    key = symbol, ts = event time, else the greatest event time written to the topic, else receive time
//! beacon   to every partition of the venue's topic, on the receive-time grid of 250 ms of each recorder, whose
//!          clock is compared with nothing but itself
//! bye      to every partition at the end: greatest event time of the whole input + disorder
//! away     key = *, to every partition that has records already, before the first event: nobody listened
//!          since the record before. Its time is 0: time does not rise, so it holds from the last record on
//! ```
//! What is written depends on the events alone, never on how fast they came or in which batches.

use std::collections::BTreeMap;
use std::time::Duration;

use lobstream_market::event::{Body, Control, MarketEvent};
use lobstream_market::instrument::{Symbol, Venue};
use lobstream_streams::beacon::{Beacon, EventClock};
use lobstream_streams::error::{LogError, SendError};
use lobstream_streams::log::{Log, Producer, ProducerOptions, TopicSpec, Tp, topic};
use lobstream_streams::record::{Offset, OutRecord};
use lobstream_streams::time::Ts;

use crate::codec::binary::encode_event;
use crate::codec::{ALL_SYMBOLS, topic_name};
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
    /// Nobody waits for single records: the log may let them travel in large lots, a tenth of a second later.
    /// Default: no.
    pub bulk: bool,
}

impl Default for WriterOptions {
    fn default() -> WriterOptions {
        WriterOptions {
            topic_prefix: String::new(),
            partitions: None,
            beacon_every: Duration::from_millis(250),
            disorder: EventClock::DISORDER,
            drain_within: Duration::from_secs(60),
            bulk: false,
        }
    }
}

impl WriterOptions {
    /// Into topics of this prefix and so many partitions, everything else by default.
    pub fn into_topics(prefix: &str, partitions: Option<u32>) -> WriterOptions {
        WriterOptions { topic_prefix: prefix.to_owned(), partitions, ..WriterOptions::default() }
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
    /// Topics that held records of later times before: what was written into them is late there.
    pub overlapping: Vec<String>,
}

/// Puts events into topics. One feed, one writer.
pub struct TopicWriter<'l> {
    log: &'l dyn Log,
    producer: Box<dyn Producer>,
    options: WriterOptions,
    topics: BTreeMap<Venue, Topic>,
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
    /// What is known of the clock of each recorder.
    recorders: BTreeMap<u32, Recorder>,
    /// Greatest bound that a beacon has told.
    promised: Option<Ts>,
    /// Where earlier sessions ended, as long as it is not compared with what this one writes.
    earlier: Vec<(Tp, Offset)>,
    events: u64,
}

/// One recorder's clock against the venue's.
#[derive(Debug)]
struct Recorder {
    clock: EventClock,
    /// Greatest receive time so far.
    received: i64,
}

impl Recorder {
    /// Receive time has come to `now`: the newest grid point that was crossed since the last call.
    fn crossed(&mut self, now: i64, step: i64) -> Option<i64> {
        let before = self.received;
        self.received = before.max(now);
        let point = now.div_euclid(step);
        (point > before.div_euclid(step)).then(|| point.saturating_mul(step))
    }
}

impl<'l> TopicWriter<'l> {
    /// A writer into this log. Topics are made when the first event of their venue comes.
    ///
    /// # Errors
    /// The log gives no producer.
    pub fn open(log: &'l dyn Log, options: WriterOptions) -> Result<TopicWriter<'l>, Error> {
        let mut producer = match options.bulk {
            true => log.bulk_producer()?,
            false => log.producer(&ProducerOptions::default())?,
        };
        producer.init()?;
        Ok(TopicWriter {
            log,
            producer,
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
        let mut value = std::mem::take(&mut self.value);
        value.clear();
        encode_event(&event.event, &mut value);
        let done = self.write_encoded(event, &value);
        self.value = value;
        done
    }

    /// The same, for an event whose bytes are known.
    ///
    /// # Errors
    /// As of [`TopicWriter::write`].
    pub fn write_encoded(&mut self, event: &FeedEvent, value: &[u8]) -> Result<(), Error> {
        self.ensure_topic(event.venue)?;
        if let Some(ts_recv) = event.event.ts_recv {
            self.beat_of(event.venue, event.source, ts_recv)?;
        }
        self.put(event, value)?;
        self.newest = self.newest.max(event.event.ts_event);
        if let (Some(ts_event), Some(ts_recv)) = (event.event.ts_event, event.event.ts_recv)
            && let Some(topic) = self.topics.get_mut(&event.venue)
            && let Some(recorder) = topic.recorders.get_mut(&event.source)
        {
            recorder.clock.observe(Ts(ts_event), Ts(ts_recv));
        }
        Ok(())
    }

    /// Receive time has come to `now`: writes the beacon of the newest grid point that was crossed since the
    /// last call. A live feed, which has one recorder, calls this while nothing happens.
    ///
    /// # Errors
    /// The log takes no more.
    pub fn beat(&mut self, now: i64) -> Result<(), Error> {
        let venues: Vec<Venue> = self.topics.keys().copied().collect();
        venues.into_iter().try_for_each(|venue| self.beat_of(venue, 0, now))
    }

    fn beat_of(&mut self, venue: Venue, source: u32, now: i64) -> Result<(), Error> {
        self.received = self.received.max(Some(now));
        let step = i64::try_from(self.options.beacon_every.as_nanos()).unwrap_or(i64::MAX).max(1);
        let Some(topic) = self.topics.get_mut(&venue) else { return Ok(()) };
        let begun = || Recorder { clock: EventClock::new(self.options.disorder), received: now };
        let recorder = topic.recorders.entry(source).or_insert_with(begun);
        let bound = recorder.crossed(now, step).and_then(|point| recorder.clock.bound(Ts(point)));
        let Some(bound) = bound else { return Ok(()) };
        topic.promised = topic.promised.max(Some(bound));
        let bound = topic.promised.unwrap_or(bound);
        self.beacon(venue, Beacon { origin: 0, bound, bye: false })
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
        let Some(last) = self.newest.or(self.received) else { return Ok(()) };
        let promised = self.topics.values().filter_map(|topic| topic.promised).max().unwrap_or(Ts(i64::MIN));
        let bound = Ts(last.saturating_add(disorder_ns(&self.options))).max(promised);
        let venues: Vec<Venue> = self.topics.keys().copied().collect();
        venues.into_iter().try_for_each(|venue| self.beacon(venue, Beacon { origin: 0, bound, bye: true }))
    }

    fn put(&mut self, event: &FeedEvent, value: &[u8]) -> Result<(), Error> {
        let Some(topic) = self.topics.get_mut(&event.venue) else { return Ok(()) };
        let times = &event.event;
        if let Some(ts_event) = times.ts_event.filter(|_| !topic.earlier.is_empty()) {
            let from = ts_event.saturating_add(disorder_ns(&self.options)).saturating_add(1);
            if topic.overlaps(self.log, Ts(from))? {
                let name = topic_name(&self.options.topic_prefix, "market", event.venue);
                self.written.overlapping.push(name.to_string());
            }
        }
        topic.newest = topic.newest.max(times.ts_event);
        let ts = Ts(times.ts_event.or(topic.newest).or(times.ts_recv).unwrap_or(0));
        let key = event.symbol.as_str().as_bytes();
        let partition = match topic.of_symbol.get(&event.symbol) {
            Some(partition) => *partition,
            None => topic.place(&event.symbol),
        };
        let tp = &topic.partitions[partition];
        let record = OutRecord { tp, key: Some(key), value: Some(value), ts, seq: 0, headers: &[] };
        topic.events += 1;
        self.written.events += 1;
        self.written.bytes += (key.len() + value.len()) as u64;
        send(self.producer.as_mut(), record, self.options.drain_within)
    }

    fn beacon(&mut self, venue: Venue, beacon: Beacon) -> Result<(), Error> {
        let (key, value) = (beacon.key(), beacon.value());
        for tp in self.topics.get(&venue).into_iter().flat_map(|topic| &topic.partitions) {
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
        let partitions: Vec<Tp> = (0..partitions).map(|p| Tp::new(&name, p)).collect();
        let earlier = self.say_away(&partitions)?;
        self.topics.insert(venue, Topic::of(partitions, earlier));
        Ok(())
    }

    /// What an earlier session left may not be used until something proves that it still holds: without this
    /// mark the time in between would look as if nothing had happened. Tells where it ended.
    fn say_away(&mut self, partitions: &[Tp]) -> Result<Vec<(Tp, Offset)>, Error> {
        let away = MarketEvent { ts_event: None, ts_recv: None, body: Body::Control(Control::Away) };
        self.value.clear();
        encode_event(&away, &mut self.value);
        let key = ALL_SYMBOLS.as_bytes();
        let mut earlier = Vec::new();
        for tp in partitions {
            let end = self.log.range(tp)?.end;
            if end == Offset(0) {
                continue;
            }
            earlier.push((tp.clone(), end));
            let record =
                OutRecord { tp, key: Some(key), value: Some(&self.value), ts: Ts(0), seq: 0, headers: &[] };
            self.written.bytes += (key.len() + self.value.len()) as u64;
            send(self.producer.as_mut(), record, self.options.drain_within)?;
        }
        Ok(earlier)
    }
}

impl Topic {
    fn of(partitions: Vec<Tp>, earlier: Vec<(Tp, Offset)>) -> Topic {
        let (of_symbol, recorders) = (BTreeMap::new(), BTreeMap::new());
        Topic { partitions, of_symbol, newest: None, recorders, promised: None, earlier, events: 0 }
    }

    /// Once, with the first time that a session writes: did an earlier one come further than this?
    fn overlaps(&mut self, log: &dyn Log, from: Ts) -> Result<bool, Error> {
        for (tp, end) in std::mem::take(&mut self.earlier) {
            if log.offset_at(&tp, from)?.is_some_and(|at| at < end) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn place(&mut self, symbol: &Symbol) -> usize {
        let n = u32::try_from(self.partitions.len()).unwrap_or(u32::MAX);
        let partition = topic::partition(symbol.as_str().as_bytes(), n) as usize;
        self.of_symbol.insert(symbol.clone(), partition);
        partition
    }
}

fn disorder_ns(options: &WriterOptions) -> i64 {
    i64::try_from(options.disorder.as_nanos()).unwrap_or(i64::MAX)
}

/// A full buffer means that the log is slower than the feed. What makes room by itself is asked again, for up to a
/// millisecond each time; the rest wants everything written first.
const ASKED_AGAIN: u32 = 100;

fn send(producer: &mut dyn Producer, record: OutRecord<'_>, within: Duration) -> Result<(), Error> {
    for asked in 0u32.. {
        match producer.send(record) {
            Err(SendError::Full) if asked < ASKED_AGAIN => {}
            Err(SendError::Full) => drop(producer.drain(within)?),
            done => return Ok(done?),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
