//! User rules: thresholds per factor, combined into buy and sell.
//!
//! ```text
//!  Rule (as written, defaults filled in) ──▶ one EffectiveRule per instrument ──▶ votes ──▶ gate ──▶ signal
//!     └ overrides: exactly one applies, the one that names the instrument most closely
//! ```

mod evaluate;
mod pattern;
mod set;

use serde::{Deserialize, Serialize};

use crate::instrument::{Symbol, Venue};

pub use evaluate::{Evaluation, RuleMemory, UnknownFactor, Watch};
pub use pattern::{Closeness, Pattern, PatternError};
pub use set::RuleSet;

/// How the votes of the leaves become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Combine {
    /// The common vote, if all leaves have the same.
    All,
    /// A direction that some leaf votes for and none against.
    Any,
    /// The weighted mean of the votes against a threshold a side.
    Vote,
}

/// How a held direction becomes the opposite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flip {
    /// On one row, without a cooldown.
    Direct,
    /// By an exit, and the cooldown after it.
    ViaNeutral,
}

/// Which number of the factor a leaf reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Use {
    /// The factor itself.
    Raw,
    /// Its score.
    Z,
}

/// Which values buy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeafSide {
    /// High ones.
    Above,
    /// Low ones.
    Below,
}

/// What a missing value does to a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// It votes for nothing.
    Zero,
    /// Its vote stays.
    Hold,
}

/// One threshold pair on one factor: a Schmitt trigger.
///
/// Fields stand in the order of their names: written as JSON a leaf of an [`EffectiveRule`] is canonical.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    /// At or beyond it: vote +1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buy: Option<f64>,
    /// A vote +1 stays down to here; `None`: as `buy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_buy: Option<f64>,
    /// A vote −1 stays up to here; `None`: as `sell`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_sell: Option<f64>,
    /// What it reads: a column of the row, or `score`, `proba`, `consistency`, `dispersion`.
    pub factor: String,
    /// What a missing value does.
    pub missing: Missing,
    /// Unique in the rule.
    pub name: String,
    /// At or beyond it: vote −1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sell: Option<f64>,
    /// Which values buy.
    pub side: LeafSide,
    /// Which number of the factor.
    #[serde(rename = "use")]
    pub reads: Use,
    /// Weight of its vote in the score.
    pub weight: f64,
}

impl Leaf {
    /// A missing exit is the threshold itself.
    fn with_exits(mut self) -> Leaf {
        self.exit_buy = self.exit_buy.or(self.buy);
        self.exit_sell = self.exit_sell.or(self.sell);
        self
    }
}

/// What a rule, the defaults of a file and an override may set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleSettings {
    /// How the votes become one.
    pub combine: Combine,
    /// Score to buy, for [`Combine::Vote`]; 0..1.
    pub vote_buy: f64,
    /// −score to sell, for [`Combine::Vote`]; 0..1.
    pub vote_sell: f64,
    /// A direction must be wanted this long, ms.
    pub min_duration_ms: i64,
    /// No entry for this long after an exit, ms.
    pub cooldown_ms: i64,
    /// A longer time between two rows ends what is held, ms.
    pub max_gap_ms: i64,
    /// Rows with an older book are not used, ms.
    pub max_stale_ms: i64,
    /// Only rows with a valid book are used.
    pub book_valid: bool,
    /// How a direction becomes the opposite.
    pub flip: Flip,
}

impl Default for RuleSettings {
    /// All leaves agree, nothing is delayed, 5 s between rows, 3 s of age, valid books only, direct flips.
    fn default() -> RuleSettings {
        RuleSettings {
            combine: Combine::All,
            vote_buy: 0.5,
            vote_sell: 0.5,
            min_duration_ms: 0,
            cooldown_ms: 0,
            max_gap_ms: 5_000,
            max_stale_ms: 3_000,
            book_valid: true,
            flip: Flip::Direct,
        }
    }
}

