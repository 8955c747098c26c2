//! What the tables of the chain have in common: a name, a key, columns.

use lobstream_market::ashare::StockCode;
use lobstream_market::calendar::Day;
use lobstream_market::daily::bands::BollingerRow;
use lobstream_market::daily::bar::StockDailyRow;
use lobstream_market::daily::candidates::CandidateRow;
use lobstream_market::daily::levels::LevelRow;
use lobstream_market::daily::micro::MicroRow;
use lobstream_market::daily::pool::PoolRow;
use lobstream_market::daily::quality::FundQualityRow;
use lobstream_market::daily::reaction::LevelTestRow;
use lobstream_market::factor::columns::{Cell, Column};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A row of a table. Rows of one day and stock are stored together, in the order of the rest of their key.
pub trait TableRow: Serialize + DeserializeOwned + Clone + PartialEq + Send + Sync + 'static {
    /// Name of the table in every store.
    const TABLE: &'static str;
    /// Its columns.
    const FIELDS: &'static [Column];
    /// The trading day it belongs to.
    fn day(&self) -> Day;
    /// The stock it belongs to.
    fn code(&self) -> StockCode;
    /// What else its key has, each part after a bar.
    fn rest_of_key(&self) -> String {
        String::new()
    }
    /// Its cells, in the order of the columns.
    fn fields(&self) -> Vec<Cell>;
    /// The row without what later days add: what its hash is made of.
    fn settled(&self) -> Self {
        self.clone()
    }
    /// The whole key, as in `600010.SH|20250603`.
    fn id(&self) -> String {
        format!("{}|{}{}", self.code(), self.day(), self.rest_of_key())
    }
}

macro_rules! table {
    ($row:ty, $name:literal, $day:ident $(, $extra:item)*) => {
        impl TableRow for $row {
            const TABLE: &'static str = $name;
            const FIELDS: &'static [Column] = <$row>::COLUMNS;
            fn day(&self) -> Day {
                self.$day
            }
            fn code(&self) -> StockCode {
                self.ts_code
            }
            fn fields(&self) -> Vec<Cell> {
                self.cells()
            }
            $($extra)*
        }
    };
}

table!(StockDailyRow, "stock_daily", trade_date);
table!(BollingerRow, "stock_bollinger_data", trade_date);
table!(PoolRow, "stock_active_pool", trade_date);
table!(MicroRow, "stock_microstructure_daily", trade_date);
table!(FundQualityRow, "stock_fund_quality", window_end);
table!(
    LevelRow,
    "price_levels_daily",
    calc_date,
    fn rest_of_key(&self) -> String {
        format!("|{}", self.level_e4)
    }
);
table!(
    LevelTestRow,
    "stock_level_microstructure",
    trade_date,
    fn rest_of_key(&self) -> String {
        format!("|{}|{}", self.level_e4, self.test_id)
    },
    fn settled(&self) -> Self {
        LevelTestRow { future_return_1d: None, ..self.clone() }
    }
);
table!(CandidateRow, "strategy_candidates", trade_date);

/// All tables with their columns, in the order of the chain.
pub const TABLES: [(&str, &[Column]); 8] = [
    (StockDailyRow::TABLE, StockDailyRow::FIELDS),
    (BollingerRow::TABLE, BollingerRow::FIELDS),
    (PoolRow::TABLE, PoolRow::FIELDS),
    (MicroRow::TABLE, MicroRow::FIELDS),
    (FundQualityRow::TABLE, FundQualityRow::FIELDS),
    (LevelRow::TABLE, LevelRow::FIELDS),
    (LevelTestRow::TABLE, LevelTestRow::FIELDS),
    (CandidateRow::TABLE, CandidateRow::FIELDS),
];
