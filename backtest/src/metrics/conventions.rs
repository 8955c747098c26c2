//! What a year, a step and a riskless return are: the conventions that every ratio is printed with.

use serde::Serialize;

use crate::error::Error;

/// Which calendar steps a curve has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Days {
    /// Every day: a day without bars has a return of 0. For venues that never close.
    #[default]
    Every,
    /// Days that have bars. For exchanges with weekends and holidays.
    Traded,
}

/// How returns are made of equity and annualised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Conventions {
    /// Returns a year. Default 365; 252 for A shares.
    pub ppy: f64,
    /// Riskless return per step. Default 0.
    pub rf: f64,
    /// Least acceptable return per step, for the Sortino ratio. Default 0.
    pub mar: f64,
    /// Local time of the venue less UTC, ms: where its days begin. Default 0; 8 h for A shares.
    pub utc_offset_ms: i64,
    /// Which days count. Default every.
    pub days: Days,
}

impl Default for Conventions {
    fn default() -> Self {
        Conventions { ppy: 365.0, rf: 0.0, mar: 0.0, utc_offset_ms: 0, days: Days::Every }
    }
}

impl Conventions {
    /// Whose clock shown times follow: `UTC`, `Shanghai`, or how far it is ahead, as in `UTC+5:30`.
    pub fn zone(&self) -> String {
        let minutes = self.utc_offset_ms / 60_000;
        match minutes {
            0 => "UTC".to_owned(),
            480 => "Shanghai".to_owned(),
            _ => {
                let sign = if minutes < 0 { '-' } else { '+' };
                format!("UTC{sign}{}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
        }
    }

    /// Those of mainland Chinese exchanges: 252 trading days, days of Shanghai.
    pub const ASHARE: Conventions =
        Conventions { ppy: 252.0, rf: 0.0, mar: 0.0, utc_offset_ms: 8 * 3_600_000, days: Days::Traded };

    /// # Errors
    /// A value out of range.
    pub fn check(&self) -> Result<(), Error> {
        let bad = |name, value: f64, expected: &str| {
            Err(Error::Parameter { name, value: value.to_string(), expected: expected.to_owned() })
        };
        if !(self.ppy > 0.0 && self.ppy <= 366.0) {
            return bad("ppy", self.ppy, "days a year above 0 and at most 366");
        }
        for (name, value) in [("rf", self.rf), ("mar", self.mar)] {
            if !value.is_finite() || value.abs() >= 1.0 {
                return bad(name, value, "a return per day above -1 and below 1");
            }
        }
        if self.utc_offset_ms.abs() > 14 * 3_600_000 {
            return bad("utc_offset_ms", self.utc_offset_ms as f64, "at most 14 hours");
        }
        Ok(())
    }
}
