//! `lobstream backtest`: a rule over stored rows, and a report of what it was worth.

use std::path::{Path, PathBuf};

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use lobstream_backtest::model::fee::Fees;
use lobstream_backtest::model::slippage::Slippage;
use lobstream_backtest::{
    Dataset, DatasetOptions, Fill, ReportOptions, RunConfig, RunResult, StrategyConfig, report,
};

use super::progress::spinner;
use super::{note, say};
use crate::cli;
use crate::config::flags;
use crate::error::Error;
use crate::sink::Filter;
use crate::sink::results::Results;

/// What is traded on what, resolved.
pub(super) struct BacktestOptions {
    /// Address of the stored rows.
    pub(super) from: String,
    /// Of these symbols; empty: of all.
    pub(super) symbols: Vec<String>,
    /// Length of a bar.
    pub(super) step_ms: i64,
    pub(super) config: RunConfig,
}

pub(super) fn execute(args: &cli::Backtest) -> Result<(), Error> {
    let step_ms = flags::bar_ms("--bar", &args.bar)?;
    let symbols = flags::symbols("--symbols", &args.symbols)?;
    let options = BacktestOptions {
        from: args.from.clone(),
        symbols: symbols.iter().map(|s| s.as_str().to_owned()).collect(),
        step_ms,
        config: config(&args.strategy, &flags::pairs("--set", &args.set)?)?,
    };
    report::check_folder(&args.out, args.force)?;
    let line = spinner("backtest");
    let done = backtest(&options).and_then(|result| Ok((write(&result, &args.out, args.force)?, result)));
    line.finish_and_clear();
    let (files, result) = done?;
    say(summary(&result));
    result.warnings.iter().for_each(|w| note(format!("note: {w}")));
    say(format!("{} files in {}, the page is report.html", files.len(), args.out.display()));
    say(format!("hash {}", result.hash));
    match &args.expect_hash {
        Some(expected) if *expected != result.hash => {
            Err(Error::Unexpected { what: format!("hash is {}, expected {expected}", result.hash) })
        }
        Some(_) | None => Ok(()),
    }
}

/// Run parameters are named here; all others are the strategy's.
pub(super) fn config(strategy: &str, pairs: &[(&str, &str)]) -> Result<RunConfig, Error> {
    let mut run = RunConfig::default();
    let mut rest = Vec::new();
    for &(name, value) in pairs {
        let number = || {
            let n: Result<f64, _> = value.parse();
            n.map_err(|_| Error::usage(format!("--set {name}={value}: {value:?} is no number")))
        };
        match name {
            "cash" => run.cash = number()?,
            "fraction" => run.fraction = Some(number()?),
            "slippage_bp" => run.slippage = Slippage::Bp(number()?),
            "fee_bp" => run.fees = Some(Fees { maker_bp: number()?, taker_bp: number()? }),
            "fill" => run.fill = fill(value)?,
            _ => rest.push((name, value)),
        }
    }
    run.strategy = StrategyConfig::parse(strategy, rest).map_err(|e| match e {
        lobstream_backtest::Error::UnknownParameter { .. } => {
            Error::usage(format!("{e}; the run itself has: cash, fraction, fee_bp, slippage_bp, fill"))
        }
        e => e.into(),
    })?;
    Ok(run)
}

fn fill(value: &str) -> Result<Fill, Error> {
    match value {
        "next_open" => Ok(Fill::NextOpen),
        "close" => Ok(Fill::Close),
        _ => Err(Error::usage(format!("--set fill={value}: write next_open or close"))),
    }
}

/// Reads the rows and runs the strategy over them.
pub(super) fn backtest(options: &BacktestOptions) -> Result<RunResult, Error> {
    let reader = Results::open_reader(&options.from)?;
    let filter = Filter { symbols: options.symbols.clone() };
    let rows = reader.factors(&filter)?.collect::<Result<Vec<_>, _>>()?;
    if rows.is_empty() {
        let of = if options.symbols.is_empty() {
            "no rows".to_owned()
        } else {
            format!("no rows of {}", options.symbols.join(", "))
        };
        let what = format!("{of} are stored in {}: make them with lobstream run", options.from);
        return Err(Error::Missing { what });
    }
    let stored = |symbol: &&String| rows.iter().any(|row| row.symbol == **symbol);
    if let Some(missing) = options.symbols.iter().find(|symbol| !stored(symbol)) {
        return Err(Error::Missing { what: format!("no row of {missing} is stored in {}", options.from) });
    }
    let data = Dataset::from_rows(rows, &DatasetOptions { step_ms: options.step_ms })?;
    Ok(lobstream_backtest::run(&data, &options.config)?)
}

/// Writes charts, page and lists.
pub(super) fn write(result: &RunResult, out: &Path, force: bool) -> Result<Vec<PathBuf>, Error> {
    Ok(report::write(result, out, &ReportOptions { force, ..ReportOptions::default() })?)
}

/// The measures as a table.
pub(super) fn summary(result: &RunResult) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["measure", "value", "convention"]);
    for metric in &result.metrics.list {
        table.add_row([metric.label, &report::metric_text(metric), &metric.convention]);
    }
    table
}
