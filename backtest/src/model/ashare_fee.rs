//! What an order in A shares costs on its day: commission with a minimum, stamp duty, transfer fee.

use crate::dataset::Date;
use crate::error::Error;
use crate::model::money::{Fen, Rate};

/// Which way an order trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderSide {
    /// Bought.
    Buy,
    /// Sold: pays the stamp duty.
    Sell,
}

/// Fees of one order, each rounded half up to 0.01 CNY.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrderFees {
    /// Of the broker, with exchange and regulator.
    pub commission: Fen,
    /// Of the state, sales only.
    pub stamp: Fen,
    /// Of the depository.
    pub transfer: Fen,
}

impl OrderFees {
    /// All of them.
    pub fn total(&self) -> Fen {
        self.commission + self.stamp + self.transfer
    }
}

/// A value and the day from which it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dated<T> {
    /// First day.
    pub from: Date,
    /// What holds.
    pub value: T,
}

/// Values in order of days, and what they are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule<T> {
    item: &'static str,
    rows: Vec<Dated<T>>,
}

impl<T: Copy> Schedule<T> {
    /// Sorted by day; of two rows of one day the later one counts.
    pub fn new(item: &'static str, mut rows: Vec<Dated<T>>) -> Schedule<T> {
        rows.sort_by_key(|row| row.from);
        Schedule { item, rows }
    }

    /// What holds on a day: the last row that is not later. Before the first row it is that one if
    /// `extrapolate`.
    ///
    /// # Errors
    /// A day before the first row, or no row at all.
    pub fn at(&self, date: Date, extrapolate: bool) -> Result<T, Error> {
        let after = self.rows.partition_point(|row| row.from <= date);
        match (after.checked_sub(1), self.rows.first()) {
            (Some(i), _) => Ok(self.rows[i].value),
            (None, Some(first)) if extrapolate => Ok(first.value),
            (None, first) => Err(not_covered(self.item, date, first.map(|row| row.from))),
        }
    }

    pub(crate) fn rows_mut(&mut self) -> &mut [Dated<T>] {
        &mut self.rows
    }
}

/// No rule of a kind holds on a day.
pub(crate) fn not_covered(item: &'static str, date: Date, first: Option<Date>) -> Error {
    Error::RulesNotCovered { item, date: date.to_string(), first: first.map(|day| day.to_string()) }
}

/// Commission of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commission {
    /// Share of the amount.
    pub rate: Rate,
    /// Least amount an order.
    pub min: Fen,
}

/// The fees of all days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AshareFees {
    /// Both sides.
    pub commission: Schedule<Commission>,
    /// Sales.
    pub stamp: Schedule<Rate>,
    /// Both sides.
    pub transfer: Schedule<Rate>,
}

impl AshareFees {
    /// Fees of an order over `amount`; an order filled in parts is one amount.
    ///
    /// # Errors
    /// [`Error::RulesNotCovered`].
    pub fn of(
        &self,
        side: OrderSide,
        amount: Fen,
        date: Date,
        extrapolate: bool,
    ) -> Result<OrderFees, Error> {
        let commission = self.commission.at(date, extrapolate)?;
        let stamp = match side {
            OrderSide::Buy => Fen::ZERO,
            OrderSide::Sell => amount.times(self.stamp.at(date, extrapolate)?),
        };
        Ok(OrderFees {
            commission: amount.times(commission.rate).max(commission.min),
            stamp,
            transfer: amount.times(self.transfer.at(date, extrapolate)?),
        })
    }
}
