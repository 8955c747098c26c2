//! What the person at a replay may ask for, one line each.

use std::str::FromStr;
use std::time::Duration;

use crate::replay::Speed;
use crate::time::{Ts, time_of_day};

const DAY_NS: i64 = 86_400_000_000_000;

/// One line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    /// Nothing is released.
    Pause,
    /// Goes on.
    Resume,
    /// Releases so many records of a replay that stands still.
    Step(u64),
    /// Passes over what lies before.
    Seek(When),
    /// Another speed.
    Speed(Speed),
    /// Ends here.
    Quit,
}

/// Where to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// There.
    At(Ts),
    /// At this time of day (ns since midnight), of the day that the replay is in.
    OfDay(i64),
    /// So much further on.
    After(Duration),
}

/// The line is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not understood: pause, resume, step [N], seek TIME (2024-08-08T10:00:00, 10:00:00 or +30s), \
     speed max|xN|N/s|step, quit"
)]
pub struct BadOrder(String);

impl FromStr for Order {
    type Err = BadOrder;

    /// An empty line is a step.
    fn from_str(line: &str) -> Result<Order, BadOrder> {
        let bad = || BadOrder(line.trim().to_owned());
        let mut words = line.split_whitespace();
        let (verb, word, more) = (words.next(), words.next(), words.next());
        let order = match (verb, word) {
            _ if more.is_some() => None,
            (Some("pause" | "p"), None) => Some(Order::Pause),
            (Some("resume" | "r"), None) => Some(Order::Resume),
            (None | Some("step" | "s"), None) => Some(Order::Step(1)),
            (Some("step" | "s"), Some(n)) => n.parse().ok().filter(|n| *n > 0).map(Order::Step),
            (Some("seek"), Some(when)) => when.parse().ok().map(Order::Seek),
            (Some("speed"), Some(speed)) => speed.parse().ok().map(Order::Speed),
            (Some("quit" | "q"), None) => Some(Order::Quit),
            _ => None,
        };
        order.ok_or_else(bad)
    }
}

impl FromStr for When {
    type Err = BadOrder;

    fn from_str(text: &str) -> Result<When, BadOrder> {
        let bad = || BadOrder(text.to_owned());
        if let Some(text) = text.strip_prefix('+') {
            let (number, unit) =
                text.split_at(text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len());
            let ms = match unit {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                _ => return Err(bad()),
            };
            let n: u64 = number.parse().map_err(|_| bad())?;
            return n.checked_mul(ms).map(|ms| When::After(Duration::from_millis(ms))).ok_or_else(bad);
        }
        let of_day = time_of_day(text).map(When::OfDay);
        of_day.or_else(|| text.parse().ok().map(When::At)).ok_or_else(bad)
    }
}

impl When {
    /// The instant that is meant when the replay is at `now`.
    pub fn from(self, now: Ts) -> Ts {
        match self {
            When::At(ts) => ts,
            When::OfDay(ns) => Ts(now.0.div_euclid(DAY_NS) * DAY_NS + ns),
            When::After(span) => Ts(now.0.saturating_add(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_written() {
        for (line, order) in [
            ("pause", Order::Pause),
            (" r ", Order::Resume),
            ("", Order::Step(1)),
            ("step", Order::Step(1)),
            ("s 25", Order::Step(25)),
            ("speed x0.5", Order::Speed(Speed::Times(0.5))),
            ("seek +30s", Order::Seek(When::After(Duration::from_secs(30)))),
            ("seek 10:00", Order::Seek(When::OfDay(36_000_000_000_000))),
            ("seek 1970-01-01T00:00:01Z", Order::Seek(When::At(Ts(1_000_000_000)))),
            ("q", Order::Quit),
        ] {
            assert_eq!(line.parse(), Ok(order), "{line:?}");
        }
        for line in
            ["go", "step 0", "step x", "seek", "seek yesterday", "seek +3", "seek -3s", "pause now", "speed"]
        {
            let error = line.parse::<Order>().expect_err(line).to_string();
            assert!(error.contains(&format!("{line:?}")) && error.contains("seek TIME"), "{error}");
        }
    }

    #[test]
    fn a_time_of_day_is_of_the_day_that_is_replayed() {
        let now: Ts = "2024-08-08T09:30:00Z".parse().expect("a time");
        let at = |when: &str| when.parse::<When>().expect(when).from(now).to_string();
        assert_eq!(at("10:00:00.5"), "2024-08-08T10:00:00.500Z");
        assert_eq!(at("+90m"), "2024-08-08T11:00:00.000Z");
        assert_eq!(at("2024-08-09"), "2024-08-09T00:00:00.000Z");
    }
}
