//! Rows of a day on their way from the readers to their stock.

use lobstream_market::ashare::{
    Exchange, RestoredOrder, SseRow, StockCode, StockDay, SzseExecution, SzseOrder,
};
use lobstream_market::images::Compat;
use serde::{Deserialize, Serialize};

use crate::feed::ashare::{Batch, StockRows};

/// More than any row takes.
const ROW_BYTES_MAX: usize = 160;

/// A row of either exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Row {
    /// Of Shanghai's merged stream, or of its trades.
    Sse(SseRow),
    /// An order that a vendor restored.
    Restored(RestoredOrder),
    /// An order of Shenzhen.
    Order(SzseOrder),
    /// An execution of Shenzhen.
    Execution(SzseExecution),
}

impl Row {
    fn index_mut(&mut self) -> &mut i64 {
        match self {
            Row::Sse(row) => &mut row.index,
            Row::Restored(row) => &mut row.index,
            Row::Order(row) => &mut row.index,
            Row::Execution(row) => &mut row.index,
        }
    }
}

/// Turns rows into a few bytes each and back: numbers have variable length, an index is told by its distance from
/// the one before.
#[derive(Debug, Default)]
pub(super) struct Codec {
    code: Option<StockCode>,
    index: i64,
}

impl Codec {
    /// Appends a row. What is appended can only be read from the beginning.
    pub(super) fn write(&mut self, code: StockCode, mut row: Row, into: &mut Vec<u8>) {
        let index = std::mem::replace(&mut self.index, *row.index_mut());
        *row.index_mut() = row.index_mut().wrapping_sub(index);
        let new_code = (self.code != Some(code)).then_some((code.exchange(), code.number()));
        self.code = Some(code);
        let mut space = [0; ROW_BYTES_MAX];
        let bytes = postcard::to_slice(&(new_code, row), &mut space).expect("a dozen numbers fit");
        into.extend_from_slice(bytes);
    }

    /// The next row; `None` at the end.
    pub(super) fn read(&mut self, from: &mut &[u8]) -> Option<(StockCode, Row)> {
        type Told = (Option<(Exchange, u32)>, Row);
        let ((code, mut row), rest): (Told, _) = postcard::take_from_bytes(from).ok()?;
        if let Some((exchange, number)) = code {
            self.code = StockCode::from_number(u64::from(number), exchange);
        }
        *row.index_mut() = row.index_mut().wrapping_add(self.index);
        self.index = *row.index_mut();
        *from = rest;
        Some((self.code?, row))
    }
}

/// Adds a row to those of its stock.
pub(super) fn push(rows: &mut StockRows, row: Row) {
    match row {
        Row::Sse(row) => rows.sse.push(row),
        Row::Restored(row) => rows.restored.push(row),
        Row::Order(row) => rows.orders.push(row),
        Row::Execution(row) => rows.executions.push(row),
    }
}

/// Every row of a batch with its stock.
pub(super) fn each(batch: &Batch) -> impl Iterator<Item = (StockCode, Row)> {
    let sse = batch.sse.iter().map(|(code, row)| (*code, Row::Sse(*row)));
    let restored = batch.restored.iter().map(|(code, row)| (*code, Row::Restored(*row)));
    let orders = batch.orders.iter().map(|(code, row)| (*code, Row::Order(*row)));
    let executions = batch.executions.iter().map(|(code, row)| (*code, Row::Execution(*row)));
    sse.chain(restored).chain(orders).chain(executions)
}

/// The day that rows make. The ancestor looks at the session alone, also where it restores and prices.
pub(super) fn day(mut rows: StockRows, code: StockCode, compat: Compat) -> StockDay {
    if compat == Compat::Ancestor {
        rows.sse.retain(|row| row.time.in_session());
        rows.restored.retain(|row| row.time.in_session());
        rows.orders.retain(|row| row.time.in_session());
        rows.executions.retain(|row| row.time.in_session());
    }
    rows.into_day(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lobstream_market::ashare::{ExecKind, SseFlag, SseKind, TickTime};

    #[test]
    fn rows_come_back_as_they_were() {
        let code = |text: &str| text.parse::<StockCode>().expect("a code");
        let sse = SseRow {
            channel: 6,
            index: i64::MAX,
            time: TickTime(93_000_540),
            kind: SseKind::Trade,
            buy_no: 7,
            sell_no: i64::MIN,
            price: 2001,
            qty: 100,
            money: Some(200_100),
            phase: None,
            flag: SseFlag::N,
        };
        let execution = SzseExecution {
            channel: 2011,
            index: -3,
            time: TickTime(145_659_990),
            price: 0,
            qty: -1,
            buy_no: 0,
            sell_no: 12,
            kind: ExecKind::Cancel,
        };
        let rows = [
            (code("600519.SH"), Row::Sse(sse)),
            (code("600519.SH"), Row::Sse(SseRow { index: 5, money: None, ..sse })),
            (code("000001.SZ"), Row::Execution(execution)),
            (code("000001.SH"), Row::Sse(sse)),
        ];
        let (mut bytes, mut writer, mut reader) = (Vec::new(), Codec::default(), Codec::default());
        rows.iter().for_each(|(code, row)| writer.write(*code, *row, &mut bytes));
        let mut rest = &bytes[..];
        let back: Vec<_> = std::iter::from_fn(|| reader.read(&mut rest)).collect();
        assert_eq!(back, rows);
        assert!(rest.is_empty());
    }
}
