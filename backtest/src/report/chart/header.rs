//! Title, caption and legend above a chart.

use crate::dataset::{Series, SpellKind};
use crate::report::chart::scene::{Anchor, Color, Label, Point, Rect, Scene};
use crate::report::chart::theme::{Theme, size};
use crate::report::plot::text_width;

/// How a legend shows an entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Swatch {
    /// A line.
    Line(Color),
    /// A dashed line.
    Dashed(Color),
    /// A filled area.
    Area(Color),
    /// A dot.
    Dot(Color),
    /// A triangle upwards.
    Up(Color),
    /// A triangle downwards.
    Down(Color),
}

/// What stands above a chart.
#[derive(Clone, Debug, Default)]
pub(super) struct Header {
    /// What it shows.
    pub(super) title: String,
    /// When and under which parameters.
    pub(super) caption: String,
    /// What came of it, on the right of the title.
    pub(super) result: Option<(String, Color)>,
    /// What the colours mean.
    pub(super) legend: Vec<(Swatch, &'static str)>,
}

const LEGEND_Y: f64 = 92.0;

impl Header {
    /// Draws it between two columns.
    pub(super) fn draw(&self, scene: &mut Scene, theme: &Theme, left: f64, right: f64) {
        let taken = self.draw_result(scene, right);
        let title = fit(&self.title, size::TITLE, true, right - left - taken);
        let label = |text, y, size, bold, color| Label {
            text,
            at: (left, y),
            anchor: Anchor::Left,
            size,
            bold,
            color,
        };
        scene.text(label(title, 30.0, size::TITLE, true, theme.strong));
        let caption = fit(&self.caption, size::CAPTION, false, right - left);
        scene.text(label(caption, 61.0, size::CAPTION, false, theme.text));
        self.draw_legend(scene, theme, left);
    }

    fn draw_result(&self, scene: &mut Scene, right: f64) -> f64 {
        let Some((text, color)) = self.result.clone() else { return 0.0 };
        let size = size::CAPTION + 3.0;
        let taken = text_width(&text, size, true) + 24.0;
        scene.text(Label { text, at: (right, 30.0), anchor: Anchor::Right, size, bold: true, color });
        taken
    }

    fn draw_legend(&self, scene: &mut Scene, theme: &Theme, left: f64) {
        let mut x = left;
        for (swatch, text) in &self.legend {
            let width = text_width(text, size::LABEL, false);
            swatch.draw(scene, x);
            let (at, color) = ((x + 32.0, LEGEND_Y), theme.text);
            let text = (*text).to_owned();
            scene.text(Label { text, at, anchor: Anchor::Left, size: size::LABEL, bold: false, color });
            x += 32.0 + width + 26.0;
        }
    }
}

impl Swatch {
    fn draw(self, scene: &mut Scene, x: f64) {
        let line = vec![(x, LEGEND_Y), (x + 24.0, LEGEND_Y)];
        match self {
            Swatch::Line(color) => scene.line(line, color, 3.0),
            Swatch::Dashed(color) => scene.dashed(line, color, 2.0, 4.0),
            Swatch::Area(color) => {
                let rect = Rect { left: x, right: x + 24.0, top: LEGEND_Y - 7.0, bottom: LEGEND_Y + 7.0 };
                scene.rect(rect, color);
            }
            Swatch::Dot(color) => scene.dot((x + 12.0, LEGEND_Y), 5.0, color),
            Swatch::Up(color) => scene.fill(triangle((x + 12.0, LEGEND_Y - 7.0), 8.0, true), color),
            Swatch::Down(color) => scene.fill(triangle((x + 12.0, LEGEND_Y + 7.0), 8.0, false), color),
        }
    }
}

/// What shades mean that some of these symbols have.
pub(super) fn spell_legend<'a>(
    theme: &Theme,
    series: impl Iterator<Item = &'a Series> + Clone,
) -> Vec<(Swatch, &'static str)> {
    let has = |kind| series.clone().any(|series| series.spells.iter().any(|spell| spell.kind == kind));
    let entries =
        [(SpellKind::Invalid, theme.invalid, "book invalid"), (SpellKind::Missing, theme.missing, "no data")];
    let shown = entries.into_iter().filter(|(kind, ..)| has(*kind));
    shown.map(|(_, color, text)| (Swatch::Area(color), text)).collect()
}

/// A triangle whose tip stands at a point: below the point and pointing up, or above it and pointing down.
pub(super) fn triangle((x, y): Point, half: f64, up: bool) -> Vec<Point> {
    let base = if up { y + 1.7 * half } else { y - 1.7 * half };
    vec![(x, y), (x - half, base), (x + half, base)]
}

/// A text cut to a width, with an ellipsis if it was longer.
fn fit(text: &str, size: f64, bold: bool, width: f64) -> String {
    if text_width(text, size, bold) <= width {
        return text.to_owned();
    }
    let mut kept: Vec<char> = text.chars().collect();
    while !kept.is_empty() {
        kept.pop();
        let short = format!("{}…", kept.iter().collect::<String>().trim_end());
        if text_width(&short, size, bold) <= width {
            return short;
        }
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_caption_is_cut_to_its_place() {
        let text = "bollinger_flow: n 120, k 2, obi_min 0.1 and many more words that do not fit here";
        let short = fit(text, 17.0, false, 300.0);
        assert!(short.ends_with('…') && text_width(&short, 17.0, false) <= 300.0, "{short}");
        assert_eq!(fit("short", 17.0, false, 300.0), "short");
    }
}
