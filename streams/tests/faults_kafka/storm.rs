//! F6: instances that join and leave the group all the time, in order and by being killed.

use lobstream_streams::settings::Sharing;

use crate::feed::Bed;
use crate::fixture::Protocol;
use crate::instance::Instance;
use crate::scene::{CLASSIC, CONSUMER, Scene, now, said, say};

fn storm(test: &str, protocol: Protocol, sharing: Sharing, changes: u64) {
    let Some(bed) = Bed::kafka(test) else { return };
    let (began, mut scene) = (now(), Scene::new(bed, protocol, sharing));
    let (mut killed, mut stopped) = (0, 0);
    let written = scene.act(400, |scene| {
        let mut instances: [Option<Instance>; 3] = [None, None, None];
        for _ in 0..changes {
            let slot = scene.random.below(3) as usize;
            let name = ["a", "b", "c"][slot];
            let threads = 1 + scene.random.below(2) as u32;
            instances[slot] = match instances[slot].take() {
                None => Some(scene.order(name, threads).start()),
                Some(instance) if scene.random.below(4) == 0 => {
                    killed += 1;
                    instance.kill();
                    None
                }
                Some(instance) => {
                    stopped += 1;
                    if let Err(why) = instance.stop() {
                        said(&format!("{test}: {name} {why}"));
                    }
                    None
                }
            };
            std::thread::sleep(scene.between(200, 2_200));
        }
        instances.into_iter().flatten().for_each(Instance::kill);
    });
    let checked = scene.verdict(test);
    say(
        &format!(
            "F6 storm, {sharing:?}: {changes} joins and leaves, of which {stopped} in order and {killed} by kill -9"
        ),
        began,
        checked,
        written,
    );
}

#[test]
fn a_storm_of_rebalances_loses_nothing() {
    storm("a_storm_of_rebalances_loses_nothing", Protocol::B, CLASSIC, 10);
}

#[test]
fn a_storm_of_rebalances_by_the_broker_loses_nothing() {
    storm("a_storm_of_rebalances_by_the_broker_loses_nothing", Protocol::A, CONSUMER, 10);
}

macro_rules! long {
    ($($name:ident $protocol:ident $sharing:ident),*) => { $(
        #[test]
        #[ignore = "the long form"]
        fn $name() {
            storm(stringify!($name), Protocol::$protocol, $sharing, 105);
        }
    )* };
}

// Most of the time is waiting: three at a time.
long!(
    long_storm_classic_1 A CLASSIC,
    long_storm_classic_2 B CLASSIC,
    long_storm_classic_3 A CLASSIC,
    long_storm_consumer_1 A CONSUMER,
    long_storm_consumer_2 B CONSUMER,
    long_storm_consumer_3 A CONSUMER
);
