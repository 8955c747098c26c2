//! F7: a broker that is stopped, killed and frozen while an application and a writer use it.

use std::time::Duration;

use lobstream_streams::log::{Assignment, ConsumerOptions, Tp};

use crate::broker::Broker;
use crate::feed::{Bed, PARTITIONS};
use crate::fixture::Protocol;
use crate::scene::{CLASSIC, Scene, now, say, supervise};

/// Positions that the application has committed, all together.
fn committed(scene: &Scene) -> Option<u64> {
    let log = scene.bed.open();
    let group = Some(scene.bed.app.clone());
    let mut reader = log.consumer(&ConsumerOptions { group, assignment: Assignment::Manual }).ok()?;
    let tp = |name, p| Tp::new(&scene.bed.topic(name), p);
    let tps: Vec<Tp> = (0..PARTITIONS).flat_map(|p| [tp("a", p), tp("b", p)]).collect();
    let found = reader.committed(&tps).ok()?;
    Some(found.into_iter().flatten().map(|commit| commit.offset.0).sum())
}

/// How a broker is away.
#[derive(Clone, Copy, PartialEq)]
enum Away {
    /// Stopped in order and killed in turns; it forgets its connections.
    Restarted,
    /// It stands still longer than sessions and transactions last, and goes on where it was.
    Frozen,
}

/// Longer than a session (10 s), a transaction (10 s) and what a broker's own controller lets pass (9 s).
const FROZEN: Duration = Duration::from_secs(12);

fn away(scene: &mut Scene, broker: &mut Broker, how: Away, i: u64) {
    match how {
        Away::Frozen => return broker.freeze(FROZEN),
        Away::Restarted if i.is_multiple_of(2) => broker.down(),
        Away::Restarted => broker.kill(),
    }
    std::thread::sleep(scene.between(500, 4_000));
    broker.up();
}

fn restarted(test: &str, how: Away, restarts: u64) {
    let Some(mut broker) = Broker::start(test, None) else { return };
    let bed = Bed::at(&format!("127.0.0.1:{}", broker.port()));
    let (began, mut scene) = (now(), Scene::new(bed, Protocol::B, CLASSIC));
    let (mut ended, mut recovered) = (0, Vec::new());
    let written = scene.act(400, |scene| {
        let order = scene.order("a", 2);
        let mut instance = order.start();
        for i in 0..restarts {
            std::thread::sleep(scene.between(1_500, 3_000));
            away(scene, &mut broker, how, i);
            let (up, before) = (now(), committed(scene));
            loop {
                ended += u64::from(supervise(&mut instance, &order));
                if committed(scene) > before || up.elapsed() > Duration::from_secs(60) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            recovered.push(up.elapsed());
        }
        instance.kill();
    });
    let checked = scene.verdict(test);
    recovered.sort();
    let at = |share: usize| recovered[(recovered.len() - 1) * share / 100].as_millis();
    let what = match how {
        Away::Restarted => format!("restarts: {restarts}, every other by kill -9"),
        Away::Frozen => format!("frozen {restarts} times for {} s", FROZEN.as_secs()),
    };
    say(
        &format!(
            "F7 broker {what}; next commit after the return p50 {} ms, worst {} ms; \
             the process ended by itself {ended} times",
            at(50),
            at(100)
        ),
        began,
        checked,
        written,
    );
}

#[test]
fn a_broker_that_restarts_loses_nothing() {
    restarted("a_broker_that_restarts_loses_nothing", Away::Restarted, 2);
}

#[test]
fn a_broker_frozen_between_restarts_loses_nothing() {
    restarted("a_broker_frozen_between_restarts_loses_nothing", Away::Frozen, 1);
}

#[test]
#[ignore = "the long form"]
fn long_restarts() {
    restarted("long_restarts", Away::Restarted, 42);
}

#[test]
#[ignore = "the long form"]
fn long_restarts_frozen() {
    restarted("long_restarts_frozen", Away::Frozen, 12);
}
