//! Factor rows and signals as JSON text: the value of their records, and the line that a digest hashes.
//!
//! ```text
//! row      one object without spaces, fields in column order; a signal ends with
//!          "values":[{"name":…,"value":…,"vote":…},…]
//! integer  digits
//! float    the fewest digits that parse back to the same bits, with a point or an exponent
//! missing  null, never left out
//! text     UTF-8, escaped where JSON says so
//! ```
//! One value has one text, so equal rows are equal bytes, wherever they were stored in between.

use lobstream_market::factor::row::FactorRow;
use lobstream_market::signal::{Signal, SignalValue};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What has a canonical text.
pub trait Canonical: Serialize + DeserializeOwned {}

impl Canonical for FactorRow {}
impl Canonical for Signal {}
impl Canonical for Vec<SignalValue> {}
impl Canonical for u32 {}
impl Canonical for f64 {}

/// Appends the text of a value.
pub fn encode<T: Canonical>(value: &T, into: &mut Vec<u8>) {
    serde_json::to_writer(into, value).expect("memory takes all bytes, and every key of these types is text");
}

/// The text of a value.
pub fn text<T: Canonical>(value: &T) -> String {
    let mut bytes = Vec::new();
    encode(value, &mut bytes);
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

/// A value from its text.
///
/// # Errors
/// What does not fit, with its line and column.
pub fn decode<T: Canonical>(text: &[u8]) -> Result<T, String> {
    serde_json::from_slice(text).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use lobstream_market::factor::columns::{Cell, ColumnKind};

    use super::*;

    const SIGNAL: &str = concat!(
        r#"{"ts_ms":1723161420000,"ts_known_ns":1723161421000000000,"venue":"binance-usdm","symbol":"BTCUSDT","#,
        r#""source":"rule","rule_id":"obi_micro","rule_hash":"33f16ebd3ad779a7","signal":"strong_buy","dir":1,"#,
        r#""event":"enter","reason":"a \"quoted\" reason","since_ms":null,"score":-0.0,"proba":1e-7,"#,
        r#""consistency":1.0,"dispersion":0.1,"lag_ms":null,"calibrated":false,"book_state":"one_sided","#,
        r#""book_valid":true,"stale_ms":9223372036854775807,"values":[{"name":"obi","value":0.42,"vote":1},"#,
        r#"{"name":"dev","value":null,"vote":null}]}"#
    );

    fn cell(name: &'static str) -> Cell {
        let column = FactorRow::COLUMNS.iter().find(|c| c.name == name).expect("known");
        match column.kind {
            _ if column.nullable => Cell::Null,
            ColumnKind::Bool => Cell::Bool(true),
            ColumnKind::Int => Cell::Int(7),
            ColumnKind::Float => Cell::Float(0.1),
            ColumnKind::Date => panic!("no row of the streams has a date"),
            ColumnKind::Text => Cell::Text("none".into()),
        }
    }

    #[test]
    fn a_signal_has_one_text() {
        let signal: Signal = decode(SIGNAL.as_bytes()).expect("decodes");
        assert_eq!(text(&signal), SIGNAL);
        assert!(signal.head.score.is_some_and(|s| s.to_bits() == (-0.0f64).to_bits()));
        assert_eq!(signal.values[1].value, None);
    }

    #[test]
    fn the_fields_of_a_row_are_its_columns() {
        let names: Vec<&str> = FactorRow::COLUMNS.iter().map(|c| c.name).collect();
        let text = text(&FactorRow::from_cells(cell).expect("fits"));
        let mut rest = &text[..];
        for name in names {
            let at = rest.find(&format!("\"{name}\":")).expect("present and in order");
            rest = &rest[at..];
        }
        assert_eq!(decode::<FactorRow>(text.as_bytes()), FactorRow::from_cells(cell).map_err(str::to_owned));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_place() {
        for (from, to, says) in [
            (r#""dir":1"#, r#""dir":128"#, "i8"),
            (r#""proba":1e-7"#, r#""proba":1e999"#, "number out of range"),
            (r#""event":"enter""#, r#""event":"entered""#, "unknown variant"),
            (r#""source":"rule","#, "", "missing field `source`"),
        ] {
            let error = decode::<Signal>(SIGNAL.replace(from, to).as_bytes()).expect_err(to);
            assert!(error.contains(says), "{error}");
        }
        assert!(decode::<Signal>(b"{\"ts_ms\":1").is_err());
    }
}
