//! Rows of open days in a key-value store, in chunks, so that a new row rewrites little.
//!
//! ```text
//! 'D' │ due u64 BE ns │ what u8 │ date u32 BE │ code          → nothing: in the order in which things fall due
//! 'M' │ date u32 BE │ code                                    → rows u32 LE │ revision u32 LE
//! 'R' │ date u32 BE │ code │ chunk u32 BE                     → up to 64 rows, each as postcard writes it
//! ```
//! A row takes 25 to 40 bytes. Codes have nine bytes, so no key is the beginning of another.

use lobstream_market::ashare::StockCode;
use lobstream_streams::store::kv::KvStore;
use lobstream_streams::time::Ts;

use crate::codec::ashare::AshareRow;
use crate::feed::ashare::StockRows;

const CHUNK_ROWS: u32 = 64;

/// A stock and its day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StockDate {
    pub(super) code: StockCode,
    pub(super) date: u32,
}

/// What falls due. Of one instant, the first goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// An image during the day.
    Intraday,
    /// The close.
    Close,
    /// Nobody can correct the day any more.
    Forget,
}

impl What {
    const ALL: [What; 3] = [What::Intraday, What::Close, What::Forget];
}

/// Rows of a day, counted, and how often its image was corrected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) rows: u32,
    pub(super) rev: u32,
}

/// The store, as this node uses it.
pub(super) struct Days<'a>(pub(super) &'a mut KvStore);

impl Days<'_> {
    /// What is kept of a day; `None` if no row of it came.
    pub(super) fn kept(&mut self, of: StockDate) -> Option<Kept> {
        let value = self.0.get(&of.key(b'M'))?;
        let at =
            |from: usize| value.get(from..from + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
        Some(Kept { rows: at(0)?, rev: at(4)? })
    }

    pub(super) fn set_kept(&mut self, of: StockDate, kept: Kept) {
        let value = [kept.rows.to_le_bytes(), kept.rev.to_le_bytes()].concat();
        self.0.put(&of.key(b'M'), &value);
    }

    /// Appends the row that is number `n` of its day.
    pub(super) fn push(&mut self, of: StockDate, n: u32, row: &AshareRow) {
        let key = of.chunk(n / CHUNK_ROWS);
        let before = self.0.get(&key).unwrap_or_default().to_vec();
        let value = postcard::to_extend(row, before).expect("writing to memory does not fail");
        self.0.put(&key, &value);
    }

    /// All rows of a day, in the order in which they came.
    pub(super) fn rows(&self, of: StockDate) -> Result<StockRows, String> {
        let mut rows = StockRows::default();
        let prefix = of.key(b'R');
        for (_, value) in self.0.range_from(&prefix).take_while(|(key, _)| key.starts_with(&prefix)) {
            let mut value = &*value;
            while !value.is_empty() {
                let (row, rest) =
                    postcard::take_from_bytes(value).map_err(|e| format!("stored rows of a day: {e}"))?;
                value = rest;
                match row {
                    AshareRow::Sse(row) => rows.sse.push(row),
                    AshareRow::Restored(row) => rows.restored.push(row),
                    AshareRow::Order(row) => rows.orders.push(row),
                    AshareRow::Execution(row) => rows.executions.push(row),
                }
            }
        }
        Ok(rows)
    }

    /// Removes a day.
    pub(super) fn forget(&mut self, of: StockDate) {
        let rows = self.kept(of).map_or(0, |kept| kept.rows);
        (0..rows.div_ceil(CHUNK_ROWS)).for_each(|chunk| self.0.delete(&of.chunk(chunk)));
        self.0.delete(&of.key(b'M'));
    }

    pub(super) fn plan(&mut self, due: Ts, what: What, of: StockDate) {
        self.0.put(&plan_key(due, what, of), &[]);
    }

    /// What falls due first.
    pub(super) fn next(&self) -> Option<(Ts, What, StockDate)> {
        let (key, _) = self.0.range_from(b"D").next()?;
        let rest = key.strip_prefix(b"D")?;
        let (due, rest) = rest.split_first_chunk::<8>()?;
        let (what, rest) = rest.split_first()?;
        let (date, code) = rest.split_first_chunk::<4>()?;
        let code = std::str::from_utf8(code).ok()?.parse().ok()?;
        let of = StockDate { code, date: u32::from_be_bytes(*date) };
        let what = *What::ALL.get(usize::from(*what))?;
        Some((Ts(i64::try_from(u64::from_be_bytes(*due)).ok()?), what, of))
    }

    pub(super) fn done(&mut self, due: Ts, what: What, of: StockDate) {
        self.0.delete(&plan_key(due, what, of));
    }
}

impl StockDate {
    fn key(self, kind: u8) -> Vec<u8> {
        let mut key = vec![kind];
        key.extend_from_slice(&self.date.to_be_bytes());
        key.extend_from_slice(self.code.to_string().as_bytes());
        key
    }

    fn chunk(self, n: u32) -> Vec<u8> {
        let mut key = self.key(b'R');
        key.extend_from_slice(&n.to_be_bytes());
        key
    }
}

fn plan_key(due: Ts, what: What, of: StockDate) -> Vec<u8> {
    let mut key = vec![b'D'];
    key.extend_from_slice(&u64::try_from(due.0).unwrap_or(0).to_be_bytes());
    key.push(what as u8);
    key.extend_from_slice(&of.date.to_be_bytes());
    key.extend_from_slice(of.code.to_string().as_bytes());
    key
}
