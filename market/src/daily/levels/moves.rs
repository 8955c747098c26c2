//! What happens at the edges: gaps, break-outs of ranges, measured moves.

use super::LevelBar;
use super::swings::{Range, Swing, Turn};

/// The way a gap, a break-out or a target points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To higher prices.
    Up,
    /// To lower prices.
    Down,
}

/// Prices between two bars at which nobody traded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GapEdges {
    /// The bar after the gap.
    pub bar: usize,
    /// Where it leads.
    pub way: Way,
    /// Lower edge, 1/10000 CNY.
    pub low_e4: i64,
    /// Upper edge, 1/10000 CNY.
    pub high_e4: i64,
}

/// A price that a bar marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The bar.
    pub bar: usize,
    /// Where it leads.
    pub way: Way,
    /// 1/10000 CNY.
    pub price_e4: i64,
}

/// Gaps of more than 0.1 %, filled or not.
pub fn gaps(bars: &[LevelBar]) -> Vec<GapEdges> {
    let gap = |i: usize| {
        let (before, here) = (&bars[i - 1], &bars[i]);
        if here.low_e4 * 1000 > before.high_e4 * 1001 {
            Some(GapEdges { bar: i, way: Way::Up, low_e4: before.high_e4, high_e4: here.low_e4 })
        } else if here.high_e4 * 1000 < before.low_e4 * 999 {
            Some(GapEdges { bar: i, way: Way::Down, low_e4: here.high_e4, high_e4: before.low_e4 })
        } else {
            None
        }
    };
    (1..bars.len()).filter_map(gap).collect()
}

/// Per range the first later bar that closes outside: its high if above, its low if below.
pub fn breakouts(bars: &[LevelBar], ranges: &[Range]) -> Vec<Mark> {
    let breakout = |range: &Range| {
        bars.iter().enumerate().skip(range.end + 1).find_map(|(bar, b)| {
            if b.close_e4 > range.high_e4 {
                Some(Mark { bar, way: Way::Up, price_e4: b.high_e4 })
            } else if b.close_e4 < range.low_e4 {
                Some(Mark { bar, way: Way::Down, price_e4: b.low_e4 })
            } else {
                None
            }
        })
    };
    ranges.iter().filter_map(breakout).collect()
}

/// Targets of moves as long as the one before: low, high, higher low, and the mirror of it.
pub fn measured(majors: &[Swing]) -> Vec<Mark> {
    let target = |three: &[Swing]| {
        let (a, b, c) = (three[0], three[1], three[2]);
        let price_e4 = c.price_e4 + (b.price_e4 - a.price_e4);
        let way = match (a.turn, b.turn, c.turn) {
            (Turn::Low, Turn::High, Turn::Low) if c.price_e4 > a.price_e4 => Way::Up,
            (Turn::High, Turn::Low, Turn::High) if c.price_e4 < a.price_e4 => Way::Down,
            _ => return None,
        };
        (price_e4 > 0).then_some(Mark { bar: c.bar, way, price_e4 })
    };
    majors.windows(3).filter_map(target).collect()
}
