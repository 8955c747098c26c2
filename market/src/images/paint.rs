//! From a stock-day to counts: two passes over its records, the first one measures, the second one counts.

use super::{
    Arith, Bins, CELLS, Channel, Compat, Counts, Cuts, Image, ImageSettings, Parents, big_threshold,
};
use crate::ashare::{DayCancel, DayOrder, DayTrade, StockDay};
use crate::book::Side;

/// Amounts up to this are exact in eighths.
const AMOUNT_MAX: i64 = i64::MAX / 8;

/// By what the records of a day are sorted into cells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scales {
    /// Cuts of trade prices, ticks.
    pub trade_price: Cuts,
    /// Cuts of trade quantities, shares.
    pub trade_qty: Cuts,
    /// Cuts of order prices, ticks.
    pub order_price: Cuts,
    /// Cuts of order quantities, shares.
    pub order_qty: Cuts,
    /// From here on a parent order is big, ticks × shares; +∞ without trades.
    pub threshold: f64,
}

/// Records that were counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Trades.
    pub trades: u64,
    /// Trades whose both sides name an order.
    pub trades_with_orders: u64,
    /// New orders.
    pub orders: u64,
    /// Cancels.
    pub cancels: u64,
}

/// Records that were not, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Trades outside 9:30–11:30 and 13:00–14:57.
    pub trade_out_of_session: u64,
    /// New orders outside of it.
    pub order_out_of_session: u64,
    /// Cancels outside of it.
    pub cancel_out_of_session: u64,
    /// Trades without a price.
    pub trade_bad_price: u64,
    /// New orders without a price, such as market orders.
    pub order_unpriced: u64,
    /// Anything without a quantity.
    pub bad_qty: u64,
}

/// What became of a stock-day.
#[derive(Clone, Debug, PartialEq)]
pub struct DayImage {
    /// Records by cell.
    pub counts: Counts,
    /// By what they were sorted.
    pub scales: Scales,
    /// Parent orders of both sides.
    pub n_parents: usize,
    /// Records that were counted.
    pub kept: Kept,
    /// Records that were not.
    pub dropped: Dropped,
}

impl DayImage {
    /// The image as these settings ask for it.
    pub fn image(&self, settings: &ImageSettings) -> Image {
        self.counts.image(settings.normalise, settings.compat)
    }
}

/// Why a stock-day has no image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Prices and quantities are absurd.
    #[error(
        "amount_overflow: price × quantity is too large to be summed exactly; check the units of the file"
    )]
    AmountOverflow,
}

/// Makes images, one stock-day after the other. Keeps its buffers.
#[derive(Clone, Debug, Default)]
pub struct Painter {
    settings: ImageSettings,
    buyers: Parents,
    sellers: Parents,
    /// Places of the orders of each trade that is counted.
    sides: Vec<[Option<u32>; 2]>,
    trade_prices: Vec<i64>,
    trade_qtys: Vec<i64>,
    order_prices: Vec<i64>,
    order_qtys: Vec<i64>,
}

impl Painter {
    /// With these settings.
    pub fn new(settings: ImageSettings) -> Painter {
        Painter { settings, ..Painter::default() }
    }

