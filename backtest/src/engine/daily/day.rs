//! The course of a day, from the open to the close, for all stocks.

use crate::dataset::{Candidate, DailyData, Date, PriceBasis};
use crate::engine::daily::account::{Book, Entry, Sale};
use crate::engine::daily::held::{Pending, rescaled};
use crate::engine::daily::market::StockDay;
use crate::engine::daily::{
    DailyOutcome, DailyRules, DailyStrategy, LateRead, Part, StockClose, bar_today, check,
};
use crate::engine::{EquityPoint, ExitReason, Rejection};
use crate::error::Error;
use crate::model::money::Fen;

/// Trades a strategy over all days of the calendar, with `cash` CNY.
///
/// # Errors
/// Settings out of range, a day without rules, books that do not balance.
pub fn run_days<S: DailyStrategy>(
    data: &DailyData,
    rules: &DailyRules,
    cash: f64,
    strategy: &mut S,
) -> Result<DailyOutcome, Error> {
    check(&rules.portfolio)?;
    let start = Fen::of_cny(cash);
    let mut run = Run {
        data,
        rules,
        strategy,
        book: Book::new(start),
        rejections: Vec::new(),
        equity: Vec::with_capacity(data.calendar.len()),
        last_close: vec![None; data.stocks.len()],
        days_held: 0,
        counts: Counts::default(),
        late_reads: Vec::new(),
    };
    for &date in &data.calendar {
        run.day(date)?;
    }
    run.finish(start)
}

#[derive(Default)]
struct Counts {
    candidates: usize,
    suspended_days: usize,
    cut_by_volume: usize,
    actions_as_cash: usize,
    quality_missing: usize,
    support_missing: usize,
}

struct Run<'a, S> {
    data: &'a DailyData,
    rules: &'a DailyRules,
    strategy: &'a mut S,
    book: Book,
    rejections: Vec<Rejection>,
    equity: Vec<EquityPoint>,
    /// Last close of each stock, and its bar.
    last_close: Vec<Option<(i64, usize)>>,
    days_held: usize,
    counts: Counts,
    late_reads: Vec<LateRead>,
}

