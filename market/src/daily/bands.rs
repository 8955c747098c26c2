//! Bollinger bands of closes and of volumes: table `stock_bollinger_data`.

use serde::{Deserialize, Serialize};

use super::bar::Bar;
use super::numbers::rolling_mean_sd;
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
    /// Bands of a window with this mean and deviation, whose last value is `x`.
    ///
    /// ```text
    /// middle ± k·sd      position = 100·(x − lower)/(upper − lower)
    /// ```
    fn of((middle, sd): (f64, f64), x: f64, k: f64) -> Bands {
        let (upper, lower) = (middle + k * sd, middle - k * sd);
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
    windows(values, settings.window, |window, x| Some(Bands::of(window, x, settings.k)))
}

/// The z-score of each band width among the last `z_window`; `None` before there are that many, if one of them is
/// missing, or if they are all equal.
pub fn width_zscores(bands: &[Option<Bands>], z_window: usize) -> Vec<Option<f64>> {
    let widths: Vec<Option<f64>> = bands.iter().map(|b| b.map(|b| b.width())).collect();
    windows(&widths, z_window, |(mean, sd), last| (sd != 0.0).then(|| (last - mean) / sd))
}

/// What mean, deviation and last value of the window that ends at each value tell; `None` where it is not full.
fn windows<T: Copy>(
    values: &[Option<f64>],
    n: usize,
    tell: impl Fn((f64, f64), f64) -> Option<T>,
) -> Vec<Option<T>> {
    let mut all = vec![None; values.len()];
    let mut at = 0;
    for run in values.chunk_by(|a, b| a.is_some() == b.is_some()) {
        let present: Vec<f64> = run.iter().flatten().copied().collect();
        let ends = all[at..at + run.len()].iter_mut().zip(&present).skip(n - 1);
        for ((place, x), window) in ends.zip(rolling_mean_sd(&present, n)) {
            *place = tell(window, *x);
        }
        at += run.len();
    }
    all
}

/// What the bands say at one bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BandPoint {
    /// Of closes, adjusted to the day of the bar.
    pub price: Bands,
    /// z-score of their width.
    pub price_zscore: Option<f64>,
    /// Of volumes; `None` if one of the window is missing.
    pub volume: Option<Bands>,
    /// z-score of their width.
    pub volume_zscore: Option<f64>,
}

impl BandPoint {
    /// The row of the table.
    pub fn row(&self, ts_code: StockCode, name: &str, trade_date: Day) -> BollingerRow {
        let (p, v) = (&self.price, &self.volume);
        BollingerRow {
            ts_code,
            trade_date,
            name: name.to_owned(),
            middle_band: p.middle,
            upper_band: p.upper,
            lower_band: p.lower,
            band_width: p.width(),
            band_width_zscore: self.price_zscore,
            price_position: p.position,
            upper_return: 100.0 * (p.upper / p.middle - 1.0),
            lower_return: 100.0 * (p.lower / p.middle - 1.0),
            v_middle_band: v.map(|v| v.middle),
            v_upper_band: v.map(|v| v.upper),
            v_lower_band: v.map(|v| v.lower),
            v_band_width: v.map(|v| v.width()),
            v_band_width_zscore: self.volume_zscore,
            v_price_position: v.and_then(|v| v.position),
        }
    }
}

/// The points of all bars from `from` on, `None` before there are `window` bars. What the point of a bar says does not
/// depend on `from`, nor on bars before its last [`BandSettings::reach`].
///
/// Prices are adjusted to each bar's day; volumes are not.
///
/// ```text
/// factor of the day   1 1 1 1 1 1 1 2 2 2 2     days with one factor see the same closes:
///                     └── one pass ─┘└ one ┘    one pass over them and the reach before them
/// ```
pub fn points(bars: &[Bar], from: usize, settings: &BandSettings) -> Vec<Option<BandPoint>> {
    let begin = |at: usize| (at + 1).saturating_sub(settings.reach());
    let first = begin(from);
    let volumes: Vec<Option<f64>> = bars[first.min(bars.len())..].iter().map(|b| b.volume).collect();
    let volumes = bands(&volumes, settings);
    let volume_zscores = width_zscores(&volumes, settings.z_window);
    let mut points = Vec::with_capacity(bars.len().saturating_sub(from));
    let mut at = from;
    while let Some(day) = bars.get(at) {
        let end = at + bars[at..].iter().take_while(|b| b.factor == day.factor).count();
        let start = begin(at);
        let closes: Vec<Option<f64>> =
            bars[start..end].iter().map(|b| Some(b.close * b.factor_to(day))).collect();
        let prices = bands(&closes, settings);
        let zscores = width_zscores(&prices, settings.z_window);
        points.extend((at..end).map(|i| {
            Some(BandPoint {
                price: prices[i - start]?,
                price_zscore: zscores[i - start],
                volume: volumes[i - first],
                volume_zscore: volume_zscores[i - first],
            })
        }));
        at = end;
    }
    points
}

