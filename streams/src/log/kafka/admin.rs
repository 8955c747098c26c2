//! Making topics, refusing those that would lose what is to be kept, and deleting what need not be.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use futures_executor::block_on;
use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::cluster::{ANSWER, Cluster};
use super::{log_error, offset, partition};
use crate::error::LogError;
use crate::log::{TopicSpec, Tp};
use crate::record::Offset;

/// Copies of each partition where there are brokers enough.
const COPIES: usize = 3;

/// A new topic is known to all brokers a little later; looked for so often, so long apart.
const LOOKS: u32 = 200;
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// Deletes the records before these offsets.
pub(super) fn purge(cluster: &Cluster, before: &[(Tp, Offset)]) -> Result<(), LogError> {
    if before.is_empty() {
        return Ok(());
    }
    let failed = |error: &KafkaError| log_error("deletion of records", None, error);
    let mut list = TopicPartitionList::new();
    for (tp, at) in before {
        list.add_partition_offset(tp.topic.as_str(), partition(tp), offset(*at)).map_err(|e| failed(&e))?;
    }
    let deleted = cluster.admin(|admin| block_on(admin.delete_records(&list, &options())));
    let deleted = deleted.map_err(|e| failed(&e))?;
    for element in deleted.elements() {
        element.error().map_err(|e| failed(&e))?;
    }
    Ok(())
}

/// Makes the topic or checks the one that exists.
pub(super) fn ensure_topic(cluster: &Cluster, spec: &TopicSpec) -> Result<(), LogError> {
    match cluster.partitions(&spec.name) {
        Ok(found) => check(cluster, spec, found),
        Err(LogError::UnknownTopic { .. }) => match create(cluster, spec)? {
            Created::Now => wait(cluster, spec),
            // Another process was quicker.
            Created::Before => {
                wait(cluster, spec).and_then(|()| check(cluster, spec, cluster.partitions(&spec.name)?))
            }
        },
        Err(error) => Err(error),
    }
}

enum Created {
    Now,
    Before,
}

fn create(cluster: &Cluster, spec: &TopicSpec) -> Result<Created, LogError> {
    let failed = |error: &KafkaError| log_error(format!("making of topic {}", spec.name), None, error);
    let brokers = cluster.metadata(None).map_err(|error| failed(&error))?.brokers().len();
    let copies = brokers.clamp(1, COPIES);
    let in_sync = copies.saturating_sub(1).max(1).to_string();
    let retention = retention(spec).to_string();
    let topic = NewTopic::new(
        spec.name.as_str(),
        i32::try_from(spec.partitions).unwrap_or(i32::MAX),
        TopicReplication::Fixed(copies as i32),
    )
    .set("min.insync.replicas", &in_sync)
    .set("retention.ms", &retention)
    .set("retention.bytes", "-1")
    .set("cleanup.policy", policy(spec))
    // Records are found by their own time, not by when they were written.
    .set("message.timestamp.type", "CreateTime");
    let asked = cluster.admin(|admin| block_on(admin.create_topics([&topic], &options())));
    let answers = asked.map_err(|error| failed(&error))?;
    match answers.into_iter().next() {
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(Created::Before),
        Some(Err((_, code))) => Err(failed(&KafkaError::AdminOp(code))),
        Some(Ok(_)) | None => Ok(Created::Now),
    }
}

/// Until the topic can be used: every partition has a leader.
fn wait(cluster: &Cluster, spec: &TopicSpec) -> Result<(), LogError> {
    for _ in 0..LOOKS {
        let found = cluster
            .metadata(Some(spec.name.as_str()))
            .map_err(|error| log_error(format!("metadata of topic {}", spec.name), None, &error))?;
        let topic = found.topics().first();
        let led = topic.map_or(0, |t| t.partitions().iter().filter(|p| p.leader() >= 0).count());
        if led > 0 && topic.is_some_and(|t| t.partitions().len() == led) {
            return Ok(());
        }
        thread::sleep(LOOK_PAUSE);
    }
    Err(LogError::Client {
        what: format!("making of topic {}", spec.name),
        reason: "it was made, but its partitions have no leader yet".to_owned(),
        retriable: true,
    })
}

fn check(cluster: &Cluster, spec: &TopicSpec, found: u32) -> Result<(), LogError> {
    let mismatch = |what: String| Err(LogError::TopicMismatch { topic: spec.name.to_string(), what });
    if found != spec.partitions {
        let wanted = spec.partitions;
        return mismatch(format!("{found} partitions, not {wanted}: ask for {found}, or use another topic"));
    }
    let settings = describe(cluster, spec)?;
    let Some((name, value)) = wrong(spec, |name| settings.get(name).map_or("", String::as_str)) else {
        return Ok(());
    };
    mismatch(format!(
        "{name}={}, which would lose what is to be kept; change it with\n  \
         kafka-configs.sh --bootstrap-server {} --alter --entity-type topics --entity-name {} --add-config {name}={value}",
        settings.get(name).map_or("", String::as_str),
        cluster.brokers(),
        spec.name,
    ))
}

