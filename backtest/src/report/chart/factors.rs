//! What the book and the tape did: price, order-flow imbalance, size imbalance, signed volume.

use crate::dataset::{FactorId, Series};
use crate::engine::Trade;
use crate::report::chart::header::{Header, Swatch, spell_legend};
use crate::report::chart::panel::{Numbers, Panel, scale, scale_around_zero};
use crate::report::chart::price::{draw_price, draw_trades};
use crate::report::chart::scene::Scene;
use crate::report::chart::theme::Theme;
use crate::report::chart::{caption, runs, stack, zone};
use crate::report::format::{self, Zone};
use crate::run::RunResult;

const SIZE: (u32, u32) = (1600, 1200);

/// The factor chart of one symbol.
pub fn factor_chart(result: &RunResult, index: usize, theme: &Theme) -> Scene {
    let series = &result.series[index];
    let mut scene = Scene::new(SIZE, theme.background);
    let rects = stack(SIZE, &[0.30, 0.19, 0.15, 0.17, 0.19]);
    let time = series.span_ms().unwrap_or((0, 1));
    let panels: Vec<Panel> = rects.iter().map(|&rect| Panel { rect, time, value: (0.0, 1.0) }).collect();
    let trades: Vec<&Trade> = result.trades.iter().filter(|trade| trade.series == index).collect();
    let (base, quote) = format::units(&series.symbol);
    let thresholds = result.config.strategy.thresholds();
    let mut sheet = Sheet { scene: &mut scene, theme, series, thresholds: &thresholds, zone: zone(result) };
    sheet.price(panels[0], &trades, format!("Mid price, {quote}"));
    sheet.flow(panels[1], format!("Order-flow imbalance of five levels, weighted, {base} a bar"));
    sheet.unusual(panels[2]);
    sheet.depth(panels[3]);
    sheet.volume(panels[4], format!("Cumulative volume delta, {base}"));
    let header = Header {
        title: format!("{} · {} — price, order flow, book imbalance", series.symbol, series.venue),
        caption: caption(result, series.span_ms()),
        result: None,
        legend: legend(theme, series, !thresholds.is_empty()),
    };
    header.draw(&mut scene, theme, rects[0].left, rects[0].right);
    scene
}

fn legend(theme: &Theme, series: &Series, thresholds: bool) -> Vec<(Swatch, &'static str)> {
    let mut legend = vec![
        (Swatch::Line(theme.main), "mid"),
        (Swatch::Area(theme.up), "buying"),
        (Swatch::Area(theme.down), "selling"),
        (Swatch::Line(theme.second), "z-score"),
        (Swatch::Line(theme.equity), "cumulative volume delta"),
    ];
    if thresholds {
        legend.push((Swatch::Dashed(theme.long), "least value for a long"));
    }
    legend.extend(spell_legend(theme, std::iter::once(series)));
    legend
}

/// The panels of one symbol.
struct Sheet<'a> {
    scene: &'a mut Scene,
    theme: &'a Theme,
    series: &'a Series,
    thresholds: &'a [(&'static str, f64)],
    zone: Zone,
}

impl Sheet<'_> {
    fn price(&mut self, panel: Panel, trades: &[&Trade], title: String) {
        let bars = &self.series.bars;
        let fills = trades.iter().flat_map(|trade| [trade.entry, trade.exit]);
        let panel =
            panel.scaled(scale(bars.low.iter().chain(&bars.high).copied().chain(fills), !trades.is_empty()));
        self.open(&panel, false);
        draw_price(self.scene, &panel, self.theme, self.series, &[]);
        draw_trades(self.scene, &panel, self.theme, trades);
        self.close(&panel, title, bars.is_empty());
    }

    fn flow(&mut self, panel: Panel, title: String) {
        let flow = self.column("ofi_w");
        let panel = panel.scaled(scale_around_zero(values(&flow)));
        self.open(&panel, false);
        self.bars(&panel, &flow);
        self.thresholds(&panel, "ofi_w");
        self.close(&panel, title, flow.is_empty());
    }

    fn unusual(&mut self, panel: Panel) {
        let z = self.column("z_ofi");
        let panel = panel.scaled(scale_around_zero(values(&z)));
        self.open(&panel, false);
        panel.line(self.scene, &z, self.theme.second, 1.0);
        self.thresholds(&panel, "z_ofi");
        self.close(
            &panel,
            "z-score of the order-flow imbalance, standard deviations".to_owned(),
            z.is_empty(),
        );
    }

    /// What the rule asks of a factor before it buys.
    fn thresholds(&mut self, panel: &Panel, factor: &str) {
        for (_, least) in self.thresholds.iter().filter(|(name, _)| *name == factor) {
            panel.level(self.scene, self.theme.long, *least);
        }
    }

    fn depth(&mut self, panel: Panel) {
        let obi = self.column("obi_5");
        let panel = panel.scaled((-1.0, 1.0));
        self.open(&panel, false);
        self.bars(&panel, &obi);
        self.thresholds(&panel, "obi_5");
        self.close(
            &panel,
            "Size imbalance of five levels, (bid − ask)/(bid + ask)".to_owned(),
            obi.is_empty(),
        );
    }

    fn volume(&mut self, panel: Panel, title: String) {
        let cvd = self.column("cvd");
        let panel = panel.scaled(scale(values(&cvd), false));
        self.open(&panel, true);
        panel.line(self.scene, &cvd, self.theme.equity, 1.5);
        self.close(&panel, title, cvd.is_empty());
    }

    fn column(&self, name: &str) -> Vec<Vec<(i64, f64)>> {
        let Some(id) = FactorId::of(name) else { return Vec::new() };
        runs(self.series, |i| self.series.factors.at(id, i))
    }

    fn bars(&mut self, panel: &Panel, column: &[Vec<(i64, f64)>]) {
        let points: Vec<(i64, f64)> = column.iter().flatten().copied().collect();
        panel.bars(self.scene, &points, self.theme.up, self.theme.down);
        let zero = panel.y(0.0);
        let line = vec![(panel.rect.left, zero), (panel.rect.right, zero)];
        self.scene.line(line, self.theme.frame, 1.0);
    }

    fn open(&mut self, panel: &Panel, lowest: bool) {
        panel.value_axis(self.scene, self.theme, Numbers::Plain);
        panel.time_axis(self.scene, self.theme, &self.zone, lowest);
        panel.spells(self.scene, self.theme, &self.series.spells);
    }

    fn close(&mut self, panel: &Panel, title: String, empty: bool) {
        panel.frame(self.scene, self.theme);
        panel.title(self.scene, self.theme, title);
        if empty {
            panel.note(self.scene, self.theme, "no values in this period");
        }
    }
}

fn values(column: &[Vec<(i64, f64)>]) -> impl Iterator<Item = f64> + '_ {
    column.iter().flatten().map(|point| point.1)
}
