//! Rows in about 20 bytes: numbers of 0, 2, 4 or 8 bytes, read and written without a branch for any of them.
//!
//! ```text
//! lengths u16, 2 bits a number │ words u16 │ place │ index │ time │ price │ qty │ buy no │ sell no │ money
//! ```
//! A place is that of the row's [`Series`], which holds what rows of one kind, stock and channel have in common. Index
//! and time are told by their distance from the ones before, as zigzag.

use lobstream_market::ashare::{
    ExecKind, OrdType, Phase, RestoredKind, RestoredOrder, SseFlag, SseKind, SseRow, StockCode,
    SzseExecution, SzseOrder, TickTime,
};
use lobstream_market::book::Side;

use crate::feed::ashare::StockRows;

/// No row takes more bytes. So many must stand behind the last one that is read.
pub(super) const ROW_BYTES_MAX: usize = 4 + 8 * 8;
/// Bytes of a number by its two bits.
const LENGTHS: [usize; 4] = [0, 2, 4, 8];
/// What of eight bytes belongs to it.
const MASKS: [u64; 4] = [0, u16::MAX as u64, u32::MAX as u64, u64::MAX];

/// What rows tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// Of Shanghai's merged stream, or of its trades.
    Sse,
    /// Orders that a vendor restored.
    Restored,
    /// Orders of Shenzhen.
    Order,
    /// Executions of Shenzhen.
    Execution,
}

/// What rows of one kind, of one stock on one channel have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Series {
    pub(super) code: StockCode,
    pub(super) what: What,
    pub(super) channel: u32,
    /// How many there are.
    pub(super) rows: u64,
    /// Index of the last one.
    index: i64,
}

impl Series {
    /// Without rows.
    pub(super) fn new(code: StockCode, what: What, channel: u32) -> Series {
        Series { code, what, channel, rows: 0, index: 0 }
    }
}

/// The numbers of a row, whatever it is; enums as bits of `words`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields {
    words: u16,
    index: i64,
    time: u32,
    price: i64,
    qty: i64,
    buy_no: i64,
    sell_no: i64,
    money: i64,
}

impl Fields {
    /// Two bits at a place of the words.
    fn word(&self, shift: u32) -> usize {
        usize::from(self.words >> shift & 3)
    }
}

/// A row that can be packed.
pub(super) trait Packed: Copy {
    const WHAT: What;
    fn channel(&self) -> u32;
    fn fields(&self) -> Fields;
    /// `None` if words are none that [`Packed::fields`] gives.
    fn of(fields: &Fields, channel: u32) -> Option<Self>;
    /// The rows of its kind.
    fn among(rows: &mut StockRows) -> &mut Vec<Self>;
}

/// Appends a row of the series at a place. `time` is that of the row before, and becomes this one's.
pub(super) fn write(place: u32, series: &mut Series, time: &mut u32, row: &Fields, into: &mut Vec<u8>) {
    let index = zigzag(row.index.wrapping_sub(series.index));
    let since = zigzag(i64::from(row.time) - i64::from(*time));
    (series.index, *time) = (row.index, row.time);
    series.rows += 1;
    let [price, qty, buy_no, sell_no, money] =
        [row.price, row.qty, row.buy_no, row.sell_no, row.money].map(|n| n as u64);
    let numbers = [u64::from(place), index, since, price, qty, buy_no, sell_no, money];
    let mut space = [0; ROW_BYTES_MAX];
    let (mut at, mut lengths) = (4, 0);
    for (i, n) in numbers.into_iter().enumerate() {
        let class = MASKS[..3].iter().map(|most| usize::from(n > *most)).sum::<usize>();
        lengths |= (class as u16) << (2 * i);
        space[at..at + 8].copy_from_slice(&n.to_le_bytes());
        at += LENGTHS[class];
    }
    space[..2].copy_from_slice(&u16::to_le_bytes(lengths));
    space[2..4].copy_from_slice(&row.words.to_le_bytes());
    into.extend_from_slice(&space[..at]);
}

/// Reads rows one after the other.
pub(super) struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
    time: u32,
    /// The last index of each series.
    indices: Vec<i64>,
}

impl Reader<'_> {
    /// Of rows of so many series, with [`ROW_BYTES_MAX`] bytes behind them.
    pub(super) fn new(bytes: &[u8], n_series: usize) -> Reader<'_> {
        Reader { bytes, at: 0, time: 0, indices: vec![0; n_series] }
    }

    /// How many bytes have been read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The next row and the place of its series; `None` if it was not written so.
    pub(super) fn next(&mut self) -> Option<(usize, Fields)> {
        let bytes: &[u8; ROW_BYTES_MAX] = self.bytes.get(self.at..)?.first_chunk()?;
        let two = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let (lengths, words, mut at) = (two(0), two(2), 4);
        let mut numbers = [0; 8];
        for (i, n) in numbers.iter_mut().enumerate() {
            let class = usize::from(lengths >> (2 * i) & 3);
            *n = u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?) & MASKS[class];
            at += LENGTHS[class];
        }
        self.at += at;
        let place = usize::try_from(numbers[0]).ok()?;
        let index = self.indices.get_mut(place)?;
        *index = index.wrapping_add(unzigzag(numbers[1]));
        self.time = u32::try_from(i64::from(self.time).checked_add(unzigzag(numbers[2]))?).ok()?;
        let [_, _, _, price, qty, buy_no, sell_no, money] = numbers.map(|n| n as i64);
        Some((place, Fields { words, index: *index, time: self.time, price, qty, buy_no, sell_no, money }))
    }
}

