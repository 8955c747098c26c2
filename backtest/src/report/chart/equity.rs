//! Equity, beside what it is compared with.

use crate::dataset::Spell;
use crate::report::chart::header::{Header, Swatch, spell_legend};
use crate::report::chart::panel::{Numbers, Panel, scale};
use crate::report::chart::scene::Scene;
use crate::report::chart::theme::Theme;
use crate::report::chart::{caption, stack, zone};
use crate::report::format;
use crate::run::RunResult;

const SIZE: (u32, u32) = (1600, 640);

/// More dots than these hide the line; then there are none.
const DOTS_MAX: usize = 400;

/// The equity chart of a run.
pub fn equity_chart(result: &RunResult, theme: &Theme) -> Scene {
    let mut scene = Scene::new(SIZE, theme.background);
    let rect = stack(SIZE, &[1.0])[0];
    let time = result.span_ms().unwrap_or((0, 1));
    let equity = held(result, result.equity.iter().map(|p| (p.ts_ms, p.equity)));
    let benchmark = result.benchmark.iter().flatten().map(|p| (p.ts_ms, p.equity));
    let benchmark = held(result, benchmark);
    let all = equity.iter().chain(&benchmark).map(|p| p.1).chain([result.config.cash]);
    let panel = Panel { rect, time, value: scale(all, false) };
    draw_equity(&mut scene, &panel, theme, result, &equity, &benchmark);
    header(result, theme).draw(&mut scene, theme, rect.left, rect.right);
    scene
}

/// Points of a curve; where bars are missing it keeps its value and does not lean towards the next.
pub(super) fn held(result: &RunResult, points: impl Iterator<Item = (i64, f64)>) -> Vec<(i64, f64)> {
    let mut curve: Vec<(i64, f64)> = Vec::new();
    for (ms, value) in points {
        let before_ms = ms - result.step_ms;
        if let Some(&(_, last)) = curve.last().filter(|last| last.0 < before_ms) {
            curve.push((before_ms, last));
        }
        curve.push((ms, value));
    }
    curve
}

/// Spells of the only symbol; with several a shade would not say whose.
pub(super) fn spells(result: &RunResult) -> &[Spell] {
    match result.series.as_slice() {
        [only] => &only.spells,
        [] | [_, _, ..] => &[],
    }
}

fn draw_equity(
    scene: &mut Scene,
    panel: &Panel,
    theme: &Theme,
    result: &RunResult,
    equity: &[(i64, f64)],
    benchmark: &[(i64, f64)],
) {
    panel.value_axis(scene, theme, Numbers::Plain);
    panel.time_axis(scene, theme, &zone(result), true);
    panel.spells(scene, theme, spells(result));
    let start = result.config.cash;
    panel.area(scene, equity, start, theme.equity.fade(0.10));
    panel.level(scene, theme.frame, start);
    panel.line(scene, &[benchmark.to_vec()], theme.second, 1.5);
    panel.line(scene, &[equity.to_vec()], theme.equity, 2.0);
    let dots = has_dots(result);
    for trade in result.trades.iter().filter(|trade| dots && trade.is_closed()) {
        let at = equity.partition_point(|point| point.0 < trade.exit_ms).min(equity.len() - 1);
        let at = panel.at(equity[at]);
        scene.dot(at, 6.0, theme.background);
        scene.dot(at, 4.0, theme.of(trade.pnl));
    }
    panel.frame(scene, theme);
    panel.title(scene, theme, format!("Equity, {}", format::currencies(&result.series)));
    if result.trades.is_empty() {
        panel.note(scene, theme, "No trades: equity stays at the start capital");
    }
}

fn has_dots(result: &RunResult) -> bool {
    (1..=DOTS_MAX).contains(&result.trades.len())
}

/// The first symbols, and their venue if it is one.
pub(super) fn names(result: &RunResult) -> String {
    let symbols: Vec<&str> = result.series.iter().take(4).map(|s| s.symbol.as_str()).collect();
    let more = if result.series.len() > 4 { ", …" } else { "" };
    let venue = result.series.first().map(|first| &first.venue);
    let venue = venue.filter(|venue| result.series.iter().all(|s| s.venue == **venue));
    let venue = venue.map_or_else(String::new, |venue| format!(" · {venue}"));
    format!("{}{more}{venue}", symbols.join(", "))
}

fn header(result: &RunResult, theme: &Theme) -> Header {
    let total = result.metrics.get("total_return").unwrap_or(0.0);
    let gained = result.equity.last().map_or(0.0, |last| last.equity - result.config.cash);
    let text = format!(
        "{} {} · {} %",
        format::signed(gained, 2),
        format::currencies(&result.series),
        format::signed(total * 100.0, 3)
    );
    let mut legend = vec![
        (Swatch::Line(theme.equity), "equity, fees and slippage paid"),
        (Swatch::Dashed(theme.frame), "start capital"),
    ];
    if result.benchmark.is_some() {
        legend.push((Swatch::Line(theme.second), "benchmark: all symbols held"));
    }
    if has_dots(result) {
        legend.push((Swatch::Dot(theme.up), "exit with a gain"));
        legend.push((Swatch::Dot(theme.down), "exit with a loss"));
    }
    if let [only] = result.series.as_slice() {
        legend.extend(spell_legend(theme, std::iter::once(only.as_ref())));
    }
    Header {
        title: format!("{} — equity", names(result)),
        caption: caption(result, result.span_ms()),
        result: (!result.trades.is_empty()).then(|| (text, theme.of(gained))),
        legend,
    }
}
