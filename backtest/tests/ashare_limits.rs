//! Limits and fees of A shares by date against marina-rules (tests/oracle/ashare_limits.py).

use lobstream_backtest::dataset::Date;
use lobstream_backtest::model::ashare_fee::OrderSide;
use lobstream_backtest::model::money::Fen;
use lobstream_backtest::rules::AshareRules;
use serde_json::Value;

fn day(value: &Value) -> Date {
    value.as_str().and_then(|text| text.parse().ok()).expect("a day")
}

fn told() -> Value {
    serde_json::from_str(include_str!("data/ashare_limits.json")).expect("JSON")
}

#[test]
fn limits_are_those_of_marina_rules() {
    let (rules, told) = (AshareRules::built_in(), told());
    let rows = told["limits"].as_array().expect("rows");
    assert!(rows.len() > 3_000, "{} rows", rows.len());
    for row in rows {
        let number = |i: usize| row[i].as_i64().expect("ticks");
        let (code, st) = (row[0].as_str().expect("a code"), row[1].as_bool().expect("true or false"));
        let limits = rules.limits(code, st, day(&row[2]), number(3)).expect("covered");
        assert_eq!((limits.up, limits.down), (number(4), number(5)), "{row}");
    }
}

/// The broker's part is a setting, so only what the state and the depository take is compared.
#[test]
fn stamp_duty_and_transfer_fee_are_those_of_marina_rules() {
    let (rules, told) = (AshareRules::built_in(), told());
    let amount = Fen(10_000_000_000);
    for row in told["fees"].as_array().expect("rows") {
        let share = |i: usize| Fen((row[i].as_f64().expect("a rate") * amount.0 as f64).round() as i64);
        for side in [OrderSide::Buy, OrderSide::Sell] {
            let fees = rules.fees(side, amount, day(&row[0])).expect("covered");
            let stamp = if side == OrderSide::Sell { share(1) } else { Fen::ZERO };
            assert_eq!((fees.stamp, fees.transfer), (stamp, share(2)), "{row}, {side:?}");
        }
    }
}
