//! Everything that stops a backtest, and the exit code it means.

use std::path::PathBuf;

/// Why a backtest did not run to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A strategy that does not exist.
    #[error("strategy {name:?} is not known; known: {known}")]
    UnknownStrategy {
        /// As given.
        name: String,
        /// Those that are.
        known: String,
    },
    /// A parameter that the strategy does not have.
    #[error("{strategy} has no parameter {name:?}; it has: {known}")]
    UnknownParameter {
        /// The strategy.
        strategy: &'static str,
        /// As given.
        name: String,
        /// Those that it has.
        known: String,
    },
    /// A parameter outside its range, or not of its kind.
    #[error("parameter {name} = {value}: expected {expected}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// As given.
        value: String,
        /// What would be right.
        expected: String,
    },
    /// A strategy on data of another kind.
    #[error("{strategy} needs {needs}")]
    WrongData {
        /// The strategy.
        strategy: &'static str,
        /// What it runs on.
        needs: &'static str,
    },
    /// A parameter of a sweep that cannot be followed.
    #[error("sweep over {name}: expected {expected}")]
    SweepAxis {
        /// Which.
        name: String,
        /// What would be right.
        expected: String,
    },
    /// Shorts asked for where nothing can be borrowed.
    #[error("{venue} is a spot venue: set short = false, or run on futures rows")]
    ShortOnSpot {
        /// The venue.
        venue: String,
    },
    /// A line of a rules file that is no rule.
    #[error("rules file, line {line}: {what}")]
    RulesFile {
        /// Counted from 1; 0 if something is missing altogether.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A day that no rule is known for.
    #[error(
        "rules_not_covered: no {item} rule on {date}; the first one holds from {}: begin later, give a table with \
         --rules, or set extrapolate = true",
        first.as_deref().unwrap_or("no day")
    )]
    RulesNotCovered {
        /// Which rule.
        item: &'static str,
        /// On which day.
        date: String,
        /// Day of its first row.
        first: Option<String>,
    },
    /// Nothing to run on.
    #[error("no factor rows: run `lobstream run` first, or widen the period")]
    NoRows,
    /// A bar or row that cannot be used.
    #[error("{symbol}, row {row}: {what}")]
    BadData {
        /// Whose.
        symbol: String,
        /// Counted from 0, in time order.
        row: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// A short lost more than what stood behind it.
    #[error(
        "{symbol}: the short position lost more than its collateral at {ts_ms} ms; lower `fraction` or set a stop loss"
    )]
    ShortRuined {
        /// Whose.
        symbol: String,
        /// Bar close, ms.
        ts_ms: i64,
    },
    /// The books do not balance: a bug.
    #[error("accounting is broken, please report it: {what}")]
    Invariant {
        /// Both sides of the sum.
        what: String,
    },
    /// A folder that holds something else.
    #[error(
        "{} is not empty and holds no earlier report: name another --out, or add --force to write into it",
        path.display()
    )]
    Occupied {
        /// Which.
        path: PathBuf,
    },
    /// A file that could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A chart or page that could not be made.
    #[error("cannot draw {what}: {reason}")]
    Render {
        /// Which.
        what: String,
        /// Why.
        reason: String,
    },
}

impl Error {
    /// The exit code of the command that meets it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::UnknownStrategy { .. }
            | Error::UnknownParameter { .. }
            | Error::Parameter { .. }
            | Error::WrongData { .. }
            | Error::SweepAxis { .. }
            | Error::RulesFile { .. }
            | Error::ShortOnSpot { .. } => 2,
            Error::NoRows | Error::BadData { .. } | Error::RulesNotCovered { .. } => 4,
            Error::Occupied { .. } => 6,
            Error::Invariant { .. } => 7,
            Error::ShortRuined { .. } | Error::Io { .. } | Error::Render { .. } => 1,
        }
    }
}
