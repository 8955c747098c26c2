//! A stock's days: candles in their bands, volume in its bands, big money, levels and how they were tested.

use crate::report::chart::header::{Header, Swatch, triangle};
use crate::report::chart::panel::{Numbers, Panel, scale, scale_around_zero};
use crate::report::chart::scene::{Anchor, Color, Label, Point, Rect, Scene};
use crate::report::chart::theme::{Theme, size};
use crate::report::format;

const SIZE: (u32, u32) = (1800, 1200);
const LEFT: f64 = 118.0;
/// Right of the plot areas stand the names of levels.
const RIGHT: f64 = 470.0;
const TOP: f64 = 146.0;
const BOTTOM: f64 = 60.0;
const GAP: f64 = 44.0;
/// Least distance of the middles of two names.
const LINE: f64 = 19.0;

/// One day.
#[derive(Clone, Debug, PartialEq)]
pub struct DayCandle {
    /// As written below the chart.
    pub day: String,
    /// Open, high, low, close.
    pub ohlc: [f64; 4],
    /// Shares.
    pub volume: Option<f64>,
    /// Upper, middle, lower band of the close.
    pub bands: Option<[f64; 3]>,
    /// Upper, middle, lower band of the volume.
    pub volume_bands: Option<[f64; 3]>,
    /// Big net value, CNY.
    pub big_net: Option<f64>,
}

/// A level, drawn from the day it came from on.
#[derive(Clone, Debug, PartialEq)]
pub struct LevelLine {
    /// CNY.
    pub price: f64,
    /// Place of the day it came from; 0 if that is before the first.
    pub from: usize,
    /// Does the price hold above it? `None`: neither.
    pub supports: Option<bool>,
    /// 0 to 100.
    pub strength: u8,
    /// Kind and role.
    pub name: String,
    /// Its tests on the shown days.
    pub tests: Vec<TestMark>,
}

/// A test of a level.
#[derive(Clone, Debug, PartialEq)]
pub struct TestMark {
    /// Place of its day.
    pub at: usize,
    /// CNY; `None` if nothing could be called big.
    pub big_net: Option<f64>,
    /// 0 to 1.
    pub score: Option<f64>,
}

/// Everything on the picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DailyPicture {
    /// Stock.
    pub title: String,
    /// When, and what is to be known of it.
    pub caption: String,
    /// Oldest first.
    pub days: Vec<DayCandle>,
    /// In any order.
    pub levels: Vec<LevelLine>,
}

/// The picture of a stock's days.
pub fn daily_chart(picture: &DailyPicture, theme: &Theme) -> Scene {
    let mut scene = Scene::new(SIZE, theme.background);
    let has_flow = picture.days.iter().any(|d| d.big_net.is_some());
    let shares: &[f64] = if has_flow { &[0.62, 0.19, 0.19] } else { &[0.76, 0.24] };
    let rects = stack(shares);
    let time = (0, picture.days.len().max(1) as i64);
    let panel = |rect, value| Panel { rect, time, value };
    let price = panel(rects[0], scale(prices(picture), false));
    let volume = panel(rects[1], scale(volumes(picture), false));
    draw_levels(&mut scene, &price, theme, picture);
    price.value_axis(&mut scene, theme, Numbers::Plain);
    draw_bands(&mut scene, &price, theme, picture, |d| d.bands);
    draw_candles(&mut scene, &price, theme, picture);
    draw_tests(&mut scene, &price, theme, picture);
    frame(&mut scene, &price, theme, "Price, CNY".to_owned());
    volume.value_axis(&mut scene, theme, Numbers::Plain);
    draw_volume(&mut scene, &volume, theme, picture);
    draw_bands(&mut scene, &volume, theme, picture, |d| d.volume_bands.map(|b| b.map(|v| v / MILLION)));
    frame(&mut scene, &volume, theme, "Volume, million shares".to_owned());
    if let Some(rect) = rects.get(2) {
        let nets: Vec<Option<f64>> = picture.days.iter().map(|d| d.big_net.map(|n| n / MILLION)).collect();
        let flow = panel(*rect, scale_around_zero(nets.iter().flatten().copied()));
        flow.value_axis(&mut scene, theme, Numbers::Plain);
        for (i, net) in nets.iter().enumerate() {
            let Some(net) = net else { continue };
            column(&mut scene, &flow, i, 0.0, *net, if *net > 0.0 { theme.up } else { theme.down });
        }
        frame(&mut scene, &flow, theme, "Big net value, million CNY".to_owned());
    }
    day_axis(&mut scene, rects[rects.len() - 1], &price, theme, picture);
    header(picture, theme).draw(&mut scene, theme, LEFT, f64::from(SIZE.0) - 44.0);
    scene
}

