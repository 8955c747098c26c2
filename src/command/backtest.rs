//! `lobstream backtest`: a rule over stored rows, and a report of what it was worth.

mod account;
mod daily;
mod period;
mod signals;
mod tally;
mod unheard;

use std::path::{Path, PathBuf};

use comfy_table::Table;
use comfy_table::presets::{NOTHING, UTF8_FULL_CONDENSED};
use lobstream_backtest::lookahead::{self, Violation};
use lobstream_backtest::metrics::{Benchmark, Conventions};
use lobstream_backtest::model::fee::Fees;
use lobstream_backtest::model::slippage::Slippage;
use lobstream_backtest::{
    Dataset, DatasetOptions, Fill, ReportOptions, RunConfig, RunResult, Series, StrategyConfig, report,
};

use self::daily::DailyRun;
use self::period::Days;
use self::unheard::On;
use super::progress::spinner;
use super::{note, say};
use crate::cli;
use crate::config::flags;
use crate::config::run_file::{RunFile, TABLES};
use crate::config::sheet::Sheet;
use crate::error::Error;
use crate::feed::bars::{self, Of};
use crate::parquet;
use crate::sink::Filter;
use crate::sink::results::Results;

/// What is traded on what, resolved.
pub(super) struct BacktestOptions {
    /// Where its bars come from.
    pub(super) source: Source,
    /// Of these symbols; empty: of all.
    pub(super) symbols: Vec<String>,
    pub(super) config: RunConfig,
}

/// Where bars come from.
pub(super) enum Source {
    /// Stored rows at an address, made into bars of so many ms.
    Rows { from: String, step_ms: i64 },
    /// Files of bars; the step is told by their times unless it is given.
    Bars { files: Vec<PathBuf>, step_ms: Option<i64>, market: cli::Market },
}

impl Source {
    /// Flags win over a file; rows win over bars.
    pub(super) fn of(
        flags: (Option<&String>, &[PathBuf]),
        file: Option<&RunFile>,
        step: Option<&String>,
    ) -> Result<Source, Error> {
        let (from, bars) = match (flags, file) {
            ((None, []), Some(file)) => (file.from.as_ref(), &file.bars[..]),
            (flags, _) => flags,
        };
        let step = step.or_else(|| file?.step.as_ref());
        let step_ms = step.map(|text| flags::bar_ms("--bar", text)).transpose()?;
        match (from, bars) {
            (Some(from), []) => Ok(Source::Rows { from: from.clone(), step_ms: step_ms.unwrap_or(1_000) }),
            (None, [_, ..]) => {
                Ok(Source::Bars { files: bars.to_vec(), step_ms, market: cli::Market::Crypto })
            }
            (None, []) => {
                let what = "where are the data? Name --from URI or --bars FILE, or results or bars in [data]";
                Err(Error::usage(what))
            }
            (Some(_), [_, ..]) => Err(Error::usage("[data] names both results and bars: keep one")),
        }
    }
}

pub(super) fn execute(args: &cli::Backtest) -> Result<(), Error> {
    match args.action {
        Some(cli::BacktestAction::List) => {
            list();
            Ok(())
        }
        None => trade(args),
    }
}

fn trade(args: &cli::Backtest) -> Result<(), Error> {
    let base = RunConfig { benchmark: Benchmark::Hold, ..RunConfig::default() };
    let sheet = args.config.as_deref().map(Sheet::load).transpose()?;
    let file = sheet.as_ref().map(|sheet| run_file(sheet, base.clone())).transpose()?;
    let base = file.as_ref().map_or(base, |file| file.config.clone());
    file.iter().flat_map(|file| &file.notes).for_each(|n| note(format!("note: {n}")));
    let symbols = match (&args.symbols[..], &file) {
        ([], Some(file)) => &file.symbols,
        _ => &args.symbols,
    };
    let symbols = flags::symbols("--symbols", symbols)?;
    let symbols: Vec<String> = symbols.iter().map(|s| s.as_str().to_owned()).collect();
    report::check_folder(&args.out, args.force)?;
    let report = report_options(args.palette, args.force);
    let line = spinner("backtest");
    let loaded = match &args.daily {
        Some(dir) => {
            DailyRun::load(args, dir, file.as_ref(), base, symbols).map(|run| Loaded::Daily(Box::new(run)))
        }
        None => Loaded::bars(args, file.as_ref(), base, &symbols),
    };
    let done = loaded.and_then(|loaded| {
        let result = loaded.run()?;
        let mut files = report::write(&result, &args.out, &report)?;
        if let Some(cli::ExportFormat::Vectorbt) = args.export {
            files = report::export_vectorbt(&result, &args.out)?;
        }
        let leaks = args.check_lookahead.then(|| loaded.check_lookahead()).transpose()?;
        Ok((files, result, leaks))
    });
    line.finish_and_clear();
    let (files, result, leaks) = done?;
    if args.json {
        say(report::summary(&result).trim_end());
    } else {
        say(summary(&result));
        tally::of(&result).into_iter().for_each(say);
        say(format!("{} files in {}, the page is report.html", files.len(), args.out.display()));
        say(format!("hash {}", result.hash));
    }
    result.warnings.iter().for_each(|w| note(format!("note: {w}")));
    leaks.map_or(Ok(()), |leaks| no_leak(&leaks))?;
    match &args.expect_hash {
        Some(expected) if *expected != result.hash => {
            Err(Error::Unexpected { what: format!("hash is {}, expected {expected}", result.hash) })
        }
        Some(_) | None => Ok(()),
    }
}

