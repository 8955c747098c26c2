//! L2 images: the orders, trades and cancels of one stock-day as counts in a `[15, 8, 8]` tensor.
//!
//! ```text
//!  StockDay ──▶ Painter: session filter ─▶ samples ─▶ cuts (price, quantity) ┐
//!                                        └▶ parents ─▶ big threshold T       ├▶ Counts u32[960] ─▶ Image f32[960]
//!                                          every record adds 1 to its cell ◀─┘
//! ```
//! `image[channel][price bin][quantity bin]`, C order. A record adds exactly 1: price and quantity only choose
//! the cell. Cuts and threshold are those of the whole day, which is right for an end-of-day feature and looks
//! ahead for anything earlier; [`Painter::paint_with`] takes them from elsewhere.

mod check;
mod cuts;
mod norm;
mod paint;
mod parents;

use crate::ashare::DayMaker;

pub use check::{Measure, Tally, broken_invariants, measures, values_out_of_range};
pub use cuts::{Cuts, lerp};
pub use paint::{DayImage, Dropped, ImageError, Kept, Painter, Scales};
pub use parents::{Parents, big_threshold};

/// Number of channels.
pub const CHANNELS: usize = 15;
/// Bins of price, and of quantity.
pub const BINS: usize = 8;
/// Cells of an image.
pub const CELLS: usize = CHANNELS * BINS * BINS;
/// Bytes of an image: 960 little-endian f32.
pub const IMAGE_BYTES: usize = CELLS * 4;

/// What the cells of a channel count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub enum Channel {
    /// Every trade.
    Trades,
    /// Trades that a buyer crossed the spread for.
    ActiveBuys,
    /// Trades that a seller crossed the spread for.
    ActiveSells,
    /// Trades of a buy order whose trades of the session amount to the threshold or more.
    BigBuys,
    /// Likewise sell orders.
    BigSells,
    /// Trades of all other buy orders.
    SmallBuys,
    /// Trades of all other sell orders.
    SmallSells,
    /// New buy orders.
    BuyOrders,
    /// New sell orders.
    SellOrders,
    /// New buy orders that traded on arrival.
    AggressiveBuyOrders,
    /// New sell orders that traded on arrival.
    AggressiveSellOrders,
    /// All other new buy orders.
    PassiveBuyOrders,
    /// All other new sell orders.
    PassiveSellOrders,
    /// Cancels of buy orders.
    BuyCancels,
    /// Cancels of sell orders.
    SellCancels,
}

impl Channel {
    /// All of them, by number.
    pub const ALL: [Channel; CHANNELS] = [
        Channel::Trades,
        Channel::ActiveBuys,
        Channel::ActiveSells,
        Channel::BigBuys,
        Channel::BigSells,
        Channel::SmallBuys,
        Channel::SmallSells,
        Channel::BuyOrders,
        Channel::SellOrders,
        Channel::AggressiveBuyOrders,
        Channel::AggressiveSellOrders,
        Channel::PassiveBuyOrders,
        Channel::PassiveSellOrders,
        Channel::BuyCancels,
        Channel::SellCancels,
    ];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Channel::Trades => "all trades",
            Channel::ActiveBuys => "active buys",
            Channel::ActiveSells => "active sells",
            Channel::BigBuys => "big buys",
            Channel::BigSells => "big sells",
            Channel::SmallBuys => "small buys",
            Channel::SmallSells => "small sells",
            Channel::BuyOrders => "buy orders",
            Channel::SellOrders => "sell orders",
            Channel::AggressiveBuyOrders => "aggressive buy orders",
            Channel::AggressiveSellOrders => "aggressive sell orders",
            Channel::PassiveBuyOrders => "passive buy orders",
            Channel::PassiveSellOrders => "passive sell orders",
            Channel::BuyCancels => "cancelled buys",
            Channel::SellCancels => "cancelled sells",
        }
    }

    /// Is it binned by the cuts of trades? All others are binned by those of orders.
    pub fn is_of_trades(self) -> bool {
        (self as usize) < Channel::BuyOrders as usize
    }
}

