//! Small heat maps of one shape side by side, each with its own scale on both axes, as one PNG.

use std::path::Path;

use crate::error::Error;
use crate::report::chart::scene::{Anchor, Color, Label, Rect, Scene};
use crate::report::chart::theme::{Palette, Theme};
use crate::report::plot;

/// Width of a panel with its labels, pixels.
const PANEL: (f64, f64) = (356.0, 336.0);
/// From a panel's left and upper edge to its cells: room for labels, title and note.
const INSET: (f64, f64) = (78.0, 52.0);
/// Side of the square of cells.
const SQUARE: f64 = 244.0;
/// Edges of the picture.
const MARGIN: (f64, f64) = (28.0, 112.0);
const BOTTOM: f64 = 40.0;
/// Colours from just above 0 to 1; 0 itself has the colour of the page's grid.
const RAMP: [u32; 6] = [0xd8e6f7, 0x9cc4e8, 0x56a0d3, 0x2b73b5, 0x15498a, 0x0b2350];

/// One heat map.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatPanel {
    /// Above it, bold.
    pub title: String,
    /// Below the title.
    pub note: String,
    /// Values in [0, 1], row by row from the bottom, as many as `rows` and `columns` have bins.
    pub cells: Vec<f64>,
    /// What stands between two rows, from the bottom: one label less than there are rows.
    pub rows: Vec<String>,
    /// What stands between two columns, from the left: one label less than there are columns.
    pub columns: Vec<String>,
}

/// A picture of heat maps.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatGrid {
    /// Heading.
    pub title: String,
    /// Below the heading.
    pub subtitle: String,
    /// What rows are.
    pub row_axis: String,
    /// What columns are.
    pub column_axis: String,
    /// What the colours say: at 0, in between, at 1.
    pub scale: [String; 3],
    /// Panels in a row, at least 1.
    pub across: usize,
    /// Panels in reading order.
    pub panels: Vec<HeatPanel>,
}

impl HeatGrid {
    /// Writes the picture.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_png(&self, path: &Path) -> Result<(), Error> {
        plot::write_png(&self.scene(), path)
    }

    fn scene(&self) -> Scene {
        let theme = Theme::light(Palette::default());
        let across = self.across.max(1);
        let down = self.panels.len().div_ceil(across).max(1);
        let width = 2.0 * MARGIN.0 + PANEL.0 * across as f64;
        let height = MARGIN.1 + PANEL.1 * down as f64 + BOTTOM;
        let mut scene = Scene::new((width as u32, height as u32), theme.background);
        self.header(&mut scene, &theme, width);
        for (i, panel) in self.panels.iter().enumerate() {
            let (column, row) = ((i % across) as f64, (i / across) as f64);
            let at = (MARGIN.0 + PANEL.0 * column, MARGIN.1 + PANEL.1 * row);
            panel.draw(&mut scene, &theme, at);
        }
        let axes = format!("up: {} · right: {}", self.row_axis, self.column_axis);
        let at = (MARGIN.0, height - BOTTOM / 2.0);
        scene.text(Label {
            text: axes,
            at,
            anchor: Anchor::Left,
            size: 14.0,
            bold: false,
            color: theme.text,
        });
        scene
    }

    fn header(&self, scene: &mut Scene, theme: &Theme, width: f64) {
        let mut text = |text: &str, at, size, bold, color, anchor| {
            scene.text(Label { text: text.to_owned(), at, anchor, size, bold, color });
        };
        text(&self.title, (MARGIN.0, 36.0), 26.0, true, theme.strong, Anchor::Left);
        text(&self.subtitle, (MARGIN.0, 68.0), 15.0, false, theme.text, Anchor::Left);
        let (left, right, steps) = (width - MARGIN.0 - 330.0, width - MARGIN.0 - 30.0, 60);
        for (label, x) in self.scale.iter().zip([left, (left + right) / 2.0, right]) {
            text(label, (x, 62.0), 12.0, false, theme.text, Anchor::Center);
        }
        for step in 0..steps {
            let at = |n: usize| left + (right - left) * n as f64 / steps as f64;
            let rect = Rect { left: at(step), top: 28.0, right: at(step + 1), bottom: 46.0 };
            scene.rect(rect, color((step as f64 + 0.5) / steps as f64, theme));
        }
    }
}