/// A run that is ready: its data and its settings.
enum Loaded {
    Bars(Dataset, Box<RunConfig>),
    Daily(Box<DailyRun>),
}

impl Loaded {
    fn bars(
        args: &cli::Backtest,
        file: Option<&RunFile>,
        base: RunConfig,
        symbols: &[String],
    ) -> Result<Loaded, Error> {
        let pairs = flags::pairs("--set", &args.set)?;
        let ashare = match args.market {
            Some(market) => market == cli::Market::Ashare,
            None => file.and_then(|file| file.ashare).unwrap_or(false),
        };
        unheard::refuse(if ashare { On::AshareBars } else { On::Plain }, file, &pairs)?;
        let (account, pairs) = if ashare { account::split(&pairs) } else { (Vec::new(), pairs) };
        let mut config = config_on(base, args.strategy.as_deref(), &pairs)?;
        let flags = [("--signals", args.signals.is_some()), ("--venue", args.venue.is_some())];
        let given = flags.iter().find(|(_, given)| *given);
        if let Some((flag, _)) = given.filter(|_| !matches!(config.strategy, StrategyConfig::Signals(_))) {
            return Err(Error::usage(format!("{flag} is for the strategy signals")));
        }
        let mut source = Source::of((args.from.as_ref(), &args.bars), file, args.bar.as_ref())?;
        if let Source::Bars { market, .. } = &mut source {
            *market = if ashare { cli::Market::Ashare } else { cli::Market::Crypto };
        } else if ashare {
            return Err(Error::usage(
                "--market ashare is for --bars; rows of A shares are traded with --daily",
            ));
        }
        if ashare {
            account::on_bars(&mut config, args, file, &account)?;
        } else {
            config.conventions = account::conventions(Conventions::default(), &config, file);
        }
        let days = Days::of(args, file)?;
        let (data, from_ms) = days.cut(dataset(&source, symbols)?, config.conventions.utc_offset_ms)?;
        config.from_ms = from_ms;
        // On A shares the flag names rules of the market.
        let signal_rules = args.rules.as_deref().filter(|_| !ashare);
        if signal_rules.is_some() && !matches!(config.strategy, StrategyConfig::Signals(_)) {
            return Err(Error::usage(
                "--rules is for the strategy signals, for --daily and for --market ashare",
            ));
        }
        let from = args.signals.as_ref().or(match &source {
            Source::Rows { from, .. } => Some(from),
            Source::Bars { .. } => None,
        });
        let venue = args.venue.as_deref();
        Ok(Loaded::Bars(signals::with_signals(data, from, venue, signal_rules, &config)?, Box::new(config)))
    }

    fn run(&self) -> Result<RunResult, Error> {
        Ok(match self {
            Loaded::Bars(data, config) => lobstream_backtest::run(data, config)?,
            Loaded::Daily(run) => lobstream_backtest::run_daily(&run.data, &run.rules, &run.config)?,
        })
    }

    /// Decisions that knew the future.
    fn check_lookahead(&self) -> Result<Vec<Violation>, Error> {
        Ok(match self {
            Loaded::Bars(data, config) => lookahead::check(data, config)?,
            Loaded::Daily(run) => lookahead::check_daily(&run.data, &run.rules, &run.config)?,
        })
    }
}

/// Says that nothing looked ahead, or what did.
fn no_leak(leaks: &[Violation]) -> Result<(), Error> {
    leaks.iter().for_each(|leak| note(format!("look-ahead: {leak}")));
    match leaks.first() {
        None => {
            note(
                "no decision looked ahead: truncated data, another future, availability and labels were checked",
            );
            Ok(())
        }
        Some(first) => {
            let what = format!("{} of the checks found look-ahead; the first: {first}", leaks.len());
            Err(Error::Different { what })
        }
    }
}

fn run_file(sheet: &Sheet, base: RunConfig) -> Result<RunFile, Error> {
    sheet.root().known(&TABLES)?;
    RunFile::read(sheet, base)
}

