//! All signal sources of one symbol, in a fixed order: fusion, then the rules as in the file.

use serde::{Deserialize, Serialize};

use crate::factor::row::FactorRow;
use crate::signal::fusion::{self, Fused, FusionSettings};
use crate::signal::gate::{Gate, GateStep};
use crate::signal::rule::{EffectiveRule, RuleMemory, UnknownFactor, Watch};
use crate::signal::{Signal, SignalHead, SignalValue};

const ROW_MS: i64 = 1_000;

/// Makes signals of the rows of one symbol.
///
/// What it remembers is stored apart from what it was told to do: see [`SignalEngine::memory`].
#[derive(Clone, Debug)]
pub struct SignalEngine {
    fusion: FusionSettings,
    fusion_hash: String,
    rules: Vec<(Watch, String)>,
    memory: SignalMemory,
}

/// What the sources remember between rows, each under its hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalMemory {
    fusion_hash: String,
    fusion: Gate,
    rules: Vec<RuleState>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RuleState {
    id: String,
    hash: String,
    memory: RuleMemory,
}

impl SignalEngine {
    /// From settings in force for the symbol, each with its hash.
    ///
    /// # Errors
    /// A rule reads what rows do not have.
    pub fn new(
        fusion: (FusionSettings, String),
        rules: Vec<(EffectiveRule, String)>,
    ) -> Result<SignalEngine, UnknownFactor> {
        let fresh = |(rule, hash): &(EffectiveRule, String)| RuleState {
            id: rule.id.clone(),
            hash: hash.clone(),
            memory: RuleMemory::default(),
        };
        let memory = SignalMemory {
            fusion_hash: fusion.1.clone(),
            fusion: Gate::default(),
            rules: rules.iter().map(fresh).collect(),
        };
        let watch = |(rule, hash)| Ok((Watch::new(rule)?, hash));
        let rules = rules.into_iter().map(watch).collect::<Result<_, _>>()?;
        Ok(SignalEngine { fusion: fusion.0, fusion_hash: fusion.1, rules, memory })
    }

    /// What is to be stored.
    pub fn memory(&self) -> &SignalMemory {
        &self.memory
    }

    /// Goes on from what was stored. A source whose settings have changed since then begins anew.
    pub fn restore(&mut self, stored: SignalMemory) {
        if stored.fusion_hash == self.fusion_hash {
            self.memory.fusion = stored.fusion;
        }
        for state in stored.rules {
            let same = |own: &&mut RuleState| own.id == state.id && own.hash == state.hash;
            if let Some(own) = self.memory.rules.iter_mut().find(same) {
                own.memory = state.memory;
            }
        }
    }

    /// Takes a row. A source that has seen a row of this time or later says nothing.
    pub fn on_row(&mut self, row: &FactorRow, out: &mut Vec<Signal>) {
        let ts_ms = row.ts_ms + ROW_MS;
        let fused = fusion::fuse(&self.fusion, row);
        if let Some(step) = fusion::step(&self.fusion, &mut self.memory.fusion, &fused, ts_ms) {
            out.push(fusion_signal(row, &fused, &self.memory.fusion, step, &self.fusion_hash));
        }
        for ((watch, hash), state) in self.rules.iter().zip(&mut self.memory.rules) {
            let Some(said) = watch.step(&mut state.memory, row, &fused, ts_ms) else { continue };
            let mut head = head(row, ("rule", &watch.rule().id, hash), state.memory.gate(), said.step);
            head.score = said.score;
            let leaves = watch.rule().leaf.iter().zip(said.leaves);
            let values = leaves.map(|(leaf, (value, vote))| SignalValue {
                name: leaf.name.clone(),
                value,
                vote: Some(vote),
            });
            out.push(Signal { head, values: values.collect() });
        }
    }
}

fn fusion_signal(row: &FactorRow, fused: &Fused, gate: &Gate, step: GateStep, hash: &str) -> Signal {
    let mut head = head(row, ("fusion", "fusion", hash), gate, step);
    head.score = fused.score;
    head.proba = fused.proba;
    head.consistency = fused.consistency;
    head.dispersion = fused.dispersion;
    head.lag_ms = fused.lag_ms;
    let leg = |name: &str, value| SignalValue { name: name.to_owned(), value, vote: None };
    Signal { head, values: vec![leg("z_ofi", row.z_ofi), leg("z_cvd", row.z_cvd)] }
}

/// What every record has; `by` is source, rule id and hash.
fn head(row: &FactorRow, by: (&str, &str, &str), gate: &Gate, step: GateStep) -> SignalHead {
    let phase = gate.phase();
    SignalHead {
        ts_ms: row.ts_ms,
        ts_known_ns: (row.ts_ms + ROW_MS) * 1_000_000,
        venue: row.venue.clone(),
        symbol: row.symbol.clone(),
        source: by.0.to_owned(),
        rule_id: by.1.to_owned(),
        rule_hash: by.2.to_owned(),
        signal: phase.state(),
        dir: phase.dir().map_or(0, |dir| dir.sign()),
        event: step.event,
        reason: step.reason.as_str().to_owned(),
        since_ms: phase.since_ms(),
        score: None,
        proba: None,
        consistency: None,
        dispersion: None,
        lag_ms: None,
        calibrated: false,
        book_state: row.book_state,
        book_valid: row.book_valid,
        stale_ms: row.stale_ms,
    }
}
