//! The rules file: from TOML text to plain rules, or to everything that is wrong with it at once.

mod check;
mod diagnostic;
mod hash;
mod read;

use std::collections::BTreeSet;
use std::path::Path;

use lobstream_market::instrument::{Symbol, Venue};
use lobstream_market::signal::fusion::FusionSettings;
use lobstream_market::signal::rule::{
    Combine, Flip, Leaf, LeafPatch, LeafSide, Missing, Pattern, Rule, RuleOverride, RuleSet, RuleSettings,
    SettingsPatch, Use,
};
use toml_edit::{Document, TableLike};

use crate::error::Error;
use check::Keys;
use read::{Reader, Section};

pub use diagnostic::{Code, Diagnostic, Diagnostics, Place};
pub use hash::{fusion_hash, rule_hash};

const SETTINGS: [&str; 9] = [
    "combine",
    "vote_buy",
    "vote_sell",
    "min_duration",
    "cooldown",
    "max_gap",
    "max_stale",
    "book_valid",
    "flip",
];
const LEAF: [&str; 10] =
    ["name", "factor", "use", "side", "buy", "sell", "exit_buy", "exit_sell", "weight", "missing"];
const LEAVES_MAX: usize = 16;
const NAME_LEN_MAX: usize = 40;

/// Rules of a file, or fusion alone without one. What is merely suspicious is told by [`warnings`].
///
/// # Errors
/// The file cannot be read, or is wrong: all faults, one a line.
pub fn load(file: Option<&Path>) -> Result<RuleSet, Error> {
    let Some(path) = file else { return rule_set("no rules", Vec::new()) };
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| Error::usage(format!("cannot read {name}: {e}")))?;
    parse(&name, &text)
}

/// Rules of a text; `name` stands before every fault.
///
/// # Errors
/// All faults, one a line.
pub fn parse(name: &str, text: &str) -> Result<RuleSet, Error> {
    let (rules, diagnostics) = examine(name, text, &[]);
    if diagnostics.list.iter().any(|d| d.code.is_error()) {
        return Err(Error::usage(diagnostics.to_string()));
    }
    rule_set(name, rules)
}

/// What is suspicious in a file, each as a line. Given symbols, patterns that match none of them are told too.
///
/// # Errors
/// The file cannot be read.
pub fn warnings(path: &Path, symbols: &BTreeSet<(Venue, Symbol)>) -> Result<Vec<String>, Error> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| Error::usage(format!("cannot read {name}: {e}")))?;
    let symbols: Vec<(Venue, Symbol)> = symbols.iter().cloned().collect();
    let (_, diagnostics) = examine(&name, &text, &symbols);
    let warnings = diagnostics.list.iter().filter(|d| !d.code.is_error());
    Ok(warnings.map(|d| format!("{name}:{d}")).collect())
}

fn rule_set(name: &str, rules: Vec<Rule>) -> Result<RuleSet, Error> {
    let fusion = FusionSettings::default();
    let hash = fusion_hash(&fusion);
    RuleSet::new((fusion, hash), rules, rule_hash).map_err(|e| Error::usage(format!("{name}: {e}")))
}

/// The rules of a text as far as they can be read, and everything that is wrong with it. With the configured
/// symbols, patterns that match none of them are told too; without any, nothing is known about that.
pub fn examine(name: &str, text: &str, symbols: &[(Venue, Symbol)]) -> (Vec<Rule>, Diagnostics) {
    let parsed = Document::parse(text);
    let mut reader = Reader::new(text);
    let rules = match &parsed {
        Ok(document) => {
            let section = Section { table: document.as_table(), at: 0, place: Place::default() };
            FileReader { reader: &mut reader, symbols }.file(&section)
        }
        Err(e) => {
            let at = e.span().map_or(text.len(), |span| span.start);
            reader.fault(Code::Syntax, at, &Place::default(), None, e.message().to_owned());
            Vec::new()
        }
    };
    (rules, reader.finish(name))
}

struct FileReader<'r, 'a> {
    reader: &'r mut Reader<'a>,
    symbols: &'r [(Venue, Symbol)],
}

