//! How far equity stood under its peak.

use crate::metrics::drawdown::{deepest, underwater};
use crate::report::chart::equity::{held, names, spells};
use crate::report::chart::header::{Header, Swatch};
use crate::report::chart::panel::{Numbers, Panel, scale};
use crate::report::chart::scene::Scene;
use crate::report::chart::theme::Theme;
use crate::report::chart::{caption, stack, zone};
use crate::report::format;
use crate::run::RunResult;

const SIZE: (u32, u32) = (1600, 460);

/// The drawdown chart of a run.
pub fn drawdown_chart(result: &RunResult, theme: &Theme) -> Scene {
    let mut scene = Scene::new(SIZE, theme.background);
    let rect = stack(SIZE, &[1.0])[0];
    let depths = underwater(result.config.cash, &result.equity);
    let depths = held(result, result.equity.iter().map(|p| p.ts_ms).zip(depths));
    let (lowest, _) = scale(depths.iter().map(|p| p.1).chain([0.0]), false);
    let time = result.span_ms().unwrap_or((0, 1));
    let panel = Panel { rect, time, value: (lowest.min(-1e-6), 0.0) };
    draw(&mut scene, &panel, theme, result, &depths);
    let header = Header {
        title: format!("{} — drawdown", names(result)),
        caption: caption(result, result.span_ms()),
        result: None,
        legend: vec![(Swatch::Area(theme.down.fade(0.35)), "equity under its last peak")],
    };
    header.draw(&mut scene, theme, rect.left, rect.right);
    scene
}

fn draw(scene: &mut Scene, panel: &Panel, theme: &Theme, result: &RunResult, depths: &[(i64, f64)]) {
    panel.value_axis(scene, theme, Numbers::Percent);
    panel.time_axis(scene, theme, &zone(result), true);
    panel.spells(scene, theme, spells(result));
    panel.area(scene, depths, 0.0, theme.down.fade(0.22));
    panel.line(scene, &[depths.to_vec()], theme.down, 1.5);
    panel.frame(scene, theme);
    let worst = deepest(result.config.cash, &result.equity);
    if let Some(worst) = worst {
        scene.dot(panel.at((worst.trough_ms, worst.depth)), 5.0, theme.down);
    }
    let deepest = worst.map_or_else(String::new, |worst| {
        let (depth, time) = (format::percent(worst.depth, 3), zone(result).date_time(worst.trough_ms));
        format!(" · deepest {depth} at {time}")
    });
    panel.title(scene, theme, format!("Drawdown from the peak, % of equity{deepest}"));
}
