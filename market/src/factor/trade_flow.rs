//! What trades say: signed volume of a second, its running sum, and holes in the trade ids.
//!
//! Ids: in every recording of Binance spot and futures the ids of a stream are contiguous, so there an id
//! above the expected one is a hole, and one below it has been counted, or belongs to a hole already told.
//! Sources without such a promise ([`Venue::Unsequenced`]) are taken as they come.

use serde::{Deserialize, Serialize};

use crate::event::{Aggressor, Trade};
use crate::factor::maths::finite;
use crate::factor::row::FactorRow;
use crate::instrument::{Instrument, Venue};
use crate::price::Ticks;

/// How a trade id follows the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The next, or there is nothing to compare.
    Next,
    /// Trades are missing before it.
    AfterHole,
    /// It was there before.
    Repeated,
}

/// Quantities of one second, lots; `value` in ticks · lots.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Sums {
    n: u32,
    buy: i128,
    sell: i128,
    unknown: i128,
    value: i128,
}

/// Flow of the open second, and what is carried from second to second.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TradeFlow {
    contiguous_ids: bool,
    /// The ids compared with; forgotten at a gap, because that gap has been told.
    previous_id: Option<i64>,
    last_id: Option<i64>,
    last_at: Option<i64>,
    last_px: Option<Ticks>,
    cvd: i128,
    cvd_epoch: u32,
    sums: Sums,
    torn: bool,
    /// Nobody listens: every second is torn until a message comes.
    down: bool,
}

impl TradeFlow {
    /// Before the first trade. The first second is torn: nobody knows what traded before.
    pub fn new(venue: Venue) -> TradeFlow {
        let contiguous_ids = match venue {
            Venue::BinanceSpot | Venue::BinanceUsdm | Venue::BinanceCoinm => true,
            Venue::Unsequenced => false,
        };
        TradeFlow {
            contiguous_ids,
            previous_id: None,
            last_id: None,
            last_at: None,
            last_px: None,
            cvd: 0,
            cvd_epoch: 0,
            sums: Sums::default(),
            torn: true,
            down: false,
        }
    }

    /// How the trade follows the one before.
    pub fn arrival(&self, trade: &Trade) -> Arrival {
        let (Some(id), Some(previous), true) = (trade.id, self.previous_id, self.contiguous_ids) else {
            return Arrival::Next;
        };
        if id <= previous {
            Arrival::Repeated
        } else if id - 1 == previous {
            Arrival::Next
        } else {
            Arrival::AfterHole
        }
    }

    /// Counts a trade at symbol time `at`. One from outside the market is seen, but is no flow.
    pub fn on_trade(&mut self, at: Option<i64>, trade: &Trade) {
        self.previous_id = trade.id;
        self.last_id = trade.id.or(self.last_id);
        self.last_at = at;
        self.sums.n = self.sums.n.saturating_add(1);
        if trade.non_market {
            return;
        }
        let qty = i128::from(trade.qty.0);
        match trade.aggressor {
            Aggressor::Buyer => self.sums.buy += qty,
            Aggressor::Seller => self.sums.sell += qty,
            Aggressor::Unknown => self.sums.unknown += qty,
        }
        self.cvd += i128::from(trade.aggressor.sign()) * qty;
        self.sums.value = self.sums.value.saturating_add(i128::from(trade.px.0) * qty);
        self.last_px = Some(trade.px);
    }

    /// Trades are missing: the second is torn and the running sum goes on in a new epoch.
    pub fn on_gap(&mut self) {
        self.torn = true;
        self.cvd_epoch = self.cvd_epoch.saturating_add(1);
        self.previous_id = None;
    }

    /// Nobody listens from here on: a gap that lasts.
    pub fn on_down(&mut self) {
        self.on_gap();
        self.down = true;
    }

    /// A message came. The open second stays torn.
    pub fn on_message(&mut self) {
        self.down = false;
    }

    /// Does nobody listen?
    pub fn is_down(&self) -> bool {
        self.down
    }

    /// The steps changed: a gap, and what is kept in old ones is dropped.
    pub fn on_new_steps(&mut self) {
        self.on_gap();
        (self.cvd, self.last_px) = (0, None);
        self.sums = Sums { n: self.sums.n, ..Sums::default() };
    }

