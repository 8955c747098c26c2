//! Cash in fen and shares in whole lots, with the fees of the day.

use crate::dataset::Date;
use crate::engine::ashare::TICK;
use crate::engine::daily::{PortfolioConfig, Sizing};
use crate::engine::tick;
use crate::model::Side;
use crate::model::ashare_fee::OrderSide;
use crate::model::fee::Liquidity;
use crate::model::money::Fen;
use crate::portfolio::{Account, Opened, Settled};
use crate::rules::{AshareRules, Board, Lot};

#[derive(Clone, Copy, Debug)]
struct Position {
    qty: i64,
    cost: Fen,
    /// Of the entry, as far as no exit has carried them.
    fees: Fen,
    /// As they were at the entry.
    qty_all: i64,
    fees_all: Fen,
}

impl Position {
    /// Takes `qty` shares out, with their share of cost and fees; the last ones take the rest.
    fn take(&mut self, qty: i64) -> Position {
        let cost = self.cost.share(qty, self.qty);
        let fees =
            if qty == self.qty { self.fees } else { self.fees_all.share(qty, self.qty_all).min(self.fees) };
        self.qty -= qty;
        self.cost -= cost;
        self.fees -= fees;
        Position { qty, cost, fees, ..*self }
    }
}

#[derive(Clone, Debug)]
struct Slot {
    lot: Lot,
    position: Option<Position>,
    worth: Fen,
    /// Most shares of the next order.
    most: Option<i64>,
}

impl Slot {
    /// Shares that the next sale may have of `held`.
    fn sold(&self, held: i64) -> i64 {
        self.most.map_or(held, |most| self.lot.sell_floor(held.min(most), held))
    }
}

/// One pot of cash for all stocks. Rules must cover every day that is traded.
#[derive(Clone, Debug)]
pub struct AshareAccount {
    rules: AshareRules,
    config: PortfolioConfig,
    /// Distance of the stop, share of the entry: what a sizing by risk asks for.
    sl: Option<f64>,
    date: Date,
    cash: Fen,
    /// At the last close.
    equity: Fen,
    slots: Vec<Slot>,
}

impl AshareAccount {
    /// An account with `cash` CNY for the stocks of these codes; the stop of an entry lies `sl` of its price below.
    pub fn new(
        cash: f64,
        rules: AshareRules,
        config: PortfolioConfig,
        sl: Option<f64>,
        codes: &[&str],
    ) -> AshareAccount {
        let slot = |code: &&str| Slot {
            lot: rules.lot(Board::of_code(code)),
            position: None,
            worth: Fen::ZERO,
            most: None,
        };
        let slots = codes.iter().map(slot).collect();
        let cash = Fen::of_cny(cash);
        AshareAccount { rules, config, sl, date: Date::of(0), cash, equity: cash, slots }
    }

    fn fees(&self, side: OrderSide, amount: Fen) -> Fen {
        self.rules.fees(side, amount, self.date).expect("days without rules are refused before a run").total()
    }

    fn wanted(&self, lot: Lot, price_e4: i64) -> i64 {
        let slots = i64::try_from(self.config.max_positions).unwrap_or(i64::MAX);
        let slot = Fen(self.equity.0.div_euclid(slots)).min(self.cash);
        let within = |budget: Fen| {
            let fees = |amount| Ok::<_, ()>(self.fees(OrderSide::Buy, amount));
            lot.affordable(budget, price_e4, fees).unwrap_or(0)
        };
        match self.config.sizing {
            Sizing::Slot => within(slot),
            Sizing::FixedCash(cny) => within(Fen::of_cny(cny).min(self.cash)),
            Sizing::FixedQty(qty) => within(self.cash).min(lot.floor(qty)),
            Sizing::Risk(share) => {
                let stop = |sl: f64| e4(tick::nearest(price_e4 as f64 / 1e4 * (1.0 - sl), TICK));
                let distance = self.sl.map_or(0, |sl| price_e4 - stop(sl));
                let most = within(slot);
                if distance <= 0 {
                    return most;
                }
                most.min(lot.floor((self.equity.cny() * share * 1e4 / distance as f64) as i64))
            }
        }
    }

    fn settled(position: &Position, proceeds: Fen, exit_fees: Fen) -> Settled {
        let fees = position.fees + exit_fees;
        let pnl = (proceeds - position.cost - fees).cny();
        Settled { pnl, return_pct: pnl / position.cost.cny(), fees: fees.cny() }
    }

    fn position(&self, symbol: usize) -> Position {
        self.slots[symbol].position.expect("the engine asks only for what it opened")
    }
}

fn e4(price: f64) -> i64 {
    (price * 1e4).round() as i64
}

impl Account for AshareAccount {
    fn begin_bar(&mut self, ts_ms: i64) {
        self.date = Date::of(ts_ms);
    }

    fn cap(&mut self, symbol: usize, most: Option<i64>) {
        self.slots[symbol].most = most;
    }

    fn can_close(&self, symbol: usize) -> bool {
        self.slots[symbol].sold(self.position(symbol).qty) > 0
    }

