//! What is kept beside the images of a day, as JSON: the run, each stock, its cuts.

use std::collections::BTreeMap;

use lobstream_market::ashare::DayCounters;
use lobstream_market::images::{CHANNELS, Channel, DayImage, Dropped, Measure, Tally, measures};
use serde::{Deserialize, Serialize};

/// Version of these rows.
pub const SCHEMA: u32 = 1;

/// The run that made a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRow {
    /// [`SCHEMA`].
    pub schema: u32,
    /// `YYYYMMDD`.
    pub date: String,
    /// The `[images]` block, every key.
    pub config: String,
    /// SHA-256 of it.
    pub config_hash: String,
    /// Which stocks were asked for.
    pub selection: String,
    /// The files that were read, in name order.
    pub inputs: Vec<InputRow>,
    /// Version of this program.
    pub version: String,
    /// When it began, UTC.
    pub started: String,
    /// When it was complete; `None` while it is built.
    pub ended: Option<String>,
    /// Rows that were dropped where files were read, by file and reason.
    pub rejected: BTreeMap<String, BTreeMap<String, u64>>,
    /// What became of the stocks.
    pub totals: Option<Totals>,
    /// SHA-256 over `key ‖ 0x00 ‖ 3840 bytes` of all images in key order, hex.
    pub day_hash: Option<String>,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRow {
    /// Its path below `--in`.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// XXH3-128 of its bytes, hex.
    pub hash: String,
}

/// Stocks by status, and rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// With an image.
    pub ok: u64,
    /// Without a record in the session.
    pub empty: u64,
    /// Skipped because of their size.
    pub too_many_rows: u64,
    /// Failed.
    pub error: u64,
    /// Rows of all of them.
    pub rows: u64,
}

impl Totals {
    /// Adds a stock.
    pub fn add(&mut self, stock: &StockRow) {
        let n = match stock.status {
            Status::Ok => &mut self.ok,
            Status::Empty => &mut self.empty,
            Status::TooManyRows => &mut self.too_many_rows,
            Status::Error => &mut self.error,
        };
        *n += 1;
        self.rows += stock.counters.day.rows;
    }

    /// All stocks.
    pub fn stocks(&self) -> u64 {
        self.ok + self.empty + self.too_many_rows + self.error
    }
}

/// What became of a stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It has an image.
    Ok,
    /// Nothing of it happened in the session: no image.
    Empty,
    /// More rows than `max_rows_per_stock`: no image.
    TooManyRows,
    /// It failed: no image.
    Error,
}

/// What is known about a stock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StockRow {
    /// What became of it.
    pub status: Status,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<String>,
    /// Records in the image.
    pub trades: u64,
    /// New orders in the image.
    pub orders: u64,
    /// Cancels in the image.
    pub cancels: u64,
    /// What was counted on the way.
    pub counters: Counters,
    /// Records by channel.
    pub channel_sums: [u64; CHANNELS],
    /// Cells above 0 by channel.
    pub nonzero_cells: [u32; CHANNELS],
    /// The greatest cell by channel.
    pub greatest_cells: [u32; CHANNELS],
    /// Share of the day's cancels that have no price.
    pub cancel_missing_ratio: f64,
    /// What is unusual about it, one text each.
    pub warnings: Vec<String>,
    /// XXH3-64 of the 3840 bytes of the image, hex.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hash: Option<String>,
}

impl StockRow {
    /// All measures of its image.
    pub fn measures(&self) -> Vec<Measure> {
        let mut tallies = [Tally::default(); CHANNELS];
        for (i, tally) in tallies.iter_mut().enumerate() {
            *tally = Tally {
                sum: self.channel_sums[i],
                nonzero: self.nonzero_cells[i],
                greatest: self.greatest_cells[i],
            };
        }
        measures(&tallies, self.cancel_missing_ratio)
    }
}

/// Rows by what happened to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Where rows became a day.
    #[serde(flatten)]
    pub day: DayCounters,
    /// Trades outside the session.
    pub trade_out_of_session: u64,
    /// Orders outside the session.
    pub order_out_of_session: u64,
    /// Cancels outside the session.
    pub cancel_out_of_session: u64,
    /// Trades without a price.
    pub trade_bad_price: u64,
    /// Orders without a price.
    pub order_unpriced: u64,
    /// Anything without a quantity.
    pub bad_qty: u64,
}

impl Counters {
    /// Both together.
    pub(super) fn new(day: DayCounters, dropped: &Dropped) -> Counters {
        Counters {
            day,
            trade_out_of_session: dropped.trade_out_of_session,
            order_out_of_session: dropped.order_out_of_session,
            cancel_out_of_session: dropped.cancel_out_of_session,
            trade_bad_price: dropped.trade_bad_price,
            order_unpriced: dropped.order_unpriced,
            bad_qty: dropped.bad_qty,
        }
    }
}

/// By what the records of a stock were sorted into cells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CutsRow {
    /// Cuts of trade prices, eighths of a tick.
    pub trade_price_x8: [i64; 7],
    /// Cuts of trade quantities, eighths of a share.
    pub trade_qty_x8: [i64; 7],
    /// Cuts of order prices.
    pub order_price_x8: [i64; 7],
    /// Cuts of order quantities.
    pub order_qty_x8: [i64; 7],
    /// From here on a parent order is big, ticks × shares; `None` without trades.
    pub threshold: Option<f64>,
    /// Parent orders.
    pub n_parents: u64,
    /// Close of the day before, ticks; `None` if it is not known.
    pub prev_close_ticks: Option<i64>,
    /// Decimals of a tick: 2 is 0.01.
    pub tick_decimals: u32,
}

impl CutsRow {
    /// Of a painted day. The close of the day before is not known to it.
    pub(super) fn new(day: &DayImage, tick_decimals: u32) -> CutsRow {
        let scales = &day.scales;
        CutsRow {
            trade_price_x8: scales.trade_price.x8(),
            trade_qty_x8: scales.trade_qty.x8(),
            order_price_x8: scales.order_price.x8(),
            order_qty_x8: scales.order_qty.x8(),
            threshold: Some(scales.threshold).filter(|t| t.is_finite()),
            n_parents: day.n_parents as u64,
            prev_close_ticks: None,
            tick_decimals,
        }
    }

    /// Cuts of price and of quantity that a channel is binned by, in currency and shares.
    pub fn of_channel(&self, channel: Channel) -> ([f64; 7], [f64; 7]) {
        let (prices, qtys) = if channel.is_of_trades() {
            (self.trade_price_x8, self.trade_qty_x8)
        } else {
            (self.order_price_x8, self.order_qty_x8)
        };
        let per_unit = 8.0 * 10_f64.powi(self.tick_decimals as i32);
        (prices.map(|x8| x8 as f64 / per_unit), qtys.map(|x8| x8 as f64 / 8.0))
    }
}
