//! Columns become rows: codes, ticks, sides and kinds, each checked; what cannot be used is counted.

use lobstream_market::ashare::{
    Exchange, ExecKind, OrdType, Phase, RestoredKind, RestoredOrder, SseFlag, SseKind, SseRow, StockCode,
    SzseExecution, SzseOrder, TickTime,
};
use lobstream_market::book::Side;

use super::cells::{BAD, NO_TIME, SH, SZ, word};
use super::columns::Columns;
use super::layout::TableKind;
use super::tally::{Reject, Tally};
use crate::parquet::groups::MISSING;

/// Rows of one piece of a file, each with its stock, in the order of the file. A table fills one of the
/// vectors; trades of both exchanges fill two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Shanghai's rows.
    pub sse: Vec<(StockCode, SseRow)>,
    /// Shanghai's orders as a vendor restored them.
    pub restored: Vec<(StockCode, RestoredOrder)>,
    /// Shenzhen's orders.
    pub orders: Vec<(StockCode, SzseOrder)>,
    /// Shenzhen's executions.
    pub executions: Vec<(StockCode, SzseExecution)>,
}

impl Batch {
    fn clear(&mut self) {
        self.sse.clear();
        self.restored.clear();
        self.orders.clear();
        self.executions.clear();
    }

    /// Rows of all kinds.
    pub fn len(&self) -> usize {
        self.sse.len() + self.restored.len() + self.orders.len() + self.executions.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes what columns hold in place of what was there. `before` rows of the file came earlier.
    pub(super) fn take(&mut self, kind: TableKind, columns: &Columns, before: u64, tally: &mut Tally) {
        self.clear();
        tally.rows += columns.rows as u64;
        match kind {
            TableKind::SseMerged => each(columns, before, tally, |r| self.sse_row(&r, r.sse_kind(r.kind())?)),
            TableKind::SseBoth => each(columns, before, tally, |r| self.sse_row(&r, r.sse_both_kind()?)),
            TableKind::SseOrders => each(columns, before, tally, |r| self.sse_row(&r, r.sse_kind(r.kind())?)),
            TableKind::SseTrades => each(columns, before, tally, |r| self.sse_row(&r, SseKind::Trade)),
            TableKind::SseRestored => each(columns, before, tally, |r| self.restored_row(&r)),
            TableKind::SzseOrders => each(columns, before, tally, |r| self.order_row(&r)),
            TableKind::SzseExecutions => {
                each(columns, before, tally, |r| self.execution_row(&r, &r.columns.index))
            }
            TableKind::BothTrades => each(columns, before, tally, |r| match r.word(&r.columns.market) {
                SZ => self.execution_row(&r, &r.columns.sz_index),
                SH => self.sse_row(&r, SseKind::Trade),
                _ => Err(None),
            }),
        }
    }

    fn sse_row(&mut self, r: &Row<'_>, kind: SseKind) -> Result<(), Option<Reject>> {
        let code = r.code(Exchange::Sh)?;
        let word = r.word(&r.columns.flag);
        let flag = match word {
            B | ONE => SseFlag::B,
            S | TWO => SseFlag::S,
            _ => SseFlag::N,
        };
        let order = matches!(kind, SseKind::Add | SseKind::Delete);
        let side = flag.side();
        if order && side.is_none() {
            return Err(Some(Reject::BadField));
        }
        let (buy_no, sell_no) = match side {
            // A table of orders has one number; a merged one names the order on its own side.
            _ if r.columns.no.is_empty() => (r.int(&r.columns.buy_no), r.int(&r.columns.sell_no)),
            Some(Side::Bid) => (r.int(&r.columns.no), 0),
            _ => (0, r.int(&r.columns.no)),
        };
        let status = kind == SseKind::Status;
        let row = SseRow {
            channel: r.channel(),
            index: r.index(&r.columns.index)?,
            time: r.time()?,
            kind,
            buy_no: number(buy_no)?,
            sell_no: number(sell_no)?,
            price: if status { 0 } else { r.sse_price(code, kind)? },
            qty: if status { 0 } else { r.qty()? },
            money: if kind == SseKind::Trade { r.money(code) } else { None },
            flag,
            phase: if status { phase(word) } else { None },
        };
        self.sse.push((code, row));
        Ok(())
    }

    fn restored_row(&mut self, r: &Row<'_>) -> Result<(), Option<Reject>> {
        let code = r.code(Exchange::Sh)?;
        let row = RestoredOrder {
            index: r.index(&r.columns.index)?,
            time: r.time()?,
            no: number(r.int(&r.columns.no))?,
            kind: match r.kind() {
                NEW | A | TWO => RestoredKind::New,
                CANCEL | D | TEN => RestoredKind::Cancel,
                _ => return Err(Some(Reject::BadField)),
            },
            side: r.side()?.ok_or(Some(Reject::BadField))?,
            price: r.price(code)?,
            qty: r.qty()?,
            aggressive: match r.word(&r.columns.aggressive) {
                ONE | TRUE | TRUE_PYTHON => Some(true),
                ZERO | FALSE | FALSE_PYTHON => Some(false),
                _ => None,
            },
        };
        self.restored.push((code, row));
        Ok(())
    }

    fn order_row(&mut self, r: &Row<'_>) -> Result<(), Option<Reject>> {
        let code = r.code(Exchange::Sz)?;
        let row = SzseOrder {
            channel: r.channel(),
            index: r.index(&r.columns.index)?,
            time: r.time()?,
            price: r.price(code)?,
            qty: r.qty()?,
            side: r.side()?,
            kind: match r.kind() {
                ONE | MARKET_ASCII => OrdType::Market,
                U => OrdType::OwnBest,
                _ => OrdType::Limit,
            },
        };
        self.orders.push((code, row));
        Ok(())
    }

    fn execution_row(&mut self, r: &Row<'_>, index: &[i64]) -> Result<(), Option<Reject>> {
        let code = r.code(Exchange::Sz)?;
        let kind = match r.kind() {
            F | TRADE_ASCII => ExecKind::Trade,
            FOUR | CANCEL_ASCII => ExecKind::Cancel,
            _ => return Err(Some(Reject::BadField)),
        };
        let buy_no = number(r.int(&r.columns.buy_no))?;
        let sell_no = number(r.int(&r.columns.sell_no))?;
        if kind == ExecKind::Cancel && (buy_no == 0) == (sell_no == 0) {
            return Err(Some(Reject::BadCancel));
        }
        let price = if kind == ExecKind::Trade { r.price(code)? } else { 0 };
        let index = r.index(index)?;
        let (channel, time, qty) = (r.channel(), r.time()?, r.qty()?);
        self.executions
            .push((code, SzseExecution { channel, index, time, price, qty, buy_no, sell_no, kind }));
        Ok(())
    }
}

/// Runs over the rows; `Err(None)` is a row of another market, `Err(Some(why))` one that cannot be used.
fn each(
    columns: &Columns,
    before: u64,
    tally: &mut Tally,
    mut row: impl FnMut(Row<'_>) -> Result<(), Option<Reject>>,
) {
    for at in 0..columns.rows {
        match row(Row { columns, at }) {
            Ok(()) => {}
            Err(None) => tally.other_market += 1,
            Err(Some(why)) => tally.reject(before + at as u64 + 1, why),
        }
    }
}

/// Missing order numbers are 0.
fn number(n: i64) -> Result<i64, Option<Reject>> {
    match n {
        MISSING => Ok(0),
        n if n >= 0 => Ok(n),
        _ => Err(Some(Reject::BadField)),
    }
}

struct Row<'a> {
    columns: &'a Columns,
    at: usize,
}

impl Row<'_> {
    fn int(&self, column: &[i64]) -> i64 {
        column.get(self.at).copied().unwrap_or(0)
    }

