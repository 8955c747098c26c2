//! Plain records into a topic, as any client writes them: our own producer would add its headers.

use std::time::{Duration, Instant};

use lobstream_streams::log::topic::partition;
use lobstream_streams::log::{TopicName, TopicSpec, open};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::Outcome;
use crate::args::Args;
use crate::tick;

/// A topic that keeps old event times.
pub(crate) fn topic(brokers: &str, name: &str, partitions: u32) -> Outcome {
    let log = open(&format!("kafka://{brokers}"))?;
    let spec = TopicSpec { name: TopicName::new(name), partitions, retention: None, compact: false };
    Ok(log.ensure_topic(&spec)?)
}

pub(crate) fn producer(brokers: &str) -> Result<BaseProducer, KafkaError> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("enable.idempotence", "true").set("linger.ms", "5");
    config.set("compression.type", "lz4").set("batch.size", "1000000");
    config.set("queue.buffering.max.messages", "200000").create()
}

/// Sends tick `i`; waits if the buffer is full.
pub(crate) fn send(
    producer: &BaseProducer,
    to: (&str, i32),
    i: u64,
    keys: u64,
    (key, value): (&mut String, &mut Vec<u8>),
) -> Result<(), KafkaError> {
    let ts = tick::make(i, keys, key, value);
    // Kafka's own partitioner: another engine finds each key where it expects it.
    let to_partition = partition(key.as_bytes(), to.1 as u32) as i32;
    let record = BaseRecord::to(to.0).key(key.as_str()).payload(value.as_slice());
    let mut record = record.partition(to_partition).timestamp(ts / 1_000_000);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                producer.poll(Duration::from_millis(1));
                record = refused;
            }
            Err((error, _)) => return Err(error),
        }
    }
}

pub(crate) fn fill(args: &Args) -> Outcome {
    let (brokers, name) = (args.word(1), args.word(2));
    let (n, from): (u64, u64) = (args.number("n", 5_000_000)?, args.number("from", 0)?);
    let (keys, partitions) = (args.number("keys", 50)?, args.number("partitions", 2)?);
    topic(brokers, name, partitions)?;
    let producer = producer(brokers)?;
    let (mut key, mut value) = (String::new(), Vec::new());
    let begun = Instant::now();
    for i in from..from + n {
        send(&producer, (name, partitions as i32), i, keys, (&mut key, &mut value))?;
        if i.is_multiple_of(256) {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(Duration::from_secs(60))?;
    let seconds = begun.elapsed().as_secs_f64();
    println!("{name}: {n} ticks of about {} bytes in {seconds:.2} s", value.len());
    Ok(())
}
