//! The charts of a run, as scenes.

mod axis;
mod daily;
mod decimate;
mod drawdown;
mod equity;
mod factors;
mod header;
mod heat;
mod histogram;
mod months;
mod panel;
mod price;
mod reasons;
mod rolling;
pub mod scene;
pub mod theme;

pub use daily::{DailyPicture, DayCandle, LevelLine, TestMark, daily_chart};
pub use drawdown::drawdown_chart;
pub use equity::equity_chart;
pub use factors::factor_chart;
pub use heat::heat_chart;
pub use histogram::histogram_chart;
pub use months::month_chart;
pub use price::price_chart;
pub use reasons::reason_chart;
pub(super) use rolling::WINDOW as ROLLING_WINDOW;
pub use rolling::rolling_chart;

use crate::dataset::Series;
use crate::metrics::step_text;
use crate::report::chart::scene::Rect;
use crate::report::format::Zone;
use crate::run::RunResult;

/// Left edge of all plot areas, pixels.
const LEFT: f64 = 118.0;

/// From the right edge of all plot areas to that of the chart, pixels.
const RIGHT: f64 = 44.0;

/// Upper edge of the first plot area, below header and legend and the title of the panel.
const TOP: f64 = 146.0;

/// What a chart needs below its last plot area.
const BOTTOM: f64 = 62.0;

/// Stacks plot areas of the given shares into a chart, each with room for its title.
fn stack(size: (u32, u32), shares: &[f64]) -> Vec<Rect> {
    const GAP: f64 = 44.0;
    let room = f64::from(size.1) - TOP - BOTTOM - GAP * (shares.len() as f64 - 1.0);
    let total: f64 = shares.iter().sum();
    let mut top = TOP;
    let mut rects = Vec::new();
    for share in shares {
        let bottom = top + room * share / total;
        rects.push(Rect { left: LEFT, top, right: f64::from(size.0) - RIGHT, bottom });
        top = bottom + GAP;
    }
    rects
}

/// The clock of the time axes of a run.
fn zone(result: &RunResult) -> Zone {
    Zone::of(&result.config.conventions)
}

/// `2024-08-08 00:00:00 – 00:05:45 UTC · 1 s bars · bollinger_flow: n 120, k 2, …`.
fn caption(result: &RunResult, span_ms: Option<(i64, i64)>) -> String {
    let period = span_ms.map_or_else(|| "no data".to_owned(), |(from, to)| zone(result).period(from, to));
    let params: Vec<String> = result
        .config
        .strategy
        .params()
        .iter()
        .filter(|(_, value, _)| value != "none")
        .map(|(name, value, _)| format!("{name} {value}"))
        .collect();
    let strategy = result.config.strategy.name();
    let colon = if params.is_empty() { "" } else { ": " };
    let bars = step_text(result.step_ms);
    format!("{period} · {bars} bars · {strategy}{colon}{}", params.join(", "))
}

