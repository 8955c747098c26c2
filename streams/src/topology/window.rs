//! Windows of event time: which ones a record belongs to, and when each is over.
//!
//! ```text
//! kind                windows of a record at ts                              over when             due at
//! tumbling(size)      start = ⌊(ts − offset) / size⌋·size + offset           end ≤ T − grace       end + grace
//! hopping(size, hop)  every start ≡ offset (mod hop), start ≤ ts < start+size   same               same
//! session(gap)        joins every open session with first − gap ≤ ts ≤ last + gap
//!                                                                   last < T − grace − gap   last + gap + grace + 1
//! ```
//! Windows are closed on the left, open on the right (`end = start + size`) and aligned to 1970-01-01T00:00Z,
//! never to the start of a program. `T` is stream time. A record counts by its own time, however late it is
//! seen, as long as one of its windows is open.

mod fixed;
mod fold;
mod session;
pub(super) mod windowed;

use std::fmt;
use std::time::Duration;

use crate::time::Ts;

pub use windowed::WindowedStream;

/// Longest size, gap, grace or retention: 36 years.
pub(in crate::topology) const LIMIT: i64 = i64::MAX / 8;
/// Farthest time from 1970: 146 years, so that with three of the above it still fits an i64.
pub(in crate::topology) const FARTHEST: i64 = i64::MAX / 2;

/// Which windows, and how long a window waits for late records: `grace` is always said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    kind: Kind,
    offset: Duration,
    grace: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tumbling { size: Duration },
    Hopping { size: Duration, hop: Duration },
    Session { gap: Duration },
}

impl Windows {
    /// Windows of one size that touch and do not overlap.
    pub fn tumbling(size: Duration, grace: Duration) -> Windows {
        Windows { kind: Kind::Tumbling { size }, offset: Duration::ZERO, grace }
    }

    /// Windows of one size, one beginning every `hop`, which is at most the size.
    pub fn hopping(size: Duration, hop: Duration, grace: Duration) -> Windows {
        Windows { kind: Kind::Hopping { size, hop }, offset: Duration::ZERO, grace }
    }

    /// Stretches of records of one key, no two of which are farther than `gap` apart.
    pub fn session(gap: Duration, grace: Duration) -> Windows {
        Windows { kind: Kind::Session { gap }, offset: Duration::ZERO, grace }
    }

    /// Moves the grid of tumbling and hopping windows. Default 0.
    pub fn offset(self, offset: Duration) -> Windows {
        Windows { offset, ..self }
    }

    fn plan(self) -> Result<Plan, &'static str> {
        let (grace, offset) = (nanos(self.grace), nanos(self.offset));
        let fixed =
            |size: Duration, hop: Duration| Plan::Fixed { size: nanos(size), hop: nanos(hop), offset, grace };
        let plan = match self.kind {
            Kind::Tumbling { size } | Kind::Hopping { size, .. } if size.is_zero() => {
                return Err("the size must be more than 0");
            }
            Kind::Hopping { size, hop } if hop.is_zero() || hop > size => {
                return Err("the hop must be more than 0 and at most the size");
            }
            Kind::Session { gap } if gap.is_zero() => return Err("the gap must be more than 0"),
            Kind::Tumbling { size } => fixed(size, size),
            Kind::Hopping { size, hop } => fixed(size, hop),
            Kind::Session { gap } => Plan::Session { gap: nanos(gap), grace },
        };
        let longest = match plan {
            Plan::Fixed { size, offset, grace, .. } => size.max(offset).max(grace),
            Plan::Session { gap, grace } => gap.max(grace),
        };
        if longest > LIMIT { Err("size, gap, grace and offset end at 36 years") } else { Ok(plan) }
    }
}

impl fmt::Display for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Tumbling { size } => write!(f, "tumbling {size:?}")?,
            Kind::Hopping { size, hop } => write!(f, "hopping {size:?} every {hop:?}")?,
            Kind::Session { gap } => write!(f, "session gap {gap:?}")?,
        }
        if !self.offset.is_zero() {
            write!(f, " from {:?}", self.offset)?;
        }
        write!(f, ", grace {:?}", self.grace)
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Windows that keep the rules, in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    Fixed { size: i64, hop: i64, offset: i64, grace: i64 },
    Session { gap: i64, grace: i64 },
}

/// What came of a window: key and time are those of the record that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windowed<A> {
    /// First instant of the window; of a session the time of its first record.
    pub start: Ts,
    /// First instant after the window; of a session the time of its last record.
    pub end: Ts,
    /// The aggregate.
    pub value: A,
}

/// When results leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Emit {
    /// Once, when the window is over. The result has the time of the last instant it describes: `end − 1`, of
    /// a session its last record's. So it counts in its own window if it is windowed again.
    #[default]
    OnClose,
    /// After every record of the window, with the greatest time of a record in it.
    OnUpdate,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ns(n: u64) -> Duration {
        Duration::from_nanos(n)
    }

    #[test]
    fn windows_that_cannot_be_are_refused() {
        let year = Duration::from_secs(366 * 86_400);
        for (windows, rule) in [
            (Windows::tumbling(ns(0), ns(1)), "size"),
            (Windows::hopping(ns(0), ns(1), ns(0)), "size"),
            (Windows::hopping(ns(4), ns(0), ns(0)), "hop"),
            (Windows::hopping(ns(4), ns(5), ns(0)), "hop"),
            (Windows::session(ns(0), ns(0)), "gap"),
            (Windows::tumbling(year * 40, ns(0)), "36 years"),
            (Windows::session(ns(1), Duration::MAX), "36 years"),
        ] {
            let refused = windows.plan().expect_err("refused");
            assert!(refused.contains(rule), "{windows}: {refused}");
        }
        assert!(Windows::hopping(ns(4), ns(4), ns(0)).plan().is_ok());
    }

    #[test]
    fn windows_read_as_they_were_declared() {
        let second = Duration::from_secs(1);
        assert_eq!(Windows::tumbling(second, ns(0)).to_string(), "tumbling 1s, grace 0ns");
        let hopping = Windows::hopping(second, ns(250_000_000), second).offset(ns(3));
        assert_eq!(hopping.to_string(), "hopping 1s every 250ms from 3ns, grace 1s");
        assert_eq!(Windows::session(second, second).to_string(), "session gap 1s, grace 1s");
    }
}