impl HeatPanel {
    fn draw(&self, scene: &mut Scene, theme: &Theme, (left, top): (f64, f64)) {
        let frame = Rect {
            left: left + INSET.0,
            top: top + INSET.1,
            right: left + INSET.0 + SQUARE,
            bottom: top + INSET.1 + SQUARE,
        };
        let (rows, columns) = (self.rows.len() + 1, self.columns.len() + 1);
        let x = |column: usize| frame.left + SQUARE * column as f64 / columns as f64;
        let y = |row: usize| frame.bottom - SQUARE * row as f64 / rows as f64;
        for (i, value) in self.cells.iter().enumerate().take(rows * columns) {
            let (row, column) = (i / columns, i % columns);
            let rect = Rect {
                left: x(column) + 0.5,
                top: y(row + 1) + 0.5,
                right: x(column + 1) - 0.5,
                bottom: y(row) - 0.5,
            };
            scene.rect(rect, color(*value, theme));
        }
        let mut text = |text: &str, at, size, bold, color, anchor| {
            scene.text(Label { text: text.to_owned(), at, anchor, size, bold, color });
        };
        text(&self.title, (frame.left, top + 16.0), 16.0, true, theme.strong, Anchor::Left);
        text(&self.note, (frame.left, top + 37.0), 12.0, false, theme.text, Anchor::Left);
        for (i, label) in self.rows.iter().enumerate() {
            text(label, (frame.left - 7.0, y(i + 1)), 11.5, false, theme.text, Anchor::Right);
        }
        for (i, label) in self.columns.iter().enumerate() {
            text(label, (x(i + 1), frame.bottom + 12.0), 10.5, false, theme.text, Anchor::Center);
        }
    }
}

/// The colour of a value; exactly 0 is told from the least that is above it.
fn color(value: f64, theme: &Theme) -> Color {
    if value <= 0.0 {
        return theme.grid.fade(0.55);
    }
    let place = value.min(1.0) * (RAMP.len() - 1) as f64;
    let below = (place as usize).min(RAMP.len() - 2);
    let (from, to) = (Color::hex(RAMP[below]).rgb, Color::hex(RAMP[below + 1]).rgb);
    let way = place - below as f64;
    let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * way).round() as u8;
    Color { rgb: (mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2)), alpha: 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chart::scene::Shape;

    fn grid() -> HeatGrid {
        let panel = HeatPanel {
            title: "0 all".to_owned(),
            note: "3 records".to_owned(),
            cells: vec![1.0, 0.0, 0.5, 0.0],
            rows: vec!["10.01".to_owned()],
            columns: vec!["100".to_owned()],
        };
        HeatGrid {
            title: "T".to_owned(),
            subtitle: "S".to_owned(),
            row_axis: "price".to_owned(),
            column_axis: "quantity".to_owned(),
            scale: ["0", "", "1"].map(str::to_owned),
            across: 2,
            panels: vec![panel.clone(), panel.clone(), panel],
        }
    }

    #[test]
    fn the_first_row_lies_at_the_bottom_and_panels_fill_rows() {
        let scene = grid().scene();
        let dark = Color::hex(RAMP[5]);
        let boxes = scene.shapes.iter().filter_map(|shape| match shape {
            Shape::Box { rect, color } if *color == dark => Some(*rect),
            _ => None,
        });
        let full: Vec<Rect> = boxes.collect();
        assert_eq!(full.len(), 3, "one full cell in each panel");
        let label = |text: &str| {
            scene.shapes.iter().find_map(|shape| match shape {
                Shape::Text(label) if label.text == text => Some(label.at),
                _ => None,
            })
        };
        let (_, cut_y) = label("10.01").expect("a label");
        let (cut_x, _) = label("100").expect("a label");
        assert!(full[0].top > cut_y && full[0].right < cut_x, "below and left of the cuts");
        assert!(full[1].left > full[0].right && full[1].top == full[0].top);
        assert!(full[2].top > full[0].bottom && full[2].left == full[0].left);
    }

    #[test]
    fn the_least_count_is_told_from_none() {
        let theme = Theme::light(Palette::default());
        assert_ne!(color(0.0, &theme).rgb, color(1e-9, &theme).rgb);
        assert_eq!(color(1.0, &theme), Color::hex(RAMP[5]));
    }

    #[test]
    fn a_picture_is_a_png() {
        let path = std::env::temp_dir().join(format!("lobstream-grid-{}.png", std::process::id()));
        grid().write_png(&path).expect("written");
        let bytes = std::fs::read(&path).expect("read");
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(bytes[..4], *b"\x89PNG");
    }
}
