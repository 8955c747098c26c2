//! Whom to look at tomorrow: table `strategy_candidates`.
//!
//! Everything is known at the close of T and holds for T+1 only.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::levels::Role;
use super::numbers::{e4, from_e4, quantile, within};
use super::reaction::TestedAs;
use crate::ashare::StockCode;
use crate::calendar::Day;
use crate::factor::columns::{columns, text_field};

/// Whom the selection lets through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CandidateSettings {
    /// Share of the scored stocks that is kept.
    pub quality_top: f64,
    /// The close lies below this between its bands, percent.
    pub max_ppos: f64,
    /// Least strength of a level that is seen.
    pub min_strength: u8,
    /// May a day without trades have candidates? Else it has none.
    pub flow_optional: bool,
    /// Farthest level that is seen, basis points of the close.
    pub max_dist_bp: i64,
    /// A support is as good as this quantile of all.
    pub support_quantile: f64,
    /// A resistance is no better than this quantile of all.
    pub resistance_quantile: f64,
    /// Trading days that the quantiles are taken from.
    pub history_days: usize,
    /// Least scores for it; with fewer the cut is 0.5.
    pub min_history: usize,
    /// Trading days whose tests tell about a level.
    pub test_days: usize,
    /// Trading days in which a stock's latest score counts.
    pub quality_days: usize,
    /// How close to a level its tests lie, basis points.
    pub same_level_bp: i64,
}

impl Default for CandidateSettings {
    fn default() -> CandidateSettings {
        CandidateSettings {
            quality_top: 0.30,
            max_ppos: 50.0,
            min_strength: 70,
            flow_optional: false,
            max_dist_bp: 500,
            support_quantile: 0.70,
            resistance_quantile: 0.60,
            history_days: 60,
            min_history: 20,
            test_days: 20,
            quality_days: 5,
            same_level_bp: 20,
        }
    }
}

columns! {
    /// One row of `strategy_candidates`.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct CandidateRow {
        /// The trading day after whose close it is known.
        pub trade_date: Day,
        /// Stock.
        pub ts_code: StockCode,
        /// Place among the day's candidates, from 1.
        pub rank: u32,
        /// Close, CNY.
        pub close: f64,
        /// Fund quality, 0 to 1; null if it could not be judged.
        pub fund_quality_score: Option<f64>,
        /// Highest support below the close, CNY.
        pub support_price: f64,
        /// Its role.
        pub support_role: Role,
        /// Mean score of its tests; null if there were none.
        pub support_score: Option<f64>,
        /// Tests of it.
        pub support_tests: u32,
        /// (close − support) / close.
        pub support_dist: f64,
        /// Lowest resistance above the close, CNY; null if there is none near.
        pub resistance_price: Option<f64>,
        /// Mean score of its tests; null if there were none.
        pub resistance_score: Option<f64>,
        /// (resistance − close) / close.
        pub resistance_dist: Option<f64>,
        /// The next trading day; null if the calendar ends.
        pub valid_for: Option<Day>,
        /// What could not be judged, joined by +: quality, support; empty if all was.
        pub flow_missing: String,
    }
}

/// Why a member of the pool is no candidate: the first reason that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// It has no fund quality score.
    NoQuality,
    /// Others have better ones.
    QualityRank,
    /// The close is not below the middle band.
    AboveMiddle,
    /// No support is near below.
    NoSupport,
    /// The support was not tested lately.
    SupportUntested,
    /// The support did not hold well.
    SupportWeak,
    /// The next resistance held too well.
    ResistanceStrong,
}

impl Rejection {
    /// All of them.
    pub const ALL: [Rejection; 7] = [
        Rejection::NoQuality,
        Rejection::QualityRank,
        Rejection::AboveMiddle,
        Rejection::NoSupport,
        Rejection::SupportUntested,
        Rejection::SupportWeak,
        Rejection::ResistanceStrong,
    ];

