//! Price with bands, entries and exits, and the times without a book.

use lobstream_market::factor::technical::Bands as Band;

use crate::dataset::{Basis, Series};
use crate::engine::Trade;
use crate::model::Side;
use crate::report::chart::decimate::{POINTS_MAX, decimate};
use crate::report::chart::header::{Header, Swatch, spell_legend, triangle};
use crate::report::chart::panel::{Numbers, Panel, scale};
use crate::report::chart::scene::{Color, Point, Scene};
use crate::report::chart::theme::Theme;
use crate::report::chart::{caption, runs, stack, zone};
use crate::report::format;
use crate::run::RunResult;

const SIZE: (u32, u32) = (1600, 900);

/// The price chart of one symbol.
pub fn price_chart(result: &RunResult, index: usize, theme: &Theme) -> Scene {
    let series = &result.series[index];
    let bands = result.config.strategy.band_lines(series);
    let trades: Vec<&Trade> = result.trades.iter().filter(|trade| trade.series == index).collect();
    let mut scene = Scene::new(SIZE, theme.background);
    let rect = stack(SIZE, &[1.0])[0];
    let panel = Panel {
        rect,
        time: series.span_ms().unwrap_or((0, 1)),
        value: scale(extent(series, &bands, &trades), false),
    };
    let quote = format::units(&series.symbol).1;
    panel.value_axis(&mut scene, theme, Numbers::Plain);
    panel.time_axis(&mut scene, theme, &zone(result), true);
    panel.spells(&mut scene, theme, &series.spells);
    draw_price(&mut scene, &panel, theme, series, &bands);
    draw_trades(&mut scene, &panel, theme, &trades);
    panel.frame(&mut scene, theme);
    panel.title(&mut scene, theme, format!("{}, {quote}", price_name(series)));
    if series.bars.is_empty() {
        panel.note(&mut scene, theme, "No second of this period has a valid book");
    } else if trades.is_empty() {
        no_trades(&mut scene, &panel, theme);
    }
    header(result, series, &trades, !bands.is_empty(), theme).draw(&mut scene, theme, rect.left, rect.right);
    scene
}

/// What the line is.
fn price_name(series: &Series) -> &'static str {
    match series.basis {
        Basis::Mid => "Mid price",
        Basis::Traded => "Close",
    }
}

fn no_trades(scene: &mut Scene, panel: &Panel, theme: &Theme) {
    let mut rect = panel.rect;
    rect.top = rect.bottom - 60.0;
    Panel { rect, ..*panel }.note(scene, theme, "No trades: the rule never fired");
}

/// Everything that must be seen.
fn extent(series: &Series, bands: &[Option<Band>], trades: &[&Trade]) -> Vec<f64> {
    let bars = &series.bars;
    let prices = bars.low.iter().chain(&bars.high).copied();
    let bands = bands.iter().flatten().flat_map(|band| [band.lo, band.up]);
    let fills = trades.iter().flat_map(|trade| [trade.entry, trade.exit]);
    prices.chain(bands).chain(fills).collect()
}

/// Bands below, the price above them.
pub(super) fn draw_price(
    scene: &mut Scene,
    panel: &Panel,
    theme: &Theme,
    series: &Series,
    bands: &[Option<Band>],
) {
    let of = |read: fn(&Band) -> f64| runs(series, |i| bands.get(i)?.as_ref().map(read));
    let (upper, middle, lower) = (of(|b| b.up), of(|b| b.mid), of(|b| b.lo));
    for (upper, lower) in upper.iter().zip(&lower) {
        let mut outline: Vec<Point> = decimate(upper, POINTS_MAX).into_iter().map(|p| panel.at(p)).collect();
        outline.extend(decimate(lower, POINTS_MAX).into_iter().rev().map(|p| panel.at(p)));
        scene.fill(outline, theme.band.fade(0.10));
    }
    panel.line(scene, &upper, theme.band, 1.0);
    panel.line(scene, &lower, theme.band, 1.0);
    for run in &middle {
        let points = decimate(run, POINTS_MAX).into_iter().map(|p| panel.at(p)).collect();
        scene.dashed(points, theme.band, 1.0, 5.0);
    }
    panel.line(scene, &runs(series, |i| Some(series.bars.close[i])), theme.main, 1.5);
}

