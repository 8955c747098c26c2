//! Is the rise carried by big money: table `stock_fund_quality`.

use serde::{Deserialize, Serialize};

use super::bar::Bar;
use super::micro::MicroRow;
use super::numbers::{correlation, mean_sd, normal_cdf, ratio};
use crate::ashare::StockCode;
use crate::calendar::Day;
use crate::factor::columns::{columns, text_field};

/// How the window of a rise is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowMode {
    /// From the earliest bar since which the price rose without falling too far.
    Rise,
    /// From the lowest close.
    MinClose,
}

/// Weights of the score. A weight counts one standard deviation of its metric among all stocks of the day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QualityWeights {
    /// Of `big_net_share`.
    pub big_net_share: f64,
    /// Of `pos_days_ratio`.
    pub pos_days_ratio: f64,
    /// Of `price_return`.
    pub price_return: f64,
    /// Of `trend_corr`.
    pub trend_corr: f64,
    /// Of `big_cost_gain`.
    pub big_cost_gain: f64,
    /// Of `support_ratio`.
    pub support_ratio: f64,
}

/// How fund quality is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QualitySettings {
    /// How the window is found.
    pub window: WindowMode,
    /// Most bars of it.
    pub max_lookback: usize,
    /// A rise falls less than this from its peak, basis points.
    pub max_drawdown_bp: i64,
    /// Least fall that is a pullback, basis points.
    pub pullback_min_bp: i64,
    /// Least stocks of a day that are scored.
    pub min_rows: usize,
    /// Weights of the score.
    pub weights: QualityWeights,
}

impl Default for QualitySettings {
    fn default() -> QualitySettings {
        QualitySettings {
            window: WindowMode::Rise,
            max_lookback: 20,
            max_drawdown_bp: 600,
            pullback_min_bp: 200,
            min_rows: 5,
            weights: QualityWeights {
                big_net_share: 0.25,
                pos_days_ratio: 0.20,
                price_return: 0.15,
                trend_corr: 0.15,
                big_cost_gain: 0.15,
                support_ratio: 0.10,
            },
        }
    }
}

/// What a window is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowKind {
    /// A rise without a deep fall.
    Rise,
    /// Since the lowest close.
    MinClose,
    /// No rise was found: the last five bars.
    Fallback,
}

impl WindowKind {
    /// All of them.
    pub const ALL: [WindowKind; 3] = [WindowKind::Rise, WindowKind::MinClose, WindowKind::Fallback];

    /// As written in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            WindowKind::Rise => "rise",
            WindowKind::MinClose => "min_close",
            WindowKind::Fallback => "fallback",
        }
    }
}

/// May the flow metrics of a row be relied on?
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FundQuality {
    /// At least half of the bars have trades.
    Ok,
    /// Fewer: flow metrics and score are null.
    LowCoverage,
}

impl FundQuality {
    /// All of them.
    pub const ALL: [FundQuality; 2] = [FundQuality::Ok, FundQuality::LowCoverage];

    /// As written in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            FundQuality::Ok => "ok",
            FundQuality::LowCoverage => "low_coverage",
        }
    }
}

text_field!(WindowKind, FundQuality);

columns! {
    /// One row of `stock_fund_quality`.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct FundQualityRow {
        /// Stock.
        pub ts_code: StockCode,
        /// Trading day, the last one of the window.
        pub window_end: Day,
        /// First day of the window.
        pub window_start: Day,
        /// Bars of the window.
        pub window_days: u32,
        /// Bars of it that have trades.
        pub micro_days: u32,
        /// How the window was found.
        pub window_kind: WindowKind,
        /// Last close over first close minus 1.
        pub price_return: f64,
        /// Sum of big net value, CNY.
        pub big_net_sum: Option<f64>,
        /// The same over total value.
        pub big_net_share: Option<f64>,
        /// Total value over the value of freely traded shares.
        pub turnover_ratio: Option<f64>,
        /// Share of days whose big net value is above 0.
        pub pos_days_ratio: Option<f64>,
        /// Correlation of the cumulated big net value with the close.
        pub trend_corr: Option<f64>,
        /// Last close over the mean price of big buyers minus 1.
        pub big_cost_gain: Option<f64>,
        /// Share of pullbacks in which big money did not sell.
        pub support_ratio: Option<f64>,
        /// Weighted z-scores among the stocks of the day.
        pub fund_quality_z: Option<f64>,
        /// The same as a share of the normal distribution, 0 to 1.
        pub fund_quality_score: Option<f64>,
        /// May the flow metrics be relied on?
        pub quality: FundQuality,
    }
}

