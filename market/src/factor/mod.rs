//! Factors: numbers of a symbol, second by second.
//!
//! ```text
//!  book, gap, trade ──▶ FactorEngine ──▶ FactorRow, one per second
//!                        ├ status      in which condition the book was
//!                        ├ ofi         flow of the best five levels, and the top of the book for imbalance
//!                        ├ trade_flow  signed volume, running sum, holes in the ids
//!                        └ zscore      how unusual: ofi_w, delta
//! ```
//! What every number keeps:
//! - It is a function of the events in their order: no clock, no randomness, nothing allocated per event.
//! - Undefined is `None`: never 0, never NaN. 0 is a value.
//! - One call per event, any chunking, saved and restored after any event: the same bits.
//! - Prices and quantities are integers in sums; the float is made in the last step.
//! - A gap is never bridged: nothing is differenced across a resync, a partial sum is not a smaller flow.

pub mod columns;
pub mod imbalance;
pub mod maths;
pub mod ofi;
pub mod row;
mod status;
pub mod technical;
pub mod trade_flow;
pub mod window;
pub mod zscore;

use serde::{Deserialize, Serialize};

use crate::book::BookView;
use crate::book::validity::InvalidReason;
use crate::event::Trade;
use crate::instrument::Instrument;
use imbalance::Top;
use ofi::Ofi;
use row::FactorRow;
use status::BookStatus;
use trade_flow::{Arrival, TradeFlow};
use zscore::{Hybrid, HybridSettings, Wins, WinsSettings};

const SECOND: i64 = 1_000_000_000;
/// Longest silence between two records that is written out as quiet rows, s.
const QUIET_S_MAX: i64 = 100_000;
/// Times beyond some 142 years around 1970 are taken for these, so that differences fit.
const TS_MAX: i64 = 4_500_000_000 * SECOND;
const TS_MIN: i64 = -TS_MAX;

/// A book gap lies in the window.
pub const GAP_BOOK: u8 = 1;
/// A trade gap lies in the window.
pub const GAP_TRADE: u8 = 2;
/// Records of the window came after its start had passed.
pub const GAP_LATE: u8 = 8;

/// How a book follows the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuity {
    /// First of an epoch: it is compared with nothing.
    Resync,
    /// The one before plus the messages between.
    Delta,
}

/// What may be chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FactorSettings {
    /// Baseline of `z_ofi`.
    pub z_ofi: WinsSettings,
    /// Scale of `z_cvd`.
    pub z_cvd: HybridSettings,
    /// A longer spell without a usable book clears the histories fed by the book, ms.
    pub reset_gap_ms: i64,
}

impl Default for FactorSettings {
    /// The defaults of the z-scores, and 300 s.
    fn default() -> FactorSettings {
        FactorSettings {
            z_ofi: WinsSettings::default(),
            z_cvd: HybridSettings::default(),
            reset_gap_ms: 300_000,
        }
    }
}

/// Makes the rows of one symbol.
///
/// Times are ns since 1970; a record's `ts_event` is `None` where the venue gives none. *Symbol time* is the
/// greatest `ts_event` seen. Every call first closes the rows that symbol time has ended, then counts; what is
/// late counts in the open row like any other. Nothing moves before the first record.
///
/// The whole state is saved and restored by serde; a restored engine goes on with the same bits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FactorEngine {
    instrument: Instrument,
    reset_gap_ns: i64,
    /// Symbol time and start of the open second.
    time: Option<SymbolTime>,
    gap_flags: u8,
    late_n: u32,
    status: BookStatus,
    ofi: Ofi,
    trades: TradeFlow,
    z_ofi: Wins,
    z_cvd: Hybrid,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct SymbolTime {
    now: i64,
    start: i64,
}

impl FactorEngine {
    /// Before the first record.
    pub fn new(instrument: Instrument, settings: FactorSettings) -> FactorEngine {
        FactorEngine {
            trades: TradeFlow::new(instrument.venue),
            instrument,
            reset_gap_ns: settings.reset_gap_ms.saturating_mul(1_000_000),
            time: None,
            gap_flags: 0,
            late_n: 0,
            status: BookStatus::default(),
            ofi: Ofi::default(),
            z_ofi: Wins::new(settings.z_ofi),
            z_cvd: Hybrid::new(settings.z_cvd),
        }
    }

    /// A book message has been applied, or the book may be used again.
    pub fn on_book(
        &mut self,
        ts_event: Option<i64>,
        view: &BookView<'_>,
        continuity: Continuity,
        out: &mut Vec<FactorRow>,
    ) {
        self.record(ts_event, out);
        let resync = continuity == Continuity::Resync;
        let spell = self.status.on_book(self.now(), view, resync);
        if spell.is_some_and(|ns| ns > self.reset_gap_ns) {
            self.z_ofi.clear();
        }
        if resync {
            self.ofi.forget();
        }
        self.ofi.on_book(Top::of(view));
    }

    /// The book may not be used from here on, or for another reason than before. (A crossed or locked book
    /// is still read: it comes by [`FactorEngine::on_book`].)
    pub fn on_book_gap(&mut self, ts_event: Option<i64>, reason: InvalidReason, out: &mut Vec<FactorRow>) {
        self.record(ts_event, out);
        if self.status.on_gap(self.now(), reason) {
            self.gap_flags |= GAP_BOOK;
        }
        self.ofi.forget();
    }

