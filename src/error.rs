//! What can go wrong in the application, and which exit code it gives.

use std::path::{Path, PathBuf};

use lobstream_streams::error::{Error as EngineError, LogError, SendError, StoreError, TxnError};

/// One command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line, a config file or a rules file cannot be followed.
    #[error("{what}")]
    Usage {
        /// What is wrong and what to write instead.
        what: String,
    },
    /// What an earlier step should have made is not there.
    #[error("{what}")]
    Missing {
        /// What, and how to make it.
        what: String,
    },
    /// A folder holds something that is not ours to replace.
    #[error("{what}")]
    Exists {
        /// What, and what to do.
        what: String,
    },
    /// Two runs of one input are not the same.
    #[error("{what}")]
    Different {
        /// Where to look.
        what: String,
    },
    /// It cannot be told whether they are.
    #[error("{what}")]
    Unprovable {
        /// Why not, and what to do.
        what: String,
    },
    /// A number is not what it must be, whatever the input: a bug.
    #[error("{what}")]
    Invariant {
        /// Which, and where it was seen.
        what: String,
    },
    /// Some items failed; all others are done.
    #[error("{what}")]
    Partly {
        /// How many, and where to look.
        what: String,
    },
    /// The user stopped it before there was a result.
    #[error("interrupted before there was a result")]
    Interrupted,
    /// A result is not the one that was expected.
    #[error("{what}")]
    Unexpected {
        /// Both.
        what: String,
    },
    /// The processor stopped.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A backtest stopped.
    #[error(transparent)]
    Backtest(#[from] lobstream_backtest::Error),
    /// Input data cannot be used as it stands.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A file of ours cannot be written or read.
    #[error("{what} {path}: {reason}")]
    File {
        /// What was being done, as in "cannot write".
        what: &'static str,
        /// To which file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// A log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A record was not taken by the log.
    #[error(transparent)]
    Send(#[from] SendError),
    /// Records were not acknowledged by the log.
    #[error(transparent)]
    Txn(#[from] TxnError),
    /// The store on disk failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Stored rows cannot be read or written.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// A venue cannot be reached, or says no.
    #[error("{venue} at {url}: {reason}")]
    Venue {
        /// Its id.
        venue: String,
        /// The address asked.
        url: String,
        /// What happened, and what is done about it.
        reason: String,
    },
}

impl Error {
    /// A usage error.
    pub fn usage(what: impl Into<String>) -> Error {
        Error::Usage { what: what.into() }
    }

    /// A failure of the file system on a file of ours.
    pub fn file(what: &'static str, path: &Path, reason: impl ToString) -> Error {
        Error::File { what, path: path.to_owned(), reason: reason.to_string() }
    }

    /// The process exit code: 2 usage, 3 an earlier step is missing, 4 input data, 5 some items failed, 6 exists,
    /// 7 an invariant is broken, 8 a second run differs, 9 not as expected, 1 anything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage { .. } | Error::Log(LogError::Uri { .. }) => 2,
            Error::Missing { .. } => 3,
            Error::Exists { .. } => 6,
            Error::Partly { .. } => 5,
            Error::Invariant { .. } | Error::Engine(EngineError::StateDiverged { .. }) => 7,
            Error::Different { .. } => 8,
            Error::Unexpected { .. } => 9,
            Error::Backtest(e) => e.exit_code(),
            Error::Input(_) | Error::Unprovable { .. } | Error::Log(LogError::Hole { .. }) => 4,
            Error::Results(e) => e.exit_code(),
            Error::File { .. }
            | Error::Interrupted
            | Error::Engine(_)
            | Error::Log(_)
            | Error::Send(_)
            | Error::Txn(_)
            | Error::Store(_)
            | Error::Venue { .. } => 1,
        }
    }
}

/// A store of results failed. `uri` never holds a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResultsError {
    /// Nothing was ever stored there.
    #[error("nothing is stored at {uri}: make it with lobstream run --results {uri}")]
    Missing {
        /// Where it was looked for.
        uri: String,
    },
    /// What is stored is not what was written.
    #[error("{place} cannot be used: {reason}")]
    Corrupt {
        /// Store, file, row or record.
        place: String,
        /// What does not fit.
        reason: String,
    },
    /// Another version wrote it.
    #[error(
        "{uri} holds results of format {found}, this version knows {known}: use another place, or that version"
    )]
    Format {
        /// The store.
        uri: String,
        /// What it says.
        found: u32,
        /// What is understood.
        known: u32,
    },
    /// It continues another log.
    #[error(
        "{uri} holds what another log had at offset {offset} of {tp}: give each log its own results, or remove these"
    )]
    OtherLog {
        /// The store.
        uri: String,
        /// Topic and partition.
        tp: String,
        /// Offset of the record that differs.
        offset: u64,
    },
    /// The store did not do it.
    #[error("cannot {what} {uri}: {reason}")]
    Failed {
        /// As in "write to".
        what: &'static str,
        /// The store.
        uri: String,
        /// Its words, and what to do.
        reason: String,
    },
}

