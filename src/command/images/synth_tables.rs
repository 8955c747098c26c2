//! The tables of a made-up day in a vendor's spelling, as Parquet or CSV.

use std::fs::File;
use std::io::{BufWriter, Write};

use lobstream_market::ashare::{
    ExecKind, OrdType, Phase, SseFlag, SseKind, SseRow, StockCode, SzseExecution, SzseOrder, TickTime,
};
use lobstream_market::book::Side;

use crate::parquet::growing::{Batch, Growing};

/// Rows of one row group.
const GROUP_ROWS: usize = 1 << 19;

/// How tables are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Zstandard inside.
    Parquet,
    /// A header, LF, prices as decimals.
    Csv,
}

impl Format {
    pub(super) fn extension(self) -> &'static str {
        match self {
            Format::Parquet => "parquet",
            Format::Csv => "csv",
        }
    }
}

/// A table into which rows go.
pub(super) trait Table: Sized {
    /// First part of its file name.
    const NAME: &'static str;
    /// What it takes.
    type Row;

    /// An empty one.
    fn new(into: BufWriter<File>, format: Format) -> Result<Self, String>;
    /// Takes rows.
    fn append(&mut self, rows: &[Self::Row]) -> Result<(), String>;
    /// Writes what is left.
    fn finish(self) -> Result<(), String>;
}

/// Columns that gather rows until a group is full.
#[derive(Clone, Debug, Default)]
struct Columns {
    code: Vec<i32>,
    time: Vec<i32>,
    channel: Vec<i32>,
    index: Vec<i64>,
    price: Vec<f64>,
    qty: Vec<i64>,
    buy_no: Vec<i64>,
    sell_no: Vec<i64>,
    money: Vec<f64>,
    word: Vec<&'static str>,
    flag: Vec<&'static str>,
}

impl Columns {
    /// What every table has. Prices are ticks.
    fn push(&mut self, code: StockCode, channel: u32, index: i64, time: TickTime, price: i64, qty: i64) {
        self.code.push(code.number() as i32);
        self.channel.push(channel as i32);
        self.index.push(index);
        self.time.push(time.0 as i32);
        self.price.push(yuan(code, price));
        self.qty.push(qty);
    }

    /// Numbers of the orders of both sides.
    fn push_sides(&mut self, buy_no: i64, sell_no: i64) {
        self.buy_no.push(buy_no);
        self.sell_no.push(sell_no);
    }
}

/// What columns a table has, and under which names.
type Shape = fn(Columns) -> Vec<(&'static str, Batch)>;

/// Where a table goes, and what it holds back.
struct Writer {
    into: Into,
    columns: Columns,
}

enum Into {
    Parquet(Box<Growing<BufWriter<File>>>),
    Csv(BufWriter<File>),
}

impl Writer {
    fn new(mut into: BufWriter<File>, format: Format, shape: Shape) -> Result<Writer, String> {
        let columns = shape(Columns::default());
        let into = match format {
            Format::Parquet => Into::Parquet(Box::new(Growing::new(into, &columns)?)),
            Format::Csv => {
                let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
                writeln!(into, "{}", names.join(",")).map_err(|e| e.to_string())?;
                Into::Csv(into)
            }
        };
        Ok(Writer { into, columns: Columns::default() })
    }

    /// Writes a group if there is a whole one, or if these are the last rows.
    fn flush(&mut self, shape: Shape, last: bool) -> Result<(), String> {
        let rows = self.columns.code.len();
        if rows == 0 || (rows < GROUP_ROWS && !last) {
            return Ok(());
        }
        let columns = shape(std::mem::take(&mut self.columns));
        match &mut self.into {
            Into::Parquet(file) => file.append(rows, columns.into_iter().map(|(_, cells)| cells).collect()),
            Into::Csv(file) => csv(file, rows, &columns).map_err(|e| e.to_string()),
        }
    }

    fn finish(mut self, shape: Shape) -> Result<(), String> {
        self.flush(shape, true)?;
        match self.into {
            Into::Parquet(file) => file.finish(),
            Into::Csv(mut file) => file.flush().map_err(|e| e.to_string()),
        }
    }
}

fn csv(into: &mut impl Write, rows: usize, columns: &[(&'static str, Batch)]) -> std::io::Result<()> {
    for row in 0..rows {
        for (i, (_, cells)) in columns.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            match cells {
                Batch::Short(c) => write!(into, "{comma}{}", c[row])?,
                Batch::Int(c) => write!(into, "{comma}{}", c[row])?,
                Batch::Float(c) => write!(into, "{comma}{}", c[row])?,
                Batch::Text(c) => write!(into, "{comma}{}", c[row])?,
            }
        }
        writeln!(into)?;
    }
    Ok(())
}

/// Ticks as yuan: the float nearest to the decimal.
fn yuan(code: StockCode, ticks: i64) -> f64 {
    let steps = if code.tick_decimals() == 2 { 100.0 } else { 1_000.0 };
    ticks as f64 / steps
}

/// Shanghai's merged stream.
pub(super) struct Merged(Writer);

fn merged(c: Columns) -> Vec<(&'static str, Batch)> {
    vec![
        ("BizIndex", Batch::Int(c.index)),
        ("Channel", Batch::Short(c.channel)),
        ("SecurityID", Batch::Short(c.code)),
        ("TickTime", Batch::Short(c.time)),
        ("Type", Batch::Text(c.word)),
        ("BuyOrderNO", Batch::Int(c.buy_no)),
        ("SellOrderNO", Batch::Int(c.sell_no)),
        ("Price", Batch::Float(c.price)),
        ("Qty", Batch::Int(c.qty)),
        ("TradeMoney", Batch::Float(c.money)),
        ("TickBSFlag", Batch::Text(c.flag)),
    ]
}

impl Table for Merged {
    const NAME: &'static str = "mdl_4_24_0";
    type Row = (StockCode, SseRow);

    fn new(into: BufWriter<File>, format: Format) -> Result<Merged, String> {
        Writer::new(into, format, merged).map(Merged)
    }

    fn append(&mut self, rows: &[Self::Row]) -> Result<(), String> {
        let c = &mut self.0.columns;
        for &(code, row) in rows {
            c.push(code, row.channel, row.index, row.time, row.price, row.qty);
            c.push_sides(row.buy_no, row.sell_no);
            c.word.push(match row.kind {
                SseKind::Add => "A",
                SseKind::Delete => "D",
                SseKind::Trade => "T",
                SseKind::Status => "S",
            });
            // What an add has traded already is not known here: vendors write 0 where they do not know.
            let money = row.money.filter(|_| row.kind == SseKind::Trade).unwrap_or(0);
            c.money.push(yuan(code, money));
            c.flag.push(row.phase.map_or(flag(row.flag), phase));
        }
        self.0.flush(merged, false)
    }

    fn finish(self) -> Result<(), String> {
        self.0.finish(merged)
    }
}

fn flag(flag: SseFlag) -> &'static str {
    match flag {
        SseFlag::B => "B",
        SseFlag::S => "S",
        SseFlag::N => "N",
    }
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Pre => "START",
        Phase::OpenCall => "OCALL",
        Phase::Pause | Phase::Continuous | Phase::Break => "TRADE",
        Phase::CloseCall => "CCALL",
        Phase::After => "ENDTR",
        Phase::Halt => "SUSP",
    }
}