/// The row of the last bar; `None` before there are `window` bars.
pub fn last_row(code: StockCode, name: &str, bars: &[Bar], settings: &BandSettings) -> Option<BollingerRow> {
    let last = bars.last()?;
    let point = points(bars, bars.len() - 1, settings).pop().flatten()?;
    Some(point.row(code, name, last.day))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daily::numbers::{mean_sd, zscore_of_last};

    /// One window at a time, from the definition.
    fn slow(bars: &[Bar], i: usize, settings: &BandSettings) -> Option<[Option<f64>; 6]> {
        let width = |values: &[Option<f64>]| -> Option<(f64, f64)> {
            let window: Option<Vec<f64>> = values.iter().copied().collect();
            let (mean, sd) = mean_sd(&window?);
            Some((mean, (mean + settings.k * sd) - (mean - settings.k * sd)))
        };
        let closes: Vec<Option<f64>> =
            bars[..=i].iter().map(|b| Some(b.close * b.factor_to(&bars[i]))).collect();
        let volumes: Vec<Option<f64>> = bars[..=i].iter().map(|b| b.volume).collect();
        let zscore = |values: &[Option<f64>]| {
            let all: Option<Vec<f64>> = (0..settings.z_window)
                .rev()
                .map(|back| {
                    let end = values.len().checked_sub(back)?;
                    Some(width(&values[end.checked_sub(settings.window)?..end])?.1)
                })
                .collect();
            zscore_of_last(&all?)
        };
        let of = |values: &[Option<f64>]| width(&values[values.len().checked_sub(settings.window)?..]);
        let (price, volume) = (of(&closes)?, of(&volumes));
        Some([
            Some(price.0),
            Some(price.1),
            zscore(&closes),
            volume.map(|v| v.0),
            volume.map(|v| v.1),
            zscore(&volumes),
        ])
    }

    #[test]
    fn one_pass_over_a_history_says_what_each_day_says_to_the_bit() {
        let mut seed = 7u64;
        let mut draw = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as f64 / (1u64 << 31) as f64
        };
        let first = Day::from_number(20_240_102).expect("a date");
        let bars: Vec<Bar> = (0..400)
            .map(|n| {
                // A price that stands still, days without a volume, two ex-dates a few days apart.
                let close = if (90..130).contains(&n) { 10.1 } else { 10.0 + 3.0 * draw() };
                let volume = (n % 97 != 0).then(|| (1e6 * draw()).round());
                let factor = [1.0, 1.1, 1.27][usize::from(n >= 200) + usize::from(n >= 207)];
                let day = first.plus(n);
                let (pre_close, amount) = (None, None);
                Bar { day, open: close, high: close, low: close, close, pre_close, volume, amount, factor }
            })
            .collect();
        let settings = BandSettings { window: 5, k: 2.0, z_window: 12 };
        let bits = |x: Option<f64>| x.map(f64::to_bits);
        for from in [0, 3, 16, 205, 399] {
            let points = points(&bars, from, &settings);
            assert_eq!(points.len(), bars.len() - from);
            for (point, i) in points.iter().zip(from..) {
                let said = point.map(|p| {
                    let (price, volume) = (p.price, p.volume);
                    [
                        Some(price.middle),
                        Some(price.width()),
                        p.price_zscore,
                        volume.map(|v| v.middle),
                        volume.map(|v| v.width()),
                        p.volume_zscore,
                    ]
                });
                let expected = slow(&bars, i, &settings);
                assert_eq!(said.map(|x| x.map(bits)), expected.map(|x| x.map(bits)), "bar {i} from {from}");
            }
        }
        assert!(points(&bars, 400, &settings).is_empty());
    }
}
