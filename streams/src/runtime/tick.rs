//! Punctuation: which ticks are due when stream time is about to rise.

use crate::time::Ts;
use crate::topology::processor::{CatchUp, Next, Schedule, Tick};

/// A schedule of a node and its next instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Number of the node in the topology.
    pub node: u32,
    /// Number of the schedule within the node.
    pub number: u32,
    /// As registered.
    pub schedule: Schedule,
    /// When it fires next.
    pub next: Firing,
}

/// When a schedule fires next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firing {
    /// After the first record: there is no stream time yet.
    Unset,
    /// At this instant.
    At(Ts),
    /// Never again.
    Stopped,
}

/// The schedules of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ticks {
    due: Vec<Due>,
    /// Least next instant of all, so that a record costs one comparison.
    earliest: Option<Ts>,
    has_unset: bool,
}

/// A tick that must fire now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fired {
    /// Which schedule of the task.
    pub index: usize,
    /// Which node.
    pub node: u32,
    /// What it is told.
    pub tick: Tick,
}

impl Ticks {
    /// Schedules and their next instants, from a checkpoint.
    pub fn restored(due: Vec<Due>) -> Ticks {
        let mut ticks = Ticks { due, ..Ticks::default() };
        ticks.summarise();
        ticks
    }

    /// All schedules: state that a checkpoint keeps.
    pub fn schedules(&self) -> &[Due] {
        &self.due
    }

    /// Registers a schedule at stream time `now`. One that the node had before goes on where it was.
    pub fn register(&mut self, node: u32, number: u32, schedule: Schedule, now: Option<Ts>) {
        let first = now.map_or(Firing::Unset, |now| firing(after(schedule, now)));
        let due = Due { node, number, schedule, next: first };
        match self.due.iter_mut().find(|known| (known.node, known.number) == (node, number)) {
            Some(known) if known.schedule == schedule => {}
            Some(known) => *known = due,
            None => self.due.push(due),
        }
        self.due.sort_unstable_by_key(|due| (due.node, due.number));
        self.summarise();
    }

    /// Stream time is about to become `to`: the tick that fires first, if any is due. Call again after
    /// [`Ticks::fired`] until there is none. A jump over more than `catch_up_max` instants fires only the newest.
    pub fn next_until(&self, to: Ts, catch_up_max: u64) -> Option<Fired> {
        if self.earliest.is_none_or(|earliest| earliest > to) {
            return None;
        }
        let due = self.due.iter().enumerate().filter_map(|(index, due)| {
            let Firing::At(at) = due.next else { return None };
            (at <= to).then(|| (index, due, newest_or_next(due.schedule, at, to, catch_up_max)))
        });
        let (index, due, (time, missed)) = due.min_by_key(|(index, _, (time, _))| (*time, *index))?;
        let tick = Tick { time, schedule: due.number, missed };
        Some(Fired { index, node: due.node, tick })
    }

    /// A tick has fired and its node said what comes next.
    pub fn fired(&mut self, fired: &Fired, next: Next) {
        let Some(due) = self.due.get_mut(fired.index) else { return };
        let following = after(due.schedule, fired.tick.time);
        due.next = match next {
            Next::Tick => firing(following),
            Next::At(ts) => firing(following.zip(at_or_after(due.schedule, ts)).map(|(a, b)| a.max(b))),
            Next::Stop => Firing::Stopped,
        };
        self.summarise();
    }

    /// Stream time has become `now`; schedules registered before the first record begin.
    pub fn begin(&mut self, now: Ts) {
        if !self.has_unset {
            return;
        }
        for due in &mut self.due {
            if due.next == Firing::Unset {
                due.next = firing(after(due.schedule, now));
            }
        }
        self.summarise();
    }

    fn summarise(&mut self) {
        self.has_unset = self.due.iter().any(|due| due.next == Firing::Unset);
        self.earliest = self.due.iter().filter_map(|due| at(due.next)).min();
    }
}

fn at(next: Firing) -> Option<Ts> {
    match next {
        Firing::At(ts) => Some(ts),
        Firing::Unset | Firing::Stopped => None,
    }
}

fn firing(at: Option<Ts>) -> Firing {
    at.map_or(Firing::Stopped, Firing::At)
}

fn interval(schedule: Schedule) -> i128 {
    schedule.interval.as_nanos().clamp(1, i64::MAX as u128) as i128
}

/// The first instant strictly after `ts`; `None`: it would be after everything.
fn after(schedule: Schedule, ts: Ts) -> Option<Ts> {
    let (interval, align) = (interval(schedule), i128::from(schedule.align.0));
    let k = (i128::from(ts.0) - align).div_euclid(interval) + 1;
    i64::try_from(align + k * interval).ok().map(Ts)
}

/// The first instant at or after `ts`.
fn at_or_after(schedule: Schedule, ts: Ts) -> Option<Ts> {
    after(schedule, Ts(ts.0.saturating_sub(1)))
}

