//! `lobstream daily run`: the chain over one day or several.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lobstream_market::calendar::Day;
use lobstream_market::daily::job::Job;

use super::{stock, trading_day, trading_days};
use crate::cli::daily::{DailyHow, DailyRun};
use crate::clock::Clock;
use crate::command::progress::{Unit, bar};
use crate::command::{interrupted, note, say};
use crate::config;
use crate::daily::chain::{Chain, ChainOptions, Outcome, Step};
use crate::daily::explain::explain;
use crate::daily::history::History;
use crate::daily::publish::MongoTables;
use crate::daily::settings::DailySettings;
use crate::daily::store::Store;
use crate::daily::trades::Trades;
use crate::error::Error;

/// Trading days before the first one that `--warmup` adds.
const WARMUP_DAYS: usize = 60;

pub(super) fn execute(args: &DailyRun) -> Result<(), Error> {
    let settings = settings(&args.how)?;
    let only = args.only.iter().map(|name| job(name)).collect::<Result<Vec<_>, _>>()?;
    let explained = args.explain.as_deref().filter(|c| !c.is_empty()).map(stock).transpose()?;
    Store::open_to_read(&args.place.dir)?;
    let store = Store::open_to_write(&args.place.dir)?;
    let mut days = match (&args.date, &args.from, &args.to) {
        (Some(date), ..) => vec![trading_day(&store, "--date", date)?],
        (None, Some(from), Some(to)) => trading_days(&store, from, to)?.1,
        (None, ..) => return Err(Error::usage("name a day with --date, or several with --from and --to")),
    };
    if args.warmup {
        let (calendar, _) = crate::daily::history::calendar(&store)?;
        let mut warm = calendar.last(days[0], WARMUP_DAYS + 1).to_vec();
        warm.pop();
        warm.append(&mut days);
        days = warm;
    }
    let options = ChainOptions {
        only,
        rebuild: args.rebuild,
        dry_run: args.dry_run,
        ..options(&args.how, interrupted()?)?
    };
    let last = days[days.len() - 1];
    let history = History::load(&store, days[0], last, &settings)?;
    let mut chain = Chain::new(&store, &history, &settings, &options);
    let done = run_days(&mut chain, &days, &options.stop, if args.json { Told::Json } else { Told::Summary });
    if args.explain.is_some() && done.is_ok() {
        for of in explain(&mut chain, last, explained)? {
            say(line(last, &of));
        }
    }
    done
}

/// Settings of the flags and the file they name.
pub(super) fn settings(how: &DailyHow) -> Result<DailySettings, Error> {
    let settings = config::daily::load(how.config.as_deref())?;
    Ok(DailySettings { universe_all: how.universe == "all", ..settings })
}

/// How a run goes about it: everything, once.
pub(super) fn options(how: &DailyHow, stop: Arc<AtomicBool>) -> Result<ChainOptions, Error> {
    Ok(ChainOptions {
        only: Vec::new(),
        rebuild: false,
        allow_missing: how.allow_missing,
        dry_run: false,
        trades: Trades::new(how.ticks.clone()),
        mongo: how.results.as_deref().map(MongoTables::connect).transpose()?,
        stop,
        clock: Clock::start(),
    })
}

/// How a run is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// A few lines at its end.
    Summary,
    /// One object per job.
    Json,
}