    /// A trade. One that was counted before counts once.
    pub fn on_trade(&mut self, ts_event: Option<i64>, trade: &Trade, out: &mut Vec<FactorRow>) {
        self.record(ts_event, out);
        match self.trades.arrival(trade) {
            Arrival::Next => {}
            Arrival::AfterHole => self.tear_trades(),
            Arrival::Repeated => return,
        }
        self.trades.on_trade(self.now(), trade);
    }

    /// Trades may be missing from here on.
    pub fn on_trade_gap(&mut self, ts_event: Option<i64>, out: &mut Vec<FactorRow>) {
        self.record(ts_event, out);
        self.tear_trades();
    }

    /// Nobody listens from here on: until a message with a time comes, nothing is known of any second.
    pub fn on_feed_down(&mut self, ts_event: Option<i64>, out: &mut Vec<FactorRow>) {
        self.record(ts_event, out);
        self.gap_flags |= GAP_TRADE;
        self.trades.on_down();
    }

    /// Other steps are in force: book and sums in old ones are worth nothing.
    pub fn on_instrument(
        &mut self,
        ts_event: Option<i64>,
        instrument: &Instrument,
        out: &mut Vec<FactorRow>,
    ) {
        if *instrument == self.instrument {
            return;
        }
        self.on_book_gap(ts_event, InvalidReason::Resyncing, out);
        self.gap_flags |= GAP_TRADE;
        self.trades.on_new_steps();
        self.instrument = instrument.clone();
    }

    /// A record of the symbol that changed nothing, such as a message buffered until a snapshot joins.
    pub fn mark(&mut self, ts_event: Option<i64>, out: &mut Vec<FactorRow>) {
        self.record(ts_event, out);
    }

    /// Lifts symbol time to `until` without a record: the row that ends there is closed although the symbol is
    /// silent. To be called at `until` plus the disorder allowed.
    pub fn tick(&mut self, until: i64, out: &mut Vec<FactorRow>) {
        if self.time.is_some() {
            self.reach(until, out);
        }
    }

    /// Would [`FactorEngine::tick`] change anything? Only an open row that ends by `until` does.
    pub fn is_due(&self, until: i64) -> bool {
        self.time.is_some_and(|time| until - time.start >= SECOND)
    }

    /// The steps in force.
    pub fn instrument(&self) -> &Instrument {
        &self.instrument
    }

    /// Symbol time; `None` before the first record with a time.
    pub fn now(&self) -> Option<i64> {
        self.time.map(|time| time.now)
    }

    /// Start of the open window, ns; `None` before the first record with a time.
    pub fn open_window(&self) -> Option<i64> {
        self.time.map(|time| time.start)
    }

    fn tear_trades(&mut self) {
        self.gap_flags |= GAP_TRADE;
        self.trades.on_gap();
    }

    /// Time first, then lateness.
    fn record(&mut self, ts_event: Option<i64>, out: &mut Vec<FactorRow>) {
        let Some(ts) = ts_event else { return };
        self.reach(ts, out);
        self.trades.on_message();
        if self.time.is_some_and(|time| ts < time.start) {
            self.late_n = self.late_n.saturating_add(1);
            self.gap_flags |= GAP_LATE;
        }
    }

    fn reach(&mut self, ts: i64, out: &mut Vec<FactorRow>) {
        // A topic may hold any number; a second of it must still have an end.
        let ts = ts.clamp(TS_MIN, TS_MAX);
        let Some(mut time) = self.time else { return self.begin(ts) };
        while ts - time.start >= SECOND {
            out.push(self.close(time.start));
            time.start += SECOND;
            if ts - time.start > QUIET_S_MAX * SECOND {
                return self.begin(ts);
            }
        }
        time.now = time.now.max(ts);
        self.time = Some(time);
    }

    /// The first second of a grid: it is torn.
    fn begin(&mut self, ts: i64) {
        self.time = Some(SymbolTime { now: ts, start: ts.div_euclid(SECOND) * SECOND });
        self.status.first_second(ts);
        self.trades.tear();
    }

    /// The row of [start, start + 1 s), and the state at the beginning of the next.
    fn close(&mut self, start: i64) -> FactorRow {
        let end = start + SECOND;
        let mut row = FactorRow {
            ts_ms: start / 1_000_000,
            venue: self.instrument.venue.as_str().to_owned(),
            symbol: self.instrument.symbol.as_str().to_owned(),
            gap_flags: self.gap_flags,
            late_n: self.late_n,
            ..FactorRow::default()
        };
        self.status.fill(&mut row, end);
        if let Some(top) = self.ofi.top() {
            top.fill(&mut row, &self.instrument);
        }
        if self.status.is_whole() {
            self.ofi.fill(&mut row, self.instrument.lot_size);
        }
        self.trades.fill(&mut row, end, &self.instrument);
        row.z_ofi = row.ofi_w.and_then(|x| self.z_ofi.push(x));
        row.z_cvd = row.delta.and_then(|x| self.z_cvd.push(x, start as f64 / 1e9));
        self.next_second(end);
        row
    }

    fn next_second(&mut self, start: i64) {
        self.status.next_second(start);
        self.ofi.next_second();
        self.trades.next_second();
        self.gap_flags = if self.trades.is_down() { GAP_TRADE } else { 0 };
        self.late_n = 0;
    }
}
