//! Files that a person keeps: charts, a page, tables, a summary, the assumptions.

mod assumptions;
pub mod chart;
mod export;
mod files;
mod format;
mod frame;
mod grid;
mod html;
mod json;
mod lists;
mod plot;
mod sweep;
mod tables;

use std::path::{Path, PathBuf};

pub use chart::theme::Palette;
pub use export::export_vectorbt;
pub use frame::{Cells, Frame};
pub use grid::{HeatGrid, HeatPanel};
pub use json::summary;
pub use sweep::write_sweep;
pub use tables::metric_text;

use crate::dataset::Basis;
use crate::error::Error;
use crate::metrics::Sample;
use crate::report::chart::scene::Scene;
use crate::report::chart::theme::Theme;
use crate::report::files::Folder;
use crate::report::html::Picture;
use crate::run::RunResult;

/// Symbols that get charts of their own, those with the largest |P&L| first.
const CHARTED_MAX: usize = 20;

/// Writes a table as a Parquet file.
pub type WriteFrame = fn(&Frame, &Path) -> Result<(), String>;

/// What a report says beside its numbers.
#[derive(Clone, Debug)]
pub struct ReportOptions {
    /// Heading of the page. Default `Backtest`.
    pub title: String,
    /// More lines of the run box: label and value, such as the store that was read and its digest. Default none.
    pub notes: Vec<(String, String)>,
    /// Which colour a rise has. Default green.
    pub palette: Palette,
    /// Writes `trades.parquet` and `equity.parquet`; the crate itself knows no Parquet. Default: there are none.
    pub parquet: Option<WriteFrame>,
    /// Write into a folder that holds something else too. Default: it is refused.
    pub force: bool,
}

impl Default for ReportOptions {
    fn default() -> Self {
        ReportOptions {
            title: "Backtest".to_owned(),
            notes: Vec::new(),
            palette: Palette::default(),
            parquet: None,
            force: false,
        }
    }
}

/// May a report be written into this folder? Better asked before the work than after it.
///
/// # Errors
/// The folder holds something else than an earlier report, and `force` does not allow that.
pub fn check_folder(dir: &Path, force: bool) -> Result<(), Error> {
    files::check(dir, force)
}

/// Draws a stock's days into a PNG file.
///
/// # Errors
/// The file cannot be written.
pub fn write_daily(picture: &chart::DailyPicture, palette: Palette, path: &Path) -> Result<(), Error> {
    plot::write_png(&chart::daily_chart(picture, &Theme::light(palette)), path)
}

/// Writes a report into a folder and tells its files, the page first. Files appear whole or not at all; those
/// of an earlier report there that this one does not have are removed.
///
/// # Errors
/// As [`check_folder`]; a file that cannot be written, named.
pub fn write(result: &RunResult, dir: &Path, options: &ReportOptions) -> Result<Vec<PathBuf>, Error> {
    let mut folder = Folder::open(dir, options.force)?;
    let mut pictures = Vec::new();
    for drawing in drawings(result) {
        pictures.push(picture(&mut folder, &drawing, options.palette)?);
    }
    let (trades, equity) = (lists::trades(result), lists::equity(result));
    folder.put("trades.csv", trades.to_csv())?;
    folder.put("equity.csv", equity.to_csv())?;
    folder.put("rejections.csv", lists::rejections(result).to_csv())?;
    if let Some(write) = options.parquet {
        put_parquet(&mut folder, "trades.parquet", &trades, write)?;
        put_parquet(&mut folder, "equity.parquet", &equity, write)?;
    }
    folder.put("summary.json", summary(result))?;
    folder.put("assumptions.md", assumptions::page(result))?;
    folder.put("report.html", html::page(result, pictures, options)?)?;
    let mut files = folder.close()?;
    files.rotate_right(1);
    Ok(files)
}

fn put_parquet(folder: &mut Folder<'_>, name: &str, frame: &Frame, write: WriteFrame) -> Result<(), Error> {
    let failed = |reason| Error::Render { what: name.to_owned(), reason };
    folder.put_with(name, |path| write(frame, path).map_err(failed))
}

