//! Bars in memory, as far back as a run needs them, and what follows from bars alone: who was in the pool.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;

use lobstream_market::ashare::StockCode;
use lobstream_market::calendar::{Calendar, Day};
use lobstream_market::daily::bands::{BandPoint, Positions, points, positions};
use lobstream_market::daily::bar::Bar;
use lobstream_market::daily::pool::{PoolBar, PoolReason, PoolRow, PoolStock, judge};
use rayon::prelude::*;

use super::hash::{self, Hasher};
use super::import::{Facts, StoredBar};
use super::settings::DailySettings;
use super::store::Store;
use crate::error::{Error, InputError, InputKind};

/// Trading days whose pools make up the universe.
const UNIVERSE_DAYS: usize = 10;

/// The bars of one stock, oldest first, where each lies in its bands, and the bands of the days of a run.
#[derive(Clone, Debug, Default)]
pub struct StockHistory {
    bars: Vec<Bar>,
    positions: Vec<Positions>,
    /// One per bar from the first day of the run on.
    points: Vec<Option<BandPoint>>,
}

impl StockHistory {
    /// Bars up to and with a day.
    pub fn until(&self, day: Day) -> &[Bar] {
        &self.bars[..self.bars.partition_point(|b| b.day <= day)]
    }

    /// The bar of a day; `None` if the stock did not trade.
    pub fn on(&self, day: Day) -> Option<&Bar> {
        self.until(day).last().filter(|b| b.day == day)
    }

    fn at(&self, day: Day) -> Option<usize> {
        self.bars.binary_search_by_key(&day, |b| b.day).ok()
    }

    fn position(&self, day: Day) -> Option<Positions> {
        self.positions.get(self.at(day)?).copied()
    }

    /// The bands of a day of the run; `None` without a bar or with too few before it.
    pub fn point(&self, day: Day) -> Option<BandPoint> {
        let before = self.bars.len() - self.points.len();
        self.points.get(self.at(day)?.checked_sub(before)?).copied().flatten()
    }
}

/// Why each stock of a day is in the pool or not.
pub type PoolVerdicts = BTreeMap<StockCode, Result<PoolRow, PoolReason>>;

/// What a run knows of bars.
#[derive(Debug)]
pub struct History {
    /// What is known of stocks beside their bars.
    pub facts: Facts,
    /// Trading days: the imported ones, else those that have bars.
    pub calendar: Calendar,
    /// Every stock that has bars.
    pub stocks: BTreeMap<StockCode, StockHistory>,
    /// Per day, the hash of all bars up to it.
    digests: BTreeMap<Day, String>,
    facts_hash: String,
    pools: Mutex<BTreeMap<Day, Vec<StockCode>>>,
}

impl History {
    /// Loads bars so that every day from `from` on has all that it can depend on.
    ///
    /// # Errors
    /// Nothing was imported (exit code 3); the store cannot be read.
    pub fn load(store: &Store, from: Day, to: Day, settings: &DailySettings) -> Result<History, Error> {
        let facts: Facts = store.get("facts", "all")?.unwrap_or_default();
        let digests = digests(store)?;
        let calendar = calendar_of(&facts, digests.keys().copied())?.0;
        let mut years: BTreeMap<StockCode, Vec<StoredBar>> = BTreeMap::new();
        for (key, bars) in store.scan::<Vec<StoredBar>>("bars", "")? {
            let code = store.code(key.split('|').next().unwrap_or_default())?;
            years.entry(code).or_default().extend(bars);
        }
        let near = |(code, bars): (StockCode, Vec<StoredBar>)| {
            let mut bars = with_factors(&bars);
            bars.retain(|b| b.day <= to && !facts.suspended.contains(&(code, b.day)));
            let first = bars.partition_point(|b| b.day < from).saturating_sub(settings.reach());
            bars.drain(..first);
            bars.shrink_to_fit();
            let positions = positions(&bars, &settings.bollinger);
            let points = points(&bars, bars.partition_point(|b| b.day < from), &settings.bollinger);
            (code, StockHistory { bars, positions, points })
        };
        let stocks = years.into_par_iter().map(near).filter(|(_, h)| !h.bars.is_empty()).collect();
        let facts_hash = hash::of([format!("{facts:?}")]);
        let pools = Mutex::default();
        Ok(History { facts, calendar, stocks, digests, facts_hash, pools })
    }

    /// Of all bars up to a day, and of what is known of stocks.
    pub fn digest(&self, day: Day) -> String {
        let bars = self.digests.range(..=day).next_back().map(|(_, d)| d.as_str());
        hash::of([bars.unwrap_or_default(), &self.facts_hash])
    }

    /// The last day that has bars.
    pub fn last_day(&self) -> Option<Day> {
        self.digests.keys().next_back().copied()
    }

    /// Bars of a day, by stock.
    pub fn on(&self, day: Day) -> impl Iterator<Item = (StockCode, &Bar)> {
        self.stocks.iter().filter_map(move |(code, h)| Some((*code, h.on(day)?)))
    }

