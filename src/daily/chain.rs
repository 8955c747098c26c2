//! The chain: job after job, day after day, each done once, each as a whole.
//!
//! ```text
//! input hash ─ equal to the last run's? ─▶ skip
//!     │ no
//!     ▼
//! running ─▶ compute ─▶ Parquet part ─▶ MongoDB ─▶ rows and `ok` in one transaction
//! ```
//! A run that is killed leaves `running` or nothing; the next one does that job again. Jobs on bars alone take less
//! than a commit: several of them are stored in one, and none shows as `running`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lobstream_market::calendar::Day;
use lobstream_market::daily::job::{Job, JobRunRow, JobStatus};
use lobstream_market::factor::columns::Cell;

use super::hash::{self, Hasher};
use super::history::History;
use super::jobs;
use super::publish::MongoTables;
use super::settings::DailySettings;
use super::store::{Batch, ByCode, Store};
use super::table::TableRow;
use super::trades::{DayPrints, DayTrades, Trades};
use crate::clock::Clock;
use crate::error::Error;

/// How a run goes about it.
pub struct ChainOptions {
    /// Only these jobs; all without any.
    pub only: Vec<Job>,
    /// Do again what is done.
    pub rebuild: bool,
    /// Go on although trades of more than a fifth of the universe are missing.
    pub allow_missing: bool,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
    /// Where trades are.
    pub trades: Trades,
    /// Where rows are published beside the store.
    pub mongo: Option<MongoTables>,
    /// Set when the run shall stop after the job at hand.
    pub stop: Arc<AtomicBool>,
    /// The clock of the run's own record; no row depends on it.
    pub clock: Clock,
}

/// What became of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done; so many rows.
    Done(u64),
    /// It had been done before.
    Unchanged,
    /// There is nothing to make it from.
    NoInput(String),
    /// A job that it needs failed.
    Waits(Job),
    /// It failed.
    Failed(String),
    /// It would be done.
    Planned,
}

/// A job of a day, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Trading day.
    pub day: Day,
    /// Job.
    pub job: Job,
    /// What became of it.
    pub outcome: Outcome,
    /// What was odd.
    pub warnings: Vec<String>,
}

/// What a job made.
pub(super) struct Made<T> {
    /// Sorted by key.
    pub(super) rows: Vec<T>,
    /// What was odd.
    pub(super) warnings: Vec<String>,
    /// Of a day's trade values, where the job keeps them.
    pub(super) values: Option<ByCode<Vec<u8>>>,
}

impl<T> Made<T> {
    /// Rows, and nothing odd.
    pub(super) fn rows(rows: Vec<T>) -> Made<T> {
        Made { rows, warnings: Vec::new(), values: None }
    }
}

/// Why a job made nothing.
pub(super) enum Stop {
    /// There is nothing it could be made from.
    NoInput(String),
    /// It failed; its siblings go on.
    Failed(String),
    /// The run cannot go on.
    Error(Error),
}

impl From<Error> for Stop {
    fn from(e: Error) -> Stop {
        Stop::Error(e)
    }
}

/// Bytes of results that may wait for their commit.
const WAITING_BYTES_MAX: usize = 8 << 20;

/// A run of the chain over one store.
pub struct Chain<'a> {
    pub(super) store: &'a Store,
    pub(super) history: &'a History,
    pub(super) settings: &'a DailySettings,
    options: &'a ChainOptions,
    run_id: String,
    config_hash: String,
    /// Last runs that were looked up or made.
    runs: BTreeMap<(Day, Job), Option<JobRunRow>>,
    /// Files and trades of the day at hand.
    files: Option<(Day, Option<DayTrades>)>,
    prints: Option<(Day, Arc<DayPrints>)>,
    /// What jobs on bars alone made since the last commit. Nobody reads the store before it is there.
    waiting: Batch,
    pub(super) tests: jobs::RecentTests,
}

