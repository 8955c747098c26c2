//! What happens to a request on its way, drawn from a seed.

use std::time::Duration;

use super::random::Random;

/// How often things go wrong: each number is "one in so many", 0 is never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// A request does not arrive; the client sends it again.
    pub request_lost: u64,
    /// A request is done, its reply does not arrive; the client sends it again.
    pub reply_lost: u64,
    /// A request arrives late, when the client has long sent it again: it is done twice, the second time at a
    /// moment nobody chose.
    pub late: u64,
    /// No reply comes before the client gives up: the request was done, or will be, or never.
    pub unanswered: u64,
    /// The process that sends a request dies. It was done, or will be, or never.
    pub dies: u64,
    /// A send buffer is full.
    pub full: u64,
    /// A partition has not been fetched yet.
    pub unfetched: u64,
    /// Longest way of a late request.
    pub late_max: Duration,
    /// Longest time from the end of a transaction until it is seen.
    pub marker_max: Duration,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Faults = Faults {
        request_lost: 0,
        reply_lost: 0,
        late: 0,
        unanswered: 0,
        dies: 0,
        full: 0,
        unfetched: 0,
        late_max: Duration::ZERO,
        marker_max: Duration::ZERO,
    };

    /// Everything goes wrong, often enough to meet it in a run of some hundred epochs.
    pub const ALL: Faults = Faults {
        request_lost: 60,
        reply_lost: 60,
        late: 60,
        unanswered: 150,
        dies: 400,
        full: 500,
        unfetched: 10,
        late_max: Duration::from_secs(30),
        marker_max: Duration::from_millis(30),
    };
}

/// A rule that is broken on purpose, to see that a simulation finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// A new holder of a transactional id is given the epoch of the old one, whose transaction goes on: no new
    /// producer after an unknown outcome.
    NeverFences,
    /// A producer goes on although the end of its last transaction may come again.
    AcceptsLateEnds,
    /// A checkpoint is written before the commit of its epoch. Only a simulation breaks this rule; the log does not
    /// know it.
    #[cfg(feature = "sabotage")]
    CheckpointFirst,
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Done,
    RequestLost,
    ReplyLost,
    /// It is done after this time too.
    Late(Duration),
    Unanswered(Chance),
    Dies(Chance),
}

/// What becomes of a request whose sender will not learn it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chance {
    Never,
    Now,
    /// After this time.
    Later(Duration),
}

/// The way between clients and the broker.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) faults: Faults,
    pub(super) random: Random,
}

impl Network {
    pub(super) fn draw(&mut self) -> Fate {
        let (faults, random) = (&self.faults, &mut self.random);
        if random.one_in(faults.request_lost) {
            return Fate::RequestLost;
        }
        if random.one_in(faults.reply_lost) {
            return Fate::ReplyLost;
        }
        if random.one_in(faults.late) {
            return Fate::Late(below(random, faults.late_max));
        }
        if random.one_in(faults.unanswered) {
            return Fate::Unanswered(chance(random, faults.late_max));
        }
        if random.one_in(faults.dies) {
            return Fate::Dies(chance(random, faults.late_max));
        }
        Fate::Done
    }

    pub(super) fn marker_delay(&mut self) -> Duration {
        below(&mut self.random, self.faults.marker_max)
    }

    pub(super) fn is_full(&mut self) -> bool {
        self.random.one_in(self.faults.full)
    }

    pub(super) fn is_unfetched(&mut self) -> bool {
        self.random.one_in(self.faults.unfetched)
    }
}

fn chance(random: &mut Random, late_max: Duration) -> Chance {
    match random.below(3) {
        0 => Chance::Never,
        1 => Chance::Now,
        _ => Chance::Later(below(random, late_max)),
    }
}

/// Most of them are short: what comes late by little does the most harm.
fn below(random: &mut Random, most: Duration) -> Duration {
    let most = most.as_micros() as u64;
    let most = if random.one_in(4) { most } else { most / 20 };
    Duration::from_micros(random.below(most.max(1)))
}
