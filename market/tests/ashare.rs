//! The A-share days of `images.json`: restored orders, priced cancels and counters, from rows in any order.

use std::io::Write;
use std::path::Path;

use lobstream_market::ashare::{
    DayOrder, ExecKind, OrdType, OrderSource, SseFlag, SseKind, SseRow, StockDay, SzseExecution, SzseOrder,
    TickTime, sse_day, szse_day,
};
use lobstream_market::book::Side;
use serde_json::{Value, json};

fn vectors(test: &str) -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/spec/vectors/images.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        let _ = writeln!(std::io::stderr(), "SKIPPED {test}: no {}", path.display());
        return None;
    };
    Some(serde_json::from_str(&text).expect("JSON"))
}

fn int(row: &Value, name: &str) -> i64 {
    row[name].as_i64().unwrap_or_else(|| panic!("{name} of {row}"))
}

fn time(row: &Value) -> TickTime {
    TickTime::from_number(int(row, "TickTime")).expect("a time")
}

fn sse_row(row: &Value) -> SseRow {
    let kind = match row["Type"].as_str().expect("a type") {
        "A" => SseKind::Add,
        "D" => SseKind::Delete,
        "T" => SseKind::Trade,
        _ => SseKind::Status,
    };
    let flag = match row["TickBSFlag"].as_str().expect("a flag") {
        "B" => SseFlag::B,
        "S" => SseFlag::S,
        _ => SseFlag::N,
    };
    SseRow {
        channel: 1,
        index: int(row, "BizIndex"),
        time: time(row),
        kind,
        buy_no: int(row, "BuyOrderNO"),
        sell_no: int(row, "SellOrderNO"),
        price: int(row, "px"),
        qty: int(row, "qty"),
        money: None,
        flag,
        phase: None,
    }
}

fn letter(side: Side) -> &'static str {
    match side {
        Side::Bid => "B",
        Side::Ask => "S",
    }
}

fn order(o: &DayOrder) -> Value {
    let src = match o.source {
        OrderSource::Sent => "sent",
        OrderSource::Rest => "rest",
        OrderSource::TakerFull => "taker_full",
        OrderSource::TakerRest => "taker_rest",
    };
    json!({"order_no": o.no, "px": o.price, "qty": o.qty, "side": letter(o.side), "aggr": o.aggressive,
           "src": src, "time": o.time.0, "biz": o.index})
}

/// The priced cancels, in the words of the vectors.
fn cancels(day: &StockDay, timed: bool) -> Vec<Value> {
    let priced = day.cancels.iter().filter(|c| !timed || c.time.in_session());
    priced
        .filter_map(|c| {
            let mut cancel = json!({"px": c.price?, "qty": c.qty, "side": letter(c.side), "biz": c.index});
            if timed {
                cancel["time"] = json!(c.time.0);
            }
            Some(cancel)
        })
        .collect()
}

#[test]
fn orders_of_shanghai_are_restored_as_the_cases_say() {
    let Some(all) = vectors("orders_of_shanghai_are_restored_as_the_cases_say") else { return };
    for case in all["sh_restore_cases"].as_array().expect("cases") {
        let rows = case["stream"].as_array().expect("rows").iter().map(sse_row).collect();
        let day = sse_day("600000.SH".parse().unwrap(), rows);
        let mut orders: Vec<Value> = day.orders.iter().map(order).collect();
        for order in &mut orders {
            order.as_object_mut().expect("an object").remove("time");
        }
        assert_eq!(Value::from(orders), case["new"], "{}", case["name"]);
        assert_eq!(Value::from(cancels(&day, false)), case["cancels"], "{}", case["name"]);
        assert_eq!(day.counters.after_rest_fill, case["after_rest_fill"], "{}", case["name"]);
        assert_eq!(day.counters.cancel_unpriced, case["cancel_unpriced"], "{}", case["name"]);
    }
}

#[test]
fn a_day_of_shanghai_is_the_same_from_rows_in_any_order() {
    let Some(all) = vectors("a_day_of_shanghai_is_the_same_from_rows_in_any_order") else { return };
    let (case, code) = (&all["sh_day"], "600000.SH".parse().unwrap());
    let rows: Vec<SseRow> = case["stream"].as_array().expect("rows").iter().map(sse_row).collect();
    let day = sse_day(code, rows.clone());
    assert_eq!(Value::from(day.orders.iter().map(order).collect::<Vec<_>>()), case["restored_all"]);
    assert_eq!(Value::from(cancels(&day, true)), case["cancels_in_session"]);
    let c = day.counters;
    let counted = json!({"after_rest_fill": c.after_rest_fill, "cancel_unpriced": c.cancel_unpriced,
        "cancel_fallback_last": c.cancel_fallback_last, "status_rows": c.status_rows});
    assert_eq!(counted, case["counters"]);

    let mut twice: Vec<SseRow> = rows.iter().rev().chain(&rows).copied().collect();
    twice.swap(3, 9);
    let mut again = sse_day(code, twice);
    assert_eq!(again.counters.duplicates, rows.len() as u64);
    again.counters = day.counters;
    assert_eq!(again, day);
}

