//! Pacing: when a recorded record is due, on a schedule that does not drift.
//!
//! Due times are absolute, `start + (tsᵢ − ts₀)/N` or `start + i/N`. A record that is behind is released
//! at once and the schedule stays where it was: sleeping *per record* would add up every wake-up's
//! delay. Pacing delays records; it never reorders them and never changes what they say.
//!
//! Time is an argument. A loop around it looks like this:
//! ```text
//! for record in recording {
//!     pacer.offer(record.ts, now());
//!     while let Some(wait) = pacer.wait(now()) { hand over what was released; sleep(wait) }
//!     pacer.released(now());
//!     send(record)
//! }
//! ```

mod drift;
mod handover;
mod order;

use std::str::FromStr;
use std::time::Duration;

pub use drift::Drift;
pub use handover::Handover;
pub use order::{BadOrder, Order, When};

use crate::time::{Mono, Ts};

/// Longest single sleep, so that a pause or a stop is noticed.
const SLICE: Duration = Duration::from_millis(50);

/// How fast recorded time goes by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// As fast as the log takes it.
    Max,
    /// This many recorded seconds in one second, such as `x10` or `x0.5`.
    Times(f64),
    /// This many records in one second, such as `5000/s`.
    PerSecond(f64),
    /// One at a time, when asked for.
    Step,
}

/// The text is no speed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no speed: write max, x10 (ten times real time), 5000/s (records per second) or step")]
pub struct BadSpeed(String);

impl FromStr for Speed {
    type Err = BadSpeed;

    fn from_str(text: &str) -> Result<Speed, BadSpeed> {
        let number = |digits: &str| match digits.parse::<f64>() {
            Ok(n) if n.is_finite() && n > 0.0 => Ok(n),
            Ok(_) | Err(_) => Err(BadSpeed(text.to_owned())),
        };
        if text == "max" {
            Ok(Speed::Max)
        } else if text == "step" {
            Ok(Speed::Step)
        } else if let Some(times) = text.strip_prefix(['x', '×']) {
            Ok(Speed::Times(number(times)?))
        } else if let Some(rate) = text.strip_suffix("/s") {
            Ok(Speed::PerSecond(number(rate)?))
        } else {
            Err(BadSpeed(text.to_owned()))
        }
    }
}

/// Tells when each record of a recording is due.
#[derive(Debug)]
pub struct Pacer {
    speed: Speed,
    gap_max: Option<Duration>,
    start: Option<Mono>,
    paused_at: Option<Mono>,
    n: u64,
    newest: Option<Ts>,
    recorded: Duration,
    due: Duration,
    drift: Drift,
    /// Records that may go although time stands still.
    steps: u64,
}

impl Pacer {
    /// A pacer whose schedule begins at the first record. Silences longer than `gap_max` of recorded time
    /// are shortened to it.
    pub fn new(speed: Speed, gap_max: Option<Duration>) -> Pacer {
        Pacer {
            speed,
            gap_max,
            start: None,
            paused_at: None,
            n: 0,
            newest: None,
            recorded: Duration::ZERO,
            due: Duration::ZERO,
            drift: Drift::default(),
            steps: 0,
        }
    }

    /// The next record. It is due when its time has come; one that is older than a record before it is due
    /// with that one.
    pub fn offer(&mut self, ts: Ts, now: Mono) {
        self.start.get_or_insert(now);
        let newest = self.newest.map_or(ts, |newest| newest.max(ts));
        let gap = newest.0.abs_diff(self.newest.unwrap_or(newest).0);
        let gap = Duration::from_nanos(gap);
        self.recorded += self.gap_max.map_or(gap, |most| gap.min(most));
        self.newest = Some(newest);
        self.due = match self.speed {
            Speed::Max | Speed::Step => Duration::ZERO,
            Speed::Times(n) => scaled(self.recorded.as_nanos() as f64 / n),
            Speed::PerSecond(n) => scaled(self.n as f64 * 1e9 / n),
        };
        self.n += 1;
    }

