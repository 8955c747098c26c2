//! Books and streams of events for tests, and a driver that feeds an engine with them.

use lobstream_market::book::validity::{BookState, InvalidReason};
use lobstream_market::book::{BookView, Cross, OrderBook};
use lobstream_market::event::{Aggressor, BookSnapshot, Level, Trade};
use lobstream_market::factor::row::FactorRow;
use lobstream_market::factor::{Continuity, FactorEngine};
use lobstream_market::instrument::{Instrument, Symbol, Venue};
use lobstream_market::price::{Lots, Step, Ticks};

pub(super) const MS: i64 = 1_000_000;

pub(super) fn instrument(tick: &str, lot: &str) -> Instrument {
    Instrument {
        venue: Venue::BinanceUsdm,
        symbol: Symbol::new("XYZUSDT"),
        tick_size: Step::parse(tick).expect("tick"),
        lot_size: Step::parse(lot).expect("lot"),
    }
}

/// Levels of one side as (ticks, lots).
pub(super) type Side = Vec<(i64, i64)>;

/// What may happen to a symbol, with a time in ms.
#[derive(Clone, Debug)]
pub(super) enum What {
    Book { resync: bool, bids: Side, asks: Side },
    BookGap,
    Trade { id: Option<i64>, px: i64, qty: i64, aggressor: Aggressor },
    TradeGap,
    FeedDown,
    Tick,
}

#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) ms: i64,
    pub(super) what: What,
}

/// Feeds an engine and keeps the counters of the book that a sync machine would.
#[derive(Clone)]
pub(super) struct Driver {
    pub(super) engine: FactorEngine,
    epoch: u32,
    seq: u64,
}

impl Driver {
    pub(super) fn new(engine: FactorEngine) -> Driver {
        Driver { engine, epoch: 0, seq: 0 }
    }

    pub(super) fn feed(&mut self, event: &Event, out: &mut Vec<FactorRow>) {
        let ts = Some(event.ms * MS);
        match &event.what {
            What::Book { resync, bids, asks } => {
                self.epoch += u32::from(*resync);
                self.seq += 1;
                let continuity = if *resync { Continuity::Resync } else { Continuity::Delta };
                let book = book(bids, asks);
                let (state, reason) = judge(&book);
                let view = BookView {
                    book: &book,
                    state,
                    reason,
                    epoch: self.epoch,
                    book_seq: self.seq,
                    last_update_id: None,
                };
                self.engine.on_book(ts, &view, continuity, out);
            }
            What::BookGap => self.engine.on_book_gap(ts, InvalidReason::Gap, out),
            What::Trade { id, px, qty, aggressor } => {
                let (px, qty) = (Ticks(*px), Lots(*qty));
                let trade = Trade { id: *id, px, qty, aggressor: *aggressor, non_market: false };
                self.engine.on_trade(ts, &trade, out);
            }
            What::TradeGap => self.engine.on_trade_gap(ts, out),
            What::FeedDown => self.engine.on_feed_down(ts, out),
            What::Tick => self.engine.tick(event.ms * MS, out),
        }
    }

    pub(super) fn feed_all(&mut self, events: &[Event]) -> Vec<FactorRow> {
        let mut out = Vec::new();
        events.iter().for_each(|event| self.feed(event, &mut out));
        out
    }
}

pub(super) fn book(bids: &Side, asks: &Side) -> OrderBook {
    let levels =
        |side: &Side| side.iter().map(|(px, qty)| Level { px: Ticks(*px), qty: Lots(*qty) }).collect();
    let mut book = OrderBook::new(1_000);
    book.load(&BookSnapshot { last_id: None, limit: None, bids: levels(bids), asks: levels(asks) });
    book
}

/// State and reason of a book that continuity has nothing against.
pub(super) fn judge(book: &OrderBook) -> (BookState, Option<InvalidReason>) {
    use lobstream_market::book::Side::{Ask, Bid};
    match (book.cross(), book.len(Bid), book.len(Ask)) {
        (Some(Cross::Locked), _, _) => (BookState::Crossed, Some(InvalidReason::Locked)),
        (Some(Cross::Crossed), _, _) => (BookState::Crossed, Some(InvalidReason::Crossed)),
        (None, 0, 0) => (BookState::Empty, None),
        (None, 0, _) | (None, _, 0) => (BookState::OneSided, None),
        (None, _, _) => (BookState::Ok, None),
    }
}

/// All cells of all rows as text with the bits of every float, so that equal text is equal bits.
pub(super) fn bits(rows: &[FactorRow]) -> Vec<String> {
    use lobstream_market::factor::columns::Cell;
    let text = |cell: Cell| match cell {
        Cell::Date(day) => day.to_string(),
        Cell::Float(x) => format!("{:016x}", x.to_bits()),
        cell @ (Cell::Null | Cell::Bool(_) | Cell::Int(_) | Cell::Text(_)) => format!("{cell:?}"),
    };
    rows.iter().map(|row| row.cells().into_iter().map(text).collect::<Vec<_>>().join(" ")).collect()
}
