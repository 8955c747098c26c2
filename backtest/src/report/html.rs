//! `report.html`: one page that needs nothing else, no script, no network.

use minijinja::Environment;
use minijinja::value::Serde;
use serde::Serialize;

use crate::engine::Trade;
use crate::error::Error;
use crate::metrics::{Metric, step_text};
use crate::report::assumptions::assumptions;
use crate::report::chart::scene::Color;
use crate::report::chart::theme::{Palette, Theme};
use crate::report::format::Zone;
use crate::report::tables::{exit_reasons, metric_text, rejection_counts};
use crate::report::{Place, ReportOptions, format};
use crate::run::RunResult;

const PAGE: &str = include_str!("page.html");

/// Trades that the page shows; the CSV has all.
const TRADES_MAX: usize = 500;

/// Symbols that the run box names.
const SYMBOLS_MAX: usize = 12;

/// A chart as it stands on the page, in light colours.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) place: Place,
    pub(super) svg: String,
}

/// What the template is given.
#[derive(Serialize)]
struct Page<'a> {
    title: &'a str,
    facts: Vec<(String, String)>,
    tiles: Vec<(&'static str, String, &'static str)>,
    warnings: &'a [String],
    metrics: Vec<MetricView>,
    params: Vec<(&'static str, String, &'static str)>,
    charts: Vec<String>,
    symbol_charts: Vec<String>,
    exit_charts: Vec<String>,
    dark: String,
    reasons: Vec<ReasonView>,
    rejections: Vec<(String, usize)>,
    trades: Vec<TradeView>,
    n_trades: usize,
    n_symbols: usize,
    symbols_left_out: usize,
    assumptions: Vec<(&'static str, String)>,
    hash: &'a str,
    zone: String,
}

/// The page of a run.
pub(super) fn page(
    result: &RunResult,
    pictures: Vec<Picture>,
    options: &ReportOptions,
) -> Result<String, Error> {
    let failed =
        |e: minijinja::Error| Error::Render { what: "report.html".to_owned(), reason: e.to_string() };
    let mut templates = Environment::new();
    templates.add_template("page.html", PAGE).map_err(failed)?;
    let at = |place| {
        let there = pictures.iter().filter(move |picture| picture.place == place);
        there.map(|picture| picture.svg.clone()).collect()
    };
    let shown = result.trades.iter().enumerate().take(TRADES_MAX);
    let page = Page {
        title: &options.title,
        facts: facts(result, options),
        tiles: tiles(result),
        warnings: &result.warnings,
        metrics: metrics(result),
        params: result.config.strategy.params(),
        charts: at(Place::Run),
        symbol_charts: at(Place::Symbol),
        exit_charts: at(Place::Exits),
        dark: dark(options.palette),
        reasons: reasons(result),
        rejections: rejection_counts(result),
        trades: shown.map(|(i, t)| trade(result, i + 1, t)).collect(),
        n_trades: result.trades.len(),
        n_symbols: result.series.len(),
        symbols_left_out: result.series.len().saturating_sub(super::CHARTED_MAX),
        assumptions: assumptions(result).into_iter().map(|a| (a.id, a.text)).collect(),
        hash: &result.hash,
        zone: result.config.conventions.zone(),
    };
    templates.get_template("page.html").and_then(|template| template.render(Serde(&page))).map_err(failed)
}

/// Style rules that give the charts of a light theme the colours of the dark one.
fn dark(palette: Palette) -> String {
    let hex = |c: Color| format!("#{:02X}{:02X}{:02X}", c.rgb.0, c.rgb.1, c.rgb.2);
    let rule = |(light, dark): (Color, Color)| {
        let (light, dark) = (hex(light), hex(dark));
        format!("svg [fill=\"{light}\"]{{fill:{dark}}}svg [stroke=\"{light}\"]{{stroke:{dark}}}\n")
    };
    Theme::pairs(palette).into_iter().map(rule).collect()
}

