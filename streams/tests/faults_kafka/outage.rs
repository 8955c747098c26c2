//! F7: an application that is told to stop while its broker is away ends, and soon.

use std::time::Duration;

use crate::broker::Broker;
use crate::feed::{Bed, Workload, append};
use crate::fixture::Protocol;
use crate::instance::Instance;
use crate::scene::{CLASSIC, Scene, now, said};

/// One question to the cluster takes up to 5 s; the order comes in the middle of it.
const SOON: Duration = Duration::from_secs(8);

/// Runs until the broker has been killed for so long, then is told to stop; the words of its end.
fn stopped_after(test: &str, outage: Duration) -> Option<Result<(), String>> {
    let mut broker = Broker::start(test, None)?;
    let bed = Bed::at(&format!("127.0.0.1:{}", broker.port()));
    let scene = Scene::new(bed, Protocol::A, CLASSIC);
    // Much to do, so that a transaction is open whenever the broker dies.
    let much = Workload { seed: 9, records: 20_000, poison_every: 0, bye: false, start: 2_000_000 };
    append(&scene.bed, &scene.bed.open(), much);
    let instance: Instance = scene.order("a", 1).start();
    instance.first_record(Duration::from_secs(60)).expect("it works");
    broker.kill();
    std::thread::sleep(outage);
    let told = now();
    let ended = instance.stop();
    let took = told.elapsed();
    said(&format!(
        "FIGURE F7 told to stop {outage:?} after the broker's death: ended after {took:?}, {ended:?}"
    ));
    assert!(took < SOON, "{took:?}");
    broker.up();
    scene.verdict(test);
    Some(ended)
}

#[test]
fn an_order_to_stop_ends_a_wait_for_the_broker() {
    const TEST: &str = "an_order_to_stop_ends_a_wait_for_the_broker";
    // By then records have timed out and a new producer is waited for.
    let Some(ended) = stopped_after(TEST, Duration::from_secs(12)) else { return };
    let why = ended.expect_err("what was not committed is not done");
    assert!(why.contains("ended while the cluster did not answer"), "{why}");
}
