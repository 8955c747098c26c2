//! 2 · Sessions, and what becomes of records that come too late.
//!
//! `cargo run -p lobstream-streams --example 2-late`

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use lobstream_streams::log;
use lobstream_streams::topology::window::Windows;
use lobstream_streams::topology::{Builder, Source};

#[path = "shared/mod.rs"]
mod shared;
use shared::{Msg, Text, read, run, show, write};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let log = log::open(&format!("embedded:{}", dir.path().display()))?;
    // The clicks of one visitor; the one of second 8 comes when its session is long over.
    write(
        &log,
        "clicks",
        &[(0, "ann", "a"), (3, "ann", "b"), (20, "ann", "c"), (8, "ann", "d"), (60, "bob", "e")],
    )?;

    let mut t = Builder::<Msg>::new("visits");
    let clicks = t.stream::<String>("clicks", Source::topic("clicks", Arc::new(Text)));
    let sessions = Windows::session(Duration::from_secs(5), Duration::from_secs(1));
    let visits = clicks.windowed(sessions).late_to(Arc::new(Text)).reduce(|path, click| path.push_str(click));
    visits.named("visits").to("visits", Arc::new(Text));
    run(t.build()?, &log)?;

    let visits = read(&log, "visits")?;
    show(&visits.join("\n"));
    assert_eq!(visits, ["3.000 ann [0 s, 3 s] ab", "20.000 ann [20 s, 20 s] c"]);
    let late = read(&log, "visits-late")?;
    show(&late.join("\n"));
    assert_eq!(late, ["8.000 ann d"]);
    Ok(())
}