fn zigzag(n: i64) -> u64 {
    (n << 1 ^ n >> 63) as u64
}

fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

const SSE_KINDS: [SseKind; 4] = [SseKind::Add, SseKind::Delete, SseKind::Trade, SseKind::Status];
const FLAGS: [SseFlag; 3] = [SseFlag::B, SseFlag::S, SseFlag::N];
const PHASES: [Option<Phase>; 9] = [
    None,
    Some(Phase::Pre),
    Some(Phase::OpenCall),
    Some(Phase::Pause),
    Some(Phase::Continuous),
    Some(Phase::Break),
    Some(Phase::CloseCall),
    Some(Phase::After),
    Some(Phase::Halt),
];
const SIDES: [Option<Side>; 3] = [None, Some(Side::Bid), Some(Side::Ask)];
const TRUTHS: [Option<bool>; 3] = [None, Some(false), Some(true)];
const RESTORED_KINDS: [RestoredKind; 2] = [RestoredKind::New, RestoredKind::Cancel];
const TYPES: [OrdType; 3] = [OrdType::Limit, OrdType::Market, OrdType::OwnBest];
const EXEC_KINDS: [ExecKind; 2] = [ExecKind::Trade, ExecKind::Cancel];
/// Money that is not told, that is price times quantity, that is a number of its own.
const NONE: u16 = 0;
const PRODUCT: u16 = 1;
const OWN: u16 = 2;

/// Where an enum's value stands in its table, moved by so many bits.
fn bits<T: PartialEq>(table: &[T], value: &T, shift: u32) -> u16 {
    let place = table.iter().position(|one| one == value).expect("tables hold every value");
    (place as u16) << shift
}

impl Packed for SseRow {
    const WHAT: What = What::Sse;

    fn channel(&self) -> u32 {
        self.channel
    }

    fn fields(&self) -> Fields {
        let (how, money) = match self.money {
            None => (NONE, 0),
            Some(money) if self.price.checked_mul(self.qty) == Some(money) => (PRODUCT, 0),
            Some(money) => (OWN, money),
        };
        let words = bits(&SSE_KINDS, &self.kind, 0) | bits(&FLAGS, &self.flag, 2) | how << 4;
        let words = words | bits(&PHASES, &self.phase, 6);
        let SseRow { index, time: TickTime(time), price, qty, buy_no, sell_no, .. } = *self;
        Fields { words, index, time, price, qty, buy_no, sell_no, money }
    }

    fn of(f: &Fields, channel: u32) -> Option<SseRow> {
        Some(SseRow {
            channel,
            index: f.index,
            time: TickTime(f.time),
            kind: *SSE_KINDS.get(f.word(0))?,
            buy_no: f.buy_no,
            sell_no: f.sell_no,
            price: f.price,
            qty: f.qty,
            money: match f.words >> 4 & 3 {
                NONE => None,
                PRODUCT => Some(f.price.checked_mul(f.qty)?),
                _ => Some(f.money),
            },
            flag: *FLAGS.get(f.word(2))?,
            phase: *PHASES.get(usize::from(f.words >> 6))?,
        })
    }

    fn among(rows: &mut StockRows) -> &mut Vec<SseRow> {
        &mut rows.sse
    }
}

impl Packed for RestoredOrder {
    const WHAT: What = What::Restored;

    fn channel(&self) -> u32 {
        0
    }

    fn fields(&self) -> Fields {
        let words = bits(&RESTORED_KINDS, &self.kind, 0)
            | bits(&SIDES, &Some(self.side), 2)
            | bits(&TRUTHS, &self.aggressive, 4);
        let RestoredOrder { index, time: TickTime(time), no, price, qty, .. } = *self;
        Fields { words, index, time, price, qty, buy_no: no, ..Fields::default() }
    }

    fn of(f: &Fields, _: u32) -> Option<RestoredOrder> {
        Some(RestoredOrder {
            index: f.index,
            time: TickTime(f.time),
            no: f.buy_no,
            kind: *RESTORED_KINDS.get(f.word(0))?,
            side: (*SIDES.get(f.word(2))?)?,
            price: f.price,
            qty: f.qty,
            aggressive: *TRUTHS.get(f.word(4))?,
        })
    }

    fn among(rows: &mut StockRows) -> &mut Vec<RestoredOrder> {
        &mut rows.restored
    }
}

impl Packed for SzseOrder {
    const WHAT: What = What::Order;

