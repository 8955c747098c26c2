//! Turning points of highs and lows, and the ranges and major pivots made of them.

use super::{LevelBar, LevelSettings};
use crate::daily::numbers::within;

/// Is a turning point a high or a low?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Of highs.
    High,
    /// Of lows.
    Low,
}

/// A turning point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swing {
    /// Its bar.
    pub bar: usize,
    /// Of what.
    pub turn: Turn,
    /// 1/10000 CNY.
    pub price_e4: i64,
}

/// A spell in which the price went sideways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First bar.
    pub start: usize,
    /// Last bar.
    pub end: usize,
    /// Highest swing, 1/10000 CNY.
    pub high_e4: i64,
    /// Lowest swing, 1/10000 CNY.
    pub low_e4: i64,
    /// Swings within a fifth of the height from the top.
    pub tests_high: u32,
    /// Swings within a fifth of the height from the bottom.
    pub tests_low: u32,
}

/// Bars whose high is not below the `w` highs before and above the `w` after it, and lows likewise. A bar may
/// be both; the high comes first.
pub fn swings(bars: &[LevelBar], w: usize) -> Vec<Swing> {
    let mut found = Vec::new();
    for bar in w..bars.len().saturating_sub(w) {
        let (before, here, after) = (&bars[bar - w..bar], &bars[bar], &bars[bar + 1..=bar + w]);
        if before.iter().all(|b| here.high_e4 >= b.high_e4) && after.iter().all(|b| here.high_e4 > b.high_e4)
        {
            found.push(Swing { bar, turn: Turn::High, price_e4: here.high_e4 });
        }
        if before.iter().all(|b| here.low_e4 <= b.low_e4) && after.iter().all(|b| here.low_e4 < b.low_e4) {
            found.push(Swing { bar, turn: Turn::Low, price_e4: here.low_e4 });
        }
    }
    found
}

/// Spells of swings that stay close together; those that overlap are one.
pub fn ranges(swings: &[Swing], settings: &LevelSettings) -> Vec<Range> {
    // A list may grow a fifth beyond what a range may be wide.
    let grow_bp = settings.max_range_width_bp * 12 / 10;
    let (mut found, mut list) = (Vec::new(), 0..0);
    for (i, _) in swings.iter().enumerate() {
        if list.is_empty() || width_within(&swings[list.start..=i], grow_bp) {
            list.end = i + 1;
        } else {
            found.extend(range(&swings[list], settings));
            list = i..i + 1;
        }
    }
    found.extend(range(&swings[list], settings));
    merged(found)
}

fn extremes(swings: &[Swing]) -> (i64, i64) {
    let prices = || swings.iter().map(|s| s.price_e4);
    (prices().max().unwrap_or_default(), prices().min().unwrap_or_default())
}

fn width_within(swings: &[Swing], bp: i64) -> bool {
    let (high, low) = extremes(swings);
    within(2 * (high - low), high + low, bp)
}

fn range(swings: &[Swing], settings: &LevelSettings) -> Option<Range> {
    let (start, end) = (swings.first()?.bar, swings.last()?.bar);
    let (high_e4, low_e4) = extremes(swings);
    let long = swings.len() >= settings.min_range_pivots && end - start + 1 >= settings.min_range_bars;
    let near = |far: fn(i64, i64, i64) -> i64| {
        swings.iter().filter(|s| 5 * far(s.price_e4, high_e4, low_e4) <= high_e4 - low_e4).count() as u32
    };
    (long && width_within(swings, settings.max_range_width_bp)).then(|| Range {
        start,
        end,
        high_e4,
        low_e4,
        tests_high: near(|price, high, _| high - price),
        tests_low: near(|price, _, low| price - low),
    })
}

fn merged(ranges: Vec<Range>) -> Vec<Range> {
    let mut out: Vec<Range> = Vec::new();
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end => {
                last.end = last.end.max(range.end);
                last.high_e4 = last.high_e4.max(range.high_e4);
                last.low_e4 = last.low_e4.min(range.low_e4);
                last.tests_high += range.tests_high;
                last.tests_low += range.tests_low;
            }
            _ => out.push(range),
        }
    }
    out
}

/// The zigzag of moves of at least `major_bp`, without what lies in a range; one swing per bar.
pub fn majors(swings: &[Swing], ranges: &[Range], major_bp: i64) -> Vec<Swing> {
    let Some((first, rest)) = swings.split_first() else { return Vec::new() };
    let (mut pivot, mut found) = (*first, Vec::new());
    for swing in rest {
        let gain = match swing.turn {
            Turn::High => swing.price_e4 - pivot.price_e4,
            Turn::Low => pivot.price_e4 - swing.price_e4,
        };
        if swing.turn == pivot.turn {
            if gain >= 0 {
                pivot = *swing;
            }
        } else if reaches(gain, pivot.price_e4, major_bp) {
            found.push(pivot);
            pivot = *swing;
        }
    }
    if !found.is_empty() {
        found.push(pivot);
    }
    found.retain(|s| !ranges.iter().any(|r| (r.start..=r.end).contains(&s.bar)));
    let mut out: Vec<Swing> = Vec::new();
    for swing in found {
        match out.last_mut() {
            Some(last) if last.bar == swing.bar => *last = swing,
            _ => out.push(swing),
        }
    }
    out
}

/// Is `move_e4` at least `bp` basis points of the price it began at?
fn reaches(move_e4: i64, from_e4: i64, bp: i64) -> bool {
    move_e4 > 0 && i128::from(move_e4) * 10_000 >= i128::from(from_e4) * i128::from(bp)
}