    /// How long to sleep before asking again; `None`: release the record now.
    pub fn wait(&self, now: Mono) -> Option<Duration> {
        if self.stands_still() {
            return (self.steps == 0).then_some(SLICE);
        }
        match self.due_at().since(now) {
            Duration::ZERO => None,
            left => Some(left.min(SLICE)),
        }
    }

    /// The record was released; how late, goes into the report.
    pub fn released(&mut self, now: Mono) {
        if self.stands_still() {
            self.steps = self.steps.saturating_sub(1);
        } else if !matches!(self.speed, Speed::Max) {
            self.drift.add(now.since(self.due_at()), self.due);
        }
    }

    /// Nothing is released until [`Pacer::resume`].
    pub fn pause(&mut self, now: Mono) {
        self.paused_at.get_or_insert(now);
    }

    /// Lets `n` records go although time stands still, in a pause or with [`Speed::Step`].
    pub fn step(&mut self, n: u64) {
        self.steps = self.steps.saturating_add(n);
    }

    /// May records go that [`Pacer::step`] has allowed?
    pub fn has_steps(&self) -> bool {
        self.steps > 0
    }

    /// Is nothing released but what [`Pacer::step`] allows?
    pub fn stands_still(&self) -> bool {
        self.paused_at.is_some() || matches!(self.speed, Speed::Step)
    }

    /// The record offered next is another one than the recording has next: it is due at once, and the schedule
    /// goes on from it.
    pub fn jump(&mut self, now: Mono) {
        let behind = now.since(self.due_at());
        self.newest = None;
        if let (Some(start), None) = (self.start.as_mut(), self.paused_at) {
            start.0 += behind;
        }
    }

    /// Goes on at another speed; the schedule begins anew with the record offered last.
    pub fn set_speed(&mut self, speed: Speed, now: Mono) {
        (self.speed, self.n, self.steps) = (speed, 1, 0);
        (self.recorded, self.due) = (Duration::ZERO, Duration::ZERO);
        self.start = self.start.map(|_| now);
        self.paused_at = self.paused_at.map(|_| now);
    }

    /// Goes on. The schedule moves by the length of the pause.
    pub fn resume(&mut self, now: Mono) {
        self.steps = 0;
        if let (Some(paused), Some(start)) = (self.paused_at.take(), self.start.as_mut()) {
            start.0 += now.since(paused.max(*start));
        }
    }

    /// How late records were released, so far.
    pub fn drift(&self) -> &Drift {
        &self.drift
    }

    fn due_at(&self) -> Mono {
        Mono(self.start.unwrap_or_default().0.saturating_add(self.due))
    }
}

