//! A plot area with its two axes: from times and values to pixels.

use crate::dataset::{Spell, SpellKind};
use crate::report::chart::axis::{mark_texts, time_marks, value_marks};
use crate::report::chart::decimate::{POINTS_MAX, decimate};
use crate::report::chart::scene::{Anchor, Color, Label, Point, Rect, Scene};
use crate::report::chart::theme::{Theme, size};
use crate::report::format::Zone;

/// A plot area.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel {
    /// Where it stands.
    pub(super) rect: Rect,
    /// First and last time, ms.
    pub(super) time: (i64, i64),
    /// Lowest and highest value.
    pub(super) value: (f64, f64),
}

/// How the numbers of an axis are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    /// As they are.
    Plain,
    /// Fractions in per cent.
    Percent,
}

impl Panel {
    /// The same area with another scale of values.
    pub(super) fn scaled(self, value: (f64, f64)) -> Panel {
        Panel { value, ..self }
    }

    /// The pixel column of a time.
    pub(super) fn x(&self, ms: i64) -> f64 {
        let span = (self.time.1 - self.time.0).max(1) as f64;
        self.rect.left + (ms - self.time.0) as f64 / span * self.rect.width()
    }

    /// The pixel row of a value.
    pub(super) fn y(&self, value: f64) -> f64 {
        self.rect.bottom - (value - self.value.0) / (self.value.1 - self.value.0) * self.rect.height()
    }

    /// The pixel of a time and a value.
    pub(super) fn at(&self, (ms, value): (i64, f64)) -> Point {
        (self.x(ms), self.y(value))
    }

    /// Shades times without a book.
    pub(super) fn spells(&self, scene: &mut Scene, theme: &Theme, spells: &[Spell]) {
        for spell in spells {
            let color = match spell.kind {
                SpellKind::Invalid => theme.invalid,
                SpellKind::Missing => theme.missing,
            };
            let left = self.x(spell.from_ms).max(self.rect.left);
            // A second of a long day is narrower than a pixel, and must still be seen.
            let right = self.x(spell.to_ms).max(left + 1.0).min(self.rect.right);
            scene.rect(Rect { left, right, ..self.rect }, color);
        }
    }

    /// Grid and labels of the values, on the left.
    pub(super) fn value_axis(&self, scene: &mut Scene, theme: &Theme, numbers: Numbers) {
        for mark in self.marks() {
            let y = self.y(mark);
            scene.line(vec![(self.rect.left, y), (self.rect.right, y)], theme.grid, 1.0);
        }
        self.value_labels(scene, theme.text, numbers);
    }

    fn marks(&self) -> Vec<f64> {
        value_marks(self.value.0, self.value.1, (self.rect.height() / 38.0).max(3.0) as usize)
    }

    fn value_labels(&self, scene: &mut Scene, color: Color, numbers: Numbers) {
        let marks = self.marks();
        let scale = if numbers == Numbers::Percent { 100.0 } else { 1.0 };
        let shown: Vec<f64> = marks.iter().map(|mark| mark * scale).collect();
        for (mark, text) in marks.iter().zip(mark_texts(&shown)) {
            let text = match numbers {
                Numbers::Plain => text,
                Numbers::Percent => format!("{text} %"),
            };
            let at = (self.rect.left - 10.0, self.y(*mark));
            scene.text(Label { text, at, anchor: Anchor::Right, size: size::LABEL, bold: false, color });
        }
    }

    /// Vertical grid by the clock of a venue; with labels below if this is the lowest panel.
    pub(super) fn time_axis(&self, scene: &mut Scene, theme: &Theme, zone: &Zone, labels: bool) {
        let rect = self.rect;
        let local = |ms: i64| ms + zone.offset_ms;
        for mark in time_marks(local(self.time.0), local(self.time.1), (rect.width() / 130.0) as usize) {
            let x = self.x(mark.ms - zone.offset_ms);
            let color = if mark.date.is_some() { theme.frame.fade(0.6) } else { theme.grid };
            scene.line(vec![(x, rect.top), (x, rect.bottom)], color, 1.0);
            if labels {
                let label = |text, x, y, bold, color| Label {
                    text,
                    at: (x, y),
                    anchor: Anchor::Center,
                    size: size::LABEL,
                    bold,
                    color,
                };
                scene.text(label(mark.text, x, rect.bottom + 18.0, false, theme.text));
                if let Some(text) = mark.date {
                    let x = x.min(rect.right - 10.0);
                    scene.text(label(text, x, rect.bottom + 40.0, true, theme.text));
                }
            }
        }
        if labels {
            let at = (rect.left - 56.0, rect.bottom + 18.0);
            let (text, anchor, size, color) = (zone.name.clone(), Anchor::Right, size::LABEL, theme.text);
            scene.text(Label { text, at, anchor, size, bold: true, color });
        }
    }