    fn channel(&self) -> u32 {
        self.channel
    }

    fn fields(&self) -> Fields {
        let words = bits(&TYPES, &self.kind, 0) | bits(&SIDES, &self.side, 2);
        let SzseOrder { index, time: TickTime(time), price, qty, .. } = *self;
        Fields { words, index, time, price, qty, ..Fields::default() }
    }

    fn of(f: &Fields, channel: u32) -> Option<SzseOrder> {
        let (kind, side) = (*TYPES.get(f.word(0))?, *SIDES.get(f.word(2))?);
        let (index, time, price, qty) = (f.index, TickTime(f.time), f.price, f.qty);
        Some(SzseOrder { channel, index, time, price, qty, side, kind })
    }

    fn among(rows: &mut StockRows) -> &mut Vec<SzseOrder> {
        &mut rows.orders
    }
}

impl Packed for SzseExecution {
    const WHAT: What = What::Execution;

    fn channel(&self) -> u32 {
        self.channel
    }

    fn fields(&self) -> Fields {
        let words = bits(&EXEC_KINDS, &self.kind, 0);
        let SzseExecution { index, time: TickTime(time), price, qty, buy_no, sell_no, .. } = *self;
        Fields { words, index, time, price, qty, buy_no, sell_no, money: 0 }
    }

    fn of(f: &Fields, channel: u32) -> Option<SzseExecution> {
        let kind = *EXEC_KINDS.get(f.word(0))?;
        let Fields { index, price, qty, buy_no, sell_no, .. } = *f;
        Some(SzseExecution { channel, index, time: TickTime(f.time), price, qty, buy_no, sell_no, kind })
    }

    fn among(rows: &mut StockRows) -> &mut Vec<SzseExecution> {
        &mut rows.executions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of one series, written and read again.
    #[track_caller]
    fn check<R: Packed + PartialEq + std::fmt::Debug>(rows: &[R]) {
        let code = "600519.SH".parse().expect("a code");
        let (mut series, mut time) = (Series::new(code, R::WHAT, rows[0].channel()), 0);
        let mut bytes = Vec::new();
        rows.iter().for_each(|row| write(70_000, &mut series, &mut time, &row.fields(), &mut bytes));
        let end = bytes.len();
        bytes.resize(end + ROW_BYTES_MAX, 0);
        let mut reader = Reader::new(&bytes, 70_001);
        for row in rows {
            let (place, fields) = reader.next().expect("a row");
            assert_eq!((place, R::of(&fields, series.channel)), (70_000, Some(*row)));
        }
        assert_eq!((reader.at(), series.rows), (end, rows.len() as u64));
    }

    #[test]
    fn rows_come_back_as_they_were() {
        let sse = SseRow {
            channel: 6,
            index: i64::MAX,
            time: TickTime(93_000_540),
            kind: SseKind::Trade,
            buy_no: 65_536,
            sell_no: i64::MIN,
            price: 65_535,
            qty: 100,
            money: Some(6_553_500),
            phase: None,
            flag: SseFlag::N,
        };
        let mut all = vec![sse, SseRow { index: 5, money: Some(6_553_501), time: TickTime(0), ..sse }];
        all.extend(SSE_KINDS.map(|kind| SseRow { kind, money: None, ..sse }));
        all.extend(FLAGS.map(|flag| SseRow { flag, qty: i64::MAX, money: Some(-1), ..sse }));
        all.extend(PHASES.map(|phase| SseRow { phase, index: 0, time: TickTime(u32::MAX), ..sse }));
        check(&all);
        let execution = SzseExecution {
            channel: 2011,
            index: -3,
            time: TickTime(145_659_990),
            price: 0,
            qty: -1,
            buy_no: 0,
            sell_no: u32::MAX.into(),
            kind: ExecKind::Cancel,
        };
        check(&EXEC_KINDS.map(|kind| SzseExecution { kind, ..execution }));
        let (channel, index, time, price, qty) = (7, 1, TickTime(92_500_000), 1_000, 1 << 32);
        for side in SIDES {
            check(&TYPES.map(|kind| SzseOrder { channel, index, time, price, qty, side, kind }));
        }
        for (side, kind) in [(Side::Bid, RestoredKind::New), (Side::Ask, RestoredKind::Cancel)] {
            let of = |aggressive| RestoredOrder { index, time, no: 9, kind, side, price, qty, aggressive };
            check(&TRUTHS.map(of));
        }
    }

    #[test]
    fn bytes_that_nobody_wrote_are_no_rows() {
        assert!(Reader::new(&[0; ROW_BYTES_MAX - 1], 1).next().is_none(), "cut off");
        assert!(Reader::new(&[1, 0, 0, 0, 9, 0, 0].repeat(20), 1).next().is_none(), "no such series");
        let words = Fields { words: 3 << 2, ..Fields::default() };
        assert!(SseRow::of(&words, 1).is_none() && SzseOrder::of(&words, 1).is_none());
    }
}
