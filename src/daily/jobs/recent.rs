//! Tests of levels of the last days, kept between the days of a run.

use std::collections::BTreeMap;
use std::sync::Arc;

use lobstream_market::ashare::StockCode;
use lobstream_market::calendar::Day;
use lobstream_market::daily::reaction::{LevelTestRow, TestedAs};

use crate::daily::store::Store;
use crate::error::Error;

/// A test with a score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::daily) struct Scored {
    pub(in crate::daily) code: StockCode,
    pub(in crate::daily) level_e4: i64,
    pub(in crate::daily) as_what: TestedAs,
    pub(in crate::daily) score: f64,
}

/// Scored tests by day.
#[derive(Debug, Default)]
pub(in crate::daily) struct RecentTests {
    days: BTreeMap<Day, Arc<Vec<Scored>>>,
}

/// Days that are kept.
const DAYS_MAX: usize = 90;

impl RecentTests {
    /// Scored tests of a day, by stock.
    pub(in crate::daily) fn of(&mut self, store: &Store, day: Day) -> Result<Arc<Vec<Scored>>, Error> {
        if let Some(found) = self.days.get(&day) {
            return Ok(found.clone());
        }
        let scored = |row: LevelTestRow| {
            Some(Scored {
                code: row.ts_code,
                level_e4: row.level_e4,
                as_what: row.level_type,
                score: row.score()?,
            })
        };
        let rows = store.day::<LevelTestRow>(day)?;
        let found = Arc::new(rows.into_values().flatten().filter_map(scored).collect::<Vec<_>>());
        self.days.insert(day, found.clone());
        while self.days.len() > DAYS_MAX {
            self.days.pop_first();
        }
        Ok(found)
    }

    /// The tests of a day were written anew.
    pub(in crate::daily) fn forget(&mut self, day: Day) {
        self.days.remove(&day);
    }
}
