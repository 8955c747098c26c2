//! One file as a feed: its lines through the reader of its format, with a count of what cannot be read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use lobstream_market::instrument::{Symbol, Venue};

use crate::error::{Error, InputError, InputKind};
use crate::feed::binance::{self, MessageError, Read, Source, rest};
use crate::feed::instruments::Known;
use crate::feed::recorded::capture::{Capture, CaptureError, What};
use crate::feed::recorded::container::{Line, Lines};
use crate::feed::recorded::head::{Format, Head, quote};
use crate::feed::tardis;
use crate::feed::{Feed, FeedEvent, FeedReport, MALFORMED_KEPT};

/// So many unreadable lines in a row end the reading.
const MALFORMED_IN_A_ROW_MAX: u64 = 100;
/// One unreadable line in so many is borne.
const LINES_PER_MALFORMED_MIN: u64 = 1_000;

/// What became of one line.
pub(crate) enum LineRead {
    /// Its events, if any, are in the queue.
    Done,
    /// Read and left out: its kind.
    LeftOut(String),
}

/// Reads the lines of one format.
pub(crate) trait LineReader: Send {
    /// One line; events go to the end of the queue.
    fn line(&mut self, line: &Line<'_>, out: &mut VecDeque<FeedEvent>) -> Result<LineRead, MessageError>;

    /// No line follows.
    fn end(&mut self, out: &mut VecDeque<FeedEvent>) -> Result<(), MessageError>;
}

/// The events of one file.
pub(crate) struct FileFeed {
    name: String,
    /// Its number among the files: each has a recorder of its own.
    source: u32,
    lines: Lines,
    reader: Box<dyn LineReader>,
    queue: VecDeque<FeedEvent>,
    report: FeedReport,
    malformed_in_a_row: u64,
    ended: bool,
}

impl std::fmt::Debug for FileFeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileFeed").field("name", &self.name).field("report", &self.report).finish()
    }
}

impl FileFeed {
    pub(crate) fn open(
        head: &Head,
        source: u32,
        known: &BTreeMap<(Venue, Symbol), Known>,
        single_trades: &BTreeSet<Symbol>,
        read: &Arc<AtomicU64>,
    ) -> Result<FileFeed, InputError> {
        let known = known.iter().filter(|((venue, _), _)| *venue == head.venue).map(|(_, k)| k.clone());
        let file = short_name(&head.path);
        let reader: Box<dyn LineReader> = match &head.format {
            Format::Capture(format) => Box::new(CaptureReader {
                file,
                capture: Capture::new(*format),
                binance: binance::Reader::new(head.venue, known)
                    .with_only_symbol(head.only_symbol.clone())
                    .with_single_trades(single_trades.clone()),
            }),
            Format::Tardis(header) => Box::new(tardis::Reader::new(file, header.clone(), known)),
        };
        Ok(FileFeed {
            name: head.file_name(),
            source,
            lines: Lines::open(&head.path, read)?,
            reader,
            queue: VecDeque::new(),
            report: FeedReport::default(),
            malformed_in_a_row: 0,
            ended: false,
        })
    }

    /// Reads one line, or notes the end.
    fn step(&mut self) -> Result<(), InputError> {
        let Some(line) = self.lines.next()? else {
            self.ended = true;
            let last = self.report.lines;
            let ended = self.reader.end(&mut self.queue);
            ended.map_err(|error| fatal(&self.name, last, error))?;
            return self.judge(last, true);
        };
        let number = line.number;
        self.report.lines = number;
        match self.reader.line(&line, &mut self.queue) {
            Ok(LineRead::Done) => self.malformed_in_a_row = 0,
            Ok(LineRead::LeftOut(kind)) => {
                self.malformed_in_a_row = 0;
                *self.report.left_out.entry(kind).or_default() += 1;
            }
            Err(MessageError::Malformed(what)) if !line.ended => {
                let what = format!("the last line has no end ({what}): the file was cut off, get it again");
                return Err(self.error(InputKind::Truncated, number, what));
            }
            Err(MessageError::Malformed(what)) => {
                let quoted = format!("{}:{number}: {what}: {:?}", self.name, quote(line.bytes));
                self.malformed(quoted);
                return self.judge(number, false);
            }
            Err(error @ MessageError::Fatal(..)) => return Err(fatal(&self.name, number, error)),
        }
        Ok(())
    }

