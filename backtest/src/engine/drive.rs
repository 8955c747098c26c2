//! All symbols through their bars in one order of time, on one account.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::dataset::Series;
use crate::engine::ashare::BarLimits;
use crate::engine::bar::BarEngine;
use crate::engine::{Intent, Moment, Rejection, ResolvedBy, Rules, Trade};
use crate::error::Error;
use crate::portfolio::Account;

/// Equity at a bar close.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EquityPoint {
    /// The close, ms.
    pub ts_ms: i64,
    /// Cash and what is held at the close, exit costs not deducted.
    pub equity: f64,
}

/// What a run counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bars of all symbols.
    pub bars: usize,
    /// Those in which a position was held at any time.
    pub bars_in_position: usize,
    /// Exits that the bar alone settles.
    pub exits_by_bar: usize,
    /// Exits that finer prices settled.
    pub exits_by_detail: usize,
    /// Exits that the rule "stop first" settled.
    pub exits_by_rule: usize,
    /// Of these, those where finer prices were asked for and missing.
    pub detail_missing: usize,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// By exit time, then series, then entry time.
    pub trades: Vec<Trade>,
    /// By time, then series.
    pub rejections: Vec<Rejection>,
    /// One point per bar time.
    pub equity: Vec<EquityPoint>,
    /// Counted.
    pub counts: Counts,
}

/// Runs all series through `decide`, which is called once per bar and series, in order of time and then of series.
///
/// # Errors
/// A short that lost more than its collateral.
pub fn drive<A: Account>(
    series: &[Arc<Series>],
    rules: &Rules,
    account: &mut A,
    decide: impl FnMut(usize, &Moment<'_>) -> Intent,
) -> Result<Outcome, Error> {
    drive_within(series, &[], rules, account, decide)
}

/// The same within limits of prices: one list per series, one entry per bar, `None` where there are none.
///
/// # Errors
/// As of [`drive`].
pub fn drive_within<A: Account>(
    series: &[Arc<Series>],
    limits: &[Vec<Option<BarLimits>>],
    rules: &Rules,
    account: &mut A,
    mut decide: impl FnMut(usize, &Moment<'_>) -> Intent,
) -> Result<Outcome, Error> {
    let engine = |(k, series)| BarEngine::new(series, k, *rules, limits.get(k).map_or(&[], Vec::as_slice));
    let mut engines: Vec<_> = series.iter().map(Arc::as_ref).enumerate().map(engine).collect();
    let mut next = vec![0usize; engines.len()];
    let mut due = Vec::with_capacity(engines.len());
    let mut equity = Vec::with_capacity(series.iter().map(|s| s.bars.len()).max().unwrap_or(0));
    while let Some(ts_ms) = due_at(&engines, &next, &mut due) {
        account.begin_bar(ts_ms);
        for &k in &due {
            engines[k].open_exits(next[k], account);
        }
        for &k in &due {
            engines[k].open_entry(next[k], account);
        }
        for &k in &due {
            let (engine, i) = (&mut engines[k], next[k]);
            engine.inside(i, account);
            let intent = decide(k, &Moment::new(engine.series, i));
            engine.close(i, &intent, account);
            account.mark(k, engine.series.bars.close[i]);
            if account.is_ruined(k) {
                let symbol = engine.series.symbol.clone();
                return Err(Error::ShortRuined { symbol, ts_ms: engine.series.known_ms(i) });
            }
            next[k] += 1;
        }
        let step_ms = engines[due[0]].series.step_ms;
        equity.push(EquityPoint { ts_ms: ts_ms + step_ms, equity: account.end_of_bar() });
    }
    Ok(collect(engines, account, equity))
}

/// The next bar time, and in `due` the series that have a bar then.
fn due_at(engines: &[BarEngine<'_>], next: &[usize], due: &mut Vec<usize>) -> Option<i64> {
    due.clear();
    let mut least = None;
    for (k, engine) in engines.iter().enumerate() {
        let Some(&ts_ms) = engine.series.bars.ts_ms.get(next[k]) else { continue };
        if least.is_none_or(|least| ts_ms < least) {
            due.clear();
            least = Some(ts_ms);
        }
        if least == Some(ts_ms) {
            due.push(k);
        }
    }
    least
}

/// Entries that ended in several parts get a number, as all others then do: by the first exit.
fn number(trades: &mut [Trade]) {
    let mut numbers = BTreeMap::new();
    for trade in trades.iter() {
        let next = numbers.len() + 1;
        numbers.entry((trade.series, trade.entry_ms)).or_insert(next);
    }
    if numbers.len() < trades.len() {
        trades.iter_mut().for_each(|trade| trade.position = numbers[&(trade.series, trade.entry_ms)]);
    }
}

fn collect<A: Account>(engines: Vec<BarEngine<'_>>, account: &A, equity: Vec<EquityPoint>) -> Outcome {
    let (mut trades, mut rejections, mut counts) = (Vec::new(), Vec::new(), Counts::default());
    for mut engine in engines {
        engine.finish(account);
        counts.bars += engine.series.bars.len();
        counts.bars_in_position += engine.bars_in_position;
        counts.detail_missing += engine.detail_missing;
        trades.append(&mut engine.trades);
        rejections.append(&mut engine.rejections);
    }
    trades.sort_by_key(|trade| (trade.exit_ms, trade.series, trade.entry_ms));
    number(&mut trades);
    rejections.sort_by_key(|rejection| (rejection.ts_ms, rejection.series));
    for trade in trades.iter().filter(|trade| trade.is_closed()) {
        match trade.resolved_by {
            ResolvedBy::Bar => counts.exits_by_bar += 1,
            ResolvedBy::Detail => counts.exits_by_detail += 1,
            ResolvedBy::Rule => counts.exits_by_rule += 1,
        }
    }
    Outcome { trades, rejections, equity, counts }
}
