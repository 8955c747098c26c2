//! What must hold for every image, and measures that tell whether one looks as a stock-day should.

use super::{BINS, CHANNELS, Channel, Counts, Image, Kept};

/// Cells of a channel.
const CHANNEL_CELLS: f64 = (BINS * BINS) as f64;

/// The counts of one cell by channel.
type Cell<'c> = dyn Fn(Channel) -> u32 + 'c;

/// Identities of the counts that do not hold, each as a sentence: any is a bug, whatever the data.
pub fn broken_invariants(counts: &Counts, kept: &Kept) -> Vec<String> {
    use Channel::*;
    let mut broken = Vec::new();
    let mut cells = |what: &str, holds: &dyn Fn(&Cell<'_>) -> bool| {
        for cell in 0..BINS * BINS {
            if !holds(&|channel| counts.channel(channel)[cell]) {
                broken.push(format!(
                    "{what} does not hold in price bin {}, quantity bin {}",
                    cell / BINS,
                    cell % BINS
                ));
            }
        }
    };
    cells("buy orders = aggressive + passive", &|n| {
        n(BuyOrders) == n(AggressiveBuyOrders) + n(PassiveBuyOrders)
    });
    cells("sell orders = aggressive + passive", &|n| {
        n(SellOrders) == n(AggressiveSellOrders) + n(PassiveSellOrders)
    });
    cells("active buys + active sells ≤ trades", &|n| n(ActiveBuys) + n(ActiveSells) <= n(Trades));
    let all_named = kept.trades == kept.trades_with_orders;
    let whole = |parts: u32, all: u32| if all_named { parts == all } else { parts <= all };
    cells("big buys + small buys = trades", &|n| whole(n(BigBuys) + n(SmallBuys), n(Trades)));
    cells("big sells + small sells = trades", &|n| whole(n(BigSells) + n(SmallSells), n(Trades)));
    let sums = [
        ("trades", counts.sum(Trades), kept.trades),
        ("orders", counts.sum(BuyOrders) + counts.sum(SellOrders), kept.orders),
        ("cancels", counts.sum(BuyCancels) + counts.sum(SellCancels), kept.cancels),
    ];
    let wrong = sums.iter().filter(|(_, counted, kept)| counted != kept);
    broken
        .extend(wrong.map(|(what, counted, kept)| format!("{counted} {what} are counted, {kept} were kept")));
    broken
}

/// Values of a normalised image that lie outside [0, 1], or are no numbers.
pub fn values_out_of_range(image: &Image) -> usize {
    image.0.iter().filter(|value| !(0.0..=1.0).contains(*value)).count()
}

/// A measure of an image, and where it usually lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measure {
    /// What it is called in reports.
    pub name: &'static str,
    /// Of which channel; `None`: of the whole image.
    pub channel: Option<Channel>,
    /// `None` if there is nothing to measure.
    pub value: Option<f64>,
    /// Below this it is unusual.
    pub least: Option<f64>,
    /// Above this it is unusual.
    pub most: Option<f64>,
}

impl Measure {
    /// Does it lie where it usually does not?
    pub fn is_unusual(&self) -> bool {
        self.value.is_some_and(|v| self.least.is_some_and(|l| v < l) || self.most.is_some_and(|m| v > m))
    }

    /// Its usual range, as in `0.05–0.30`, `≥ 20`, `≤ 0.50`.
    pub fn usual(&self) -> String {
        match (self.least, self.most) {
            (Some(least), Some(most)) => format!("{least}–{most}"),
            (Some(least), None) => format!("≥ {least}"),
            (None, Some(most)) => format!("≤ {most}"),
            (None, None) => String::new(),
        }
    }
}

/// What a channel holds: enough for every measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records.
    pub sum: u64,
    /// Cells above 0.
    pub nonzero: u32,
    /// The greatest cell.
    pub greatest: u32,
}

impl Counts {
    /// What each channel holds.
    pub fn tallies(&self) -> [Tally; CHANNELS] {
        Channel::ALL.map(|channel| Tally {
            sum: self.sum(channel),
            nonzero: self.channel(channel).iter().filter(|n| **n > 0).count() as u32,
            greatest: self.channel(channel).iter().copied().max().unwrap_or(0),
        })
    }
}

