//! All symbols in passes of their own → one outcome, as the general engine gives it.

use std::sync::Arc;

use crate::band_pass::{BandSource, PassTrade, Plan, Sink};
use crate::dataset::Series;
use crate::engine::{Counts, EquityPoint, ExitReason, Fill, Outcome, ResolvedBy, Trade};
use crate::model::Side;

/// The bar times of all symbols, and where each bar of each symbol stands among them. Made once for many runs.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Closes, ms, ascending.
    times: Vec<i64>,
    /// Per symbol and bar: index of its close.
    at: Vec<Vec<u32>>,
}

impl Clock {
    /// The clock of these series.
    pub fn new(series: &[Arc<Series>]) -> Clock {
        let known = |s: &Arc<Series>| (0..s.bars.len()).map(|i| s.known_ms(i)).collect::<Vec<i64>>();
        let closes: Vec<Vec<i64>> = series.iter().map(known).collect();
        let mut times: Vec<i64> = closes.iter().flatten().copied().collect();
        times.sort_unstable();
        times.dedup();
        let at = |closes: &Vec<i64>| {
            let mut next = 0;
            let place = |ms: &i64| {
                next += times[next..].partition_point(|time| time < ms);
                next as u32
            };
            closes.iter().map(place).collect()
        };
        Clock { at: closes.iter().map(at).collect(), times }
    }
}

/// Adds the worth of one symbol to the sum of all, from the time it has bars; before and between it keeps its worth.
struct Collect<'a> {
    series: &'a Series,
    index: usize,
    at: &'a [u32],
    total: &'a mut [f64],
    next: usize,
    worth: f64,
    trades: &'a mut Vec<Trade>,
    fill_at_open: bool,
    entry_fee: f64,
}

impl Collect<'_> {
    fn keep_until(&mut self, time: usize) {
        for total in &mut self.total[self.next..time] {
            *total += self.worth;
        }
    }
}

impl Sink for Collect<'_> {
    #[inline(always)]
    fn equity(&mut self, i: usize, equity: f64) {
        let time = self.at[i] as usize;
        if time > self.next {
            self.keep_until(time);
        }
        self.total[time] += equity;
        (self.next, self.worth) = (time + 1, equity);
    }

    #[inline(never)]
    fn trade(&mut self, t: &PassTrade) {
        let bars = &self.series.bars;
        let entry_ms = if self.fill_at_open { bars.open_ms[t.i0] } else { self.series.known_ms(t.i0) };
        let gap = matches!(t.reason, ExitReason::SlGap | ExitReason::TpGap);
        let signal = t.reason == ExitReason::Signal;
        let at_open = gap || (signal && self.fill_at_open);
        // Only what is marked, or filled at the close that decided it, knows its own bar.
        let knows_bar = t.reason == ExitReason::Open || (signal && !self.fill_at_open);
        let decided_out = if knows_bar { t.i1 } else { t.i1.saturating_sub(1) };
        let exit_ms = if at_open { bars.open_ms[t.i1] } else { self.series.known_ms(t.i1) };
        let x = t.exit / t.entry;
        let costs = self.entry_fee + t.exit_fee * x;
        self.trades.push(Trade {
            series: self.index,
            side: Side::Long,
            i0: t.i0,
            i1: t.i1,
            decided_in: t.i0 - usize::from(self.fill_at_open),
            decided_out,
            entry_ms,
            exit_ms,
            entry: t.entry,
            exit: t.exit,
            qty: t.stake / t.entry,
            notional: t.stake,
            sl: None,
            tp: None,
            pnl: t.pnl,
            return_pct: (x - 1.0) - costs,
            fees: t.stake * costs,
            slippage: 0.0,
            mae: 0.0,
            mfe: 0.0,
            reason: t.reason,
            resolved_by: ResolvedBy::Bar,
            position: 0,
            entry_reason: "signal",
            carried_days: 0,
        });
    }
}

/// Runs every series with an equal share of `equity`; `bands` gives the bands of a series by its index.
///
/// Levels and excursions of the trades are not filled in, and nothing is said of what settled an exit.
pub fn outcome<B: BandSource>(
    plan: &Plan,
    series: &[Arc<Series>],
    clock: &Clock,
    equity: f64,
    mut bands: impl FnMut(usize) -> B,
) -> Outcome {
    let (mut total, mut trades, mut counts) = (vec![0.0; clock.times.len()], Vec::new(), Counts::default());
    let share = equity / series.len().max(1) as f64;
    for (index, series) in series.iter().enumerate() {
        let mut sink = Collect {
            series,
            index,
            at: &clock.at[index],
            total: &mut total,
            next: 0,
            worth: share,
            trades: &mut trades,
            fill_at_open: plan.fill == Fill::NextOpen,
            entry_fee: plan.entry_fee,
        };
        counts.bars_in_position += plan.run_on(series, share, &mut bands(index), &mut sink);
        sink.keep_until(clock.times.len());
        counts.bars += series.bars.len();
    }
    trades.sort_by_key(|trade| (trade.exit_ms, trade.series, trade.entry_ms));
    let points = clock.times.iter().zip(total).map(|(&ts_ms, equity)| EquityPoint { ts_ms, equity });
    Outcome { trades, rejections: Vec::new(), equity: points.collect(), counts }
}