/// Settings that some part of a file gives; the rest stays as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SettingsPatch {
    /// See [`RuleSettings::combine`].
    pub combine: Option<Combine>,
    /// See [`RuleSettings::vote_buy`].
    pub vote_buy: Option<f64>,
    /// See [`RuleSettings::vote_sell`].
    pub vote_sell: Option<f64>,
    /// See [`RuleSettings::min_duration_ms`].
    pub min_duration_ms: Option<i64>,
    /// See [`RuleSettings::cooldown_ms`].
    pub cooldown_ms: Option<i64>,
    /// See [`RuleSettings::max_gap_ms`].
    pub max_gap_ms: Option<i64>,
    /// See [`RuleSettings::max_stale_ms`].
    pub max_stale_ms: Option<i64>,
    /// See [`RuleSettings::book_valid`].
    pub book_valid: Option<bool>,
    /// See [`RuleSettings::flip`].
    pub flip: Option<Flip>,
}

impl SettingsPatch {
    /// The settings with what the patch gives.
    pub fn apply(&self, to: RuleSettings) -> RuleSettings {
        RuleSettings {
            combine: self.combine.unwrap_or(to.combine),
            vote_buy: self.vote_buy.unwrap_or(to.vote_buy),
            vote_sell: self.vote_sell.unwrap_or(to.vote_sell),
            min_duration_ms: self.min_duration_ms.unwrap_or(to.min_duration_ms),
            cooldown_ms: self.cooldown_ms.unwrap_or(to.cooldown_ms),
            max_gap_ms: self.max_gap_ms.unwrap_or(to.max_gap_ms),
            max_stale_ms: self.max_stale_ms.unwrap_or(to.max_stale_ms),
            book_valid: self.book_valid.unwrap_or(to.book_valid),
            flip: self.flip.unwrap_or(to.flip),
        }
    }
}

/// Keys of a leaf that an override gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LeafPatch {
    /// See [`Leaf::factor`].
    pub factor: Option<String>,
    /// See [`Leaf::reads`].
    pub reads: Option<Use>,
    /// See [`Leaf::side`].
    pub side: Option<LeafSide>,
    /// See [`Leaf::buy`].
    pub buy: Option<f64>,
    /// See [`Leaf::sell`].
    pub sell: Option<f64>,
    /// See [`Leaf::exit_buy`].
    pub exit_buy: Option<f64>,
    /// See [`Leaf::exit_sell`].
    pub exit_sell: Option<f64>,
    /// See [`Leaf::weight`].
    pub weight: Option<f64>,
    /// See [`Leaf::missing`].
    pub missing: Option<Missing>,
}

impl LeafPatch {
    /// The leaf with what the patch gives.
    pub fn apply(&self, leaf: &Leaf) -> Leaf {
        Leaf {
            buy: self.buy.or(leaf.buy),
            exit_buy: self.exit_buy.or(leaf.exit_buy),
            exit_sell: self.exit_sell.or(leaf.exit_sell),
            factor: self.factor.clone().unwrap_or_else(|| leaf.factor.clone()),
            missing: self.missing.unwrap_or(leaf.missing),
            name: leaf.name.clone(),
            sell: self.sell.or(leaf.sell),
            side: self.side.unwrap_or(leaf.side),
            reads: self.reads.unwrap_or(leaf.reads),
            weight: self.weight.unwrap_or(leaf.weight),
        }
    }
}

/// What is different for some instruments of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleOverride {
    /// Which.
    pub symbols: Vec<Pattern>,
    /// Settings of the rule.
    pub settings: SettingsPatch,
    /// Leaf name, and its keys.
    pub leaves: Vec<(String, LeafPatch)>,
}

/// A rule as written, defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Unique.
    pub id: String,
    /// What it is for.
    pub symbols: Vec<Pattern>,
    /// Settings.
    pub settings: RuleSettings,
    /// In file order.
    pub leaves: Vec<Leaf>,
    /// In file order.
    pub overrides: Vec<RuleOverride>,
}

impl Rule {
    /// Which form of the rule is in force for an instrument, as an index into [`Rule::forms`]: that of the
    /// override which names it most closely, of equals the last one. `None` if the rule is not for it.
    pub fn form(&self, venue: Venue, symbol: &Symbol) -> Option<usize> {
        let closeness = |patterns: &[Pattern]| {
            let meant = patterns.iter().filter(|pattern| pattern.matches(venue, symbol));
            meant.map(Pattern::closeness).max()
        };
        closeness(&self.symbols)?;
        let overrides = self.overrides.iter().enumerate();
        let meant = overrides.filter_map(|(i, over)| Some((closeness(&over.symbols)?, i + 1)));
        Some(meant.max().map_or(0, |(_, form)| form))
    }

