//! Who traded big, and in which direction: table `stock_microstructure_daily`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::numbers::{quantile, ratio};
use super::print::Print;
use crate::ashare::StockCode;
use crate::book::Side;
use crate::calendar::Day;
use crate::factor::columns::{columns, text_field};

/// Where the big threshold comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BigMode {
    /// A quantile of the trade values of the last days.
    Hist,
    /// A quantile of the day's own values.
    Today,
    /// This value, CNY.
    Fixed(f64),
}

/// What is done while there is too little history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BigFallback {
    /// The day's own values tell; known after the close only.
    Today,
    /// Nothing is called big: those columns are null.
    Null,
}

/// What is compared with the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BigUnit {
    /// Every trade.
    Trade,
    /// All that one aggressor's order traded.
    Parent,
}

/// When a trade is big.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BigSettings {
    /// Where the threshold comes from.
    pub mode: BigMode,
    /// The quantile, in (0, 1).
    pub q: f64,
    /// Trading days of history, the day itself not among them.
    pub days: usize,
    /// Least days of it that have trades.
    pub min_days: usize,
    /// What is compared.
    pub unit: BigUnit,
    /// What is done below `min_days`.
    pub fallback: BigFallback,
}

impl Default for BigSettings {
    fn default() -> BigSettings {
        BigSettings {
            mode: BigMode::Hist,
            q: 0.90,
            days: 60,
            min_days: 5,
            unit: BigUnit::Trade,
            fallback: BigFallback::Today,
        }
    }
}

/// Where a threshold came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BigSource {
    /// The days before.
    Hist,
    /// The day itself: known after the close only.
    Today,
    /// The settings.
    Fixed,
    /// There is none.
    None,
}

impl BigSource {
    /// All of them.
    pub const ALL: [BigSource; 4] = [BigSource::Hist, BigSource::Today, BigSource::Fixed, BigSource::None];

    /// As written in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            BigSource::Hist => "hist",
            BigSource::Today => "today",
            BigSource::Fixed => "fixed",
            BigSource::None => "none",
        }
    }
}

/// May a row be relied on?
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MicroQuality {
    /// The trades make up the day's value.
    Ok,
    /// They make up less than 98 % or more than 102 % of it.
    Partial,
    /// The day's value is not known.
    Unchecked,
}

impl MicroQuality {
    /// All of them.
    pub const ALL: [MicroQuality; 3] = [MicroQuality::Ok, MicroQuality::Partial, MicroQuality::Unchecked];

    /// As written in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            MicroQuality::Ok => "ok",
            MicroQuality::Partial => "partial",
            MicroQuality::Unchecked => "unchecked",
        }
    }
}

text_field!(BigSource, MicroQuality);

columns! {
    /// One row of `stock_microstructure_daily`.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct MicroRow {
        /// Stock.
        pub ts_code: StockCode,
        /// Trading day.
        pub trade_date: Day,
        /// Value of all trades before 15:05, CNY.
        pub total_value: f64,
        /// Their volume, shares.
        pub total_volume: i64,
        /// Value over volume, CNY.
        pub vwap: f64,
        /// Value of big trades that buyers took, CNY.
        pub big_buy_value: Option<f64>,
        /// Value of big trades that sellers took, CNY.
        pub big_sell_value: Option<f64>,
        /// Buy minus sell, CNY.
        pub big_net_value: Option<f64>,
        /// Volume of big trades that buyers took, shares.
        pub big_buy_volume: Option<i64>,
        /// Volume of big trades that sellers took, shares.
        pub big_sell_volume: Option<i64>,
        /// Big net value over total value.
        pub big_net_ratio: Option<f64>,
        /// Big buy value over total value.
        pub big_buy_ratio: Option<f64>,
        /// Big sell value over total value.
        pub big_sell_ratio: Option<f64>,
        /// Big net value before 09:30, CNY.
        pub big_net_auction: Option<f64>,
        /// Big net value from 09:30 and before 10:00, CNY.
        pub big_net_open: Option<f64>,
        /// Big net value from 10:00 and before 14:00, CNY.
        pub big_net_mid: Option<f64>,
        /// Big net value from 14:00 on, CNY.
        pub big_net_close: Option<f64>,
        /// Value of all trades that buyers took, CNY.
        pub buy_value: f64,
        /// Value of all trades that sellers took, CNY.
        pub sell_value: f64,
        /// (buy − sell) / total value, -1 to 1: signed traded value, not order-book flow.
        pub order_flow_imbalance: f64,
        /// Trades.
        pub trade_count: u32,
        /// (trades of buyers − trades of sellers) / trades.
        pub aggressive_trade_count_ratio: f64,
        /// A trade is big from this value on, CNY.
        pub big_threshold: Option<f64>,
        /// Where it comes from.
        pub big_threshold_source: BigSource,
        /// Days that it was taken from.
        pub big_threshold_days: u32,
        /// Value traded at the fixed closing price, CNY; nowhere else in the row.
        pub after_hours_value: f64,
        /// Total value over the bar's.
        pub coverage: Option<f64>,
        /// Does the coverage fit?
        pub quality: MicroQuality,
    }
}

