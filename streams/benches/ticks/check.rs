//! Are the rows right? Each output topic against a slow recomputation from the input, which shares no code
//! with the topology.

use std::collections::BTreeMap;
use std::time::Duration;

use lobstream_streams::log::{Answer, Assignment, ConsumerOptions, GroupEvent, TopicName, Tp, open};
use lobstream_streams::record::{Batch, InRecord, Offset};

use crate::Outcome;
use crate::args::Args;

/// Key and second → count, sum, last.
type Rows = BTreeMap<Place, Row>;
type Place = (String, i64);
type Row = [i64; 3];

pub(crate) fn check(args: &Args) -> Outcome {
    let (brokers, input) = (args.word(1), args.word(2));
    let (expected, n) = recompute(brokers, input)?;
    println!("{input}: {n} ticks, {} closed seconds of a key", expected.len());
    for output in args.words_from(3) {
        let mut rows = Rows::new();
        let mut twice = 0;
        read(brokers, output, |_, record| {
            let (key, row) = row(record)?;
            twice += u64::from(rows.insert(key, row).is_some());
            Ok(())
        })?;
        let lost = expected.keys().filter(|key| !rows.contains_key(key)).count();
        let strange = rows.keys().filter(|key| !expected.contains_key(key)).count();
        let wrong = rows.iter().filter(|(key, row)| expected.get(key).is_some_and(|e| e != *row)).count();
        println!(
            "{output}: {} rows, {twice} twice, {lost} missing, {strange} too many, {wrong} wrong",
            rows.len()
        );
        if twice + (lost + strange + wrong) as u64 > 0 {
            return Err(format!("{output} does not hold the rows of {input}").into());
        }
    }
    Ok(())
}

/// Count, sum and last of every key and second that is over in its partition.
fn recompute(brokers: &str, input: &str) -> Result<(Rows, u64), Box<dyn std::error::Error>> {
    let (mut rows, mut newest, mut n) = (BTreeMap::new(), BTreeMap::new(), 0u64);
    read(brokers, input, |partition, record| {
        let json: serde_json::Value = serde_json::from_slice(record.value.unwrap_or_default())?;
        let number = |name: &str| json[name].as_i64().ok_or_else(|| format!("{name} of {json}"));
        let second = number("ts")?.div_euclid(1_000_000_000);
        let key = (partition, json["sym"].as_str().unwrap_or_default().to_owned(), second);
        let row = rows.entry(key).or_insert([0; 3]);
        *row = [row[0] + 1, row[1] + number("qty")?, number("px")?];
        let newest: &mut i64 = newest.entry(partition).or_insert(second);
        (*newest, n) = (second.max(*newest), n + 1);
        Ok(())
    })?;
    let over = rows.into_iter().filter(|((partition, _, second), _)| *second < newest[partition]);
    Ok((over.map(|((_, key, second), row)| ((key, second), row)).collect(), n))
}

fn row(record: InRecord<'_>) -> Result<(Place, Row), Box<dyn std::error::Error>> {
    let json: serde_json::Value = serde_json::from_slice(record.value.unwrap_or_default())?;
    let number = |name: &str| json[name].as_i64().ok_or_else(|| format!("{name} of {json}"));
    let key = String::from_utf8(record.key.unwrap_or_default().to_vec())?;
    Ok(((key, number("start")?), [number("n")?, number("sum")?, number("last")?]))
}

/// Every committed record of a topic.
fn read(
    brokers: &str,
    topic: &str,
    mut see: impl FnMut(u32, InRecord<'_>) -> Outcome,
) -> Result<(), Box<dyn std::error::Error>> {
    let log = open(&format!("kafka://{brokers}"))?;
    let options = ConsumerOptions { group: None, assignment: Assignment::Static { index: 0, of: 1 } };
    let mut consumer = log.consumer(&options)?;
    consumer.subscribe(&[TopicName::new(topic)])?;
    let Some(GroupEvent::Assign(tps)) = consumer.serve(Duration::from_secs(5))? else {
        return Err(format!("{topic}: no partitions").into());
    };
    let starts: Vec<(Tp, Offset)> = tps.iter().map(|tp| (tp.clone(), Offset(0))).collect();
    consumer.answer(Answer::Start(&starts))?;
    let mut batch = Batch::default();
    for tp in &tps {
        loop {
            batch.clear();
            let taken = consumer.take(tp, 10_000, &mut batch)?;
            batch.iter().try_for_each(|record| see(tp.partition, record))?;
            if taken.n == 0 && taken.caught_up {
                break;
            }
            if taken.n == 0 {
                consumer.serve(Duration::from_millis(1))?;
            }
        }
    }
    Ok(())
}
