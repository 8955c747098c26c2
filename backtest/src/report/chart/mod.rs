//! The charts of a run, as scenes.

mod axis;
mod decimate;
mod equity;
mod factors;
mod header;
mod panel;
mod price;
pub mod scene;
pub mod theme;

pub use equity::equity_chart;
pub use factors::factor_chart;
pub use price::price_chart;

use crate::dataset::Series;
use crate::metrics::step_text;
use crate::report::chart::scene::Rect;
use crate::report::format;
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

/// `2024-08-08 00:00:00 – 00:05:45 UTC · 1 s bars · bollinger_micro: n 120, k 2, …`.
fn caption(result: &RunResult, span_ms: Option<(i64, i64)>) -> String {
    let period = span_ms.map_or_else(|| "no data".to_owned(), |(from, to)| format::period(from, to));
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
