//! The only reader of wall time and of the monotonic clock. Everything else is given a time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use lobstream_streams::time::Mono;

/// Both clocks of this machine, with the monotonic one counted from when it was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    /// Wall time at that moment, ns since 1970 UTC.
    wall_at_origin: i64,
}

impl Clock {
    /// Starts counting.
    #[expect(clippy::disallowed_methods, reason = "this file is where time enters")]
    pub fn start() -> Clock {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { origin: Instant::now(), wall_at_origin: i64::try_from(since.as_nanos()).unwrap_or(i64::MAX) }
    }

    /// Process time: decides when something is done, never what a result is.
    pub fn mono(&self) -> Mono {
        Mono(self.origin.elapsed())
    }

    /// Wall time, ns since 1970 UTC: that of the start, and what has gone by since. It never steps: whoever
    /// counts on its differences is not misled when the machine's clock is set.
    pub fn wall_ns(&self) -> i64 {
        let gone = i64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(i64::MAX);
        self.wall_at_origin.saturating_add(gone)
    }
}

impl lobstream_streams::runtime::Clock for Clock {
    fn mono(&self) -> Mono {
        Clock::mono(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_time_goes_forward_and_wall_time_is_of_this_century() {
        let clock = Clock::start();
        let first = clock.mono();
        assert!(clock.mono() >= first);
        assert!(clock.wall_ns() > 1_600_000_000_000_000_000);
    }

    #[test]
    fn wall_time_is_that_of_the_start_and_what_has_gone_by() {
        let clock = Clock { wall_at_origin: 5, ..Clock::start() };
        let now = clock.wall_ns();
        assert!((5..1_000_000_000).contains(&now), "{now}: the machine's clock may have been set meanwhile");
    }
}
