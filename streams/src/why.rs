//! Why a window has no row: what is known of a task from its log, judged by checks in a fixed order.
//!
//! ```text
//! not assigned · restoring · suspended · stable < end · fetch lag · channel empty · T short of end + grace
//! · closed and emitted · closed and empty                 beside the last two: late records, poison
//! ```
//! The first check that applies is the answer. What is read was committed: a running task may be an epoch ahead.

mod gather;

use std::fmt;
use std::time::Duration;

use crate::log::Tp;
use crate::record::Offset;
use crate::runtime::state::TaskState;
use crate::time::Ts;
use crate::topology::processor::TaskId;

pub use gather::{Question, why};

/// What is known of one window of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The key.
    pub key: Vec<u8>,
    /// Start of the window.
    pub start: Ts,
    /// Its end, which does not belong to it.
    pub end: Ts,
    /// How long after its end it stays open.
    pub grace: Duration,
    /// The task that has the key.
    pub task: TaskId,
    /// What the process that runs it says; `None`: it was not asked.
    pub state: Option<TaskState>,
    /// Last committed epoch; `None`: there is none.
    pub epoch: Option<u64>,
    /// Stream time at its end.
    pub time: Option<Ts>,
    /// Its inputs.
    pub channels: Vec<Channel>,
    /// The row, if it was written.
    pub emitted: Option<(Tp, Offset)>,
    /// Records of the key that came after the window was closed and were kept aside.
    pub late: u64,
    /// The first record of the key up to here that was refused: its place, why, and how many there are.
    pub poisoned: Option<(String, String, u64)>,
}

/// One input of the task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// The partition.
    pub tp: Tp,
    /// Which of its writers, where it has several.
    pub origin: Option<u16>,
    /// Nothing older follows; `None` before any record.
    pub bound: Option<Ts>,
    /// Next offset to process.
    pub next: Offset,
    /// Readable end.
    pub stable: Offset,
    /// End, with what is not committed yet.
    pub end: Offset,
    /// Newest processed record that is no beacon.
    pub record: Option<(Offset, Ts)>,
    /// Newest processed beacon.
    pub beacon: Option<Ts>,
    /// Time of the next record, if there is one.
    pub head: Option<Ts>,
    /// Its origin said bye.
    pub left: bool,
    /// Time since its bound, by the clock of whoever asks; `None` for replayed times.
    pub silent: Option<Duration>,
}

