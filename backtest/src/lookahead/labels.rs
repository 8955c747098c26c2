//! Columns that are made of later prices: a strategy that reads one is wrong before it runs.

use crate::lookahead::Violation;

/// Is a column an ex-post label?
pub fn is_label(column: &str) -> bool {
    column.starts_with("future_return") || column.ends_with("_score_test")
}

/// The columns among those that a strategy declares which it may not read.
pub fn label_guard(columns: &[&str]) -> Vec<Violation> {
    let labels = columns.iter().filter(|column| is_label(column));
    labels
        .map(|column| Violation {
            check: "labels",
            symbol: String::new(),
            ts_ms: 0,
            column: (*column).to_owned(),
            with_all: "an ex-post label".to_owned(),
            without: "nothing: it may not be read".to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_refused_and_their_live_twins_are_not() {
        let columns = [
            "price_position",
            "future_return_1d",
            "support_absorption_score_test",
            "support_absorption_score_live",
        ];
        let found = label_guard(&columns);
        let names: Vec<&str> = found.iter().map(|v| v.column.as_str()).collect();
        assert_eq!(names, ["future_return_1d", "support_absorption_score_test"]);
        assert!(label_guard(&crate::strategy::bollinger_micro::COLUMNS).is_empty());
        assert!(label_guard(&crate::strategy::bollinger_flow::FACTORS).is_empty());
    }
}
