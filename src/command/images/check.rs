//! Examining a stored day: what must hold, and what is unusual.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use lobstream_market::images::Measure;

use crate::cli::ImagesCheck;
use crate::command::say;
use crate::config::dates::Date;
use crate::error::Error;
use crate::images::{DayImages, DayMeta, DayPaths, Finding, StockRow, Summary, examine};

/// Broken things that are listed.
const LISTED_MAX: usize = 20;

pub(super) fn execute(args: &ImagesCheck) -> Result<(), Error> {
    let date = Date::parse("--date", &args.date)?.to_string();
    let paths = DayPaths::new(&args.input, &date);
    let (images, meta) = (DayImages::open(&paths.images())?, DayMeta::open(&paths.meta())?);
    if let Some(code) = &args.code {
        let stock = meta.stock(code)?;
        let missing = || Error::Missing { what: format!("{code} is not in {}", paths.images().display()) };
        say(one(code, &stock.ok_or_else(missing)?));
        return Ok(());
    }
    let finding = examine(&images, &meta)?;
    say(table(&finding.summaries));
    let ok = finding.stocks.values().filter(|stock| stock.hash.is_some()).count();
    let unusual = finding.stocks.values().filter(|stock| !stock.warnings.is_empty()).count();
    say(format!("{date}: {ok} images of {} stocks, {unusual} with something unusual", finding.stocks.len()));
    broken(&finding)
}

fn broken(finding: &Finding) -> Result<(), Error> {
    if finding.broken.is_empty() {
        say("every image is the one that was stored, all invariants hold");
        return Ok(());
    }
    finding.broken.iter().take(LISTED_MAX).for_each(|what| say(format!("broken: {what}")));
    let what = format!("{} invariants are broken: make the day again with --overwrite", finding.broken.len());
    Err(Error::Invariant { what })
}

/// Every measure over the day: the greatest numbers of unusual stocks are the ones to look at.
fn table(summaries: &[Summary]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["measure", "channel", "usual", "median", "least", "greatest", "unusual"]);
    for summary in summaries {
        let number = |value: Option<f64>| value.map_or("–".to_owned(), |v| format!("{v:.4}"));
        table.add_row([
            summary.measure.name.to_owned(),
            channel(&summary.measure),
            summary.measure.usual(),
            number(summary.measure.value),
            number(summary.least),
            number(summary.greatest),
            format!("{} of {}", summary.n_unusual, summary.n),
        ]);
    }
    for i in 3..=6 {
        if let Some(column) = table.column_mut(i) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn one(code: &str, stock: &StockRow) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([code, "channel", "value", "usual", ""]);
    for measure in stock.measures() {
        let mark = if measure.is_unusual() { "unusual" } else { "" };
        let value = measure.value.map_or("–".to_owned(), |v| format!("{v:.4}"));
        table.add_row([measure.name, &channel(&measure), &value, &measure.usual(), mark]);
    }
    table
}

fn channel(measure: &Measure) -> String {
    measure.channel.map(|c| format!("{} {}", c as usize, c.name())).unwrap_or_default()
}