    /// The image of a whole day by its own cuts and its own threshold.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn paint(&mut self, day: &StockDay) -> Result<DayImage, ImageError> {
        let dropped = self.measure(day)?;
        let scales = self.scales(day)?;
        Ok(self.count(day, scales, dropped))
    }

    /// The image of a day, or of its beginning, by cuts and a threshold from elsewhere, such as past days.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn paint_with(&mut self, day: &StockDay, scales: Scales) -> Result<DayImage, ImageError> {
        let dropped = self.measure(day)?;
        Ok(self.count(day, scales, dropped))
    }

    /// What the trades of buy and sell orders amounted to in the day that was painted last.
    pub fn parents(&self) -> (&Parents, &Parents) {
        (&self.buyers, &self.sellers)
    }

    fn measure(&mut self, day: &StockDay) -> Result<Dropped, ImageError> {
        let mut dropped = Dropped::default();
        for parents in [&mut self.buyers, &mut self.sellers] {
            parents.reset(day.trades.len() / 2);
        }
        self.sides.clear();
        let samples =
            [&mut self.trade_prices, &mut self.trade_qtys, &mut self.order_prices, &mut self.order_qtys];
        samples.into_iter().for_each(Vec::clear);
        for trade in &day.trades {
            if let Some(reason) = trade_drop(trade) {
                *reason(&mut dropped) += 1;
                continue;
            }
            let amount = self.amount_of(day, trade)?;
            let (by_buyer, by_seller) =
                (trade.aggressor == Some(Side::Bid), trade.aggressor == Some(Side::Ask));
            let buyer = self.buyers.add(trade.buy_no, amount, by_buyer);
            let seller = self.sellers.add(trade.sell_no, amount, by_seller);
            let (buyer, seller) = buyer.zip(seller).ok_or(ImageError::AmountOverflow)?;
            self.sides.push([buyer, seller]);
            self.trade_prices.push(trade.price);
            self.trade_qtys.push(trade.qty);
        }
        for order in &day.orders {
            if let Some(reason) = order_drop(order) {
                *reason(&mut dropped) += 1;
                continue;
            }
            amount(order.price, order.qty)?;
            self.order_prices.push(order.price);
            self.order_qtys.push(order.qty);
        }
        Ok(dropped)
    }

    /// What a trade adds to its orders; the ancestor sums what was paid.
    fn amount_of(&self, day: &StockDay, trade: &DayTrade) -> Result<i64, ImageError> {
        let paid = match self.settings.compat {
            Compat::None => None,
            Compat::Ancestor => day.odd_money.get(&trade.index).copied(),
        };
        let product = amount(trade.price, trade.qty)?;
        paid.map_or(Ok(product), |paid| amount(paid, 1))
    }

    fn scales(&mut self, day: &StockDay) -> Result<Scales, ImageError> {
        if self.settings.bins == Bins::Joint {
            self.trade_prices.append(&mut self.order_prices);
            self.trade_qtys.append(&mut self.order_qtys);
        }
        let prices = |sample: &mut Vec<i64>| match self.settings.arith {
            Arith::Ticks => Cuts::of(sample),
            Arith::PriceF64 => Cuts::of_f64(sample, 10_f64.powi(day.code.tick_decimals() as i32)),
        };
        let (trade_price, trade_qty) = (prices(&mut self.trade_prices), Cuts::of(&mut self.trade_qtys));
        let (order_price, order_qty) = match self.settings.bins {
            Bins::Separate => (prices(&mut self.order_prices), Cuts::of(&mut self.order_qtys)),
            Bins::Joint => (trade_price, trade_qty),
        };
        let amounts = self.buyers.amounts().chain(self.sellers.amounts());
        let threshold =
            big_threshold(amounts, self.settings.std_multiplier).ok_or(ImageError::AmountOverflow)?;
        Ok(Scales { trade_price, trade_qty, order_price, order_qty, threshold })
    }

    fn count(&self, day: &StockDay, scales: Scales, mut dropped: Dropped) -> DayImage {
        let (mut counts, mut kept) = (Counts([0; CELLS]), Kept::default());
        let trades = day.trades.iter().filter(|trade| trade_drop(trade).is_none());
        for (trade, sides) in trades.zip(&self.sides) {
            kept.trades += 1;
            kept.trades_with_orders += u64::from(sides.iter().all(Option::is_some));
            self.count_trade(trade, *sides, &scales, &mut counts);
        }
        for order in day.orders.iter().filter(|order| order_drop(order).is_none()) {
            kept.orders += 1;
            self.count_order(order, &scales, &mut counts);
        }
        for cancel in &day.cancels {
            match self.cancel_price_bin(cancel, &scales) {
                // Why it has no price was counted where prices are found.
                None => {}
                Some(_) if !cancel.time.in_session() => dropped.cancel_out_of_session += 1,
                Some(_) if cancel.qty <= 0 => dropped.bad_qty += 1,
                Some(price_bin) => {
                    kept.cancels += 1;
                    let channel = by_side(cancel.side, Channel::BuyCancels, Channel::SellCancels);
                    counts.0[Counts::offset(channel, price_bin, scales.order_qty.bin(cancel.qty))] += 1;
                }
            }
        }
        let n_parents = self.buyers.len() + self.sellers.len();
        DayImage { counts, scales, n_parents, kept, dropped }
    }

    fn count_trade(
        &self,
        trade: &DayTrade,
        [buyer, seller]: [Option<u32>; 2],
        scales: &Scales,
        counts: &mut Counts,
    ) {
        let cell = Counts::offset(
            Channel::Trades,
            scales.trade_price.bin(trade.price),
            scales.trade_qty.bin(trade.qty),
        );
        let mut add = |channel| counts.0[Counts::offset(channel, 0, 0) + cell] += 1;
        let is_big = |parents: &Parents, place| parents.amount_at(place) as f64 >= scales.threshold;
        add(Channel::Trades);
        if let Some(side) = trade.aggressor {
            add(by_side(side, Channel::ActiveBuys, Channel::ActiveSells));
        }
        if let Some(place) = buyer {
            let big = is_big(&self.buyers, place);
            add(if big { Channel::BigBuys } else { Channel::SmallBuys });
        }
        if let Some(place) = seller {
            let big = is_big(&self.sellers, place);
            add(if big { Channel::BigSells } else { Channel::SmallSells });
        }
    }

    fn count_order(&self, order: &DayOrder, scales: &Scales, counts: &mut Counts) {
        let cell = Counts::offset(
            Channel::Trades,
            scales.order_price.bin(order.price),
            scales.order_qty.bin(order.qty),
        );
        let mut add = |channel| counts.0[Counts::offset(channel, 0, 0) + cell] += 1;
        let parents = by_side(order.side, &self.buyers, &self.sellers);
        add(by_side(order.side, Channel::BuyOrders, Channel::SellOrders));
        if order.aggressive.unwrap_or_else(|| parents.is_active(order.no)) {
            add(by_side(order.side, Channel::AggressiveBuyOrders, Channel::AggressiveSellOrders));
        } else {
            add(by_side(order.side, Channel::PassiveBuyOrders, Channel::PassiveSellOrders));
        }
    }

    fn cancel_price_bin(&self, cancel: &DayCancel, scales: &Scales) -> Option<usize> {
        match (cancel.price, self.settings.compat) {
            (Some(price), _) => Some(scales.order_price.bin(price)),
            (None, Compat::None) => None,
            (None, Compat::Ancestor) => {
                let x8 = scales.order_price.x8();
                Some(x8.iter().filter(|cut| **cut <= x8[0]).count())
            }
        }
    }
}

/// The counter of the reason for which a trade is dropped.
fn trade_drop(trade: &DayTrade) -> Option<fn(&mut Dropped) -> &mut u64> {
    if !trade.time.in_session() {
        return Some(|dropped| &mut dropped.trade_out_of_session);
    }
    if trade.price <= 0 {
        return Some(|dropped| &mut dropped.trade_bad_price);
    }
    if trade.qty <= 0 { Some(|dropped| &mut dropped.bad_qty) } else { None }
}

fn order_drop(order: &DayOrder) -> Option<fn(&mut Dropped) -> &mut u64> {
    if !order.time.in_session() {
        return Some(|dropped| &mut dropped.order_out_of_session);
    }
    if order.price <= 0 {
        return Some(|dropped| &mut dropped.order_unpriced);
    }
    if order.qty <= 0 { Some(|dropped| &mut dropped.bad_qty) } else { None }
}

fn amount(price: i64, qty: i64) -> Result<i64, ImageError> {
    price.checked_mul(qty).filter(|amount| *amount <= AMOUNT_MAX).ok_or(ImageError::AmountOverflow)
}

fn by_side<T>(side: Side, buy: T, sell: T) -> T {
    match side {
        Side::Bid => buy,
        Side::Ask => sell,
    }
}