impl<'a> Chain<'a> {
    /// A run that has not begun.
    pub fn new(
        store: &'a Store,
        history: &'a History,
        settings: &'a DailySettings,
        options: &'a ChainOptions,
    ) -> Chain<'a> {
        Chain {
            store,
            history,
            settings,
            options,
            run_id: format!("{:016x}", options.clock.wall_ns()),
            config_hash: settings.hash(),
            runs: BTreeMap::new(),
            files: None,
            prints: None,
            waiting: Batch::default(),
            tests: jobs::RecentTests::default(),
        }
    }

    /// Runs the jobs of a day. Ends early, without an error, when the run shall stop. What they made is in the store
    /// once [`Chain::flush`] was called.
    ///
    /// # Errors
    /// The store or a published place fails, input data cannot be read, a needed job was never run. A job that
    /// fails by itself is a step, not an error.
    pub fn day(&mut self, day: Day, mut told: impl FnMut(&Step)) -> Result<Vec<Step>, Error> {
        let mut steps = Vec::new();
        for job in Job::ALL {
            if !self.options.only.is_empty() && !self.options.only.contains(&job) {
                continue;
            }
            if self.options.stop.load(Ordering::Relaxed) {
                break;
            }
            let step = self.step(day, job)?;
            told(&step);
            steps.push(step);
        }
        Ok(steps)
    }

    /// Stores what waits to be stored.
    ///
    /// # Errors
    /// What the store says.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.store.apply(&self.waiting)?;
        self.waiting = Default::default();
        Ok(())
    }

    /// Stores the last run of a job, after all that waits.
    fn put_run(&mut self, run: &JobRunRow) -> Result<(), Error> {
        self.waiting.put_run(run);
        self.flush()
    }

    fn step(&mut self, day: Day, job: Job) -> Result<Step, Error> {
        let step = |outcome, warnings| Ok(Step { day, job, outcome, warnings });
        for needed in job.needs() {
            match self.last(day, *needed)?.as_ref().map(|run| run.status) {
                Some(JobStatus::Ok | JobStatus::Skipped) => {}
                Some(_) => return step(Outcome::Waits(*needed), Vec::new()),
                None if self.options.dry_run => {}
                None => {
                    let what = format!(
                        "{job} of {day} needs {needed}, which was never run: run it, or leave --only out"
                    );
                    return Err(Error::Missing { what });
                }
            }
        }
        let input_hash = self.input_hash(day, job)?;
        if let Some(run) = self.last(day, job)? {
            let same = run.input_hash == input_hash && run.config_hash == self.config_hash;
            let done = matches!(run.status, JobStatus::Ok | JobStatus::Skipped);
            if same && done && !self.options.rebuild && self.is_published(&run)? {
                return step(Outcome::Unchanged, Vec::new());
            }
        }
        if self.options.dry_run {
            return step(Outcome::Planned, Vec::new());
        }
        let reads_store = !is_of_bars_alone(job);
        if reads_store {
            self.flush()?;
        }
        let mut run = JobRunRow {
            trade_date: day,
            job,
            status: JobStatus::Running,
            run_id: self.run_id.clone(),
            input_hash,
            config_hash: self.config_hash.clone(),
            output_hash: String::new(),
            rows: 0,
            warnings: String::new(),
            started_ns: self.options.clock.wall_ns(),
            ended_ns: 0,
            error: String::new(),
        };
        if reads_store {
            self.put_run(&run)?;
        }
        match self.work(&mut run) {
            Ok(warnings) => step(Outcome::Done(run.rows), warnings),
            Err(Stop::NoInput(why)) => {
                self.end(&mut run, JobStatus::Skipped, "")?;
                step(Outcome::NoInput(why), Vec::new())
            }
            Err(Stop::Failed(why)) => {
                self.end(&mut run, JobStatus::Failed, &why)?;
                step(Outcome::Failed(why), Vec::new())
            }
            Err(Stop::Error(e)) => Err(e),
        }
    }

    /// Ends a job that wrote no rows.
    fn end(&mut self, run: &mut JobRunRow, status: JobStatus, error: &str) -> Result<(), Error> {
        run.status = status;
        error.clone_into(&mut run.error);
        run.ended_ns = self.options.clock.wall_ns();
        if let Some(mongo) = &self.options.mongo {
            mongo.put_run(run)?;
        }
        self.put_run(run)?;
        self.runs.insert((run.trade_date, run.job), Some(run.clone()));
        Ok(())
    }

    fn work(&mut self, run: &mut JobRunRow) -> Result<Vec<String>, Stop> {
        let day = run.trade_date;
        match run.job {
            Job::UpdateOhlc => self.finish(run, day, jobs::update_ohlc(self, day)),
            Job::Bollinger => self.finish(run, day, jobs::bollinger(self, day)),
            Job::ActivePool => self.finish(run, day, jobs::active_pool(self, day)),
            Job::MicroDaily => {
                let made = jobs::micro_daily(self, day, self.options.allow_missing)?;
                self.finish(run, day, made)
            }
            Job::FundQuality => {
                let made = jobs::fund_quality(self, day)?;
                self.finish(run, day, made)
            }
            Job::Levels => self.finish(run, day, jobs::levels(self, day)),
            Job::LevelMicro => {
                let made = jobs::level_micro(self, day)?;
                self.finish(run, day, made)
            }
            Job::BackfillFuture => {
                let Some(before) = self.history.calendar.before(day) else {
                    return Err(Stop::NoInput("no trading day before".to_owned()));
                };
                let made = jobs::backfill_future(self, before, day)?;
                self.finish(run, before, made)
            }
            Job::Candidates => {
                let made = jobs::candidates(self, day)?;
                self.finish(run, day, made)
            }
        }
    }

    /// Stores and publishes what a job made, with its rows belonging to `day`.
    fn finish<T: TableRow>(
        &mut self,
        run: &mut JobRunRow,
        day: Day,
        made: Made<T>,
    ) -> Result<Vec<String>, Stop> {
        finite(run.job, &made.rows)?;
        run.output_hash = output_hash(run.job, &made);
        run.rows = made.rows.len() as u64;
        run.warnings = made.warnings.join("\n");
        run.status = JobStatus::Ok;
        run.ended_ns = self.options.clock.wall_ns();
        super::publish::write_part(self.store.dir(), day, &made.rows)?;
        if let Some(mongo) = &self.options.mongo {
            // Tests that get their returns remain rows of the run that found them.
            let of_tests =
                if run.job == Job::BackfillFuture { self.store.run(day, Job::LevelMicro)? } else { None };
            let run_id = of_tests.map_or_else(|| run.run_id.clone(), |tests| tests.run_id);
            mongo.replace_day(day, &made.rows, &run_id, run.started_ns)?;
            mongo.put_run(run)?;
        }
        self.waiting.replace_day(day, &made.rows);
        if let Some(values) = &made.values {
            self.waiting.replace_values(day, values);
        }
        self.waiting.put_run(run);
        if !is_of_bars_alone(run.job) || self.waiting.bytes() > WAITING_BYTES_MAX {
            self.flush()?;
        }
        self.runs.insert((run.trade_date, run.job), Some(run.clone()));
        self.tests.forget(day);
        Ok(made.warnings)
    }

    fn is_published(&self, run: &JobRunRow) -> Result<bool, Error> {
        self.options.mongo.as_ref().map_or(Ok(true), |mongo| mongo.has(run))
    }

    /// The last run of a job.
    fn last(&mut self, day: Day, job: Job) -> Result<Option<JobRunRow>, Error> {
        if let Some(run) = self.runs.get(&(day, job)) {
            return Ok(run.clone());
        }
        let run = self.store.run(day, job)?;
        self.runs.insert((day, job), run.clone());
        Ok(run)
    }

    /// Output hash of a job; empty if it has none.
    fn output(&mut self, day: Day, job: Job) -> Result<String, Error> {
        Ok(self.last(day, job)?.map(|run| run.output_hash).unwrap_or_default())
    }

    /// Everything that the rows of a job depend on, apart from the settings.
    fn input_hash(&mut self, day: Day, job: Job) -> Result<String, Error> {
        let mut hasher = Hasher::default();
        hasher.add(self.history.digest(day));
        for needed in job.needs() {
            hasher.add(self.output(day, *needed)?);
        }
        let calendar = &self.history.calendar;
        let back =
            |n: usize| calendar.last(day, n + 1).iter().copied().filter(|d| *d < day).collect::<Vec<_>>();
        match job {
            Job::UpdateOhlc | Job::Bollinger | Job::ActivePool | Job::Levels => {}
            Job::MicroDaily => {
                hasher.add(self.fingerprint(day)?);
                self.add_outputs(&mut hasher, &back(jobs::VALUES_LOOKED_AT), Job::MicroDaily)?;
            }
            Job::FundQuality => {
                self.add_outputs(&mut hasher, &back(jobs::FLOWS_LOOKED_AT), Job::MicroDaily)?;
            }
            Job::LevelMicro => {
                hasher.add(self.fingerprint(day)?);
                self.add_outputs(&mut hasher, &back(jobs::LEVELS_LOOKED_AT), Job::Levels)?;
            }
            Job::BackfillFuture => {
                if let Some(before) = calendar.before(day) {
                    let run = self.last(before, Job::LevelMicro)?;
                    hasher.add(run.map(|r| r.run_id + &r.output_hash).unwrap_or_default());
                }
            }
            Job::Candidates => {
                let settings = self.settings.candidates;
                hasher.add(calendar.after(day).map(|d| d.to_string()).unwrap_or_default());
                self.add_outputs(&mut hasher, &back(settings.quality_days), Job::FundQuality)?;
                self.add_outputs(&mut hasher, &back(settings.history_days), Job::LevelMicro)?;
            }
        }
        Ok(hasher.finish())
    }

    fn add_outputs(&mut self, hasher: &mut Hasher, days: &[Day], job: Job) -> Result<(), Error> {
        for day in days {
            hasher.add(self.output(*day, job)?);
        }
        Ok(())
    }

    fn fingerprint(&mut self, day: Day) -> Result<String, Error> {
        Ok(self.files(day)?.map(|f| f.fingerprint.clone()).unwrap_or_default())
    }

    /// The files of a day's trades; `None` if there are none.
    fn files(&mut self, day: Day) -> Result<Option<&DayTrades>, Error> {
        if self.files.as_ref().is_none_or(|(of, _)| *of != day) {
            let found = if self.options.trades.are_known() { self.options.trades.of(day)? } else { None };
            self.files = Some((day, found));
        }
        Ok(self.files.as_ref().and_then(|(_, found)| found.as_ref()))
    }

    /// The trades of all stocks that have a bar on a day, read once.
    pub(super) fn prints(&mut self, day: Day) -> Result<Arc<DayPrints>, Stop> {
        if let Some((_, prints)) = self.prints.as_ref().filter(|(of, _)| *of == day) {
            return Ok(prints.clone());
        }
        self.prints = None;
        let stocks: BTreeSet<_> = self.history.on(day).map(|(code, _)| code).collect();
        let Some(files) = self.files(day)? else {
            return Err(Stop::NoInput("no file of trades".to_owned()));
        };
        let prints = Arc::new(files.read(&stocks)?);
        self.prints = Some((day, prints.clone()));
        Ok(prints)
    }
}