    /// All forms of the rule: without an override, then with each.
    pub fn forms(&self) -> Vec<EffectiveRule> {
        let overrides = self.overrides.iter().map(Some);
        std::iter::once(None).chain(overrides).map(|over| self.with(over)).collect()
    }

    fn with(&self, over: Option<&RuleOverride>) -> EffectiveRule {
        let settings = over.map_or(self.settings, |o| o.settings.apply(self.settings));
        let patched = |leaf: &Leaf| {
            let patches = over.into_iter().flat_map(|o| &o.leaves).filter(|(name, _)| *name == leaf.name);
            patches.fold(leaf.clone(), |leaf, (_, patch)| patch.apply(&leaf)).with_exits()
        };
        EffectiveRule::new(self.id.clone(), settings, self.leaves.iter().map(patched).collect())
    }
}

/// A rule for one instrument: overrides applied, exits filled in.
///
/// Fields stand in the order of their names: written as JSON the rule is in canonical form, and its hash is
/// taken from that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EffectiveRule {
    /// See [`RuleSettings`].
    pub book_valid: bool,
    /// See [`RuleSettings`].
    pub combine: Combine,
    /// See [`RuleSettings`].
    pub cooldown_ms: i64,
    /// See [`RuleSettings`].
    pub flip: Flip,
    /// Unique.
    pub id: String,
    /// In file order.
    pub leaf: Vec<Leaf>,
    /// See [`RuleSettings`].
    pub max_gap_ms: i64,
    /// See [`RuleSettings`].
    pub max_stale_ms: i64,
    /// See [`RuleSettings`].
    pub min_duration_ms: i64,
    /// See [`RuleSettings`].
    pub vote_buy: f64,
    /// See [`RuleSettings`].
    pub vote_sell: f64,
}

impl EffectiveRule {
    fn new(id: String, settings: RuleSettings, leaf: Vec<Leaf>) -> EffectiveRule {
        let RuleSettings {
            combine,
            vote_buy,
            vote_sell,
            min_duration_ms,
            cooldown_ms,
            max_gap_ms,
            max_stale_ms,
            book_valid,
            flip,
        } = settings;
        EffectiveRule {
            book_valid,
            combine,
            cooldown_ms,
            flip,
            id,
            leaf,
            max_gap_ms,
            max_stale_ms,
            min_duration_ms,
            vote_buy,
            vote_sell,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(overrides: &[&[&str]]) -> Rule {
        let patterns = |texts: &[&str]| texts.iter().map(|text| text.parse().expect(text)).collect();
        let over = |(i, texts): (usize, &&[&str])| {
            let cooldown_ms = Some(i as i64 + 1);
            let settings = SettingsPatch { cooldown_ms, ..SettingsPatch::default() };
            RuleOverride { symbols: patterns(texts), settings, leaves: Vec::new() }
        };
        Rule {
            id: "r".into(),
            symbols: patterns(&["BTC*", "ETH*"]),
            settings: RuleSettings::default(),
            leaves: Vec::new(),
            overrides: overrides.iter().enumerate().map(over).collect(),
        }
    }

    #[test]
    fn the_closest_override_applies_alone_and_of_equals_the_last() {
        let rule = rule(&[&["*"], &["ETHUSDT"], &["ETH*", "BTCUSDT"], &["binance-spot:*"], &["BTCUSDT"]]);
        let form = |venue, symbol: &str| rule.form(venue, &Symbol::new(symbol));
        assert_eq!(form(Venue::BinanceUsdm, "ETHUSDT"), Some(2), "exact before a prefix");
        assert_eq!(form(Venue::BinanceUsdm, "ETHUSDC"), Some(3), "a longer prefix");
        assert_eq!(form(Venue::BinanceUsdm, "BTCUSDT"), Some(5), "the later of equals");
        assert_eq!(form(Venue::BinanceSpot, "BTCUSDT"), Some(4), "a named venue before all");
        assert_eq!(form(Venue::BinanceUsdm, "BTCUSDC"), Some(1));
        assert_eq!(form(Venue::BinanceUsdm, "SOLUSDT"), None, "the rule is not for it");
        let cooldowns: Vec<i64> = rule.forms().iter().map(|form| form.cooldown_ms).collect();
        assert_eq!(cooldowns, [0, 1, 2, 3, 4, 5], "and nothing of the others");
    }
}
