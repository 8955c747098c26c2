//! Equity, and below it how far it stood under its peak.

use crate::dataset::Spell;
use crate::metrics::drawdown::{deepest, underwater};
use crate::report::chart::header::{Header, Swatch, spell_legend};
use crate::report::chart::panel::{Numbers, Panel, scale};
use crate::report::chart::scene::Scene;
use crate::report::chart::theme::Theme;
use crate::report::chart::{caption, stack};
use crate::report::format;
use crate::run::RunResult;

const SIZE: (u32, u32) = (1600, 900);

/// The equity chart of a run.
pub fn equity_chart(result: &RunResult, theme: &Theme) -> Scene {
    let mut scene = Scene::new(SIZE, theme.background);
    let rects = stack(SIZE, &[0.64, 0.36]);
    let time = result.span_ms().unwrap_or((0, 1));
    let start = result.config.cash;
    let equity = held(result, result.equity.iter().map(|p| (p.ts_ms, p.equity)));
    let value = scale(equity.iter().map(|p| p.1).chain([start]), false);
    let upper = Panel { rect: rects[0], time, value };
    draw_equity(&mut scene, &upper, theme, result, &equity);
    let depths = underwater(start, &result.equity);
    let depths = held(result, result.equity.iter().map(|p| p.ts_ms).zip(depths));
    let (lowest, _) = scale(depths.iter().map(|p| p.1).chain([0.0]), false);
    let lower = Panel { rect: rects[1], time, value: (lowest.min(-1e-6), 0.0) };
    draw_drawdown(&mut scene, &lower, theme, result, &depths);
    header(result, theme).draw(&mut scene, theme, rects[0].left, rects[0].right);
    scene
}

/// Points of a curve; where bars are missing it keeps its value and does not lean towards the next.
fn held(result: &RunResult, points: impl Iterator<Item = (i64, f64)>) -> Vec<(i64, f64)> {
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
fn spells(result: &RunResult) -> &[Spell] {
    match result.series.as_slice() {
        [only] => &only.spells,
        [] | [_, _, ..] => &[],
    }
}

fn draw_equity(scene: &mut Scene, panel: &Panel, theme: &Theme, result: &RunResult, equity: &[(i64, f64)]) {
    panel.value_axis(scene, theme, Numbers::Plain);
    panel.time_axis(scene, theme, false);
    panel.spells(scene, theme, spells(result));
    let start = result.config.cash;
    panel.area(scene, equity, start, theme.equity.fade(0.10));
    panel.level(scene, theme.frame, start);
    panel.line(scene, &[equity.to_vec()], theme.equity, 2.0);
    for trade in result.trades.iter().filter(|trade| trade.is_closed()) {
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

fn draw_drawdown(scene: &mut Scene, panel: &Panel, theme: &Theme, result: &RunResult, depths: &[(i64, f64)]) {
    panel.value_axis(scene, theme, Numbers::Percent);
    panel.time_axis(scene, theme, true);
    panel.spells(scene, theme, spells(result));
    panel.area(scene, depths, 0.0, theme.down.fade(0.22));
    panel.line(scene, &[depths.to_vec()], theme.down, 1.5);
    panel.frame(scene, theme);
    let worst = deepest(result.config.cash, &result.equity);
    if let Some(worst) = worst {
        scene.dot(panel.at((worst.trough_ms, worst.depth)), 5.0, theme.down);
    }
    let deepest = worst.map_or_else(String::new, |worst| {
        let (depth, time) = (format::percent(worst.depth, 3), format::date_time(worst.trough_ms));
        format!(" · deepest {depth} at {time}")
    });
    panel.title(scene, theme, format!("Drawdown from the peak, % of equity{deepest}"));
}

fn header(result: &RunResult, theme: &Theme) -> Header {
    let symbols: Vec<&str> = result.series.iter().take(4).map(|s| s.symbol.as_str()).collect();
    let more = if result.series.len() > 4 { ", …" } else { "" };
    let venue = result.series.first().map(|first| &first.venue);
    let venue = venue.filter(|venue| result.series.iter().all(|s| s.venue == **venue));
    let venue = venue.map_or_else(String::new, |venue| format!(" · {venue}"));
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
        (Swatch::Area(theme.down.fade(0.35)), "drawdown"),
    ];
    if !result.trades.is_empty() {
        legend.push((Swatch::Dot(theme.up), "exit with a gain"));
        legend.push((Swatch::Dot(theme.down), "exit with a loss"));
    }
    if let [only] = result.series.as_slice() {
        legend.extend(spell_legend(theme, std::iter::once(only.as_ref())));
    }
    Header {
        title: format!("{}{more}{venue} — equity and drawdown", symbols.join(", ")),
        caption: caption(result, result.span_ms()),
        result: (!result.trades.is_empty()).then(|| (text, theme.of(gained))),
        legend,
    }
}
