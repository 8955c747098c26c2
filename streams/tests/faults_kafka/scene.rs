//! What all faults share: a topic that is being written, instances that read it, and the verdict.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lobstream_streams::log::Log;
use lobstream_streams::settings::{GroupProtocol, Sharing};

use crate::check::check;
use crate::feed::{Bed, Random, Workload, append, feed};
use crate::fixture::Protocol;
use crate::instance::{Instance, Order};

pub(crate) const CLASSIC: Sharing = Sharing::Group(GroupProtocol::Classic);
pub(crate) const CONSUMER: Sharing = Sharing::Group(GroupProtocol::Consumer);

/// Records of one step of the writer.
const STEP: u64 = 200;

/// An application under fire.
pub(crate) struct Scene {
    pub(crate) bed: Bed,
    pub(crate) protocol: Protocol,
    pub(crate) sharing: Sharing,
    /// Where the application finds the log, if it is not where the writer finds it.
    pub(crate) uri: String,
    pub(crate) random: Random,
}

impl Scene {
    pub(crate) fn new(bed: Bed, protocol: Protocol, sharing: Sharing) -> Scene {
        feed(&bed, &bed.open(), Scene::workload(0));
        let uri = bed.uri.clone();
        // The bed's names are random: so are the moments of a run.
        let seed = bed.app.bytes().fold(7, |seed: u64, byte| seed.wrapping_mul(31) + u64::from(byte)) | 1;
        Scene { bed, protocol, sharing, uri, random: Random(seed) }
    }

    fn workload(step: u64) -> Workload {
        let start = 1_000_000 + step as i64 * 20_000;
        Workload { seed: step + 1, records: STEP, poison_every: 500, bye: false, start }
    }

    pub(crate) fn order(&self, name: &str, threads: u32) -> Order {
        Order {
            uri: self.uri.clone(),
            app: self.bed.app.clone(),
            dir: self.bed.dir.path().to_owned(),
            name: name.to_owned(),
            protocol: self.protocol,
            sharing: self.sharing,
            threads,
            until_end: false,
        }
    }

    pub(crate) fn between(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.random.below(most - least))
    }

    /// Runs `act` while the input is written at about so many records a second; the number written.
    pub(crate) fn act(&mut self, per_second: u64, act: impl FnOnce(&mut Scene)) -> u64 {
        let (stop, steps) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (bed, log) = (twin(&self.bed), self.bed.open());
        let writer = std::thread::spawn({
            let (stop, steps) = (Arc::clone(&stop), Arc::clone(&steps));
            let pause = Duration::from_millis(1_000 * STEP / per_second);
            move || write(&bed, &log, pause, &stop, &steps)
        });
        act(self);
        stop.store(true, Ordering::Release);
        writer.join().expect("the writer writes");
        (steps.load(Ordering::Acquire) + 1) * STEP
    }

    /// Lets one instance bring the application to its end, then asks the oracle. Outputs checked.
    pub(crate) fn verdict(&self, what: &str) -> usize {
        let order = Order { until_end: true, ..self.order("last", 2) };
        for attempt in 1.. {
            match order.start().end() {
                Ok(()) => break,
                Err(why) if attempt < 5 => said(&format!("{what}: the last run ended with {why}")),
                Err(why) => panic!("{what}: {why}"),
            }
        }
        check(&self.bed, &self.bed.open())
    }
}

/// The same names, for another thread.
fn twin(bed: &Bed) -> Bed {
    let dir = tempfile::tempdir().expect("a directory");
    Bed { uri: bed.uri.clone(), app: bed.app.clone(), dir }
}

fn write(bed: &Bed, log: &Arc<dyn Log>, pause: Duration, stop: &AtomicBool, steps: &AtomicU64) {
    while !stop.load(Ordering::Acquire) {
        let step = steps.fetch_add(1, Ordering::AcqRel) + 1;
        append(bed, log, Scene::workload(step));
        std::thread::sleep(pause);
    }
}

/// Restarts an instance that has ended by itself, which a supervisor would do too. `true`: it had.
pub(crate) fn supervise(instance: &mut Instance, order: &Order) -> bool {
    let ended = instance.has_ended();
    if ended {
        let dead = std::mem::replace(instance, order.start());
        said(&format!("{} ended by itself: {:?}", order.name, dead.end()));
    }
    ended
}

/// A line for docs/reliability.md.
pub(crate) fn say(what: &str, began: Instant, checked: usize, written: u64) {
    let seconds = began.elapsed().as_secs();
    said(&format!("FIGURE {what}; {written} records in, {checked} outputs equal, {seconds} s"));
}

/// Says it past the harness, which keeps what passing tests print.
pub(crate) fn said(text: &str) {
    writeln!(std::io::stderr(), "{text}").expect("standard error takes text");
}

#[expect(clippy::disallowed_methods, reason = "tells how long a test took")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
