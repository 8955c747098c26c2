//! The jobs of the daily chain, what each needs, and how each run of one is told: table `job_runs`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::calendar::Day;
use crate::factor::columns::{columns, text_field};

/// A step of the chain on one trading day, in the order in which they are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// The day's bars.
    UpdateOhlc,
    /// Bands.
    Bollinger,
    /// Active pool.
    ActivePool,
    /// Microstructure of the day.
    MicroDaily,
    /// Fund quality.
    FundQuality,
    /// Price levels.
    Levels,
    /// Tests of levels.
    LevelMicro,
    /// Returns to this day's close of the tests of the day before.
    BackfillFuture,
    /// Candidates of the next day.
    Candidates,
}

impl Job {
    /// All of them, each after those it needs.
    pub const ALL: [Job; 9] = [
        Job::UpdateOhlc,
        Job::Bollinger,
        Job::ActivePool,
        Job::MicroDaily,
        Job::FundQuality,
        Job::Levels,
        Job::LevelMicro,
        Job::BackfillFuture,
        Job::Candidates,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Job::UpdateOhlc => "update_ohlc",
            Job::Bollinger => "bollinger",
            Job::ActivePool => "active_pool",
            Job::MicroDaily => "micro_daily",
            Job::FundQuality => "fund_quality",
            Job::Levels => "levels",
            Job::LevelMicro => "level_micro",
            Job::BackfillFuture => "backfill_future",
            Job::Candidates => "candidates",
        }
    }

    /// Those of the same day whose results it reads.
    pub fn needs(self) -> &'static [Job] {
        match self {
            Job::UpdateOhlc => &[],
            Job::Bollinger | Job::BackfillFuture => &[Job::UpdateOhlc],
            Job::ActivePool => &[Job::Bollinger],
            Job::MicroDaily | Job::Levels => &[Job::ActivePool],
            Job::FundQuality => &[Job::MicroDaily],
            Job::LevelMicro => &[Job::Levels, Job::MicroDaily],
            Job::Candidates => &[Job::FundQuality, Job::Levels, Job::LevelMicro],
        }
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far a run of a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// Waits for another one.
    Pending,
    /// Begun, or left by a run that died.
    Running,
    /// Its rows are stored.
    Ok,
    /// It stopped, and so did those that need it.
    Failed,
    /// There is nothing it could be made from.
    Skipped,
}

impl JobStatus {
    /// All of them.
    pub const ALL: [JobStatus; 5] =
        [JobStatus::Pending, JobStatus::Running, JobStatus::Ok, JobStatus::Failed, JobStatus::Skipped];

    /// As written in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            JobStatus::Pending => "pending",
            JobStatus::Running => "running",
            JobStatus::Ok => "ok",
            JobStatus::Failed => "failed",
            JobStatus::Skipped => "skipped",
        }
    }
}

text_field!(Job, JobStatus);

columns! {
    /// One row of `job_runs`: the last run of a job on a day.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct JobRunRow {
        /// Trading day.
        pub trade_date: Day,
        /// Job.
        pub job: Job,
        /// How far it is.
        pub status: JobStatus,
        /// Names the run; the rows it wrote carry it.
        pub run_id: String,
        /// Of everything it read.
        pub input_hash: String,
        /// Of the settings.
        pub config_hash: String,
        /// Of the rows it wrote; empty before it has.
        pub output_hash: String,
        /// Rows it wrote.
        pub rows: u64,
        /// What was odd, one a line.
        pub warnings: String,
        /// When it began, ns since 1970.
        pub started_ns: i64,
        /// When it ended, ns since 1970; 0 before it has.
        pub ended_ns: i64,
        /// Why it failed.
        pub error: String,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_comes_after_those_it_needs() {
        for (i, job) in Job::ALL.into_iter().enumerate() {
            for needed in job.needs() {
                assert!(Job::ALL[..i].contains(needed), "{job} needs {needed}");
            }
        }
    }
}