/// The flow of one bar of the window, prices adjusted to the last bar's day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flow {
    /// CNY.
    pub total_value: f64,
    /// CNY.
    pub big_net_value: f64,
    /// CNY, times the adjustment to the last bar's day.
    pub big_buy_value: f64,
    /// Shares.
    pub big_buy_volume: f64,
}

impl Flow {
    /// Of a stored row; `None` if nothing can be called big in it.
    pub fn of(row: &MicroRow, factor: f64) -> Option<Flow> {
        Some(Flow {
            total_value: row.total_value,
            big_net_value: row.big_net_value?,
            big_buy_value: row.big_buy_value? * factor,
            big_buy_volume: row.big_buy_volume? as f64,
        })
    }
}

/// First bar of the window among the last bars' closes (1/10000 CNY, at least one).
pub fn window(closes_e4: &[i64], settings: &QualitySettings) -> (usize, WindowKind) {
    let end = closes_e4.len() - 1;
    match settings.window {
        WindowMode::MinClose => {
            let lowest = (0..=end).min_by_key(|i| closes_e4[*i]).unwrap_or_default();
            (lowest, WindowKind::MinClose)
        }
        WindowMode::Rise => {
            let rises = |i: &usize| {
                closes_e4[end] > closes_e4[*i] && falls_less(&closes_e4[*i..], settings.max_drawdown_bp)
            };
            let fallback = (end.saturating_sub(4), WindowKind::Fallback);
            (0..end).find(rises).map_or(fallback, |start| (start, WindowKind::Rise))
        }
    }
}

/// Does no close lie `bp` or more below the peak before it?
fn falls_less(closes_e4: &[i64], bp: i64) -> bool {
    let mut peak = i64::MIN;
    closes_e4.iter().all(|c| {
        peak = peak.max(*c);
        i128::from(peak - c) * 10_000 < i128::from(peak) * i128::from(bp)
    })
}

/// Metrics of a window that need its flow.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Metrics {
    /// CNY.
    pub big_net_sum: f64,
    /// Over total value.
    pub big_net_share: Option<f64>,
    /// Over the free float.
    pub turnover_ratio: Option<f64>,
    /// Of days with flow.
    pub pos_days_ratio: Option<f64>,
    /// With the close.
    pub trend_corr: Option<f64>,
    /// Over the big buyers' mean price.
    pub big_cost_gain: Option<f64>,
    /// Of pullbacks.
    pub support_ratio: Option<f64>,
}

/// Metrics of a window: its closes (CNY, and 1/10000 CNY) and its flows, one per bar.
pub fn metrics(
    closes: &[f64],
    closes_e4: &[i64],
    flows: &[Option<Flow>],
    free_float_value: Option<f64>,
    settings: &QualitySettings,
) -> Metrics {
    let with_flow = || flows.iter().zip(closes).filter_map(|(f, c)| f.map(|f| (f, *c)));
    let sum = |of: fn(&Flow) -> f64| with_flow().map(|(f, _)| of(&f)).sum::<f64>();
    let (net, total) = (sum(|f| f.big_net_value), sum(|f| f.total_value));
    let days = with_flow().count() as f64;
    let rising = with_flow().filter(|(f, _)| f.big_net_value > 0.0).count() as f64;
    let cost = ratio(sum(|f| f.big_buy_value), sum(|f| f.big_buy_volume));
    let mut cumulated = 0.0;
    let (path, at): (Vec<f64>, Vec<f64>) = with_flow()
        .map(|(f, close)| {
            cumulated += f.big_net_value;
            (cumulated, close)
        })
        .unzip();
    Metrics {
        big_net_sum: net,
        big_net_share: ratio(net, total),
        turnover_ratio: free_float_value.and_then(|v| ratio(total, v)),
        pos_days_ratio: ratio(rising, days),
        trend_corr: correlation(&path, &at),
        big_cost_gain: cost.and_then(|c| ratio(closes[closes.len() - 1], c)).map(|r| r - 1.0),
        support_ratio: support_ratio(closes_e4, flows, settings.pullback_min_bp),
    }
}

/// Maximal runs of falling closes whose fall is a pullback, as (first, last) bar.
pub fn pullbacks(closes_e4: &[i64], min_bp: i64) -> Vec<(usize, usize)> {
    let falls = |i: usize| closes_e4[i] < closes_e4[i - 1];
    let (mut runs, mut i) = (Vec::new(), 1);
    while i < closes_e4.len() {
        if !falls(i) {
            i += 1;
            continue;
        }
        let first = i;
        while i < closes_e4.len() && falls(i) {
            i += 1;
        }
        let (from, to) = (closes_e4[first - 1], closes_e4[i - 1]);
        if i128::from(from - to) * 10_000 >= i128::from(from) * i128::from(min_bp) {
            runs.push((first, i - 1));
        }
    }
    runs
}