const MILLION: f64 = 1e6;

fn stack(shares: &[f64]) -> Vec<Rect> {
    let room = f64::from(SIZE.1) - TOP - BOTTOM - GAP * (shares.len() as f64 - 1.0);
    let mut top = TOP;
    let mut rects = Vec::new();
    for share in shares {
        let bottom = top + room * share;
        rects.push(Rect { left: LEFT, top, right: f64::from(SIZE.0) - RIGHT, bottom });
        top = bottom + GAP;
    }
    rects
}

fn prices(picture: &DailyPicture) -> Vec<f64> {
    let days = picture.days.iter().flat_map(|d| d.ohlc.into_iter().chain(d.bands.into_iter().flatten()));
    days.collect()
}

fn volumes(picture: &DailyPicture) -> Vec<f64> {
    let of =
        |d: &DayCandle| d.volume.into_iter().chain(d.volume_bands.into_iter().flatten()).collect::<Vec<_>>();
    std::iter::once(0.0).chain(picture.days.iter().flat_map(of).map(|v| v / MILLION)).collect()
}

/// The pixel column of the middle of a day.
fn middle(panel: &Panel, i: usize) -> f64 {
    (panel.x(i as i64) + panel.x(i as i64 + 1)) / 2.0
}

fn half_width(panel: &Panel) -> f64 {
    ((panel.x(1) - panel.x(0)) * 0.36).clamp(0.6, 8.0)
}

fn column(scene: &mut Scene, panel: &Panel, i: usize, from: f64, to: f64, color: Color) {
    let (x, half) = (middle(panel, i), half_width(panel));
    let (a, b) = (panel.y(from), panel.y(to));
    scene.rect(
        Rect { left: x - half, right: x + half, top: a.min(b), bottom: a.max(b).max(a.min(b) + 1.0) },
        color,
    );
}

fn draw_candles(scene: &mut Scene, panel: &Panel, theme: &Theme, picture: &DailyPicture) {
    for (i, day) in picture.days.iter().enumerate() {
        let [open, high, low, close] = day.ohlc;
        let color = if close >= open { theme.up } else { theme.down };
        let x = middle(panel, i);
        scene.line(vec![(x, panel.y(high)), (x, panel.y(low))], color, 1.2);
        column(scene, panel, i, open, close, color);
    }
}

fn draw_volume(scene: &mut Scene, panel: &Panel, theme: &Theme, picture: &DailyPicture) {
    for (i, day) in picture.days.iter().enumerate() {
        let Some(volume) = day.volume else { continue };
        let color = if day.ohlc[3] >= day.ohlc[0] { theme.up } else { theme.down };
        column(scene, panel, i, 0.0, volume / MILLION, color.fade(0.75));
    }
}

/// Bands as an area with its edges and its middle; broken where a day has none.
fn draw_bands(
    scene: &mut Scene,
    panel: &Panel,
    theme: &Theme,
    picture: &DailyPicture,
    bands: impl Fn(&DayCandle) -> Option<[f64; 3]>,
) {
    let days: Vec<Option<[f64; 3]>> = picture.days.iter().map(bands).collect();
    for run in days.iter().enumerate().collect::<Vec<_>>().chunk_by(|a, b| a.1.is_some() == b.1.is_some()) {
        let inside = |y: f64| y.clamp(panel.rect.top, panel.rect.bottom);
        let line = |n: usize| -> Vec<Point> {
            run.iter().filter_map(|(i, b)| Some((middle(panel, *i), inside(panel.y((**b)?[n]))))).collect()
        };
        let (upper, center, lower) = (line(0), line(1), line(2));
        if upper.len() < 2 {
            continue;
        }
        scene.fill(upper.iter().copied().chain(lower.iter().rev().copied()).collect(), theme.band.fade(0.10));
        scene.line(upper, theme.band, 1.0);
        scene.line(lower, theme.band, 1.0);
        scene.dashed(center, theme.band, 1.0, 5.0);
    }
}