/// The run box: label and value.
fn facts(result: &RunResult, options: &ReportOptions) -> Vec<(String, String)> {
    let shown = result.series.iter().take(SYMBOLS_MAX);
    let mut symbols: Vec<String> = shown.map(|s| format!("{} on {}", s.symbol, s.venue)).collect();
    if let Some(more) = result.series.len().checked_sub(SYMBOLS_MAX).filter(|more| *more > 0) {
        symbols.push(format!("and {more} more"));
    }
    let period = result
        .span_ms()
        .map_or_else(|| "no data".to_owned(), |(a, b)| Zone::of(&result.config.conventions).period(a, b));
    let rows: usize = result.series.iter().map(|series| series.n_rows).sum();
    let bars = format!(
        "{} of {}, from {} rows",
        format::number(result.counts.bars as f64, 0),
        step_text(result.step_ms),
        format::number(rows as f64, 0)
    );
    let config = &result.config;
    let mut facts: Vec<(String, String)> = [
        ("Symbols", symbols.join(", ")),
        ("Period", period),
        ("Bars", bars),
        ("Strategy", config.strategy.name().to_owned()),
        ("Fill", config.fill.as_str().replace('_', " ")),
        ("Slippage", config.slippage.to_string()),
        (
            "Start capital",
            format!("{} {}", format::number(config.cash, 2), format::currencies(&result.series)),
        ),
        ("Configuration", config.hash()),
    ]
    .map(|(label, value)| (label.to_owned(), value))
    .into();
    facts.extend(options.notes.iter().cloned());
    facts
}

/// The six numbers that a reader wants first: label, value, and `up` or `down`.
fn tiles(result: &RunResult) -> Vec<(&'static str, String, &'static str)> {
    let keys = ["total_return", "max_drawdown", "n_trades", "win_rate", "profit_factor", "fees"];
    let tone = |key: &str, value: Option<f64>| match (key, value) {
        ("total_return", Some(value)) if value > 0.0 => "up",
        ("total_return", Some(value)) if value < 0.0 => "down",
        (_, Some(_) | None) => "",
    };
    let conventions = &result.config.conventions;
    let metrics = result.metrics.list.iter().filter(|metric| keys.contains(&metric.key));
    metrics
        .map(|metric| (metric.label, metric_text(metric, conventions), tone(metric.key, metric.value)))
        .collect()
}

#[derive(Serialize)]
struct MetricView {
    label: &'static str,
    value: String,
    convention: String,
    note: String,
}

fn metrics(result: &RunResult) -> Vec<MetricView> {
    let view = |metric: &Metric| MetricView {
        label: metric.label,
        value: metric_text(metric, &result.config.conventions),
        convention: metric.convention.clone(),
        note: metric.note.unwrap_or("").replace('_', " "),
    };
    result.metrics.list.iter().map(view).collect()
}

#[derive(Serialize)]
struct ReasonView {
    reason: &'static str,
    meaning: &'static str,
    n: usize,
    won: usize,
    pnl: String,
    tone: &'static str,
}

fn reasons(result: &RunResult) -> Vec<ReasonView> {
    let rows = exit_reasons(result).into_iter();
    rows.map(|row| ReasonView {
        reason: row.reason.as_str(),
        meaning: row.reason.describe(),
        n: row.n,
        won: row.won,
        pnl: format::signed(row.pnl, 2),
        tone: tone(row.pnl),
    })
    .collect()
}

#[derive(Serialize)]
struct TradeView {
    id: usize,
    symbol: String,
    side: &'static str,
    entry_time: String,
    exit_time: String,
    held: String,
    entry: String,
    exit: String,
    qty: String,
    pnl: String,
    ret: String,
    fees: String,
    mae: String,
    mfe: String,
    reason: &'static str,
    tone: &'static str,
}

fn trade(result: &RunResult, id: usize, trade: &Trade) -> TradeView {
    let decimals = format::price_decimals(trade.entry);
    let zone = Zone::of(&result.config.conventions);
    TradeView {
        id,
        symbol: result.series[trade.series].symbol.clone(),
        side: trade.side.as_str(),
        entry_time: zone.date_time(trade.entry_ms),
        exit_time: zone.date_time(trade.exit_ms),
        held: format::duration((trade.exit_ms - trade.entry_ms) as f64),
        entry: format::number(trade.entry, decimals),
        exit: format::number(trade.exit, decimals),
        qty: format::number(trade.qty, 4),
        pnl: format::signed(trade.pnl, 2),
        ret: format!("{} %", format::signed(trade.return_pct * 100.0, 3)),
        fees: format::number(trade.fees, 2),
        mae: format::percent(trade.mae, 3),
        mfe: format::percent(trade.mfe, 3),
        reason: trade.reason.as_str(),
        tone: tone(trade.pnl),
    }
}

fn tone(pnl: f64) -> &'static str {
    if pnl > 0.0 { "up" } else { "down" }
}
