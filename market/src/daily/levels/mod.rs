//! Prices at which the market turned before: table `price_levels_daily`.
//!
//! ```text
//! bars ─▶ swings ─┬▶ ranges ─┬▶ break-outs ─┐
//!                 └▶ majors ─┴▶ targets ────┼▶ candidates ─▶ merge ─▶ the strongest ─▶ role today
//!      └▶ gaps ─────────────────────────────┘
//! ```
//! Everything is known at the close of the last bar: a swing needs `swing_window` bars after it to be one.

mod merge;
pub mod moves;
pub mod swings;

use serde::{Deserialize, Serialize};

use self::merge::{Merged, Parts};
use super::bar::Bar;
use super::numbers::{above_by, below_by, e4, from_e4};
use crate::ashare::StockCode;
use crate::calendar::Day;
use crate::factor::columns::{columns, text_field};

/// How levels are found. Widths are basis points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelSettings {
    /// Bars looked at.
    pub lookback: usize,
    /// Bars on each side that a turning point stands out from.
    pub swing_window: usize,
    /// Least swings of a range.
    pub min_range_pivots: usize,
    /// Least bars of a range.
    pub min_range_bars: usize,
    /// A range is at most this wide.
    pub max_range_width_bp: i64,
    /// Candidates this close to each other are one level.
    pub merge_bp: i64,
    /// Younger candidates than this many bars are stronger.
    pub recent_bars: usize,
    /// Least move between major pivots.
    pub major_bp: i64,
    /// Levels kept.
    pub max_levels: usize,
    /// A close this far beyond a level turns its role.
    pub flip_bp: i64,
}

impl Default for LevelSettings {
    fn default() -> LevelSettings {
        LevelSettings {
            lookback: 270,
            swing_window: 2,
            min_range_pivots: 4,
            min_range_bars: 10,
            max_range_width_bp: 800,
            merge_bp: 20,
            recent_bars: 40,
            major_bp: 400,
            max_levels: 40,
            flip_bp: 50,
        }
    }
}

/// What a level was when it came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Buyers waited there.
    Support,
    /// Sellers waited there.
    Resistance,
    /// As many of one as of the other.
    Neutral,
}

impl Direction {
    /// All of them.
    pub const ALL: [Direction; 3] = [Direction::Support, Direction::Resistance, Direction::Neutral];

    /// As written in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Support => "support",
            Direction::Resistance => "resistance",
            Direction::Neutral => "neutral",
        }
    }
}

/// What a level is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Support that held.
    Support,
    /// Resistance that held.
    Resistance,
    /// Resistance that was broken, and supports since.
    FlipSupport,
    /// Support that was broken, and resists since.
    FlipResistance,
    /// Neither.
    Neutral,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 5] =
        [Role::Support, Role::Resistance, Role::FlipSupport, Role::FlipResistance, Role::Neutral];

    /// As written in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Support => "support",
            Role::Resistance => "resistance",
            Role::FlipSupport => "flip_support",
            Role::FlipResistance => "flip_resistance",
            Role::Neutral => "neutral",
        }
    }

    /// Is the price expected to hold above it?
    pub fn supports(self) -> bool {
        matches!(self, Role::Support | Role::FlipSupport)
    }

    /// Is the price expected to stay below it?
    pub fn resists(self) -> bool {
        matches!(self, Role::Resistance | Role::FlipResistance)
    }
}

text_field!(Direction, Role);

columns! {
    /// One row of `price_levels_daily`.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct LevelRow {
        /// Stock.
        pub ts_code: StockCode,
        /// The trading day after whose close it is known.
        pub calc_date: Day,
        /// Price, 1/10000 CNY.
        pub level_e4: i64,
        /// Price, CNY.
        pub level_price: f64,
        /// What it is made of, joined by +.
        pub level_type: String,
        /// What it was when it came to be.
        pub direction: Direction,
        /// What it is now.
        pub role: Role,
        /// 0 to 100, rounded half to even.
        pub strength: u8,
        /// 0 to 100.
        pub strength_raw: f64,
        /// The day it came from.
        pub src_date: Day,
    }
}

/// A bar in 1/10000 CNY, adjusted to the last bar's day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelBar {
    /// Highest price.
    pub high_e4: i64,
    /// Lowest price.
    pub low_e4: i64,
    /// Last price.
    pub close_e4: i64,
}

