//! The exchange's local clock as one number, and the phases of its day.

use serde::{Deserialize, Serialize};

/// `HHMMSSmmm` of the exchange's local clock (Asia/Shanghai): 09:30:00.540 is 93000540.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TickTime(pub u32);

impl TickTime {
    /// From its parts; `None` if that is no time of a day.
    pub fn from_parts(hours: u32, minutes: u32, seconds: u32, millis: u32) -> Option<TickTime> {
        let valid = hours < 24 && minutes < 60 && seconds < 60 && millis < 1000;
        valid.then_some(TickTime(((hours * 100 + minutes) * 100 + seconds) * 1000 + millis))
    }

    /// From the number; `None` if a part of it is out of range.
    pub fn from_number(number: i64) -> Option<TickTime> {
        let n = u32::try_from(number).ok()?;
        TickTime::from_parts(n / 10_000_000, n / 100_000 % 100, n / 1000 % 100, n % 1000)
    }

    /// The instant on a day `YYYYMMDD`, ns since 1970 UTC. Shanghai's clock is 8 hours ahead of it, all year.
    pub fn ts_ns(self, date: u32) -> i64 {
        (days_since_1970(date) * 86_400_000 + i64::from(self.ms_of_day()) - 8 * 3_600_000) * 1_000_000
    }

    /// Hours and minutes, as in 930.
    pub fn hhmm(self) -> u32 {
        self.0 / 100_000
    }

    /// Milliseconds since local midnight.
    pub fn ms_of_day(self) -> u32 {
        let (hours, minutes, rest) = (self.0 / 10_000_000, self.0 / 100_000 % 100, self.0 % 100_000);
        (hours * 60 + minutes) * 60_000 + rest
    }

    /// Continuous trading: from 09:30 and before 11:30, from 13:00 and before 14:57, at both exchanges.
    pub fn in_session(self) -> bool {
        matches!(self.hhmm(), 930..1130 | 1300..1457)
    }

    /// The phase by the clock alone; a status row of the exchange says more.
    pub fn phase(self) -> Phase {
        match self.hhmm() {
            ..915 => Phase::Pre,
            915..925 => Phase::OpenCall,
            925..930 => Phase::Pause,
            930..1130 | 1300..1457 => Phase::Continuous,
            1130..1300 => Phase::Break,
            1457..1500 => Phase::CloseCall,
            1500.. => Phase::After,
        }
    }
}

/// Days from 1970-01-01 to a date `YYYYMMDD` of the Gregorian calendar.
fn days_since_1970(date: u32) -> i64 {
    let (year, month, day) = (i64::from(date / 10_000), i64::from(date / 100 % 100), i64::from(date % 100));
    // Years begin in March here, so that the day that may be missing is the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    days - 719_468
}

/// What a stock's market is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Before the opening call.
    Pre,
    /// The opening call, 09:15 to 09:25: orders may cross and nothing trades.
    OpenCall,
    /// Between the opening call and continuous trading.
    Pause,
    /// Continuous trading.
    Continuous,
    /// Lunch.
    Break,
    /// The closing call, 14:57 to 15:00.
    CloseCall,
    /// Ended, or trading at the fixed closing price.
    After,
    /// Halted.
    Halt,
}

impl Phase {
    /// From an SSE status row's word: `START`, `OCALL`, `TRADE`, `SUSP`, `CCALL`, `CLOSE`, `ENDTR`.
    pub fn from_sse(word: &str) -> Option<Phase> {
        Some(match word.trim() {
            "START" => Phase::Pre,
            "OCALL" => Phase::OpenCall,
            "TRADE" => Phase::Continuous,
            "SUSP" => Phase::Halt,
            "CCALL" => Phase::CloseCall,
            "CLOSE" | "ENDTR" => Phase::After,
            _ => return None,
        })
    }

    /// From an SZSE phase code, whose first letter says it: `T0` and blanks is continuous trading.
    pub fn from_szse(code: &str) -> Option<Phase> {
        Some(match code.trim().as_bytes().first()? {
            b'S' => Phase::Pre,
            b'O' => Phase::OpenCall,
            b'T' => Phase::Continuous,
            b'B' => Phase::Break,
            b'C' => Phase::CloseCall,
            b'E' | b'A' => Phase::After,
            b'H' => Phase::Halt,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_from_eight_or_nine_digits_and_checked() {
        assert_eq!(TickTime::from_number(93_000_540), TickTime::from_parts(9, 30, 0, 540));
        assert_eq!(TickTime::from_number(145_659_990).unwrap().ms_of_day(), 53_819_990);
        for bad in [-1, 96_000_000, 93_060_000, 240_000_000, i64::MAX] {
            assert_eq!(TickTime::from_number(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_session_is_closed_at_its_start_and_open_at_its_end() {
        let inside = |t| TickTime(t).in_session();
        assert!(inside(93_000_000) && inside(112_959_990) && inside(130_000_000) && inside(145_659_999));
        assert!(!inside(92_959_999) && !inside(113_000_000) && !inside(125_959_999) && !inside(145_700_000));
    }

    #[test]
    fn a_time_of_a_day_is_an_instant() {
        // 2023-02-01T01:30:00.540Z, 1970-01-01T00:00:00Z and 2024-02-29T07:00:00Z, by another program.
        assert_eq!(TickTime(93_000_540).ts_ns(20_230_201), 1_675_215_000_540_000_000);
        assert_eq!(TickTime(80_000_000).ts_ns(19_700_101), 0);
        assert_eq!(TickTime(150_000_000).ts_ns(20_240_229), 1_709_190_000_000_000_000);
    }

    #[test]
    fn words_and_clock_tell_phases() {
        assert_eq!(Phase::from_szse("T0      "), Some(Phase::Continuous));
        assert_eq!([Phase::from_sse("ENDTR"), Phase::from_sse("N")], [Some(Phase::After), None]);
        assert_eq!(TickTime(145_700_000).phase(), Phase::CloseCall);
        assert_eq!(TickTime(91_500_000).phase(), Phase::OpenCall);
    }
}