/// Where a chart stands on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Of the whole run.
    Run,
    /// Of one symbol.
    Symbol,
    /// Beside the exit reasons.
    Exits,
}

/// Which files a chart is written to, beside its place on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Files {
    Page,
    Png,
    PngAndSvg,
}

/// A chart that can be drawn in any theme.
struct Drawing<'a> {
    name: String,
    title: String,
    place: Place,
    files: Files,
    scene: Box<dyn Fn(&Theme) -> Scene + 'a>,
}

fn drawings(result: &RunResult) -> Vec<Drawing<'_>> {
    let run = |name: &str, title: &str, files, draw: fn(&RunResult, &Theme) -> Scene| Drawing {
        name: name.to_owned(),
        title: title.to_owned(),
        place: Place::Run,
        files,
        scene: Box::new(move |theme| draw(result, theme)),
    };
    let mut drawings = vec![
        run("equity", "Equity and benchmark", Files::PngAndSvg, chart::equity_chart),
        run("drawdown", "Drawdown", Files::PngAndSvg, chart::drawdown_chart),
    ];
    let sample = Sample::of(&result.equity, result.config.cash, &result.config.conventions);
    if sample.is_annual {
        drawings.push(run("months", "Returns of months and years", Files::Page, chart::month_chart));
    }
    drawings.push(run("returns", "Histogram of returns", Files::Page, chart::histogram_chart));
    if sample.is_annual && sample.returns.len() >= chart::ROLLING_WINDOW {
        drawings.push(run("rolling", "Rolling Sharpe ratio", Files::Page, chart::rolling_chart));
    }
    charted(result).into_iter().for_each(|index| symbol_drawings(result, index, &mut drawings));
    let reasons = run("exits", "P&L by exit reason", Files::Page, chart::reason_chart);
    drawings.push(Drawing { place: Place::Exits, ..reasons });
    drawings
}

fn symbol_drawings<'a>(result: &'a RunResult, index: usize, drawings: &mut Vec<Drawing<'a>>) {
    let (name, series) = (file_name(result, index), &result.series[index]);
    let (place, files) = (Place::Symbol, Files::Png);
    drawings.push(Drawing {
        name: format!("price_{name}"),
        title: format!("{}: price, bands and trades", series.symbol),
        place,
        files,
        scene: Box::new(move |theme| chart::price_chart(result, index, theme)),
    });
    if series.basis == Basis::Mid {
        drawings.push(Drawing {
            name: format!("factors_{name}"),
            title: format!("{}: price, order flow, imbalance", series.symbol),
            place,
            files,
            scene: Box::new(move |theme| chart::factor_chart(result, index, theme)),
        });
    }
}

/// The series that get charts, in their order.
fn charted(result: &RunResult) -> Vec<usize> {
    let pnl = |index: usize| -> f64 {
        result.trades.iter().filter(|trade| trade.series == index).map(|trade| trade.pnl).sum()
    };
    let mut order: Vec<(usize, f64)> =
        (0..result.series.len()).map(|index| (index, pnl(index).abs())).collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut kept: Vec<usize> = order.into_iter().take(CHARTED_MAX).map(|(index, _)| index).collect();
    kept.sort_unstable();
    kept
}

/// The symbol, with its venue if another venue has it too.
fn file_name(result: &RunResult, index: usize) -> String {
    let series = &result.series[index];
    let shared = result.series.iter().filter(|other| other.symbol == series.symbol).count() > 1;
    let name = if shared { format!("{}_{}", series.venue, series.symbol) } else { series.symbol.clone() };
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '-' }).collect()
}

fn picture(folder: &mut Folder<'_>, drawing: &Drawing<'_>, palette: Palette) -> Result<Picture, Error> {
    let scene = (drawing.scene)(&Theme::light(palette));
    let svg = plot::svg(&scene)?;
    if drawing.files != Files::Page {
        folder.put_with(&format!("{}.png", drawing.name), |path| plot::write_png(&scene, path))?;
    }
    if drawing.files == Files::PngAndSvg {
        folder.put(&format!("{}.svg", drawing.name), &svg)?;
    }
    Ok(Picture { place: drawing.place, svg: plot::inline(&svg, &drawing.title) })
}