/// Does a job read bars and nothing that another one stored?
fn is_of_bars_alone(job: Job) -> bool {
    match job {
        Job::UpdateOhlc | Job::Bollinger | Job::ActivePool | Job::Levels => true,
        Job::MicroDaily | Job::FundQuality | Job::LevelMicro | Job::BackfillFuture | Job::Candidates => false,
    }
}

/// Every number of a table is one: anything else is a bug, and nothing of it is stored.
fn finite<T: TableRow>(job: Job, rows: &[T]) -> Result<(), Error> {
    for row in rows {
        let mut cells = T::FIELDS.iter().zip(row.fields());
        let wrong = cells.find(|(_, cell)| matches!(cell, Cell::Float(x) if !x.is_finite()));
        if let Some((column, cell)) = wrong {
            let what = format!("{job}: {} of {} is {cell:?}: please report it", column.name, row.id());
            return Err(Error::Invariant { what });
        }
    }
    Ok(())
}

fn output_hash<T: TableRow>(job: Job, made: &Made<T>) -> String {
    let mut hasher = Hasher::default();
    let encode = |row: &T| postcard::to_stdvec(row).expect("a row is plain data");
    for row in &made.rows {
        // What a later day adds is the result of that day's job alone.
        hasher.add(if job == Job::BackfillFuture { encode(row) } else { encode(&row.settled()) });
    }
    for (code, values) in made.values.iter().flatten() {
        hasher.add(hash::of([code.to_string().as_bytes(), values]));
    }
    hasher.finish()
}
