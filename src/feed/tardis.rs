//! Tardis CSV: rows into events. Rows of one message share their times; there are no sequence numbers.

use std::collections::{BTreeMap, VecDeque};

use lobstream_market::event::{
    Aggressor, Body, BookDelta, BookSnapshot, Level, MarketEvent, Quote, Refused, Trade,
};
use lobstream_market::instrument::{Symbol, Venue};

use crate::error::InputKind;
use crate::feed::FeedEvent;
use crate::feed::binance::MessageError;
use crate::feed::instruments::{Known, StepEvidence};
use crate::feed::numbers::{self, Bad};
use crate::feed::recorded::container::Line;
use crate::feed::recorded::file::{LineRead, LineReader};
use crate::feed::unit::{TimeColumn, TimeError};

const COMMON: [&str; 4] = ["exchange", "symbol", "timestamp", "local_timestamp"];
const BOOK: [&str; 4] = ["is_snapshot", "side", "price", "amount"];
const TRADES: [&str; 4] = ["id", "side", "price", "amount"];
const QUOTES: [&str; 4] = ["ask_amount", "ask_price", "bid_price", "bid_amount"];

/// What the header says: the rows are of one type, whatever the file is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// `incremental_book_L2`.
    Book,
    /// `trades`.
    Trades,
    /// `quotes`, `book_ticker`.
    Quotes,
    /// `book_snapshot_<n>`.
    Snapshots { levels: usize },
}

impl Header {
    /// `None`: not a header of Tardis. `Some(Err)`: one, but of no type that is read.
    pub(crate) fn read(line: &[u8]) -> Option<Result<Header, String>> {
        let text = std::str::from_utf8(line).ok()?;
        let columns: Vec<&str> = text.split(',').collect();
        let rest = columns.strip_prefix(&COMMON)?;
        let header = match rest {
            [a, b, c, d] if [*a, *b, *c, *d] == BOOK => Ok(Header::Book),
            [a, b, c, d] if [*a, *b, *c, *d] == TRADES => Ok(Header::Trades),
            [a, b, c, d] if [*a, *b, *c, *d] == QUOTES => Ok(Header::Quotes),
            _ => snapshot_levels(rest)
                .map(|levels| Header::Snapshots { levels })
                .ok_or_else(|| format!("Tardis columns {} are of no type that is read", rest.join(","))),
        };
        Some(header)
    }

    fn columns(&self) -> usize {
        match self {
            Header::Book | Header::Trades | Header::Quotes => COMMON.len() + 4,
            Header::Snapshots { levels } => COMMON.len() + levels * 4,
        }
    }
}

fn snapshot_levels(columns: &[&str]) -> Option<usize> {
    let named = |i: usize, group: &[&str]| {
        let names = ["asks", "bids"]
            .iter()
            .flat_map(|side| ["price", "amount"].iter().map(move |what| format!("{side}[{i}].{what}")));
        names.eq(group.iter().map(|c| (*c).to_owned()))
    };
    let whole = !columns.is_empty() && columns.len().is_multiple_of(4);
    let fits = columns.chunks(4).enumerate().all(|(i, group)| named(i, group));
    (whole && fits).then_some(columns.len() / 4)
}

/// A row that has as many cells as the header.
struct Row<'a> {
    cells: Vec<&'a str>,
}

impl<'a> Row<'a> {
    fn read(line: &'a [u8], header: &Header) -> Result<Row<'a>, MessageError> {
        let text = std::str::from_utf8(line).map_err(|_| MessageError::Malformed("not UTF-8".to_owned()))?;
        let cells: Vec<&str> = text.split(',').collect();
        match cells.len() == header.columns() {
            true => Ok(Row { cells }),
            false => Err(MessageError::Malformed(format!(
                "{} cells, the header has {}",
                cells.len(),
                header.columns()
            ))),
        }
    }

    fn symbol(&self) -> &'a str {
        self.cells[1]
    }

    fn rest(&self) -> &[&'a str] {
        &self.cells[COMMON.len()..]
    }

    /// Prices with their quantities; blank ones are left out.
    fn levels(&self, header: &Header) -> Vec<numbers::LevelText<'a>> {
        let rest = self.rest();
        let pairs: Vec<numbers::LevelText<'a>> = match header {
            Header::Book | Header::Trades => vec![[rest[2], rest[3]]],
            Header::Quotes => vec![[rest[2], rest[3]], [rest[1], rest[0]]],
            Header::Snapshots { .. } => rest.chunks_exact(2).map(|c| [c[0], c[1]]).collect(),
        };
        pairs.into_iter().filter(|[px, qty]| !px.is_empty() && !qty.is_empty()).collect()
    }
}

/// A first look at the rows: symbols and how fine their numbers are.
#[derive(Debug)]
pub(crate) struct Scan {
    header: Header,
    exchange: Option<String>,
    symbols: BTreeMap<Symbol, StepEvidence>,
}