/// The first setting that does not keep what the specification keeps, and a value that does.
fn wrong<'a>(spec: &TopicSpec, setting: impl Fn(&str) -> &'a str) -> Option<(&'static str, String)> {
    let number = |name| setting(name).parse::<i64>().unwrap_or(-1);
    // The time of a record is in its headers only where this could not hold it.
    if setting("message.timestamp.type") == "LogAppendTime" {
        return Some(("message.timestamp.type", "CreateTime".to_owned()));
    }
    let cleanup: Vec<_> = setting("cleanup.policy").split(',').collect();
    if cleanup.contains(&"compact") != spec.compact {
        // Values that contain a comma stand in brackets.
        return Some(("cleanup.policy", format!("[{}]", policy(spec))));
    }
    if !cleanup.contains(&"delete") {
        return None;
    }
    let (wanted, kept) = (retention(spec), number("retention.ms"));
    if kept != -1 && (wanted == -1 || kept < wanted) {
        return Some(("retention.ms", wanted.to_string()));
    }
    if number("retention.bytes") != -1 {
        return Some(("retention.bytes", "-1".to_owned()));
    }
    None
}

fn describe(cluster: &Cluster, spec: &TopicSpec) -> Result<HashMap<String, String>, LogError> {
    let failed = |error: &KafkaError| log_error(format!("settings of topic {}", spec.name), None, error);
    let asked = [ResourceSpecifier::Topic(spec.name.as_str())];
    let answers = cluster.admin(|admin| block_on(admin.describe_configs(&asked, &options())));
    let answers = answers.map_err(|error| failed(&error))?;
    match answers.into_iter().next() {
        Some(Ok(resource)) => {
            let entries = resource.entries.into_iter();
            Ok(entries.filter_map(|entry| Some((entry.name, entry.value?))).collect())
        }
        Some(Err(code)) => Err(failed(&KafkaError::AdminOp(code))),
        None => Ok(HashMap::new()),
    }
}

fn retention(spec: &TopicSpec) -> i64 {
    spec.retention.map_or(-1, |kept| i64::try_from(kept.as_millis()).unwrap_or(-1))
}

fn policy(spec: &TopicSpec) -> &'static str {
    match (spec.compact, spec.retention.is_some()) {
        (false, _) => "delete",
        (true, false) => "compact",
        (true, true) => "compact,delete",
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ANSWER)).operation_timeout(Some(ANSWER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::TopicName;

    fn found(spec: &TopicSpec, settings: &[(&str, &'static str)]) -> Option<(&'static str, String)> {
        let defaults = [("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")];
        let value = |name: &str| {
            settings.iter().chain(&defaults).find(|(n, _)| *n == name).map_or("", |(_, value)| *value)
        };
        wrong(spec, value)
    }

    #[test]
    fn settings_that_would_lose_records_are_named() {
        let forever = TopicSpec { name: TopicName::new("t"), partitions: 1, retention: None, compact: false };
        let day = TopicSpec { retention: Some(Duration::from_secs(86_400)), ..forever.clone() };
        let compact = TopicSpec { compact: true, ..forever.clone() };
        let both = TopicSpec { compact: true, ..day.clone() };
        let fix = |name, value: &str| Some((name, value.to_owned()));

        assert_eq!(found(&forever, &[]), None);
        let by_broker = [("message.timestamp.type", "LogAppendTime")];
        assert_eq!(found(&forever, &by_broker), fix("message.timestamp.type", "CreateTime"));
        assert_eq!(found(&forever, &[("retention.ms", "604800000")]), fix("retention.ms", "-1"));
        assert_eq!(found(&forever, &[("retention.bytes", "1000")]), fix("retention.bytes", "-1"));
        assert_eq!(found(&forever, &[("cleanup.policy", "compact")]), fix("cleanup.policy", "[delete]"));
        assert_eq!(found(&day, &[("retention.ms", "604800000")]), None, "longer is enough");
        assert_eq!(found(&day, &[("retention.ms", "3600000")]), fix("retention.ms", "86400000"));
        assert_eq!(found(&compact, &[]), fix("cleanup.policy", "[compact]"));
        assert_eq!(found(&compact, &[("cleanup.policy", "compact"), ("retention.ms", "1")]), None);
        assert_eq!(found(&both, &[("cleanup.policy", "compact,delete")]), None);
        assert_eq!(
            found(&compact, &[("cleanup.policy", "compact,delete"), ("retention.ms", "9")]),
            fix("retention.ms", "-1")
        );
    }
}