/// The instant that fires first of those from `next` to `to`, and how many are left out before it.
fn newest_or_next(schedule: Schedule, next: Ts, to: Ts, catch_up_max: u64) -> (Ts, u64) {
    let interval = interval(schedule);
    let later = ((i128::from(to.0) - i128::from(next.0)) / interval) as u64;
    let all = match schedule.catch_up {
        CatchUp::Every => later < catch_up_max,
        CatchUp::Last => false,
    };
    if all { (next, 0) } else { (Ts((i128::from(next.0) + i128::from(later) * interval) as i64), later) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn every(interval: u64, catch_up: CatchUp) -> Schedule {
        Schedule { interval: Duration::from_nanos(interval), align: Ts(0), catch_up }
    }

    /// Fires everything due up to `to`: (time, node, missed).
    fn lift(ticks: &mut Ticks, to: i64, mut next: impl FnMut(Tick) -> Next) -> Vec<(i64, u32, u64)> {
        let mut fired = Vec::new();
        while let Some(one) = ticks.next_until(Ts(to), 4) {
            fired.push((one.tick.time.0, one.node, one.tick.missed));
            ticks.fired(&one, next(one.tick));
        }
        ticks.begin(Ts(to));
        fired
    }

    #[test]
    fn the_first_record_only_sets_the_grid() {
        let mut ticks = Ticks::default();
        ticks.register(0, 0, every(5, CatchUp::Every), None);
        assert_eq!(lift(&mut ticks, 10, |_| Next::Tick), []);
        assert_eq!(lift(&mut ticks, 14, |_| Next::Tick), []);
        assert_eq!(lift(&mut ticks, 25, |_| Next::Tick), [(15, 0, 0), (20, 0, 0), (25, 0, 0)]);
    }

    #[test]
    fn ticks_of_several_nodes_fire_by_time_then_node() {
        let mut ticks = Ticks::default();
        ticks.register(7, 0, every(5, CatchUp::Every), Some(Ts(0)));
        ticks.register(3, 0, every(10, CatchUp::Every), Some(Ts(0)));
        assert_eq!(lift(&mut ticks, 10, |_| Next::Tick), [(5, 7, 0), (10, 3, 0), (10, 7, 0)]);
    }

    #[test]
    fn catching_up_is_bounded() {
        let mut ticks = Ticks::default();
        ticks.register(0, 0, every(5, CatchUp::Last), Some(Ts(0)));
        ticks.register(1, 0, every(5, CatchUp::Every), Some(Ts(0)));
        assert_eq!(
            lift(&mut ticks, 22, |_| Next::Tick),
            [(5, 1, 0), (10, 1, 0), (15, 1, 0), (20, 0, 3), (20, 1, 0)]
        );
        assert_eq!(lift(&mut ticks, 45, |_| Next::Tick), [(45, 0, 4), (45, 1, 4)], "5 are more than 4");
    }

    /// One record at the end of time held a task for ever: the tick after the last one was the last one again.
    #[test]
    fn a_schedule_ends_with_time() {
        let (last, before) = (i64::MAX - 2, i64::MAX - 7);
        for (catch_up, expected) in
            [(CatchUp::Every, &[(before, 0, 0), (last, 0, 0)][..]), (CatchUp::Last, &[(last, 0, 1)][..])]
        {
            let mut ticks = Ticks::default();
            ticks.register(0, 0, every(5, catch_up), Some(Ts(i64::MAX - 8)));
            let mut n = 0;
            let next = |tick: Tick| {
                n += 1;
                assert!(n < 5, "time has ended");
                if tick.time.0 == last { Next::At(Ts::MAX) } else { Next::Tick }
            };
            assert_eq!(lift(&mut ticks, i64::MAX, next), expected);
            assert_eq!(ticks.schedules()[0].next, Firing::Stopped);
        }
    }

    #[test]
    fn a_node_chooses_its_next_tick() {
        let mut ticks = Ticks::default();
        ticks.register(0, 0, every(5, CatchUp::Every), Some(Ts(0)));
        let jump = |tick: Tick| if tick.time == Ts(10) { Next::At(Ts(18)) } else { Next::Tick };
        assert_eq!(lift(&mut ticks, 21, jump), [(5, 0, 0), (10, 0, 0), (20, 0, 0)]);
        assert_eq!(lift(&mut ticks, 26, |_| Next::At(Ts(3))), [(25, 0, 0)], "never before the next");
        assert_eq!(lift(&mut ticks, 40, |_| Next::Stop), [(30, 0, 0)]);
    }

    #[test]
    fn a_restored_schedule_goes_on_where_it_was() {
        let mut ticks = Ticks::default();
        ticks.register(0, 0, every(5, CatchUp::Every), Some(Ts(12)));
        let mut restored = Ticks::restored(ticks.schedules().to_vec());
        restored.register(0, 0, every(5, CatchUp::Every), Some(Ts(99)));
        assert_eq!(lift(&mut restored, 15, |_| Next::Tick), [(15, 0, 0)]);
        restored.register(0, 0, every(7, CatchUp::Every), Some(Ts(99)));
        assert_eq!(lift(&mut restored, 105, |_| Next::Tick), [(105, 0, 0)], "a changed one begins anew");
    }
}
