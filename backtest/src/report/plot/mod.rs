//! Scenes → PNG and SVG. The only folder that knows plotters.
//!
//! Pixels are drawn at twice their size and averaged down, which smooths lines, marks and text alike; an SVG is
//! drawn larger too, because plotters only knows whole pixels. Fonts are part of the program, so pictures look the
//! same on every machine; an SVG names them and leaves the choice to its reader.

mod png;
mod svg;

use std::sync::OnceLock;

use plotters::backend::DrawingBackend;
use plotters::drawing::DrawingArea;
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::prelude::{FontDesc, FontFamily, FontStyle, RGBAColor, ShapeStyle, TextStyle};
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub(super) use png::write_png;
pub(super) use svg::{inline, svg};

use crate::report::chart::scene::{Anchor, Color, Label, Point, Scene, Shape};

const REGULAR: &[u8] = include_bytes!("../../../assets/DejaVuSans-subset.ttf");
const BOLD: &[u8] = include_bytes!("../../../assets/DejaVuSans-Bold-subset.ttf");
/// What readers of an SVG have: Verdana is as wide as DejaVu Sans, which it is measured by.
const FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";

/// Texts are measured at so many times their size.
const MEASURED_AT: f64 = 2.0;

type Area<B> = DrawingArea<B, plotters::coord::Shift>;

/// How shapes are put onto an area.
#[derive(Clone, Copy, Debug)]
struct Ink {
    /// Pixels of the area for one of the scene.
    scale: f64,
    /// Draw a line as one path. In pixels plotters makes one polygon of it, which breaks at sharp turns.
    whole_lines: bool,
}

/// Makes the fonts known, once.
fn fonts() -> bool {
    static READY: OnceLock<bool> = OnceLock::new();
    *READY.get_or_init(|| {
        register_font(FAMILY, FontStyle::Normal, REGULAR).is_ok()
            && register_font(FAMILY, FontStyle::Bold, BOLD).is_ok()
    })
}

fn font(size: f64, bold: bool) -> FontDesc<'static> {
    let style = if bold { FontStyle::Bold } else { FontStyle::Normal };
    FontDesc::new(FontFamily::Name(FAMILY), size, style)
}

/// How wide a text is, pixels.
pub(super) fn text_width(text: &str, size: f64, bold: bool) -> f64 {
    let times = MEASURED_AT;
    let measured = if fonts() { font(size * times, bold).box_size(text).ok() } else { None };
    measured.map_or(text.chars().count() as f64 * size * 0.6, |(width, _)| f64::from(width) / times)
}

/// Draws every shape onto an area that is `ink.scale` times as large as the scene.
fn draw<B: DrawingBackend>(area: &Area<B>, ink: Ink, scene: &Scene) -> Result<(), String> {
    area.fill(&paint(scene.background)).map_err(|e| e.to_string())?;
    for shape in &scene.shapes {
        ink.draw_shape(area, shape)?;
    }
    area.present().map_err(|e| e.to_string())
}

impl Ink {
    fn draw_shape<B: DrawingBackend>(self, area: &Area<B>, shape: &Shape) -> Result<(), String> {
        match shape {
            Shape::Line { points, color, width, dash } => self.draw_line(area, points, *color, *width, *dash),
            Shape::Fill { points, color } => {
                let corners: Vec<(i32, i32)> = points.iter().map(|point| self.pixel(*point)).collect();
                area.draw(&Polygon::new(corners, filled(*color))).map_err(|e| e.to_string())
            }
            Shape::Box { rect, color } => {
                let corners = [self.pixel((rect.left, rect.top)), self.pixel((rect.right, rect.bottom))];
                area.draw(&Rectangle::new(corners, filled(*color))).map_err(|e| e.to_string())
            }
            Shape::Dot { at, radius, color } => {
                let circle = Circle::new(self.pixel(*at), radius * self.scale, filled(*color));
                area.draw(&circle).map_err(|e| e.to_string())
            }
            Shape::Text(label) => self.draw_text(area, label),
        }
    }