/// How reports of a command are written.
pub(super) fn report_options(palette: cli::Palette, force: bool) -> ReportOptions {
    let palette = match palette {
        cli::Palette::Intl => report::Palette::Intl,
        cli::Palette::Cn => report::Palette::Cn,
    };
    ReportOptions { force, palette, parquet: Some(parquet::write_frame), ..ReportOptions::default() }
}

/// Strategies with their parameters, defaults and meanings.
fn list() {
    for name in StrategyConfig::NAMES {
        say(name);
        let strategy = StrategyConfig::parse(name, []).expect("defaults are in range");
        let mut table = Table::new();
        table.load_style(NOTHING);
        for (param, value, doc) in strategy.params() {
            table.add_row([format!("  {param}"), value, doc.to_owned()]);
        }
        if table.row_count() > 0 {
            say(table);
        }
    }
}

/// Run parameters are named here; all others are the strategy's.
pub(super) fn config(strategy: &str, pairs: &[(&str, &str)]) -> Result<RunConfig, Error> {
    let base = RunConfig { benchmark: Benchmark::Hold, ..RunConfig::default() };
    config_on(base, Some(strategy), pairs)
}

/// The same on what a file says: its parameters stay unless another strategy is named.
fn config_on(base: RunConfig, strategy: Option<&str>, pairs: &[(&str, &str)]) -> Result<RunConfig, Error> {
    let mut run = base;
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
    let said = run.strategy.params();
    let kept = said.iter().filter(|_| strategy.is_none_or(|name| name == run.strategy.name()));
    let kept = kept.map(|(name, value, _)| (*name, value.as_str()));
    let name = strategy.unwrap_or(run.strategy.name());
    run.strategy = StrategyConfig::parse(name, kept.chain(rest)).map_err(|e| match e {
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

/// Reads the data and runs the strategy over them.
pub(super) fn backtest(options: &BacktestOptions) -> Result<RunResult, Error> {
    let data = dataset(&options.source, &options.symbols)?;
    Ok(lobstream_backtest::run(&data, &options.config)?)
}

/// The bars of some symbols, or of all.
pub(super) fn dataset(source: &Source, symbols: &[String]) -> Result<Dataset, Error> {
    match source {
        Source::Rows { from, step_ms } => from_rows(from, *step_ms, symbols),
        Source::Bars { files, step_ms, market } => {
            let of = match market {
                cli::Market::Crypto => Of::Anything,
                cli::Market::Ashare => Of::Shares,
            };
            let code = |text: &String| of.symbol(text).map_err(|e| Error::usage(format!("--symbols: {e}")));
            let symbols = symbols.iter().map(code).collect::<Result<Vec<_>, _>>()?;
            let data = bars::dataset(files, *step_ms, of)?;
            let series = data.series().iter().filter(|s| symbols.is_empty() || symbols.contains(&s.symbol));
            let series: Vec<Series> = series.map(|series| Series::clone(series)).collect();
            if series.is_empty() {
                return Err(Error::Missing { what: "the files hold no bar of these symbols".to_owned() });
            }
            Ok(Dataset::from_series(series)?)
        }
    }
}

fn from_rows(from: &str, step_ms: i64, symbols: &[String]) -> Result<Dataset, Error> {
    let reader = Results::open_reader(from)?;
    let filter = Filter { symbols: symbols.to_vec() };
    let rows = reader.factors(&filter)?.collect::<Result<Vec<_>, _>>()?;
    if rows.is_empty() {
        let of = if symbols.is_empty() {
            "no rows".to_owned()
        } else {
            format!("no rows of {}", symbols.join(", "))
        };
        let what = format!("{of} are stored in {from}: make them with lobstream run");
        return Err(Error::Missing { what });
    }
    let stored = |symbol: &&String| rows.iter().any(|row| row.symbol == **symbol);
    if let Some(missing) = symbols.iter().find(|symbol| !stored(symbol)) {
        return Err(Error::Missing { what: format!("no row of {missing} is stored in {from}") });
    }
    Ok(Dataset::from_rows(rows, &DatasetOptions { step_ms })?)
}

/// Writes charts, page and lists.
pub(super) fn write(result: &RunResult, out: &Path, force: bool) -> Result<Vec<PathBuf>, Error> {
    Ok(report::write(result, out, &report_options(cli::Palette::Intl, force))?)
}

/// The measures as a table.
pub(super) fn summary(result: &RunResult) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["measure", "value", "convention"]);
    for metric in &result.metrics.list {
        table.add_row([
            metric.label,
            &report::metric_text(metric, &result.config.conventions),
            &metric.convention,
        ]);
    }
    table
}
