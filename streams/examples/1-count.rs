//! 1 · Counts words per ten seconds of event time. No server: the log is a directory.
//!
//! `cargo run -p lobstream-streams --example 1-count`

use std::error::Error;
use std::time::Duration;

use lobstream_streams::log;
use lobstream_streams::text::{Text, text};
use lobstream_streams::topology::window::Windows;
use lobstream_streams::topology::{Builder, Source};

#[path = "shared/mod.rs"]
mod shared;
use shared::{read, run, show, write};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let log = log::open(&format!("embedded:{}", dir.path().display()))?;
    write(
        &log,
        "words",
        &[(1, "red", "x"), (4, "blue", "x"), (9, "red", "x"), (12, "red", "x"), (31, "blue", "x")],
    )?;

    let mut t = Builder::<Text>::new("count");
    let words = t.stream::<String>("words", Source::topic("words", text()));
    // A window waits two seconds for late records: grace is always said, never assumed.
    let windows = Windows::tumbling(Duration::from_secs(10), Duration::from_secs(2));
    words.windowed(windows).count().named("per-ten-seconds").to("counts", text());
    let topology = t.build()?;
    show(&topology.describe());
    run(topology, &log)?;

    let counts = read(&log, "counts")?;
    show(&counts.join("\n"));
    // Each result has the last instant of its window; the window from 30 s on is still open.
    assert_eq!(counts, ["9.999 blue 1", "9.999 red 2", "19.999 red 1"]);
    Ok(())
}
