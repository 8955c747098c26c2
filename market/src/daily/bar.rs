//! A stock's day as the chain sees it, in CNY and shares: table `stock_daily`.

use serde::{Deserialize, Serialize};

use super::numbers::e4;
use crate::ashare::StockCode;
use crate::calendar::Day;
use crate::factor::columns::columns;

columns! {
    /// One row of `stock_daily`: prices as traded, not adjusted.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct StockDailyRow {
        /// Stock.
        pub ts_code: StockCode,
        /// Trading day.
        pub trade_date: Day,
        /// First price, CNY.
        pub open: f64,
        /// Highest price, CNY.
        pub high: f64,
        /// Lowest price, CNY.
        pub low: f64,
        /// Last price, CNY.
        pub close: f64,
        /// The exchange's reference for the day's limits, CNY.
        pub pre_close: Option<f64>,
        /// Volume, shares.
        pub vol: Option<f64>,
        /// Value, CNY.
        pub amount: Option<f64>,
        /// Adjustment factor; 1 where none is known.
        pub adj_factor: f64,
        /// Was the stock under special treatment? Null if not known.
        pub is_st: Option<bool>,
        /// 1 traded, 0 suspended.
        pub trade_status: u8,
    }
}

/// One bar of one stock, suspended days left out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// Trading day.
    pub day: Day,
    /// CNY.
    pub open: f64,
    /// CNY.
    pub high: f64,
    /// CNY.
    pub low: f64,
    /// CNY.
    pub close: f64,
    /// CNY; `None` if not told.
    pub pre_close: Option<f64>,
    /// Shares; `None` if not told.
    pub volume: Option<f64>,
    /// CNY; `None` if not told.
    pub amount: Option<f64>,
    /// Adjustment factor: price × factor is comparable over time. Above 0; 1 for prices adjusted already.
    pub factor: f64,
}

impl Bar {
    /// What a price of this bar is multiplied with to be comparable with prices of `day`.
    pub fn factor_to(&self, day: &Bar) -> f64 {
        if self.factor == day.factor { 1.0 } else { self.factor / day.factor }
    }

    /// Close in 1/10000 CNY, comparable with prices of `day`.
    pub fn close_e4(&self, day: &Bar) -> i64 {
        e4(self.close * self.factor_to(day))
    }
}
