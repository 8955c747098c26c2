//! What is wrong with a rules file, where, and how it is said.

use std::fmt;

/// Kinds of fault; the codes are documented and never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// Not TOML.
    Syntax,
    /// `version` is missing or not 1.
    Version,
    /// A key that is not known here.
    UnknownField,
    /// A value of the wrong type.
    WrongType,
    /// A key that must be there is not.
    Required,
    /// A bad or repeated id or leaf name.
    BadName,
    /// A factor that rows do not have.
    UnknownFactor,
    /// A factor without a score column.
    NoZ,
    /// Buy and sell thresholds the wrong way round.
    Order,
    /// An exit without its threshold, or outside of where it makes sense.
    Exit,
    /// A leaf that can never vote.
    NoThreshold,
    /// Not a duration.
    BadDuration,
    /// A number outside its range.
    Range,
    /// An override of a leaf that is not there, or a malformed pattern.
    Override,
    /// A direction can never fire.
    OneSided,
    /// A pattern that no configured symbol matches.
    MatchesNothing,
}

impl Code {
    /// Its text.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::Syntax => "R001",
            Code::Version => "R002",
            Code::UnknownField => "R003",
            Code::WrongType => "R004",
            Code::Required => "R005",
            Code::BadName => "R006",
            Code::UnknownFactor => "R007",
            Code::NoZ => "R008",
            Code::Order => "R009",
            Code::Exit => "R010",
            Code::NoThreshold => "R011",
            Code::BadDuration => "R012",
            Code::Range => "R013",
            Code::Override => "R014",
            Code::OneSided => "W101",
            Code::MatchesNothing => "W102",
        }
    }

    /// Does it stop the start?
    pub fn is_error(self) -> bool {
        match self {
            Code::OneSided | Code::MatchesNothing => false,
            Code::Syntax
            | Code::Version
            | Code::UnknownField
            | Code::WrongType
            | Code::Required
            | Code::BadName
            | Code::UnknownFactor
            | Code::NoZ
            | Code::Order
            | Code::Exit
            | Code::NoThreshold
            | Code::BadDuration
            | Code::Range
            | Code::Override => true,
        }
    }
}

/// The rule and leaf that a fault lies in, as far as it lies in one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Id of the rule, or its number in the file.
    pub rule: Option<String>,
    /// Name of the leaf, or its number in the rule.
    pub leaf: Option<String>,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Byte where it begins.
    pub(super) at: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Kind.
    pub code: Code,
    /// Rule and leaf.
    pub place: Place,
    /// Key.
    pub field: Option<String>,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.code.as_str())?;
        let Place { rule, leaf } = &self.place;
        let parts = [("rule", rule), ("leaf", leaf), ("field", &self.field)];
        let mut parts = parts.into_iter().filter_map(|(what, name)| Some((what, name.as_ref()?))).peekable();
        let mut separator = " ";
        while let Some((what, name)) = parts.next() {
            write!(f, "{separator}{what} {name:?}")?;
            separator = if parts.peek().is_some() { ", " } else { "" };
        }
        let colon = if separator.is_empty() { ": " } else { " " };
        write!(f, "{colon}{}", self.text)
    }
}

/// All faults of one file, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    /// Name of the file.
    pub file: String,
    /// The faults.
    pub list: Vec<Diagnostic>,
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, diagnostic) in self.list.iter().enumerate() {
            let end = if i == 0 { "" } else { "\n" };
            write!(f, "{end}{}:{diagnostic}", self.file)?;
        }
        Ok(())
    }
}

/// Line and column of a byte, both from 1; the column counts characters.
pub(super) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

/// The known name nearest to a given one, if it is near enough to be meant.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let reach = (name.chars().count() / 3).max(1);
    let distances = known.into_iter().map(|k| (distance(name, k), k)).filter(|(d, _)| *d <= reach);
    distances.min().map(|(_, k)| k)
}

/// Edits between two names: insert, delete, replace, or swap of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_reads_as_a_line_that_editors_follow() {
        let place = Place { rule: Some("obi_micro".into()), leaf: Some("obi".into()) };
        let text = "must be below buy (0.35), is 0.4".to_owned();
        let (code, field) = (Code::Order, Some("sell".to_owned()));
        let fault = Diagnostic { at: 0, line: 12, column: 3, code, place, field, text };
        let list = vec![fault.clone(), Diagnostic { place: Place::default(), field: None, ..fault }];
        let all = Diagnostics { file: "rules.toml".into(), list };
        assert_eq!(
            all.to_string(),
            "rules.toml:12:3: R009 rule \"obi_micro\", leaf \"obi\", field \"sell\": must be below buy (0.35), is 0.4\n\
             rules.toml:12:3: R009 must be below buy (0.35), is 0.4"
        );
    }

    #[test]
    fn positions_count_characters_from_one() {
        let text = "a = 1\nβ = 2\n";
        assert_eq!(line_and_column(text, 0), (1, 1));
        assert_eq!(line_and_column(text, text.find('2').expect("there")), (2, 5));
        assert_eq!(line_and_column(text, 999), (3, 1));
    }

    #[test]
    fn near_names_are_offered_and_far_ones_are_not() {
        let known = ["cooldown", "combine", "max_gap", "buy"];
        assert_eq!(nearest("cooldwon", known), Some("cooldown"));
        assert_eq!(nearest("bye", known), None);
        assert_eq!(nearest("byu", known), Some("buy"));
        assert_eq!(nearest("symbol", known), None);
        assert_eq!([distance("", "abc"), distance("kitten", "sitting"), distance("ab", "ba")], [3, 3, 1]);
    }
}
