//! All symbols in passes of their own → what the measures of a sweep need, and no more.

use std::sync::Arc;

use crate::band_pass::{BandSource, PassTrade, Plan, Sink};
use crate::dataset::Series;
use crate::engine::{EquityPoint, ExitReason, Fill};
use crate::metrics::Totals;

/// The bar times of all symbols, and where each bar of each symbol stands among them. Made once for many runs.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Closes, ms, ascending.
    times: Vec<i64>,
    /// Per symbol and bar: index of its close.
    at: Vec<Vec<u32>>,
    /// Per symbol and bar: the ranks of its open and of its close among all instants at which a position may end.
    ranks: Vec<Vec<[u32; 2]>>,
    n_ranks: usize,
}

impl Clock {
    /// The clock of these series.
    pub fn new(series: &[Arc<Series>]) -> Clock {
        let known = |s: &Arc<Series>| (0..s.bars.len()).map(|i| s.known_ms(i)).collect::<Vec<i64>>();
        let closes: Vec<Vec<i64>> = series.iter().map(known).collect();
        let opens = series.iter().map(|s| &s.bars.open_ms[..]);
        let times = sorted(closes.iter().flatten().copied().collect());
        let ends = sorted(opens.clone().flatten().chain(&times).copied().collect());
        let ranks = |(opens, closes): (&[i64], &Vec<i64>)| {
            let (opens, closes) = (places(&ends, opens), places(&ends, closes));
            opens.into_iter().zip(closes).map(|(open, close)| [open, close]).collect()
        };
        Clock {
            at: closes.iter().map(|closes| places(&times, closes)).collect(),
            ranks: opens.zip(&closes).map(ranks).collect(),
            n_ranks: ends.len(),
            times,
        }
    }
}

fn sorted(mut times: Vec<i64>) -> Vec<i64> {
    times.sort_unstable();
    times.dedup();
    times
}

/// Indices of ascending instants among `times`, which holds them all.
fn places(times: &[i64], instants: &[i64]) -> Vec<u32> {
    let mut next = 0;
    let place = |ms: &i64| {
        next += times[next..].partition_point(|time| time < ms);
        next as u32
    };
    instants.iter().map(place).collect()
}

/// What is kept of a run of one plan over all symbols, which are added in their order.
#[derive(Clone, Debug)]
pub struct Kept<'a> {
    plan: Plan,
    clock: &'a Clock,
    /// All there is at each time.
    total: Vec<f64>,
    ends: Vec<End>,
    bars: usize,
    bars_in_position: usize,
}

/// The end of a closed position.
#[derive(Clone, Copy, Debug)]
struct End {
    rank: u32,
    pnl: f64,
    return_pct: f64,
}

impl<'a> Kept<'a> {
    /// Nothing yet.
    pub fn new(plan: Plan, clock: &'a Clock) -> Kept<'a> {
        let total = vec![0.0; clock.times.len()];
        Kept { plan, clock, total, ends: Vec::new(), bars: 0, bars_in_position: 0 }
    }

    /// Window of its bands, bars.
    pub fn n(&self) -> usize {
        self.plan.n()
    }

    /// Runs over the series that is number `index` of the clock, with `share` at the start.
    pub fn add<B: BandSource>(&mut self, index: usize, series: &Series, share: f64, bands: &mut B) {
        let mut sink = Collect {
            at: &self.clock.at[index],
            ranks: &self.clock.ranks[index],
            total: &mut self.total,
            next: 0,
            worth: share,
            ends: &mut self.ends,
            fill_at_open: self.plan.fill == Fill::NextOpen,
            entry_fee: self.plan.entry_fee,
        };
        self.bars_in_position += self.plan.run_on(series, share, bands, &mut sink);
        sink.keep_until(self.clock.times.len());
        self.bars += series.bars.len();
    }

    /// All that was added, trades in the order of the general engine.
    pub fn finish(self) -> Totals {
        let (pnl, return_pct) = in_order(&self.ends, self.clock.n_ranks);
        let points = self.clock.times.iter().zip(self.total);
        Totals {
            equity: points.map(|(&ts_ms, equity)| EquityPoint { ts_ms, equity }).collect(),
            pnl,
            return_pct,
            bars: self.bars,
            bars_in_position: self.bars_in_position,
        }
    }
}

/// By rank, ends of one rank as they came, which is by symbol: a counting sort.
fn in_order(ends: &[End], n_ranks: usize) -> (Vec<f64>, Vec<f64>) {
    let mut place = vec![0u32; n_ranks + 1];
    ends.iter().for_each(|end| place[end.rank as usize + 1] += 1);
    for rank in 1..place.len() {
        place[rank] += place[rank - 1];
    }
    let (mut pnl, mut return_pct) = (vec![0.0; ends.len()], vec![0.0; ends.len()]);
    for end in ends {
        let at = &mut place[end.rank as usize];
        (pnl[*at as usize], return_pct[*at as usize]) = (end.pnl, end.return_pct);
        *at += 1;
    }
    (pnl, return_pct)
}

/// Adds the worth of one symbol to the sum of all, from the time it has bars; before and between it keeps its worth.
struct Collect<'a> {
    at: &'a [u32],
    ranks: &'a [[u32; 2]],
    total: &'a mut [f64],
    next: usize,
    worth: f64,
    ends: &'a mut Vec<End>,
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

    #[inline(always)]
    fn trade(&mut self, t: &PassTrade) {
        let at_open = match t.reason {
            ExitReason::Open => return,
            ExitReason::SlGap | ExitReason::TpGap => true,
            reason => reason == ExitReason::Signal && self.fill_at_open,
        };
        let rank = self.ranks[t.i1][usize::from(!at_open)];
        let x = t.exit / t.entry;
        let return_pct = (x - 1.0) - (self.entry_fee + t.exit_fee * x);
        self.ends.push(End { rank, pnl: t.pnl, return_pct });
    }
}
