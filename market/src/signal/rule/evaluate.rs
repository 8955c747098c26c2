//! A rule over the rows of one symbol: leaves vote, votes combine, the gate holds.

use serde::{Deserialize, Serialize};

use crate::factor::row::FactorRow;
use crate::signal::fusion::Fused;
use crate::signal::gate::{Dir, Gate, GateInput, GateSettings, GateStep, Reason, Strength};
use crate::signal::rule::{Combine, EffectiveRule, Flip, Leaf, LeafSide, Missing, Use};

/// A leaf reads a factor that rows do not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule {rule:?}, leaf {leaf:?}: no factor {factor:?} with use = {reads:?}")]
pub struct UnknownFactor {
    /// Id of the rule.
    pub rule: String,
    /// Name of the leaf.
    pub leaf: String,
    /// What it asks for.
    pub factor: String,
    /// Which number of it.
    pub reads: Use,
}

/// Where a leaf finds its number.
#[derive(Clone, Copy, Debug)]
enum Source {
    Column(usize),
    Fused(fn(&Fused) -> Option<f64>),
}

impl Source {
    fn of(leaf: &Leaf) -> Option<Source> {
        match leaf.reads {
            Use::Z => FactorRow::z_column(&leaf.factor).and_then(FactorRow::factor).map(Source::Column),
            Use::Raw => match leaf.factor.as_str() {
                "score" => Some(Source::Fused(|fused| fused.score)),
                "proba" => Some(Source::Fused(|fused| fused.proba)),
                "consistency" => Some(Source::Fused(|fused| fused.consistency)),
                "dispersion" => Some(Source::Fused(|fused| fused.dispersion)),
                name => FactorRow::factor(name).map(Source::Column),
            },
        }
    }

    fn read(self, row: &FactorRow, fused: &Fused) -> Option<f64> {
        let value = match self {
            Source::Column(column) => row.number(column),
            Source::Fused(field) => field(fused),
        };
        value.filter(|x| x.is_finite())
    }
}

impl Leaf {
    /// The vote after a value, from the vote before: the first threshold that is reached.
    fn step(&self, vote: i8, value: Option<f64>) -> i8 {
        let Some(x) = value else {
            return match self.missing {
                Missing::Zero => 0,
                Missing::Hold => vote,
            };
        };
        let at_least = |threshold: Option<f64>| threshold.is_some_and(|t| x >= t);
        let at_most = |threshold: Option<f64>| threshold.is_some_and(|t| x <= t);
        let [buys, sells, stays_bought, stays_sold] = match self.side {
            LeafSide::Above => {
                [at_least(self.buy), at_most(self.sell), at_least(self.exit_buy), at_most(self.exit_sell)]
            }
            LeafSide::Below => {
                [at_most(self.buy), at_least(self.sell), at_most(self.exit_buy), at_least(self.exit_sell)]
            }
        };
        if buys {
            1
        } else if sells {
            -1
        } else if (vote == 1 && stays_bought) || (vote == -1 && stays_sold) {
            vote
        } else {
            0
        }
    }
}

/// What a rule remembers between rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleMemory {
    votes: Vec<i8>,
    gate: Gate,
}

impl RuleMemory {
    /// What is held.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }
}

/// What a rule said on a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// What the gate did.
    pub step: GateStep,
    /// Σ weight·vote / Σ weight; `None` if the row could not be used.
    pub score: Option<f64>,
    /// Value and vote of every leaf.
    pub leaves: Vec<(Option<f64>, i8)>,
}

/// A rule, ready to watch rows.
#[derive(Clone, Debug)]
pub struct Watch {
    rule: EffectiveRule,
    sources: Vec<Source>,
}

impl Watch {
    /// Finds the numbers that the leaves read.
    ///
    /// # Errors
    /// A leaf reads what rows do not have.
    pub fn new(rule: EffectiveRule) -> Result<Watch, UnknownFactor> {
        let source = |leaf: &Leaf| {
            Source::of(leaf).ok_or_else(|| UnknownFactor {
                rule: rule.id.clone(),
                leaf: leaf.name.clone(),
                factor: leaf.factor.clone(),
                reads: leaf.reads,
            })
        };
        let sources = rule.leaf.iter().map(source).collect::<Result<_, _>>()?;
        Ok(Watch { rule, sources })
    }

    /// The rule.
    pub fn rule(&self) -> &EffectiveRule {
        &self.rule
    }

    /// Takes a row; `None` if it is not newer than the last one, and then nothing has changed.
    pub fn step(
        &self,
        memory: &mut RuleMemory,
        row: &FactorRow,
        fused: &Fused,
        ts_ms: i64,
    ) -> Option<Evaluation> {
        if memory.gate.refuses(ts_ms) {
            return None;
        }
        let values: Vec<Option<f64>> = self.sources.iter().map(|source| source.read(row, fused)).collect();
        let usable = self.is_usable(row);
        memory.votes.resize(self.rule.leaf.len(), 0);
        for ((vote, leaf), value) in memory.votes.iter_mut().zip(&self.rule.leaf).zip(&values) {
            *vote = if usable { leaf.step(*vote, *value) } else { 0 };
        }
        let score = self.score(&memory.votes);
        let combined = if usable { self.combine(&memory.votes, score) } else { None };
        let input = GateInput {
            ts_ms,
            valid: usable,
            raw: combined.map(|dir| (dir, Strength::Normal)),
            keep: combined.is_some() && combined == memory.gate.phase().dir(),
            keep_strong: false,
            flip_ok: self.rule.flip == Flip::Direct,
            counts: true,
            why: Reason::NoVote,
        };
        let step = memory.gate.step(&self.gate_settings(), &input)?;
        let leaves = values.into_iter().zip(memory.votes.iter().copied()).collect();
        Some(Evaluation { step, score: usable.then_some(score), leaves })
    }