/// A threshold, and where it came from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// CNY; `None`: nothing can be called big.
    pub value: Option<f64>,
    /// Where it came from.
    pub source: BigSource,
    /// Days of history that it was taken from.
    pub days: u32,
}

impl Threshold {
    /// Is a value in CNY·10⁻⁴ big?
    pub fn is_big(&self, value_e4: i64) -> bool {
        self.value.is_some_and(|t| cny(value_e4) >= t)
    }

    /// As known while the day still goes on: nothing that comes from the day itself.
    pub fn before_close(self) -> Option<f64> {
        self.value.filter(|_| self.source != BigSource::Today)
    }
}

/// The threshold of a day: `history` holds the values of each earlier day that has trades, CNY·10⁻⁴, at most
/// `settings.days` days; `today` those of the day itself.
pub fn threshold(history: &[&[i64]], today: &[i64], settings: &BigSettings) -> Threshold {
    let days = history.len() as u32;
    let of_today =
        || Threshold { value: quantile_of(&[today], settings.q), source: BigSource::Today, days: 0 };
    match (settings.mode, settings.fallback) {
        (BigMode::Fixed(value), _) => Threshold { value: Some(value), source: BigSource::Fixed, days: 0 },
        (BigMode::Today, _) => of_today(),
        (BigMode::Hist, _) if history.len() >= settings.min_days => {
            Threshold { value: quantile_of(history, settings.q), source: BigSource::Hist, days }
        }
        (BigMode::Hist, BigFallback::Today) => of_today(),
        (BigMode::Hist, BigFallback::Null) => Threshold { value: None, source: BigSource::None, days },
    }
}

fn quantile_of(parts: &[&[i64]], q: f64) -> Option<f64> {
    let values = parts.iter().flat_map(|p| p.iter()).filter(|v| **v > 0).map(|v| cny(*v));
    quantile(&mut values.collect::<Vec<f64>>(), q)
}

/// What a day adds to the history that thresholds are taken from, CNY·10⁻⁴, ascending: the value of each trade
/// before 15:05, or of each aggressor's order.
pub fn values(prints: &[Print], unit: BigUnit) -> Vec<i64> {
    let session = prints.iter().filter(|p| !p.is_after_hours());
    let mut values: Vec<i64> = match unit {
        BigUnit::Trade => session.map(Print::value_e4).collect(),
        BigUnit::Parent => {
            let parents = parents(prints);
            let alone = session.filter(|p| parent(p).is_none()).map(Print::value_e4);
            alone.chain(parents.values().copied()).collect()
        }
    };
    values.sort_unstable();
    values
}

type Parent = (bool, i64);

fn parent(print: &Print) -> Option<Parent> {
    let side = print.aggressor.filter(|_| print.order_no != 0)?;
    Some((side == Side::Bid, print.order_no))
}

fn parents(prints: &[Print]) -> BTreeMap<Parent, i64> {
    let mut sums = BTreeMap::new();
    for print in prints.iter().filter(|p| !p.is_after_hours()) {
        if let Some(parent) = parent(print) {
            *sums.entry(parent).or_insert(0) += print.value_e4();
        }
    }
    sums
}