/// One level, its source given by the place of the bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    /// Price, 1/10000 CNY.
    pub level_e4: i64,
    /// What it is made of, joined by `+`.
    pub level_type: String,
    /// What it was when it came to be.
    pub direction: Direction,
    /// What it is after the last bar.
    pub role: Role,
    /// 0 to 100, rounded half to even.
    pub strength: u8,
    /// 0 to 100.
    pub strength_raw: f64,
    /// Bar it came from, the oldest if there are several.
    pub src_index: usize,
}

/// The levels after the last bar, the strongest first, of two equals the lower one.
pub fn levels(bars: &[LevelBar], settings: &LevelSettings) -> Vec<Level> {
    let Some(last) = bars.len().checked_sub(1) else { return Vec::new() };
    let swings = swings::swings(bars, settings.swing_window);
    let ranges = swings::ranges(&swings, settings);
    let majors = swings::majors(&swings, &ranges, settings.major_bp);
    let parts = Parts {
        ranges: &ranges,
        majors: &majors,
        gaps: &moves::gaps(bars),
        breakouts: &moves::breakouts(bars, &ranges),
        measured: &moves::measured(&majors),
    };
    let merged = merge::merge(parts.candidates(last, settings), settings.merge_bp);
    let mut found: Vec<Level> = merged.into_iter().map(|m| level(m, bars, settings)).collect();
    found.sort_by_key(|l| (std::cmp::Reverse(l.strength), l.level_e4));
    found.truncate(settings.max_levels);
    found
}

fn level(merged: Merged, bars: &[LevelBar], settings: &LevelSettings) -> Level {
    let closes = bars[merged.bar + 1..].iter().map(|b| b.close_e4);
    Level {
        level_e4: merged.price_e4,
        role: role(merged.direction, merged.price_e4, closes, settings.flip_bp),
        level_type: merged.kinds,
        direction: merged.direction,
        strength: merged.strength.round_ties_even() as u8,
        strength_raw: merged.strength,
        src_index: merged.bar,
    }
}

/// What a level is after these closes: a close far enough beyond it turns the role, one far enough back turns
/// it again, others change nothing.
pub fn role(direction: Direction, level_e4: i64, closes: impl Iterator<Item = i64>, flip_bp: i64) -> Role {
    let above = |close: i64| above_by(close, level_e4, flip_bp);
    let below = |close: i64| below_by(close, level_e4, flip_bp);
    let fold = |beyond: &dyn Fn(i64) -> bool, back: &dyn Fn(i64) -> bool| {
        closes.fold(false, |flipped, close| beyond(close) || (flipped && !back(close)))
    };
    let flipped = match direction {
        Direction::Resistance => fold(&above, &below),
        Direction::Support => fold(&below, &above),
        Direction::Neutral => false,
    };
    match (direction, flipped) {
        (Direction::Resistance, false) => Role::Resistance,
        (Direction::Resistance, true) => Role::FlipSupport,
        (Direction::Support, false) => Role::Support,
        (Direction::Support, true) => Role::FlipResistance,
        (Direction::Neutral, _) => Role::Neutral,
    }
}

/// The rows of the last bar's day, by price. Only the last `lookback` bars are looked at.
pub fn rows(code: StockCode, bars: &[Bar], settings: &LevelSettings) -> Vec<LevelRow> {
    let bars = &bars[bars.len().saturating_sub(settings.lookback)..];
    let Some(last) = bars.last() else { return Vec::new() };
    let adjusted = |b: &Bar| {
        let factor = b.factor_to(last);
        LevelBar { high_e4: e4(b.high * factor), low_e4: e4(b.low * factor), close_e4: b.close_e4(last) }
    };
    let history: Vec<LevelBar> = bars.iter().map(adjusted).collect();
    let row = |l: Level| LevelRow {
        ts_code: code,
        calc_date: last.day,
        level_e4: l.level_e4,
        level_price: from_e4(l.level_e4),
        level_type: l.level_type,
        direction: l.direction,
        role: l.role,
        strength: l.strength,
        strength_raw: l.strength_raw,
        src_date: bars[l.src_index].day,
    };
    let mut rows: Vec<LevelRow> = levels(&history, settings).into_iter().map(row).collect();
    rows.sort_by_key(|r| r.level_e4);
    rows
}