#[test]
fn cancels_of_shenzhen_take_the_price_of_their_orders() {
    let Some(all) = vectors("cancels_of_shenzhen_take_the_price_of_their_orders") else { return };
    let case = &all["sz_day"];
    let orders = case["orders"].as_array().expect("orders").iter().map(szse_order).collect();
    let executions = case["executions"].as_array().expect("executions").iter().map(szse_execution).collect();
    let day = szse_day("000001.SZ".parse().unwrap(), orders, executions);
    let named = |mut cancel: Value| {
        let biz = cancel.as_object_mut().expect("an object").remove("biz").expect("an index");
        cancel["BizIndex"] = biz;
        cancel
    };
    let priced: Vec<Value> = cancels(&day, false).into_iter().map(named).collect();
    assert_eq!(Value::from(priced), case["cancels_kept"]);
    let c = day.counters;
    let counted = json!({"unknown_ref": c.unknown_ref, "cancel_unpriced": c.cancel_unpriced,
        "cancel_fallback_last": c.cancel_fallback_last, "cancel_side_mismatch": c.cancel_side_mismatch,
        "side_ignored": c.side_ignored});
    for (name, n) in counted.as_object().expect("an object") {
        assert_eq!(n, &case["counters"][name], "{name}");
    }
    let kept = case["orders_kept"].as_array().expect("orders");
    for expected in kept {
        let o = day.orders.iter().find(|o| o.index == int(expected, "BizIndex")).expect("the order");
        assert_eq!((o.price, o.qty), (int(expected, "px"), int(expected, "qty")));
        assert_eq!(letter(o.side), expected["side"]);
    }
    assert_eq!((day.orders.len(), day.trades.len(), c.cancels), (14, 7, 6));
    assert_eq!(c.cancel_missing_ratio(), 2.0 / 6.0);
}

#[test]
fn a_cancel_that_names_both_orders_or_none_is_bad_and_priced_by_nothing() {
    let cancel = |index, buy_no, sell_no| {
        let (time, kind) = (TickTime(93_000_000), ExecKind::Cancel);
        SzseExecution { channel: 1, index, time, price: 0, qty: 100, buy_no, sell_no, kind }
    };
    let day = szse_day("000001.SZ".parse().unwrap(), vec![], vec![cancel(1, 5, 6), cancel(2, 0, 0)]);
    assert_eq!((day.counters.bad_cancel, day.counters.cancels, day.cancels.len()), (2, 0, 0));
}

#[test]
fn rows_without_an_index_keep_their_order_within_a_time() {
    let at = |t, qty| {
        let (kind, flag, time) = (SseKind::Trade, SseFlag::N, TickTime(t));
        let (buy_no, sell_no, price, money, phase) = (0, 0, 1000, None, None);
        SseRow { channel: 0, index: 0, time, kind, buy_no, sell_no, price, qty, money, flag, phase }
    };
    let rows = vec![at(93_001_000, 1), at(93_000_000, 2), at(93_001_000, 3), at(93_000_000, 4)];
    let day = sse_day("600000.SH".parse().unwrap(), rows);
    assert_eq!(
        day.trades.iter().map(|t| (t.index, t.qty)).collect::<Vec<_>>(),
        [(1, 2), (2, 4), (3, 1), (4, 3)]
    );
    assert_eq!(day.counters.no_index, 4);
}

fn szse_order(row: &Value) -> SzseOrder {
    SzseOrder {
        channel: 2011,
        index: int(row, "BizIndex"),
        time: time(row),
        price: int(row, "px"),
        qty: int(row, "qty"),
        side: match row["Side"].as_str().or(row["side"].as_str()).expect("a side") {
            "49" => Some(Side::Bid),
            "50" => Some(Side::Ask),
            _ => None,
        },
        kind: OrdType::Limit,
    }
}

fn szse_execution(row: &Value) -> SzseExecution {
    SzseExecution {
        channel: 2011,
        index: int(row, "BizIndex"),
        time: time(row),
        price: int(row, "px"),
        qty: int(row, "qty"),
        buy_no: int(row, "BuyOrderNO"),
        sell_no: int(row, "SellOrderNO"),
        kind: if row["ExecType"] == "52" { ExecKind::Cancel } else { ExecKind::Trade },
    }
}
