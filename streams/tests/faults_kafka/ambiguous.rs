//! F4: commits whose request or answer is lost or late, so that nobody knows whether they happened.

use std::time::Duration;

use crate::broker::Broker;
use crate::feed::Bed;
use crate::fixture::Protocol;
use crate::proxy::Proxy;
use crate::scene::{CLASSIC, Scene, now, say, supervise};

fn ambiguous(test: &str, commits: u64) {
    let proxy = Proxy::start();
    let Some(broker) = Broker::start(test, Some(proxy.port())) else { return };
    proxy.forward_to(broker.port());
    let bed = Bed::at(&format!("127.0.0.1:{}", proxy.port()));
    let (began, mut scene, mut ended) = (now(), Scene::new(bed, Protocol::A, CLASSIC), 0);
    let written = scene.act(400, |scene| {
        let order = scene.order("a", 1);
        let mut instance = order.start();
        instance.first_record(Duration::from_secs(30)).expect("it starts");
        proxy.spoil_one_in(15);
        while proxy.happened().iter().map(|(_, n)| n).sum::<u64>() < commits {
            std::thread::sleep(Duration::from_millis(100));
            ended += u64::from(supervise(&mut instance, &order));
        }
        proxy.spoil_one_in(0);
        std::thread::sleep(Duration::from_secs(1));
        instance.kill();
    });
    let checked = scene.verdict(test);
    let what =
        format!("F4 ambiguous commits: {:?}; the process ended by itself {ended} times", proxy.happened());
    say(&what, began, checked, written);
}

#[test]
fn an_ambiguous_commit_is_settled_by_its_note() {
    ambiguous("an_ambiguous_commit_is_settled_by_its_note", 8);
}

#[test]
#[ignore = "the long form"]
fn long_ambiguous_commits() {
    ambiguous("long_ambiguous_commits", 110);
}
