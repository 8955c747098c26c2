//! Recorded files: told apart, looked at, opened, merged into one stream.
//!
//! Opening takes two passes. The first looks at the head of every file: which format, which venue, which
//! symbols, how fine their prices. The second reads the files from the start, with all that known.

pub(crate) mod capture;
pub(crate) mod container;
pub(crate) mod file;
mod head;
mod silence;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use lobstream_market::event::{Body, MarketEvent};
use lobstream_market::instrument::{Symbol, Venue};

use crate::error::{Error, InputError, InputKind};
use crate::feed::instruments::{Known, StepEvidence, StepOverride, decide};
use crate::feed::merge::{Merge, MergeBy};
use crate::feed::{Feed, FeedEvent, FeedReport};

use file::FileFeed;
use head::Head;
use silence::Silence;

/// What to read, and facts that the files do not tell.
#[derive(Clone, Debug, Default)]
pub struct RecordedOptions {
    /// Files, or folders that stand for their files in the order of their names.
    pub inputs: Vec<PathBuf>,
    /// By which time several files are merged.
    pub merge: MergeBy,
    /// `--venue`: where the messages do not tell.
    pub venue: Option<Venue>,
    /// `--symbol`: whose snapshots those without a symbol are.
    pub symbol: Option<Symbol>,
    /// `--tick`, `--lot`.
    pub steps: StepOverride,
}

/// One stream out of one or several files.
#[derive(Debug)]
pub struct RecordedFeed {
    merge: Merge<FileFeed>,
    known: BTreeMap<(Venue, Symbol), Known>,
    introduced: BTreeSet<(Venue, Symbol)>,
    silence: Silence,
    waiting: VecDeque<FeedEvent>,
    /// Events that are of no file: instruments and marks of silence.
    added: FeedReport,
    read: Arc<AtomicU64>,
    bytes: u64,
}

impl RecordedFeed {
    /// Looks at the files and opens them.
    ///
    /// # Errors
    /// A file that is missing, of no known format or of several; each names the file.
    pub fn open(options: &RecordedOptions) -> Result<RecordedFeed, Error> {
        let files = expand(&options.inputs)?;
        let heads = scan_all(&files, options)?;
        one_exchange(&heads)?;
        let mut evidence: BTreeMap<(Venue, Symbol), StepEvidence> = BTreeMap::new();
        for head in &heads {
            for (symbol, seen) in &head.symbols {
                evidence.entry((head.venue, symbol.clone())).or_default().join(seen);
            }
        }
        let known = decide(&evidence, options.steps);
        let single_trades = heads.iter().flat_map(|h| h.single_trades.iter().cloned()).collect();
        let read = Arc::new(AtomicU64::new(0));
        let open = |(n, head): (usize, &Head)| {
            let source = u32::try_from(n).unwrap_or(u32::MAX);
            let feed = FileFeed::open(head, source, &known, &single_trades, &read)?;
            Ok::<_, InputError>((head.file_name(), feed))
        };
        let inputs = heads.iter().enumerate().map(open).collect::<Result<Vec<_>, _>>()?;
        Ok(RecordedFeed {
            merge: Merge::new(inputs, options.merge),
            known,
            introduced: BTreeSet::new(),
            silence: Silence::default(),
            waiting: VecDeque::new(),
            added: FeedReport::default(),
            bytes: files.iter().filter_map(|f| f.metadata().ok()).map(|m| m.len()).sum(),
            read,
        })
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The instruments in the files and where their steps come from.
    pub fn instruments(&self) -> impl Iterator<Item = &Known> {
        self.known.values()
    }

    /// The instrument stands before the first event of its symbol, with the times of that event.
    fn introduce(&mut self, event: &FeedEvent) -> Option<FeedEvent> {
        let FeedEvent { venue, symbol, event, source } = event;
        let key = (*venue, symbol.clone());
        if self.introduced.contains(&key) {
            return None;
        }
        let body = Body::Instrument(self.known.get(&key)?.instrument.clone());
        self.introduced.insert(key);
        let event = MarketEvent { ts_event: event.ts_event, ts_recv: event.ts_recv, body };
        Some(FeedEvent { venue: *venue, symbol: symbol.clone(), event, source: *source })
    }
}

impl Feed for RecordedFeed {
    fn next(&mut self) -> Result<Option<FeedEvent>, Error> {
        if self.waiting.is_empty() {
            let Some(event) = self.merge.next()? else { return Ok(None) };
            self.silence.before(&event, &mut self.waiting);
            let instrument = self.introduce(&event);
            self.waiting.extend(instrument);
            self.waiting.iter().for_each(|added| self.added.count(&added.event.body));
            if self.waiting.is_empty() {
                return Ok(Some(event));
            }
            self.waiting.push_back(event);
        }
        Ok(self.waiting.pop_front())
    }

    fn report(&self) -> FeedReport {
        let mut report = self.merge.report();
        report.add(&self.added);
        report
    }

    /// Bytes taken from the files.
    fn done(&self) -> u64 {
        self.read.load(Ordering::Relaxed).min(self.bytes)
    }
}

/// Looks at every file, several at a time. What is refused is the first file of those that would be, as if
/// they were looked at one after the other.
fn scan_all(files: &[PathBuf], options: &RecordedOptions) -> Result<Vec<Head>, InputError> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let (next, found) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let scan = || {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = files.get(n) else { return };
            let head = Head::scan(file, options);
            found.lock().unwrap_or_else(PoisonError::into_inner).insert(n, head);
        }
    };
    thread::scope(|scope| {
        for _ in 1..cores.min(files.len()) {
            scope.spawn(scan);
        }
        scan();
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

/// Folders become their files in the order of their names.
fn expand(inputs: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for input in inputs {
        if !input.is_dir() {
            files.push(input.clone());
            continue;
        }
        let unreadable = |e: std::io::Error| InputError {
            kind: InputKind::Unreadable,
            file: input.display().to_string(),
            line: None,
            what: e.to_string(),
        };
        let entries = input.read_dir().map_err(unreadable)?;
        let mut inside = Vec::new();
        for entry in entries {
            let path = entry.map_err(unreadable)?.path();
            if path.is_file() {
                inside.push(path);
            }
        }
        inside.sort();
        files.append(&mut inside);
    }
    if files.is_empty() {
        return Err(Error::usage("no input: name at least one file, or a folder that holds some"));
    }
    Ok(files)
}

/// Without sequence numbers a venue has no name of its own here, so the same symbol of two exchanges would
/// become one book.
fn one_exchange(heads: &[Head]) -> Result<(), InputError> {
    let mut first: Option<&str> = None;
    for head in heads {
        let Some(exchange) = &head.exchange else { continue };
        match first {
            Some(other) if other != exchange => {
                return Err(InputError {
                    kind: InputKind::FormatAmbiguous,
                    file: head.file_name(),
                    line: None,
                    what: format!("exchange {exchange}, another file is of {other}: replay them separately"),
                });
            }
            Some(_) | None => first = Some(exchange),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
