//! Making days: flags become a job, the job is run day by day, the result is said.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use indicatif::ProgressBar;
use lobstream_market::ashare::{Exchange, StockCode};
use serde_json::json;

use super::documents::Documents;
use crate::cli::ImagesBatch;
use crate::clock::Clock;
use crate::command::progress::{Unit, bar, spinner};
use crate::command::{interrupted, note, say};
use crate::config::dates::Date;
use crate::config::{flags, images};
use crate::error::{Error, InputKind};
use crate::images::{Files, Finished, Job, Mode, Outcome, PrevCloses, Selection, Watch, run_day};

/// Most days of one call.
const DAYS_MAX: usize = 4000;

pub(super) fn execute(args: &ImagesBatch) -> Result<(), Error> {
    let settings = images::load(args.config.as_deref())?;
    let selection = selection(args)?;
    let mem_bytes = flags::bytes("--mem", &args.mem)?;
    let prev_closes = args.bars.as_deref().map(PrevCloses::read).transpose()?.unwrap_or_default();
    let days = days(args)?;
    let documents = args.results.as_deref().map(Documents::open).transpose()?;
    let stop = interrupted()?;
    let (mut n_days, mut n_failed) = (0, 0);
    for day in &days {
        let date = day.to_string();
        let Some(files) = find(args, *day, &selection)? else { continue };
        n_days += 1;
        let job = Job {
            date: &date,
            out: &args.out,
            settings: &settings,
            selection: &selection,
            threads: args.threads.unwrap_or(0) as usize,
            mem_bytes,
            prev_closes: &prev_closes,
            mode: match (args.overwrite, args.no_resume) {
                (true, _) => Mode::Overwrite,
                (false, true) => Mode::Restart,
                (false, false) => Mode::Resume,
            },
            keep_counts: args.keep_counts || documents.is_some(),
        };
        n_failed += make(args, &job, &files, &stop)?;
        if let Some(documents) = &documents {
            let n = documents.keep(&args.out, &date)?;
            note(format!("{date}: {n} documents kept at {}", documents.name()));
        }
    }
    if n_days == 0 {
        let inputs: Vec<String> = args.input.iter().map(|input| input.display().to_string()).collect();
        let what = format!("{}: no tables of orders or trades of any of these days", inputs.join(", "));
        return Err(Error::Missing { what });
    }
    match n_failed {
        0 => Ok(()),
        n => Err(Error::Partly {
            what: format!("{n} stocks failed: see their rows in {}", args.out.join("reports").display()),
        }),
    }
}

/// The files of a day; `None` if it is one of several and has none.
fn find(args: &ImagesBatch, day: Date, selection: &Selection) -> Result<Option<Files>, Error> {
    match Files::find(day.number(), &args.input, selection.exchange) {
        Err(Error::Input(e))
            if e.kind == InputKind::Missing
                && args.date.is_none()
                && args.input.iter().all(|input| input.exists()) =>
        {
            Ok(None)
        }
        found => found.map(Some),
    }
}

/// Makes one day; how many stocks failed.
fn make(args: &ImagesBatch, job: &Job<'_>, files: &Files, stop: &AtomicBool) -> Result<u64, Error> {
    let clock = Clock::start();
    let line = Line::new(job.date, args.no_progress || args.json, args.json);
    let done = run_day(job, files, &clock, stop, &line);
    line.clear();
    let outcome = done?;
    for (file, why) in &files.skipped {
        note(format!("{}: {file} is left out: {why}", job.date));
    }
    for (file, counts) in &outcome.rejected {
        let counts: Vec<String> = counts.iter().map(|(why, n)| format!("{why} {n}")).collect();
        note(format!("{}: rows of {file} were dropped: {}", job.date, counts.join(", ")));
    }
    missing_symbols(job, &outcome);
    let seconds = clock.mono().0.as_secs_f64();
    if args.json {
        say(json!({
            "date": job.date, "was_there": outcome.was_there, "resumed": outcome.resumed, "totals": outcome.totals,
            "day_hash": outcome.day_hash, "seconds": seconds,
        }));
    } else {
        said(job, &outcome, seconds);
    }
    Ok(outcome.totals.error)
}

