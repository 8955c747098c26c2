//! Records of `market.sse` and `market.szse`: one row of an exchange and its date.
//!
//! ```text
//! value    version u8 = 1 │ date v, YYYYMMDD │ kind u8: 0 SSE row, 1 restored order, 2 SZSE order, 3 execution │ row
//! row      the fields of the row in their order, as postcard writes them: unsigned LEB128, signed zig-zag,
//!          one byte for an enum and for the presence of an option
//! ```

use lobstream_market::ashare::{Exchange, RestoredOrder, SseRow, SzseExecution, SzseOrder, TickTime};
use lobstream_streams::log::TopicName;
use serde::{Deserialize, Serialize};

use crate::codec::CodecError;

/// First byte of every value.
pub const VERSION: u8 = 1;

/// A row and its day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AshareRecord {
    /// `YYYYMMDD`.
    pub date: u32,
    /// What was published.
    pub row: AshareRow,
}

/// A row of either exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AshareRow {
    /// Shanghai.
    Sse(SseRow),
    /// Shanghai, restored by a vendor.
    Restored(RestoredOrder),
    /// Shenzhen.
    Order(SzseOrder),
    /// Shenzhen.
    Execution(SzseExecution),
}

impl AshareRow {
    /// When, by the exchange.
    pub fn time(&self) -> TickTime {
        match self {
            AshareRow::Sse(row) => row.time,
            AshareRow::Restored(row) => row.time,
            AshareRow::Order(row) => row.time,
            AshareRow::Execution(row) => row.time,
        }
    }

    /// Channel and index.
    pub fn place(&self) -> (u32, i64) {
        match self {
            AshareRow::Sse(row) => (row.channel, row.index),
            AshareRow::Restored(row) => (0, row.index),
            AshareRow::Order(row) => (row.channel, row.index),
            AshareRow::Execution(row) => (row.channel, row.index),
        }
    }
}

/// `<prefix><kind>.sse` or `.szse`.
pub fn topic(prefix: &str, kind: &str, exchange: Exchange) -> TopicName {
    TopicName::new(&format!("{prefix}{kind}.{}", venue(exchange)))
}

/// The exchange as topics and applications name it.
pub fn venue(exchange: Exchange) -> &'static str {
    match exchange {
        Exchange::Sh => "sse",
        Exchange::Sz => "szse",
        Exchange::Bj => "bse",
    }
}

/// Appends a record.
pub fn encode(record: &AshareRecord, into: &mut Vec<u8>) {
    into.push(VERSION);
    let written = postcard::to_extend(record, std::mem::take(into));
    *into = written.expect("writing to memory does not fail");
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// Another version; bytes that are no record, or more than one.
pub fn decode(bytes: &[u8]) -> Result<AshareRecord, CodecError> {
    let error = |at, what| CodecError { at, what };
    match bytes.split_first() {
        Some((&VERSION, rest)) => match postcard::take_from_bytes(rest) {
            Ok((record, [])) => Ok(record),
            Ok((_, left)) => Err(error(bytes.len() - left.len(), "bytes left over")),
            Err(_) => Err(error(1, "not a row of an exchange")),
        },
        Some(_) | None => Err(error(0, "not a record of version 1")),
    }
}

#[cfg(test)]
mod tests {
    use lobstream_market::ashare::{ExecKind, OrdType, Phase, RestoredKind, SseFlag, SseKind};
    use lobstream_market::book::Side;

    use super::*;

    fn records() -> [(AshareRecord, &'static str); 4] {
        let (date, time) = (20_230_201, TickTime(93_000_540));
        let sse = SseRow {
            channel: 6,
            index: 76_838,
            time,
            kind: SseKind::Trade,
            buy_no: 113_304,
            sell_no: 38_420,
            price: 185_498,
            qty: 100,
            money: Some(18_549_800),
            flag: SseFlag::N,
            phase: Some(Phase::OpenCall),
        };
        let (kind, side) = (RestoredKind::Cancel, Side::Ask);
        let restored = RestoredOrder {
            index: 5,
            time,
            no: 7,
            kind,
            side,
            price: 1001,
            qty: 300,
            aggressive: Some(true),
        };
        let (kind, side) = (OrdType::OwnBest, None);
        let order = SzseOrder { channel: 2011, index: 5, time, price: 0, qty: 200, side, kind };
        let (buy_no, sell_no, kind) = (5, 0, ExecKind::Cancel);
        let execution =
            SzseExecution { channel: 2011, index: 11, time, price: 0, qty: 200, buy_no, sell_no, kind };
        [
            (AshareRecord { date, row: AshareRow::Sse(sse) }, SSE),
            (AshareRecord { date, row: AshareRow::Restored(restored) }, RESTORED),
            (AshareRecord { date, row: AshareRow::Order(order) }, ORDER),
            (AshareRecord { date, row: AshareRow::Execution(execution) }, EXECUTION),
        ]
    }

    // Written down by another program from the layout above. They must be read for ever.
    const SSE: &str = "01b9e0d2090006ccb009dca6ac2c02b0ea0da8d804b4d216c80101d0b0d811020101";
    const RESTORED: &str = "01b9e0d209010adca6ac2c0e0101d20fd8040101";
    const ORDER: &str = "01b9e0d20902db0f0adca6ac2c0090030002";
    const EXECUTION: &str = "01b9e0d20903db0f16dca6ac2c0090030a0001";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn records_are_the_bytes_of_the_first_version() {
        for (record, written) in records() {
            let mut bytes = Vec::new();
            encode(&record, &mut bytes);
            assert_eq!(hex(&bytes), written, "{record:?}");
            assert_eq!(decode(&bytes), Ok(record));
            assert!(bytes.len() <= 40, "{} bytes", bytes.len());
        }
    }

    #[test]
    fn what_is_no_record_is_refused_and_never_a_panic() {
        for (record, _) in records() {
            let mut bytes = Vec::new();
            encode(&record, &mut bytes);
            (0..bytes.len()).for_each(|n| assert!(decode(&bytes[..n]).is_err(), "cut at {n}"));
            bytes.push(0);
            assert_eq!(decode(&bytes).unwrap_err().what, "bytes left over");
            bytes[0] = 2;
            assert_eq!(decode(&bytes).unwrap_err().at, 0);
        }
    }
}
