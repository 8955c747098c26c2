//! The bar engine of one symbol: what fills in a bar, in the order in which it can have happened.
//!
//! ```text
//! bar i │ open: decided exits ─▶ gaps beyond a stop ─▶ decided entries
//!       │ inside: stop, target (both: stop first, unless finer prices decide)
//!       │ resting: an exit that was refused at the down limit fills there if the bar trades above it
//!       │ close: holding time ─▶ the rule decides ─▶ fills here (close) or at the next open (next_open)
//! ```

use crate::dataset::{Series, shanghai_day};
use crate::engine::ashare::BarLimits;
use crate::engine::held::{Held, levels};
use crate::engine::trade::{ExitReason, Rejection, ResolvedBy, Trade};
use crate::engine::{Fill, Intent, Rules, tick};
use crate::model::Side;
use crate::model::fee::Liquidity;
use crate::portfolio::{Account, Settled};

/// Where and why a position ends.
#[derive(Clone, Copy, Debug)]
struct Exit {
    reason: ExitReason,
    /// Price of the bar, before slippage.
    px: f64,
    i: usize,
    ms: i64,
    decided_out: usize,
    resolved_by: ResolvedBy,
    /// It waited at its price, so that it fills there and not worse.
    rests: bool,
}

/// The state of one symbol between bars.
#[derive(Debug)]
pub(super) struct BarEngine<'a> {
    pub(super) series: &'a Series,
    index: usize,
    rules: Rules,
    /// One per bar, or none at all.
    limits: &'a [Option<BarLimits>],
    /// Days on which an exit was tried in vain, and the last of them.
    carried: usize,
    carried_on: Option<i64>,
    /// Bar at whose close an exit was refused.
    refused_at: Option<usize>,
    /// Bar in which a part was sold, as much as its volume allows.
    cut_in: Option<usize>,
    held: Option<Held>,
    pending_exit: Option<(ExitReason, usize)>,
    /// An exit that was refused at the open: what comes of it is known when the bar has moved.
    resting: Option<(ExitReason, usize)>,
    pending_entry: Option<(Side, usize)>,
    exited_in: Option<usize>,
    touched: bool,
    pub(super) bars_in_position: usize,
    pub(super) detail_missing: usize,
    pub(super) trades: Vec<Trade>,
    pub(super) rejections: Vec<Rejection>,
}

