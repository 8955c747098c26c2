//! The identity of a rule: SHA-256 over its canonical JSON, 16 hex digits.

use lobstream_market::signal::fusion::FusionSettings;
use lobstream_market::signal::rule::EffectiveRule;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Hash of a rule in force: defaults and overrides applied, exits filled in.
pub fn rule_hash(rule: &EffectiveRule) -> String {
    hash(&canonical(rule))
}

/// Hash of the settings of fusion.
pub fn fusion_hash(settings: &FusionSettings) -> String {
    hash(&canonical(settings))
}

/// Keys sorted, no spaces, floats in shortest form with a point: fields are declared in that order, and the
/// numbers are finite, or checks would have refused them.
fn canonical(settings: &impl Serialize) -> String {
    serde_json::to_string(settings).expect("plain structs of numbers and texts")
}

fn hash(canonical: &str) -> String {
    Sha256::digest(canonical.as_bytes())[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_fusion_has_its_documented_hash() {
        assert_eq!(fusion_hash(&FusionSettings::default()), "115e55e5f319c501");
    }
}
