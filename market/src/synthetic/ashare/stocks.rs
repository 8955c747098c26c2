//! Which stocks there are: codes, yesterday's closes, price limits, and how much of the day's rows each one gets.

use super::AshareOptions;
use crate::ashare::{Exchange, StockCode};
use crate::synthetic::dice::Dice;

/// What is known of a stock before the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) code: StockCode,
    /// Yesterday's close, ticks.
    pub(super) prev_close: i64,
    /// Lowest and highest price of the day, ticks.
    pub(super) limits: (i64, i64),
    /// Rows it should have today.
    pub(super) rows: u64,
    /// Least quantity of an order, shares.
    pub(super) lot: i64,
    /// May quantities above the lot be any number of shares?
    pub(super) odd_sizes: bool,
}

/// First code and how many follow it.
const SHANGHAI: &[(u32, u32)] =
    &[(600_000, 1_000), (601_000, 600), (603_000, 900), (688_001, 450), (510_300, 50)];
const SHENZHEN: &[(u32, u32)] = &[(1, 999), (2_001, 950), (300_001, 950), (159_900, 101)];

impl Listing {
    /// All stocks of a day. The most traded has some seventy times the rows of the least traded.
    pub(super) fn all(exchange: Exchange, options: AshareOptions, dice: &mut Dice) -> Vec<Listing> {
        let codes = codes(exchange, options.stocks);
        let mut ranks: Vec<u64> = (0..codes.len() as u64).collect();
        for i in (1..ranks.len()).rev() {
            ranks.swap(i, dice.below(i as u64 + 1) as usize);
        }
        // A rank r of n weighs 1 / (15 + 1000 r/n); in integers, so that no machine rounds another way.
        let n = codes.len() as u64;
        let weight = |rank: u64| 1_000_000_000 / (15 + 1_000 * rank / n);
        let all: u64 = ranks.iter().map(|&r| weight(r)).sum();
        let rows = |rank| (u128::from(options.rows) * u128::from(weight(rank)) / u128::from(all)) as u64;
        codes.into_iter().zip(ranks).map(|(code, rank)| Listing::new(code, rows(rank), dice)).collect()
    }

    fn new(code: StockCode, rows: u64, dice: &mut Dice) -> Listing {
        let number = code.number();
        let fund = code.tick_decimals() == 3;
        let star = (688_000..690_000).contains(&number);
        let wide = star || (300_000..302_000).contains(&number);
        // Most shares cost 4 to 60 yuan, a few hundreds or more; funds 0.5 to 5.
        let prev_close = match dice.below(100) {
            _ if fund => dice.between(500, 5_000),
            0 => dice.between(30_000, 180_000),
            1..=9 => dice.between(6_000, 30_000),
            _ => dice.between(400, 6_000),
        };
        // One in forty is under special treatment: five per cent.
        let percent = if wide {
            20
        } else if !fund && dice.once_in(40) {
            5
        } else {
            10
        };
        let reach = (prev_close * percent + 50) / 100;
        let lot = if star { 200 } else { 100 };
        Listing {
            code,
            prev_close,
            limits: (prev_close - reach, prev_close + reach),
            rows,
            lot,
            odd_sizes: star,
        }
    }
}

fn codes(exchange: Exchange, n: u32) -> Vec<StockCode> {
    let ranges = match exchange {
        Exchange::Sh => SHANGHAI,
        Exchange::Sz => SHENZHEN,
        Exchange::Bj => &[],
    };
    let have: u32 = ranges.iter().map(|(_, len)| len).sum();
    assert!((1..=have).contains(&n), "an exchange has 1 to {have} stocks, not {n}");
    // Spread over all ranges, so that a small market has every kind.
    let place = |i: u32| (u64::from(i) * u64::from(have) / u64::from(n)) as u32;
    (0..n).map(|i| nth(ranges, place(i), exchange)).collect()
}

fn nth(ranges: &[(u32, u32)], mut place: u32, exchange: Exchange) -> StockCode {
    for &(first, len) in ranges {
        if place < len {
            let number = u64::from(first + place);
            return StockCode::from_number(number, exchange).expect("six digits");
        }
        place -= len;
    }
    unreachable!("a place is below the sum of all ranges")
}
