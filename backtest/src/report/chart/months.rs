//! Returns of months as a heat map: a row per year, the year's return at its end.

use crate::metrics::Sample;
use crate::metrics::periods::{monthly, yearly};
use crate::report::chart::caption;
use crate::report::chart::equity::names;
use crate::report::chart::header::Header;
use crate::report::chart::scene::{Anchor, Color, Label, Point, Rect, Scene};
use crate::report::chart::theme::{Theme, size};
use crate::report::chart::{LEFT, RIGHT};
use crate::report::format;
use crate::run::RunResult;

const WIDTH: u32 = 1600;
const ROW: f64 = 36.0;
const TOP: f64 = 128.0;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The heat map of a run.
pub fn month_chart(result: &RunResult, theme: &Theme) -> Scene {
    let start = result.config.cash;
    let sample = Sample::of(&result.equity, start, &result.config.conventions);
    let (months, years) = (monthly(start, &sample.steps), yearly(start, &sample.steps));
    let height = TOP + ROW * years.len().max(1) as f64 + 24.0;
    let mut scene = Scene::new((WIDTH, height as u32), theme.background);
    let greatest = months.iter().fold(0.0f64, |greatest, month| greatest.max(month.value.abs()));
    let mut map = Map { scene: &mut scene, theme, greatest };
    map.head();
    for (row, year) in years.iter().enumerate() {
        map.year(row, &year.year.to_string());
        map.cell(row, 12, year.value, true);
        for month in months.iter().filter(|month| month.year == year.year) {
            map.cell(row, month.month as usize - 1, month.value, false);
        }
    }
    let header = Header {
        title: format!("{} — returns of months and years, %", names(result)),
        caption: caption(result, result.span_ms()),
        result: None,
        legend: Vec::new(),
    };
    header.draw(&mut scene, theme, LEFT, f64::from(WIDTH) - RIGHT);
    scene
}

struct Map<'a> {
    scene: &'a mut Scene,
    theme: &'a Theme,
    /// Largest |return| of a month: the full colour.
    greatest: f64,
}

impl Map<'_> {
    fn head(&mut self) {
        for (column, name) in MONTHS.into_iter().chain(["Year"]).enumerate() {
            let rect = cell(0, column);
            self.text(
                name,
                ((rect.left + rect.right) / 2.0, TOP - 16.0),
                Anchor::Center,
                true,
                self.theme.text,
            );
        }
    }

    fn year(&mut self, row: usize, name: &str) {
        let rect = cell(row, 0);
        let at = (LEFT - 14.0, (rect.top + rect.bottom) / 2.0);
        self.text(name, at, Anchor::Right, true, self.theme.text);
    }

    fn cell(&mut self, row: usize, column: usize, value: f64, bold: bool) {
        let rect = cell(row, column);
        let share = if self.greatest > 0.0 { (value.abs() / self.greatest).min(1.0) } else { 0.0 };
        let color =
            if value == 0.0 { self.theme.grid } else { self.theme.of(value).fade(0.08 + 0.5 * share) };
        self.scene.rect(rect, color);
        let at = ((rect.left + rect.right) / 2.0, (rect.top + rect.bottom) / 2.0);
        let text = format::signed(value * 100.0, if value.abs() < 10.0 { 2 } else { 0 });
        self.text(&text, at, Anchor::Center, bold, self.theme.strong);
    }

    fn text(&mut self, text: &str, at: Point, anchor: Anchor, bold: bool, color: Color) {
        self.scene.text(Label { text: text.to_owned(), at, anchor, size: size::LABEL, bold, color });
    }
}

/// Where a cell stands; column 12 is the year's, a little apart.
fn cell(row: usize, column: usize) -> Rect {
    const GAP: f64 = 14.0;
    let width = (f64::from(WIDTH) - LEFT - RIGHT - GAP) / 13.0;
    let left = LEFT + width * column as f64 + if column == 12 { GAP } else { 0.0 };
    let top = TOP + ROW * row as f64;
    Rect { left: left + 1.0, right: left + width - 1.0, top: top + 1.0, bottom: top + ROW - 1.0 }
}