    /// Writes the trade columns of a second that ends at `end`.
    pub fn fill(&self, row: &mut FactorRow, end: i64, instrument: &Instrument) {
        let (tick, lot) = (instrument.tick_size, instrument.lot_size);
        row.n_trades = self.sums.n;
        row.cvd_epoch = self.cvd_epoch;
        row.trade_age_ms = self.last_at.map(|at| (end - at) / 1_000_000);
        row.last_trade_id = self.last_id;
        row.last_px = self.last_px.and_then(|px| finite(tick.value(px.0.into())));
        row.cvd = finite(lot.value(self.cvd));
        if self.torn {
            return;
        }
        let Sums { buy, sell, unknown, value, n: _ } = self.sums;
        row.buy_qty = finite(lot.value(buy));
        row.sell_qty = finite(lot.value(sell));
        row.unk_qty = finite(lot.value(unknown));
        row.delta = finite(lot.value(buy - sell));
        row.tfi = finite((buy - sell) as f64 / (buy + sell) as f64);
        row.vwap = finite(tick.ratio(value, buy + sell + unknown));
        // A contract is worth a fixed amount of the quote currency that the instrument does not tell, so price
        // times contracts is no amount of anything.
        row.quote_vol = match instrument.venue {
            Venue::BinanceCoinm => None,
            Venue::BinanceSpot | Venue::BinanceUsdm | Venue::Unsequenced => finite(tick.product(lot, value)),
        };
    }

    /// A new second begins.
    pub fn next_second(&mut self) {
        self.sums = Sums::default();
        self.torn = self.down;
    }

    /// The grid of seconds starts anew: the open second is torn.
    pub fn tear(&mut self) {
        self.torn = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factor::imbalance::tests::instrument;
    use crate::price::Lots;

    fn trade(id: i64, qty: i64, aggressor: Aggressor) -> Trade {
        Trade { id: Some(id), px: Ticks(100), qty: Lots(qty), aggressor, non_market: false }
    }

    fn row(flow: &TradeFlow) -> FactorRow {
        let mut row = FactorRow::default();
        flow.fill(&mut row, 0, &instrument("0.5", "0.5"));
        row
    }

    #[test]
    fn signed_volume_of_the_factor_page() {
        let mut flow = TradeFlow::new(Venue::BinanceSpot);
        flow.next_second();
        let mut cvd = Vec::new();
        for (id, qty, aggressor) in
            [(1, 4, Aggressor::Buyer), (2, 1, Aggressor::Seller), (3, 2, Aggressor::Buyer)]
        {
            flow.on_trade(Some(0), &trade(id, qty, aggressor));
            cvd.push(row(&flow).cvd.expect("never missing"));
        }
        assert_eq!(cvd, [2.0, 1.5, 2.5]);
        assert_eq!(row(&flow).tfi, Some(5.0 / 7.0));
        assert_eq!((row(&flow).vwap, row(&flow).quote_vol), (Some(50.0), Some(175.0)));
    }

    #[test]
    fn contracts_have_no_quote_volume() {
        let mut flow = TradeFlow::new(Venue::BinanceCoinm);
        flow.next_second();
        flow.on_trade(Some(0), &trade(1, 4, Aggressor::Buyer));
        let mut row = FactorRow::default();
        flow.fill(&mut row, 0, &Instrument { venue: Venue::BinanceCoinm, ..instrument("0.5", "1") });
        assert_eq!((row.buy_qty, row.vwap, row.quote_vol), (Some(4.0), Some(50.0), None));
    }

    #[test]
    fn ids_say_what_is_missing() {
        let mut flow = TradeFlow::new(Venue::BinanceUsdm);
        let buy = |id| trade(id, 1, Aggressor::Buyer);
        assert_eq!(flow.arrival(&buy(7)), Arrival::Next, "the first has no predecessor");
        flow.on_trade(None, &buy(7));
        let arrivals = [6, 7, 8, 9].map(|id| flow.arrival(&buy(id)));
        assert_eq!(arrivals, [Arrival::Repeated, Arrival::Repeated, Arrival::Next, Arrival::AfterHole]);
        flow.on_gap();
        assert_eq!(flow.arrival(&buy(90)), Arrival::Next, "the gap has been told");
        let mut taken = TradeFlow::new(Venue::Unsequenced);
        taken.on_trade(None, &buy(7));
        assert_eq!(taken.arrival(&buy(3)), Arrival::Next);
    }

    #[test]
    fn trades_from_outside_the_market_are_no_flow() {
        let mut flow = TradeFlow::new(Venue::BinanceUsdm);
        flow.next_second();
        flow.on_trade(Some(0), &Trade { non_market: true, ..trade(1, 5, Aggressor::Buyer) });
        let row = row(&flow);
        assert_eq!((row.n_trades, row.last_trade_id), (1, Some(1)));
        assert_eq!((row.buy_qty, row.cvd, row.last_px, row.vwap), (Some(0.0), Some(0.0), None, None));
    }
}
