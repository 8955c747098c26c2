//! A recorded day of Shanghai through the log: the stream's image is the batch's, to the bit.

use std::collections::BTreeMap;

use lobstream::pipeline::images::{ImageStatus, decode_image};
use lobstream_streams::log::{self, Answer, Assignment, ConsumerOptions, TopicName, Tp};
use lobstream_streams::record::{Batch, Offset};
use sha2::{Digest, Sha256};

use crate::support::{Folder, kafka, lobstream, recording, root, unique};

/// SHA-256 of each recorded stock-day's image, by code, from the vectors.
fn hashes(test: &str, day: &str) -> Option<BTreeMap<String, String>> {
    let path = root().join("../shared/spec/vectors/images.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        crate::support::skipped(test, &format!("{} is absent", path.display()));
        return None;
    };
    let all: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let of_day = all["real"].as_array().expect("days").iter().filter_map(|real| {
        let (code, date) = real["symbol"].as_str()?.split_once(' ')?;
        (date == day).then(|| (code.to_owned(), real["image_sha256_f32le"].as_str().unwrap_or("").to_owned()))
    });
    Some(of_day.collect())
}

/// The same of every final image in a topic.
fn streamed(uri: &str, topic: &str) -> BTreeMap<String, String> {
    let (log, topic) = (log::open(uri).expect("log"), TopicName::new(topic));
    let options = ConsumerOptions { group: None, assignment: Assignment::Manual };
    let mut consumer = log.consumer(&options).expect("consumer");
    let mut found = BTreeMap::new();
    for partition in 0..log.partitions(&topic).expect("partitions") {
        let tp = Tp::new(&topic, partition);
        let end = log.range(&tp).expect("range").stable;
        if end == Offset(0) {
            continue;
        }
        consumer.answer(Answer::Start(&[(tp.clone(), Offset(0))])).expect("start");
        let (mut batch, mut tries) = (Batch::default(), 0);
        while batch.iter().next().is_none() && tries < 500 {
            consumer.take(&tp, 1000, &mut batch).expect("take");
            std::thread::sleep(std::time::Duration::from_millis(20));
            tries += 1;
        }
        for record in batch.iter() {
            let image = decode_image(record.value.expect("a value")).expect("an image");
            assert!(image.is_final && image.rev == 0 && image.status == ImageStatus::Ok);
            let code = String::from_utf8_lossy(record.key.expect("a key")).into_owned();
            let bytes = image.image.expect("an image");
            let hash = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
            assert!(found.insert(code, hash).is_none(), "one final image each");
        }
    }
    found
}

/// Replays files and runs the stream to its end.
fn through(
    log: &str,
    files: &[String],
    date: &str,
    prefix: &str,
    folder: &Folder,
) -> BTreeMap<String, String> {
    let mut replay: Vec<&str> = vec!["replay"];
    replay.extend(files.iter().map(String::as_str));
    replay.extend(["--date", date, "--log", log, "--topic-prefix", prefix, "--partitions", "3"]);
    lobstream(&replay).ok();
    let state = folder.path("state");
    let run = ["images", "stream", "--log", log, "--topic-prefix", prefix, "--state", &state, "--until-end"];
    lobstream(&run).ok();
    streamed(log, &format!("{prefix}image.sse"))
}

#[test]
fn the_stream_on_the_embedded_log_gives_the_images_of_the_vectors() {
    let test = "the_stream_on_the_embedded_log_gives_the_images_of_the_vectors";
    let Some(zip) = recording(test, "ashare/l2/sh600519_20230201.zip") else { return };
    let Some(want) = hashes(test, "2023-02-01") else { return };
    let folder = Folder::new();
    let log = folder.uri("embedded", "log");
    assert_eq!(through(&log, &[zip], "20230201", "", &folder), want);
}

#[test]
fn the_stream_on_kafka_gives_the_images_of_the_vectors() {
    let test = "the_stream_on_kafka_gives_the_images_of_the_vectors";
    let Some(kafka) = kafka(test) else { return };
    let files =
        ["SHorders.zip", "SHtrans.zip"].map(|f| recording(test, &format!("ashare/l2/sh5_20230711/{f}")));
    let [Some(orders), Some(trades)] = files else { return };
    let Some(want) = hashes(test, "2023-07-11") else { return };
    let (folder, prefix) = (Folder::new(), format!("{}.", unique("images")));
    let log = format!("kafka://{kafka}");
    assert_eq!(through(&log, &[orders, trades], "20230711", &prefix, &folder), want);
}

#[test]
fn files_of_ashares_need_their_day_and_a_log_needs_its_rows() {
    let test = "files_of_ashares_need_their_day_and_a_log_needs_its_rows";
    let folder = Folder::new();
    let log = folder.uri("embedded", "log");
    lobstream(&["images", "stream", "--log", &log, "--until-end"]).fails(3, &["there is no log"]);
    let Some(zip) = recording(test, "ashare/l2/sh600519_20230201.zip") else { return };
    lobstream(&["replay", &zip, "--log", &log]).fails(2, &["--date"]);
    lobstream(&["replay", &zip, "--log", &log, "--date", "20230202"]).fails(4, &["missing", "20230202"]);
    assert!(!std::path::Path::new(&folder.path("log")).exists(), "what is refused leaves no log behind");
}