impl Scan {
    pub(crate) fn new(header: &Header) -> Scan {
        Scan { header: header.clone(), exchange: None, symbols: BTreeMap::new() }
    }

    pub(crate) fn row(&mut self, line: &[u8]) {
        let Ok(row) = Row::read(line, &self.header) else { return };
        self.exchange.get_or_insert_with(|| row.cells[0].to_owned());
        let evidence = self.symbols.entry(Symbol::new(row.symbol())).or_default();
        row.levels(&self.header).iter().for_each(|[px, qty]| evidence.see(px, qty));
    }

    pub(crate) fn finish(self) -> (Option<String>, BTreeMap<Symbol, StepEvidence>) {
        (self.exchange, self.symbols)
    }
}

/// Reads the rows of one file.
#[derive(Debug)]
pub(crate) struct Reader {
    file: String,
    header: Header,
    known: BTreeMap<String, Known>,
    event: TimeColumn,
    local: TimeColumn,
    /// Rows of a book message that may go on.
    open: Option<Open>,
    /// Whose last book message was a snapshot: what follows it in the snapshot belongs to it.
    in_snapshot: BTreeMap<Symbol, bool>,
}

/// A book message whose rows are being read.
#[derive(Debug)]
struct Open {
    symbol: Symbol,
    local: String,
    is_snapshot: bool,
    ts_event: Option<i64>,
    ts_recv: i64,
    bids: Vec<Level>,
    asks: Vec<Level>,
    refused: Option<Refused>,
}

impl Reader {
    pub(crate) fn new(file: String, header: Header, known: impl IntoIterator<Item = Known>) -> Reader {
        let named = |known: Known| (known.instrument.symbol.as_str().to_owned(), known);
        Reader {
            file,
            header,
            known: known.into_iter().map(named).collect(),
            event: TimeColumn::default(),
            local: TimeColumn::default(),
            open: None,
            in_snapshot: BTreeMap::new(),
        }
    }

    fn times(&mut self, row: &Row<'_>) -> Result<(Option<i64>, i64), MessageError> {
        let number = |cell: &str, column: &str| {
            cell.parse::<i64>()
                .map_err(|_| MessageError::Malformed(format!("{column} {cell:?} is no number")))
        };
        let explain = |error: TimeError, column: &str, value: i64| match error.explain(column, value) {
            (InputKind::Malformed, what) => MessageError::Malformed(what),
            (kind, what) => MessageError::Fatal(kind, what),
        };
        let local = number(row.cells[3], COMMON[3])?;
        let ts_recv = self.local.ns(local).map_err(|e| explain(e, COMMON[3], local))?;
        // Equal times mean that the venue gave none.
        if row.cells[2].is_empty() || row.cells[2] == row.cells[3] {
            return Ok((None, ts_recv));
        }
        let event = number(row.cells[2], COMMON[2])?;
        let ts_event = self.event.ns(event).map_err(|e| explain(e, COMMON[2], event))?;
        Ok((Some(ts_event), ts_recv))
    }

    fn known(&self, symbol: &Symbol) -> Result<&Known, MessageError> {
        let known = self.known.get(symbol.as_str());
        known.ok_or_else(|| MessageError::Malformed(format!("symbol {symbol} is of no row that can be read")))
    }

