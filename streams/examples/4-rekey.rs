//! 4 · Another key: what is said by many speakers is counted per word, by tasks of its own.
//!
//! `cargo run -p lobstream-streams --example 4-rekey`

use std::error::Error;
use std::time::Duration;

use lobstream_streams::log;
use lobstream_streams::record::Record;
use lobstream_streams::text::{Text, text};
use lobstream_streams::topology::repartition::Repartition;
use lobstream_streams::topology::window::Windows;
use lobstream_streams::topology::{Builder, Source};

#[path = "shared/mod.rs"]
mod shared;
use shared::{read, run, show, write};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let log = log::open(&format!("embedded:{}", dir.path().display()))?;
    write(&log, "said", &[(1, "ann", "red"), (2, "bob", "red"), (3, "ann", "blue"), (14, "cid", "red")])?;

    let mut t = Builder::<Text>::new("words");
    let said = t.stream::<String>("said", Source::topic("said", text()));
    // Records travel through the topic `words-word-repartition`.
    let through = Repartition::new("word", text());
    let words = said.key_by(through, |record: &Record<String>| record.value.as_str().into());
    let windows = Windows::tumbling(Duration::from_secs(10), Duration::ZERO);
    words.windowed(windows).count().named("count").to("counts", text());
    let topology = t.build()?;
    show(&topology.describe());
    run(topology, &log)?;

    let counts = read(&log, "counts")?;
    show(&counts.join("\n"));
    assert_eq!(counts, ["9.999 blue 1", "9.999 red 2"]);
    Ok(())
}
