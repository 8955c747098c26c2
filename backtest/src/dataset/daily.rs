//! What a portfolio of stocks is tested on: daily bars, the tables of the daily chain, next-day candidates.
//!
//! Prices are integers of 10⁻⁴ CNY, so that percentages of levels are compared exactly.

use crate::dataset::Date;
use crate::error::Error;

/// A tick of an A share in units of 10⁻⁴ CNY.
pub const TICK_E4: i64 = 100;

/// What the prices of all stocks are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PriceBasis {
    /// As traded: limits are exact, an ex-date shows as a reference price that is not the last close.
    #[default]
    Traded,
    /// Adjusted for corporate actions: limits are only about right, and nothing is booked on ex-dates.
    Adjusted,
}

/// A day on which the stock traded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DailyBar {
    /// Which day.
    pub date: Date,
    /// Price of the opening auction.
    pub open: i64,
    /// Highest price.
    pub high: i64,
    /// Lowest price.
    pub low: i64,
    /// Last price.
    pub close: i64,
    /// Reference price of the exchange, from which the limits follow.
    pub pre_close: i64,
    /// Shares; missing where the source has none.
    pub volume: Option<i64>,
    /// Marked ST or *ST on this day.
    pub st: bool,
}

/// Tests of one level on one day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LevelTest {
    /// The level.
    pub level_e4: i64,
    /// Traded inside the band, CNY.
    pub value: f64,
    /// Net buying of big trades, CNY; `None` without a threshold for big.
    pub big_net: Option<f64>,
    /// Signed traded value, CNY.
    pub signed: f64,
}

/// Flow of a whole day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DayFlow {
    /// Net buying of big trades over the day's value; `None` without a threshold for big.
    pub big_net_ratio: Option<f64>,
    /// Signed traded value over value.
    pub order_flow_imbalance: Option<f64>,
}

/// What the tables say about a stock after the close of a day.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DayFacts {
    /// 100·(close − lower)/(upper − lower) of the bands.
    pub price_position: Option<f64>,
    /// Middle band, CNY.
    pub middle_band: Option<f64>,
    /// `None` if there were no trades to sum.
    pub flow: Option<DayFlow>,
    /// Tests of levels, in any order.
    pub tests: Vec<LevelTest>,
    /// After the close of which day this is known; `None`: of its own bar.
    pub known: Option<Date>,
}

/// Cash and bonus shares of an ex-date, for one share held, in units of 10⁻⁸.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    /// First day without the right.
    pub ex_date: Date,
    /// CNY before tax.
    pub cash_e8: i64,
    /// New shares.
    pub shares_e8: i64,
}

/// One stock: facts stand beside the bars, one each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stock {
    /// Such as `600010.SH`.
    pub code: String,
    /// First trading day, if known.
    pub listed: Option<Date>,
    /// First day on which it is not traded any more, if known.
    pub delisted: Option<Date>,
    /// By day.
    pub bars: Vec<DailyBar>,
    /// One per bar.
    pub facts: Vec<DayFacts>,
    /// By day. An ex-date that is not here is taken as cash altogether.
    pub actions: Vec<Action>,
}

impl Stock {
    /// The bar of a day.
    pub fn index(&self, date: Date) -> Option<usize> {
        self.bars.binary_search_by_key(&date, |bar| bar.date).ok()
    }

    fn check(&self) -> Result<(), Error> {
        let bad = |row, what| Err(Error::BadData { symbol: self.code.clone(), row, what });
        if self.facts.len() != self.bars.len() {
            return bad(0, "bars and facts differ in number");
        }
        for (row, bar) in self.bars.iter().enumerate() {
            if bar.low <= 0 || bar.pre_close <= 0 {
                return bad(row, "a price is not positive");
            }
            if bar.low > bar.open.min(bar.close) || bar.high < bar.open.max(bar.close) {
                return bad(row, "open or close lies outside low and high");
            }
            if row > 0 && self.bars[row - 1].date >= bar.date {
                return bad(row, "days do not ascend");
            }
        }
        Ok(())
    }
}

/// A stock that may be bought on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// After the close of this day it is known.
    pub known: Date,
    /// On this day it may be bought.
    pub valid_for: Date,
    /// Index of the stock.
    pub stock: usize,
    /// 1 is bought first.
    pub rank: u32,
    /// Level it stands on.
    pub support_e4: i64,
    /// Level above it, if there is one.
    pub resistance_e4: Option<i64>,
    /// It was taken without a quality score.
    pub quality_missing: bool,
    /// It was taken without a test of its support.
    pub support_missing: bool,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DailyData {
    /// What the prices are.
    pub basis: PriceBasis,
    /// Trading days, ascending.
    pub calendar: Vec<Date>,
    /// By code.
    pub stocks: Vec<Stock>,
    /// By day and rank.
    pub candidates: Vec<Candidate>,
}

impl DailyData {
    /// Checked and sorted data; candidates name stocks by their index in `stocks` as given.
    ///
    /// # Errors
    /// Bars that do not ascend, a price that is not positive, a bar that does not hold its own open or close, a
    /// candidate that is valid before it is known, no day at all.
    pub fn new(
        basis: PriceBasis,
        mut calendar: Vec<Date>,
        stocks: Vec<Stock>,
        mut candidates: Vec<Candidate>,
    ) -> Result<DailyData, Error> {
        stocks.iter().try_for_each(Stock::check)?;
        calendar.sort_unstable();
        calendar.dedup();
        if calendar.is_empty() {
            return Err(Error::NoRows);
        }
        let mut order: Vec<usize> = (0..stocks.len()).collect();
        order.sort_by(|a, b| stocks[*a].code.cmp(&stocks[*b].code));
        for (row, candidate) in candidates.iter_mut().enumerate() {
            let place = order.iter().position(|k| *k == candidate.stock);
            let what = "a candidate is of no stock, or valid before it is known";
            let bad = || Error::BadData { symbol: "candidates".to_owned(), row, what };
            candidate.stock = place.filter(|_| candidate.known < candidate.valid_for).ok_or_else(bad)?;
        }
        candidates.sort_by_key(|c| (c.valid_for, c.rank, c.stock));
        let mut stocks: Vec<Option<Stock>> = stocks.into_iter().map(Some).collect();
        let stocks = order.into_iter().filter_map(|k| stocks[k].take()).collect();
        Ok(DailyData { basis, calendar, stocks, candidates })
    }

    /// Candidates of a day by rank.
    pub fn candidates_for(&self, date: Date) -> &[Candidate] {
        let from = self.candidates.partition_point(|c| c.valid_for < date);
        let to = self.candidates.partition_point(|c| c.valid_for <= date);
        &self.candidates[from..to]
    }
}
