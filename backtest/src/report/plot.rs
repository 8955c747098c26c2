//! Scenes → PNG files. The only file that knows plotters.
//!
//! Everything is drawn at twice its size and averaged down, which smooths lines, marks and text alike.
//! Fonts are part of the program, so charts look the same on every machine.

use std::fmt::Display;
use std::path::Path;
use std::sync::OnceLock;

use plotters::backend::BitMapBackend;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{BitMapElement, Circle, PathElement, Polygon, Rectangle, Text};
use plotters::prelude::{FontDesc, FontFamily, FontStyle, RGBAColor, ShapeStyle, TextStyle};
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::error::Error;
use crate::report::chart::scene::{Anchor, Color, Label, Point, Scene, Shape};

const REGULAR: &[u8] = include_bytes!("../../assets/DejaVuSans-subset.ttf");
const BOLD: &[u8] = include_bytes!("../../assets/DejaVuSans-Bold-subset.ttf");
const FAMILY: &str = "lobstream";

/// Drawn at so many times the size.
const OVERSAMPLE: u32 = 2;

type Area<'a> = DrawingArea<BitMapBackend<'a>, plotters::coord::Shift>;

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
    let times = f64::from(OVERSAMPLE);
    let measured = if fonts() { font(size * times, bold).box_size(text).ok() } else { None };
    measured.map_or(text.chars().count() as f64 * size * 0.6, |(width, _)| f64::from(width) / times)
}

/// Draws a scene into a PNG file.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write_png(scene: &Scene, path: &Path) -> Result<(), Error> {
    let failed = |reason: &dyn Display| Error::Render {
        what: path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
        reason: reason.to_string(),
    };
    if !fonts() {
        return Err(failed(&"the embedded fonts cannot be read"));
    }
    let large = (scene.size.0 * OVERSAMPLE, scene.size.1 * OVERSAMPLE);
    let mut pixels = vec![0u8; large.0 as usize * large.1 as usize * 3];
    draw(scene, &mut pixels, large).map_err(|reason| failed(&reason))?;
    let pixels = halve(&pixels, scene.size);
    let area = BitMapBackend::new(path, scene.size).into_drawing_area();
    let image = BitMapElement::with_owned_buffer((0, 0), scene.size, pixels)
        .ok_or_else(|| failed(&"the picture does not fit its frame"))?;
    area.draw(&image).map_err(|e| failed(&e))?;
    area.present().map_err(|e| failed(&e))
}

/// Averages 2×2 pixels into one.
fn halve(large: &[u8], (width, height): (u32, u32)) -> Vec<u8> {
    let row = width as usize * 6;
    let mut small = Vec::with_capacity(width as usize * height as usize * 3);
    for rows in large.chunks_exact(2 * row) {
        let (upper, lower) = rows.split_at(row);
        for (u, l) in upper.chunks_exact(6).zip(lower.chunks_exact(6)) {
            let mean = |i: usize| {
                let sum = u16::from(u[i]) + u16::from(u[i + 3]) + u16::from(l[i]) + u16::from(l[i + 3]);
                ((sum + 2) / 4) as u8
            };
            small.extend([mean(0), mean(1), mean(2)]);
        }
    }
    small
}

fn draw(scene: &Scene, pixels: &mut [u8], size: (u32, u32)) -> Result<(), String> {
    let area = BitMapBackend::with_buffer(pixels, size).into_drawing_area();
    area.fill(&paint(scene.background)).map_err(|e| e.to_string())?;
    for shape in &scene.shapes {
        draw_shape(&area, shape)?;
    }
    area.present().map_err(|e| e.to_string())
}

fn draw_shape(area: &Area<'_>, shape: &Shape) -> Result<(), String> {
    match shape {
        Shape::Line { points, color, width, dash } => draw_line(area, points, *color, *width, *dash),
        Shape::Fill { points, color } => {
            let corners: Vec<(i32, i32)> = points.iter().copied().map(pixel).collect();
            area.draw(&Polygon::new(corners, filled(*color))).map_err(|e| e.to_string())
        }
        Shape::Box { rect, color } => {
            let corners = [pixel((rect.left, rect.top)), pixel((rect.right, rect.bottom))];
            area.draw(&Rectangle::new(corners, filled(*color))).map_err(|e| e.to_string())
        }
        Shape::Dot { at, radius, color } => {
            let circle = Circle::new(pixel(*at), radius * f64::from(OVERSAMPLE), filled(*color));
            area.draw(&circle).map_err(|e| e.to_string())
        }
        Shape::Text(label) => draw_text(area, label),
    }
}

/// Segment by segment: a thick path drawn as one polygon breaks at sharp turns.
fn draw_line(
    area: &Area<'_>,
    points: &[Point],
    color: Color,
    width: f64,
    dash: Option<f64>,
) -> Result<(), String> {
    let stroke = (width * f64::from(OVERSAMPLE)).round().max(1.0) as u32;
    let style = ShapeStyle { color: paint(color), filled: false, stroke_width: stroke };
    let pieces = match dash {
        None => points.windows(2).map(|pair| (pair[0], pair[1])).collect(),
        Some(dash) => dashes(points, dash),
    };
    for (from, to) in pieces {
        let (from, to) = (pixel(from), pixel(to));
        if from != to {
            area.draw(&PathElement::new(vec![from, to], style)).map_err(|e| e.to_string())?;
        }
    }
    Ok(())
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

fn draw_text(area: &Area<'_>, label: &Label) -> Result<(), String> {
    let anchor = match label.anchor {
        Anchor::Left => HPos::Left,
        Anchor::Center => HPos::Center,
        Anchor::Right => HPos::Right,
    };
    let font = font(label.size * f64::from(OVERSAMPLE), label.bold);
    let color = paint(label.color);
    let style = TextStyle::from(font).color(&color).pos(Pos::new(anchor, VPos::Center));
    // Digits stand in the upper part of the box that plotters centres.
    let at = (label.at.0, label.at.1 + label.size * 0.09);
    area.draw(&Text::new(label.text.as_str(), pixel(at), style)).map_err(|e| e.to_string())
}

fn pixel((x, y): Point) -> (i32, i32) {
    let times = f64::from(OVERSAMPLE);
    ((x * times).round() as i32, (y * times).round() as i32)
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
    fn four_pixels_become_their_mean() {
        let large = [0, 0, 0, 4, 8, 10, 0, 0, 0, 4, 8, 11];
        assert_eq!(halve(&large, (1, 1)), [2, 4, 5]);
    }

    #[test]
    fn wider_text_measures_wider() {
        assert!(text_width("61,737.65", 16.0, false) > text_width("61,737", 16.0, false));
        assert!(text_width("Mid", 16.0, true) > text_width("Mid", 16.0, false));
    }
}