    fn book_row(
        &mut self,
        row: &Row<'_>,
        line: u64,
        out: &mut VecDeque<FeedEvent>,
    ) -> Result<(), MessageError> {
        let [is_snapshot, side, ..] = row.rest() else {
            return Err(MessageError::Malformed("cells are missing".into()));
        };
        let is_snapshot = match *is_snapshot {
            "true" => true,
            "false" => false,
            other => return Err(MessageError::Malformed(format!("is_snapshot is {other:?}"))),
        };
        let is_bid = match *side {
            "bid" => true,
            "ask" => false,
            other => return Err(MessageError::Malformed(format!("side is {other:?}"))),
        };
        let symbol = Symbol::new(row.symbol());
        let (ts_event, ts_recv) = self.times(row)?;
        let level = {
            let known = self.known(&symbol)?;
            let level = row.levels(&self.header).first().copied();
            level.map(|text| numbers::level(text, "price, amount", known)).transpose()
        };
        let goes_on =
            |o: &Open| o.symbol == symbol && o.local == row.cells[3] && o.is_snapshot == is_snapshot;
        if !self.open.as_ref().is_some_and(goes_on) {
            self.close(out);
            self.open = Some(Open {
                symbol,
                local: row.cells[3].to_owned(),
                is_snapshot,
                ts_event,
                ts_recv,
                bids: Vec::new(),
                asks: Vec::new(),
                refused: None,
            });
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        match level {
            Ok(Some(level)) if is_bid => open.bids.push(level),
            Ok(Some(level)) => open.asks.push(level),
            Ok(None) => {}
            Err(bad) => open.refused = Some(refusal(bad, true, &self.file, line)?),
        }
        Ok(())
    }

    /// The message that was being read is complete.
    fn close(&mut self, out: &mut VecDeque<FeedEvent>) {
        let Some(open) = self.open.take() else { return };
        let goes_on = self.in_snapshot.insert(open.symbol.clone(), open.is_snapshot);
        let (bids, asks) = (open.bids, open.asks);
        let body = match open.refused {
            Some(refused) => Body::Refused(refused),
            // Only the first message of a snapshot clears the book; a second part adds to it.
            None if open.is_snapshot && goes_on != Some(true) => {
                Body::Snapshot(BookSnapshot { last_id: None, limit: None, bids, asks })
            }
            None => Body::Delta(BookDelta { first_id: None, last_id: None, prev_id: None, bids, asks }),
        };
        let event = MarketEvent { ts_event: open.ts_event, ts_recv: Some(open.ts_recv), body };
        out.push_back(FeedEvent { venue: Venue::Unsequenced, symbol: open.symbol, event, source: 0 });
    }

    /// A row that is a message of its own.
    fn single(
        &mut self,
        row: &Row<'_>,
        line: u64,
        out: &mut VecDeque<FeedEvent>,
    ) -> Result<LineRead, MessageError> {
        let (ts_event, ts_recv) = self.times(row)?;
        let symbol = Symbol::new(row.symbol());
        let known = self.known(&symbol)?;
        let book = matches!(self.header, Header::Snapshots { .. });
        let read = match &self.header {
            Header::Trades => trade(row, known)?,
            Header::Quotes if row.levels(&self.header).len() < 2 => {
                return Ok(LineRead::LeftOut("quote without two sides".into()));
            }
            Header::Quotes => quote(row, known),
            Header::Book | Header::Snapshots { .. } => snapshot(row, known),
        };
        let body = match read {
            Ok(body) => body,
            Err(bad) => Body::Refused(refusal(bad, book, &self.file, line)?),
        };
        let event = MarketEvent { ts_event, ts_recv: Some(ts_recv), body };
        out.push_back(FeedEvent { venue: Venue::Unsequenced, symbol, event, source: 0 });
        Ok(LineRead::Done)
    }
}

impl LineReader for Reader {
    fn line(&mut self, line: &Line<'_>, out: &mut VecDeque<FeedEvent>) -> Result<LineRead, MessageError> {
        if line.number == 1 {
            return Ok(LineRead::LeftOut("header".into()));
        }
        if !line.ended {
            // A number that was cut off still looks like one.
            return Err(MessageError::Malformed("a row without a line end".into()));
        }
        let row = Row::read(line.bytes, &self.header)?;
        match self.header {
            Header::Book => self.book_row(&row, line.number, out).map(|()| LineRead::Done),
            Header::Trades | Header::Quotes | Header::Snapshots { .. } => self.single(&row, line.number, out),
        }
    }

    fn end(&mut self, out: &mut VecDeque<FeedEvent>) -> Result<(), MessageError> {
        self.close(out);
        Ok(())
    }
}

fn refusal(bad: Bad, book: bool, file: &str, line: u64) -> Result<Refused, MessageError> {
    match bad {
        Bad::Refuse { reason, what } => {
            Ok(Refused { reason, book, detail: format!("{file}:{line}: {what}") })
        }
        Bad::Coarse(what) => Err(MessageError::Fatal(InputKind::StepTooCoarse, what)),
    }
}

fn trade(row: &Row<'_>, known: &Known) -> Result<Result<Body, Bad>, MessageError> {
    let rest = row.rest();
    let aggressor = match rest[1] {
        "buy" => Aggressor::Buyer,
        "sell" => Aggressor::Seller,
        "unknown" | "" => Aggressor::Unknown,
        other => return Err(MessageError::Malformed(format!("side is {other:?}"))),
    };
    let read = numbers::level([rest[2], rest[3]], "price, amount", known);
    Ok(read.map(|level| {
        let id = rest[0].parse().ok();
        Body::Trade(Trade { id, px: level.px, qty: level.qty, aggressor, non_market: false })
    }))
}

fn quote(row: &Row<'_>, known: &Known) -> Result<Body, Bad> {
    let rest = row.rest();
    Ok(Body::Quote(Quote {
        update_id: None,
        bid: numbers::level([rest[2], rest[3]], "bid", known)?,
        ask: numbers::level([rest[1], rest[0]], "ask", known)?,
    }))
}

fn snapshot(row: &Row<'_>, known: &Known) -> Result<Body, Bad> {
    let rest = row.rest();
    let side = |from: usize, field: &str| {
        let cells = rest.chunks_exact(4).map(|group| [group[from], group[from + 1]]);
        let filled = cells.filter(|[px, qty]| !px.is_empty() && !qty.is_empty());
        filled.map(|text| numbers::level(text, field, known)).collect::<Result<Vec<_>, _>>()
    };
    Ok(Body::Snapshot(BookSnapshot {
        last_id: None,
        limit: u32::try_from(rest.len() / 4).ok(),
        bids: side(2, "bids")?,
        asks: side(0, "asks")?,
    }))
}

#[cfg(test)]
mod tests;
