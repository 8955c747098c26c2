//! Beacons: records that carry only time, so that a quiet input does not hold the others back.
//!
//! ```text
//! key    00 · 62 · origin u16 BE
//! value  bound i64 BE ns · flags u8          bit 0 of flags: bye
//! ```
//! A beacon is kept in the log like any record; whoever reads it learns that its origin will write
//! nothing older than `bound`. Keys that begin with byte 00 are reserved for such records.

use std::time::Duration;

use crate::time::Ts;

const MARK: [u8; 2] = [0, b'b'];
const BYE: u8 = 1;

/// "This origin will write nothing older than `bound`."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beacon {
    /// Writer within the partition; 0 if it has only one.
    pub origin: u16,
    /// No later record of this origin has an earlier time.
    pub bound: Ts,
    /// The origin leaves: nothing at all follows.
    pub bye: bool,
}

impl Beacon {
    /// Bytes of the record's key.
    pub fn key(&self) -> [u8; 4] {
        let [high, low] = self.origin.to_be_bytes();
        [MARK[0], MARK[1], high, low]
    }

    /// Bytes of the record's value.
    pub fn value(&self) -> [u8; 9] {
        let mut value = [0; 9];
        value[..8].copy_from_slice(&self.bound.0.to_be_bytes());
        value[8] = if self.bye { BYE } else { 0 };
        value
    }

    /// The beacon that a record is; `None` if it is none. A record whose key [is reserved](is_reserved)
    /// and that is no beacon was written by something this version does not understand.
    pub fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Option<Beacon> {
        let origin = key?.strip_prefix(&MARK)?;
        let (bound, flags) = value?.split_first_chunk::<8>()?;
        let bye = match flags {
            [0] => false,
            [BYE] => true,
            _ => return None,
        };
        let origin = u16::from_be_bytes(origin.try_into().ok()?);
        Some(Beacon { origin, bound: Ts(i64::from_be_bytes(*bound)), bye })
    }
}

/// Is this key one that no user record may have?
pub fn is_reserved(key: &[u8]) -> bool {
    key.first() == Some(&0)
}

/// What a feed may promise about venue time, from what it saw of it.
///
/// ```text
/// b = E + (now - R) - disorder          never decreasing
/// ```
/// `E` is the greatest venue time seen, `R` when that record was received, on the same clock as `now`.
/// A capture clock that is wrong by a constant does not matter: only its differences are used.
/// The promise holds as long as no record comes more than `disorder` later than the quickest one.
#[derive(Clone, Debug)]
pub struct EventClock {
    disorder: i64,
    newest: Option<Seen>,
    bound: Option<Ts>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    event: Ts,
    received: Ts,
}

impl EventClock {
    /// Default of `disorder`.
    pub const DISORDER: Duration = Duration::from_millis(500);

    /// A clock that has seen nothing.
    pub fn new(disorder: Duration) -> EventClock {
        let disorder = i64::try_from(disorder.as_nanos()).unwrap_or(i64::MAX);
        EventClock { disorder, newest: None, bound: None }
    }

    /// A record came. Of equal venue times the first counts: it had the shorter way.
    pub fn observe(&mut self, event: Ts, received: Ts) {
        if self.newest.is_none_or(|seen| event > seen.event) {
            self.newest = Some(Seen { event, received });
        }
    }

    /// What may be promised at this moment; `None` before any record.
    pub fn bound(&mut self, now: Ts) -> Option<Ts> {
        let seen = self.newest?;
        let since = now.0.saturating_sub(seen.received.0);
        let bound = Ts(seen.event.0.saturating_add(since).saturating_sub(self.disorder));
        self.bound = self.bound.max(Some(bound));
        self.bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beacon_survives_its_bytes() {
        let beacon = Beacon { origin: 0x0102, bound: Ts(-2), bye: true };
        assert_eq!(beacon.key(), [0, 0x62, 1, 2]);
        assert_eq!(beacon.value(), [255, 255, 255, 255, 255, 255, 255, 254, 1]);
        assert_eq!(Beacon::decode(Some(&beacon.key()), Some(&beacon.value())), Some(beacon));
    }

    #[test]
    fn what_is_not_quite_a_beacon_is_none() {
        let beacon = Beacon { origin: 0, bound: Ts(7), bye: false };
        let (key, value) = (beacon.key(), beacon.value());
        let mut odd = value;
        odd[8] = 2;
        assert_eq!(Beacon::decode(Some(&key), Some(&odd)), None, "a flag nobody knows");
        assert_eq!(Beacon::decode(Some(&key[..3]), Some(&value)), None);
        assert_eq!(Beacon::decode(Some(&key), Some(&value[..8])), None);
        assert_eq!(Beacon::decode(Some(&key), None), None);
        assert_eq!(Beacon::decode(Some(b"BTCUSDT"), Some(&value)), None);
        assert!(is_reserved(&key) && !is_reserved(b"BTCUSDT") && !is_reserved(b""));
    }

    #[test]
    fn a_promise_is_never_taken_back() {
        let mut clock = EventClock::new(Duration::from_nanos(10));
        assert_eq!(clock.bound(Ts(5)), None, "nothing seen, nothing promised");
        clock.observe(Ts(1_000), Ts(900));
        assert_eq!(clock.bound(Ts(950)), Some(Ts(1_040)));
        assert_eq!(clock.bound(Ts(920)), Some(Ts(1_040)), "the capture clock stepped back");
        clock.observe(Ts(1_001), Ts(990));
        assert_eq!(clock.bound(Ts(990)), Some(Ts(1_040)), "a slow record does not lower it");
        clock.observe(Ts(1_001), Ts(1_500));
        assert_eq!(clock.bound(Ts(1_100)), Some(Ts(1_101)), "of equal times the first counts");
    }
}
