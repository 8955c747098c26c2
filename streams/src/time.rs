//! Instants: event time [`Ts`], process time [`Mono`].

use std::time::Duration;

/// An instant of event time: nanoseconds since 1970-01-01T00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ts(pub i64);

impl Ts {
    /// Before everything.
    pub const MIN: Ts = Ts(i64::MIN);
    /// After everything.
    pub const MAX: Ts = Ts(i64::MAX);

    /// The instant in whole milliseconds, rounded down: what a Kafka record's CreateTime can hold.
    pub fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The first instant of a millisecond.
    pub fn from_millis(ms: i64) -> Ts {
        Ts(ms.saturating_mul(1_000_000))
    }
}

/// A reading of a monotonic clock, taken by the caller. It decides *when* to commit, checkpoint or
/// report, never what a result is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mono(pub Duration);

impl Mono {
    /// Time gone by since an `earlier` reading; zero if the readings are the other way round.
    pub fn since(self, earlier: Mono) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}
