//! All rows of a stock's day, and the day they make.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use lobstream_market::ashare::{
    DayMaker, Exchange, RestoredOrder, SseRow, StockCode, StockDay, SzseExecution, SzseOrder, restored_day,
    sse_day, szse_day,
};
use lobstream_market::images::Compat;

use super::{Batch, DayFiles};
use crate::error::Error;

/// The rows of one stock, in any order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StockRows {
    /// Shanghai.
    pub sse: Vec<SseRow>,
    /// Shanghai, restored by a vendor: then `sse` holds its trades.
    pub restored: Vec<RestoredOrder>,
    /// Shenzhen.
    pub orders: Vec<SzseOrder>,
    /// Shenzhen.
    pub executions: Vec<SzseExecution>,
}

impl StockRows {
    /// Rows of all kinds.
    pub fn len(&self) -> usize {
        self.sse.len() + self.restored.len() + self.orders.len() + self.executions.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Without what rules do not look at: the ancestor sees the session alone, also where it restores and prices.
    #[must_use]
    pub fn seen_by(mut self, compat: Compat) -> StockRows {
        if compat == Compat::Ancestor {
            self.sse.retain(|row| row.time.in_session());
            self.restored.retain(|row| row.time.in_session());
            self.orders.retain(|row| row.time.in_session());
            self.executions.retain(|row| row.time.in_session());
        }
        self
    }

    /// The day they make.
    pub fn into_day(self, code: StockCode) -> StockDay {
        match code.exchange() {
            Exchange::Sh if self.restored.is_empty() => sse_day(code, self.sse),
            Exchange::Sh => restored_day(code, self.restored, self.sse),
            Exchange::Sz | Exchange::Bj => szse_day(code, self.orders, self.executions),
        }
    }

    /// The same, in the memory of a maker.
    pub fn day_in(mut self, code: StockCode, maker: &mut DayMaker) -> &StockDay {
        match code.exchange() {
            Exchange::Sh if self.restored.is_empty() => maker.sse(code, &mut self.sse),
            Exchange::Sh => maker.restored(code, &mut self.restored, &mut self.sse),
            Exchange::Sz | Exchange::Bj => maker.szse(code, &mut self.orders, &mut self.executions),
        }
    }
}

/// The whole days of stocks, all of them if none is named, in the order of their codes. Holds the rows of
/// all of them in memory.
///
/// # Errors
/// As [`DayFiles::open`] and [`super::Table::read_all`].
pub fn stock_days(
    date: u32,
    inputs: &[PathBuf],
    symbols: &BTreeSet<StockCode>,
) -> Result<Vec<StockDay>, Error> {
    let mut stocks: BTreeMap<StockCode, StockRows> = BTreeMap::new();
    for table in DayFiles::open(inputs, date)?.tables {
        table.read_all(|batch| {
            share_out(batch, symbols, &mut stocks);
            Ok(())
        })?;
    }
    Ok(stocks.into_iter().map(|(code, rows)| rows.into_day(code)).collect())
}

fn share_out(batch: &Batch, symbols: &BTreeSet<StockCode>, stocks: &mut BTreeMap<StockCode, StockRows>) {
    let wanted = |code: &StockCode| symbols.is_empty() || symbols.contains(code);
    macro_rules! share {
        ($kind:ident) => {
            for (code, row) in batch.$kind.iter().filter(|(code, _)| wanted(code)) {
                stocks.entry(*code).or_default().$kind.push(*row);
            }
        };
    }
    share!(sse);
    share!(restored);
    share!(orders);
    share!(executions);
}
