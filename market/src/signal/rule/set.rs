//! All that decides signals, as data: what a pipeline is given, and makes an engine per symbol of.

use crate::instrument::{Symbol, Venue};
use crate::signal::SignalEngine;
use crate::signal::fusion::FusionSettings;
use crate::signal::rule::{EffectiveRule, Rule, UnknownFactor, Watch};

/// Fusion and the rules of a file, with the hashes that records carry.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSet {
    fusion: (FusionSettings, String),
    rules: Vec<Forms>,
}

/// A rule, and each of its forms with its hash.
#[derive(Clone, Debug, PartialEq)]
struct Forms {
    rule: Rule,
    forms: Vec<(EffectiveRule, String)>,
}

impl RuleSet {
    /// Fusion settings with their hash, rules in file order, and the function that makes a rule's hash.
    ///
    /// # Errors
    /// A leaf reads what rows do not have.
    pub fn new(
        fusion: (FusionSettings, String),
        rules: Vec<Rule>,
        hash: impl Fn(&EffectiveRule) -> String,
    ) -> Result<RuleSet, UnknownFactor> {
        let with_forms = |rule: Rule| {
            let forms = rule.forms();
            forms.iter().cloned().try_for_each(|form| Watch::new(form).map(drop))?;
            let forms = forms.into_iter().map(|form| (hash(&form), form)).map(|(hash, form)| (form, hash));
            Ok(Forms { forms: forms.collect(), rule })
        };
        Ok(RuleSet { fusion, rules: rules.into_iter().map(with_forms).collect::<Result<_, _>>()? })
    }

    /// The rules in force for an instrument, in file order, each with its hash.
    pub fn rules_for(&self, venue: Venue, symbol: &Symbol) -> Vec<(EffectiveRule, String)> {
        let form = |forms: &Forms| forms.rule.form(venue, symbol).map(|form| forms.forms[form].clone());
        self.rules.iter().filter_map(form).collect()
    }

    /// The engine of an instrument, without memory.
    pub fn engine(&self, venue: Venue, symbol: &Symbol) -> SignalEngine {
        SignalEngine::new(self.fusion.clone(), self.rules_for(venue, symbol))
            .expect("every form was tried when the set was made")
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Fusion alone.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}