/// Shenzhen's orders.
pub(super) struct Orders(Writer);

fn orders(c: Columns) -> Vec<(&'static str, Batch)> {
    vec![
        ("SecurityID", Batch::Short(c.code)),
        ("TransactTime", Batch::Short(c.time)),
        ("Price", Batch::Float(c.price)),
        ("OrderQty", Batch::Int(c.qty)),
        ("Side", Batch::Text(c.word)),
        ("OrdType", Batch::Text(c.flag)),
        ("ApplSeqNum", Batch::Int(c.index)),
        ("ChannelNo", Batch::Short(c.channel)),
    ]
}

impl Table for Orders {
    const NAME: &'static str = "MktOrderDataSZ";
    type Row = (StockCode, SzseOrder);

    fn new(into: BufWriter<File>, format: Format) -> Result<Orders, String> {
        Writer::new(into, format, orders).map(Orders)
    }

    fn append(&mut self, rows: &[Self::Row]) -> Result<(), String> {
        let c = &mut self.0.columns;
        for &(code, row) in rows {
            c.push(code, row.channel, row.index, row.time, row.price, row.qty);
            c.word.push(match row.side {
                Some(Side::Bid) => "49",
                Some(Side::Ask) => "50",
                None => "71",
            });
            c.flag.push(match row.kind {
                OrdType::Market => "49",
                OrdType::Limit => "50",
                OrdType::OwnBest => "U",
            });
        }
        self.0.flush(orders, false)
    }

    fn finish(self) -> Result<(), String> {
        self.0.finish(orders)
    }
}

/// Shenzhen's trades and cancels.
pub(super) struct Executions(Writer);

fn executions(c: Columns) -> Vec<(&'static str, Batch)> {
    vec![
        ("SecurityID", Batch::Short(c.code)),
        ("TransactTime", Batch::Short(c.time)),
        ("LastPx", Batch::Float(c.price)),
        ("LastQty", Batch::Int(c.qty)),
        ("BidApplSeqNum", Batch::Int(c.buy_no)),
        ("OfferApplSeqNum", Batch::Int(c.sell_no)),
        ("ExecType", Batch::Text(c.word)),
        ("ApplSeqNum", Batch::Int(c.index)),
        ("ChannelNo", Batch::Short(c.channel)),
    ]
}

impl Table for Executions {
    const NAME: &'static str = "MktTradeDataSZ";
    type Row = (StockCode, SzseExecution);

    fn new(into: BufWriter<File>, format: Format) -> Result<Executions, String> {
        Writer::new(into, format, executions).map(Executions)
    }

    fn append(&mut self, rows: &[Self::Row]) -> Result<(), String> {
        let c = &mut self.0.columns;
        for &(code, row) in rows {
            c.push(code, row.channel, row.index, row.time, row.price, row.qty);
            c.push_sides(row.buy_no, row.sell_no);
            c.word.push(match row.kind {
                ExecKind::Trade => "70",
                ExecKind::Cancel => "52",
            });
        }
        self.0.flush(executions, false)
    }

    fn finish(self) -> Result<(), String> {
        self.0.finish(executions)
    }
}