    fn word(&self, column: &[u32]) -> u32 {
        column.get(self.at).copied().unwrap_or(0)
    }

    fn kind(&self) -> u32 {
        self.word(&self.columns.kind)
    }

    fn code(&self, exchange: Exchange) -> Result<StockCode, Option<Reject>> {
        self.columns.code[self.at].stock(Some(exchange)).ok_or(Some(Reject::BadCode))
    }

    fn time(&self) -> Result<TickTime, Option<Reject>> {
        let time = self.columns.time[self.at].time;
        if time == NO_TIME { Err(Some(Reject::BadTime)) } else { Ok(TickTime(time)) }
    }

    /// 0 where the table has none.
    fn index(&self, column: &[i64]) -> Result<i64, Option<Reject>> {
        match column.get(self.at) {
            None => Ok(0),
            Some(index) if *index > 0 => Ok(*index),
            Some(_) => Err(Some(Reject::BadField)),
        }
    }

    fn channel(&self) -> u32 {
        u32::try_from(self.int(&self.columns.channel)).unwrap_or(0)
    }

    fn qty(&self) -> Result<i64, Option<Reject>> {
        match self.columns.qty[self.at] {
            BAD | MISSING => Err(Some(Reject::BadQty)),
            qty if qty < 0 => Err(Some(Reject::BadQty)),
            qty => Ok(qty),
        }
    }

    /// Ticks; a blank price is 0.
    fn price(&self, code: StockCode) -> Result<i64, Option<Reject>> {
        ticks(self.columns.price[self.at], scale(code)).ok_or(Some(Reject::OffTick))
    }