    /// As written in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Rejection::NoQuality => "no_quality",
            Rejection::QualityRank => "quality_rank",
            Rejection::AboveMiddle => "above_middle",
            Rejection::NoSupport => "no_support",
            Rejection::SupportUntested => "support_untested",
            Rejection::SupportWeak => "support_weak",
            Rejection::ResistanceStrong => "resistance_strong",
        }
    }
}

text_field!(Rejection);

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A level as known at the close of T.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownLevel {
    /// 1/10000 CNY of T.
    pub level_e4: i64,
    /// What it is.
    pub role: Role,
    /// 0 to 100.
    pub strength: u8,
}

/// A test of a level in the last days.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KnownTest {
    /// Price of the level then, scaled to prices of T, 1/10000 CNY.
    pub level_e4: i64,
    /// What it was judged as.
    pub as_what: TestedAs,
    /// Its score.
    pub score: f64,
}

/// A member of the pool on T.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Stock.
    pub code: StockCode,
    /// Close of T, CNY.
    pub close: f64,
    /// `price_position` of T.
    pub price_position: Option<f64>,
    /// Latest fund quality score of the last days.
    pub fund_quality_score: Option<f64>,
    /// Levels of T.
    pub levels: Vec<KnownLevel>,
    /// Its tests of the last days.
    pub tests: Vec<KnownTest>,
}

/// What a support must reach and a resistance must not exceed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cuts {
    /// Least support score.
    pub support: f64,
    /// Greatest resistance score.
    pub resistance: f64,
}

impl Cuts {
    /// Cuts from all scores of the last days; 0.5 with too few of them.
    pub fn of(mut support: Vec<f64>, mut resistance: Vec<f64>, settings: &CandidateSettings) -> Cuts {
        let cut = |scores: &mut Vec<f64>, q: f64| {
            if scores.len() < settings.min_history { None } else { quantile(scores, q) }.unwrap_or(0.5)
        };
        Cuts {
            support: cut(&mut support, settings.support_quantile),
            resistance: cut(&mut resistance, settings.resistance_quantile),
        }
    }
}

/// The day's candidates in rank order, and why the other members are none, by stock.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// Candidates.
    pub candidates: Vec<CandidateRow>,
    /// The others.
    pub rejected: Vec<(StockCode, Rejection)>,
}

/// Selects among the members of the pool of `day`.
pub fn select(
    day: Day,
    valid_for: Option<Day>,
    members: &[Member],
    cuts: &Cuts,
    settings: &CandidateSettings,
) -> Selection {
    let kept = best(members, settings.quality_top);
    let no_scores = members.iter().all(|m| m.fund_quality_score.is_none());
    let quality = if settings.flow_optional && no_scores { Quality::Missing } else { Quality::Known(&kept) };
    let mut out = Selection::default();
    for member in members {
        match judge(member, quality, cuts, settings) {
            Ok(found) => out.candidates.push(row(day, valid_for, member, &found)),
            Err(why) => out.rejected.push((member.code, why)),
        }
    }
    out.candidates.sort_by(rank_order);
    out.candidates.iter_mut().zip(1..).for_each(|(row, rank)| row.rank = rank);
    out.rejected.sort_unstable();
    out
}

/// The first `⌈top·n⌉` of the n scored members, best first, of equals the lower code.
fn best(members: &[Member], top: f64) -> Vec<StockCode> {
    let mut scored: Vec<(f64, StockCode)> =
        members.iter().filter_map(|m| Some((m.fund_quality_score?, m.code))).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let n = (top * scored.len() as f64 - 1e-9).ceil().max(0.0) as usize;
    scored.into_iter().take(n).map(|(_, code)| code).collect()
}

#[derive(Clone, Copy)]
enum Quality<'a> {
    Known(&'a [StockCode]),
    Missing,
}

/// What spoke for a member.
struct Found {
    quality_missing: bool,
    support: KnownLevel,
    support_score: Option<f64>,
    support_tests: u32,
    resistance: Option<KnownLevel>,
    resistance_score: Option<f64>,
}