/// Each trade as a line from entry to exit with a mark at both ends.
pub(super) fn draw_trades(scene: &mut Scene, panel: &Panel, theme: &Theme, trades: &[&Trade]) {
    let half = match trades.len() {
        ..=40 => 9.0,
        41..=150 => 6.5,
        151.. => 4.5,
    };
    if trades.len() <= LEVELS_MAX {
        trades.iter().for_each(|trade| draw_levels(scene, panel, theme, trade));
    }
    for trade in trades {
        let ends = [panel.at((trade.entry_ms, trade.entry)), panel.at((trade.exit_ms, trade.exit))];
        scene.dashed(ends.to_vec(), theme.of(trade.pnl), 2.0, 4.0);
    }
    for trade in trades {
        let long = trade.side == Side::Long;
        let color = if long { theme.long } else { theme.short };
        mark(scene, theme, panel.at((trade.entry_ms, trade.entry)), half, long, color);
        if trade.is_closed() {
            mark(scene, theme, panel.at((trade.exit_ms, trade.exit)), half, !long, theme.of(trade.pnl));
        }
    }
}

/// With more trades the levels of each are a clutter.
const LEVELS_MAX: usize = 60;

/// Stop and target of a trade while it lived.
fn draw_levels(scene: &mut Scene, panel: &Panel, theme: &Theme, trade: &Trade) {
    let inside = |level: &f64| panel.value.0 < *level && *level < panel.value.1;
    let levels = [(trade.sl, theme.down), (trade.tp, theme.up)];
    for (level, color) in levels.into_iter().filter_map(|(level, color)| Some((level.filter(inside)?, color)))
    {
        let ends = [panel.at((trade.entry_ms, level)), panel.at((trade.exit_ms, level))];
        scene.line(ends.to_vec(), color, 1.0);
    }
}

/// A triangle with a rim of the background, so that it stands out of lines.
fn mark(scene: &mut Scene, theme: &Theme, (x, y): Point, half: f64, up: bool, color: Color) {
    let rim = if up { -2.6 } else { 2.6 };
    scene.fill(triangle((x, y + rim), half + 2.6, up), theme.background);
    scene.fill(triangle((x, y), half, up), color);
}

fn header(result: &RunResult, series: &Series, trades: &[&Trade], bands: bool, theme: &Theme) -> Header {
    let name = if series.basis == Basis::Mid { "mid" } else { "close" };
    let mut legend = vec![(Swatch::Line(theme.main), name)];
    if bands {
        legend.push((Swatch::Area(theme.band.fade(0.35)), "Bollinger bands"));
        legend.push((Swatch::Dashed(theme.band), "middle band"));
    }
    if trades.iter().any(|trade| trade.side == Side::Long) {
        legend.push((Swatch::Up(theme.long), "buy"));
    }
    if trades.iter().any(|trade| trade.side == Side::Short) {
        legend.push((Swatch::Down(theme.short), "sell short"));
    }
    let closed = |win: bool| trades.iter().any(|t| t.is_closed() && (t.pnl > 0.0) == win);
    if closed(true) {
        legend.push((Swatch::Down(theme.up), "exit with a gain"));
    }
    if closed(false) {
        legend.push((Swatch::Down(theme.down), "exit with a loss"));
    }
    if trades.len() <= LEVELS_MAX && trades.iter().any(|trade| trade.sl.is_some() || trade.tp.is_some()) {
        legend.push((Swatch::Line(theme.down), "stop, target"));
    }
    legend.extend(spell_legend(theme, std::iter::once(series)));
    let bands = if bands { ", Bollinger bands" } else { "" };
    Header {
        title: format!(
            "{} · {} — {}{bands} and trades",
            series.symbol,
            series.venue,
            price_name(series).to_lowercase()
        ),
        caption: caption(result, series.span_ms()),
        result: trade_result(trades, format::units(&series.symbol).1, theme),
        legend,
    }
}

/// `12 trades · 58 % won · +1,234.50 USDT`; nothing without trades.
fn trade_result(trades: &[&Trade], quote: &str, theme: &Theme) -> Option<(String, Color)> {
    let closed: Vec<&&Trade> = trades.iter().filter(|trade| trade.is_closed()).collect();
    let pnl: f64 = trades.iter().map(|trade| trade.pnl).sum();
    let won = closed.iter().filter(|trade| trade.pnl > 0.0).count();
    let share = won as f64 / closed.len().max(1) as f64;
    let plural = if closed.len() == 1 { "" } else { "s" };
    let text = format!(
        "{} trade{plural} · {} won · {} {quote}",
        closed.len(),
        format::percent(share, 0),
        format::signed(pnl, 2)
    );
    (!trades.is_empty()).then(|| (text, theme.of(pnl)))
}
