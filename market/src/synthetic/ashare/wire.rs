//! What the exchange publishes of an act, with the numbers of its channel.

use super::AshareRows;
use crate::ashare::{
    Exchange, ExecKind, OrdType, Phase, SseFlag, SseKind, SseRow, StockCode, SzseExecution, SzseOrder,
    TickTime,
};
use crate::book::Side;

/// The running numbers of a channel.
#[derive(Debug)]
pub(super) struct Channel {
    exchange: Exchange,
    number: u32,
    index: i64,
    order_no: i64,
}

impl Channel {
    /// The `i`-th channel of an exchange, numbered as they number theirs.
    pub(super) fn new(exchange: Exchange, i: u32) -> Channel {
        let number = match exchange {
            Exchange::Sh => 1 + i,
            Exchange::Sz | Exchange::Bj => 2011 + i,
        };
        Channel { exchange, number, index: 0, order_no: 0 }
    }
}

/// Where a stock's rows of one instant go.
pub(super) struct Wire<'a> {
    channel: &'a mut Channel,
    code: StockCode,
    time: TickTime,
    rows: &'a mut AshareRows,
    before: usize,
}

impl<'a> Wire<'a> {
    pub(super) fn new(
        channel: &'a mut Channel,
        code: StockCode,
        time: TickTime,
        rows: &'a mut AshareRows,
    ) -> Wire<'a> {
        let before = rows.len();
        Wire { channel, code, time, rows, before }
    }

    /// Rows written so far.
    pub(super) fn written(&self) -> usize {
        self.rows.len() - self.before
    }

    pub(super) fn exchange(&self) -> Exchange {
        self.channel.exchange
    }

    /// The number of a new order. In Shenzhen that is the index of its row, which has to come next.
    pub(super) fn number_order(&mut self) -> i64 {
        match self.channel.exchange {
            Exchange::Sh => {
                self.channel.order_no += 1 + (self.channel.order_no * 7 + self.channel.index) % 5;
                self.channel.order_no
            }
            Exchange::Sz | Exchange::Bj => self.channel.index + 1,
        }
    }

    /// Shanghai: what rests of an order. Shenzhen: the order as it came.
    pub(super) fn order(&mut self, no: i64, side: Side, price: i64, qty: i64, kind: OrdType) {
        match self.exchange() {
            Exchange::Sh => self.sse(SseKind::Add, flag(side), own(side, no), price, qty),
            Exchange::Sz | Exchange::Bj => {
                let index = self.index();
                debug_assert_eq!(no, index, "an order is numbered by its row");
                let (channel, time) = (self.channel.number, self.time);
                let order = SzseOrder { channel, index, time, price, qty, side: Some(side), kind };
                self.rows.orders.push((self.code, order));
            }
        }
    }

    /// A match; `aggressor` is `None` in an auction.
    pub(super) fn trade(&mut self, buy_no: i64, sell_no: i64, price: i64, qty: i64, aggressor: Option<Side>) {
        match self.exchange() {
            Exchange::Sh => {
                let flag = aggressor.map_or(SseFlag::N, flag);
                self.sse(SseKind::Trade, flag, (buy_no, sell_no), price, qty);
            }
            Exchange::Sz | Exchange::Bj => self.execution(ExecKind::Trade, buy_no, sell_no, price, qty),
        }
    }

    /// A cancel. Shenzhen tells no price; `price` is what Shanghai says, 0 for nothing.
    pub(super) fn cancel(&mut self, no: i64, side: Side, price: i64, qty: i64) {
        let (buy_no, sell_no) = own(side, no);
        match self.exchange() {
            Exchange::Sh => self.sse(SseKind::Delete, flag(side), (buy_no, sell_no), price, qty),
            Exchange::Sz | Exchange::Bj => self.execution(ExecKind::Cancel, buy_no, sell_no, 0, qty),
        }
    }

    /// Shanghai: a new phase.
    pub(super) fn phase(&mut self, phase: Phase) {
        self.sse(SseKind::Status, SseFlag::N, (0, 0), 0, 0);
        if let Some((_, row)) = self.rows.sse.last_mut() {
            (row.phase, row.money) = (Some(phase), None);
        }
    }

    /// Shenzhen: securities lending, which is no order of the book.
    pub(super) fn lending(&mut self, price: i64, qty: i64) {
        let (channel, index, time) = (self.channel.number, self.index(), self.time);
        let order = SzseOrder { channel, index, time, price, qty, side: None, kind: OrdType::Limit };
        self.rows.orders.push((self.code, order));
    }

    /// Repeats the last row, as a vendor does who asked twice.
    pub(super) fn repeat(&mut self) {
        if let Some(&row) = self.rows.sse.last().filter(|row| row.0 == self.code) {
            self.rows.sse.push(row);
        }
        if let Some(&row) = self.rows.executions.last().filter(|row| row.0 == self.code) {
            self.rows.executions.push(row);
        }
    }

    fn index(&mut self) -> i64 {
        self.channel.index += 1;
        self.channel.index
    }

    fn sse(&mut self, kind: SseKind, flag: SseFlag, (buy_no, sell_no): (i64, i64), price: i64, qty: i64) {
        let (channel, index, time) = (self.channel.number, self.index(), self.time);
        let money = Some(price * qty);
        let row =
            SseRow { channel, index, time, kind, buy_no, sell_no, price, qty, money, flag, phase: None };
        self.rows.sse.push((self.code, row));
    }

    fn execution(&mut self, kind: ExecKind, buy_no: i64, sell_no: i64, price: i64, qty: i64) {
        let (channel, index, time) = (self.channel.number, self.index(), self.time);
        let row = SzseExecution { channel, index, time, price, qty, buy_no, sell_no, kind };
        self.rows.executions.push((self.code, row));
    }
}

fn flag(side: Side) -> SseFlag {
    match side {
        Side::Bid => SseFlag::B,
        Side::Ask => SseFlag::S,
    }
}

/// The number on its side, 0 on the other.
fn own(side: Side, no: i64) -> (i64, i64) {
    match side {
        Side::Bid => (no, 0),
        Side::Ask => (0, no),
    }
}