    fn malformed(&mut self, quoted: String) {
        self.report.malformed += 1;
        self.malformed_in_a_row += 1;
        if self.report.malformed_first.len() < MALFORMED_KEPT {
            self.report.malformed_first.push(quoted);
        }
    }

    /// A share is judged once there are enough lines for it, at the latest at the end.
    fn judge(&self, number: u64, end: bool) -> Result<(), InputError> {
        let n = self.report.malformed;
        let share = n * LINES_PER_MALFORMED_MIN > number && (end || n >= MALFORMED_IN_A_ROW_MAX);
        if share || self.malformed_in_a_row >= MALFORMED_IN_A_ROW_MAX {
            let first = self.report.malformed_first.first().map_or("", String::as_str);
            let what = format!("{n} of {number} lines cannot be read, more than 0.1 %; the first is {first}");
            return Err(self.error(InputKind::Malformed, number, what));
        }
        Ok(())
    }

    fn error(&self, kind: InputKind, line: u64, what: String) -> InputError {
        InputError { kind, file: self.name.clone(), line: Some(line), what }
    }
}

fn fatal(file: &str, line: u64, error: MessageError) -> InputError {
    let (kind, what) = match error {
        MessageError::Fatal(kind, what) => (kind, what),
        MessageError::Malformed(what) => (InputKind::Malformed, what),
    };
    InputError { kind, file: file.to_owned(), line: Some(line), what }
}

/// The file's name without its folders: what a refused message says must not depend on where files lie.
fn short_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}

impl Feed for FileFeed {
    fn next(&mut self) -> Result<Option<FeedEvent>, Error> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                self.report.count(&event.event.body);
                return Ok(Some(FeedEvent { source: self.source, ..event }));
            }
            if self.ended {
                return Ok(None);
            }
            self.step()?;
        }
    }

    fn report(&self) -> FeedReport {
        self.report.clone()
    }
}

/// A capture of Binance.
struct CaptureReader {
    file: String,
    capture: Capture,
    binance: binance::Reader,
}

impl LineReader for CaptureReader {
    fn line(&mut self, line: &Line<'_>, out: &mut VecDeque<FeedEvent>) -> Result<LineRead, MessageError> {
        let frame = self.capture.frame(line.bytes).map_err(|error| match error {
            CaptureError::Malformed(what) => MessageError::Malformed(what),
            CaptureError::Time(error) => time_error(error, line.bytes),
        })?;
        let place = || format!("{}:{}", self.file, line.number);
        let source = Source { ts_recv: Some(frame.ts_recv), place: &place };
        let read = match frame.what {
            What::Message(json) => self.binance.message(&json, &source)?,
            What::Http { url, body } => match rest::asked(&url) {
                Some(asked) => self.binance.reply(body.as_bytes(), &asked, &source)?,
                None => Read::LeftOut("http reply".into()),
            },
            What::Connected(_) => Read::LeftOut("connection".into()),
            What::Aside(kind) => Read::LeftOut(kind.into()),
        };
        Ok(match read {
            Read::Event(event) => {
                out.push_back(event);
                LineRead::Done
            }
            Read::LeftOut(kind) => LineRead::LeftOut(kind),
        })
    }

    fn end(&mut self, _: &mut VecDeque<FeedEvent>) -> Result<(), MessageError> {
        Ok(())
    }
}

fn time_error(error: crate::feed::unit::TimeError, line: &[u8]) -> MessageError {
    let digits = line.iter().take_while(|b| b.is_ascii_digit()).map(|b| char::from(*b));
    let value = digits.collect::<String>().parse().unwrap_or_default();
    match error.explain("receive time", value) {
        (InputKind::Malformed, what) => MessageError::Malformed(what),
        (kind, what) => MessageError::Fatal(kind, what),
    }
}
