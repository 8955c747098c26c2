//! What each job computes: rows of the store and of history in, rows out.

mod candidates;
mod flow;
mod price;
mod recent;

pub(super) use self::candidates::{candidates, selection};
pub(super) use self::flow::{FLOWS_LOOKED_AT, VALUES_LOOKED_AT, fund_quality, micro_daily};
pub(super) use self::price::{
    LEVELS_LOOKED_AT, active_pool, backfill_future, bollinger, level_micro, levels, update_ohlc,
};
pub(super) use self::recent::RecentTests;
