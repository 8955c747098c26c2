//! Candidates for levels, and how those that lie together become one.

use std::collections::BTreeSet;

use super::moves::{GapEdges, Mark, Way};
use super::swings::{Range, Swing, Turn};
use super::{Direction, LevelSettings};

/// A price that may be a level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) price_e4: i64,
    pub(super) kind: &'static str,
    pub(super) direction: Direction,
    pub(super) strength: f64,
    pub(super) bar: usize,
}

/// Candidates that became one level.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Merged {
    pub(super) price_e4: i64,
    pub(super) kinds: String,
    pub(super) direction: Direction,
    pub(super) strength: f64,
    pub(super) bar: usize,
}

/// What the candidates of one history are made of.
pub(super) struct Parts<'a> {
    pub(super) ranges: &'a [Range],
    pub(super) majors: &'a [Swing],
    pub(super) gaps: &'a [GapEdges],
    pub(super) breakouts: &'a [Mark],
    pub(super) measured: &'a [Mark],
}

impl Parts<'_> {
    /// All candidates, seen from the last bar.
    pub(super) fn candidates(&self, last: usize, settings: &LevelSettings) -> Vec<Candidate> {
        use Direction::{Neutral, Resistance, Support};
        let recent = |bar: usize| {
            let ago = (last - bar) as f64 / settings.recent_bars as f64;
            if ago >= 1.0 { 0.0 } else { 10.0 * (1.0 - ago) }
        };
        let mut all = Vec::new();
        let mut add = |kind, direction, price_e4, strength: f64, bar| {
            all.push(Candidate { price_e4, kind, direction, strength: strength.clamp(0.0, 100.0), bar });
        };
        for r in self.ranges {
            let tested = |tests: u32| 70.0 + 2.0 * f64::from(tests.min(5)) + recent(r.end);
            add("range_high", Resistance, r.high_e4, tested(r.tests_high), r.end);
            add("range_low", Support, r.low_e4, tested(r.tests_low), r.end);
        }
        for s in self.majors {
            let strength = 60.0 + recent(s.bar);
            match s.turn {
                Turn::High => add("trend_pivot_high", Resistance, s.price_e4, strength, s.bar),
                Turn::Low => add("trend_pivot_low", Support, s.price_e4, strength, s.bar),
            }
        }
        for g in self.gaps {
            match g.way {
                Way::Up => {
                    add("gap_up_low", Support, g.low_e4, 65.0, g.bar);
                    add("gap_up_high", Neutral, g.high_e4, 55.0, g.bar);
                }
                Way::Down => {
                    add("gap_down_high", Resistance, g.high_e4, 65.0, g.bar);
                    add("gap_down_low", Neutral, g.low_e4, 55.0, g.bar);
                }
            }
        }
        for b in self.breakouts {
            let strength = 70.0 + recent(b.bar);
            match b.way {
                Way::Up => add("breakout_high", Resistance, b.price_e4, strength, b.bar),
                Way::Down => add("breakout_low", Support, b.price_e4, strength, b.bar),
            }
        }
        for m in self.measured {
            let direction = match m.way {
                Way::Up => Resistance,
                Way::Down => Support,
            };
            add("measured_move_target", direction, m.price_e4, 55.0, m.bar);
        }
        all
    }
}

/// Clusters of candidates whose prices lie within `merge_bp` (at least 0.01 CNY) of the cluster's mean.
pub(super) fn merge(mut candidates: Vec<Candidate>, merge_bp: i64) -> Vec<Merged> {
    candidates.sort_by_key(|c| c.price_e4);
    let (mut out, mut cluster) = (Vec::new(), Vec::new());
    for candidate in candidates {
        if !cluster.is_empty() && !joins(&cluster, candidate.price_e4, merge_bp) {
            out.push(one(&cluster));
            cluster.clear();
        }
        cluster.push(candidate);
    }
    if !cluster.is_empty() {
        out.push(one(&cluster));
    }
    out
}

/// `|p − mean| ≤ max(0.01 CNY, merge_bp of the mean)`, times the count, in integers.
fn joins(cluster: &[Candidate], price_e4: i64, merge_bp: i64) -> bool {
    let (n, sum) = (cluster.len() as i64, cluster.iter().map(|c| c.price_e4).sum::<i64>());
    let apart = (price_e4 * n - sum).abs();
    apart <= 100 * n || i128::from(apart) * 10_000 <= i128::from(sum) * i128::from(merge_bp)
}

fn one(cluster: &[Candidate]) -> Merged {
    let n = cluster.len() as f64;
    let total: f64 = cluster.iter().map(|c| c.strength).sum();
    let weighted: f64 = cluster.iter().map(|c| c.price_e4 as f64 * c.strength).sum();
    let votes = |way: Direction| cluster.iter().filter(|c| c.direction == way).count();
    let direction = match votes(Direction::Support).cmp(&votes(Direction::Resistance)) {
        std::cmp::Ordering::Greater => Direction::Support,
        std::cmp::Ordering::Less => Direction::Resistance,
        std::cmp::Ordering::Equal => Direction::Neutral,
    };
    let kinds: BTreeSet<&str> = cluster.iter().map(|c| c.kind).collect();
    Merged {
        price_e4: (weighted / total + 0.5).floor() as i64,
        kinds: kinds.into_iter().collect::<Vec<_>>().join("+"),
        direction,
        strength: (total / n + 5.0 * (n - 1.0)).min(100.0),
        bar: cluster.iter().map(|c| c.bar).min().unwrap_or_default(),
    }
}