    /// The verdict on every stock on a day.
    pub fn pool(&self, day: Day, settings: &DailySettings) -> PoolVerdicts {
        let n = settings.pool.window_days as usize;
        let first = if settings.pool.trading_days {
            self.calendar.last(day, n).first().copied().unwrap_or(day)
        } else {
            day.plus(1 - settings.pool.window_days as i32)
        };
        let verdict = |(code, history): (&StockCode, &StockHistory)| {
            let bars = history.until(day);
            let window = &bars[bars.partition_point(|b| b.day < first)..];
            let window: Vec<PoolBar> = window
                .iter()
                .map(|b| PoolBar { positions: history.position(b.day).unwrap_or_default(), amount: b.amount })
                .collect();
            let stock = PoolStock {
                code: *code,
                board: self.facts.board(*code),
                is_st: self.facts.is_st(*code, day).unwrap_or(false),
                is_delisted: self.facts.is_delisted(*code, day),
                has_bar_today: history.on(day).is_some(),
            };
            (*code, judge(&stock, day, &window, &settings.pool))
        };
        self.stocks.par_iter().map(verdict).collect()
    }

    /// Who is looked at on a day: members of the pools of the last ten trading days that traded on it.
    pub fn universe(&self, day: Day, settings: &DailySettings) -> Vec<StockCode> {
        if settings.universe_all {
            return self.on(day).map(|(code, _)| code).collect();
        }
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::new();
        for day in self.calendar.last(day, UNIVERSE_DAYS) {
            let pool = pools.entry(*day).or_insert_with(|| {
                let verdicts = self.pool(*day, settings);
                verdicts.into_iter().filter(|(_, v)| v.is_ok()).map(|(code, _)| code).collect()
            });
            all.extend(pool.iter().copied());
        }
        all.sort_unstable();
        all.dedup();
        all.retain(|code| self.stocks[code].on(day).is_some());
        all
    }
}

/// Trading days, the imported ones or else those that have bars; and the last day that has bars.
///
/// # Errors
/// Nothing was imported (exit code 3); the store cannot be read.
pub fn calendar(store: &Store) -> Result<(Calendar, Day), Error> {
    let facts: Facts = store.get("facts", "all")?.unwrap_or_default();
    calendar_of(&facts, digests(store)?.into_keys())
}

fn calendar_of(facts: &Facts, with_bars: impl Iterator<Item = Day>) -> Result<(Calendar, Day), Error> {
    let with_bars: Vec<Day> = with_bars.collect();
    let Some(last) = with_bars.last().copied() else {
        let what = "no bars are stored: import them with lobstream daily import bars FILE".to_owned();
        return Err(Error::Missing { what });
    };
    let imported: Vec<Day> = facts.calendar.iter().copied().collect();
    Ok((Calendar::new(if imported.is_empty() { with_bars } else { imported }), last))
}

/// Per day, the hash of all bars up to it.
fn digests(store: &Store) -> Result<BTreeMap<Day, String>, Error> {
    let (mut all, mut so_far) = (BTreeMap::new(), String::new());
    for (key, sum) in store.scan::<u128>("digests", "")? {
        let day: Day = key.parse().map_err(|e: lobstream_market::calendar::NoDay| InputError {
            kind: InputKind::Malformed,
            file: store.dir().display().to_string(),
            line: None,
            what: e.to_string(),
        })?;
        let mut hasher = Hasher::default();
        hasher.add(&so_far);
        hasher.add(sum.to_le_bytes());
        so_far = hasher.finish();
        all.insert(day, so_far.clone());
    }
    Ok(all)
}

/// Bars with their factors. Where the vendor gives none, a factor steps by the previous close over `pre_close`
/// on days on which these differ.
fn with_factors(stored: &[StoredBar]) -> Vec<Bar> {
    let (mut bars, mut factor, mut before): (Vec<Bar>, f64, Option<f64>) = (Vec::new(), 1.0, None);
    for b in stored {
        factor = match (b.factor, before, b.pre_close) {
            (Some(told), ..) => told,
            (None, Some(close), Some(pre_close)) if close != pre_close => factor * close / pre_close,
            (None, ..) => factor,
        };
        before = Some(b.close);
        bars.push(Bar {
            day: b.day,
            open: b.open,
            high: b.high,
            low: b.low,
            close: b.close,
            pre_close: b.pre_close,
            volume: b.volume,
            amount: b.amount,
            factor,
        });
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_factor_column_ex_dates_are_told_by_the_reference_price() {
        let day = |n: i64| Day::from_number(20_250_101 + n).expect("a date");
        let bar = |n, close, pre_close, factor| StoredBar {
            day: day(n),
            open: close,
            high: close,
            low: close,
            close,
            pre_close,
            volume: None,
            amount: None,
            factor,
        };
        let bars = [bar(0, 10.0, None, None), bar(1, 11.0, Some(10.0), None), bar(2, 5.6, Some(5.5), None)];
        let factors: Vec<f64> = with_factors(&bars).iter().map(|b| b.factor).collect();
        assert_eq!(factors, [1.0, 1.0, 2.0]);
        let told = [bar(0, 10.0, None, Some(3.0)), bar(1, 5.0, Some(5.0), Some(6.0))];
        assert_eq!(with_factors(&told).iter().map(|b| b.factor).collect::<Vec<_>>(), [3.0, 6.0]);
    }
}