impl ResultsError {
    fn exit_code(&self) -> u8 {
        match self {
            ResultsError::Missing { .. } => 3,
            ResultsError::Corrupt { .. } => 4,
            ResultsError::Format { .. } | ResultsError::OtherLog { .. } => 6,
            ResultsError::Failed { .. } => 1,
        }
    }
}

/// Input data that cannot be used: which file, which line, what is wrong, what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {}: {what}", line.map(|n| format!(":{n}")).unwrap_or_default(), kind.as_str())]
pub struct InputError {
    /// Which rule it breaks.
    pub kind: InputKind,
    /// The file.
    pub file: String,
    /// The line, from 1; `None` if it is the file as a whole.
    pub line: Option<u64>,
    /// Field, text, and what to do.
    pub what: String,
}

/// The rule that input data break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InputKind {
    /// No such file.
    Missing,
    /// It cannot be read.
    Unreadable,
    /// Compressed data or a last line end too early.
    Truncated,
    /// No reader knows it.
    FormatUnknown,
    /// Known by name, and not read by this version, or never usable.
    FormatRefused,
    /// More than one reading fits.
    FormatAmbiguous,
    /// The first time stamp does not tell its unit.
    UnitAmbiguous,
    /// The first time stamp lies outside 1990–2100.
    UnitOutOfRange,
    /// A time column changes its unit.
    UnitMixed,
    /// Too many lines cannot be read.
    Malformed,
    /// A snapshot does not tell its symbol.
    SnapshotUnassigned,
    /// A price or quantity is finer than the step that was inferred.
    StepTooCoarse,
    /// Too many records without a time to merge by.
    NoTime,
    /// A table lacks a column it cannot do without.
    MissingColumn,
    /// Too many rows of a file had to be dropped.
    InputQuality,
    /// A file holds rows of another date than the one asked for.
    DayMismatch,
}

impl InputKind {
    /// All of them.
    pub const ALL: [InputKind; 16] = [
        InputKind::Missing,
        InputKind::Unreadable,
        InputKind::Truncated,
        InputKind::FormatUnknown,
        InputKind::FormatRefused,
        InputKind::FormatAmbiguous,
        InputKind::UnitAmbiguous,
        InputKind::UnitOutOfRange,
        InputKind::UnitMixed,
        InputKind::Malformed,
        InputKind::SnapshotUnassigned,
        InputKind::StepTooCoarse,
        InputKind::NoTime,
        InputKind::MissingColumn,
        InputKind::InputQuality,
        InputKind::DayMismatch,
    ];

    /// Its name in messages and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            InputKind::Missing => "missing",
            InputKind::Unreadable => "unreadable",
            InputKind::Truncated => "truncated",
            InputKind::FormatUnknown => "format_unknown",
            InputKind::FormatRefused => "format_refused",
            InputKind::FormatAmbiguous => "format_ambiguous",
            InputKind::UnitAmbiguous => "unit_ambiguous",
            InputKind::UnitOutOfRange => "unit_out_of_range",
            InputKind::UnitMixed => "unit_mixed",
            InputKind::Malformed => "malformed",
            InputKind::SnapshotUnassigned => "snapshot_unassigned",
            InputKind::StepTooCoarse => "step_too_coarse",
            InputKind::NoTime => "no_time",
            InputKind::MissingColumn => "missing_column",
            InputKind::InputQuality => "input_quality",
            InputKind::DayMismatch => "day_mismatch",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_error_names_file_line_and_rule() {
        let error = InputError {
            kind: InputKind::UnitMixed,
            file: "a.gz".into(),
            line: Some(7),
            what: "first ns, now us".into(),
        };
        assert_eq!(error.to_string(), "a.gz:7: unit_mixed: first ns, now us");
        let whole = InputError { line: None, ..error };
        assert_eq!(whole.to_string(), "a.gz: unit_mixed: first ns, now us");
        assert_eq!(Error::from(whole).exit_code(), 4);
    }

    #[test]
    fn exit_codes_are_those_of_the_architecture_page() {
        assert_eq!(Error::usage("--x is not known").exit_code(), 2);
        assert_eq!(Error::from(LogError::Uri { uri: "x".into() }).exit_code(), 2);
        assert_eq!(Error::file("cannot write", Path::new("x"), "full").to_string(), "cannot write x: full");
    }

    #[test]
    fn names_of_rules_are_distinct() {
        let names: std::collections::BTreeSet<_> = InputKind::ALL.map(InputKind::as_str).into();
        assert_eq!(names.len(), InputKind::ALL.len());
    }
}
