//! Rows of a day into the topics of their exchanges, `market.sse` and `market.szse`.
//!
//! ```text
//! row      key = code, ts = date and time of the exchange
//! bye      to every partition at the end: the midnight after the day, so that whoever waits for its close
//!          need wait no longer
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use lobstream_market::ashare::{Exchange, StockCode, TickTime};
use lobstream_streams::beacon::Beacon;
use lobstream_streams::error::{LogError, SendError};
use lobstream_streams::log::{Log, Producer, ProducerOptions, TopicSpec, Tp, topic};
use lobstream_streams::record::OutRecord;
use lobstream_streams::time::Ts;

use crate::codec::ashare::{self, AshareRecord, AshareRow};
use crate::error::Error;
use crate::feed::writer::PARTITIONS;

/// How long the log may take to acknowledge what was sent.
const DRAIN_WITHIN: Duration = Duration::from_secs(60);

/// Puts rows into topics. One feed, one writer.
pub struct DayWriter<'l> {
    log: &'l dyn Log,
    producer: Box<dyn Producer>,
    prefix: String,
    partitions: Option<u32>,
    topics: BTreeMap<Exchange, Vec<Tp>>,
    value: Vec<u8>,
    written: BTreeMap<Exchange, u64>,
}

impl<'l> DayWriter<'l> {
    /// A writer into this log; topics are made when their first row comes, with so many partitions, or as
    /// many as they have, or 8.
    ///
    /// # Errors
    /// The log gives no producer.
    pub fn open(log: &'l dyn Log, prefix: &str, partitions: Option<u32>) -> Result<DayWriter<'l>, Error> {
        let mut producer = log.producer(&ProducerOptions::default())?;
        producer.init()?;
        let (topics, written, value) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Ok(DayWriter { log, producer, prefix: prefix.to_owned(), partitions, topics, value, written })
    }

    /// Writes one row.
    ///
    /// # Errors
    /// The topic is not as asked, or the log takes no more.
    pub fn write(&mut self, date: u32, code: StockCode, row: &AshareRow) -> Result<(), Error> {
        let exchange = code.exchange();
        if !self.topics.contains_key(&exchange) {
            let topic = self.ensure(exchange)?;
            self.topics.insert(exchange, topic);
        }
        let partitions = &self.topics[&exchange];
        let key = code.to_string();
        let n = u32::try_from(partitions.len()).unwrap_or(u32::MAX);
        let tp = &partitions[topic::partition(key.as_bytes(), n) as usize];
        self.value.clear();
        ashare::encode(&AshareRecord { date, row: *row }, &mut self.value);
        let ts = Ts(row.time().ts_ns(date));
        let record =
            OutRecord { tp, key: Some(key.as_bytes()), value: Some(&self.value), ts, seq: 0, headers: &[] };
        send(self.producer.as_mut(), record)?;
        *self.written.entry(exchange).or_default() += 1;
        Ok(())
    }

    /// Waits until all that was written is durable.
    ///
    /// # Errors
    /// The log did not take a record, or takes too long.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.producer.drain(DRAIN_WITHIN)?;
        Ok(())
    }

    /// Says that the day is over, waits until everything is durable, and tells how many rows went where.
    ///
    /// # Errors
    /// The log did not take a record, or takes too long.
    pub fn finish(mut self, date: u32) -> Result<BTreeMap<String, u64>, Error> {
        let bound = Ts(TickTime::default().ts_ns(date) + 24 * 3_600 * 1_000_000_000);
        let beacon = Beacon { origin: 0, bound, bye: true };
        let (key, value) = (beacon.key(), beacon.value());
        for tp in self.topics.values().flatten() {
            let (key, value) = (Some(&key[..]), Some(&value[..]));
            let record = OutRecord { tp, key, value, ts: bound, seq: 0, headers: &[] };
            send(self.producer.as_mut(), record)?;
        }
        self.leave()
    }

    /// As [`DayWriter::finish`], but the day goes on, only not here and now.
    ///
    /// # Errors
    /// The log did not take a record, or takes too long.
    pub fn leave(mut self) -> Result<BTreeMap<String, u64>, Error> {
        self.flush()?;
        let named = |(exchange, n): (&Exchange, &u64)| {
            (ashare::topic(&self.prefix, "market", *exchange).to_string(), *n)
        };
        Ok(self.written.iter().map(named).collect())
    }

    fn ensure(&self, exchange: Exchange) -> Result<Vec<Tp>, Error> {
        let name = ashare::topic(&self.prefix, "market", exchange);
        let partitions = match self.partitions {
            Some(partitions) => partitions,
            None => match self.log.partitions(&name) {
                Ok(existing) => existing,
                Err(LogError::UnknownTopic { .. }) => PARTITIONS,
                Err(error) => return Err(error.into()),
            },
        };
        let spec = TopicSpec { name: name.clone(), partitions, retention: None, compact: false };
        self.log.ensure_topic(&spec)?;
        Ok((0..partitions).map(|p| Tp::new(&name, p)).collect())
    }
}

/// A full buffer means that the log is slower than the feed: wait until it has caught up.
fn send(producer: &mut dyn Producer, record: OutRecord<'_>) -> Result<(), Error> {
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err(SendError::Full) => {
                producer.drain(DRAIN_WITHIN)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
