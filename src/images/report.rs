//! How the images of a day look: a table of measures by stock, and a summary of what is unusual.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use lobstream_market::images::{Measure, values_out_of_range};

use super::meta::{Status, StockRow};
use super::stock::image_hash;
use super::store::{DayImages, DayMeta};
use crate::error::Error;

/// Writes `{out}/reports/{date}.csv`: a stock a line, its measures, and what is unusual about it.
///
/// # Errors
/// The file system. What is there is replaced at once or not at all.
pub(crate) fn write_report(out: &Path, date: &str, stocks: &BTreeMap<String, StockRow>) -> Result<(), Error> {
    let dir = out.join("reports");
    let (path, draft) = (dir.join(format!("{date}.csv")), dir.join(format!("{date}.csv.draft")));
    let failed = |e: &dyn ToString| Error::file("cannot write", &path, e.to_string());
    fs::create_dir_all(&dir).map_err(|e| failed(&e))?;
    let mut csv = csv::Writer::from_path(&draft).map_err(|e| failed(&e))?;
    let names = stocks.values().next().map(StockRow::measures).unwrap_or_default();
    let head = ["code", "status", "trades", "orders", "cancels"].map(str::to_owned).into_iter();
    let head = head.chain(names.iter().map(column)).chain(["warnings".to_owned()]);
    csv.write_record(head).map_err(|e| failed(&e))?;
    for (code, stock) in stocks {
        let counts = [stock.trades, stock.orders, stock.cancels].map(|n| n.to_string());
        let measures = stock.measures();
        let values = measures.iter().map(|m| m.value.map(|v| v.to_string()).unwrap_or_default());
        let texts: Vec<&str> = stock.message.iter().chain(&stock.warnings).map(String::as_str).collect();
        let row = [code.clone(), status_name(stock.status).to_owned()].into_iter();
        let row = row.chain(counts).chain(values).chain([texts.join("; ")]);
        csv.write_record(row).map_err(|e| failed(&e))?;
    }
    csv.flush().map_err(|e| failed(&e))?;
    fs::rename(&draft, &path).map_err(|e| failed(&e))
}

/// As metadata and reports spell it.
pub(crate) fn status_name(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Empty => "empty",
        Status::TooManyRows => "too_many_rows",
        Status::Error => "error",
    }
}

fn column(measure: &Measure) -> String {
    match measure.channel {
        Some(channel) => format!("{}_{}", measure.name, channel as usize),
        None => measure.name.to_owned(),
    }
}

/// A measure over all stocks of a day.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Summary {
    /// What is measured, by name, channel and usual range; its value is the median.
    pub(crate) measure: Measure,
    /// The least value.
    pub(crate) least: Option<f64>,
    /// The greatest value.
    pub(crate) greatest: Option<f64>,
    /// Stocks in which it is unusual.
    pub(crate) n_unusual: u64,
    /// Stocks that have it.
    pub(crate) n: u64,
}

/// What an examination of a stored day finds.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    /// Stocks by code.
    pub(crate) stocks: BTreeMap<String, StockRow>,
    /// Every measure over all of them.
    pub(crate) summaries: Vec<Summary>,
    /// What must not be: bugs or damage.
    pub(crate) broken: Vec<String>,
}

/// Examines a stored day: every image against its row, the invariants where counts were kept, all measures.
///
/// # Errors
/// It cannot be read.
pub(crate) fn examine(images: &DayImages, meta: &DayMeta) -> Result<Finding, Error> {
    let stocks = meta.stocks()?;
    let run = meta.run()?;
    let mut broken = Vec::new();
    if let Some(told) = run.as_ref().and_then(|run| run.day_hash.clone()) {
        let found = images.day_hash()?;
        if told != found {
            broken.push(format!("day_hash is {found}, the run says {told}"));
        }
    }
    let is_normalised = run.is_some_and(|run| run.config.contains("normalise = \"log1p_max\""));
    for entry in images.iter()? {
        let (code, image) = entry?;
        match stocks.get(&code) {
            None => broken.push(format!("{code}: has an image and no row")),
            Some(stock) if stock.hash.as_deref() != Some(&image_hash(&image.to_bytes())) => {
                broken.push(format!("{code}: its image is not the one that was stored"));
            }
            Some(stock) => broken.extend(broken_sums(&code, stock)),
        }
        let outside = values_out_of_range(&image);
        if is_normalised && outside > 0 {
            broken.push(format!("{code}: {outside} values lie outside [0, 1]"));
        }
        if let (Some(counts), Some(stock)) = (meta.counts(&code)?, stocks.get(&code)) {
            broken.extend(broken_cells(&code, &counts, stock));
        }
    }
    let summaries = summarise(&stocks);
    Ok(Finding { stocks, summaries, broken })
}

/// What the sums of channels alone can tell.
fn broken_sums(code: &str, stock: &StockRow) -> Vec<String> {
    let s = &stock.channel_sums;
    let holds = [
        ("buy orders = aggressive + passive", s[7] == s[9] + s[11]),
        ("sell orders = aggressive + passive", s[8] == s[10] + s[12]),
        ("active buys + active sells ≤ trades", s[1] + s[2] <= s[0]),
        ("big + small buys ≤ trades", s[3] + s[5] <= s[0]),
        ("big + small sells ≤ trades", s[4] + s[6] <= s[0]),
        ("trades are all counted", s[0] == stock.trades),
        ("orders are all counted", s[7] + s[8] == stock.orders),
        ("cancels are all counted", s[13] + s[14] == stock.cancels),
    ];
    holds.iter().filter(|(_, ok)| !ok).map(|(what, _)| format!("{code}: {what} does not hold")).collect()
}

/// Cell by cell, where counts were kept.
fn broken_cells(code: &str, counts: &lobstream_market::images::Counts, stock: &StockRow) -> Vec<String> {
    let s = &stock.channel_sums;
    let all_named = s[3] + s[5] == s[0] && s[4] + s[6] == s[0];
    let kept = lobstream_market::images::Kept {
        trades: stock.trades,
        trades_with_orders: if all_named { stock.trades } else { 0 },
        orders: stock.orders,
        cancels: stock.cancels,
    };
    let broken = lobstream_market::images::broken_invariants(counts, &kept);
    broken.into_iter().map(|what| format!("{code}: {what}")).collect()
}

fn summarise(stocks: &BTreeMap<String, StockRow>) -> Vec<Summary> {
    let all: Vec<Vec<Measure>> =
        stocks.values().filter(|s| s.status == Status::Ok).map(StockRow::measures).collect();
    let Some(first) = all.first() else { return Vec::new() };
    let summary = |i: usize| {
        let mut values: Vec<f64> = all.iter().filter_map(|measures| measures[i].value).collect();
        values.sort_by(f64::total_cmp);
        let median = values.get(values.len() / 2).copied();
        Summary {
            measure: Measure { value: median, ..first[i] },
            least: values.first().copied(),
            greatest: values.last().copied(),
            n_unusual: all.iter().filter(|measures| measures[i].is_unusual()).count() as u64,
            n: values.len() as u64,
        }
    };
    (0..first.len()).map(summary).collect()
}
