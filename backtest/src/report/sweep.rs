//! The files of a sweep: all rows, a heat map of two parameters, a summary, and the report of the best run.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::report::chart::theme::Theme;
use crate::report::files::Folder;
use crate::report::frame::{Cells, Frame};
use crate::report::{ReportOptions, chart, plot, put_parquet};
use crate::sweep::{Choice, MEASURES, SweepConfig, SweepResult};

/// Writes a sweep into a folder and tells its files; the report of the best run goes into `best` below it.
///
/// # Errors
/// As [`super::write`].
pub fn write_sweep(
    result: &SweepResult,
    config: &SweepConfig,
    dir: &Path,
    options: &ReportOptions,
) -> Result<Vec<PathBuf>, Error> {
    let mut folder = Folder::open(dir, options.force)?;
    let rows = frame(result);
    folder.put("sweep.csv", rows.to_csv())?;
    if let Some(write) = options.parquet {
        put_parquet(&mut folder, "sweep.parquet", &rows, write)?;
    }
    if let Some(scene) = chart::heat_chart(result, config, &Theme::light(options.palette)) {
        folder.put_with("heatmap.png", |path| plot::write_png(&scene, path))?;
        folder.put("heatmap.svg", plot::svg(&scene)?)?;
    }
    folder.put("sweep.json", summary(result, config))?;
    let mut files = folder.close()?;
    if let Some(best) = &result.best_run {
        files.extend(super::write(best, &dir.join("best"), options)?);
    }
    Ok(files)
}

/// One row per combination: its parameters, then its measures.
fn frame(result: &SweepResult) -> Frame {
    let mut frame = Frame::default();
    for (i, name) in result.names.iter().enumerate() {
        frame.add(name.clone(), parameter(result.rows.iter().map(|row| row.params[i].as_str())));
    }
    for (i, key) in MEASURES.iter().enumerate() {
        frame.add(*key, Cells::Number(result.rows.iter().map(|row| row.values[i]).collect()));
    }
    frame
}

/// Numbers if all are, `none` being no number; text else.
fn parameter<'a>(values: impl Iterator<Item = &'a str> + Clone) -> Cells {
    let number = |text: &str| if text == "none" { Some(None) } else { text.parse::<f64>().ok().map(Some) };
    match values.clone().map(number).collect::<Option<Vec<_>>>() {
        Some(numbers) => Cells::Number(numbers),
        None => Cells::Text(values.map(str::to_owned).collect()),
    }
}

fn summary(result: &SweepResult, config: &SweepConfig) -> String {
    let best = result.best.map(|i| {
        let row = &result.rows[i];
        let of = |names: &[String], values: Vec<Value>| -> Map<String, Value> {
            names.iter().cloned().zip(values).collect()
        };
        let keys: Vec<String> = MEASURES.iter().map(|key| (*key).to_owned()).collect();
        json!({
            "params": of(&result.names, row.params.iter().map(|value| json!(value)).collect()),
            "metrics": of(&keys, row.values.iter().map(|value| json!(value)).collect()),
            "hash": result.best_run.as_ref().map(|run| &run.hash),
        })
    });
    let choice = match config.choice {
        Choice::Grid => json!("grid"),
        Choice::Random { n, seed } => json!({ "random": n, "seed": seed }),
    };
    let axes: Map<String, Value> =
        config.axes.iter().map(|axis| (axis.name.clone(), json!(axis.values))).collect();
    let value = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "base": config.base,
        "axes": axes,
        "choice": choice,
        "combinations": result.rows.len(),
        "objective": config.objective,
        "min_trades": config.min_trades,
        "trials": result.n_trials,
        "dsr": result.dsr,
        "best": best,
    });
    format!("{value:#}\n")
}
