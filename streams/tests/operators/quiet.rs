//! An input that is silent without saying so.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lobstream_streams::log::TopicName;
use lobstream_streams::runtime::Until;
use lobstream_streams::runtime::metrics::Progress;
use lobstream_streams::topology::{Builder, Idle, Source, Topology};

use crate::bed::Bed;
use crate::words::{Msg, text};

fn both(idle: Idle) -> Topology<Msg> {
    let mut t = Builder::<Msg>::new("app");
    let a = t.stream::<String>("a", Source::topic("a", text()).rank(0));
    let b = t.stream::<String>("b", Source::topic("b", text()).rank(1).idle(idle));
    a.merge(&b).to("out", text());
    t.build().expect("valid")
}

/// Runs until `n` records have come out in all or the time is up; tells how many have, and how often a channel
/// was skipped.
fn run_until(bed: &Bed, idle: Idle, n: usize, within: Duration) -> (usize, u64) {
    let (stop, progress) = (AtomicBool::new(false), Progress::default());
    let app = bed.app(both(idle), bed.settings());
    std::thread::scope(|scope| {
        let run = scope.spawn(|| app.run(Until::Shutdown, &stop, &progress));
        let slice = Duration::from_millis(5);
        let mut left = within;
        while written(bed) < n && !left.is_zero() {
            std::thread::sleep(slice);
            left = left.saturating_sub(slice);
        }
        stop.store(true, Ordering::Release);
        run.join().expect("no panic").expect("a run");
    });
    let snapshot = progress.snapshot();
    (written(bed), snapshot.counts.get("idle_skipped_total").copied().unwrap_or(0))
}

fn written(bed: &Bed) -> usize {
    bed.log.partitions(&TopicName::new("out")).map_or(0, |_| bed.read("out", 0).len())
}

#[test]
fn a_silent_input_holds_the_others_unless_its_source_says_how_long() {
    let bed = Bed::memory();
    bed.topic("b", 1);
    bed.feed("a", &[(10, "k", Some("a10")), (20, "k", Some("a20"))]);
    assert_eq!(run_until(&bed, Idle::Wait, 1, Duration::from_millis(200)), (0, 0));
    let skip = Idle::Skip { after: Duration::from_millis(30) };
    let bed = Bed::memory();
    bed.topic("b", 1);
    bed.feed("a", &[(10, "k", Some("a10")), (20, "k", Some("a20"))]);
    let (n, skipped) = run_until(&bed, skip, 2, Duration::from_secs(20));
    assert!(n == 2 && skipped >= 1, "{n} {skipped}");
    // What comes after all is taken as younger than what was processed, and stays there in a second run.
    bed.feed("b", &[(5, "k", Some("b5"))]);
    bed.feed("a", &[(30, "k", Some("a30"))]);
    assert_eq!(run_until(&bed, skip, 4, Duration::from_secs(20)).0, 4);
    let texts: Vec<String> = bed.read("out", 0).iter().map(|row| row.text().to_owned()).collect();
    assert_eq!(texts, ["a10", "a20", "b5", "a30"]);
}
