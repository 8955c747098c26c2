//! The application of the engine's tests under a simulation, and the question whether it did what it must.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Once};

use lobstream_streams::log::Log;
use lobstream_streams::testing::{Feed, Outcome, Plan, Sim};
use lobstream_streams::time::Ts;

use crate::check::check_with;
use crate::feed::{Item, PARTITIONS, Workload, items};
use crate::fixture::{Protocol, topology};

pub(crate) const WORKLOAD: Workload =
    Workload { seed: 1, records: 300, poison_every: 40, bye: true, start: 1_000_000 };

/// A simulation of the application on a workload.
pub(crate) fn sim(protocol: Protocol, workload: Workload, plan: Plan) -> Sim<String> {
    let mut feed = Feed::default().topic("app.a", PARTITIONS).topic("app.b", PARTITIONS);
    for item in items(workload) {
        match item {
            Item::Record { topic, key, value, ts, seq } => {
                feed.record(&format!("app.{topic}"), &key, Some(&value), Ts(ts), seq);
            }
            Item::Beacon(beacon) => feed.beacon(beacon.bound, beacon.bye),
        }
    }
    Sim::new(topology("app", protocol), feed).plan(plan)
}

/// The run did what the oracle says.
pub(crate) fn ask_oracle(seed: u64, outcome: &Outcome) -> Result<(), String> {
    let log: Arc<dyn Log> = Arc::new(outcome.log.clone());
    let asked = catch_unwind(AssertUnwindSafe(|| check_with("app", &log, |task| outcome.state(task))));
    asked.map(drop).map_err(|panic| {
        let words = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        format!("seed {seed}: {words}")
    })
}

/// The fixture panics when it is asked to, very often: once is enough to read about it.
pub(crate) fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if panic.payload().downcast_ref::<&str>() != Some(&"asked to") {
                usual(panic);
            }
        }));
    });
}

/// A number from the environment.
pub(crate) fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