/// Runs of neighbouring bars with a value: a line breaks where there was no book or no value.
fn runs(series: &Series, value: impl Fn(usize) -> Option<f64>) -> Vec<Vec<(i64, f64)>> {
    let mut runs: Vec<Vec<(i64, f64)>> = vec![Vec::new()];
    for i in 0..series.bars.len() {
        let value = value(i).filter(|x| x.is_finite());
        if series.bars.after_spell[i] || value.is_none() {
            runs.push(Vec::new());
        }
        if let (Some(run), Some(value)) = (runs.last_mut(), value) {
            run.push((series.known_ms(i), value));
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Dataset;
    use crate::report::chart::scene::{Label, Scene, Shape};
    use crate::report::chart::theme::Theme;
    use crate::report::plot::text_width;
    use crate::run::{RunConfig, run};
    use crate::strategy::StrategyConfig;

    /// A zigzag of `n` bars that ends high, held from its second bar on.
    fn held(symbol: &str, step_ms: i64, start_ms: i64, n: usize, price: f64) -> RunResult {
        let bar = |i: usize| {
            let px = price * (1.0 + 0.01 * ((i as f64 * 0.7).sin() + i as f64 / n as f64));
            [px, px * 1.001, px * 0.999, px * 1.0005]
        };
        let bars: Vec<[f64; 4]> = (0..n).map(bar).collect();
        let series = Series::from_ohlc("binance-usdm", symbol, step_ms, start_ms, &bars).expect("series");
        let strategy = StrategyConfig::parse("bollinger", [("n", "5"), ("k", "1")]).expect("strategy");
        let data = Dataset::from_series(vec![series]).expect("dataset");
        run(&data, &RunConfig { strategy, ..RunConfig::default() }).expect("run")
    }

    fn labels(scene: &Scene) -> Vec<&Label> {
        let shapes = scene.shapes.iter();
        shapes.filter_map(|shape| if let Shape::Text(label) = shape { Some(label) } else { None }).collect()
    }

    fn check(scene: &Scene, what: &str) {
        let labels = labels(scene);
        let bounds: Vec<Rect> = labels
            .iter()
            .map(|label| label.bounds(text_width(&label.text, label.size, label.bold)))
            .collect();
        let frame = Rect { left: 0.0, top: 0.0, right: scene.size.0.into(), bottom: scene.size.1.into() };
        for (i, a) in bounds.iter().enumerate() {
            let inside = a.left >= frame.left && a.right <= frame.right && a.bottom <= frame.bottom;
            assert!(inside, "{what}: {:?} leaves the chart: {a:?}", labels[i].text);
            for (j, b) in bounds.iter().enumerate().skip(i + 1) {
                assert!(!a.overlaps(b), "{what}: {:?} lies over {:?}", labels[i].text, labels[j].text);
            }
        }
    }

    #[test]
    fn no_text_lies_over_another_or_leaves_the_chart() {
        let theme = Theme::light(Default::default());
        let symbols = ["BTCUSDT", "1000SATSFDUSD_QUARTERLY_20241227"];
        for step_ms in [1_000, 60_000, 3_600_000, 86_400_000] {
            for n in [1, 2, 7, 61, 400, 5_000] {
                for (i, price) in [0.000_006_4, 1.5, 61_737.6, 123_456_789.0].into_iter().enumerate() {
                    // Midnight lies on the left edge, inside, or on the right edge.
                    let before = [0, 17_000, step_ms, step_ms - 7][i] * n as i64;
                    let start_ms = 1_723_075_200_000 - before;
                    let result = held(symbols[n % 2], step_ms, start_ms, n, price);
                    let what = format!("{n} bars of {step_ms} ms at {price}");
                    check(&price_chart(&result, 0, &theme), &what);
                    check(&equity_chart(&result, &theme), &what);
                    check(&drawdown_chart(&result, &theme), &what);
                    check(&month_chart(&result, &theme), &what);
                    check(&histogram_chart(&result, &theme), &what);
                    check(&rolling_chart(&result, &theme), &what);
                    check(&reason_chart(&result, &theme), &what);
                    check(&factor_chart(&result, 0, &theme), &what);
                }
            }
        }
    }

    #[test]
    fn every_point_of_a_chart_is_a_number() {
        let theme = Theme::dark(Default::default());
        for n in [1, 2, 300] {
            let result = held("BTCUSDT", 1_000, 0, n, 100.0);
            let scenes = [
                price_chart(&result, 0, &theme),
                equity_chart(&result, &theme),
                drawdown_chart(&result, &theme),
                histogram_chart(&result, &theme),
                rolling_chart(&result, &theme),
            ];
            for scene in scenes {
                for shape in &scene.shapes {
                    if let Shape::Line { points, .. } | Shape::Fill { points, .. } = shape {
                        assert!(points.iter().all(|(x, y)| x.is_finite() && y.is_finite()), "{shape:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_line_breaks_where_the_book_was_lost() {
        let mut result = held("BTCUSDT", 1_000, 0, 10, 100.0);
        let series = std::sync::Arc::make_mut(&mut result.series[0]);
        series.bars.after_spell[4] = true;
        let lengths: Vec<usize> =
            runs(series, |i| Some(series.bars.close[i]).filter(|_| i != 7)).iter().map(Vec::len).collect();
        assert_eq!(lengths, [4, 3, 2]);
    }
}
