//! Cash and positions in fen: every exit carries its share of what the entry cost.

use crate::dataset::{Action, Candidate};
use crate::engine::ExitReason;
use crate::engine::daily::held::{Held, Memo, Pending};
use crate::engine::daily::market::StockDay;
use crate::engine::daily::{DailyRules, Sizing};
use crate::error::Error;
use crate::model::ashare_fee::OrderSide;
use crate::model::money::Fen;

/// One exit of a position. Several exits of one entry share its `position`.
#[derive(Clone, Debug, PartialEq)]
pub struct DailyTrade {
    /// Which entry, counted from 1.
    pub position: usize,
    /// Index of the stock.
    pub stock: usize,
    /// Bar of the entry.
    pub i0: usize,
    /// Bar of the exit; of a position without one the last bar.
    pub i1: usize,
    /// Bar after whose close the entry was decided.
    pub decided_in: usize,
    /// Bar at whose close the exit was decided, or in which its stop was touched.
    pub decided_out: usize,
    /// When it was bought, ms UTC.
    pub entry_ms: i64,
    /// When it was sold, ms UTC.
    pub exit_ms: i64,
    /// Fill price of the entry, 10⁻⁴ CNY.
    pub entry_e4: i64,
    /// Fill price of the exit, 10⁻⁴ CNY.
    pub exit_e4: i64,
    /// Shares.
    pub qty: i64,
    /// What these shares cost, without fees.
    pub cost: Fen,
    /// Stop at the entry, 10⁻⁴ CNY.
    pub stop_e4: Option<i64>,
    /// Resistance at the entry: the target of the last stage.
    pub resistance_e4: Option<i64>,
    /// Fees of the exit and this part's share of the entry's.
    pub fees: Fen,
    /// What slippage cost, likewise.
    pub slippage: Fen,
    /// Proceeds and dividends less cost and fees.
    pub pnl: Fen,
    /// Worst and best price while held, fractions of the entry.
    pub mae: f64,
    /// Likewise.
    pub mfe: f64,
    /// Days with a bar from entry to exit, both included.
    pub days: usize,
    /// Which variant of the entry.
    pub entry_reason: &'static str,
    /// Why it ended.
    pub reason: ExitReason,
    /// Days on which the exit was tried in vain.
    pub carried_days: usize,
}

/// The account of a run.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) cash: Fen,
    /// At the last close.
    pub(super) equity: Fen,
    pub(super) held: Vec<Held>,
    pub(super) trades: Vec<DailyTrade>,
    n_entries: usize,
}

/// Where and why an exit happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sale {
    pub(super) price_e4: i64,
    /// Before slippage.
    pub(super) wanted_e4: i64,
    pub(super) qty: i64,
    pub(super) ms: i64,
    pub(super) pending: Pending,
}

impl Book {
    pub(super) fn new(cash: Fen) -> Book {
        Book { cash, equity: cash, held: Vec::new(), trades: Vec::new(), n_entries: 0 }
    }

    /// Buys as much as sizing, cash and volume allow; `false` if that is nothing.
    pub(super) fn buy(
        &mut self,
        rules: &DailyRules,
        day: &StockDay<'_>,
        candidate: &Candidate,
        order: &Entry,
    ) -> Result<bool, Error> {
        let price = day.buy_price(order.price_e4);
        let date = day.bar.date;
        let fees = |amount| rules.market.fees(OrderSide::Buy, amount, date).map(|fees| fees.total());
        let stop = (order.stop)(price);
        let wanted = self.wanted(rules, day, price, stop, &fees)?;
        let qty = day.lot.floor(day.capped(wanted));
        if qty == 0 {
            return Ok(false);
        }
        let cost = Fen::amount(price, qty);
        let fees = fees(cost)?;
        let slippage = cost - Fen::amount(order.price_e4, qty);
        self.cash -= cost + fees;
        self.n_entries += 1;
        self.held.push(Held {
            id: self.n_entries,
            stock: candidate.stock,
            i0: day.i,
            decided_in: order.decided_in,
            entry_date: date,
            entry_ms: order.ms,
            entry_e4: price,
            entry_reason: order.reason,
            qty,
            cost,
            fees,
            slippage,
            dividends: Fen::ZERO,
            qty_all: qty,
            fees_all: fees,
            slippage_all: slippage,
            stop_e4: stop,
            first_stop_e4: stop,
            pending: None,
            mae: 0.0,
            mfe: 0.0,
            scaled_entry: price as f64,
            support_e4: candidate.support_e4,
            resistance_e4: candidate.resistance_e4,
            days: 0,
            memo: Memo::default(),
        });
        Ok(true)
    }

