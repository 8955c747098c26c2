//! F15: what a live run wrote, killed and started again as it was, is what its input gives when it is run again.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use lobstream_streams::log::Log;
use lobstream_streams::verify::{Verified, VerifyOptions, verify};

use crate::feed::Bed;
use crate::fixture::{Protocol, settings, topology};
use crate::scene::{CLASSIC, Scene, now, say};

fn run_again(bed: &Bed, log: &Arc<dyn Log>, protocol: Protocol, batch: usize, n_threads: u32) -> Verified {
    let settings = settings(&bed.dir.path().join("again"));
    let options = VerifyOptions { batch, n_threads, ..VerifyOptions::default() };
    let topology = topology(&bed.app, protocol);
    verify(topology, log, &settings, &options, &AtomicBool::new(false)).expect("it can be told")
}

fn replayed(test: &str, kills: u64, per_second: u64, least: u64, most: u64) {
    let Some(bed) = Bed::kafka(test) else { return };
    let (began, mut scene) = (now(), Scene::new(bed, Protocol::B, CLASSIC));
    let written = scene.act(per_second, |scene| {
        for _ in 0..kills {
            let instance = scene.order("a", 2).start();
            instance.first_record(Duration::from_secs(30));
            std::thread::sleep(scene.between(least, most));
            instance.kill();
        }
    });
    let checked = scene.verdict(test);
    let log = scene.bed.open();
    let mut outputs = 0;
    for (batch, n_threads) in [(1, 1), (97, 2), (1_000, 4)] {
        let found = run_again(&scene.bed, &log, scene.protocol, batch, n_threads);
        assert!(found.is_equal(), "{n_threads} threads: {:?}", found.differences);
        assert!(found.epochs > 20 && found.digests > 4, "a live run has epochs, and digests: {found:?}");
        assert!(outputs == 0 || outputs == found.outputs, "as many each time");
        outputs = found.outputs;
    }
    assert!(outputs >= checked as u64, "all that the oracle saw was run again: {outputs}");
    say(
        &format!("F15 live = replay: {kills} kills, 1, 2 and 4 threads, {outputs} outputs"),
        began,
        checked,
        written,
    );
}

#[test]
fn a_live_run_with_kills_is_its_replay() {
    replayed("a_live_run_with_kills_is_its_replay", 3, 1_000, 1_000, 3_000);
}

#[test]
#[ignore = "the long form"]
fn long_replay_of_a_live_run_with_kills() {
    replayed("long_replay_of_a_live_run_with_kills", 60, 2_000, 5_000, 20_000);
}
