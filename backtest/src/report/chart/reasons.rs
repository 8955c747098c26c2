//! What each kind of exit earned.

use crate::report::chart::equity::names;
use crate::report::chart::header::{Header, Swatch};
use crate::report::chart::scene::{Anchor, Label, Point, Rect, Scene};
use crate::report::chart::theme::{Theme, size};
use crate::report::chart::{LEFT, RIGHT, caption};
use crate::report::format;
use crate::report::tables::{ReasonRow, exit_reasons};
use crate::run::RunResult;

const WIDTH: u32 = 1600;
const ROW: f64 = 40.0;
const TOP: f64 = 124.0;

/// Where bars may be: names stand left of it, amounts right.
const BARS: (f64, f64) = (LEFT + 250.0, WIDTH as f64 - RIGHT - 330.0);

/// One bar per reason that occurred.
pub fn reason_chart(result: &RunResult, theme: &Theme) -> Scene {
    let rows = exit_reasons(result);
    let height = TOP + ROW * rows.len().max(1) as f64 + 20.0;
    let mut scene = Scene::new((WIDTH, height as u32), theme.background);
    let (lo, hi) = rows.iter().fold((0.0f64, 0.0f64), |(lo, hi), row| (lo.min(row.pnl), hi.max(row.pnl)));
    let x = |pnl: f64| BARS.0 + (pnl - lo) / (hi - lo).max(1e-9) * (BARS.1 - BARS.0);
    for (i, row) in rows.iter().enumerate() {
        draw(&mut scene, theme, row, TOP + ROW * (i as f64 + 0.5), (x(0.0), x(row.pnl)));
    }
    if rows.is_empty() {
        text(&mut scene, theme, "no trades", (LEFT, TOP + ROW / 2.0), Anchor::Left);
    }
    scene.line(vec![(x(0.0), TOP), (x(0.0), height - 20.0)], theme.frame, 1.0);
    let header = Header {
        title: format!("{} — P&L by exit reason", names(result)),
        caption: caption(result, result.span_ms()),
        result: None,
        legend: vec![(Swatch::Area(theme.up), "earned"), (Swatch::Area(theme.down), "lost")],
    };
    header.draw(&mut scene, theme, LEFT, f64::from(WIDTH) - RIGHT);
    scene
}

fn draw(scene: &mut Scene, theme: &Theme, row: &ReasonRow, y: f64, (zero, end): (f64, f64)) {
    let rect = Rect { left: zero.min(end), right: zero.max(end), top: y - 12.0, bottom: y + 12.0 };
    scene.rect(rect, theme.of(row.pnl));
    text(scene, theme, row.reason.as_str(), (LEFT, y), Anchor::Left);
    let won = format::percent(row.won as f64 / row.n as f64, 0);
    let plural = if row.n == 1 { "" } else { "s" };
    let amount = format!(
        "{} · {} trade{plural} · {won} won",
        format::signed(row.pnl, 2),
        format::number(row.n as f64, 0)
    );
    text(scene, theme, &amount, (f64::from(WIDTH) - RIGHT, y), Anchor::Right);
}

fn text(scene: &mut Scene, theme: &Theme, text: &str, at: Point, anchor: Anchor) {
    let (size, bold, color) = (size::LABEL, false, theme.text);
    scene.text(Label { text: text.to_owned(), at, anchor, size, bold, color });
}
