//! A first look at one file: its format, its venue, its symbols and how fine their numbers are.
//!
//! All of it is looked at: a recording of ours shows its finest quantity after the ten-thousandth, and a step
//! that is found too coarse in the middle of a replay comes too late.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lobstream_market::instrument::{Symbol, Venue};

use crate::error::{InputError, InputKind};
use crate::feed::binance::scan::Scan;
use crate::feed::instruments::StepEvidence;
use crate::feed::recorded::RecordedOptions;
use crate::feed::recorded::capture::{Capture, CaptureFormat, What};
use crate::feed::recorded::container::Lines;
use crate::feed::tardis::{self, Header};

/// Bytes of a file that are quoted when it is not understood.
pub(crate) const QUOTED: usize = 200;

/// What a file may be.
const KNOWN: &str = "read are: raw lines (receive time, a blank, Binance JSON), captures as text \
                     (seconds: JSON) or jsonl (first a header line), all of Binance spot, USD-M or COIN-M; Tardis CSV \
                     (incremental_book_L2, book_snapshot, trades, quotes); each plain, gzip or zstd";

/// How a file is written.
#[derive(Clone, Debug)]
pub(crate) enum Format {
    Capture(CaptureFormat),
    Tardis(Header),
}

/// What the head of a file tells.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) path: PathBuf,
    pub(crate) format: Format,
    pub(crate) venue: Venue,
    /// Of a Tardis file: the exchange it names.
    pub(crate) exchange: Option<String>,
    pub(crate) symbols: BTreeMap<Symbol, StepEvidence>,
    /// Whose snapshots those without a symbol are.
    pub(crate) only_symbol: Option<Symbol>,
    pub(crate) single_trades: BTreeSet<Symbol>,
}

impl Head {
    /// Looks at a file.
    pub(crate) fn scan(path: &Path, options: &RecordedOptions) -> Result<Head, InputError> {
        let mut lines = Lines::open(path, &Arc::default())?;
        let error = |kind, what| InputError { kind, file: path.display().to_string(), line: None, what };
        let first = match lines.next()? {
            Some(line) => line.bytes.to_vec(),
            None => return Err(error(InputKind::FormatUnknown, "the file is empty".into())),
        };
        if let Some(header) = Header::read(&first) {
            let header = header.map_err(|what| error(InputKind::FormatUnknown, what))?;
            return Head::tardis(path, lines, header);
        }
        match CaptureFormat::detect(&first) {
            Some(format) => Head::capture(path, lines, &first, format, options),
            None => Err(error(
                InputKind::FormatUnknown,
                format!("no reader knows a file that begins with {:?}; {KNOWN}", quote(&first)),
            )),
        }
    }

    fn tardis(path: &Path, mut lines: Lines, header: Header) -> Result<Head, InputError> {
        let mut scan = tardis::Scan::new(&header);
        while let Some(line) = lines.next()? {
            scan.row(line.bytes);
        }
        let (exchange, symbols) = scan.finish();
        Ok(Head {
            path: path.to_owned(),
            format: Format::Tardis(header),
            venue: Venue::Unsequenced,
            exchange,
            symbols,
            only_symbol: None,
            single_trades: BTreeSet::new(),
        })
    }

    fn capture(
        path: &Path,
        mut lines: Lines,
        first: &[u8],
        format: CaptureFormat,
        options: &RecordedOptions,
    ) -> Result<Head, InputError> {
        let (mut scan, mut capture) = (Scan::default(), Capture::new(format));
        look(&mut scan, &mut capture, first);
        let mut okx = false;
        // A file that was cut off is refused here, before anything of it is written.
        while let Some(line) = lines.next()? {
            okx |= line.number < 20 && is_okx(line.bytes);
            if !line.ended && is_cut(&mut capture, line.bytes) {
                return Err(InputError {
                    kind: InputKind::Truncated,
                    file: path.display().to_string(),
                    line: Some(line.number),
                    what: "the last line has no end: the file was cut off, get it again".to_owned(),
                });
            }
            look(&mut scan, &mut capture, line.bytes);
        }
        let error = |kind, what| InputError { kind, file: path.display().to_string(), line: None, what };
        if okx && !scan.is_binance() {
            let what = "OKX frames are not read by this version".to_owned();
            return Err(error(InputKind::FormatRefused, what));
        }
        if !scan.is_binance() {
            let what = format!(
                "{}, but no message is known; it begins with {:?}; {KNOWN}",
                format.as_str(),
                quote(first)
            );
            return Err(error(InputKind::FormatUnknown, what));
        }
        let venue = scan.venue(options.venue).map_err(|(kind, what)| error(kind, what))?;
        let found = scan.finish(options.symbol.clone());
        Ok(Head {
            path: path.to_owned(),
            format: Format::Capture(format),
            venue,
            exchange: None,
            symbols: found.symbols,
            only_symbol: found.only,
            single_trades: found.single_trades,
        })
    }

    /// As the user named it.
    pub(crate) fn file_name(&self) -> String {
        self.path.display().to_string()
    }
}

fn look(scan: &mut Scan, capture: &mut Capture, line: &[u8]) {
    match capture.frame(line).map(|frame| frame.what) {
        Ok(What::Message(json)) => scan.message(&json),
        Ok(What::Http { url, body }) => scan.http(&url, &body),
        Ok(What::Connected(url)) => scan.connected(&url),
        Ok(What::Aside(_)) | Err(_) => {}
    }
}

/// Is this last line, which nothing ends, only a part of one?
fn is_cut(capture: &mut Capture, line: &[u8]) -> bool {
    match capture.frame(line).map(|frame| frame.what) {
        Ok(What::Message(json)) => serde_json::from_slice::<serde::de::IgnoredAny>(&json).is_err(),
        Ok(What::Http { .. } | What::Connected(_) | What::Aside(_)) => false,
        Err(_) => true,
    }
}

fn is_okx(line: &[u8]) -> bool {
    String::from_utf8_lossy(line).contains("okx.com") || line.windows(8).any(|w| w == b"\"instId\"")
}

/// The first bytes of a line, for messages.
pub(crate) fn quote(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(QUOTED)]).into_owned()
}