    /// The price of a Shanghai cancel need not mean anything: what is no tick is none.
    fn sse_price(&self, code: StockCode, kind: SseKind) -> Result<i64, Option<Reject>> {
        let price = self.columns.price[self.at];
        // Only the table of both has a source, and prices times 10⁴.
        let price = if self.columns.source.is_empty() { price } else { price / 1e4 };
        match ticks(price, scale(code)) {
            Some(ticks) => Ok(ticks),
            None if kind == SseKind::Delete => Ok(0),
            None => Err(Some(Reject::OffTick)),
        }
    }

    /// In ticks times shares, to the nearest; `None` where there is none.
    fn money(&self, code: StockCode) -> Option<i64> {
        let money = self.columns.money.get(self.at).copied()?;
        let ticks = (money * scale(code)).round();
        (ticks.abs() < 9e18).then_some(ticks as i64)
    }

    fn side(&self) -> Result<Option<Side>, Option<Reject>> {
        match self.word(&self.columns.side) {
            B | ONE | MARKET_ASCII => Ok(Some(Side::Bid)),
            S | TWO | LIMIT_ASCII => Ok(Some(Side::Ask)),
            G | F | TRADE_ASCII | LENDING_ASCII => Ok(None),
            _ => Err(Some(Reject::BadField)),
        }
    }

    fn sse_kind(&self, word: u32) -> Result<SseKind, Option<Reject>> {
        Ok(match word {
            A | TWO => SseKind::Add,
            D | TEN => SseKind::Delete,
            T => SseKind::Trade,
            S => SseKind::Status,
            _ => return Err(Some(Reject::BadField)),
        })
    }

    /// In the table of both, the source tells trades.
    fn sse_both_kind(&self) -> Result<SseKind, Option<Reject>> {
        match self.word(&self.columns.source) {
            ONE => Ok(SseKind::Trade),
            ZERO => self.sse_kind(self.kind()),
            _ => Err(Some(Reject::BadField)),
        }
    }
}

/// Ticks in one yuan.
fn scale(code: StockCode) -> f64 {
    if code.tick_decimals() == 2 { 100.0 } else { 1000.0 }
}

/// The nearest tick, if it is within a millionth of one; a blank is 0.
fn ticks(price: f64, scale: f64) -> Option<i64> {
    if price.is_nan() {
        return Some(0);
    }
    let x = price * scale;
    let ticks = (x + 0.5).floor();
    ((x - ticks).abs() <= 1e-6 && (0.0..9e15).contains(&ticks)).then_some(ticks as i64)
}

/// The phase of a status row, from the first four letters of its word.
fn phase(of: u32) -> Option<Phase> {
    const WORDS: [&str; 7] = ["START", "OCALL", "TRADE", "SUSP", "CCALL", "CLOSE", "ENDTR"];
    WORDS.into_iter().find(|w| word(w.as_bytes()) == of).and_then(Phase::from_sse)
}

const A: u32 = word(b"A");
const B: u32 = word(b"B");
const D: u32 = word(b"D");
const F: u32 = word(b"F");
const G: u32 = word(b"G");
const S: u32 = word(b"S");
const T: u32 = word(b"T");
const U: u32 = word(b"U");
const ZERO: u32 = word(b"0");
const ONE: u32 = word(b"1");
const TWO: u32 = word(b"2");
const FOUR: u32 = word(b"4");
const TEN: u32 = word(b"10");
const NEW: u32 = word(b"New");
const CANCEL: u32 = word(b"Cancel");
const TRUE: u32 = word(b"true");
const FALSE: u32 = word(b"false");
const TRUE_PYTHON: u32 = word(b"True");
const FALSE_PYTHON: u32 = word(b"False");
/// `1`, `2`, `4`, `F`, `G` as ASCII numbers. `1` is a buy among sides and a market order among types.
const MARKET_ASCII: u32 = word(b"49");
const LIMIT_ASCII: u32 = word(b"50");
const CANCEL_ASCII: u32 = word(b"52");
const TRADE_ASCII: u32 = word(b"70");
const LENDING_ASCII: u32 = word(b"71");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_ticks_within_a_millionth() {
        for (written, whole) in [("1801.00999999999999", 180_101), ("1854.980000000000018", 185_498)] {
            assert_eq!(ticks(written.parse().expect("a number"), 100.0), Some(whole), "{written}");
        }
        assert_eq!(ticks(0.001, 1000.0), Some(1));
        assert_eq!(ticks(f64::NAN, 100.0), Some(0));
        for off in [10.005, 10.000_1, -1.0, f64::INFINITY] {
            assert_eq!(ticks(off, 100.0), None, "{off}");
        }
    }
}
