//! 2 · Sessions, and what becomes of records that come too late.
//!
//! `cargo run -p lobstream-streams --example 2-late`

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
    // The clicks of one visitor; the one of second 8 comes when its session is long over.
    write(
        &log,
        "clicks",
        &[(0, "ann", "a"), (3, "ann", "b"), (20, "ann", "c"), (8, "ann", "d"), (60, "bob", "e")],
    )?;

    let mut t = Builder::<Text>::new("visits");
    let clicks = t.stream::<String>("clicks", Source::topic("clicks", text()));
    let sessions = Windows::session(Duration::from_secs(5), Duration::from_secs(1));
    let visits = clicks.windowed(sessions).late_to(text()).reduce(|path, click| path.push_str(click));
    visits.named("visits").to("visits", text());
    run(t.build()?, &log)?;

    let visits = read(&log, "visits")?;
    show(&visits.join("\n"));
    assert_eq!(visits, ["3.000 ann ab", "20.000 ann c"]);
    let late = read(&log, "visits-late")?;
    show(&late.join("\n"));
    assert_eq!(late, ["8.000 ann d"]);
    Ok(())
}