    fn draw_line<B: DrawingBackend>(
        self,
        area: &Area<B>,
        points: &[Point],
        color: Color,
        width: f64,
        dash: Option<f64>,
    ) -> Result<(), String> {
        let stroke_width = (width * self.scale).round().max(1.0) as u32;
        let style = ShapeStyle { color: paint(color), filled: false, stroke_width };
        let pieces: Vec<Vec<(i32, i32)>> = match dash {
            Some(dash) => {
                dashes(points, dash).into_iter().map(|(a, b)| vec![self.pixel(a), self.pixel(b)]).collect()
            }
            None if self.whole_lines => vec![points.iter().map(|point| self.pixel(*point)).collect()],
            None => points.windows(2).map(|pair| vec![self.pixel(pair[0]), self.pixel(pair[1])]).collect(),
        };
        for mut piece in pieces {
            piece.dedup();
            if piece.len() > 1 {
                area.draw(&PathElement::new(piece, style)).map_err(|e| e.to_string())?;
            }
        }
        Ok(())
    }

    fn draw_text<B: DrawingBackend>(self, area: &Area<B>, label: &Label) -> Result<(), String> {
        let anchor = match label.anchor {
            Anchor::Left => HPos::Left,
            Anchor::Center => HPos::Center,
            Anchor::Right => HPos::Right,
        };
        let font = font(label.size * self.scale, label.bold);
        let color = paint(label.color);
        let style = TextStyle::from(font).color(&color).pos(Pos::new(anchor, VPos::Center));
        // Digits stand in the upper part of the box that plotters centres.
        let at = (label.at.0, label.at.1 + label.size * 0.09);
        area.draw(&Text::new(label.text.as_str(), self.pixel(at), style)).map_err(|e| e.to_string())
    }

    fn pixel(self, (x, y): Point) -> (i32, i32) {
        ((x * self.scale).round() as i32, (y * self.scale).round() as i32)
    }
}

/// Cuts a line into dashes of `dash` pixels with gaps as long.
fn dashes(points: &[Point], dash: f64) -> Vec<(Point, Point)> {
    let mut pieces = Vec::new();
    let mut walked = 0.0;
    for pair in points.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let length = (b.0 - a.0).hypot(b.1 - a.1);
        let at = |d: f64| (a.0 + (b.0 - a.0) * d / length, a.1 + (b.1 - a.1) * d / length);
        let mut from = 0.0;
        while from < length {
            let phase = (walked + from) % (2.0 * dash);
            let rest = if phase < dash { dash - phase } else { 2.0 * dash - phase };
            let to = (from + rest.max(1e-6)).min(length);
            if phase < dash {
                pieces.push((at(from), at(to)));
            }
            from = to;
        }
        walked += length;
    }
    pieces
}

fn paint(color: Color) -> RGBAColor {
    RGBAColor(color.rgb.0, color.rgb.1, color.rgb.2, color.alpha)
}

fn filled(color: Color) -> ShapeStyle {
    ShapeStyle { color: paint(color), filled: true, stroke_width: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_cover_half_of_a_line() {
        let pieces = dashes(&[(0.0, 0.0), (30.0, 0.0), (30.0, 70.0)], 5.0);
        let drawn: f64 = pieces.iter().map(|(a, b)| (b.0 - a.0).hypot(b.1 - a.1)).sum();
        assert!((drawn - 50.0).abs() < 1e-6, "{drawn}");
        assert!(dashes(&[(1.0, 1.0), (1.0, 1.0)], 5.0).is_empty());
    }

    #[test]
    fn wider_text_measures_wider() {
        assert!(text_width("61,737.65", 16.0, false) > text_width("61,737", 16.0, false));
        assert!(text_width("Mid", 16.0, true) > text_width("Mid", 16.0, false));
    }
}
