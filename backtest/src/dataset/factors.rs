//! Factor columns of bars: one table says which, where they come from and how a bar of many seconds joins them.

use lobstream_market::factor::row::FactorRow;

/// How the values of the seconds of a bar become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// A state: the value of the last second.
    Last,
    /// A flow: the sum over the seconds that have a value.
    Sum,
}

/// One factor column.
#[derive(Clone, Copy, Debug)]
pub struct FactorColumn {
    /// Its name, as in stored rows.
    pub name: &'static str,
    /// How seconds are joined.
    pub merge: Merge,
    pub(super) read: fn(&FactorRow) -> Option<f64>,
}

macro_rules! factors {
    ($($merge:ident $field:ident),* $(,)?) => {
        /// All factor columns that a bar carries.
        pub const FACTORS: &[FactorColumn] = &[$(
            FactorColumn { name: stringify!($field), merge: Merge::$merge, read: |row| row.$field },
        )*];
    };
}

factors!(
    Last spread_bps,
    Last wmid_dev_bps,
    Last obi_1,
    Last obi_5,
    Last obi_10,
    Last obi_w,
    Sum ofi,
    Sum ofi_w,
    Sum delta,
    Last cvd,
    Last tfi,
    Sum quote_vol,
    Last z_ofi,
    Last z_cvd,
);

/// A column of [`FACTORS`], looked up once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactorId(usize);

impl FactorId {
    /// The column of a name; `None` if bars do not carry it.
    pub fn of(name: &str) -> Option<FactorId> {
        FACTORS.iter().position(|column| column.name == name).map(FactorId)
    }
}

/// Values of all [`FACTORS`], one per bar and column. Missing is NaN inside, `None` outside.
#[derive(Clone, Debug, PartialEq)]
pub struct Factors {
    columns: Vec<Vec<f64>>,
    /// Age of the book at the window end, ms; NaN if unknown.
    stale_ms: Vec<f64>,
}

impl Default for Factors {
    fn default() -> Self {
        Factors { columns: vec![Vec::new(); FACTORS.len()], stale_ms: Vec::new() }
    }
}

impl Factors {
    /// The value at bar `i`.
    #[inline]
    pub fn at(&self, id: FactorId, i: usize) -> Option<f64> {
        Some(self.columns[id.0][i]).filter(|x| !x.is_nan())
    }

    /// A whole column, missing values as NaN.
    pub fn column(&self, id: FactorId) -> &[f64] {
        &self.columns[id.0]
    }

    /// Age of the book at the end of bar `i`, ms.
    #[inline]
    pub fn stale_ms(&self, i: usize) -> Option<f64> {
        Some(self.stale_ms[i]).filter(|x| !x.is_nan())
    }

    /// Makes every column `n` long; new values are missing.
    pub(super) fn resize(&mut self, n: usize) {
        for column in &mut self.columns {
            column.resize(n, f64::NAN);
        }
        self.stale_ms.resize(n, f64::NAN);
    }

    /// Puts the values from bar `from` on into another order.
    pub(super) fn reorder(&mut self, from: usize, order: &[usize]) {
        for column in self.columns.iter_mut().chain(std::iter::once(&mut self.stale_ms)) {
            let old = column[from..].to_vec();
            column[from..].iter_mut().zip(order).for_each(|(value, k)| *value = old[*k]);
        }
    }

    /// Adds the values of a bar made of `rows`.
    pub(super) fn push_bar(&mut self, rows: &[&FactorRow]) {
        for (values, column) in self.columns.iter_mut().zip(FACTORS) {
            let joined = match column.merge {
                Merge::Last => rows.last().and_then(|row| (column.read)(row)),
                Merge::Sum => rows.iter().filter_map(|row| (column.read)(row)).reduce(|a, b| a + b),
            };
            values.push(joined.unwrap_or(f64::NAN));
        }
        let stale = rows.last().and_then(|row| row.stale_ms);
        self.stale_ms.push(stale.map_or(f64::NAN, |ms| ms as f64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_factor_is_a_column_of_the_row() {
        for factor in FACTORS {
            assert!(FactorRow::COLUMNS.iter().any(|c| c.name == factor.name), "{}", factor.name);
            assert!(FactorId::of(factor.name).is_some());
        }
        assert_eq!(FactorId::of("future_return"), None);
    }
}