/// Which values the cuts are taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bins {
    /// Trades by trades; orders and cancels by new orders.
    #[default]
    Separate,
    /// Everything by trades and new orders together.
    Joint,
}

/// How cuts between two values of a sample are reckoned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arith {
    /// Exact, in eighths of a tick.
    #[default]
    Ticks,
    /// In `f64` on prices in currency, as NumPy does: only to compare with others.
    PriceF64,
}

/// How counts become an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Normalise {
    /// `ln(1 + count)` over its greatest value in the channel.
    #[default]
    Log1pMax,
    /// The counts themselves.
    None,
}

/// Whose rules hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compat {
    /// Ours.
    #[default]
    None,
    /// Those of the public program that images of this form come from, only to compare with it: a cancel without
    /// a price takes the first cut of order prices, parents sum what was paid, fills after resting enlarge an order of
    /// Shanghai, and logarithms are taken in `f32`. It looks at rows of the session only, which is up to whoever
    /// gathers them.
    Ancestor,
}

/// What an image depends on beside the data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageSettings {
    /// Default `Separate`.
    pub bins: Bins,
    /// Default `Ticks`.
    pub arith: Arith,
    /// Population standard deviations above the mean at which a parent order is big. Default 1, not negative.
    pub std_multiplier: f64,
    /// Default `Log1pMax`.
    pub normalise: Normalise,
    /// Default `None`.
    pub compat: Compat,
}

impl Default for ImageSettings {
    fn default() -> ImageSettings {
        ImageSettings {
            bins: Bins::default(),
            arith: Arith::default(),
            std_multiplier: 1.0,
            normalise: Normalise::default(),
            compat: Compat::default(),
        }
    }
}

impl ImageSettings {
    /// What makes days by these rules, of rows that the rules look at.
    pub fn day_maker(&self) -> DayMaker {
        DayMaker::new(self.compat == Compat::Ancestor)
    }
}

/// Counts of records by cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts(pub [u32; CELLS]);

impl Counts {
    /// Where a cell stands.
    pub fn offset(channel: Channel, price_bin: usize, qty_bin: usize) -> usize {
        debug_assert!(price_bin < BINS && qty_bin < BINS);
        ((channel as usize) * BINS + price_bin) * BINS + qty_bin
    }

    /// The 64 cells of a channel, price bin by price bin.
    pub fn channel(&self, channel: Channel) -> &[u32] {
        let first = Counts::offset(channel, 0, 0);
        &self.0[first..first + BINS * BINS]
    }

    /// Records of a channel.
    pub fn sum(&self, channel: Channel) -> u64 {
        self.channel(channel).iter().map(|&n| u64::from(n)).sum()
    }

    /// The image of these counts.
    pub fn image(&self, normalise: Normalise, compat: Compat) -> Image {
        norm::image(self, normalise, compat)
    }
}

/// A tensor that a vision model reads: values in [0, 1], or counts if nothing was normalised.
#[derive(Clone, Debug, PartialEq)]
pub struct Image(pub [f32; CELLS]);

impl Image {
    /// Its 3840 bytes: `f32` little-endian, C order.
    pub fn to_bytes(&self) -> [u8; IMAGE_BYTES] {
        let mut bytes = [0; IMAGE_BYTES];
        for (into, value) in bytes.chunks_exact_mut(4).zip(&self.0) {
            into.copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }

    /// The image of so many bytes; `None` if they are not [`IMAGE_BYTES`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Image> {
        let bytes: &[u8; IMAGE_BYTES] = bytes.try_into().ok()?;
        let mut image = Image([0.0; CELLS]);
        for (value, from) in image.0.iter_mut().zip(bytes.chunks_exact(4)) {
            *value = f32::from_le_bytes(from.try_into().ok()?);
        }
        Some(image)
    }

    /// The 64 cells of a channel, price bin by price bin.
    pub fn channel(&self, channel: Channel) -> &[f32] {
        let first = Counts::offset(channel, 0, 0);
        &self.0[first..first + BINS * BINS]
    }
}
