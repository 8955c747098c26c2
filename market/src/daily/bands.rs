//! Bollinger bands of closes and of volumes: table `stock_bollinger_data`.

use serde::{Deserialize, Serialize};

use super::bar::Bar;
use super::numbers::{mean_sd, zscore_of_last};
use crate::ashare::StockCode;
use crate::calendar::Day;
use crate::factor::columns::columns;

/// Lengths of windows and the width of the bands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BandSettings {
    /// Bars of a band; at least 2.
    pub window: usize,
    /// Standard deviations between the middle and an outer band; above 0.
    pub k: f64,
    /// Band widths of a z-score; at least 2.
    pub z_window: usize,
}

impl Default for BandSettings {
    fn default() -> BandSettings {
        BandSettings { window: 20, k: 2.0, z_window: 120 }
    }
}

impl BandSettings {
    /// Bars that the row of one day can depend on.
    pub fn reach(&self) -> usize {
        self.window + self.z_window - 1
    }
}

columns! {
    /// One row of `stock_bollinger_data`.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct BollingerRow {
        /// Stock.
        pub ts_code: StockCode,
        /// Trading day.
        pub trade_date: Day,
        /// Name of the stock, empty if not known.
        pub name: String,
        /// Mean of the window's closes, CNY.
        pub middle_band: f64,
        /// Middle plus k standard deviations, CNY.
        pub upper_band: f64,
        /// Middle minus k standard deviations, CNY.
        pub lower_band: f64,
        /// Upper minus lower, CNY.
        pub band_width: f64,
        /// Where the width lies among the last widths, standard deviations.
        pub band_width_zscore: Option<f64>,
        /// Where the close lies between the bands, percent, not clipped; null if they coincide.
        pub price_position: Option<f64>,
        /// Upper over middle minus 1, percent.
        pub upper_return: f64,
        /// Lower over middle minus 1, percent.
        pub lower_return: f64,
        /// Mean of the window's volumes, shares; null if one of them is missing, as all that follow.
        pub v_middle_band: Option<f64>,
        /// Middle plus k standard deviations, shares.
        pub v_upper_band: Option<f64>,
        /// Middle minus k standard deviations, shares; may be negative.
        pub v_lower_band: Option<f64>,
        /// Upper minus lower, shares.
        pub v_band_width: Option<f64>,
        /// Where the width lies among the last widths, standard deviations.
        pub v_band_width_zscore: Option<f64>,
        /// Where the volume lies between its bands, percent, not clipped: high means unusually much.
        pub v_price_position: Option<f64>,
    }
}

/// The bands of one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bands {
    /// Mean.
    pub middle: f64,
    /// Mean plus k standard deviations.
    pub upper: f64,
    /// Mean minus k standard deviations.
    pub lower: f64,
    /// Where the last value lies between them, percent; `None` if they coincide.
    pub position: Option<f64>,
}

impl Bands {
    /// Bands of a window of at least one value; the last one is positioned.
    ///
    /// ```text
    /// middle ± k·sd      position = 100·(x − lower)/(upper − lower)
    /// ```
    pub fn of(window: &[f64], k: f64) -> Bands {
        let (middle, sd) = mean_sd(window);
        let (upper, lower) = (middle + k * sd, middle - k * sd);
        let x = window[window.len() - 1];
        let position = (upper != lower).then(|| 100.0 * (x - lower) / (upper - lower));
        Bands { middle, upper, lower, position }
    }

    /// Upper minus lower.
    pub fn width(&self) -> f64 {
        self.upper - self.lower
    }
}

/// The bands that end at each value; `None` where the window is not full or a value in it is missing.
pub fn bands(values: &[Option<f64>], settings: &BandSettings) -> Vec<Option<Bands>> {
    let plain: Vec<f64> = values.iter().map(|x| x.unwrap_or_default()).collect();
    let mut present = 0;
    let mut at = |i: usize, x: &Option<f64>| {
        present = if x.is_some() { present + 1 } else { 0 };
        (present >= settings.window).then(|| Bands::of(&plain[i + 1 - settings.window..=i], settings.k))
    };
    values.iter().enumerate().map(|(i, x)| at(i, x)).collect()
}

/// The z-score of the last band width among the last `z_window`; `None` before there are that many, if one of
/// them is missing, or if they are all equal.
pub fn width_zscore(bands: &[Option<Bands>], z_window: usize) -> Option<f64> {
    let window = &bands[bands.len().checked_sub(z_window)?..];
    let widths: Option<Vec<f64>> = window.iter().map(|b| b.map(|b| b.width())).collect();
    zscore_of_last(&widths?)
}

/// The row of the last bar; `None` before there are `window` bars. Bars before the last
/// [`BandSettings::reach`] change nothing.
///
/// Prices are adjusted to the last bar's day; volumes are not.
pub fn last_row(code: StockCode, name: &str, bars: &[Bar], settings: &BandSettings) -> Option<BollingerRow> {
    let bars = &bars[bars.len().saturating_sub(settings.reach())..];
    let last = bars.last()?;
    let closes: Vec<Option<f64>> = bars.iter().map(|b| Some(b.close * b.factor_to(last))).collect();
    let volumes: Vec<Option<f64>> = bars.iter().map(|b| b.volume).collect();
    let (price, volume) = (bands(&closes, settings), bands(&volumes, settings));
    let p = (*price.last()?)?;
    let v = volume.last().copied().flatten();
    Some(BollingerRow {
        ts_code: code,
        trade_date: last.day,
        name: name.to_owned(),
        middle_band: p.middle,
        upper_band: p.upper,
        lower_band: p.lower,
        band_width: p.width(),
        band_width_zscore: width_zscore(&price, settings.z_window),
        price_position: p.position,
        upper_return: 100.0 * (p.upper / p.middle - 1.0),
        lower_return: 100.0 * (p.lower / p.middle - 1.0),
        v_middle_band: v.map(|v| v.middle),
        v_upper_band: v.map(|v| v.upper),
        v_lower_band: v.map(|v| v.lower),
        v_band_width: v.map(|v| v.width()),
        v_band_width_zscore: width_zscore(&volume, settings.z_window),
        v_price_position: v.and_then(|v| v.position),
    })
}

/// Where a bar's close and volume lie in their bands, percent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Positions {
    /// `price_position`.
    pub price: Option<f64>,
    /// `v_price_position`.
    pub volume: Option<f64>,
}

/// The positions of every bar: what the active pool reads. They do not depend on the day that prices are
/// adjusted to.
pub fn positions(bars: &[Bar], settings: &BandSettings) -> Vec<Positions> {
    let closes: Vec<Option<f64>> = bars.iter().map(|b| Some(b.close * b.factor)).collect();
    let volumes: Vec<Option<f64>> = bars.iter().map(|b| b.volume).collect();
    let pairs = bands(&closes, settings).into_iter().zip(bands(&volumes, settings));
    let position = |b: Option<Bands>| b.and_then(|b| b.position);
    pairs.map(|(p, v)| Positions { price: position(p), volume: position(v) }).collect()
}