impl<S: DailyStrategy> Run<'_, S> {
    fn day(&mut self, date: Date) -> Result<(), Error> {
        let candidates: Vec<Candidate> = self.open_candidates(date);
        self.ex_dates(date);
        self.open_exits(date)?;
        let not_yet = self.open_entries(date, candidates)?;
        let held_today = !self.book.held.is_empty();
        self.inside(date)?;
        self.close_entries(date, not_yet)?;
        self.days_held += usize::from(held_today || !self.book.held.is_empty());
        self.decide(date);
        self.delist(date)?;
        self.mark(date)
    }

    /// Candidates of the day that were not held the evening before.
    fn open_candidates(&mut self, date: Date) -> Vec<Candidate> {
        let all = self.data.candidates_for(date);
        self.counts.candidates += all.len();
        let held = |c: &&Candidate| self.book.held.iter().all(|held| held.stock != c.stock);
        all.iter().filter(held).map(|c| self.on_the_day(*c, date)).collect()
    }

    /// Levels of a candidate follow the reference price if its day is an ex-date.
    fn on_the_day(&self, candidate: Candidate, date: Date) -> Candidate {
        match self.ex_step(candidate.stock, date) {
            Some((pre_close, last)) => Candidate {
                support_e4: rescaled(candidate.support_e4, pre_close, last),
                resistance_e4: candidate.resistance_e4.map(|level| rescaled(level, pre_close, last)),
                ..candidate
            },
            None => candidate,
        }
    }

    /// Reference price and the close before it, if they differ on a day and that is to be booked.
    fn ex_step(&self, stock: usize, date: Date) -> Option<(i64, i64)> {
        if self.data.basis == PriceBasis::Adjusted || !self.rules.portfolio.apply_actions {
            return None;
        }
        let i = bar_today(self.data, stock, date)?;
        let (last, _) = self.last_close[stock]?;
        let pre_close = self.data.stocks[stock].bars[i].pre_close;
        (pre_close != last).then_some((pre_close, last))
    }

    fn ex_dates(&mut self, date: Date) {
        for k in 0..self.book.held.len() {
            let stock = self.book.held[k].stock;
            let Some((pre_close, last)) = self.ex_step(stock, date) else { continue };
            let row = self.data.stocks[stock].actions.iter().find(|row| row.ex_date == date);
            self.counts.actions_as_cash += usize::from(self.book.ex_date(k, pre_close, last, row));
        }
    }

    /// Exits that were decided before, and stops that the open lies beyond.
    fn open_exits(&mut self, date: Date) -> Result<(), Error> {
        for k in 0..self.book.held.len() {
            let held = &mut self.book.held[k];
            let Some(i) = bar_today(self.data, held.stock, date) else {
                self.counts.suspended_days += 1;
                if let Some(pending) = &mut held.pending {
                    pending.carried += 1;
                }
                continue;
            };
            let day = StockDay::new(self.data, self.rules, held.stock, i)?;
            let open = day.bar.open;
            if held.stop_reached(open) {
                held.decide(ExitReason::SlGap, Part::All, i.saturating_sub(1));
            }
            if held.pending.is_some() && !day.is_down(open) {
                let sold = self.sell_pending(k, &day, open, day.sell_price(open), date.open_ms())?;
                self.counts.cut_by_volume += usize::from(!sold);
            }
        }
        self.drop_sold();
        Ok(())
    }

    /// Sells what is pending of position `k`, as far as lots and volume allow; `false` if some is left.
    fn sell_pending(
        &mut self,
        k: usize,
        day: &StockDay<'_>,
        wanted_e4: i64,
        price_e4: i64,
        ms: i64,
    ) -> Result<bool, Error> {
        let held = &mut self.book.held[k];
        let Some(pending) = held.pending else { return Ok(true) };
        let wanted = match pending.part {
            Part::All => held.qty,
            Part::Half => pending.left.unwrap_or_else(|| day.lot.floor(held.qty / 2)),
        };
        let qty = day.lot.sell_floor(day.capped(wanted), held.qty);
        let is_done = qty >= wanted;
        held.pending = (!is_done).then_some(Pending { left: Some(wanted - qty), ..pending });
        if qty > 0 {
            let sale = Sale { price_e4, wanted_e4, qty, ms, pending };
            self.book.sell(self.rules, k, day, &sale)?;
        }
        if !is_done {
            self.carry(k, "volume_cap", ms);
        }
        Ok(is_done)
    }

    /// Notes that an exit was tried in vain.
    fn carry(&mut self, k: usize, cause: &'static str, ts_ms: i64) {
        let held = &mut self.book.held[k];
        if let Some(pending) = &mut held.pending {
            pending.carried += 1;
            let what = pending.reason.as_str();
            self.rejections.push(Rejection { series: held.stock, ts_ms, what, cause });
        }
    }

    /// Buys at the open what may be bought there; returns the others.
    fn open_entries(&mut self, date: Date, candidates: Vec<Candidate>) -> Result<Vec<Candidate>, Error> {
        let mut others = Vec::new();
        for candidate in candidates {
            let Some(i) = bar_today(self.data, candidate.stock, date) else {
                self.reject(&candidate, date.open_ms(), "suspended");
                continue;
            };
            let open = self.data.stocks[candidate.stock].bars[i].open;
            let wants = self.strategy.at_open(&candidate, open);
            if !wants || !self.enter(&candidate, date, open, "open", date.open_ms())? {
                others.push(candidate);
            }
        }
        Ok(others)
    }

    fn close_entries(&mut self, date: Date, candidates: Vec<Candidate>) -> Result<(), Error> {
        for candidate in candidates {
            let of = &self.data.stocks[candidate.stock];
            let Some(i) = of.index(date) else { continue };
            if self.strategy.at_close(&candidate, &of.bars[i]) {
                self.enter(&candidate, date, of.bars[i].close, "close", date.close_ms())?;
            }
        }
        Ok(())
    }

    /// Buys a candidate at a price of the day, unless the market or the account refuses.
    fn enter(
        &mut self,
        candidate: &Candidate,
        date: Date,
        price_e4: i64,
        reason: &'static str,
        ms: i64,
    ) -> Result<bool, Error> {
        let Some(i) = bar_today(self.data, candidate.stock, date) else { return Ok(false) };
        let day = StockDay::new(self.data, self.rules, candidate.stock, i)?;
        let decided_in = match reason {
            "close" => day.i,
            _ => day.i.saturating_sub(1),
        };
        let cause = if day.is_unruled_first_day {
            Some("ipo_day1")
        } else if day.is_up(price_e4) {
            Some("limit_up")
        } else if self.book.held.len() >= self.rules.portfolio.max_positions {
            Some("no_slot")
        } else {
            None
        };
        if let Some(cause) = cause {
            self.reject(candidate, ms, cause);
            return Ok(false);
        }
        let stop = |entry: i64| self.strategy.stop_e4(entry);
        let order = Entry { price_e4, ms, reason, decided_in, stop: &stop };
        if !self.book.buy(self.rules, &day, candidate, &order)? {
            self.reject(candidate, ms, "no_cash");
            return Ok(false);
        }
        self.counts.quality_missing += usize::from(candidate.quality_missing);
        self.counts.support_missing += usize::from(candidate.support_missing);
        Ok(true)
    }

    fn reject(&mut self, candidate: &Candidate, ts_ms: i64, cause: &'static str) {
        self.rejections.push(Rejection { series: candidate.stock, ts_ms, what: "entry", cause });
    }

    /// Exits that rest at the down limit, and stops that the day touches.
    fn inside(&mut self, date: Date) -> Result<(), Error> {
        for k in 0..self.book.held.len() {
            let held = &mut self.book.held[k];
            let Some(i) = bar_today(self.data, held.stock, date) else { continue };
            let day = StockDay::new(self.data, self.rules, held.stock, i)?;
            if held.entry_date == date {
                if held.stop_reached(day.bar.low) {
                    held.decide(ExitReason::SlT1, Part::All, i);
                }
                continue;
            }
            let (ms, open) = (date.close_ms(), day.bar.open);
            if held.pending.is_some() {
                if day.is_down(open) {
                    self.rest(k, &day, ms)?;
                }
                continue;
            }
            if held.stop_reached(day.bar.low) {
                let stop = held.stop_e4.unwrap_or(open);
                held.decide(ExitReason::Sl, Part::All, i.saturating_sub(1));
                if day.is_down(stop) {
                    self.rest(k, &day, ms)?;
                } else if !self.sell_pending(k, &day, stop, day.sell_price(stop), ms)? {
                    self.counts.cut_by_volume += 1;
                }
            }
        }
        self.drop_sold();
        Ok(())
    }

    /// A sale that was refused waits at the down limit and is done if the day trades above it.
    fn rest(&mut self, k: usize, day: &StockDay<'_>, ms: i64) -> Result<(), Error> {
        match day.rest_at_down() {
            Some(down) => {
                let sold = self.sell_pending(k, day, down, down, ms)?;
                self.counts.cut_by_volume += usize::from(!sold);
            }
            None => self.carry(k, "limit_down", day.bar.date.open_ms()),
        }
        Ok(())
    }

    fn drop_sold(&mut self) {
        self.book.held.retain(|held| held.qty > 0);
    }

    /// What the strategy wants at the close, for the next open.
    fn decide(&mut self, date: Date) {
        for held in &mut self.book.held {
            let of = &self.data.stocks[held.stock];
            let Some(i) = of.index(date) else { continue };
            held.days += 1;
            let bar = &of.bars[i];
            let bought_at_close = held.entry_ms == date.close_ms();
            if !bought_at_close {
                held.note(bar.low, bar.high);
            }
            if let Some(known) = of.facts[i].known.filter(|known| *known > date) {
                let (symbol, ts_ms) = (of.code.clone(), date.close_ms());
                self.late_reads.push(LateRead { symbol, ts_ms, known });
            }
            if let Some(wanted) = self.strategy.on_close(held, &StockClose { bar, facts: &of.facts[i] }) {
                held.decide(wanted.reason, wanted.part, i);
            }
        }
    }

    /// A stock that is not listed any more is worth its last close.
    fn delist(&mut self, date: Date) -> Result<(), Error> {
        for k in 0..self.book.held.len() {
            let stock = self.book.held[k].stock;
            let is_gone = self.data.stocks[stock].delisted.is_some_and(|gone| gone <= date);
            let Some((last, i)) = self.last_close[stock].filter(|_| is_gone) else { continue };
            let day = StockDay::new(self.data, self.rules, stock, i)?;
            let held = &self.book.held[k];
            let (reason, carried) = (ExitReason::Delisted, held.pending.map_or(0, |p| p.carried));
            let pending = Pending { reason, part: Part::All, decided: i, carried, left: None };
            let sale = Sale { price_e4: last, wanted_e4: last, qty: held.qty, ms: date.close_ms(), pending };
            self.book.sell(self.rules, k, &day, &sale)?;
        }
        self.drop_sold();
        Ok(())
    }

    fn mark(&mut self, date: Date) -> Result<(), Error> {
        for (stock, last) in self.data.stocks.iter().zip(&mut self.last_close) {
            if let Some(i) = stock.index(date) {
                *last = Some((stock.bars[i].close, i));
            }
        }
        let worth = |held: &crate::engine::daily::Held| {
            let price = self.last_close[held.stock].map_or(held.entry_e4, |(close, _)| close);
            Fen::amount(price, held.qty)
        };
        self.book.equity = self.book.cash + self.book.held.iter().map(worth).sum();
        if self.book.cash < Fen::ZERO {
            let what = format!("cash is {} CNY on {date}", self.book.cash.cny());
            return Err(Error::Invariant { what });
        }
        self.equity.push(EquityPoint { ts_ms: date.close_ms(), equity: self.book.equity.cny() });
        Ok(())
    }

    /// Marks what is still held and balances the books.
    fn finish(mut self, start: Fen) -> Result<DailyOutcome, Error> {
        let ms = self.data.calendar.last().map_or(0, |date| date.close_ms());
        for k in 0..self.book.held.len() {
            if let Some((price, i)) = self.last_close[self.book.held[k].stock] {
                self.book.mark_open(k, i, price, ms);
            }
        }
        let Book { mut trades, equity, cash, .. } = self.book;
        let earned: Fen = trades.iter().map(|trade| trade.pnl).sum();
        if earned != equity - start {
            let (earned, gained) = (earned.cny(), (equity - start).cny());
            return Err(Error::Invariant { what: format!("trades earned {earned}, equity gained {gained}") });
        }
        trades.sort_by_key(|t| (t.exit_ms, t.stock, t.entry_ms));
        self.rejections.sort_by_key(|r| (r.ts_ms, r.series));
        let mut tally = vec![
            ("candidates", self.counts.candidates),
            ("suspended_days", self.counts.suspended_days),
            ("cut_by_volume", self.counts.cut_by_volume),
            ("actions_as_cash", self.counts.actions_as_cash),
            ("entries_without_quality", self.counts.quality_missing),
            ("entries_without_support_test", self.counts.support_missing),
        ];
        tally.extend(self.strategy.tally());
        Ok(DailyOutcome {
            trades,
            rejections: self.rejections,
            equity: self.equity,
            cash: cash.cny(),
            days_held: self.days_held,
            tally,
            late_reads: self.late_reads,
        })
    }
}
