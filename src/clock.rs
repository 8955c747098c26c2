//! The only reader of wall time and of the monotonic clock. Everything else is given a time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use lobstream_streams::time::Mono;

/// Both clocks of this machine, with the monotonic one counted from when it was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// Starts counting.
    #[expect(clippy::disallowed_methods, reason = "this file is where process time enters")]
    pub fn start() -> Clock {
        Clock { origin: Instant::now() }
    }

    /// Process time: decides when something is done, never what a result is.
    pub fn mono(&self) -> Mono {
        Mono(self.origin.elapsed())
    }

    /// Wall time: ns since 1970 UTC. It may step back when the machine's clock is set.
    #[expect(clippy::disallowed_methods, reason = "this file is where wall time enters")]
    pub fn wall_ns(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
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
}