fn scaled(nanos: f64) -> Duration {
    Duration::try_from_secs_f64(nanos / 1e9).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Mono {
        Mono(Duration::from_millis(ms))
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn speeds_are_read_as_written() {
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("x50".parse(), Ok(Speed::Times(50.0)));
        assert_eq!("×0.5".parse(), Ok(Speed::Times(0.5)));
        assert_eq!("200000/s".parse(), Ok(Speed::PerSecond(200_000.0)));
        assert_eq!("step".parse(), Ok(Speed::Step));
        for text in ["", "fast", "x", "x0", "x-1", "xinf", "xNaN", "0/s", "/s", "50", "Max"] {
            assert!(text.parse::<Speed>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_late_release_does_not_move_the_schedule() {
        let mut pacer = Pacer::new(Speed::PerSecond(10.0), None);
        pacer.offer(Ts(0), at(1_000));
        pacer.released(at(1_000));
        pacer.offer(Ts(0), at(1_000));
        assert_eq!(pacer.wait(at(1_080)), Some(ms(20)));
        pacer.released(at(1_170));
        pacer.offer(Ts(0), at(1_170));
        assert_eq!(pacer.wait(at(1_170)), Some(ms(30)), "due at 200 ms, whatever came before");
        pacer.offer(Ts(0), at(1_900));
        assert_eq!(pacer.wait(at(1_900)), None, "behind: at once");
    }

    #[test]
    fn long_waits_come_in_slices_and_a_pause_holds_everything() {
        let mut pacer = Pacer::new(Speed::Times(1.0), None);
        pacer.offer(Ts::from_millis(0), at(0));
        pacer.offer(Ts::from_millis(60_000), at(0));
        assert_eq!(pacer.wait(at(0)), Some(SLICE));
        pacer.pause(at(10));
        pacer.pause(at(20));
        assert_eq!(pacer.wait(at(70_000)), Some(SLICE));
        pacer.resume(at(70_000));
        assert_eq!(pacer.wait(at(129_989)), Some(ms(1)));
        assert_eq!(pacer.wait(at(129_990)), None, "60 s of record and 69.99 s of pause");
        pacer.resume(at(200_000));
        assert_eq!(pacer.wait(at(129_990)), None, "a second resume changes nothing");
    }

    #[test]
    fn a_pause_before_the_first_record_costs_nothing_twice() {
        let mut pacer = Pacer::new(Speed::Times(1.0), None);
        pacer.pause(at(0));
        pacer.offer(Ts::from_millis(5), at(100));
        pacer.resume(at(300));
        pacer.offer(Ts::from_millis(15), at(300));
        assert_eq!(pacer.wait(at(300)), Some(ms(10)));
    }

    #[test]
    fn steps_go_one_by_one_while_time_stands_still() {
        for mut pacer in [Pacer::new(Speed::Step, None), Pacer::new(Speed::Times(1.0), None)] {
            pacer.pause(at(0));
            pacer.offer(Ts::from_millis(0), at(0));
            assert_eq!(pacer.wait(at(5)), Some(SLICE));
            pacer.step(2);
            for _ in 0..2 {
                assert_eq!(pacer.wait(at(5)), None);
                pacer.released(at(5));
                pacer.offer(Ts::from_millis(50), at(5));
            }
            assert_eq!(pacer.wait(at(9_000)), Some(SLICE), "two were allowed");
            assert_eq!(pacer.drift().n(), 0, "nothing was late: there is no schedule");
        }
    }

    #[test]
    fn after_a_jump_the_schedule_goes_on_from_where_it_landed() {
        let mut pacer = Pacer::new(Speed::Times(1.0), None);
        pacer.offer(Ts::from_millis(0), at(0));
        pacer.released(at(0));
        pacer.jump(at(700));
        pacer.offer(Ts::from_millis(90_000), at(700));
        assert_eq!(pacer.wait(at(700)), None, "due where it landed");
        pacer.released(at(700));
        pacer.offer(Ts::from_millis(90_030), at(710));
        assert_eq!(pacer.wait(at(710)), Some(ms(20)));
        assert_eq!(pacer.drift().max(), Duration::ZERO);
    }

    #[test]
    fn another_speed_begins_with_the_record_offered_last() {
        let mut pacer = Pacer::new(Speed::Times(1.0), None);
        pacer.offer(Ts::from_millis(0), at(0));
        pacer.released(at(0));
        pacer.offer(Ts::from_millis(10_000), at(0));
        pacer.set_speed(Speed::Times(100.0), at(500));
        assert_eq!(pacer.wait(at(500)), None);
        pacer.released(at(500));
        pacer.offer(Ts::from_millis(13_000), at(500));
        assert_eq!(pacer.wait(at(500)), Some(ms(30)));
        pacer.set_speed(Speed::Step, at(510));
        assert_eq!(pacer.wait(at(999)), Some(SLICE));
        pacer.set_speed(Speed::Max, at(999));
        assert_eq!(pacer.wait(at(999)), None);
    }

    #[test]
    fn disorder_never_delays_twice() {
        let mut pacer = Pacer::new(Speed::Times(1.0), Some(ms(5_000)));
        let times = [0, 60_000, 10, 60_000, 60_010];
        let dues: Vec<_> = times
            .map(|t| {
                pacer.offer(Ts::from_millis(t), at(0));
                pacer.due
            })
            .into();
        assert_eq!(dues, [0, 5_000, 5_000, 5_000, 5_010].map(ms));
    }
}