/// A day's sums, all exact.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    value: i64,
    volume: i64,
    /// Buyers, sellers.
    taken: [i64; 2],
    trades: [u32; 2],
    big: [i64; 2],
    big_volume: [i64; 2],
    /// Auction, open, mid, close.
    big_net: [i64; 4],
    n: u32,
    after_hours: i64,
}

impl Sums {
    fn add(&mut self, print: &Print, big: bool) {
        let value = print.value_e4();
        if print.is_after_hours() {
            self.after_hours += value;
            return;
        }
        self.value += value;
        self.volume += print.qty;
        self.n += 1;
        let Some(side) = print.aggressor else { return };
        let (at, sign) = match side {
            Side::Bid => (0, 1),
            Side::Ask => (1, -1),
        };
        self.taken[at] += value;
        self.trades[at] += 1;
        if big {
            self.big[at] += value;
            self.big_volume[at] += print.qty;
            self.big_net[bucket(print)] += sign * value;
        }
    }
}

fn bucket(print: &Print) -> usize {
    match print.time.hhmm() {
        ..930 => 0,
        930..1000 => 1,
        1000..1400 => 2,
        1400.. => 3,
    }
}

/// The row of a day; `None` without a trade before 15:05. `amount` is the bar's value, CNY.
pub fn row(
    code: StockCode,
    day: Day,
    prints: &[Print],
    threshold: &Threshold,
    amount: Option<f64>,
    unit: BigUnit,
) -> Option<MicroRow> {
    let parents = match unit {
        BigUnit::Trade => BTreeMap::new(),
        BigUnit::Parent => parents(prints),
    };
    let judged =
        |p: &Print| parent(p).and_then(|parent| parents.get(&parent).copied()).unwrap_or(p.value_e4());
    let mut sums = Sums::default();
    prints.iter().for_each(|p| sums.add(p, threshold.is_big(judged(p))));
    (sums.volume > 0 && sums.value > 0).then(|| finished(code, day, &sums, threshold, amount))
}

fn finished(code: StockCode, day: Day, sums: &Sums, threshold: &Threshold, amount: Option<f64>) -> MicroRow {
    let known = |x: f64| threshold.value.map(|_| x);
    let total = cny(sums.value);
    let share = |e4: i64| known(cny(e4) / total);
    let net = sums.big[0] - sums.big[1];
    let coverage = amount.and_then(|a| ratio(total, a));
    let [buys, sells] = sums.trades.map(f64::from);
    MicroRow {
        ts_code: code,
        trade_date: day,
        total_value: total,
        total_volume: sums.volume,
        vwap: total / sums.volume as f64,
        big_buy_value: known(cny(sums.big[0])),
        big_sell_value: known(cny(sums.big[1])),
        big_net_value: known(cny(net)),
        big_buy_volume: threshold.value.map(|_| sums.big_volume[0]),
        big_sell_volume: threshold.value.map(|_| sums.big_volume[1]),
        big_net_ratio: share(net),
        big_buy_ratio: share(sums.big[0]),
        big_sell_ratio: share(sums.big[1]),
        big_net_auction: known(cny(sums.big_net[0])),
        big_net_open: known(cny(sums.big_net[1])),
        big_net_mid: known(cny(sums.big_net[2])),
        big_net_close: known(cny(sums.big_net[3])),
        buy_value: cny(sums.taken[0]),
        sell_value: cny(sums.taken[1]),
        order_flow_imbalance: cny(sums.taken[0] - sums.taken[1]) / total,
        trade_count: sums.n,
        aggressive_trade_count_ratio: (buys - sells) / f64::from(sums.n),
        big_threshold: threshold.value,
        big_threshold_source: threshold.source,
        big_threshold_days: threshold.days,
        after_hours_value: cny(sums.after_hours),
        coverage,
        quality: match coverage {
            None => MicroQuality::Unchecked,
            Some(c) if (0.98..=1.02).contains(&c) => MicroQuality::Ok,
            Some(_) => MicroQuality::Partial,
        },
    }
}

/// CNY from CNY·10⁻⁴.
pub fn cny(value_e4: i64) -> f64 {
    value_e4 as f64 / 10_000.0
}
