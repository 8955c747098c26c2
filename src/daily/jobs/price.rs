//! Jobs on bars, and the tests of levels.

use lobstream_market::ashare::StockCode;
use lobstream_market::calendar::Day;
use lobstream_market::daily::bands::BollingerRow;
use lobstream_market::daily::bar::StockDailyRow;
use lobstream_market::daily::levels::{self, LevelRow};
use lobstream_market::daily::micro::{MicroRow, Threshold};
use lobstream_market::daily::pool::PoolRow;
use lobstream_market::daily::print::Print;
use lobstream_market::daily::reaction::{LevelTestRow, Session, TestedLevel, tests};
use rayon::prelude::*;

use crate::daily::chain::{Chain, Made, Stop};
use crate::daily::table::TableRow;
use crate::error::Error;

/// Trading days back in which the last levels of a stock are looked for.
pub(in crate::daily) const LEVELS_LOOKED_AT: usize = 20;

/// The day's bars.
pub(in crate::daily) fn update_ohlc(chain: &Chain<'_>, day: Day) -> Made<StockDailyRow> {
    let row = |(code, bar): (StockCode, &lobstream_market::daily::bar::Bar)| StockDailyRow {
        ts_code: code,
        trade_date: day,
        open: bar.open,
        high: bar.high,
        low: bar.low,
        close: bar.close,
        pre_close: bar.pre_close,
        vol: bar.volume,
        amount: bar.amount,
        adj_factor: bar.factor,
        is_st: chain.history.facts.is_st(code, day),
        trade_status: 1,
    };
    Made::rows(chain.history.on(day).map(row).collect())
}

/// The bands of every stock that traded.
pub(in crate::daily) fn bollinger(chain: &Chain<'_>, day: Day) -> Made<BollingerRow> {
    let row = |(code, history): (&StockCode, &crate::daily::history::StockHistory)| {
        Some(history.point(day)?.row(*code, chain.history.facts.name(*code), day))
    };
    Made::rows(chain.history.stocks.iter().filter_map(row).collect())
}

/// Members of the pool.
pub(in crate::daily) fn active_pool(chain: &Chain<'_>, day: Day) -> Made<PoolRow> {
    let verdicts = chain.history.pool(day, chain.settings);
    let mut made = Made::rows(verdicts.into_values().filter_map(Result::ok).collect());
    if chain.history.facts.special.is_none() {
        made.warnings
            .push("st_undated: special treatment is told by today's names, which know the future".to_owned());
    }
    made
}

/// The levels of the universe.
pub(in crate::daily) fn levels(chain: &Chain<'_>, day: Day) -> Made<LevelRow> {
    let of_stock =
        |code: &StockCode| levels::rows(*code, chain.history.stocks[code].until(day), &chain.settings.levels);
    let rows: Vec<Vec<LevelRow>> =
        chain.history.universe(day, chain.settings).par_iter().map(of_stock).collect();
    Made::rows(rows.concat())
}

/// Every test of the levels that were known before the day.
pub(in crate::daily) fn level_micro(chain: &mut Chain<'_>, day: Day) -> Result<Made<LevelTestRow>, Stop> {
    let prints = chain.prints(day)?;
    let of_stock = |code: &StockCode| -> Result<Vec<LevelTestRow>, Error> {
        match prints.get(code) {
            Some(prints) => tests_of(chain, day, *code, prints),
            None => Ok(Vec::new()),
        }
    };
    let universe = chain.history.universe(day, chain.settings);
    let rows = universe.par_iter().map(of_stock).collect::<Result<Vec<_>, Error>>()?;
    Ok(Made::rows(rows.concat()))
}

fn tests_of(
    chain: &Chain<'_>,
    day: Day,
    code: StockCode,
    prints: &[Print],
) -> Result<Vec<LevelTestRow>, Error> {
    let micro: Vec<MicroRow> = chain.store.rows(day, code)?;
    let threshold = micro.first().and_then(|row| {
        Threshold { value: row.big_threshold, source: row.big_threshold_source, days: 0 }.before_close()
    });
    let session = Session::new(prints);
    let mut rows = Vec::new();
    for level in levels_before(chain, day, code)? {
        let level = TestedLevel {
            code,
            day,
            level_e4: scaled(chain, code, level.level_e4, level.calc_date, day),
            role: level.role,
            big_threshold: threshold,
        };
        rows.extend(tests(&level, &session, &chain.settings.tests).0);
    }
    rows.sort_by_key(|row| (row.level_e4, row.test_id));
    Ok(rows)
}

/// The latest levels of a stock that were known before the day.
fn levels_before(chain: &Chain<'_>, day: Day, code: StockCode) -> Result<Vec<LevelRow>, Error> {
    let days = chain.history.calendar.last(day, LEVELS_LOOKED_AT + 1);
    for before in days.iter().rev().filter(|d| **d < day) {
        let rows: Vec<LevelRow> = chain.store.rows(*before, code)?;
        if !rows.is_empty() {
            return Ok(rows);
        }
    }
    Ok(Vec::new())
}

/// A price of one day in prices of another, 1/10000 CNY.
pub(super) fn scaled(chain: &Chain<'_>, code: StockCode, price_e4: i64, of: Day, to: Day) -> i64 {
    let bar = |day| chain.history.stocks.get(&code).and_then(|h| h.until(day).last());
    match (bar(of), bar(to)) {
        (Some(of), Some(to)) if of.factor != to.factor => {
            (price_e4 as f64 * of.factor / to.factor + 0.5).floor() as i64
        }
        _ => price_e4,
    }
}

/// Tests of the day before, with their returns to this day's close.
pub(in crate::daily) fn backfill_future(
    chain: &Chain<'_>,
    before: Day,
    day: Day,
) -> Result<Made<LevelTestRow>, Stop> {
    let mut rows: Vec<LevelTestRow> = chain.store.day(before)?.into_values().flatten().collect();
    if rows.is_empty() {
        return Err(Stop::NoInput(format!("no test on {before}")));
    }
    for row in &mut rows {
        let history = chain.history.stocks.get(&row.code());
        let then = history.and_then(|h| h.until(before).last());
        let now = history.and_then(|h| h.on(day));
        row.future_return_1d =
            then.zip(now).map(|(then, now)| row.return_to(now.close * now.factor_to(then)));
    }
    Ok(Made::rows(rows))
}
