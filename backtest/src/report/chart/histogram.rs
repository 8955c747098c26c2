//! How often returns of each size occurred.

use crate::metrics::{Sample, returns, step_text};
use crate::report::chart::axis::{mark_texts, round_step, value_marks};
use crate::report::chart::equity::names;
use crate::report::chart::header::{Header, Swatch};
use crate::report::chart::panel::{Numbers, Panel};
use crate::report::chart::scene::{Anchor, Label, Rect, Scene};
use crate::report::chart::theme::{Theme, size};
use crate::report::chart::{caption, stack};
use crate::report::format;
use crate::run::RunResult;

const SIZE: (u32, u32) = (1600, 560);
const BINS_MAX: f64 = 80.0;

/// Bins of equal width, one edge of them at zero.
#[derive(Clone, Debug, PartialEq)]
struct Bins {
    /// Width of a bin.
    width: f64,
    /// Number of the first bin: it begins at `first·width`.
    first: i64,
    counts: Vec<usize>,
}

impl Bins {
    /// `None` without a value or where all are zero.
    fn of(values: &[f64]) -> Option<Bins> {
        let (lo, hi) = values.iter().fold((0.0f64, 0.0f64), |(lo, hi), x| (lo.min(*x), hi.max(*x)));
        let wanted = (2.0 * (values.len() as f64).sqrt()).clamp(16.0, BINS_MAX);
        let width = (hi > lo).then(|| round_step((hi - lo) / wanted))?;
        let (first, last) = ((lo / width).floor() as i64, (hi / width).floor() as i64);
        let mut counts = vec![0; (last - first + 1) as usize];
        for x in values {
            counts[((x / width).floor() as i64 - first) as usize] += 1;
        }
        Some(Bins { width, first, counts })
    }

    fn edge(&self, i: usize) -> f64 {
        (self.first + i as i64) as f64 * self.width
    }
}

/// The histogram of a run's returns per step.
pub fn histogram_chart(result: &RunResult, theme: &Theme) -> Scene {
    let sample = Sample::of(&result.equity, result.config.cash, &result.config.conventions);
    let mut scene = Scene::new(SIZE, theme.background);
    let rect = stack(SIZE, &[1.0])[0];
    let step = step_text(sample.step_ms);
    let panel = Panel { rect, time: (0, 1), value: (0.0, 1.0) };
    match Bins::of(&sample.returns) {
        Some(bins) => draw(&mut scene, panel, theme, &bins, returns::mean(&sample.returns)),
        None => panel.note(&mut scene, theme, "equity never moved"),
    }
    panel.frame(&mut scene, theme);
    panel.title(&mut scene, theme, format!("Steps of {step} with such a return"));
    let header = Header {
        title: format!("{} — returns of {step}", names(result)),
        caption: caption(result, result.span_ms()),
        result: None,
        legend: vec![
            (Swatch::Area(theme.up), "gain"),
            (Swatch::Area(theme.down), "loss"),
            (Swatch::Line(theme.second), "mean"),
        ],
    };
    header.draw(&mut scene, theme, rect.left, rect.right);
    scene
}

fn draw(scene: &mut Scene, panel: Panel, theme: &Theme, bins: &Bins, mean: Option<f64>) {
    let greatest = bins.counts.iter().copied().max().unwrap_or(1) as f64;
    let panel = panel.scaled((0.0, greatest * 1.06));
    let (lo, hi) = (bins.edge(0), bins.edge(bins.counts.len()));
    let x = |value: f64| panel.rect.left + (value - lo) / (hi - lo) * panel.rect.width();
    panel.value_axis(scene, theme, Numbers::Plain);
    for (i, count) in bins.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let (left, right) = (x(bins.edge(i)) + 1.0, x(bins.edge(i + 1)) - 1.0);
        let rect = Rect { left, right, top: panel.y(*count as f64), bottom: panel.rect.bottom };
        scene.rect(rect, if bins.edge(i) < 0.0 { theme.down } else { theme.up });
    }
    if let Some(mean) = mean {
        let x = x(mean);
        scene.line(vec![(x, panel.rect.top), (x, panel.rect.bottom)], theme.second, 2.0);
    }
    let marks = value_marks(lo * 100.0, hi * 100.0, 10);
    for (mark, text) in marks.iter().zip(mark_texts(&marks)) {
        let at = (x(mark / 100.0), panel.rect.bottom + 18.0);
        let (anchor, size, color) = (Anchor::Center, size::LABEL, theme.text);
        scene.text(Label { text: format!("{text} %"), at, anchor, size, bold: false, color });
    }
    if let Some(mean) = mean {
        let text = format!("mean {} %", format::signed(mean * 100.0, 4));
        let at = (panel.rect.right, panel.rect.top - 14.0);
        let (anchor, size, color) = (Anchor::Right, size::LABEL, theme.second);
        scene.text(Label { text, at, anchor, size, bold: true, color });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_return_is_in_a_bin_and_zero_is_an_edge() {
        let values: Vec<f64> = (0..500).map(|i| ((i * 37) % 101) as f64 * 1e-3 - 0.03).collect();
        let bins = Bins::of(&values).expect("bins");
        assert_eq!(bins.counts.iter().sum::<usize>(), 500);
        assert!(bins.counts.len() <= BINS_MAX as usize + 2, "{bins:?}");
        assert_eq!(bins.edge((-bins.first) as usize), 0.0);
        for (i, count) in bins.counts.iter().enumerate() {
            let inside = values.iter().filter(|x| bins.edge(i) <= **x && **x < bins.edge(i + 1)).count();
            assert!(inside.abs_diff(*count) <= 5, "bin {i}: {count}, {inside} at its edges");
        }
        assert_eq!(Bins::of(&[0.0, 0.0]), None);
        assert_eq!(Bins::of(&[]), None);
    }
}