    fn wanted(
        &self,
        rules: &DailyRules,
        day: &StockDay<'_>,
        price: i64,
        stop: Option<i64>,
        fees: &impl Fn(Fen) -> Result<Fen, Error>,
    ) -> Result<i64, Error> {
        let slots = i64::try_from(rules.portfolio.max_positions).unwrap_or(i64::MAX);
        let slot = Fen(self.equity.0.div_euclid(slots)).min(self.cash);
        let within = |budget: Fen| day.lot.affordable(budget, price, fees);
        Ok(match rules.portfolio.sizing {
            Sizing::Slot => within(slot)?,
            Sizing::FixedCash(cny) => within(Fen::of_cny(cny).min(self.cash))?,
            Sizing::FixedQty(qty) => within(self.cash)?.min(day.lot.floor(qty)),
            Sizing::Risk(share) => {
                let distance = stop.map_or(0, |stop| price - stop);
                let most = within(slot)?;
                if distance <= 0 {
                    return Ok(most);
                }
                let qty = self.equity.cny() * share * 1e4 / distance as f64;
                most.min(day.lot.floor(qty as i64))
            }
        })
    }

    /// Sells part of a position, which carries its share of all that the entry cost.
    pub(super) fn sell(
        &mut self,
        rules: &DailyRules,
        k: usize,
        day: &StockDay<'_>,
        sale: &Sale,
    ) -> Result<(), Error> {
        let proceeds = Fen::amount(sale.price_e4, sale.qty);
        let fees = rules.market.fees(OrderSide::Sell, proceeds, day.bar.date)?.total();
        self.cash += proceeds - fees;
        let slipped = Fen::amount(sale.wanted_e4, sale.qty) - proceeds;
        self.settle(k, sale, day.i, fees, slipped);
        Ok(())
    }

    /// Marks what is left to a price; no fee, no cash moves.
    pub(super) fn mark_open(&mut self, k: usize, i: usize, price_e4: i64, ms: i64) {
        let held = &self.held[k];
        let pending = Pending {
            reason: ExitReason::Open,
            part: crate::engine::daily::Part::All,
            decided: i,
            carried: held.pending.map_or(0, |pending| pending.carried),
            left: None,
        };
        let sale = Sale { price_e4, wanted_e4: price_e4, qty: held.qty, ms, pending };
        self.settle(k, &sale, i, Fen::ZERO, Fen::ZERO);
    }

    fn settle(&mut self, k: usize, sale: &Sale, i1: usize, exit_fees: Fen, slipped: Fen) {
        let held = &mut self.held[k];
        let is_last = sale.qty == held.qty;
        let part = |left: Fen, of_all: Fen, all: i64| {
            if is_last { left } else { of_all.share(sale.qty, all).min(left) }
        };
        let cost = part(held.cost, held.cost, held.qty);
        let dividends = part(held.dividends, held.dividends, held.qty);
        let entry_fees = part(held.fees, held.fees_all, held.qty_all);
        let slippage = part(held.slippage, held.slippage_all, held.qty_all);
        held.cost -= cost;
        held.dividends -= dividends;
        held.fees -= entry_fees;
        held.slippage -= slippage;
        held.qty -= sale.qty;
        held.note(sale.price_e4, sale.price_e4);
        let fees = entry_fees + exit_fees;
        let pnl = Fen::amount(sale.price_e4, sale.qty) + dividends - cost - fees;
        let (mae, mfe) = (held.mae, held.mfe);
        self.trades.push(DailyTrade {
            position: held.id,
            stock: held.stock,
            i0: held.i0,
            i1,
            decided_in: held.decided_in,
            decided_out: sale.pending.decided,
            entry_ms: held.entry_ms,
            exit_ms: sale.ms,
            entry_e4: held.entry_e4,
            exit_e4: sale.price_e4,
            qty: sale.qty,
            cost,
            stop_e4: held.first_stop_e4,
            resistance_e4: held.resistance_e4,
            fees,
            slippage: slippage + slipped,
            pnl,
            mae,
            mfe,
            days: i1 - held.i0 + 1,
            entry_reason: held.entry_reason,
            reason: sale.pending.reason,
            carried_days: sale.pending.carried,
        });
    }

    /// Books an ex-date. Without a row of the table the whole step is cash; returns whether that was so.
    pub(super) fn ex_date(
        &mut self,
        k: usize,
        pre_close: i64,
        last_close: i64,
        row: Option<&Action>,
    ) -> bool {
        let held = &mut self.held[k];
        let (cash, shares) = match row {
            Some(row) => {
                (Fen(per_share(held.qty, row.cash_e8, 1_000_000)), per_share_down(held.qty, row.shares_e8))
            }
            None => (Fen::amount(last_close - pre_close, held.qty), 0),
        };
        self.cash += cash;
        held.dividends += cash;
        held.qty += shares;
        held.qty_all += shares;
        held.rescale(pre_close, last_close);
        row.is_none()
    }
}

/// `qty · e8 / unit`, half up.
fn per_share(qty: i64, e8: i64, unit: i128) -> i64 {
    let product = i128::from(qty) * i128::from(e8);
    i64::try_from((2 * product + unit).div_euclid(2 * unit)).unwrap_or(i64::MAX)
}

fn per_share_down(qty: i64, e8: i64) -> i64 {
    i64::try_from(i128::from(qty) * i128::from(e8) / 100_000_000).unwrap_or(i64::MAX)
}

/// An entry that is about to happen.
pub(super) struct Entry<'a> {
    pub(super) price_e4: i64,
    pub(super) ms: i64,
    pub(super) reason: &'static str,
    pub(super) decided_in: usize,
    pub(super) stop: &'a dyn Fn(i64) -> Option<i64>,
}