    fn is_usable(&self, row: &FactorRow) -> bool {
        let fresh = row.stale_ms.is_none_or(|ms| ms <= self.rule.max_stale_ms);
        fresh && (row.book_valid || !self.rule.book_valid)
    }

    fn score(&self, votes: &[i8]) -> f64 {
        let sums = self.rule.leaf.iter().zip(votes);
        let (sum, weights) = sums.fold((0.0, 0.0), |(sum, weights), (leaf, vote)| {
            (sum + leaf.weight * f64::from(*vote), weights + leaf.weight)
        });
        sum / weights
    }

    fn combine(&self, votes: &[i8], score: f64) -> Option<Dir> {
        let some = |dir: Dir| votes.contains(&dir.sign());
        let all = |dir: Dir| votes.iter().all(|vote| *vote == dir.sign());
        let wins = |dir: Dir| match self.rule.combine {
            Combine::All => all(dir),
            Combine::Any => some(dir) && !some(dir.opposite()),
            Combine::Vote => match dir {
                Dir::Buy => score >= self.rule.vote_buy,
                Dir::Sell => score <= -self.rule.vote_sell,
            },
        };
        [Dir::Buy, Dir::Sell].into_iter().find(|dir| wins(*dir))
    }

    fn gate_settings(&self) -> GateSettings {
        GateSettings {
            warmup_n: 0,
            min_duration_ms: self.rule.min_duration_ms,
            cooldown_ms: self.rule.cooldown_ms,
            max_gap_ms: self.rule.max_gap_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(side: LeafSide, thresholds: [Option<f64>; 4]) -> Leaf {
        let [buy, sell, exit_buy, exit_sell] = thresholds;
        let (factor, name) = ("obi_1".to_owned(), "x".to_owned());
        let (missing, reads, weight) = (Missing::Zero, Use::Raw, 1.0);
        Leaf { buy, exit_buy, exit_sell, factor, missing, name, sell, side, reads, weight }
    }

    #[test]
    fn a_leaf_is_a_schmitt_trigger_and_below_is_above_negated() {
        let above = leaf(LeafSide::Above, [Some(0.4), Some(-0.4), Some(0.1), Some(-0.1)]);
        let below = leaf(LeafSide::Below, [Some(-0.4), Some(0.4), Some(-0.1), Some(0.1)]);
        let values = [0.3, 0.4, 0.1, 0.09, 0.2, -0.4, -0.1, -0.09, 0.5, -0.5, 0.0];
        let votes = [0, 1, 1, 0, 0, -1, -1, 0, 1, -1, 0];
        let (mut up, mut down) = (0, 0);
        for (x, want) in values.into_iter().zip(votes) {
            up = above.step(up, Some(x));
            down = below.step(down, Some(-x));
            assert_eq!((up, down), (want, want), "at {x}");
        }
    }

    #[test]
    fn a_missing_value_clears_or_holds_the_vote() {
        let mut leaf = leaf(LeafSide::Above, [Some(0.4), None, Some(0.4), None]);
        assert_eq!([leaf.step(1, None), leaf.step(1, Some(-9.0))], [0, 0]);
        leaf.missing = Missing::Hold;
        assert_eq!(leaf.step(1, None), 1);
    }

    #[test]
    fn what_rows_do_not_have_is_said_at_once() {
        let mut leaf = leaf(LeafSide::Above, [Some(0.4), None, None, None]);
        assert!(Source::of(&leaf).is_some());
        leaf.reads = Use::Z;
        assert!(Source::of(&leaf).is_none(), "obi_1 has no score column");
        leaf.factor = "delta".to_owned();
        assert!(Source::of(&leaf).is_some());
        (leaf.factor, leaf.reads) = ("venue".to_owned(), Use::Raw);
        assert!(Source::of(&leaf).is_none(), "a text is no number");
    }

    #[test]
    fn by_way_of_neutral_an_opposite_vote_leaves_and_does_not_turn() {
        let leaf = leaf(LeafSide::Above, [Some(0.4), Some(-0.4), Some(0.4), Some(-0.4)]);
        let rule = EffectiveRule {
            book_valid: false,
            combine: Combine::All,
            cooldown_ms: 2_000,
            flip: Flip::ViaNeutral,
            id: "r".to_owned(),
            leaf: vec![leaf],
            max_gap_ms: 5_000,
            max_stale_ms: 3_000,
            min_duration_ms: 0,
            vote_buy: 0.5,
            vote_sell: 0.5,
        };
        let (watch, mut memory) = (Watch::new(rule).expect("known"), RuleMemory::default());
        let mut reason = |ts_ms: i64, obi: f64| {
            let row = FactorRow { obi_1: Some(obi), ..FactorRow::default() };
            let said = watch.step(&mut memory, &row, &Fused::default(), ts_ms).expect("newer");
            said.step.reason
        };
        let reasons = [(1_000, 0.5), (2_000, -0.5), (3_000, -0.5), (4_000, -0.5)].map(|(t, x)| reason(t, x));
        assert_eq!(reasons, [Reason::Enter, Reason::Opposite, Reason::Cooldown, Reason::Enter]);
    }
}
