//! Settings of the clients. Each that differs from the client's default says why.

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::log::{Assignment, ConsumerOptions, GroupProtocol, Membership, ProducerOptions};

/// Largest record that the client takes, key, value and headers together (`message.max.bytes`).
pub(super) const RECORD_BYTES_MAX: usize = 1_000_000;

const CONSUMER: &[(&str, &str)] = &[
    // Also makes an offset fetch wait for unfinished transactions.
    ("isolation.level", "read_committed"),
    // Offsets belong to the transaction.
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    // Never jump silently.
    ("auto.offset.reset", "error"),
    // The proof of being caught up.
    ("enable.partition.eof", "true"),
    ("check.crcs", "true"),
    // The default of 500 ms delays the end of a partition that has just been reached.
    ("fetch.wait.max.ms", "25"),
    // The default of 1 000 ms leaves gaps of a second after a queue was full.
    ("fetch.queue.backoff.ms", "20"),
    ("queued.min.messages", "20000"),
    // Holds for each partition, because each has a queue of its own.
    ("queued.max.messages.kbytes", "8192"),
    // Kept by the poll thread, whatever the stream thread does.
    ("max.poll.interval.ms", "300000"),
    ("statistics.interval.ms", "5000"),
];

const PRODUCER: &[(&str, &str)] = &[
    // Implies acks = all and at most five requests in flight.
    ("enable.idempotence", "true"),
    ("linger.ms", "1"),
    ("batch.size", "1000000"),
    ("compression.type", "lz4"),
    ("queue.buffering.max.messages", "1000000"),
    ("queue.buffering.max.kbytes", "262144"),
    ("statistics.interval.ms", "5000"),
];

const TRANSACTIONAL: &[(&str, &str)] = &[
    // Tells of every connection that breaks: the end of a transaction may then be repeated, see the producer.
    ("debug", "broker"),
];

/// Without transactions a record that is given up leaves a hole before its successors, so a broker's
/// restart must be waited out.
const PLAIN: &[(&str, &str)] = &[("message.timeout.ms", "300000")];

/// For loads. A request costs the broker most where it brings few records of many partitions.
const BULK: &[(&str, &str)] = &[
    ("linger.ms", "100"),
    // Bounds memory where the broker is slower: a record takes some hundred bytes beside its own.
    ("queue.buffering.max.messages", "200000"),
    // Reports of what went well are an event for each record.
    ("delivery.report.only.error", "true"),
];

/// A consumer's settings. The client needs a group even where none is committed to; only members join it.
pub(super) fn consumer(brokers: &str, options: &ConsumerOptions) -> ClientConfig {
    let mut config = with(brokers, CONSUMER);
    config.set("group.id", options.group.as_deref().unwrap_or("lobstream-reader"));
    if let Assignment::Group(membership) = &options.assignment {
        member(&mut config, membership);
    }
    config
}

fn member(config: &mut ClientConfig, membership: &Membership) {
    match membership.protocol {
        GroupProtocol::Classic => {
            let timeout = membership.session_timeout.as_millis();
            config.set("partition.assignment.strategy", "cooperative-sticky");
            // Without a fixed name a restart waits until the session of its predecessor has lapsed.
            config.set("group.instance.id", &membership.name);
            config.set("session.timeout.ms", timeout.to_string());
            // Members learn by a heartbeat that the group changes: the default of 3 s makes everyone wait.
            config.set("heartbeat.interval.ms", (timeout / 10).clamp(100, 1_000).to_string());
        }
        // The broker has the other settings. A fixed name would be refused until the session of a killed
        // holder has lapsed, which librdkafka takes for fatal.
        GroupProtocol::Consumer => {
            config.set("group.protocol", "consumer");
        }
    }
}

/// Settings of a client that only asks questions, seeing transactions or not.
pub(super) fn reader(brokers: &str, isolation: &str) -> ClientConfig {
    with(brokers, &[("isolation.level", isolation)])
}

/// A producer's settings, transactional with an id.
pub(super) fn producer(brokers: &str, options: &ProducerOptions) -> ClientConfig {
    let mut config = with(brokers, PRODUCER);
    config.set("message.max.bytes", RECORD_BYTES_MAX.to_string());
    if let Some(id) = &options.transactional_id {
        config.set("transactional.id", id);
        // The default of 60 s would hold back every reader for that long after a crash.
        let timeout = options.transaction_timeout.as_millis();
        config.set("transaction.timeout.ms", timeout.to_string());
        // Below it, so that a lost record is known before the transaction ends.
        config.set("message.timeout.ms", (timeout * 4 / 5).to_string());
        set(&mut config, TRANSACTIONAL);
        config.set_log_level(RDKafkaLogLevel::Debug);
    } else {
        set(&mut config, PLAIN);
    }
    config
}

/// Settings of a producer without a transactional id, for loads.
pub(super) fn bulk_producer(brokers: &str) -> ClientConfig {
    let mut config = producer(brokers, &ProducerOptions::default());
    set(&mut config, BULK);
    config
}

/// Settings that every client has.
pub(super) fn with(brokers: &str, settings: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    // Brokers close idle connections; that is no event.
    config.set("log.connection.close", "false");
    // A new client waits half of it between its first connection and the one to a broker that it then knows:
    // the default of 100 ms is felt in every start.
    config.set("reconnect.backoff.ms", "20");
    // The default of 10 s keeps a client away that long after a broker is back.
    config.set("reconnect.backoff.max.ms", "1000");
    config.set_log_level(RDKafkaLogLevel::Warning);
    set(&mut config, settings);
    config
}

fn set(config: &mut ClientConfig, settings: &[(&str, &str)]) {
    for (name, value) in settings {
        config.set(*name, *value);
    }
}