fn level_color(level: &LevelLine, theme: &Theme) -> Color {
    match level.supports {
        Some(true) => theme.long,
        Some(false) => theme.short,
        None => theme.frame,
    }
}

fn seen<'a>(panel: &Panel, picture: &'a DailyPicture) -> Vec<&'a LevelLine> {
    let inside = |l: &&LevelLine| (panel.value.0..=panel.value.1).contains(&l.price);
    let mut levels: Vec<&LevelLine> = picture.levels.iter().filter(inside).collect();
    levels.sort_by(|a, b| b.price.total_cmp(&a.price));
    levels
}

/// Lines of levels, and their names on the right, pushed apart where they are too close.
fn draw_levels(scene: &mut Scene, panel: &Panel, theme: &Theme, picture: &DailyPicture) {
    let levels = seen(panel, picture);
    let ys = spread(&levels.iter().map(|l| panel.y(l.price)).collect::<Vec<_>>(), panel.rect);
    for (level, name_y) in levels.iter().zip(ys) {
        let (y, right, color) = (panel.y(level.price), panel.rect.right, level_color(level, theme));
        let width = 0.8 + f64::from(level.strength) / 50.0;
        scene.line(vec![(middle(panel, level.from), y), (right, y)], color, width);
        scene.line(vec![(right, y), (right + 14.0, name_y), (right + 20.0, name_y)], color, 1.0);
        let text = format!("{}  {}  {}", format::number(level.price, 2), level.strength, level.name);
        let at = (right + 26.0, name_y);
        scene.text(Label { text, at, anchor: Anchor::Left, size: size::LABEL - 2.0, bold: false, color });
    }
}

/// Rows at least a line apart, as near to those asked for (top to bottom) as the area lets them.
fn spread(wanted: &[f64], rect: Rect) -> Vec<f64> {
    let mut ys: Vec<f64> = wanted.to_vec();
    let line = LINE.min(rect.height() / ys.len().max(1) as f64);
    for i in 1..ys.len() {
        ys[i] = ys[i].max(ys[i - 1] + line);
    }
    let mut floor = rect.bottom;
    for y in ys.iter_mut().rev() {
        *y = y.min(floor);
        floor = *y - line;
    }
    ys
}

/// Tests as triangles at their level, in the colour of what big money did; the best score counts.
fn draw_tests(scene: &mut Scene, panel: &Panel, theme: &Theme, picture: &DailyPicture) {
    for level in seen(panel, picture) {
        let up = level.supports == Some(true);
        for test in &level.tests {
            let color = test.big_net.map_or(theme.second, |net| theme.of(net));
            let half = 4.0 + 5.0 * test.score.unwrap_or(0.0);
            let at = (middle(panel, test.at), panel.y(level.price));
            scene.fill(triangle(at, half + 2.0, up), theme.background);
            scene.fill(triangle(at, half, up), color);
        }
    }
}

fn frame(scene: &mut Scene, panel: &Panel, theme: &Theme, title: String) {
    panel.frame(scene, theme);
    panel.title(scene, theme, title);
}

/// Dates below the lowest area, as many as fit.
fn day_axis(scene: &mut Scene, rect: Rect, panel: &Panel, theme: &Theme, picture: &DailyPicture) {
    let fits = (rect.width() / 120.0) as usize;
    let step = picture.days.len().div_ceil(fits.max(1)).max(1);
    let mut next = f64::INFINITY;
    for (i, day) in picture.days.iter().enumerate().rev().step_by(step) {
        let x = middle(panel, i);
        scene.line(vec![(x, rect.bottom), (x, rect.bottom + 6.0)], theme.frame, 1.0);
        // Those at the edges are moved inside, perhaps onto their neighbours.
        let x = x.clamp(rect.left + 40.0, rect.right - 40.0);
        if next - x < 100.0 {
            continue;
        }
        next = x;
        let (text, at) = (day.day.clone(), (x, rect.bottom + 20.0));
        scene.text(Label {
            text,
            at,
            anchor: Anchor::Center,
            size: size::LABEL,
            bold: false,
            color: theme.text,
        });
    }
}

