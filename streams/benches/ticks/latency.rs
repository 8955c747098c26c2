//! How late a row is: from the moment at which the tick that closes its second was due, to the moment at
//! which a reader of committed records has it. Due, not sent: a slow sender hides nothing.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use crate::Outcome;
use crate::args::Args;
use crate::client::{producer, send};
use crate::tick::{SECOND_NS, START_NS, STEP_NS};

/// Ticks sent between two looks at the clock.
const BURST: u64 = 32;
/// How long rows may still come after the last tick.
const AFTER: Duration = Duration::from_secs(5);

pub(crate) fn measure(args: &Args) -> Outcome {
    let (brokers, input, output) = (args.word(1), args.word(2), args.word(3));
    let (rate, seconds) = (args.number("rate", 100_000.0)?, args.number("seconds", 20.0)?);
    let (keys, partitions) = (args.number("keys", 50u64)?, args.number("partitions", 2i32)?);
    let from = args.number("from", 0u64)?;
    let n = (rate * seconds) as u64;
    let consumer = reader(brokers, output)?;
    let begun = Instant::now();
    let behind = thread::scope(|scope| {
        let sender = scope.spawn(|| pour(brokers, (input, partitions), from, n, rate, keys, begun));
        let seen = watch(&consumer, begun, begun + Duration::from_secs_f64(n as f64 / rate) + AFTER);
        let behind = sender.join().map_err(|_| "the sender panicked".to_owned())?;
        Ok::<_, String>((seen, behind.map_err(|e| e.to_string())?))
    });
    let (seen, behind) = behind?;
    report(&seen, from, rate, seconds);
    println!("sender behind schedule at most {:.1} ms", behind.as_secs_f64() * 1e3);
    Ok(())
}

/// Sends on an absolute schedule; how far it fell behind.
fn pour(
    brokers: &str,
    to: (&str, i32),
    from: u64,
    n: u64,
    rate: f64,
    keys: u64,
    begun: Instant,
) -> Result<Duration, KafkaError> {
    let producer = producer(brokers)?;
    let (mut key, mut value, mut behind) = (String::new(), Vec::new(), Duration::ZERO);
    for i in 0..n {
        if i.is_multiple_of(BURST) {
            let due = begun + Duration::from_secs_f64(i as f64 / rate);
            let now = Instant::now();
            if due > now {
                thread::sleep(due - now);
            } else {
                behind = behind.max(now - due);
            }
            producer.poll(Duration::ZERO);
        }
        send(&producer, to, from + i, keys, (&mut key, &mut value))?;
    }
    rdkafka::producer::Producer::flush(&producer, Duration::from_secs(30))?;
    Ok(behind)
}

/// Seconds of event time → when its last row came.
fn watch(consumer: &BaseConsumer, begun: Instant, until: Instant) -> BTreeMap<i64, Vec<f64>> {
    let mut seen: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    while Instant::now() < until {
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(5)) else { continue };
        let at = begun.elapsed().as_secs_f64();
        let row: Option<serde_json::Value> = message.payload().and_then(|p| serde_json::from_slice(p).ok());
        if let Some(start) = row.and_then(|row| row["start"].as_i64()) {
            seen.entry(start).or_default().push(at);
        }
    }
    seen
}

fn report(seen: &BTreeMap<i64, Vec<f64>>, from: u64, rate: f64, seconds: f64) {
    let mut late = Vec::new();
    for (start, at) in seen {
        // The first tick of the next second, of any key, in whichever partition.
        let closing = ((start + 1) * SECOND_NS - START_NS) / STEP_NS - from as i64;
        let due = closing as f64 / rate;
        // The first fifth warms up.
        if due > seconds / 5.0 && due < seconds {
            late.extend(at.iter().map(|at| (at - due) * 1e3));
        }
    }
    late.sort_unstable_by(f64::total_cmp);
    let quantile = |q: f64| late.get(((late.len() as f64 * q) as usize).min(late.len().saturating_sub(1)));
    let ms = |q| quantile(q).copied().unwrap_or(f64::NAN);
    println!(
        "latency rows {} p50 {:.1} ms p99 {:.1} ms max {:.1} ms",
        late.len(),
        ms(0.5),
        ms(0.99),
        ms(1.0)
    );
}

fn reader(brokers: &str, topic: &str) -> Result<BaseConsumer, KafkaError> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", "ticks-latency");
    config.set("enable.auto.commit", "false").set("isolation.level", "read_committed");
    config.set("fetch.wait.max.ms", "5").set_log_level(RDKafkaLogLevel::Warning);
    let consumer: BaseConsumer = config.create()?;
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10))?;
    let partitions = metadata.topics().first().map_or(0, |t| t.partitions().len());
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition as i32, Offset::End)?;
    }
    consumer.assign(&list)?;
    // The end is looked up when the reader first asks.
    let ready = Instant::now() + Duration::from_secs(2);
    while Instant::now() < ready {
        consumer.poll(Duration::from_millis(50));
    }
    Ok(consumer)
}