impl<'a> BarEngine<'a> {
    pub(super) fn new(
        series: &'a Series,
        index: usize,
        rules: Rules,
        limits: &'a [Option<BarLimits>],
    ) -> BarEngine<'a> {
        BarEngine {
            series,
            index,
            rules,
            limits,
            carried: 0,
            carried_on: None,
            refused_at: None,
            cut_in: None,
            held: None,
            pending_exit: None,
            resting: None,
            pending_entry: None,
            exited_in: None,
            touched: false,
            bars_in_position: 0,
            detail_missing: 0,
            trades: Vec::new(),
            rejections: Vec::new(),
        }
    }

    /// At the open: exits decided before, then positions that opened beyond a level.
    pub(super) fn open_exits<A: Account>(&mut self, i: usize, account: &mut A) {
        let Some(held) = self.held else { return };
        self.touched = true;
        let px = self.series.bars.open[i];
        if self.is_locked(&held, i) {
            return self.note_locked_stop(&held, px, i);
        }
        if !self.series.bars.fills(i) {
            if self.pending_exit.is_some() {
                self.count_carried(i);
            }
            return;
        }
        let exit = match self.pending_exit.take() {
            Some((reason, decided_out)) => Some((reason, decided_out)),
            None if held.stop_reached(px) => Some((ExitReason::SlGap, i)),
            None if held.target_reached(px) => Some((ExitReason::TpGap, i)),
            None => None,
        };
        if let Some((reason, decided_out)) = exit {
            // A gap is met with what the bar before told.
            let decided_out = decided_out.min(i.saturating_sub(1));
            let ms = self.series.bars.open_ms[i];
            if self.is_down(i, px) {
                self.reject(ms, reason.as_str(), "limit_down");
                self.resting = Some((reason, decided_out));
                return;
            }
            let resolved_by = ResolvedBy::Bar;
            self.exit(Exit { reason, px, i, ms, decided_out, resolved_by, rests: false }, account);
        }
    }

    /// At the open, after the exits of all symbols: the entry decided before.
    pub(super) fn open_entry<A: Account>(&mut self, i: usize, account: &mut A) {
        let Some((side, decided_in)) = self.pending_entry.take() else { return };
        let ms = self.series.bars.open_ms[i];
        if self.series.bars.after_spell[i] {
            self.reject(ms, "entry", "book_invalid");
        } else if !self.series.bars.fills(i) {
            self.reject(ms, "entry", "no_volume");
        } else if self.is_up(i, self.series.bars.open[i]) {
            self.reject(ms, "entry", "limit_up");
        } else {
            self.enter(side, self.series.bars.open[i], i, ms, decided_in, account);
        }
    }

    /// Inside the bar: stop and target.
    pub(super) fn inside<A: Account>(&mut self, i: usize, account: &mut A) {
        let Some(held) = self.held else { return };
        if let Some((reason, decided_out)) = self.resting.take() {
            return self.rest_at_down(reason, i, decided_out, account);
        }
        // Refused at the open: the whole bar lies at the limit. Or sold as much as its volume allows.
        if self.is_carried(i) || self.cut_in == Some(i) {
            return;
        }
        let (low, high) = (self.series.bars.low[i], self.series.bars.high[i]);
        let (worst, best) = match held.side {
            Side::Long => (low, high),
            Side::Short => (high, low),
        };
        if self.is_locked(&held, i) {
            return self.note_locked_stop(&held, worst, i);
        }
        if !self.series.bars.fills(i) {
            return;
        }
        let (reason, px, resolved_by) = match (held.stop_reached(worst), held.target_reached(best)) {
            (false, false) => return,
            (true, false) => (ExitReason::Sl, held.sl, ResolvedBy::Bar),
            (false, true) => (ExitReason::Tp, held.tp, ResolvedBy::Bar),
            (true, true) => self.first_of_two(&held, i),
        };
        let decided_out = i.saturating_sub(1);
        let ms = self.series.known_ms(i);
        if self.is_down(i, px) {
            self.reject(ms, reason.as_str(), "limit_down");
            return self.rest_at_down(reason, i, decided_out, account);
        }
        self.exit(Exit { reason, px, i, ms, decided_out, resolved_by, rests: false }, account);
    }

    fn limits(&self, i: usize) -> Option<BarLimits> {
        self.limits.get(i).copied().flatten()
    }

    /// A buyer at this price waits in a queue.
    fn is_up(&self, i: usize, px: f64) -> bool {
        self.limits(i).is_some_and(|limits| limits.is_up(px))
    }

    /// A seller at this price likewise.
    fn is_down(&self, i: usize, px: f64) -> bool {
        self.limits(i).is_some_and(|limits| limits.is_down(px))
    }

    /// A refused exit rests at the down limit: it fills there if the bar trades above it, else it is carried.
    fn rest_at_down<A: Account>(
        &mut self,
        reason: ExitReason,
        i: usize,
        decided_out: usize,
        account: &mut A,
    ) {
        let Some(down) = self.limits(i).map(|limits| limits.down) else { return };
        if self.is_down(i, self.series.bars.high[i]) {
            self.carry(reason, i, decided_out);
            return;
        }
        let (px, ms) = (down, self.series.known_ms(i));
        let resolved_by = ResolvedBy::Bar;
        self.exit(Exit { reason, px, i, ms, decided_out, resolved_by, rests: true }, account);
    }

    /// The exit keeps its reason and is tried again at the next open.
    fn carry(&mut self, reason: ExitReason, i: usize, decided_out: usize) {
        self.pending_exit = Some((reason, decided_out));
        self.count_carried(i);
    }

    /// A day counts once, however many of its bars refuse.
    fn count_carried(&mut self, i: usize) {
        let ts_ms = self.series.bars.ts_ms[i];
        let day = if self.rules.t1 { shanghai_day(ts_ms) } else { ts_ms.div_euclid(86_400_000) };
        self.carried += usize::from(self.carried_on != Some(day));
        self.carried_on = Some(day);
    }

    /// Bought on the day of bar `i`, where that may not be sold on the same day.
    fn is_locked(&self, held: &Held, i: usize) -> bool {
        let ts_ms = &self.series.bars.ts_ms;
        self.rules.t1 && shanghai_day(ts_ms[i]) == shanghai_day(ts_ms[held.i0])
    }

    /// A stop touched while the position is locked becomes an exit at the first open of a later day.
    fn note_locked_stop(&mut self, held: &Held, px: f64, i: usize) {
        if held.stop_reached(px) {
            self.pending_exit = Some((ExitReason::SlT1, i));
        }
    }

    /// Stop and target both lie inside the bar: finer prices decide, else the stop came first.
    fn first_of_two(&mut self, held: &Held, i: usize) -> (ExitReason, f64, ResolvedBy) {
        let unresolved = (ExitReason::Sl, held.sl, ResolvedBy::Rule);
        if !self.rules.detail {
            return unresolved;
        }
        for &px in self.series.detail.bar(i) {
            if held.stop_reached(px) {
                return (ExitReason::Sl, px, ResolvedBy::Detail);
            }
            if held.target_reached(px) {
                return (ExitReason::Tp, held.tp, ResolvedBy::Detail);
            }
        }
        self.detail_missing += 1;
        unresolved
    }

    /// At the close: the holding time, then what the rule wants.
    pub(super) fn close<A: Account>(&mut self, i: usize, intent: &Intent, account: &mut A) {
        if let Some(held) = &mut self.held {
            held.note(self.series.bars.low[i], self.series.bars.high[i]);
        }
        self.time_exit(i, account);
        match self.rules.fill {
            Fill::NextOpen => self.decide(i, intent),
            Fill::Close => self.act(i, intent, account),
        }
        self.bars_in_position += usize::from(self.touched);
        self.touched = false;
    }

    fn time_exit<A: Account>(&mut self, i: usize, account: &mut A) {
        let (Some(held), Some(max_hold)) = (&self.held, self.rules.brackets.max_hold) else { return };
        if i + 1 - held.i0 >= max_hold && !self.is_locked(held, i) {
            self.exit_at_close(ExitReason::Time, i, account);
        }
    }

    /// Orders for the next open.
    fn decide(&mut self, i: usize, intent: &Intent) {
        let wanted = match self.held {
            None => intent.enter,
            Some(held) if intent.exits(held.side) => {
                self.pending_exit.get_or_insert((ExitReason::Signal, i));
                intent.enter.filter(|side| *side != held.side)
            }
            Some(_) => None,
        };
        if let Some(side) = wanted {
            self.if_book_ok(i, |engine| engine.pending_entry = Some((side, i)));
        }
    }

    /// Orders that fill at this very close.
    fn act<A: Account>(&mut self, i: usize, intent: &Intent, account: &mut A) {
        match self.held {
            Some(held) if intent.exits(held.side) && self.is_locked(&held, i) => {
                self.pending_exit.get_or_insert((ExitReason::Signal, i));
            }
            Some(held) if intent.exits(held.side) => self.exit_at_close(ExitReason::Signal, i, account),
            Some(_) => {}
            None => {
                if let Some(side) = intent.enter.filter(|_| self.exited_in != Some(i)) {
                    let (px, ms) = (self.series.bars.close[i], self.series.known_ms(i));
                    let locked = self.is_up(i, px).then_some("limit_up");
                    match self.refusal(i).or(locked) {
                        None => self.enter(side, px, i, ms, i, account),
                        Some(cause) => self.reject(ms, "entry", cause),
                    }
                }
            }
        }
    }

    /// An exit was refused in bar `i`, and waits for the next open.
    fn is_carried(&self, i: usize) -> bool {
        self.pending_exit.is_some() && self.is_down(i, self.series.bars.high[i])
    }

    /// Exits at the close, or, if there is no book then, at the next open there is.
    fn exit_at_close<A: Account>(&mut self, reason: ExitReason, i: usize, account: &mut A) {
        if self.is_carried(i) || self.refused_at == Some(i) || self.cut_in == Some(i) {
            return;
        }
        let locked = self.is_down(i, self.series.bars.close[i]).then_some("limit_down");
        if let Some(cause) = self.refusal(i).or(locked) {
            let (reason, decided) = self.pending_exit.unwrap_or((reason, i));
            self.carry(reason, i, decided);
            self.refused_at = Some(i);
            self.reject(self.series.known_ms(i), reason.as_str(), cause);
            return;
        }
        let (px, ms) = (self.series.bars.close[i], self.series.known_ms(i));
        let decided_out = match reason {
            ExitReason::Time => i.saturating_sub(1),
            ExitReason::Signal
            | ExitReason::Sl
            | ExitReason::SlGap
            | ExitReason::SlT1
            | ExitReason::SupportBreak
            | ExitReason::NoTouch
            | ExitReason::Tp1
            | ExitReason::Tp2
            | ExitReason::EndOfData
            | ExitReason::Delisted
            | ExitReason::Tp
            | ExitReason::TpGap
            | ExitReason::Open => i,
        };
        let resolved_by = ResolvedBy::Bar;
        self.exit(Exit { reason, px, i, ms, decided_out, resolved_by, rests: false }, account);
    }

    /// Why nothing fills at the close of bar `i`, if so.
    fn refusal(&self, i: usize) -> Option<&'static str> {
        let bars = &self.series.bars;
        if !bars.book_ok[i] {
            return Some("book_invalid");
        }
        (!bars.fills(i)).then_some("no_volume")
    }

    fn if_book_ok(&mut self, i: usize, order: impl FnOnce(&mut Self)) {
        if self.series.bars.book_ok[i] {
            order(self);
        } else {
            self.reject(self.series.known_ms(i), "entry", "book_invalid");
        }
    }

    fn enter<A: Account>(
        &mut self,
        side: Side,
        px: f64,
        i: usize,
        entry_ms: i64,
        decided_in: usize,
        account: &mut A,
    ) {
        let entry = self.slipped(side, px, i);
        self.cap(i, account);
        let opened = match account.open(self.index, side, entry) {
            Ok(opened) => opened,
            Err(cause) => return self.reject(entry_ms, "entry", cause),
        };
        (self.carried, self.carried_on) = (0, None);
        let (sl, tp) = levels(side, entry, &self.rules.brackets, self.rules.tick);
        let (qty, notional) = (opened.qty, opened.notional);
        let slippage = (entry - px).abs() * qty;
        let (high, low) = (entry, entry);
        self.touched = true;
        self.held = Some(Held {
            side,
            i0: i,
            decided_in,
            entry_ms,
            entry,
            qty,
            notional,
            slippage,
            sl,
            tp,
            high,
            low,
        });
    }

    /// Where an order of `side` fills that takes what it gets: worse than `px`, but inside the bar and, where a market
    /// has ticks, at one of them and a tick inside the limits of the day.
    fn slipped(&self, side: Side, px: f64, i: usize) -> f64 {
        let slipped = self.rules.slippage.apply(side, px, self.series, i);
        let Some(tick) = self.rules.tick else { return slipped };
        // Adjusted prices stand between ticks, before and after.
        let slipped = if tick::is_whole(px, tick) { tick::worse(side, slipped, tick) } else { slipped };
        let (low, high) = (self.series.bars.low[i], self.series.bars.high[i]);
        let slipped = slipped.clamp(low, high);
        let limits = self.limits(i);
        tick::clean(match side {
            Side::Long => limits.map_or(slipped, |limits| slipped.min(limits.up - tick)).max(px),
            Side::Short => limits.map_or(slipped, |limits| slipped.max(limits.down + tick)).min(px),
        })
    }

    fn exit<A: Account>(&mut self, exit: Exit, account: &mut A) {
        let Some(held) = self.held.take() else { return };
        self.cap(exit.i, account);
        if !account.can_close(self.index) {
            return self.keep(held, &exit);
        }
        let px = self.exit_price(&held, &exit);
        let rested = exit.reason == ExitReason::Tp && held.target_reached(exit.px);
        let liquidity = if rested { Liquidity::Maker } else { Liquidity::Taker };
        let settled = account.close(self.index, px, liquidity);
        self.exited_in = Some(exit.i);
        let Some(left) = account.left(self.index) else { return self.record(held, &exit, px, settled) };
        let share = left.qty / held.qty;
        let rest = Held { qty: left.qty, notional: left.notional, slippage: held.slippage * share, ..held };
        let sold = Held {
            qty: held.qty - left.qty,
            notional: held.notional - left.notional,
            slippage: held.slippage - rest.slippage,
            ..held
        };
        self.record(sold, &exit, px, settled);
        self.keep(rest, &exit);
    }

    /// What the volume does not allow to be sold is tried again at the next open.
    fn keep(&mut self, held: Held, exit: &Exit) {
        self.held = Some(held);
        self.cut_in = Some(exit.i);
        self.reject(exit.ms, exit.reason.as_str(), "volume_cap");
        self.carry(exit.reason, exit.i, exit.decided_out);
    }

    /// Tells the account how much of the next order the volume before bar `i` allows.
    fn cap<A: Account>(&self, i: usize, account: &mut A) {
        let most = self.rules.volume_cap.and_then(|share| self.series.bars.volume_cap(i, share));
        account.cap(self.index, most);
    }

    /// What rests fills at its price; everything else slips, a target that gapped not below itself. What the volume
    /// left of a sale at a target is an order like any other once the price is no longer there.
    fn exit_price(&self, held: &Held, exit: &Exit) -> f64 {
        if exit.rests {
            return exit.px;
        }
        let slipped = || self.slipped(held.side.opposite(), exit.px, exit.i);
        if matches!(exit.reason, ExitReason::Tp | ExitReason::TpGap) && !held.target_reached(exit.px) {
            return slipped();
        }
        match exit.reason {
            ExitReason::Tp | ExitReason::Open => exit.px,
            ExitReason::TpGap if held.side == Side::Long => slipped().max(held.tp),
            ExitReason::TpGap => slipped().min(held.tp),
            ExitReason::Sl
            | ExitReason::SlGap
            | ExitReason::SlT1
            | ExitReason::SupportBreak
            | ExitReason::NoTouch
            | ExitReason::Tp1
            | ExitReason::Tp2
            | ExitReason::EndOfData
            | ExitReason::Delisted
            | ExitReason::Signal
            | ExitReason::Time => slipped(),
        }
    }

    fn record(&mut self, mut held: Held, exit: &Exit, px: f64, settled: Settled) {
        held.note(px, px);
        let (mae, mfe) = held.excursions();
        self.trades.push(Trade {
            series: self.index,
            side: held.side,
            i0: held.i0,
            i1: exit.i,
            decided_in: held.decided_in,
            decided_out: exit.decided_out,
            entry_ms: held.entry_ms,
            exit_ms: exit.ms,
            entry: held.entry,
            exit: px,
            qty: held.qty,
            notional: held.notional,
            sl: self.rules.brackets.sl.map(|_| held.sl),
            tp: self.rules.brackets.tp.map(|_| held.tp),
            pnl: settled.pnl,
            return_pct: settled.return_pct,
            fees: settled.fees,
            slippage: held.slippage + (px - exit.px).abs() * held.qty,
            mae,
            mfe,
            reason: exit.reason,
            resolved_by: exit.resolved_by,
            position: 0,
            entry_reason: "signal",
            carried_days: self.carried,
        });
    }

    /// After the last bar: an open position is marked to the last close.
    pub(super) fn finish<A: Account>(&mut self, account: &A) {
        let Some(i) = self.series.bars.len().checked_sub(1) else { return };
        let Some(held) = self.held.take() else { return };
        let (px, ms) = (self.series.bars.close[i], self.series.known_ms(i));
        let settled = account.settle_open(self.index, px);
        let (reason, resolved_by) = (ExitReason::Open, ResolvedBy::Bar);
        let exit = Exit { reason, px, i, ms, decided_out: i, resolved_by, rests: false };
        self.record(held, &exit, px, settled);
    }

    fn reject(&mut self, ts_ms: i64, what: &'static str, cause: &'static str) {
        self.rejections.push(Rejection { series: self.index, ts_ms, what, cause });
    }
}