fn support_ratio(closes_e4: &[i64], flows: &[Option<Flow>], min_bp: i64) -> Option<f64> {
    let runs = pullbacks(closes_e4, min_bp);
    let nets: Vec<f64> = runs
        .iter()
        .filter_map(|(first, last)| flows[*first..=*last].iter().map(|f| f.map(|f| f.big_net_value)).sum())
        .collect();
    ratio(nets.iter().filter(|net| **net >= 0.0).count() as f64, nets.len() as f64)
}

/// The row of the last bar's day, not scored yet; `None` without a bar. `flow_of` gives the flow of a bar, its
/// prices multiplied with the factor.
pub fn unscored(
    code: StockCode,
    bars: &[Bar],
    flow_of: impl Fn(&Bar, f64) -> Option<Flow>,
    free_float_value: Option<f64>,
    settings: &QualitySettings,
) -> Option<FundQualityRow> {
    let bars = &bars[bars.len().saturating_sub(settings.max_lookback)..];
    let last = bars.last()?;
    let all_e4: Vec<i64> = bars.iter().map(|b| b.close_e4(last)).collect();
    let (start, kind) = window(&all_e4, settings);
    let (bars, closes_e4) = (&bars[start..], &all_e4[start..]);
    let closes: Vec<f64> = bars.iter().map(|b| b.close * b.factor_to(last)).collect();
    let flows: Vec<Option<Flow>> = bars.iter().map(|b| flow_of(b, b.factor_to(last))).collect();
    let micro_days = flows.iter().flatten().count();
    let covered = 2 * micro_days >= bars.len();
    let m = covered.then(|| metrics(&closes, closes_e4, &flows, free_float_value, settings));
    Some(FundQualityRow {
        ts_code: code,
        window_end: last.day,
        window_start: bars[0].day,
        window_days: bars.len() as u32,
        micro_days: micro_days as u32,
        window_kind: kind,
        price_return: closes[closes.len() - 1] / closes[0] - 1.0,
        big_net_sum: m.map(|m| m.big_net_sum),
        big_net_share: m.and_then(|m| m.big_net_share),
        turnover_ratio: m.and_then(|m| m.turnover_ratio),
        pos_days_ratio: m.and_then(|m| m.pos_days_ratio),
        trend_corr: m.and_then(|m| m.trend_corr),
        big_cost_gain: m.and_then(|m| m.big_cost_gain),
        support_ratio: m.and_then(|m| m.support_ratio),
        fund_quality_z: None,
        fund_quality_score: None,
        quality: if covered { FundQuality::Ok } else { FundQuality::LowCoverage },
    })
}

/// How a metric is read from a row.
type Metric = fn(&FundQualityRow) -> Option<f64>;

/// Gives every row of one day its score, if at least `min_rows` of them have flow.
///
/// ```text
/// z = clip((x − mean)/sd, ±3), 0 where x is null or sd = 0      score = Φ(Σ w·z)
/// ```
pub fn score(rows: &mut [FundQualityRow], settings: &QualitySettings) {
    let w = &settings.weights;
    let metrics: [(f64, Metric); 6] = [
        (w.big_net_share, |r| r.big_net_share),
        (w.pos_days_ratio, |r| r.pos_days_ratio),
        (w.price_return, |r| Some(r.price_return)),
        (w.trend_corr, |r| r.trend_corr),
        (w.big_cost_gain, |r| r.big_cost_gain),
        (w.support_ratio, |r| r.support_ratio),
    ];
    let mut scored: Vec<&mut FundQualityRow> =
        rows.iter_mut().filter(|r| r.big_net_share.is_some()).collect();
    if scored.len() < settings.min_rows.max(1) {
        return;
    }
    let mut sums = vec![0.0; scored.len()];
    for (weight, metric) in metrics {
        let values: Vec<Option<f64>> = scored.iter().map(|r| metric(r)).collect();
        let present: Vec<f64> = values.iter().copied().flatten().collect();
        if present.is_empty() {
            continue;
        }
        let (mean, sd) = mean_sd(&present);
        for (sum, value) in sums.iter_mut().zip(values) {
            let z = value.filter(|_| sd != 0.0).map_or(0.0, |x| ((x - mean) / sd).clamp(-3.0, 3.0));
            *sum += weight * z;
        }
    }
    for (row, z) in scored.iter_mut().zip(sums) {
        row.fund_quality_z = Some(z);
        row.fund_quality_score = Some(normal_cdf(z));
    }
}