fn said(job: &Job<'_>, outcome: &Outcome, seconds: f64) {
    let totals = &outcome.totals;
    let place = job.out.join(format!("{}.lmdb", job.date));
    if outcome.was_there {
        say(format!("{}: {} images are there already, in {}", job.date, totals.ok, place.display()));
    } else {
        let rate = totals.rows as f64 / seconds.max(1e-9);
        let left = [(totals.empty, "empty"), (totals.too_many_rows, "too large"), (totals.error, "failed")];
        let left: String =
            left.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!(", {n} {what}")).collect();
        let resumed = match outcome.resumed {
            0 => String::new(),
            n => format!(", {n} of them by an earlier run"),
        };
        say(format!(
            "{}: {} images{resumed}{left} of {} rows in {seconds:.1} s ({:.2} million rows/s), in {}",
            job.date,
            totals.ok,
            totals.rows,
            rate / 1e6,
            place.display()
        ));
    }
    let unusual = outcome.stocks.values().filter(|stock| !stock.warnings.is_empty()).count();
    if unusual > 0 {
        let report = job.out.join("reports").join(format!("{}.csv", job.date));
        say(format!("{unusual} stocks have something unusual: see {}", report.display()));
    }
    say(format!("day_hash {}", outcome.day_hash));
}

fn missing_symbols(job: &Job<'_>, outcome: &Outcome) {
    for code in job.selection.symbols.iter().filter(|code| !outcome.stocks.contains_key(&code.to_string())) {
        note(format!("{}: {code} is not in the input", job.date));
    }
}

fn selection(args: &ImagesBatch) -> Result<Selection, Error> {
    let exchange = match args.exchange.as_str() {
        "sh" => Some(Exchange::Sh),
        "sz" => Some(Exchange::Sz),
        _ => None,
    };
    Ok(Selection { exchange, symbols: codes(&args.symbols)? })
}

/// What --symbols names.
pub(super) fn codes(texts: &[String]) -> Result<BTreeSet<StockCode>, Error> {
    let code = |text: &String| text.trim().parse().map_err(|e| Error::usage(format!("--symbols: {e}")));
    texts.iter().map(code).collect()
}

fn days(args: &ImagesBatch) -> Result<Vec<Date>, Error> {
    let (from, to) = match (&args.date, &args.from, &args.to) {
        (Some(date), _, _) => {
            let date = Date::parse("--date", date)?;
            (date, date)
        }
        (None, Some(from), Some(to)) => (Date::parse("--from", from)?, Date::parse("--to", to)?),
        _ => return Err(Error::usage("images: write --date, or --from and --to")),
    };
    if to < from {
        return Err(Error::usage(format!("--to {to} lies before --from {from}")));
    }
    let days: Vec<Date> = std::iter::successors(Some(from), |day| Some(day.next()))
        .take_while(|day| *day <= to)
        .take(DAYS_MAX + 1)
        .collect();
    if days.len() > DAYS_MAX {
        return Err(Error::usage(format!("--from {from} --to {to}: at most {DAYS_MAX} days at once")));
    }
    Ok(days)
}

/// What a person sees while a day is made, and a line per stock for programs.
struct Line {
    bar: std::sync::Mutex<ProgressBar>,
    date: String,
    hidden: bool,
    json: bool,
    warnings: AtomicU64,
}

impl Line {
    fn new(date: &str, hidden: bool, json: bool) -> Line {
        let bar = if hidden { ProgressBar::hidden() } else { spinner(date) };
        Line { bar: bar.into(), date: date.to_owned(), hidden, json, warnings: AtomicU64::new(0) }
    }

    fn bar(&self) -> std::sync::MutexGuard<'_, ProgressBar> {
        self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn clear(&self) {
        self.bar().finish_and_clear();
    }
}

impl Watch for Line {
    fn rows(&self, n: u64) {
        let bar = self.bar();
        let seconds = bar.elapsed().max(Duration::from_millis(1)).as_secs_f64();
        bar.set_message(format!(
            "{:.1} million rows read, {:.1} a second",
            n as f64 / 1e6,
            n as f64 / 1e6 / seconds
        ));
    }

    fn stocks(&self, all: u64, done: u64) {
        if self.hidden {
            return;
        }
        let mut line = self.bar();
        line.finish_and_clear();
        *line = bar(&self.date, all, Unit::Count).with_elapsed(Duration::ZERO);
        line.set_position(done);
    }

    fn stock(&self, finished: &Finished) {
        if self.json {
            let mut object = serde_json::to_value(&finished.stock).unwrap_or_default();
            if let Some(fields) = object.as_object_mut() {
                fields.insert("date".to_owned(), self.date.clone().into());
                fields.insert("code".to_owned(), finished.code.to_string().into());
            }
            say(object);
        }
        let unusual = u64::from(!finished.stock.warnings.is_empty());
        let warnings = self.warnings.fetch_add(unusual, Ordering::Relaxed) + unusual;
        let bar = self.bar();
        bar.inc(1);
        if warnings > 0 {
            bar.set_message(format!("{warnings} unusual"));
        }
    }
}