impl<'a> FileReader<'_, 'a> {
    fn file(&mut self, file: &Section<'a>) -> Vec<Rule> {
        self.reader.known(file, &["version", "defaults", "rule"]);
        let version = file.table.get("version");
        if version.and_then(|v| v.as_integer()) != Some(1) {
            let text = if version.is_some() { "must be 1" } else { "is missing: write version = 1" };
            self.reader.field(Code::Version, file, "version", text.to_owned());
        }
        let defaults = match self.reader.table(file, "defaults", Place::default()) {
            Some(section) => {
                self.reader.known(&section, &SETTINGS);
                self.settings(&section).apply(RuleSettings::default())
            }
            None => RuleSettings::default(),
        };
        let place = |i: usize, table: &dyn TableLike| Place { rule: Some(named(table, "id", i)), leaf: None };
        let mut ids = BTreeSet::new();
        let sections = self.reader.tables(file, "rule", place);
        sections.into_iter().map(|section| self.rule(&section, defaults, &mut ids)).collect()
    }

    fn rule(&mut self, section: &Section<'a>, defaults: RuleSettings, ids: &mut BTreeSet<String>) -> Rule {
        self.reader.known(section, &[&SETTINGS[..], &["id", "symbols", "leaf", "override"]].concat());
        let id = self.name(section, "id", ids);
        let symbols = self.patterns(section).unwrap_or_else(|| vec![Pattern::any()]);
        let settings = self.settings(section).apply(defaults);
        let leaves = self.leaves(section);
        let keys: Vec<Keys> = leaves.iter().map(|(_, keys)| keys.clone()).collect();
        self.warn_mute(section, settings.combine, &keys);
        let sections = self.reader.tables(section, "override", |_, _| section.place.clone());
        let overrides = sections.into_iter().map(|over| self.over(&over, settings, &leaves)).collect();
        Rule { id, symbols, settings, leaves: leaves.into_iter().map(|(leaf, _)| leaf).collect(), overrides }
    }

    fn leaves(&mut self, rule: &Section<'a>) -> Vec<(Leaf, Keys)> {
        let place = |i: usize, table: &dyn TableLike| Place {
            leaf: Some(named(table, "name", i)),
            ..rule.place.clone()
        };
        let sections = self.reader.tables(rule, "leaf", place);
        let well_typed = !rule.has("leaf") || !sections.is_empty();
        if well_typed && !(1..=LEAVES_MAX).contains(&sections.len()) {
            let text = format!("must be 1 to {LEAVES_MAX} leaves, are {}", sections.len());
            self.reader.fault(Code::Range, rule.at, &rule.place, Some("leaf"), text);
        }
        let mut names = BTreeSet::new();
        sections.into_iter().map(|section| self.leaf(&section, &mut names)).collect()
    }

    fn leaf(&mut self, section: &Section<'a>, names: &mut BTreeSet<String>) -> (Leaf, Keys) {
        self.reader.known(section, &LEAF);
        let name = self.name(section, "name", names);
        self.reader.required(section, "factor");
        let patch = self.leaf_patch(section);
        let blank = Leaf {
            buy: None,
            exit_buy: None,
            exit_sell: None,
            factor: String::new(),
            missing: Missing::Zero,
            name,
            sell: None,
            side: LeafSide::Above,
            reads: Use::Raw,
            weight: 1.0,
        };
        let (leaf, keys) = (patch.apply(&blank), section.keys());
        for fault in check::leaf(&leaf, &keys) {
            let at = keys.get(fault.field).copied().unwrap_or(section.at);
            self.reader.fault(fault.code, at, &section.place, Some(fault.field), fault.text);
        }
        (leaf, keys)
    }

    fn leaf_patch(&mut self, section: &Section<'a>) -> LeafPatch {
        let reader = &mut *self.reader;
        let weight = reader.number(section, "weight");
        if let Some(bad) = weight.filter(|w| *w <= 0.0) {
            reader.field(Code::Range, section, "weight", format!("must be above 0, is {bad:?}"));
        }
        LeafPatch {
            factor: reader.text(section, "factor").map(str::to_owned),
            reads: reader.word(section, "use", &[("raw", Use::Raw), ("z", Use::Z)]),
            side: reader.word(section, "side", &[("above", LeafSide::Above), ("below", LeafSide::Below)]),
            buy: reader.number(section, "buy"),
            sell: reader.number(section, "sell"),
            exit_buy: reader.number(section, "exit_buy"),
            exit_sell: reader.number(section, "exit_sell"),
            weight,
            missing: reader.word(section, "missing", &[("zero", Missing::Zero), ("hold", Missing::Hold)]),
        }
    }

    /// An override, checked together with the rule that it changes.
    fn over(&mut self, section: &Section<'a>, base: RuleSettings, leaves: &[(Leaf, Keys)]) -> RuleOverride {
        self.reader.known(section, &[&SETTINGS[..], &["symbols", "leaf"]].concat());
        self.reader.required(section, "symbols");
        let symbols = self.patterns(section).unwrap_or_default();
        let settings = self.settings(section);
        let (mut patches, mut keys) = (Vec::new(), leaves.iter().map(|(_, k)| k.clone()).collect::<Vec<_>>());
        let all = self.reader.table(section, "leaf", section.place.clone());
        for (all, name) in all.iter().flat_map(|all| all.table.iter().map(move |(name, _)| (all, name))) {
            let Some(i) = leaves.iter().position(|(leaf, _)| leaf.name == name) else {
                let (at, field) = (all.key(name), format!("leaf.{name}"));
                let text = "overrides a leaf that the rule does not have".to_owned();
                self.reader.fault(Code::Override, at, &section.place, Some(&field), text);
                continue;
            };
            let place = Place { leaf: Some(name.to_owned()), ..section.place.clone() };
            let Some(own) = self.reader.table(all, name, place) else { continue };
            self.reader.known(&own, &LEAF[1..]);
            let patch = self.leaf_patch(&own);
            keys[i].extend(own.keys());
            self.check_patched(&own, &patch.apply(&leaves[i].0), &keys[i]);
            patches.push((name.to_owned(), patch));
        }
        if !patches.is_empty() || settings.combine.is_some() {
            self.warn_mute(section, settings.apply(base).combine, &keys);
        }
        RuleOverride { symbols, settings, leaves: patches }
    }

    /// Faults that the override brings in are told at its key; those of the rule itself have been told.
    fn check_patched(&mut self, section: &Section<'a>, leaf: &Leaf, keys: &Keys) {
        let own = section.keys();
        for fault in check::leaf(leaf, keys) {
            if let Some(at) = fault.involved.iter().find_map(|name| own.get(*name)) {
                self.reader.fault(fault.code, *at, &section.place, Some(fault.field), fault.text);
            }
        }
    }

    fn settings(&mut self, section: &Section<'a>) -> SettingsPatch {
        let combine = [("all", Combine::All), ("any", Combine::Any), ("vote", Combine::Vote)];
        let reader = &mut *self.reader;
        SettingsPatch {
            combine: reader.word(section, "combine", &combine),
            vote_buy: share(reader, section, "vote_buy"),
            vote_sell: share(reader, section, "vote_sell"),
            min_duration_ms: reader.duration_ms(section, "min_duration"),
            cooldown_ms: reader.duration_ms(section, "cooldown"),
            max_gap_ms: reader.duration_ms(section, "max_gap"),
            max_stale_ms: reader.duration_ms(section, "max_stale"),
            book_valid: reader.truth(section, "book_valid"),
            flip: reader.word(
                section,
                "flip",
                &[("direct", Flip::Direct), ("via_neutral", Flip::ViaNeutral)],
            ),
        }
    }

    /// A name that must be there, be well formed, and be new.
    fn name(&mut self, section: &Section<'a>, key: &str, taken: &mut BTreeSet<String>) -> String {
        self.reader.required(section, key);
        let Some(name) = self.reader.text(section, key) else { return String::new() };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || name.len() > NAME_LEN_MAX || !name.chars().all(plain) {
            let text = format!("must be 1 to {NAME_LEN_MAX} of a-z, 0-9 and _, is {name:?}");
            self.reader.field(Code::BadName, section, key, text);
        } else if !taken.insert(name.to_owned()) {
            self.reader.field(Code::BadName, section, key, format!("{name:?} is taken already"));
        }
        name.to_owned()
    }

    fn patterns(&mut self, section: &Section<'a>) -> Option<Vec<Pattern>> {
        let mut patterns = Vec::new();
        for text in self.reader.texts(section, "symbols")? {
            match text.parse::<Pattern>() {
                Ok(pattern) => {
                    self.warn_unmatched(section, text, &pattern);
                    patterns.push(pattern);
                }
                Err(e) => self.reader.field(Code::Override, section, "symbols", e.to_string()),
            }
        }
        Some(patterns)
    }

    fn warn_unmatched(&mut self, section: &Section<'a>, text: &str, pattern: &Pattern) {
        let known = self.symbols.is_empty();
        if !known && !self.symbols.iter().any(|(venue, symbol)| pattern.matches(*venue, symbol)) {
            let text = format!("{text:?} matches none of the symbols");
            self.reader.field(Code::MatchesNothing, section, "symbols", text);
        }
    }

    fn warn_mute(&mut self, section: &Section<'a>, combine: Combine, leaves: &[Keys]) {
        for direction in check::mute_directions(combine, leaves) {
            let text = format!("{direction} can never fire: not every leaf votes for it");
            self.reader.fault(Code::OneSided, section.at, &section.place, None, text);
        }
    }
}

/// A number in (0, 1].
fn share(reader: &mut Reader<'_>, section: &Section<'_>, name: &str) -> Option<f64> {
    let share = reader.number(section, name)?;
    if share <= 0.0 || share > 1.0 {
        reader.field(Code::Range, section, name, format!("must be above 0 and at most 1, is {share:?}"));
    }
    Some(share)
}

/// What a table calls itself; its number without a name.
fn named(table: &dyn TableLike, key: &str, i: usize) -> String {
    let name = table.get(key).and_then(|item| item.as_str());
    name.map_or_else(|| format!("#{}", i + 1), str::to_owned)
}

#[cfg(test)]
mod tests;
