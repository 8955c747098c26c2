//! The Sharpe ratio of the last 63 returns, day by day: a quarter of a trading year.

use crate::metrics::{Sample, sharpe, step_text};
use crate::report::chart::equity::names;
use crate::report::chart::header::{Header, Swatch};
use crate::report::chart::panel::{Numbers, Panel, scale};
use crate::report::chart::scene::Scene;
use crate::report::chart::theme::Theme;
use crate::report::chart::{caption, stack, zone};
use crate::run::RunResult;

const SIZE: (u32, u32) = (1600, 460);

/// Returns of a window.
pub(crate) const WINDOW: usize = 63;

/// The rolling Sharpe ratio of a run.
pub fn rolling_chart(result: &RunResult, theme: &Theme) -> Scene {
    let conventions = &result.config.conventions;
    let sample = Sample::of(&result.equity, result.config.cash, conventions);
    let ratios = sharpe::rolling(&sample.returns, WINDOW, conventions.ppy, conventions.rf);
    let time_ms = |local_ms: i64| local_ms + sample.step_ms - conventions.utc_offset_ms;
    let mut runs: Vec<Vec<(i64, f64)>> = vec![Vec::new()];
    for (step, ratio) in sample.steps.iter().zip(ratios) {
        match (ratio, runs.last_mut()) {
            (Some(ratio), Some(run)) => run.push((time_ms(step.local_ms), ratio)),
            (Some(_), None) | (None, _) => runs.push(Vec::new()),
        }
    }
    runs.retain(|run| !run.is_empty());
    let mut scene = Scene::new(SIZE, theme.background);
    let rect = stack(SIZE, &[1.0])[0];
    let value = scale(runs.iter().flatten().map(|p| p.1).chain([0.0]), false);
    let panel = Panel { rect, time: result.span_ms().unwrap_or((0, 1)), value };
    panel.value_axis(&mut scene, theme, Numbers::Plain);
    panel.time_axis(&mut scene, theme, &zone(result), true);
    panel.level(&mut scene, theme.frame, 0.0);
    panel.line(&mut scene, &runs, theme.equity, 2.0);
    panel.frame(&mut scene, theme);
    let step = step_text(sample.step_ms);
    panel.title(
        &mut scene,
        theme,
        format!("Sharpe of the last {WINDOW} returns of {step}, ddof 1, √{}", conventions.ppy),
    );
    if runs.is_empty() {
        panel.note(&mut scene, theme, "fewer returns than one window");
    }
    let header = Header {
        title: format!("{} — rolling Sharpe", names(result)),
        caption: caption(result, result.span_ms()),
        result: None,
        legend: vec![(Swatch::Line(theme.equity), "Sharpe ratio, annualised")],
    };
    header.draw(&mut scene, theme, rect.left, rect.right);
    scene
}
