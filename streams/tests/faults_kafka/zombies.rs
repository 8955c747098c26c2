//! F5: an instance is frozen until others have taken over, then wakes up and goes on where it stood.

use std::time::Duration;

use crate::feed::Bed;
use crate::fixture::Protocol;
use crate::scene::{CLASSIC, Scene, now, said, say, supervise};

/// Longer than the session, so that the group has given the partitions away.
const FROZEN: (u64, u64) = (6_500, 9_000);

fn frozen(test: &str, zombies: u64) {
    let Some(bed) = Bed::kafka(test) else { return };
    let (began, mut scene) = (now(), Scene::new(bed, Protocol::A, CLASSIC));
    let written = scene.act(400, |scene| {
        let orders = [scene.order("a", 1), scene.order("b", 1)];
        let mut instances = [orders[0].start(), orders[1].start()];
        for i in 0..zombies as usize {
            std::thread::sleep(scene.between(1_000, 2_500));
            instances[i % 2].signal("STOP");
            std::thread::sleep(scene.between(FROZEN.0, FROZEN.1));
            instances[i % 2].signal("CONT");
            for (instance, order) in instances.iter_mut().zip(&orders) {
                supervise(instance, order);
            }
        }
        std::thread::sleep(Duration::from_secs(2));
        for instance in instances {
            if let Err(why) = instance.stop() {
                said(&format!("{test}: {why}"));
            }
        }
    });
    let checked = scene.verdict(test);
    say(&format!("F5 zombies: {zombies} frozen past the session and resumed"), began, checked, written);
}

#[test]
fn a_zombie_commits_nothing() {
    frozen("a_zombie_commits_nothing", 2);
}

macro_rules! long {
    ($($name:ident),*) => { $(
        #[test]
        #[ignore = "the long form"]
        fn $name() {
            frozen(stringify!($name), 13);
        }
    )* };
}

// Waiting costs nothing: four at a time.
long!(long_zombies_1, long_zombies_2, long_zombies_3, long_zombies_4);
