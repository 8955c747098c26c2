//! The objective of a sweep over two parameters.

use crate::report::chart::header::{Header, Swatch};
use crate::report::chart::scene::{Anchor, Color, Label, Point, Rect, Scene};
use crate::report::chart::theme::{Theme, size};
use crate::report::chart::{LEFT, RIGHT};
use crate::report::format;
use crate::sweep::{Axis, SweepConfig, SweepResult};

const WIDTH: f64 = 1600.0;
const TOP: f64 = 150.0;

/// A cell with less room than this shows only its colour.
const TEXT_WIDTH: f64 = 62.0;

/// The two axes that vary; `None` if more or fewer do.
fn varying(axes: &[Axis]) -> Option<[(usize, &Axis); 2]> {
    let varying: Vec<(usize, &Axis)> =
        axes.iter().enumerate().filter(|(_, axis)| axis.values.len() > 1).collect();
    varying.try_into().ok()
}

/// Rows are the first parameter, columns the second; `None` unless exactly two vary.
pub fn heat_chart(result: &SweepResult, config: &SweepConfig, theme: &Theme) -> Option<Scene> {
    let [rows, columns] = varying(&config.axes)?;
    let (n_rows, n_columns) = (rows.1.values.len(), columns.1.values.len());
    let height = (700.0 / n_rows as f64).clamp(8.0, 46.0);
    let size = (WIDTH as u32, (TOP + height * n_rows as f64 + 70.0) as u32);
    let mut scene = Scene::new(size, theme.background);
    let key = config.objective.key();
    let values = result.rows.iter().filter_map(|row| row.get(key));
    let greatest = values.fold(0.0f64, |greatest, x| greatest.max(x.abs()));
    let cell = ((WIDTH - LEFT - RIGHT) / n_columns as f64, height);
    let mut map = Map { scene: &mut scene, theme, cell, greatest };
    map.names(&columns.1.values, &rows.1.values);
    for (i, row) in result.rows.iter().enumerate() {
        let at = |(axis, values): (usize, &Axis)| values.values.iter().position(|v| *v == row.params[axis]);
        let (Some(y), Some(x)) = (at(rows), at(columns)) else { continue };
        let few = row.get("n_trades").is_none_or(|n| n < config.min_trades as f64);
        map.cell(x, y, row.get(key), few, result.best == Some(i));
    }
    let header = Header {
        title: format!("{} — {} by {} and {}", config.base.strategy.name(), key, rows.1.name, columns.1.name),
        caption: format!(
            "rows: {} · columns: {} · {} combinations",
            rows.1.name,
            columns.1.name,
            result.rows.len()
        ),
        result: None,
        legend: vec![
            (Swatch::Area(theme.up.fade(0.6)), "above 0"),
            (Swatch::Area(theme.down.fade(0.6)), "below 0"),
            (Swatch::Area(theme.missing), "too few trades"),
            (Swatch::Line(theme.strong), "best"),
        ],
    };
    header.draw(&mut scene, theme, LEFT, WIDTH - RIGHT);
    Some(scene)
}

struct Map<'a> {
    scene: &'a mut Scene,
    theme: &'a Theme,
    /// Width and height of a cell.
    cell: (f64, f64),
    greatest: f64,
}

impl Map<'_> {
    fn names(&mut self, columns: &[String], rows: &[String]) {
        // Only every so many names, where cells are smaller than their text.
        let (every_x, every_y) = (self.every(TEXT_WIDTH, self.cell.0), self.every(20.0, self.cell.1));
        let below = TOP + self.cell.1 * rows.len() as f64 + 18.0;
        for (x, name) in columns.iter().enumerate().step_by(every_x) {
            self.text(
                name,
                (LEFT + self.cell.0 * (x as f64 + 0.5), below),
                Anchor::Center,
                self.theme.text,
                false,
            );
        }
        for (y, name) in rows.iter().enumerate().step_by(every_y) {
            let at = (LEFT - 12.0, TOP + self.cell.1 * (y as f64 + 0.5));
            self.text(name, at, Anchor::Right, self.theme.text, false);
        }
    }

    fn every(&self, needed: f64, there: f64) -> usize {
        (needed / there).ceil().max(1.0) as usize
    }

    fn cell(&mut self, x: usize, y: usize, value: Option<f64>, few: bool, best: bool) {
        let (left, top) = (LEFT + self.cell.0 * x as f64, TOP + self.cell.1 * y as f64);
        let rect = Rect { left, top, right: left + self.cell.0, bottom: top + self.cell.1 };
        let share = |value: f64| (value.abs() / self.greatest.max(f64::MIN_POSITIVE)).min(1.0);
        let color = match value.filter(|_| !few) {
            Some(value) => self.theme.of(value).fade(0.06 + 0.7 * share(value)),
            None => self.theme.missing,
        };
        self.scene.rect(Rect { right: rect.right - 1.0, bottom: rect.bottom - 1.0, ..rect }, color);
        if self.cell.0 >= TEXT_WIDTH && self.cell.1 >= 20.0 {
            let text = value.map_or_else(|| "–".to_owned(), |value| format::number(value, 2));
            let at = (left + self.cell.0 / 2.0, top + self.cell.1 / 2.0);
            self.text(&text, at, Anchor::Center, self.theme.strong, best);
        }
        if best {
            let corners =
                [(left, top), (rect.right, top), (rect.right, rect.bottom), (left, rect.bottom), (left, top)];
            self.scene.line(corners.to_vec(), self.theme.strong, 3.0);
        }
    }

    fn text(&mut self, text: &str, at: Point, anchor: Anchor, color: Color, bold: bool) {
        self.scene.text(Label { text: text.to_owned(), at, anchor, size: size::LABEL, bold, color });
    }
}