fn header(picture: &DailyPicture, theme: &Theme) -> Header {
    let mut legend = vec![
        (Swatch::Area(theme.band.fade(0.35)), "bands"),
        (Swatch::Line(theme.long), "support"),
        (Swatch::Line(theme.short), "resistance"),
    ];
    if picture.levels.iter().any(|l| l.supports.is_none()) {
        legend.push((Swatch::Line(theme.frame), "neutral"));
    }
    if picture.levels.iter().any(|l| !l.tests.is_empty()) {
        legend.push((Swatch::Up(theme.up), "test, big money bought"));
        legend.push((Swatch::Up(theme.down), "sold"));
    }
    let last = picture.days.last().map(|d| (format::number(d.ohlc[3], 2), theme.strong));
    Header { title: picture.title.clone(), caption: picture.caption.clone(), result: last, legend }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chart::scene::Shape;
    use crate::report::plot::text_width;

    fn picture(n: usize, n_levels: usize) -> DailyPicture {
        let day = |i: usize| {
            let close = 10.0 + (i as f64 * 0.3).sin();
            DayCandle {
                day: format!("2023-{:02}-{:02}", i / 28 % 12 + 1, i % 28 + 1),
                ohlc: [close - 0.1, close + 0.2, close - 0.2, close],
                volume: (i % 7 != 3).then_some(1e6 * (1.0 + (i % 5) as f64)),
                bands: (i > 19).then_some([close + 0.5, close, close - 0.5]),
                volume_bands: (i > 19).then_some([5e6, 3e6, -1e6]),
                big_net: (i + 30 > n).then_some((i % 3) as f64 * 1e6 - 1e6),
            }
        };
        let level = |i: usize| LevelLine {
            price: 9.6 + 0.01 * i as f64,
            from: i % n,
            supports: [Some(true), Some(false), None][i % 3],
            strength: (50 + i) as u8,
            name: "gap_up_high+trend_pivot_high flip_support".to_owned(),
            tests: vec![TestMark { at: n - 1, big_net: Some(-1.0), score: Some(0.7) }],
        };
        DailyPicture {
            title: "600519.SH".to_owned(),
            caption: "2023-02-01".to_owned(),
            days: (0..n).map(day).collect(),
            levels: (0..n_levels).map(level).collect(),
        }
    }

    #[test]
    fn no_text_lies_over_another_or_leaves_the_picture() {
        for (n, n_levels) in [(1, 0), (2, 1), (20, 3), (120, 30), (1000, 12)] {
            let scene = daily_chart(&picture(n, n_levels), &Theme::light(Default::default()));
            let labels: Vec<Rect> = scene
                .shapes
                .iter()
                .filter_map(|s| if let Shape::Text(l) = s { Some(l) } else { None })
                .map(|l| l.bounds(text_width(&l.text, l.size, l.bold)))
                .collect();
            for (i, a) in labels.iter().enumerate() {
                assert!(
                    a.left >= 0.0 && a.right <= f64::from(SIZE.0) && a.bottom <= f64::from(SIZE.1),
                    "{a:?}"
                );
                assert!(labels[i + 1..].iter().all(|b| !a.overlaps(b)), "{n} days, {n_levels} levels: {a:?}");
            }
        }
    }

    #[test]
    fn names_of_levels_are_pushed_apart_and_stay_inside() {
        let rect = Rect { left: 0.0, top: 0.0, right: 10.0, bottom: 100.0 };
        let ys = spread(&[10.0, 11.0, 12.0, 99.0, 100.0], rect);
        assert!(
            ys.windows(2).all(|p| p[1] - p[0] >= LINE - 1e-9) && ys[4] <= 100.0 && ys[0] >= 0.0,
            "{ys:?}"
        );
    }
}
