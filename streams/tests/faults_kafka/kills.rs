//! F1: an instance that is killed again and again and comes back at once.

use std::time::Duration;

use crate::feed::Bed;
use crate::fixture::Protocol;
use crate::scene::{CLASSIC, Scene, now, say};

fn killed(test: &str, protocol: Protocol, kills: u64, per_second: u64) {
    let Some(bed) = Bed::kafka(test) else { return };
    let (began, mut scene, mut firsts) = (now(), Scene::new(bed, protocol, CLASSIC), Vec::new());
    let written = scene.act(per_second, |scene| {
        for _ in 0..kills {
            let instance = scene.order("a", 2).start();
            firsts.extend(instance.first_record(Duration::from_secs(30)));
            std::thread::sleep(scene.between(0, 1_200));
            instance.kill();
        }
    });
    let checked = scene.verdict(test);
    firsts.sort();
    let at = |share: usize| firsts[(firsts.len() - 1) * share / 100].as_millis();
    say(
        &format!(
            "F1 kill -9, protocol {protocol:?}: {kills} kills; first record after a restart p50 {} ms, p95 {} ms, worst {} ms",
            at(50),
            at(95),
            at(100)
        ),
        began,
        checked,
        written,
    );
}

#[test]
fn kills_lose_nothing() {
    killed("kills_lose_nothing", Protocol::A, 8, 1_000);
}

#[test]
#[ignore = "the long form"]
fn long_kills_with_changelogs() {
    killed("long_kills_with_changelogs", Protocol::A, 120, 1_500);
}

#[test]
#[ignore = "the long form"]
fn long_kills_with_muted_replay() {
    killed("long_kills_with_muted_replay", Protocol::B, 120, 1_500);
}