/// Runs the days in order.
///
/// # Errors
/// Some jobs failed (exit code 5), or whatever stopped the run.
pub(super) fn run_days(
    chain: &mut Chain<'_>,
    days: &[Day],
    stop: &AtomicBool,
    told: Told,
) -> Result<(), Error> {
    let bar = bar("daily", (days.len() * Job::ALL.len()) as u64, Unit::Count);
    let mut tally = Tally::default();
    for day in days {
        bar.set_message(day.to_string());
        let steps = chain.day(*day, |step| {
            bar.inc(1);
            if told == Told::Json {
                bar.suspend(|| say(json(step)));
            }
        });
        match steps {
            Ok(steps) => steps.iter().for_each(|s| tally.add(s)),
            Err(e) => {
                bar.finish_and_clear();
                // What was done before stays done; why it ended is the first error.
                if let Err(second) = chain.flush() {
                    note(format!("and what was done before could not be stored: {second}"));
                }
                return Err(e);
            }
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    chain.flush()?;
    bar.finish_and_clear();
    if told == Told::Summary {
        tally.lines().iter().for_each(say);
    }
    tally.notes().iter().for_each(note);
    if stop.load(Ordering::Relaxed) {
        return Err(Error::Interrupted);
    }
    match tally.failed.as_slice() {
        [] => Ok(()),
        failed => Err(Error::Partly { what: format!("some jobs failed: {}", failed.join("; ")) }),
    }
}

/// What became of all jobs of a run.
#[derive(Default)]
struct Tally {
    days: BTreeSet<Day>,
    done: BTreeMap<Job, (u64, u64)>,
    unchanged: u64,
    planned: u64,
    no_input: BTreeMap<Job, u64>,
    failed: Vec<String>,
    warnings: BTreeMap<String, u64>,
}

impl Tally {
    fn add(&mut self, step: &Step) {
        self.days.insert(step.day);
        match &step.outcome {
            Outcome::Done(rows) => {
                let (days, all) = self.done.entry(step.job).or_default();
                *days += 1;
                *all += rows;
            }
            Outcome::Unchanged => self.unchanged += 1,
            Outcome::Planned => self.planned += 1,
            Outcome::NoInput(_) => *self.no_input.entry(step.job).or_default() += 1,
            Outcome::Failed(why) => self.failed.push(format!("{} of {}: {why}", step.job, step.day)),
            Outcome::Waits(on) => self.failed.push(format!("{} of {} waits for {on}", step.job, step.day)),
        }
        for warning in &step.warnings {
            *self.warnings.entry(format!("{}: {warning}", step.job)).or_default() += 1;
        }
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{} trading days", self.days.len())];
        for (job, (days, rows)) in &self.done {
            lines.push(format!("{job:>16}  {days} done, {rows} rows"));
        }
        for (job, days) in &self.no_input {
            lines.push(format!("{:>16}  {days} without input", job.as_str()));
        }
        if self.unchanged > 0 {
            lines.push(format!("{} jobs had been done before", self.unchanged));
        }
        if self.planned > 0 {
            lines.push(format!("{} jobs would be done", self.planned));
        }
        lines
    }

    fn notes(&self) -> Vec<String> {
        let times = |n: u64| if n == 1 { String::new() } else { format!(" ({n} days)") };
        self.warnings.iter().map(|(text, n)| format!("note: {text}{}", times(*n))).collect()
    }
}

fn json(step: &Step) -> String {
    let (status, rows, reason) = match &step.outcome {
        Outcome::Done(rows) => ("ok", Some(*rows), None),
        Outcome::Unchanged => ("unchanged", None, None),
        Outcome::Planned => ("planned", None, None),
        Outcome::NoInput(why) => ("skipped", None, Some(why.clone())),
        Outcome::Failed(why) => ("failed", None, Some(why.clone())),
        Outcome::Waits(on) => ("pending", None, Some(format!("waits for {on}"))),
    };
    serde_json::json!({
        "trade_date": step.day, "job": step.job, "status": status, "rows": rows, "reason": reason,
        "warnings": step.warnings,
    })
    .to_string()
}

fn line(day: Day, of: &crate::daily::explain::Explained) -> String {
    let pool = match &of.pool {
        Ok(row) => format!(
            "in the pool: vpos {:.2}, ppos {:.2}, amount {:.0}",
            row.max_vpos, row.max_ppos, row.avg_amount
        ),
        Err(why) => format!("not in the pool: {why}"),
    };
    let candidate = match &of.candidate {
        Some(Ok(rank)) => format!("; candidate, rank {rank}"),
        Some(Err(why)) => format!("; no candidate: {why}"),
        None => String::new(),
    };
    format!(
        "{day} {} {}{pool}{candidate}",
        of.code,
        if of.name.is_empty() { String::new() } else { format!("{} ", of.name) }
    )
}

fn job(name: &str) -> Result<Job, Error> {
    let known = || Job::ALL.map(Job::as_str).join(", ");
    Job::ALL
        .into_iter()
        .find(|j| j.as_str() == name)
        .ok_or_else(|| Error::usage(format!("--only {name:?} is no job: write {}", known())))
}