    /// The lines around the area.
    pub(super) fn frame(&self, scene: &mut Scene, theme: &Theme) {
        let Rect { left, top, right, bottom } = self.rect;
        let corners = vec![(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
        scene.line(corners, theme.frame, 1.0);
    }

    /// What the panel shows, above its upper left corner.
    pub(super) fn title(&self, scene: &mut Scene, theme: &Theme, text: String) {
        let at = (self.rect.left, self.rect.top - 14.0);
        let (anchor, size, color) = (Anchor::Left, size::LABEL, theme.text);
        scene.text(Label { text, at, anchor, size, bold: true, color });
    }

    /// A remark in the middle, where nothing can be drawn.
    pub(super) fn note(&self, scene: &mut Scene, theme: &Theme, text: &str) {
        let at = ((self.rect.left + self.rect.right) / 2.0, (self.rect.top + self.rect.bottom) / 2.0);
        let (text, anchor, size, color) = (text.to_owned(), Anchor::Center, size::CAPTION + 3.0, theme.text);
        scene.text(Label { text, at, anchor, size, bold: false, color });
    }

    /// A line through runs of points: thinned if long, broken between runs.
    pub(super) fn line(&self, scene: &mut Scene, runs: &[Vec<(i64, f64)>], color: Color, width: f64) {
        let total: usize = runs.iter().map(Vec::len).sum();
        for run in runs {
            let share = POINTS_MAX * run.len() / total.max(1);
            let points: Vec<Point> = decimate(run, share).into_iter().map(|point| self.at(point)).collect();
            match points.as_slice() {
                [] => {}
                [only] => scene.dot(*only, width, color),
                [_, _, ..] => scene.line(points, color, width),
            }
        }
    }

    /// A dashed level across the area.
    pub(super) fn level(&self, scene: &mut Scene, color: Color, value: f64) {
        if self.value.0 < value && value < self.value.1 {
            let y = self.y(value);
            scene.dashed(vec![(self.rect.left, y), (self.rect.right, y)], color, 1.5, 6.0);
        }
    }

    /// The area between a line and a level.
    pub(super) fn area(&self, scene: &mut Scene, run: &[(i64, f64)], level: f64, color: Color) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return };
        let mut points: Vec<Point> = decimate(run, POINTS_MAX).into_iter().map(|p| self.at(p)).collect();
        points.push(self.at((last.0, level)));
        points.push(self.at((first.0, level)));
        scene.fill(points, color);
    }

    /// Bars from zero, one per point; where there are more points than pixels, lowest to highest of each pixel.
    pub(super) fn bars(&self, scene: &mut Scene, points: &[(i64, f64)], up: Color, down: Color) {
        let spacing = self.rect.width() / points.len().max(1) as f64;
        let half = (spacing * 0.38).clamp(0.5, 6.0);
        let zero = self.y(0.0);
        let thin = decimate(points, (self.rect.width() as usize) * 4);
        for &(ms, value) in thin.iter().filter(|(_, value)| *value != 0.0) {
            let (x, y) = self.at((ms, value));
            let rect = Rect { left: x - half, right: x + half, top: y.min(zero), bottom: y.max(zero) };
            scene.rect(rect, if value > 0.0 { up } else { down });
        }
    }
}

/// A scale that holds all values with some room, and more where marks stand above and below them; never empty.
pub(super) fn scale(values: impl IntoIterator<Item = f64>, marks: bool) -> (f64, f64) {
    let start = (f64::INFINITY, f64::NEG_INFINITY);
    let finite = values.into_iter().filter(|x| x.is_finite());
    let (lo, hi) = finite.fold(start, |(lo, hi), x| (lo.min(x), hi.max(x)));
    if lo > hi {
        return (0.0, 1.0);
    }
    let room = (hi - lo) * if marks { 0.12 } else { 0.06 };
    if room > 0.0 {
        (lo - room, hi + room)
    } else {
        let size = if lo == 0.0 { 1.0 } else { lo.abs() };
        (lo - size * 1e-4, hi + size * 1e-4)
    }
}

/// The same around zero, equally far both ways.
pub(super) fn scale_around_zero(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let reach = values.into_iter().filter(|x| x.is_finite()).fold(0.0f64, |reach, x| reach.max(x.abs()));
    let reach = if reach > 0.0 { reach * 1.08 } else { 1.0 };
    (-reach, reach)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_never_empty() {
        for values in [vec![], vec![f64::NAN], vec![5.0], vec![6.4e-6], vec![0.0, 0.0], vec![1.0, 2.0]] {
            let (lo, hi) = scale(values.clone(), true);
            assert!(lo < hi && lo.is_finite() && hi.is_finite(), "{values:?}");
            let (lo, hi) = scale_around_zero(values.clone());
            assert!(lo < hi && lo == -hi, "{values:?}");
        }
    }

    #[test]
    fn corners_map_to_corners() {
        let rect = Rect { left: 10.0, top: 20.0, right: 110.0, bottom: 70.0 };
        let panel = Panel { rect, time: (1_000, 2_000), value: (-1.0, 1.0) };
        assert_eq!(panel.at((1_000, -1.0)), (10.0, 70.0));
        assert_eq!(panel.at((2_000, 1.0)), (110.0, 20.0));
    }
}