    fn left(&self, symbol: usize) -> Option<Opened> {
        let left = self.slots[symbol].position?;
        Some(Opened { qty: left.qty as f64, notional: left.cost.cny() })
    }

    fn open(&mut self, symbol: usize, side: Side, price: f64) -> Result<Opened, &'static str> {
        debug_assert_eq!(side, Side::Long, "shorts are refused before a run");
        let most = self.slots[symbol].most.take();
        let held = self.slots.iter().filter(|slot| slot.position.is_some()).count();
        if held >= self.config.max_positions {
            return Err("no_slot");
        }
        let price_e4 = e4(price);
        let (lot, wanted) = (self.slots[symbol].lot, self.wanted(self.slots[symbol].lot, price_e4));
        if wanted == 0 {
            return Err("no_cash");
        }
        let qty = most.map_or(wanted, |most| lot.floor(wanted.min(most)));
        if qty == 0 {
            return Err("volume_cap");
        }
        let cost = Fen::amount(price_e4, qty);
        let fees = self.fees(OrderSide::Buy, cost);
        self.cash -= cost + fees;
        let slot = &mut self.slots[symbol];
        let (qty_all, fees_all) = (qty, fees);
        (slot.position, slot.worth) = (Some(Position { qty, cost, fees, qty_all, fees_all }), cost);
        Ok(Opened { qty: qty as f64, notional: cost.cny() })
    }

    fn close(&mut self, symbol: usize, price: f64, _liquidity: Liquidity) -> Settled {
        let mut position = self.position(symbol);
        let sold = position.take(self.slots[symbol].sold(position.qty));
        let proceeds = Fen::amount(e4(price), sold.qty);
        let fees = self.fees(OrderSide::Sell, proceeds);
        self.cash += proceeds - fees;
        let slot = &mut self.slots[symbol];
        slot.most = None;
        slot.position = (position.qty > 0).then_some(position);
        slot.worth = Fen::amount(e4(price), position.qty);
        AshareAccount::settled(&sold, proceeds, fees)
    }

    fn settle_open(&self, symbol: usize, price: f64) -> Settled {
        let position = self.position(symbol);
        AshareAccount::settled(&position, Fen::amount(e4(price), position.qty), Fen::ZERO)
    }

    fn mark(&mut self, symbol: usize, price: f64) {
        let slot = &mut self.slots[symbol];
        if let Some(position) = &slot.position {
            slot.worth = Fen::amount(e4(price), position.qty);
        }
    }

    fn end_of_bar(&mut self) -> f64 {
        self.equity = self.cash + self.slots.iter().map(|slot| slot.worth).sum();
        self.equity.cny()
    }

    fn is_ruined(&self, _symbol: usize) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(cash: f64, config: PortfolioConfig) -> AshareAccount {
        let codes = ["600000.SH", "688001.SH", "300001.SZ"];
        let mut account = AshareAccount::new(cash, AshareRules::built_in(), config, Some(0.05), &codes);
        account.begin_bar("2025-06-03".parse::<Date>().expect("a day").open_ms());
        account
    }

    fn one_slot() -> PortfolioConfig {
        PortfolioConfig { max_positions: 1, ..PortfolioConfig::default() }
    }

    /// Quantities and fees of the backtest page.
    #[test]
    fn lots_and_fees_are_those_of_the_day() {
        let mut main = account(100_000.0, one_slot());
        let opened = main.open(0, Side::Long, 10.02).expect("opened");
        assert_eq!((opened.qty, opened.notional), (9_900.0, 99_198.0));
        assert_eq!(main.end_of_bar(), 100_000.0 - 25.79, "the fees are gone");
        let star = |cash: f64| account(cash, one_slot()).open(1, Side::Long, 56.78).map(|o| o.qty);
        assert_eq!((star(12_345.67), star(11_360.0)), (Ok(217.0), Err("no_cash")));
        let mut sale = account(2_000_000.0, one_slot());
        sale.config.sizing = Sizing::FixedQty(800);
        sale.open(0, Side::Long, 156.30).expect("opened");
        let settled = sale.close(0, 156.30, Liquidity::Taker);
        assert_eq!((settled.fees, settled.pnl), (127.54, -127.54), "32.51 and 95.03");
    }

    #[test]
    fn slots_and_risk_bound_what_is_bought() {
        let two = PortfolioConfig { max_positions: 2, ..PortfolioConfig::default() };
        let mut slots = account(100_000.0, two);
        assert_eq!(slots.open(0, Side::Long, 10.0).map(|o| o.qty), Ok(4_900.0));
        assert_eq!(slots.open(2, Side::Long, 10.0).map(|o| o.qty), Ok(4_900.0));
        assert_eq!(slots.open(1, Side::Long, 10.0), Err("no_slot"));
        let risk = PortfolioConfig { sizing: Sizing::Risk(0.01), ..one_slot() };
        // 1 % of 100 000 over a stop 0.50 away.
        assert_eq!(account(100_000.0, risk).open(0, Side::Long, 10.0).map(|o| o.qty), Ok(2_000.0));
    }
}
