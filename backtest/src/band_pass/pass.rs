//! The pass itself: the order of events of the bar engine, for one long position.

use crate::band_pass::{BandSource, Plan};
use crate::dataset::Bars;
use crate::engine::ExitReason;

/// A position from entry to exit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PassTrade {
    /// Bar of the entry.
    pub i0: usize,
    /// Bar of the exit.
    pub i1: usize,
    /// Price of the entry.
    pub entry: f64,
    /// Price of the exit.
    pub exit: f64,
    /// All that there was at the entry.
    pub stake: f64,
    /// What it earned after fees.
    pub pnl: f64,
    /// Fee of the exit, fraction of its notional; 0 for a position that is only marked.
    pub exit_fee: f64,
    /// Why it ended.
    pub reason: ExitReason,
}

/// Takes what a pass finds.
pub trait Sink {
    /// A position ended, or was marked at the end of the data.
    fn trade(&mut self, trade: &PassTrade);
    /// Equity at the close of bar `i`. Called for every bar.
    fn equity(&mut self, i: usize, equity: f64);
}

/// Decisions fill at the close that made them.
pub fn close_pass<B: BandSource, S: Sink>(
    plan: &Plan,
    bars: &Bars,
    equity: f64,
    bands: &mut B,
    sink: &mut S,
) -> usize {
    pass::<false, B, S>(plan, bars, equity, bands, sink)
}

/// Decisions fill at the next open.
pub fn next_open_pass<B: BandSource, S: Sink>(
    plan: &Plan,
    bars: &Bars,
    equity: f64,
    bands: &mut B,
    sink: &mut S,
) -> usize {
    pass::<true, B, S>(plan, bars, equity, bands, sink)
}

/// What is held and all there is.
struct State {
    equity: f64,
    held: bool,
    i0: usize,
    entry: f64,
    sl: f64,
    tp: f64,
}

impl State {
    #[inline(always)]
    fn enter(&mut self, plan: &Plan, i: usize, entry: f64) {
        (self.held, self.i0, self.entry) = (true, i, entry);
        self.sl = plan.sl.map_or(f64::NEG_INFINITY, |sl| entry * (1.0 - sl));
        self.tp = plan.tp.map_or(f64::INFINITY, |tp| entry * (1.0 + tp));
    }

    #[inline(always)]
    fn exit<S: Sink>(&mut self, plan: &Plan, i: usize, exit: f64, reason: ExitReason, sink: &mut S) {
        let exit_fee = if reason == ExitReason::Tp { plan.target_fee } else { plan.exit_fee };
        let x = exit / self.entry;
        let left = self.equity * ((1.0 - plan.entry_fee) * (1.0 - exit_fee) * x);
        let (stake, pnl) = (self.equity, left - self.equity);
        sink.trade(&PassTrade { i0: self.i0, i1: i, entry: self.entry, exit, stake, pnl, exit_fee, reason });
        (self.equity, self.held) = (left, false);
    }

    #[inline(always)]
    fn worth(&self, plan: &Plan, close: f64) -> f64 {
        if self.held { self.equity * ((1.0 - plan.entry_fee) * (close / self.entry)) } else { self.equity }
    }
}

#[inline(always)]
fn pass<const NEXT_OPEN: bool, B: BandSource, S: Sink>(
    plan: &Plan,
    bars: &Bars,
    equity: f64,
    bands: &mut B,
    sink: &mut S,
) -> usize {
    let n = bars.len();
    let (open, high, low, close) = (&bars.open[..n], &bars.high[..n], &bars.low[..n], &bars.close[..n]);
    let mut state = State { equity, held: false, i0: 0, entry: 1.0, sl: 0.0, tp: 0.0 };
    let (mut exit_next, mut enter_next, mut in_position) = (false, false, 0);
    for i in 0..n {
        let (mean, sd) = bands.at(i);
        let c = close[i];
        let mut touched = state.held;
        let held_before = state.held;
        if state.held {
            let o = open[i];
            if NEXT_OPEN && exit_next {
                state.exit(plan, i, o, ExitReason::Signal, sink);
            } else if o <= state.sl {
                state.exit(plan, i, o, ExitReason::SlGap, sink);
            } else if o >= state.tp {
                state.exit(plan, i, o, ExitReason::TpGap, sink);
            }
        }
        if NEXT_OPEN {
            if enter_next {
                state.enter(plan, i, open[i]);
                touched = true;
            }
            (exit_next, enter_next) = (false, false);
        }
        if state.held {
            if low[i] <= state.sl {
                state.exit(plan, i, state.sl, ExitReason::Sl, sink);
            } else if high[i] >= state.tp {
                state.exit(plan, i, state.tp, ExitReason::Tp, sink);
            } else if i + 1 - state.i0 >= plan.max_hold {
                state.exit(plan, i, c, ExitReason::Time, sink);
            }
        }
        if state.held {
            if c > mean {
                if NEXT_OPEN {
                    exit_next = true;
                } else {
                    state.exit(plan, i, c, ExitReason::Signal, sink);
                }
            }
        } else if c < mean - plan.k * sd {
            if NEXT_OPEN {
                enter_next = true;
            } else if !held_before {
                state.enter(plan, i, c);
                touched = true;
            }
        }
        in_position += usize::from(touched);
        sink.equity(i, state.worth(plan, c));
    }
    if state.held
        && let Some(&last) = close.last()
    {
        let (stake, worth) = (state.equity, state.worth(plan, last));
        let (i0, entry, reason) = (state.i0, state.entry, ExitReason::Open);
        let pnl = worth - stake;
        sink.trade(&PassTrade { i0, i1: n - 1, entry, exit: last, stake, pnl, exit_fee: 0.0, reason });
    }
    in_position
}
