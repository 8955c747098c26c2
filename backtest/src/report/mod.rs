//! Files that a person keeps: charts, a page, tables, a summary, the assumptions.

mod assumptions;
mod base64;
pub mod chart;
mod csv;
mod files;
mod format;
mod grid;
mod html;
mod json;
mod plot;
mod tables;

use std::path::{Path, PathBuf};

pub use chart::theme::Palette;
pub use grid::{HeatGrid, HeatPanel};
pub use tables::metric_text;

use crate::error::Error;
use crate::report::chart::scene::Scene;
use crate::report::chart::theme::Theme;
use crate::report::files::Folder;
use crate::report::html::Picture;
use crate::run::RunResult;

/// Symbols that get charts of their own, those with the largest |P&L| first.
const CHARTED_MAX: usize = 20;

/// What a report says beside its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportOptions {
    /// Heading of the page. Default `Backtest`.
    pub title: String,
    /// More lines of the run box: label and value, such as the store that was read and its digest. Default none.
    pub notes: Vec<(String, String)>,
    /// Which colour a rise has. Default green.
    pub palette: Palette,
    /// Write into a folder that holds something else too. Default: it is refused.
    pub force: bool,
}

impl Default for ReportOptions {
    fn default() -> Self {
        ReportOptions {
            title: "Backtest".to_owned(),
            notes: Vec::new(),
            palette: Palette::default(),
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
    folder.put("trades.csv", csv::trades(result))?;
    folder.put("equity.csv", csv::equity(result))?;
    folder.put("rejections.csv", csv::rejections(result))?;
    folder.put("summary.json", json::summary(result))?;
    folder.put("assumptions.md", assumptions::page(result))?;
    folder.put("report.html", html::page(result, pictures, options)?)?;
    let mut files = folder.close()?;
    files.rotate_right(1);
    Ok(files)
}

/// A chart that can be drawn in any theme.
struct Drawing<'a> {
    name: String,
    title: String,
    scene: Box<dyn Fn(&Theme) -> Scene + 'a>,
}

fn drawings(result: &RunResult) -> Vec<Drawing<'_>> {
    let mut drawings = vec![Drawing {
        name: "equity".to_owned(),
        title: "Equity and drawdown".to_owned(),
        scene: Box::new(|theme| chart::equity_chart(result, theme)),
    }];
    for index in charted(result) {
        let (name, symbol) = (file_name(result, index), &result.series[index].symbol);
        drawings.push(Drawing {
            name: format!("price_{name}"),
            title: format!("{symbol}: price, bands and trades"),
            scene: Box::new(move |theme| chart::price_chart(result, index, theme)),
        });
        drawings.push(Drawing {
            name: format!("factors_{name}"),
            title: format!("{symbol}: price, order flow, imbalance"),
            scene: Box::new(move |theme| chart::factor_chart(result, index, theme)),
        });
    }
    drawings
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
    let name = format!("{}.png", drawing.name);
    let (light, dark) = ((drawing.scene)(&Theme::light(palette)), (drawing.scene)(&Theme::dark(palette)));
    folder.put_with(&name, |path| plot::write_png(&light, path))?;
    let dark = folder.bytes_of(&name, |path| plot::write_png(&dark, path))?;
    Ok(Picture { title: drawing.title.clone(), light: folder.read(&name)?, dark })
}