/// All measures of the raw counts of an image. Few filled cells are normal where the price is very high.
///
/// | measure | of | usual |
/// |---|---|---|
/// | `fill_rate` | cells above 0 / 64 | ≥ 0.30 of trades, ≥ 0.50 of orders and cancels |
/// | `nonzero_cells` | cells above 0, if there are records | ≥ 20, ≥ 30 |
/// | `concentration` | greatest cell / sum | ≤ 0.5 |
/// | `big_ratio` | (Σ3+Σ4) / (Σ3+Σ4+Σ5+Σ6) | 0.05–0.30 |
/// | `cancel_rate` | (Σ13+Σ14) / (Σ7+Σ8) | ≤ 0.50 |
/// | `trade_order_ratio` | Σ0 / (Σ7+Σ8) | 0.2–1.0 |
/// | `cancel_missing_ratio` | cancels without a price / cancels of the day | ≤ 0.01 |
pub fn measures(tallies: &[Tally; CHANNELS], cancel_missing_ratio: f64) -> Vec<Measure> {
    let mut all = Vec::new();
    for (channel, tally) in Channel::ALL.into_iter().zip(tallies) {
        let (sum, nonzero) = (tally.sum as f64, f64::from(tally.nonzero));
        let (fill, cells_least) = if channel.is_of_trades() { (0.30, 20.0) } else { (0.50, 30.0) };
        let any = |value| (tally.sum > 0).then_some(value);
        let of = |name, value, least, most| Measure { name, channel: Some(channel), value, least, most };
        all.push(of("fill_rate", Some(nonzero / CHANNEL_CELLS), Some(fill), None));
        all.push(of("nonzero_cells", any(nonzero), Some(cells_least), None));
        all.push(of("concentration", any(f64::from(tally.greatest) / sum), None, Some(0.5)));
    }
    let sum = |channels: &[Channel]| channels.iter().map(|c| tallies[*c as usize].sum).sum::<u64>();
    let ratio = |part: u64, all: u64| (all > 0).then(|| part as f64 / all as f64);
    let (big, small) =
        (sum(&[Channel::BigBuys, Channel::BigSells]), sum(&[Channel::SmallBuys, Channel::SmallSells]));
    let orders = sum(&[Channel::BuyOrders, Channel::SellOrders]);
    let cancels = sum(&[Channel::BuyCancels, Channel::SellCancels]);
    let of = |name, value, least, most| Measure { name, channel: None, value, least, most };
    all.push(of("big_ratio", ratio(big, big + small), Some(0.05), Some(0.30)));
    all.push(of("cancel_rate", ratio(cancels, orders), None, Some(0.50)));
    all.push(of("trade_order_ratio", ratio(sum(&[Channel::Trades]), orders), Some(0.2), Some(1.0)));
    all.push(of("cancel_missing_ratio", Some(cancel_missing_ratio), None, Some(0.01)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::CELLS;

    fn counts(cells: &[(Channel, usize, usize, u32)]) -> Counts {
        let mut counts = Counts([0; CELLS]);
        for &(channel, price_bin, qty_bin, n) in cells {
            counts.0[Counts::offset(channel, price_bin, qty_bin)] += n;
        }
        counts
    }

    fn lone_trade() -> [(Channel, usize, usize, u32); 4] {
        use Channel::*;
        [Trades, ActiveBuys, BigBuys, SmallSells].map(|channel| (channel, 3, 4, 1))
    }

    #[test]
    fn each_identity_is_missed_when_it_breaks() {
        use Channel::*;
        let kept = Kept { trades: 1, trades_with_orders: 1, orders: 0, cancels: 0 };
        assert_eq!(broken_invariants(&counts(&lone_trade()), &kept), [""; 0]);
        for (extra, words) in [
            (ActiveSells, "active buys + active sells"),
            (SmallBuys, "big buys + small buys"),
            (BigSells, "big sells + small sells"),
            (AggressiveBuyOrders, "buy orders = "),
            (PassiveSellOrders, "sell orders = "),
            (BuyCancels, "1 cancels are counted, 0 were kept"),
        ] {
            let mut cells = lone_trade().to_vec();
            cells.push((extra, 3, 4, 1));
            let broken = broken_invariants(&counts(&cells), &kept);
            assert!(broken.len() == 1 && broken[0].contains(words), "{extra:?}: {broken:?}");
        }
        let nameless = Kept { trades_with_orders: 0, ..kept };
        let cells = counts(&[(Trades, 3, 4, 1)]);
        assert_eq!(broken_invariants(&cells, &nameless), [""; 0], "an order number may be missing");
        assert_eq!(broken_invariants(&cells, &kept).len(), 2, "but not where all are there");
    }

    #[test]
    fn measures_lie_inside_or_outside_their_range() {
        use Channel::*;
        let cells =
            counts(&[(Trades, 0, 0, 1), (Trades, 1, 0, 1), (SmallBuys, 0, 0, 3), (BuyOrders, 0, 0, 2)]);
        let all = measures(&cells.tallies(), 0.02);
        let find =
            |name, channel| *all.iter().find(|m| m.name == name && m.channel == channel).expect("there");
        let unusual = |name, channel| {
            let measure: Measure = find(name, channel);
            (measure.value, measure.is_unusual())
        };
        assert_eq!(unusual("concentration", Some(Trades)), (Some(0.5), false), "closed at its end");
        assert_eq!(unusual("concentration", Some(BuyOrders)), (Some(1.0), true));
        assert_eq!(unusual("nonzero_cells", Some(SellOrders)), (None, false), "no records, nothing to see");
        assert_eq!(unusual("fill_rate", Some(SellOrders)), (Some(0.0), true));
        assert_eq!(unusual("big_ratio", None), (Some(0.0), true));
        assert_eq!(unusual("trade_order_ratio", None), (Some(1.0), false));
        assert_eq!(unusual("cancel_missing_ratio", None), (Some(0.02), true));
        assert_eq!(find("big_ratio", None).usual(), "0.05–0.3");
    }
}