/// The first check that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// Nobody runs the task, or ever has.
    NotAssigned,
    /// It is being rebuilt.
    Restoring,
    /// It waits for a checkpoint to succeed.
    Suspended,
    /// A transaction holds records of this input back.
    OpenTransaction(&'a Channel),
    /// Records of this input wait to be processed.
    Lag(&'a Channel),
    /// This input is empty and is waited for.
    Empty(&'a Channel),
    /// Every input is at its end, and none of them lifts stream time any more.
    Short,
    /// The row is there.
    Emitted(&'a Tp, Offset),
    /// The window is closed without a row.
    ClosedEmpty,
}

impl Why {
    /// From this stream time on the window is closed.
    pub fn due(&self) -> Ts {
        Ts(self.end.0.saturating_add(i64::try_from(self.grace.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// What the checks say, in their fixed order.
    pub fn verdict(&self) -> Verdict<'_> {
        match self.state {
            Some(TaskState::Restoring | TaskState::Created) => return Verdict::Restoring,
            Some(TaskState::Suspended) => return Verdict::Suspended,
            Some(TaskState::Standby | TaskState::Closing | TaskState::Closed | TaskState::Failed) => {
                return Verdict::NotAssigned;
            }
            None if self.epoch.is_none() => return Verdict::NotAssigned,
            Some(TaskState::Running) | None => {}
        }
        match &self.emitted {
            Some((tp, offset)) => Verdict::Emitted(tp, *offset),
            None if self.time >= Some(self.due()) => Verdict::ClosedEmpty,
            None => self.what_holds(),
        }
    }

    /// The input with the least bound holds all others.
    fn what_holds(&self) -> Verdict<'_> {
        let waited = self.channels.iter().filter(|c| !c.left || c.next < c.stable);
        let Some(least) = waited.min_by_key(|c| c.bound) else { return Verdict::Short };
        match (least.stable < least.end, least.next < least.stable) {
            (true, _) => Verdict::OpenTransaction(least),
            (false, true) => Verdict::Lag(least),
            (false, false) => Verdict::Empty(least),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, end) = (short(self.start), short(self.end));
        write!(f, "window  [{start}, {end}) key {} task {}: ", self.key.escape_ascii(), self.task)?;
        let verdict = self.verdict();
        match verdict {
            Verdict::NotAssigned => {
                write!(f, "not assigned: no process has the task, or none has committed")?
            }
            Verdict::Restoring => write!(f, "restoring: nothing is processed before that is done")?,
            Verdict::Suspended => {
                write!(
                    f,
                    "suspended: its checkpoints fail; it goes on when one succeeds (is the disk full?)"
                )?;
            }
            Verdict::Emitted(tp, offset) => {
                write!(f, "closed and emitted: offset {} of {tp}", offset.0)?;
            }
            Verdict::ClosedEmpty => {
                write!(
                    f,
                    "closed and empty. It was closed at T >= {}; {}",
                    self.due().time_of_day(),
                    self.at()
                )?;
            }
            Verdict::OpenTransaction(_) | Verdict::Lag(_) | Verdict::Empty(_) | Verdict::Short => {
                let (due, grace) = (self.due().time_of_day(), span(self.grace));
                write!(f, "open. Needs T >= {due} (end + grace {grace}); {}", self.at())?;
            }
        }
        self.holds(f, verdict)?;
        self.beside(f, verdict)
    }
}

impl Why {
    fn at(&self) -> String {
        self.time.map_or("there is no T yet".to_owned(), |time| format!("T is {}", time.time_of_day()))
    }

    /// What holds the task, then its other inputs.
    fn holds(&self, f: &mut fmt::Formatter<'_>, verdict: Verdict<'_>) -> fmt::Result {
        let first = match verdict {
            Verdict::OpenTransaction(c) => {
                let (tp, stable, end) = (c.name(), c.stable.0, c.end.0);
                write!(
                    f,
                    "\nwaits   {tp}: stable {stable} < end {end}: a transaction is open from {stable} on"
                )?;
                c
            }
            Verdict::Lag(c) => {
                write!(f, "\nwaits   {}: {}: the task is behind, or not running", c.name(), c.ahead())?;
                c
            }
            Verdict::Empty(c) => {
                write!(f, "\nwaits   {c}")?;
                c
            }
            Verdict::Short => {
                return write!(f, "\nwaits   every input is at its end: nothing lifts T any more");
            }
            _ => return Ok(()),
        };
        for other in self.channels.iter().filter(|c| (&c.tp, c.origin) != (&first.tp, first.origin)) {
            match other.next < other.stable {
                true => write!(f, "\nothers  {}: {}", other.name(), other.ahead())?,
                false => write!(f, "\nothers  {other}")?,
            }
        }
        Ok(())
    }

    /// What a closed window may have missed.
    fn beside(&self, f: &mut fmt::Formatter<'_>, verdict: Verdict<'_>) -> fmt::Result {
        if !matches!(verdict, Verdict::Emitted(..) | Verdict::ClosedEmpty) {
            return Ok(());
        }
        if self.late > 0 {
            write!(f, "\nlate    {} records of the key came after it was closed", self.late)?;
        }
        match &self.poisoned {
            Some((place, reason, n)) => {
                write!(f, "\npoison  key poisoned since {place} ({n} records): {reason}")
            }
            None => Ok(()),
        }
    }
}

impl Channel {
    fn name(&self) -> String {
        self.origin.map_or(self.tp.to_string(), |origin| format!("{} writer {origin}", self.tp))
    }

    fn ahead(&self) -> String {
        let head =
            self.head.map_or("head not read".to_owned(), |head| format!("head {}", head.time_of_day()));
        format!("{head}, {} waiting", self.stable.0 - self.next.0)
    }
}

/// An empty one.
impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: empty, ", self.name())?;
        match self.bound {
            None => write!(f, "no record ever")?,
            Some(bound) => {
                write!(f, "bound {} (", bound.time_of_day())?;
                match self.record {
                    None => write!(f, "no record lately")?,
                    Some((offset, ts)) => write!(f, "record {} at {}", offset.0, ts.time_of_day())?,
                }
                match self.beacon {
                    None => write!(f, ", no beacon lately)")?,
                    Some(ts) => write!(f, ", beacon {})", ts.time_of_day())?,
                }
            }
        }
        write!(f, ", caught up at {}", self.next.0)?;
        if let Some(silent) = self.silent {
            write!(f, ", silent {:.1} s", silent.as_secs_f64())?;
        }
        if self.left { write!(f, ", its origin left") } else { write!(f, ", rule wait") }
    }
}

/// In whole seconds, or in milliseconds.
fn span(span: Duration) -> String {
    match span.subsec_nanos() {
        0 => format!("{} s", span.as_secs()),
        _ => format!("{} ms", span.as_millis()),
    }
}

/// The time of day without a fraction that is nothing.
fn short(ts: Ts) -> String {
    let text = ts.time_of_day();
    text.strip_suffix(".000").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests;
