//! `lobstream sweep`: a rule with many parameters over one dataset, and how much of the best is luck.

use std::path::Path;

use lobstream_backtest::report;
use lobstream_backtest::sweep::{SweepConfig, SweepResult, sweep};

use super::backtest::{Source, dataset, report_options};
use super::progress::spinner;
use super::{note, say};
use crate::cli;
use crate::config::flags;
use crate::config::sheet::Sheet;
use crate::config::sweep_file::SweepFile;
use crate::error::Error;

pub(super) fn execute(args: &cli::Sweep) -> Result<(), Error> {
    let file = SweepFile::read(&Sheet::load(&args.config)?)?;
    let source = Source::of((args.from.as_ref(), &args.bars), Some(&file.run), None)?;
    let symbols = flags::symbols("symbols of [data]", &file.run.symbols)?;
    let symbols: Vec<String> = symbols.iter().map(|symbol| symbol.as_str().to_owned()).collect();
    report::check_folder(&args.out, args.force)?;
    let line = spinner("sweep");
    let done = dataset(&source, &symbols).and_then(|data| Ok(sweep(&data, &file.sweep)?));
    let written = done.and_then(|result| {
        let files =
            report::write_sweep(&result, &file.sweep, &args.out, &report_options(args.palette, args.force))?;
        Ok((result, files))
    });
    line.finish_and_clear();
    let (result, files) = written?;
    file.run.notes.iter().for_each(|text| note(format!("note: {text}")));
    if file.run.ashare == Some(true) {
        note(
            "note: of market = \"ashare\" a sweep takes the trading days only, not T+1, limits, lots and dated fees",
        );
    }
    tell(&result, &file.sweep, files.len(), &args.out);
    Ok(())
}

fn tell(result: &SweepResult, config: &SweepConfig, n_files: usize, out: &Path) {
    let n = result.rows.len();
    let Some(row) = result.best.map(|i| &result.rows[i]) else {
        say(format!(
            "{n} combinations, none of them with {} trades and a {}",
            config.min_trades,
            config.objective.key()
        ));
        say(format!("{n_files} files in {}", out.display()));
        return;
    };
    let params: Vec<String> =
        result.names.iter().zip(&row.params).map(|(name, value)| format!("{name} = {value}")).collect();
    let text = |key: &str| row.get(key).map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"));
    say(format!("{n} combinations; the best by {} is {}", config.objective.key(), params.join(", ")));
    for key in ["sharpe", "total_return", "max_drawdown", "n_trades"] {
        say(format!("{key:>14} {}", text(key)));
    }
    let dsr = result.dsr.map_or_else(|| "–".to_owned(), |dsr| format!("{dsr:.4}"));
    say(format!(
        "{:>14} {dsr}   P(true ratio above what K = {} trials without skill show)",
        "DSR", result.n_trials
    ));
    if let Some(run) = &result.best_run {
        run.warnings.iter().for_each(|w| note(format!("note: {w}")));
        say(format!("hash {}", run.hash));
    }
    say(format!("{n_files} files in {}, the best run in {}", out.display(), out.join("best").display()));
}