fn judge(
    member: &Member,
    quality: Quality<'_>,
    cuts: &Cuts,
    settings: &CandidateSettings,
) -> Result<Found, Rejection> {
    if let Quality::Known(kept) = quality {
        member.fund_quality_score.ok_or(Rejection::NoQuality)?;
        if !kept.contains(&member.code) {
            return Err(Rejection::QualityRank);
        }
    }
    if member.price_position.is_none_or(|p| p >= settings.max_ppos) {
        return Err(Rejection::AboveMiddle);
    }
    let close = e4(member.close);
    let seen = || member.levels.iter().filter(|l| l.strength >= settings.min_strength);
    let near = |apart: i64| within(apart, close, settings.max_dist_bp);
    let support = seen()
        .filter(|l| l.role.supports() && l.level_e4 <= close && near(close - l.level_e4))
        .max_by_key(|l| l.level_e4)
        .ok_or(Rejection::NoSupport)?;
    let (support_score, support_tests) = mean_score(member, support, settings.same_level_bp);
    match support_score {
        None if !settings.flow_optional => return Err(Rejection::SupportUntested),
        Some(score) if score < cuts.support => return Err(Rejection::SupportWeak),
        None | Some(_) => {}
    }
    let resistance = seen()
        .filter(|l| l.role.resists() && l.level_e4 > close && near(l.level_e4 - close))
        .min_by_key(|l| l.level_e4);
    let resistance_score = resistance.and_then(|r| mean_score(member, r, settings.same_level_bp).0);
    if resistance_score.is_some_and(|score| score > cuts.resistance) {
        return Err(Rejection::ResistanceStrong);
    }
    Ok(Found {
        quality_missing: matches!(quality, Quality::Missing),
        support: *support,
        support_score,
        support_tests,
        resistance: resistance.copied(),
        resistance_score,
    })
}

/// Mean score and number of the tests of a level from its own side.
fn mean_score(member: &Member, level: &KnownLevel, bp: i64) -> (Option<f64>, u32) {
    let same_side = |as_what: TestedAs| match as_what {
        TestedAs::Support | TestedAs::Flip => level.role.supports(),
        TestedAs::Resistance => level.role.resists(),
    };
    let of_level = |t: &&KnownTest| {
        same_side(t.as_what) && within((t.level_e4 - level.level_e4).abs(), level.level_e4, bp)
    };
    let scores: Vec<f64> = member.tests.iter().filter(of_level).map(|t| t.score).collect();
    let n = scores.len();
    ((n > 0).then(|| scores.iter().sum::<f64>() / n as f64), n as u32)
}

fn row(day: Day, valid_for: Option<Day>, member: &Member, found: &Found) -> CandidateRow {
    let close = member.close;
    let support_price = from_e4(found.support.level_e4);
    let resistance_price = found.resistance.map(|r| from_e4(r.level_e4));
    let missing = [(found.quality_missing, "quality"), (found.support_score.is_none(), "support")];
    let missing: Vec<&str> = missing.into_iter().filter(|(m, _)| *m).map(|(_, name)| name).collect();
    CandidateRow {
        trade_date: day,
        ts_code: member.code,
        rank: 0,
        close,
        fund_quality_score: member.fund_quality_score,
        support_price,
        support_role: found.support.role,
        support_score: found.support_score,
        support_tests: found.support_tests,
        support_dist: (close - support_price) / close,
        resistance_price,
        resistance_score: found.resistance_score,
        resistance_dist: resistance_price.map(|r| (r - close) / close),
        valid_for,
        flow_missing: missing.join("+"),
    }
}

/// Fund quality, then support score, both descending and null last; then the nearer support, then the code.
fn rank_order(a: &CandidateRow, b: &CandidateRow) -> Ordering {
    let falling = |x: Option<f64>, y: Option<f64>| {
        y.unwrap_or(f64::NEG_INFINITY).total_cmp(&x.unwrap_or(f64::NEG_INFINITY))
    };
    falling(a.fund_quality_score, b.fund_quality_score)
        .then(falling(a.support_score, b.support_score))
        .then(a.support_dist.total_cmp(&b.support_dist))
        .then(a.ts_code.cmp(&b.ts_code))
}
